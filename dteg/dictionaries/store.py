"""The SQL of dictionaries: their tables, and rows merged into them in one statement each."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads

from dteg.core.errors import NotFoundError
from dteg.core.queries import first_value
from dteg.core.suggest import did_you_mean
from dteg.dictionaries.models import SCHEMA, Change, Dictionary, DictionaryColumn, PlannedChange
from dteg.dictionaries.values import SQL_TYPES
from dteg.tables.read import plain

Connection = psycopg.Connection[Any]
SAMPLE_ROWS = 20
_NOTE = sql.SQL("_dteg.note_dictionary_change")
_TRIGGERS = (
    ("INSERT", "REFERENCING NEW TABLE AS _new_rows"),
    ("UPDATE", "REFERENCING OLD TABLE AS _old_rows NEW TABLE AS _new_rows"),
    ("DELETE", "REFERENCING OLD TABLE AS _old_rows"),
)
_READ = """
SELECT slug, title, key_column AS key, columns, version, created_at, changed_at FROM _dteg.dictionaries
WHERE to_regclass(format('dict.%%I', slug)) IS NOT NULL
"""
_IS_KNOWN = "SELECT EXISTS (SELECT FROM _dteg.dictionaries WHERE slug = %s)"
_CHANGES = """
SELECT id, version, at, who, what, key, old, new FROM _dteg.dictionary_changes
WHERE dictionary = %(slug)s AND (%(before)s::bigint IS NULL OR id < %(before)s::bigint)
    AND (%(key)s::text IS NULL OR key = %(key)s::text)
ORDER BY id DESC LIMIT %(limit)s
"""
_TOUCHED = """
SELECT DISTINCT ON (key) key, who FROM _dteg.dictionary_changes
WHERE dictionary = %s AND version > %s ORDER BY key, id DESC
"""


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge does, or would.

    Attributes:
        inserted: New rows.
        updated: Rows with another value.
        unchanged: Rows that are just so already.
        deleted: Rows that are not among the new ones.
        sample: Some of the rows that change.
    """

    inserted: int
    updated: int
    unchanged: int
    deleted: int
    sample: list[PlannedChange]


def relation(slug: str) -> sql.Identifier:
    """Return the quoted name of a dictionary's table."""
    return sql.Identifier(SCHEMA, slug)


