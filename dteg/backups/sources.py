"""From what people write to a database and the URL of its server."""

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from dteg.backups.models import Engine
from dteg.core.config import ConnectionUrl
from dteg.core.errors import ConfigError
from dteg.core.identifiers import check_identifier
from dteg.core.postgres import parts_of, with_database
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
        name = parts_of(url).get("dbname", "")
        return Source(_named(name), Engine.POSTGRESQL, with_database(url, name), own=False)
    if scheme in ("mysql", "mariadb"):
        name = unquote(urlsplit(url).path.strip("/"))
        return Source(_named(name), Engine.MARIADB, url, own=False)
    raise ConfigError(f"{scheme}:// is no database that can be backed up; write mysql:// or postgresql://")


def _named(name: str) -> str:
    if not name:
        raise ConfigError("the URL names no database; add /NAME")
    return name
