"""What is remembered of sources: the only code that touches `_dteg.sources` and `_dteg.source_tables`."""

import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from dteg.core.control import try_lock, unlock
from dteg.core.errors import ConflictError
from dteg.sources.models import Relation, Source, SourceTable, State

FAILURES_TO_OPEN = 3
OPEN_S = 60
_TABLE_FACTS = {"row_bytes", "columns", "primary_key", "unique_keys", "foreign_keys", "description"}
_SOURCES = """
SELECT s.*, t.tables, t.problems, now() AS at
FROM _dteg.sources s
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE linked) AS tables, count(*) FILTER (WHERE problem <> '') AS problems
    FROM _dteg.source_tables WHERE source = s.slug
) t ON true
WHERE %(slug)s = '' OR s.slug = %(slug)s
ORDER BY s.slug
"""
_SAVE = """
INSERT INTO _dteg.sources (slug, kind, mode, title, address, options, patterns, sealed, key_id)
VALUES (%(slug)s, %(kind)s, %(mode)s, %(title)s, %(address)s, %(options)s, %(patterns)s, %(sealed)s, %(key_id)s)
ON CONFLICT (slug) DO UPDATE SET
    kind = excluded.kind, mode = excluded.mode, title = excluded.title, address = excluded.address,
    options = excluded.options, patterns = excluded.patterns, sealed = excluded.sealed, key_id = excluded.key_id,
    failures = 0, last_error = '', breaker_until = NULL
"""
_LINKED = """
UPDATE _dteg.sources SET linked_at = now(), relayed = %(relayed)s, session_settings = %(settings)s WHERE slug = %(slug)s
"""
_SUCCEEDED = """
UPDATE _dteg.sources SET failures = 0, last_ok_at = now(), last_error = '', breaker_until = NULL WHERE slug = %s
"""
# Each failure from the third on keeps the breaker open for another while.
_FAILED = """
UPDATE _dteg.sources SET
    failures = failures + 1, last_error = %(message)s,
    breaker_until = CASE WHEN failures + 1 >= %(most)s THEN now() + %(seconds)s * interval '1 s' END
WHERE slug = %(slug)s
"""
_TABLES = "SELECT * FROM _dteg.source_tables WHERE source = %s ORDER BY position"
_ADD_TABLE = """
INSERT INTO _dteg.source_tables (source, schema, name, position, relation_schema, relation_name, facts, row_estimate,
    schema_hash, linked, problem, introspected_at, staged_at)
VALUES (%(source)s, %(schema)s, %(name)s, %(position)s, %(relation_schema)s, %(relation_name)s, %(facts)s,
    %(row_estimate)s, %(schema_hash)s, %(linked)s, %(problem)s, %(introspected_at)s, %(staged_at)s)
"""

Connection = psycopg.Connection[Any]


def sources(connection: Connection, slug: str = "") -> list[Source]:
    """Return all sources by name, or the one of that name if there is one."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_SOURCES, {"slug": slug}).fetchall()
    return [_source(row) for row in rows]


def sealed(connection: Connection, slug: str) -> tuple[bytes, str]:
    """Return what is secret of a source, encrypted, and the id of the key."""
    row = connection.execute("SELECT sealed, key_id FROM _dteg.sources WHERE slug = %s", [slug]).fetchone()
    assert row is not None, "the caller has found it"
    return bytes(row[0]), row[1]


def session_settings(connection: Connection, slugs: Sequence[str]) -> dict[str, str]:
    """Return the settings that sessions over tables of these sources need."""
    rows = connection.execute(
        "SELECT session_settings FROM _dteg.sources WHERE slug = ANY(%s)", [list(slugs)]
    ).fetchall()
    return {name: value for (settings,) in rows for name, value in settings.items()}


def save(connection: Connection, source: Source, secret: bytes, key_id: str) -> None:
    """Add a source, or write over the one of that name."""
    values = {
        "slug": source.slug, "kind": source.kind, "mode": source.mode, "title": source.title,
        "address": source.address, "options": Jsonb(source.options), "patterns": Jsonb(source.patterns),
        "sealed": secret, "key_id": key_id,
    }  # fmt: skip
    connection.execute(_SAVE, values)


def save_tables(
    connection: Connection,
    slug: str,
    tables: Sequence[SourceTable],
    *,
    relayed: bool,
    settings: dict[str, str],
) -> None:
    """Write down what was found and linked, in place of what was known before."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM _dteg.source_tables WHERE source = %s", [slug])
        cursor.executemany(_ADD_TABLE, [_row(table, number) for number, table in enumerate(tables)])
        cursor.execute(_LINKED, {"slug": slug, "relayed": relayed, "settings": Jsonb(settings)})


def staged(connection: Connection, slug: str, table: SourceTable, at: datetime) -> None:
    """Write down that a table was copied."""
    connection.execute(
        "UPDATE _dteg.source_tables SET staged_at = %s WHERE source = %s AND schema = %s AND name = %s",
        [at, slug, table.schema_, table.name],
    )


def tables(connection: Connection, slug: str) -> list[SourceTable]:
    """Return the tables of a source as they were last found."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return [_table(row) for row in cursor.execute(_TABLES, [slug]).fetchall()]


def succeeded(connection: Connection, slug: str) -> None:
    """Write down that a source answered."""
    connection.execute(_SUCCEEDED, [slug])


def failed(connection: Connection, slug: str, message: str) -> None:
    """Write down that a source did not answer; after `FAILURES_TO_OPEN` times no attempt is made for `OPEN_S` seconds."""
    values = {"slug": slug, "message": message[:2_000], "most": FAILURES_TO_OPEN, "seconds": OPEN_S}
    connection.execute(_FAILED, values)


@contextlib.contextmanager
def working(connection: Connection, slug: str) -> Iterator[None]:
    """Keep others from changing a source at the same time.

    Raises:
        ConflictError: Somebody does.
    """
    name = f"dteg source {slug}"
    if not try_lock(connection, name):
        raise ConflictError(f"source {slug} is just being changed by somebody else; try again")
    try:
        yield
    finally:
        if not connection.closed:
            unlock(connection, name)


def delete(connection: Connection, slug: str) -> None:
    """Forget a source and its tables."""
    connection.execute("DELETE FROM _dteg.sources WHERE slug = %s", [slug])


def _source(row: dict[str, Any]) -> Source:
    is_open = row["breaker_until"] is not None and row["breaker_until"] > row["at"]
    state = State.OPEN if is_open else State.FAILING if row["failures"] else State.OK
    fields = set(Source.model_fields) - {"state"}
    return Source(**{name: row[name] for name in fields}, state=state)


def _row(table: SourceTable, position: int) -> dict[str, Any]:
    return {
        "source": table.source, "schema": table.schema_, "name": table.name, "position": position,
        "relation_schema": table.relation.schema_, "relation_name": table.relation.name,
        "facts": Jsonb(table.model_dump(mode="json", include=_TABLE_FACTS)), "row_estimate": table.row_estimate,
        "schema_hash": table.schema_hash, "linked": table.linked, "problem": table.problem,
        "introspected_at": table.introspected_at, "staged_at": table.staged_at,
    }  # fmt: skip


def _table(row: dict[str, Any]) -> SourceTable:
    names = (
        "source",
        "name",
        "row_estimate",
        "schema_hash",
        "linked",
        "problem",
        "introspected_at",
        "staged_at",
    )
    return SourceTable(
        schema_=row["schema"],
        relation=Relation(schema_=row["relation_schema"], name=row["relation_name"]),
        **{name: row[name] for name in names},
        **row["facts"],
    )
