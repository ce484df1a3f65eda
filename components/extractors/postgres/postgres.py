"""The PostgreSQL extractor: COPY out of a read-only snapshot, parsed into Arrow without a Python object per row."""

import contextlib
from collections.abc import Iterator
from typing import Any, ClassVar

import psycopg
from psycopg import errors as pg_errors
from psycopg import sql
from pydantic import Field, model_validator

from dteg.connectors import (
    Batch,
    Capabilities,
    ChangeSensor,
    Checkpoint,
    ConnectionUrl,
    ConnectorConfig,
    Context,
    Extractor,
    NativeSource,
    Stream,
)
from dteg.connectors.selection import (
    check_selection,
    selected_streams,
    selected_tables,
    subquery,
    whole_key,
)
from dteg.core.errors import PermanentError
from dteg.core.identifiers import TableName
from dteg.core.postgres import connect, translated

from .copy_out import CopyOut, CopySource, Wire
from .describe import describe, primary_key

COMPONENT = "postgres"


class PostgresExtractorConfig(ConnectorConfig):
    """What to read: `table`, `tables` or `query`."""

    url: ConnectionUrl | None = Field(
        None,
        description="`postgresql://` URL without password, or `secret://` reference; default: the warehouse.",
    )
    table: str | None = Field(None, description="One table or view as `schema.table`.")
    tables: list[str] = Field([], description="Several tables; each is a stream of its own.")
    query: str | None = Field(None, description="One SELECT; needs `stream`.")
    stream: str | None = Field(
        None, min_length=1, description="Name of the stream; default: the table's name."
    )
    columns: list[str] = Field([], description="Columns to read, with `table`; default: all.")
    batch_bytes: int = Field(
        1 << 20, ge=1 << 16, le=1 << 28, description="Size of a block of rows (bytes of CSV)."
    )
    idle_timeout_s: float = Field(
        300, gt=0, description="Longest silence of the source before the read is given up."
    )
    statement_timeout_s: float = Field(0, ge=0, description="End the read after this long; 0 is never.")

    @model_validator(mode="after")
    def _one_source(self) -> "PostgresExtractorConfig":
        check_selection(self)
        if self.columns and not self.table:
            raise ValueError("columns goes with table; with query, select them there")
        return self


class PostgresExtractor(Extractor[PostgresExtractorConfig]):
    """Reads tables, views or one query of a PostgreSQL database."""

    capabilities: ClassVar[Capabilities] = Capabilities(incremental=True)

    def __init__(self, config: PostgresExtractorConfig, context: Context) -> None:
        """Keep the config; connect later."""
        super().__init__(config, context)
        self._connection: psycopg.Connection[Any] | None = None

    @classmethod
    def stream_names(cls, config: PostgresExtractorConfig) -> list[str]:
        """Return the stream of each table, or of the query."""
        return selected_streams(config, lambda table: TableName.parse(table).name)

    def streams(self) -> Iterator[Stream]:
        """Describe each table or the query, from the catalogue."""
        for name, relation, table in self._relations():
            with translated(COMPONENT, name), self._naming_near_tables(name, table):
                columns = describe(self._connect(), relation, name)
                key = primary_key(self._connect(), table) if table else ()
            yield Stream(name, columns, primary_key=whole_key(key, columns.names))

    def read(self, stream: Stream, since: Checkpoint | None) -> Iterator[Batch]:
        """Yield all rows, or those whose cursor is at least the saved one; all of one snapshot."""
        from .copy_stream import read_batches

        yield from read_batches(self._copy_out(stream, since, "csv"), stream, self.config.batch_bytes)

    def native(self, stream: Stream, since: Checkpoint | None) -> NativeSource:
        """Offer the same rows as the bytes of COPY."""
        version = self._connect().info.server_version // 10_000
        return CopySource(stream.columns, version, lambda wire: self._copy_out(stream, since, wire))

    def _copy_out(self, stream: Stream, since: Checkpoint | None, wire: Wire) -> CopyOut:
        relation = next(relation for name, relation, _ in self._relations() if name == stream.name)
        columns = sql.SQL(", ").join(map(sql.Identifier, stream.columns.names))
        query = sql.SQL("SELECT {} FROM {}").format(columns, relation)
        if since is not None and since.cursor is not None and stream.cursor_field:
            query += sql.SQL(" WHERE {} >= {}").format(
                sql.Identifier(stream.cursor_field), sql.Literal(str(since.cursor))
            )
        return CopyOut(
            self.url(), query.as_string(self._connect()), wire, stream.name,
            statement_timeout_s=self.config.statement_timeout_s, idle_timeout_s=self.config.idle_timeout_s,
        )  # fmt: skip

    def change_sensor(self) -> ChangeSensor | None:
        """Return a sensor over the tables' statistics; a query has none."""
        return None if self.config.query else _TableSensor(self)

    def check(self) -> None:
        """Connect and describe every stream."""
        list(self.streams())

    def close(self) -> None:
        """Disconnect."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextlib.contextmanager
    def _naming_near_tables(self, stream: str, table: TableName | None) -> Iterator[None]:
        """Say of a table that is not there which one may be meant."""
        try:
            yield
        except pg_errors.UndefinedTable:
            if table is None:
                raise
            from dteg.tables.catalogue import unknown_table

            reason = str(unknown_table(self._connect(), table)).replace("there is", "the source has", 1)
            raise PermanentError(reason, component=COMPONENT, stream=stream) from None

    def tables(self) -> list[TableName]:
        """Return the tables to read."""
        return [TableName.parse(table) for table in selected_tables(self.config)]

    def url(self) -> str:
        """Return the URL of the source."""
        return self.config.url.reveal() if self.config.url else self.context.project.warehouse_url()

    def _connect(self) -> "psycopg.Connection[Any]":
        if self._connection is None:
            limit_s = self.config.idle_timeout_s
            self._connection = connect(self.url(), component=COMPONENT, idle_timeout_s=limit_s)
        return self._connection

    def _relations(self) -> Iterator[tuple[str, sql.Composable, TableName | None]]:
        if self.config.query:
            yield str(self.config.stream), sql.SQL(subquery(self.config.query)), None
            return
        for name, table in zip(self.stream_names(self.config), self.tables(), strict=True):
            names = self.config.columns
            columns = sql.SQL(", ").join(map(sql.Identifier, names)) if names else sql.SQL("*")
            whole = sql.Identifier(table.schema, table.name)
            yield name, sql.SQL("(SELECT {} FROM {}) AS source").format(columns, whole), table


class _TableSensor(ChangeSensor):
    """Sees inserts, updates, deletes and rewrites of the tables in PostgreSQL's own statistics."""

    def __init__(self, extractor: PostgresExtractor) -> None:
        self._extractor = extractor

    def fingerprint(self) -> str:
        """Return the counters of all tables."""
        query = (
            "SELECT pg_relation_filenode(to_regclass(%(table)s)), n_tup_ins, n_tup_upd, n_tup_del"
            " FROM pg_stat_all_tables WHERE relid = to_regclass(%(table)s)"
        )
        with connect(self._extractor.url(), component=COMPONENT) as connection, translated(COMPONENT):
            tables = self._extractor.tables()
            return repr([connection.execute(query, {"table": table.sql}).fetchone() for table in tables])
