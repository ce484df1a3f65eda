"""What is in the databases, in the form that people and models write SQL from: collected, proved, published.

Nothing is imported here before it is used: `dteg.metadata.client` has to start quickly.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dteg.core.project import Project
    from dteg.metadata.service import Metadata

__all__ = ["metadata_of"]


def metadata_of(project: "Project", to: str = "") -> "Metadata":
    """Return the metadata caches of a project.

    Args:
        project: Whose.
        to: See `Metadata`.

    Raises:
        MissingExtraError: The parser of SQL is not installed.
    """
    try:
        from dteg.metadata.service import Metadata
    except ModuleNotFoundError as error:
        if error.name != "sqlglot":
            raise
        from dteg.core.errors import MissingExtraError

        raise MissingExtraError("datasets", "the metadata cache") from None
    return Metadata(project, to)