def read_all(connection: Connection) -> list[Dictionary]:
    """Return all dictionaries by slug."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute((_READ + "ORDER BY slug").encode(), ()).fetchall()
    return [_dictionary(connection, row) for row in found]


def read_one(connection: Connection, slug: str, *, lock: bool = False) -> Dictionary:
    """Return a dictionary; with `lock` nobody else changes it until the transaction ends.

    Raises:
        NotFoundError: There is none; with the near miss.
    """
    query = _READ + "AND slug = %s" + (" FOR UPDATE" if lock else "")
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(query.encode(), [slug]).fetchone()
    if row is None and is_known(connection, slug):
        raise NotFoundError(
            f"the table {SCHEMA}.{slug} of the dictionary was dropped; restore it from a backup, or give the dictionary "
            f"up: dteg dictionary remove {slug} --yes"
        )
    if row is None:
        names = [str(name) for (name,) in connection.execute("SELECT slug FROM _dteg.dictionaries")]
        near = did_you_mean(slug, names)
        raise NotFoundError(f"there is no dictionary {slug!r}" + (f"; {near}" if near else ""))
    return _dictionary(connection, row)


def is_known(connection: Connection, slug: str) -> bool:
    """Return whether there is a dictionary, even if somebody has dropped its table."""
    return bool(first_value(connection, _IS_KNOWN, [slug]))


def _dictionary(connection: Connection, row: dict[str, Any]) -> Dictionary:
    rows = first_value(connection, sql.SQL("SELECT count(*) FROM {}").format(relation(row["slug"])))
    return Dictionary.model_validate({**row, "rows": rows, "table": f"{SCHEMA}.{row['slug']}"})


def make_table(connection: Connection, slug: str, key: str, columns: Sequence[DictionaryColumn]) -> None:
    """Make the table of a dictionary, with the triggers that note its changes."""
    parts = [
        sql.SQL("{} {}{}").format(
            sql.Identifier(column.name),
            sql.SQL(SQL_TYPES[column.type]),
            sql.SQL(" PRIMARY KEY" if column.name == key else ""),
        )
        for column in columns
    ]
    table = relation(slug)
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(table, sql.SQL(", ").join(parts)))
    for event, referencing in _TRIGGERS:
        connection.execute(
            sql.SQL(
                "CREATE TRIGGER {} AFTER {} ON {} {} FOR EACH STATEMENT EXECUTE FUNCTION {}({})"
            ).format(
                sql.Identifier(f"note_{event.lower()}"), sql.SQL(event), table, sql.SQL(referencing), _NOTE,
                sql.Literal(key),
            )
        )  # fmt: skip
    connection.execute(
        sql.SQL(
            "CREATE TRIGGER note_truncate BEFORE TRUNCATE ON {} FOR EACH STATEMENT EXECUTE FUNCTION {}({})"
        ).format(table, _NOTE, sql.Literal(key))
    )


def add_columns(connection: Connection, slug: str, columns: Sequence[DictionaryColumn]) -> None:
    """Add columns to the table of a dictionary."""
    for column in columns:
        connection.execute(
            sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(
                relation(slug), sql.Identifier(column.name), sql.SQL(SQL_TYPES[column.type])
            )
        )


def select_rows(
    connection: Connection, dictionary: Dictionary, *, limit: int, after: str = "", find: str = ""
) -> list[list[Any]]:
    """Return rows in the order of their keys.

    Args:
        connection: To the warehouse.
        dictionary: Whose.
        limit: Rows at the most.
        after: Text of the key to begin behind; "" is the beginning.
        find: Only rows with a value that holds this text, small and large letters alike.
    """
    key = sql.Identifier(dictionary.key)
    conditions: list[sql.Composable] = []
    values: list[Any] = []
    if after:
        key_type = sql.SQL(SQL_TYPES[dictionary.types[dictionary.key]])
        conditions.append(sql.SQL("{} > %s::{}").format(key, key_type))
        values.append(after)
    if find:
        texts = [sql.SQL("{}::text").format(sql.Identifier(each.name)) for each in dictionary.columns]
        conditions.append(
            sql.SQL("({})").format(
                sql.SQL(" OR ").join(sql.SQL("position(lower(%s) IN lower({})) > 0").format(each) for each in texts)
            )
        )  # fmt: skip
        values += [find] * len(texts)
    where = sql.SQL(" WHERE ") + sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("")
    query = sql.SQL("SELECT {} FROM {}{} ORDER BY {} LIMIT {}").format(
        _selected(dictionary), relation(dictionary.slug), where, key, sql.Literal(limit)
    )
    found = connection.execute(query, values)
    return [[plain(value) for value in row] for row in found.fetchall()]


def _selected(dictionary: Dictionary) -> sql.Composed:
    """Return the columns as they are shown: dates as texts, because Python does not know all of them."""
    return sql.SQL(", ").join(
        sql.SQL("{}::text" if column.type in ("date", "timestamptz") else "{}").format(
            sql.Identifier(column.name)
        )
        for column in dictionary.columns
    )


def merge(
    connection: Connection,
    dictionary: Dictionary,
    columns: Sequence[str],
    rows: Sequence[Sequence[str | None]],
    *,
    replace: bool = False,
    dry: bool = False,
    sample: int = 0,
) -> Merged:
    """Insert and update rows; within a transaction of the caller, who has locked the dictionary.

    Args:
        connection: To the warehouse.
        dictionary: Which.
        columns: The columns of the rows, the key first.
        rows: Checked values as texts.
        replace: Delete the rows whose key is not among them.
        dry: Change nothing, only say what would happen.
        sample: How many changes of each sort to return.
    """
    _stage(connection, dictionary, columns, rows)
    parts = _parts(dictionary, columns)
    counted = connection.execute(sql.SQL(_COUNT).format(**parts)).fetchone()
    assert counted is not None
    inserted, updated, deleted = counted
    shown = _sample(connection, parts, sample, replace=replace) if sample else []
    if not dry:
        if replace and deleted:
            connection.execute(sql.SQL(_DELETE).format(**parts))
        if inserted or updated:
            connection.execute(sql.SQL(_UPSERT if len(columns) > 1 else _INSERT).format(**parts))
    connection.execute("DROP TABLE _incoming")
    return Merged(inserted, updated, len(rows) - inserted - updated, deleted if replace else 0, shown)


_COUNT = """
SELECT count(*) FILTER (WHERE t.{key} IS NULL),
    count(*) FILTER (WHERE t.{key} IS NOT NULL AND ROW({old}) IS DISTINCT FROM ROW({new})),
    (SELECT count(*) FROM {table} AS t WHERE NOT EXISTS (SELECT FROM _incoming AS i WHERE i.{key} = t.{key}))
