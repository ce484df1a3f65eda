"""An extractor and a loader that live in memory: what the engine needs, without a server.

MemoryStore.named("warehouse").table("raw.events")     what a MemoryLoader with store: warehouse wrote
"""

import json
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from dteg.connectors.base import (
    Capabilities,
    Checkpoint,
    ConnectorConfig,
    DeadLetter,
    Extractor,
    Loader,
    LoadPlan,
    LoadResult,
    LoadSession,
    Stream,
)
from dteg.core.batch import Batch, Schema
from dteg.core.config import ConfigModel
from dteg.core.errors import ConfigError, PermanentError, QualityGateError
from dteg.core.identifiers import TableName
from dteg.core.types import arrow_schema, cast_array, sql_field, sql_type
from dteg.pipelines.schema_policy import SchemaChange, reconcile


class MemoryStream(ConfigModel):
    """One stream, written out."""

    types: dict[str, str] = Field(description="SQL type of each column.")
    rows: list[dict[str, Any]] = Field([], description="Records; dates and times as text.")
    primary_key: list[str] = Field([], description="Columns that identify a record.")
    cursor: str | None = Field(None, description="Column whose values only grow.")


class MemoryExtractorConfig(ConnectorConfig):
    """What a MemoryExtractor reads."""

    streams: dict[str, MemoryStream] = Field(min_length=1, description="Streams by name.")
    batch_rows: int = Field(2, ge=1, description="Rows in each batch.")


class MemoryExtractor(Extractor[MemoryExtractorConfig]):
    """Reads the records that stand in its config; values that do not fit their type are set aside."""

    capabilities = Capabilities(incremental=True, resumable=True)

    def __init__(self, config: MemoryExtractorConfig, context: Any) -> None:
        """Start with nothing read."""
        super().__init__(config, context)
        self._rows_seen: dict[str, int] = {}

    @classmethod
    def stream_names(cls, config: MemoryExtractorConfig) -> list[str]:
        """Return the names in the config."""
        return list(config.streams)

    def streams(self) -> Iterable[Stream]:
        """Describe the streams."""
        for name, stream in self.config.streams.items():
            schema = pa.schema([sql_field(column, type_) for column, type_ in stream.types.items()])
            yield Stream(name, schema, tuple(stream.primary_key), stream.cursor)

    def read(self, stream: Stream, since: Checkpoint | None) -> Iterator[Batch]:
        """Yield batches from the cursor on, or after the rows already seen where there is no cursor."""
        rows = self.config.streams[stream.name].rows
        start = since.position.get("rows", 0) if since and since.cursor is None else 0
        self._rows_seen[stream.name] = start
        while start < len(rows):
            end = min(start + self.config.batch_rows, len(rows))
            batch = self._batch(stream, rows[start:end], start)
            if since and since.cursor is not None and stream.cursor_field:
                batch = _from_cursor(batch, stream.cursor_field, since.cursor)
            self._rows_seen[stream.name] = start = end
            yield batch

    def checkpoint(self, stream: Stream) -> dict[str, Any]:
        """Return how many rows were read."""
        return {"rows": self._rows_seen.get(stream.name, 0)}

    def _batch(self, stream: Stream, rows: list[dict[str, Any]], start: int) -> Batch:
        columns, good = [], pa.array([True] * len(rows))
        for column in stream.schema:
            values = [row.get(column.name) for row in rows]
            texts = pa.array([_text(value) for value in values], pa.string())
            array, bad = cast_array(texts, column)
            for index in pc.indices_nonzero(bad).to_pylist():
                reason = f"column {column.name!r} is not {sql_type(column)}"
                self.context.reject(reason, f"{stream.name} (row {start + index + 1})", rows[index])
            columns.append(array)
            good = pc.and_(good, pc.invert(bad))
        return pa.RecordBatch.from_arrays(columns, schema=stream.schema).filter(good)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _from_cursor(batch: Batch, column: str, cursor: str | float) -> Batch:
    values = batch.column(column)
    start, bad = cast_array(pa.array([str(cursor)]), batch.schema.field(column))
    if bad[0].as_py():
        raise ConfigError(f"the saved cursor {cursor!r} does not fit column {column!r}")
    return batch.filter(pc.greater_equal(values, start[0]))


@dataclass
class MemoryStore:
    """What memory loaders share: tables, positions and load ids, changed together under one lock."""

    tables: dict[str, pa.Table] = field(default_factory=dict)
    dead_letters: dict[str, list[DeadLetter]] = field(default_factory=lambda: defaultdict(list))
    checkpoints: dict[tuple[str, str], Checkpoint] = field(default_factory=dict)
    loads: dict[str, LoadResult] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    running: dict[tuple[str, str], threading.Lock] = field(
        default_factory=lambda: defaultdict(threading.Lock)
    )

    _named: ClassVar[dict[str, "MemoryStore"]] = {}

    @classmethod
    def named(cls, name: str) -> "MemoryStore":
        """Return the store of that name, made when first asked for."""
        return cls._named.setdefault(name, cls())

    @classmethod
    def forget(cls, name: str) -> None:
        """Drop a store."""
        cls._named.pop(name, None)

    def table(self, name: str) -> list[dict[str, Any]]:
        """Return the rows of a table; none if there is no such table."""
        table = self.tables.get(name)
        return [] if table is None else list(table.to_pylist())


class MemoryLoaderConfig(ConnectorConfig):
    """Where a MemoryLoader writes."""

    table: str = Field("public.{stream}", description="Table; {stream} is replaced.")
    store: str = Field("default", description="Name of the MemoryStore.")


