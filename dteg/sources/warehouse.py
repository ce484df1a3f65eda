"""The warehouse itself as a source: its own tables, as they are now; nothing is linked and nothing remembered."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from dteg.core.queries import first_value, load_queries
from dteg.sources.models import WAREHOUSE, Column, Kind, Mode, Relation, Source, SourceTable, schema_hash
from dteg.sources.postgres import QUERIES as POSTGRES
from dteg.sources.postgres import by_table, foreign_keys, keys_of

_QUERIES = load_queries(Path(__file__).with_name("warehouse.sql"))

Connection = psycopg.Connection[Any]


def warehouse_source(connection: Connection) -> Source:
    """Return what is said of it as a source."""
    count = first_value(connection, _QUERIES["count"])
    return Source(
        slug=WAREHOUSE, kind=Kind.WAREHOUSE, mode=Mode.LOCAL, title="Tables of the warehouse", tables=count
    )


def warehouse_tables(connection: Connection) -> list[SourceTable]:
    """Return its tables."""
    rows = connection.execute(_QUERIES["tables"].encode()).fetchall()
    oids = {"oids": [row[0] for row in rows]}
    columns = by_table(connection, _QUERIES["columns"], oids)
    keys = by_table(connection, POSTGRES["keys"], oids)
    references = by_table(connection, POSTGRES["foreign_keys"], oids)
    at = datetime.now(UTC)
    return [_table(row, columns[row[0]], keys[row[0]], references[row[0]], at) for row in rows]


def _table(row: Any, columns: list[Any], keys: list[Any], references: list[Any], at: datetime) -> SourceTable:
    _, schema, name, estimate, about = row
    primary, unique = keys_of(keys)
    table = SourceTable(
        source=WAREHOUSE, schema_=schema, name=name, relation=Relation(schema_=schema, name=name),
        columns=[
            Column(name=column, type=type_, remote_type=type_, nullable=not not_null, description=said)
            for column, type_, not_null, said in columns
        ],
        primary_key=primary, unique_keys=unique,
        foreign_keys=foreign_keys(references), row_estimate=estimate, description=about, linked=True,
        introspected_at=at,
    )  # fmt: skip
    return table.model_copy(update={"schema_hash": schema_hash(table)})
