"""Other databases and files, whose tables are read in the warehouse beside its own."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dteg.sources.models import (
        Column,
        ForeignKey,
        Kind,
        LinkReport,
        Mode,
        NewSource,
        Probe,
        Relation,
        RowPage,
        Source,
        SourceTable,
        State,
    )
    from dteg.sources.service import Sources

__all__ = [
    "Column",
    "ForeignKey",
    "Kind",
    "LinkReport",
    "Mode",
    "NewSource",
    "Probe",
    "Relation",
    "RowPage",
    "Source",
    "SourceTable",
    "Sources",
    "State",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for: the relay is a process of its own that needs none of it and starts twice as fast."""
    import importlib

    if name not in __all__:
        raise AttributeError(f"module 'dteg.sources' has no attribute {name!r}")
    module = "service" if name == "Sources" else "models"
    return getattr(importlib.import_module(f"dteg.sources.{module}"), name)