FROM _incoming AS i LEFT JOIN {table} AS t ON t.{key} = i.{key}
"""
_SAMPLE = """
(SELECT 'update' AS what, i.{key}::text AS key, to_jsonb(t) AS old, to_jsonb(i) AS new
FROM _incoming AS i JOIN {table} AS t ON t.{key} = i.{key}
WHERE ROW({old}) IS DISTINCT FROM ROW({new}) ORDER BY i.{key} LIMIT {limit})
UNION ALL
(SELECT 'insert', i.{key}::text, NULL, to_jsonb(i) FROM _incoming AS i
WHERE NOT EXISTS (SELECT FROM {table} AS t WHERE t.{key} = i.{key}) ORDER BY i.{key} LIMIT {limit})
"""
_SAMPLE_GONE = """
UNION ALL
(SELECT 'delete', t.{key}::text, to_jsonb(t), NULL FROM {table} AS t
WHERE NOT EXISTS (SELECT FROM _incoming AS i WHERE i.{key} = t.{key}) ORDER BY t.{key} LIMIT {limit})
"""
_DELETE = "DELETE FROM {table} AS t WHERE NOT EXISTS (SELECT FROM _incoming AS i WHERE i.{key} = t.{key})"
_INSERT = "INSERT INTO {table} ({columns}) SELECT {columns} FROM _incoming ON CONFLICT DO NOTHING"
_UPSERT = """
INSERT INTO {table} AS t ({columns}) SELECT {columns} FROM _incoming AS i
ON CONFLICT ({key}) DO UPDATE SET {assigned} WHERE ROW({old}) IS DISTINCT FROM ROW({excluded})
"""


def _stage(
    connection: Connection,
    dictionary: Dictionary,
    columns: Sequence[str],
    rows: Sequence[Sequence[str | None]],
) -> None:
    types = dictionary.types
    described = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(SQL_TYPES[types[name]])) for name in columns
    )
    connection.execute(sql.SQL("CREATE TEMP TABLE _incoming ({}) ON COMMIT DROP").format(described))
    with connection.cursor() as cursor, cursor.copy("COPY _incoming FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    connection.execute("ANALYZE _incoming")


def _parts(dictionary: Dictionary, columns: Sequence[str]) -> dict[str, sql.Composable]:
    others = list(columns[1:]) or [dictionary.key]

    def of(alias: str) -> sql.Composed:
        return sql.SQL(", ").join(sql.Identifier(alias, name) for name in others)

    assigned = [
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Identifier("excluded", name)) for name in others
    ]
    return {
        "table": relation(dictionary.slug), "key": sql.Identifier(dictionary.key), "old": of("t"), "new": of("i"),
        "excluded": of("excluded"), "assigned": sql.SQL(", ").join(assigned),
        "columns": sql.SQL(", ").join(map(sql.Identifier, columns)),
    }  # fmt: skip


def _sample(
    connection: Connection, parts: dict[str, sql.Composable], limit: int, *, replace: bool
) -> list[PlannedChange]:
    text = _SAMPLE + (_SAMPLE_GONE if replace else "")
    query = sql.SQL(text).format(**parts, limit=sql.Literal(limit))
    with _exact(connection) as cursor:
        cursor.row_factory = dict_row
        return [PlannedChange.model_validate(row) for row in cursor.execute(query).fetchall()]


def delete(connection: Connection, dictionary: Dictionary, keys: Sequence[str]) -> list[str]:
    """Delete rows by key; return the keys of those that were there."""
    return _keys(connection, dictionary, keys, "DELETE FROM {table} WHERE {among} RETURNING {key}::text")


def known_keys(connection: Connection, dictionary: Dictionary, keys: Sequence[str]) -> set[str]:
    """Return those of some keys that are there."""
    return set(_keys(connection, dictionary, keys, "SELECT {key}::text FROM {table} WHERE {among}"))


def _keys(
    connection: Connection, dictionary: Dictionary, keys: Sequence[str], statement: LiteralString
) -> list[str]:
    key = sql.Identifier(dictionary.key)
    key_type = sql.SQL(SQL_TYPES[dictionary.types[dictionary.key]])
    among = sql.SQL("{} = ANY(%s::{}[])").format(key, key_type)
    query = sql.SQL(statement).format(table=relation(dictionary.slug), key=key, among=among)
    return [str(found) for (found,) in connection.execute(query, [list(keys)]).fetchall()]


def changes(connection: Connection, slug: str, *, limit: int, before: int | None, key: str) -> list[Change]:
    """Return changes, newest first; with `key` only those of one row."""
    values = {"slug": slug, "limit": limit, "before": before, "key": key or None}
    with _exact(connection) as cursor:
        cursor.row_factory = dict_row
        return [Change.model_validate(row) for row in cursor.execute(_CHANGES.encode(), values).fetchall()]


def touched_since(connection: Connection, slug: str, version: int) -> dict[str, str]:
    """Return who has last changed each row that was changed since a version, by key."""
    return dict(connection.execute(_TOUCHED.encode(), [slug, version]).fetchall())


def _exact(connection: Connection) -> "psycopg.Cursor[Any]":
    """Return a cursor that reads the fractions in JSON as texts, digit for digit."""
    cursor = connection.cursor()
    set_json_loads(partial(json.loads, parse_float=str), cursor)
    return cursor
