"""PostgreSQL: its catalogue, its statistics, and samples of rows where it has none."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import psycopg
from psycopg import sql

from dteg.core.errors import EnvironmentProblemError, PermanentError
from dteg.core.postgres import translate
from dteg.core.queries import load_queries
from dteg.metadata import collectors
from dteg.metadata.collectors import SAMPLE_ROWS, Collector, Found, Inclusion, Logged, Sample, Statistics
from dteg.metadata.gate import Dialect
from dteg.metadata.models import ColumnEntry, Engine, ForeignKeyEntry, TableEntry
from dteg.metadata.probers import COMPONENT, Limits, PostgresProber
from dteg.sources.patterns import matches
from dteg.sources.postgres import QUERIES as SOURCES
from dteg.sources.postgres import by_table

_QUERIES = load_queries(Path(__file__).with_name("postgres.sql"))
_KINDS = {"r": "table", "p": "table", "v": "view", "m": "materialized_view", "f": "foreign_table"}
# Types whose values are texts that nobody would want in a list: too long, or no order among them.
_UNREAD = ("bytea", "json", "jsonb", "xml", "tsvector", "geometry", "geography")
_PLAIN = (
    "smallint",
    "integer",
    "bigint",
    "numeric",
    "real",
    "double",
    "boolean",
    "date",
    "time",
    "timestamp",
)
_HIDDEN = "<insufficient privilege>"
Connection = psycopg.Connection[Any]


class PostgresCollector(Collector):
    """Collects from one database.

    Args:
        connection: In autocommit mode, for this alone.
        now: What `last_updated` becomes.
        patterns: Which tables, see `dteg.sources.patterns`.
    """

    engine: ClassVar[Engine] = "postgresql"
    dialect: ClassVar[Dialect] = "postgres"

    def __init__(self, connection: Connection, now: datetime, patterns: Sequence[str] = ()) -> None:
        self._connection, self._now, self._patterns = connection, now, patterns
        self.prober: PostgresProber = PostgresProber(connection)

    def tables(self) -> list[Found]:
        """See `Collector.tables`: four queries, however many tables."""
        found = self._connection.execute(_QUERIES["tables"].encode()).fetchall()
        rows = [row for row in found if matches(self._patterns, row[1], row[2])]
        oids = {"oids": [row[0] for row in rows]}
        columns = by_table(self._connection, _QUERIES["columns"], oids)
        keys = by_table(self._connection, SOURCES["keys"], oids)
        references = by_table(self._connection, SOURCES["foreign_keys"], oids)
        return [self._found(row, columns[row[0]], keys[row[0]], references[row[0]]) for row in rows]

    def sample(self, found: Found) -> Sample:
        """See `Collector.sample`: whole if it is small, else some of its pages, always the same ones."""
        estimate = found.row_estimate
        large = estimate is not None and estimate > SAMPLE_ROWS and found.entry.kind == "table"
        names = _readable(found.entry)
        text = sql.SQL("SELECT {} FROM {}{} LIMIT {}").format(
            sql.SQL(", ").join(_shortened(found.entry, name) for name in names) if names else sql.SQL("1"),
            _name(found.entry),
            sql.SQL(" TABLESAMPLE SYSTEM ({}) REPEATABLE (7)").format(
                sql.Literal(min(100.0, 300.0 * SAMPLE_ROWS / (estimate or 1)))
            )
            if large
            else sql.SQL(""),
            sql.Literal(SAMPLE_ROWS + 1),
        )
        rows = self.read(text)
        whole = not large and len(rows) <= SAMPLE_ROWS
        values = {name: [row[place] for row in rows] for place, name in enumerate(names)}
        known = len(rows) if whole else estimate
        return Sample(values, whole, known, {} if whole else self._statistics(found.entry))

    def inclusion(self, wanted: Inclusion) -> sql.Composed:
        """See `Collector.inclusion`."""
        column, ref = sql.Identifier(wanted.column), sql.Identifier(wanted.ref_column)
        return sql.SQL(
            "SELECT count(*), count(*) FILTER (WHERE NOT EXISTS (SELECT FROM {ref_table} r WHERE r.{ref} = dteg_v.{column})) "
            "FROM (SELECT DISTINCT {column} FROM (SELECT {column} FROM {table} WHERE {column} IS NOT NULL LIMIT 20000) t "
            "LIMIT {most}) dteg_v"
        ).format(
            ref_table=_name(wanted.ref_table.entry), table=_name(wanted.table.entry), column=column, ref=ref,
            most=sql.Literal(collectors.INCLUSION_VALUES),
        )  # fmt: skip

    def query_log(self) -> Sequence[Logged]:
        """See `Collector.query_log`: pg_stat_statements, where the extension is there and may be read."""
        try:
            rows = self._connection.execute(_QUERIES["query_log"].encode()).fetchall()
        except psycopg.errors.UndefinedTable:
            raise EnvironmentProblemError(
                "pg_stat_statements is not installed in this database: add it to shared_preload_libraries, "
                "then run CREATE EXTENSION pg_stat_statements"
            ) from None
        except psycopg.errors.DatabaseError as error:
            raise EnvironmentProblemError(
                f"pg_stat_statements cannot be read: {translate(error, COMPONENT)}"
            ) from None
        hidden = sum(text == _HIDDEN for text, _ in rows)
        if hidden == len(rows) > 0:
            raise EnvironmentProblemError(
                "pg_stat_statements shows no statements to this user: GRANT pg_read_all_stats TO it"
            )
        return [Logged(text, calls) for text, calls in rows if text != _HIDDEN]

    def read(self, text: Any, timeout_s: float = collectors.READ_TIMEOUT_S) -> Sequence[Any]:
        """See `Collector.read`."""
        self.reads += 1
        try:
            with self.prober.read_only(Limits(timeout_s=timeout_s)):
                return self._connection.execute(text).fetchall()
        except psycopg.errors.QueryCanceled:
            raise PermanentError(f"it takes longer than {timeout_s:g} s", component=COMPONENT) from None
        except psycopg.Error as error:
            raise translate(error, COMPONENT) from None

    def _statistics(self, entry: TableEntry) -> dict[str, Statistics]:
        values = {"schema": entry.schema_name, "name": entry.name}
        rows = self._connection.execute(_QUERIES["statistics"].encode(), values).fetchall()
        return {
            name: Statistics(nulls, distinct, least, most, list(zip(top or [], shares or [], strict=False)))
            for name, nulls, distinct, least, most, top, shares in rows
        }

    def _found(self, row: Any, columns: list[Any], keys: list[Any], references: list[Any]) -> Found:
        _, schema, name, kind, tuples, about, owner, definition, changes, file = row
        entry = collectors.described(
            {
                "table_id": f"{schema}.{name}", "last_updated": self._now, "description": about, "kind": _KINDS[kind],
                "owner": owner, "columns": [_column(each) for each in columns],
                "primary_key": next((list(names) for primary, names in keys if primary), []),
                "unique_keys": [list(names) for primary, names in keys if not primary],
                "foreign_keys": [
                    ForeignKeyEntry(columns=list(ours), ref_table=f"{to}.{table}", ref_columns=list(theirs))
                    for to, table, ours, theirs in references
                ],
            },
            definition,
        )  # fmt: skip
        estimate = int(tuples) if tuples >= 0 and kind != "v" else None
        # TRUNCATE counts no rows, but makes a new file.
        probe = collectors.probe_of(entry, estimate, changes, file)
        return Found(entry, probe, (schema, name), estimate, readable=kind != "f")


def _column(row: Any) -> ColumnEntry:
    name, type_, not_null, about, _, repeated = row
    return ColumnEntry(
        name=name, type=type_, mode="REPEATED" if repeated else "REQUIRED" if not_null else "NULLABLE",
        nullable=not not_null, description=about, description_origin="comment" if about else None,
    )  # fmt: skip


def _readable(entry: TableEntry) -> list[str]:
    unread = [each.name for each in entry.columns if each.type.partition("(")[0] in _UNREAD]
    return [each.name for each in entry.columns if each.name not in unread and each.mode != "REPEATED"]


def _shortened(entry: TableEntry, name: str) -> sql.Composable:
    """Return how a column is read: numbers and times as they are, all else as the beginning of its text."""
    column = entry.column(name)
    plain = column is not None and column.type.startswith(_PLAIN)
    return sql.Identifier(name) if plain else sql.SQL("left({}::text, 200)").format(sql.Identifier(name))


def _name(entry: TableEntry) -> sql.Identifier:
    return sql.Identifier(entry.schema_name, entry.name)
