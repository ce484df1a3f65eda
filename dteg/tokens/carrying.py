"""Today's credentials for a database that takes the warehouse's place: a restore must not bring a revoked one back."""

from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from dteg.core.control import ensure

_TABLES = ("studio_tokens", "studio_sessions")  # in the order of their references


def carry_over(old: psycopg.Connection[Any], new: psycopg.Connection[Any]) -> None:
    """Replace the credentials in a database by those of another.

    Args:
        old: A connection to the warehouse of today.
        new: A connection in autocommit mode to the database that takes its place.
    """
    ensure(old, "tokens")
    ensure(new, "tokens")
    with new.transaction():
        new.execute("DELETE FROM _dteg.studio_sessions")
        new.execute("DELETE FROM _dteg.studio_tokens")
        for name in _TABLES:
            table = sql.Identifier("_dteg", name)
            rows = old.execute(sql.SQL("SELECT to_jsonb(t) FROM {} AS t").format(table)).fetchall()
            insert = sql.SQL("INSERT INTO {0} SELECT * FROM jsonb_populate_record(NULL::{0}, %s)").format(
                table
            )
            for (row,) in rows:
                new.execute(insert, [Jsonb(row)])