class MemoryLoader(Loader[MemoryLoaderConfig]):
    """Writes into a MemoryStore."""

    capabilities = Capabilities(dispositions=frozenset({"append", "replace", "merge"}), transactional=True)

    @classmethod
    def target(cls, config: MemoryLoaderConfig, stream: str) -> TableName:
        """Return the table of a stream."""
        return TableName.parse(config.table.replace("{stream}", stream))

    def open(self, plan: LoadPlan) -> "MemorySession":
        """Start a load; a second one of the same stream waits for the first.

        Raises:
            ConfigError: A disposition it cannot do, or a merge without primary key.
        """
        if plan.disposition not in self.capabilities.dispositions:
            raise ConfigError(f"the memory loader cannot {plan.disposition}")
        if plan.disposition == "merge" and not plan.primary_key:
            raise ConfigError("merge needs a primary_key")
        return MemorySession(MemoryStore.named(self.config.store), plan)


class MemorySession(LoadSession):
    """One load into a MemoryStore."""

    def __init__(self, store: MemoryStore, plan: LoadPlan) -> None:
        """Wait for the turn of this load."""
        self.store, self.plan = store, plan
        self._key = (plan.pipeline, plan.stream)
        self._table = str(plan.target)
        self._batches: list[Batch] = []
        self._letters: list[DeadLetter] = []
        self._change: SchemaChange | None = None
        with store.lock:
            self._turn: threading.Lock | None = store.running[self._key]
        self._turn.acquire()

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The saved position."""
        return self.store.checkpoints.get(self._key)

    @property
    def committed(self) -> LoadResult | None:
        """The result of an earlier load with this load id."""
        done = self.store.loads.get(self.plan.load_id)
        return replace(done, already_loaded=True) if done else None

    @property
    def changes(self) -> list[str]:
        """What the schema policy changed."""
        return self._change.notes() if self._change else []

    def begin(self, schema: Schema) -> Schema:
        """Compare the stream with the table."""
        existing = self._existing()
        if existing is None:
            self._change = SchemaChange(schema)
        else:
            types = {column.name: sql_type(column) for column in existing.schema}
            self._change = reconcile(types, schema, self.plan.schema_policy, self._table)
        return self._change.schema

    def write(self, batch: Batch) -> None:
        """Keep the batch until the publish."""
        if self._change is None or not batch.schema.equals(self._change.schema):
            raise PermanentError("the batch does not have the schema that begin returned")
        self._batches.append(batch)

    def reject(self, letters: list[DeadLetter]) -> None:
        """Keep the records until the publish."""
        self._letters.extend(letters)
        if len(self._letters) > self.plan.max_bad_rows:
            raise QualityGateError(
                f"{len(self._letters)} bad rows, but max_bad_rows is {self.plan.max_bad_rows}; "
                f"the first: {self._letters[0].position}: {self._letters[0].reason}",
                failed=["max_bad_rows"],
            )

    def publish(self, checkpoint: Checkpoint) -> LoadResult:
        """Change table, dead letters, position and load id at once."""
        rows = sum(batch.num_rows for batch in self._batches)
        with self.store.lock:
            table, written = self._merged()
            result = LoadResult(
                rows_read=rows + len(self._letters),
                rows_written=written,
                rows_rejected=len(self._letters),
                bytes_read=sum(batch.nbytes for batch in self._batches),
                total_rows=table.num_rows,
            )
            self.store.tables[self._table] = table
            self.store.dead_letters[self._table].extend(self._letters)
            self.store.checkpoints[self._key] = checkpoint
            self.store.loads[self.plan.load_id] = result
        return result

    def close(self) -> None:
        """Forget what was not published and let the next load in."""
        self._batches, self._letters = [], []
        if self._turn is not None:
            self._turn.release()
            self._turn = None

    def _existing(self) -> pa.Table | None:
        return None if self.plan.full_refresh else self.store.tables.get(self._table)

    def _merged(self) -> tuple[pa.Table, int]:
        """Return the new table and how many rows of it are new or changed."""
        if self._change is None:
            raise PermanentError("publish before begin")
        existing = self._existing()
        schema = arrow_schema(self._change.schema)
        if existing is not None:
            old = [
                schema.field(name) if name in schema.names else existing.schema.field(name)
                for name in existing.column_names
            ]
            schema = pa.schema([*old, *(schema.field(name) for name in self._change.add)])
        new = _conform(pa.Table.from_batches(self._batches, self._change.schema), schema)
        if existing is None or self.plan.disposition == "replace":
            return self._deduplicated(schema.empty_table(), new)
        return self._deduplicated(_conform(existing, schema), new)

    def _deduplicated(self, old: pa.Table, new: pa.Table) -> tuple[pa.Table, int]:
        if self.plan.disposition != "merge":
            return pa.concat_tables([old, new]), new.num_rows
        rows = {self._key_of(row): row for row in old.to_pylist()}
        incoming = {self._key_of(row): row for row in new.to_pylist()}
        changed = {key: row for key, row in incoming.items() if rows.get(key) != row}
        return pa.Table.from_pylist(list((rows | changed).values()), new.schema), len(changed)

    def _key_of(self, row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in self.plan.primary_key)


def _conform(table: pa.Table, schema: Schema) -> pa.Table:
    """Return the columns of `schema`, null where the table has none, cast where it has another type."""
    columns = []
    for column in schema:
        if column.name not in table.column_names:
            columns.append(pa.nulls(table.num_rows, column.type))
            continue
        chunks = table.column(column.name)
        columns.append(
            chunks if chunks.type == column.type else cast_array(chunks.combine_chunks(), column)[0]
        )
    return pa.Table.from_arrays(columns, schema=schema)
