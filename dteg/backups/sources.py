"""From what people write to a database and the URL of its server."""

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dteg.backups.models import Engine
from dteg.core.config import ConnectionUrl
from dteg.core.errors import ConfigError
from dteg.core.identifiers import check_identifier
from dteg.core.project import Project


@dataclass(frozen=True, slots=True)
class Source:
    """One database.

    Attributes:
        name: Its name, under which its backups are listed.
        engine: Kind of server.
        url: How to reach it: libpq's text for PostgreSQL, a URL for MariaDB. May hold a password.
        own: Whether it is on the warehouse's server.
    """

    name: str
    engine: Engine
    url: str = field(repr=False)
    own: bool


def source_of(database: str, project: Project) -> Source:
    """Return the database that somebody names.

    Args:
        database: The name of a database on the warehouse's server, a URL, or `secret://…` that holds a URL.
        project: Whose warehouse.

    Raises:
        ConfigError: Not such a name or URL.
    """
    if "://" not in database:
        name = check_identifier(database, "database name")
        return Source(name, Engine.POSTGRESQL, with_database(project.warehouse_url(), name), own=True)
    url = ConnectionUrl(database).reveal()
    scheme = urlsplit(url).scheme.partition("+")[0]
    if scheme in ("postgresql", "postgres"):
        name = _conninfo(url).get("dbname") or ""
        return Source(_named(name), Engine.POSTGRESQL, with_database(url, name), own=False)
    if scheme in ("mysql", "mariadb"):
        name = unquote(urlsplit(url).path.strip("/"))
        return Source(_named(name), Engine.MARIADB, url, own=False)
    raise ConfigError(f"{scheme}:// is no database that can be backed up; write mysql:// or postgresql://")


def with_database(url: str, name: str) -> str:
    """Return how to reach another database of the same server of PostgreSQL."""
    return make_conninfo(**{**_conninfo(url), "dbname": name})


def _conninfo(url: str) -> dict[str, str]:
    try:
        return {key: str(value) for key, value in conninfo_to_dict(url).items()}
    except psycopg.ProgrammingError:
        raise ConfigError("the URL of the database cannot be read") from None


def _named(name: str) -> str:
    if not name:
        raise ConfigError("the URL names no database; add /NAME")
    return name
