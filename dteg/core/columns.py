"""Columns known by their SQL types alone.

Bytes that are relayed undecoded need no Arrow, whose import alone takes 0.1 s and 40 MB. So a
database source describes itself in `Columns`, and they become an Arrow schema when batches are read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from dteg.core.batch import sql_type_of

if TYPE_CHECKING:
    import pyarrow as pa

AnySchema: TypeAlias = "pa.Schema | Columns"
"""Columns as an Arrow schema, or by their SQL types alone; both have `names`, `field(name)` and can be iterated."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: Its name.
        sql_type: Its SQL type in the usual form, such as `numeric(15,2)`.
    """

    name: str
    sql_type: str


class Columns:
    """Columns in order; what a load is planned with, as an Arrow schema can be too."""

    def __init__(self, types: Mapping[str, str]) -> None:
        """Take the SQL type of each name."""
        self._types = dict(types)

    @property
    def names(self) -> list[str]:
        """The names, in order."""
        return list(self._types)

    def field(self, name: str) -> Column:
        """Return one column.

        Raises:
            KeyError: There is none.
        """
        return Column(name, self._types[name])

    def __iter__(self) -> Iterator[Column]:
        """Yield the columns in order."""
        return (Column(name, type_) for name, type_ in self._types.items())

    def __eq__(self, other: object) -> bool:
        """Compare names, types and order."""
        return isinstance(other, Columns) and list(self) == list(other)

    def __hash__(self) -> int:
        """Hash what `__eq__` compares."""
        return hash(tuple(self._types.items()))

    def __repr__(self) -> str:
        """Show names and types."""
        return f"Columns({self._types!r})"


def sql_type(column: "Column | pa.Field") -> str:
    """Return the SQL type of a column: the one it carries, else the one for its Arrow type."""
    if isinstance(column, Column):
        return column.sql_type
    if carried := sql_type_of(column):
        return carried
    from dteg.core.types import sql_type_of_arrow

    return sql_type_of_arrow(column.type)
