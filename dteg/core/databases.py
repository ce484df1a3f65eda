"""The databases of the warehouse's server."""

from dteg.core.control import session
from dteg.core.errors import NotFoundError
from dteg.core.project import Project
from dteg.core.suggest import did_you_mean

_NAMES = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname"


def databases_of(project: Project) -> list[str]:
    """Return the names of the databases that one may connect to."""
    with session(project) as warehouse:
        return [name for (name,) in warehouse.execute(_NAMES).fetchall()]


def require_database(project: Project, name: str, *, hint: str = "") -> None:
    """Check that there is a database, where libpq would only name a socket that refuses it.

    Args:
        project: Whose warehouse's server.
        name: The database.
        hint: What else the name could have meant, for the message.

    Raises:
        NotFoundError: There is none; with the near miss.
    """
    names = databases_of(project)
    if name in names:
        return
    near = did_you_mean(name, names) or hint or f"there are: {', '.join(names)}"
    raise NotFoundError(f"there is no database {name!r} on the warehouse's server; {near}")
