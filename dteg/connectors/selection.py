"""What extractors of SQL databases share: a config that says `table`, `tables` or `query`, and what follows from it."""

from collections.abc import Callable, Collection
from typing import Protocol


class Selection(Protocol):
    """The keys of a config that say what to read; each connector describes them in its own words."""

    @property
    def table(self) -> str | None:
        """One table."""

    @property
    def tables(self) -> list[str]:
        """Several tables, each a stream of its own."""

    @property
    def query(self) -> str | None:
        """One SELECT."""

    @property
    def stream(self) -> str | None:
        """Name of the stream; default: the table's."""


def check_selection(selection: Selection) -> None:
    """Refuse a selection that is none or more than one; call it in a validator of the config.

    Raises:
        ValueError: It says what to write instead.
    """
    if sum(map(bool, (selection.table, selection.tables, selection.query))) != 1:
        raise ValueError("write exactly one of table, tables and query")
    if selection.query and not selection.stream:
        raise ValueError("query needs stream: a name for what it returns")
    if selection.stream and selection.tables:
        raise ValueError("stream goes with table or query; several tables keep their own names")


def selected_tables(selection: Selection) -> list[str]:
    """Return the tables as they are written; none for a query."""
    return selection.tables or ([selection.table] if selection.table else [])


def selected_streams(selection: Selection, name_of: Callable[[str], str]) -> list[str]:
    """Return the name of the stream of each table, or of the query.

    Args:
        selection: A checked one.
        name_of: Returns the name of a table without its schema or database.
    """
    return [selection.stream] if selection.stream else [name_of(each) for each in selected_tables(selection)]


def subquery(query: str) -> str:
    """Return a query as SQL that stands after FROM.

    It is the author's own program text, run read-only; it is no place for values. It stands on lines of its own, because
    it may end in a comment.
    """
    return f"(\n{query.rstrip().rstrip(';')}\n) AS source"


def whole_key(key: tuple[str, ...], columns: Collection[str]) -> tuple[str, ...]:
    """Return a primary key if all its columns are read, else none: a part of it does not tell rows apart."""
    return key if all(column in columns for column in key) else ()
