"""What PostgreSQL's catalogue says about a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from dteg.core.identifiers import TableName

INTEGERS = frozenset({"int2", "int4", "int8"})
NUMBERS = INTEGERS | {"numeric", "float4", "float8"}
TIMES = frozenset({"date", "timestamp", "timestamptz"})

Connection = psycopg.Connection[tuple[Any, ...]]

# A domain counts as the type below it, however many domains lie between.
_COLUMNS = """
SELECT
    a.attname,
    format_type(a.atttypid, a.atttypmod),
    (
        WITH RECURSIVE base AS (
            SELECT t.oid, t.typname, t.typbasetype, t.typcategory, t.typnamespace
            FROM pg_type AS t WHERE t.oid = a.atttypid
            UNION ALL
            SELECT t.oid, t.typname, t.typbasetype, t.typcategory, t.typnamespace
            FROM base JOIN pg_type AS t ON t.oid = base.typbasetype
        )
        SELECT ARRAY[
            CASE WHEN typnamespace = 'pg_catalog'::regnamespace THEN typname::text ELSE '' END,
            typcategory::text,
            format_type(oid, -1)
        ]
        FROM base WHERE typbasetype = 0
    )
FROM pg_attribute AS a
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""

# Only indexes that prove the equality of GROUP BY for every row of the table: whole, finished, on
# plain columns, with the columns' own collation and default operators, and not on the parent of
# inheriting tables, whose rows it would not hold. NULLs do not matter, see `rules`.
_UNIQUE_KEYS = """
SELECT i.indisprimary, array_agg(a.attname::text ORDER BY k.position)
FROM pg_index AS i
CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indcollation::oid[], i.indclass::oid[])
    WITH ORDINALITY AS k (attnum, collation_oid, class_oid, position)
JOIN pg_class AS c ON c.oid = i.indrelid
LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0
LEFT JOIN pg_opclass AS o ON o.oid = k.class_oid
WHERE i.indrelid = %s
    AND i.indisunique AND i.indisvalid AND i.indislive AND NOT i.indisexclusion
    AND i.indpred IS NULL
    AND k.position <= i.indnkeyatts
    AND (c.relkind IN ('p', 'm') OR NOT c.relhassubclass)
GROUP BY i.indexrelid, i.indisprimary
HAVING bool_and(a.attname IS NOT NULL AND o.opcdefault AND k.collation_oid = a.attcollation)
ORDER BY i.indisprimary DESC, i.indexrelid
"""


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: Its name.
        sql_type: As declared, such as `numeric(15,2)`.
        base: Internal name of a built-in type, such as `int4`; empty for others. Domains are seen through.
        category: PostgreSQL's category of types, such as `S` for strings and `N` for numbers.
        cast: Type to cast a value to that is compared with the column; it has no length.
    """

    name: str
    sql_type: str
    base: str
    category: str
    cast: str


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, view or foreign table.

    Attributes:
        table: Its name.
        columns: In the order of the table.
        primary_key: Columns of the primary key, if there is one.
        unique_keys: Column sets that the server itself keeps unique.
    """

    table: TableName
    columns: Mapping[str, Column]
    primary_key: tuple[str, ...] = ()
    unique_keys: tuple[frozenset[str], ...] = ()


def read_relation(connection: Connection, table: TableName) -> Relation | None:
    """Return what the catalogue says about the table, or None if there is none."""
    found = connection.execute(
        "SELECT c.oid FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
        [table.schema, table.name],
    ).fetchone()
    if found is None:
        return None
    columns = [Column(name, sql_type, *base) for name, sql_type, base in connection.execute(_COLUMNS, found)]
    keys = connection.execute(_UNIQUE_KEYS, found).fetchall()
    return Relation(
        table,
        {column.name: column for column in columns},
        next((tuple(names) for primary, names in keys if primary), ()),
        tuple(frozenset(names) for _, names in keys),
    )
