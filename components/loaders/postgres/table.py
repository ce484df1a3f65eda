"""What a target table looks like in the catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from dteg.core.identifiers import TableName
from dteg.core.queries import load_queries
from dteg.core.sql_types import canonical

LOADED_AT = "_loaded_at"
VALID_FROM = "_valid_from"
VALID_TO = "_valid_to"
OWN_COLUMNS = frozenset({LOADED_AT, VALID_FROM, VALID_TO})
"""Columns that dteg adds and fills by itself."""

_QUERIES = load_queries(Path(__file__).parent / "journal.sql")


@dataclass(frozen=True)
class Target:
    """A table as it is.

    Attributes:
        name: Its name.
        columns: All columns: name -> SQL type; empty when there is no table.
        generated: Columns that PostgreSQL fills and nobody may write.
        not_null: Columns that take no null.
        unique_keys: Sets of columns with a unique index.
    """

    name: TableName
    columns: Mapping[str, str] = field(default_factory=dict)
    generated: frozenset[str] = frozenset()
    not_null: frozenset[str] = frozenset()
    unique_keys: frozenset[frozenset[str]] = frozenset()

    @property
    def exists(self) -> bool:
        """Whether there is a table."""
        return bool(self.columns)

    @property
    def loadable(self) -> dict[str, str]:
        """The columns that come from the source."""
        skipped = OWN_COLUMNS | self.generated
        return {name: type_ for name, type_ in self.columns.items() if name not in skipped}

    @property
    def sql(self) -> sql.Identifier:
        """The quoted name."""
        return identifier(self.name)


def identifier(table: TableName) -> sql.Identifier:
    """Quote a table's name."""
    return sql.Identifier(table.schema, table.name)


def read_target(connection: "psycopg.Connection[Any]", table: TableName) -> Target:
    """Read a table's columns and unique keys from the catalogue."""
    parameters = {"table": table.sql}
    columns = connection.execute(_QUERIES["columns"].encode(), parameters).fetchall()
    keys = connection.execute(_QUERIES["unique_keys"].encode(), parameters).fetchall()
    return Target(
        table,
        {name: canonical(type_) for name, type_, *_ in columns},
        frozenset(name for name, _, generated, _ in columns if generated),
        frozenset(name for name, _, _, not_null in columns if not_null),
        frozenset(frozenset(names) for (names,) in keys),
    )
