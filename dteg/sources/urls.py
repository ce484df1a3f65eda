"""URLs of sources, taken apart."""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from dteg.core.errors import ConfigError


@dataclass(frozen=True)
class ServerUrl:
    """Where a server is, and who we are there.

    Attributes:
        host: Its name, or the folder of its unix socket.
        port: Its port.
        user: User name; empty if none is given.
        password: Password; empty if none is given.
        database: Database or service.
        settings: What else the URL says.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    settings: dict[str, str]

    @property
    def shown(self) -> str:
        """Host, port and database for people."""
        return f"{self.host}:{self.port}/{self.database}"


def parse_url(url: str, schemes: tuple[str, ...], example: str, default_port: int) -> ServerUrl:
    """Take a URL apart.

    Args:
        url: Such as `mysql://user:password@host:3306/database`.
        schemes: What it may begin with.
        example: What to tell people.
        default_port: Where the server listens unless the URL says otherwise.

    Raises:
        ConfigError: It is no such URL; the message does not repeat it, for it may hold a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or default_port
    except ValueError:
        raise ConfigError(f"the URL cannot be read; write {example}") from None
    database = unquote(parts.path.strip("/"))
    if parts.scheme not in schemes or not parts.hostname or not database:
        raise ConfigError(f"the URL of this kind of source is written like {example}")
    return ServerUrl(
        parts.hostname, port, unquote(parts.username or ""), unquote(parts.password or ""), database,
        dict(parse_qsl(parts.query)),
    )  # fmt: skip


def parse_postgres(url: str) -> ServerUrl:
    """Take a URL of PostgreSQL apart; `host=... dbname=...` is one too.

    Raises:
        ConfigError: It is none, or names several hosts.
    """
    try:
        known = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    except psycopg.ProgrammingError:
        raise ConfigError(
            "the URL cannot be read; write postgresql://user:password@host:5432/database"
        ) from None
    host, port = known.pop("host", ""), known.pop("port", "5432")
    database, user = known.pop("dbname", ""), known.pop("user", "")
    if not host or not database or "," in host or not port.isdigit():
        raise ConfigError("name one host and the database: postgresql://user:password@host:5432/database")
    return ServerUrl(host, int(port), user, known.pop("password", ""), database, known)
