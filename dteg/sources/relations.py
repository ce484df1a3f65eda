"""Relations of sources in the warehouse: their names, and how one is replaced while generations still read it."""

import re
from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg import sql

from dteg.core.identifiers import MAX_IDENTIFIER_BYTES
from dteg.core.queries import first_value
from dteg.sources.models import Relation, SourceTable

RETIRED = "__retired_"
_IS_RETIRED = re.compile(rf"^.*{RETIRED}[0-9]+$", re.DOTALL)
_KINDS = {"r": "TABLE", "p": "TABLE", "f": "FOREIGN TABLE", "v": "VIEW", "m": "MATERIALIZED VIEW"}
# Relations of other schemas whose definition reads this one.
_READERS = """
SELECT DISTINCT rn.nspname, r.relname
FROM pg_depend d
JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
JOIN pg_class r ON r.oid = w.ev_class
JOIN pg_namespace rn ON rn.oid = r.relnamespace
JOIN pg_class c ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND (%s = '' OR c.relname = %s) AND r.oid <> c.oid
ORDER BY 1, 2
"""
_DEPENDENCIES = """
SELECT name, dataset FROM _dteg.dataset_dependencies
WHERE kind = 'source_table' AND starts_with(name, %s) ORDER BY 1, 2
"""
_KIND = """
SELECT c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s
"""
_ALL = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'f', 'v', 'm') ORDER BY 1
"""

Connection = psycopg.Connection[Any]


def local_names(tables: Iterable[tuple[str, str]], main_schema: str = "") -> dict[tuple[str, str], str]:
    """Give each table of a source a name in one schema of the warehouse: its own, with its schema before it if taken.

    Args:
        tables: Schema and name of each; the same ones always get the same names.
        main_schema: Whose tables have the first right to their names, such as `public`.
    """
    given: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    for schema, name in sorted(tables, key=lambda each: (each[0] != main_schema, each)):
        wanted = name if name not in taken else f"{schema}__{name}"
        number = 1
        local = _cut(wanted)
        while local in taken or _IS_RETIRED.match(local):
            number += 1
            local = _cut(wanted, f"_{number}")
        taken.add(local)
        given[schema, name] = local
    return given


def _cut(name: str, suffix: str = "") -> str:
    room = MAX_IDENTIFIER_BYTES - len(suffix)
    return name.encode()[:room].decode(errors="ignore") + suffix


def readers(connection: Connection, schema: str, name: str = "") -> list[Relation]:
    """Return the views and generations that read a relation, or any one of a schema."""
    rows = connection.execute(_READERS, [schema, name, name]).fetchall()
    return [Relation(schema_=each[0], name=each[1]) for each in rows]


def users(connection: Connection, slug: str, schema: str) -> dict[str, list[str]]:
    """Return the datasets that use a source: by the full name of a table, or "" where only a generation tells.

    Args:
        connection: To the warehouse.
        slug: The source.
        schema: Its schema in the warehouse.
    """
    found: dict[str, list[str]] = {}
    if first_value(connection, "SELECT to_regclass('_dteg.dataset_dependencies') IS NOT NULL"):
        rows = connection.execute(_DEPENDENCIES, [f"{slug}/"]).fetchall()
        for name, dataset in rows:
            found.setdefault(name.partition("/")[2], []).append(dataset)
    told = {dataset for datasets in found.values() for dataset in datasets}
    if more := [name for name in datasets_of(readers(connection, schema)) if name not in told]:
        found[""] = more
    return found


def datasets_of(relations: Iterable[Relation]) -> list[str]:
    """Return the names of the datasets whose generations are among these relations."""
    found = {each.name.rsplit("__g", 1)[0] for each in relations if each.schema_ == "ds_cache"}
    return sorted(found)


def retire(connection: Connection, relation: Relation) -> None:
    """Make a relation's name free: drop it, or rename it while a generation of a dataset still reads it.

    The generation goes on to serve, because its definition follows the renamed relation, and keeps what it holds. What
    was put aside is dropped by `sweep` once nothing reads it.

    Args:
        connection: To the warehouse; best in a transaction with what takes the place.
        relation: A table, foreign table or view; nothing happens if it is not there.
    """
    row = connection.execute(_KIND, [relation.schema_, relation.name]).fetchone()
    if row is None:
        return
    kind = sql.SQL(_KINDS[row[0]])
    if not readers(connection, relation.schema_, relation.name):
        connection.execute(sql.SQL("DROP {} {}").format(kind, relation.identifier))
        return
    aside = sql.Identifier(_free_name(connection, relation))
    connection.execute(sql.SQL("ALTER {} {} RENAME TO {}").format(kind, relation.identifier, aside))


def sweep(connection: Connection, schema: str, keep: Iterable[SourceTable] = ()) -> list[str]:
    """Drop what is no longer wanted in a schema of a source and that nothing reads; return what had to stay.

    Args:
        connection: To the warehouse.
        schema: Such as `src_shop`.
        keep: Tables whose relations stay.
    """
    wanted = {table.relation.name for table in keep}
    left = []
    for (name,) in connection.execute(_ALL, [schema]).fetchall():
        if name in wanted:
            continue
        relation = Relation(schema_=schema, name=name)
        is_read = bool(readers(connection, schema, name))
        if not is_read or not is_retired(name):
            retire(connection, relation)
        if is_read:
            left.append(name)
    return left


def is_retired(name: str) -> bool:
    """Whether a relation was put aside."""
    return bool(_IS_RETIRED.match(name))


def _free_name(connection: Connection, relation: Relation) -> str:
    taken = {name for (name,) in connection.execute(_ALL, [relation.schema_]).fetchall()}
    number = 1
    while (name := _cut(relation.name, f"{RETIRED}{number}")) in taken:
        number += 1
    return name
