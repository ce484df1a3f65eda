"""What a database holds, in a form that two moments can be compared by."""

from typing import Any

import psycopg
from psycopg import sql

Fingerprint = dict[str, tuple[Any, ...]]

_RELATIONS = """
    SELECT n.nspname, c.relname, c.relkind::text,
        (SELECT array_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || a.attnotnull ORDER BY a.attnum)
         FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    ORDER BY 1, 2
"""
_SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1"


def fingerprint(url: str) -> Fingerprint:
    """Return schemas, and for each relation its kind, columns, number of rows and a hash of all rows."""
    with psycopg.connect(url) as connection:
        found: Fingerprint = {"(schemas)": tuple(row[0] for row in connection.execute(_SCHEMAS))}
        for schema, name, kind, columns in connection.execute(_RELATIONS).fetchall():
            content: tuple[Any, ...] = ()
            if kind in ("r", "p", "m"):
                query = sql.SQL(
                    "SELECT count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM {} AS t"
                )
                content = connection.execute(query.format(sql.Identifier(schema, name))).fetchone() or ()
            found[f"{schema}.{name}"] = (kind, columns, *content)
        return found


def rows_of(url: str, table: str, columns: str, order: str) -> list[tuple[Any, ...]]:
    """Return rows in order."""
    with psycopg.connect(url) as connection:
        parts = map(sql.SQL, (columns, table, order))
        return connection.execute(sql.SQL("SELECT {} FROM {} ORDER BY {}").format(*parts)).fetchall()


def has_table(url: str, table: str) -> bool:
    """Whether there is such a table."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [table]).fetchone()
        return bool(row and row[0])
