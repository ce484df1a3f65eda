"""Rows of tables as pages show them."""

import json
from collections.abc import Iterable
from typing import Any, Protocol

from dteg.tables.models import NUMBER_TYPES


class _Typed(Protocol):
    @property
    def type(self) -> str: ...


def number_columns(columns: Iterable[_Typed]) -> set[int]:
    """Return the places of the columns that hold numbers, by their PostgreSQL types."""
    return {at for at, column in enumerate(columns) if column.type.split("(")[0] in NUMBER_TYPES}


def cell_text(value: Any) -> str:
    """Return a value of JSON as a cell shows it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
