"""The contracts of connectors: what an extractor, processor, loader, transformer and change sensor owe the engine.

A connector is a class with a config model. It holds only what is special about its system;
retries, checkpoints, casts, dead letters and schema policies belong to the engine.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Self, TypeVar, get_args, get_origin

from dteg.core.batch import Batch, Schema
from dteg.core.columns import AnySchema
from dteg.core.config import ConfigModel
from dteg.core.identifiers import TableName
from dteg.core.project import Project

if TYPE_CHECKING:
    from dteg.connectors.native import NativeSource

Disposition = Literal["append", "replace", "merge", "scd2"]
SchemaPolicy = Literal["evolve", "freeze", "quarantine"]


class ConnectorConfig(ConfigModel):
    """Base of the config model of every connector: give each field a description."""


ConfigT = TypeVar("ConfigT", bound=ConnectorConfig)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Facts about a connector that the engine asks for, instead of asking for its name.

    Attributes:
        incremental: The extractor can read only rows at or after a cursor value.
        resumable: The extractor keeps its own position (`checkpoint`), so an append can be
            repeated without loading anything twice.
        dispositions: What a loader can do with rows.
        transactional: A loader publishes data, state and load id in one transaction.
        row_preserving: A processor returns each row it was given, in order.
        takes_columns: A loader can begin a load with `Columns`, and then returns `Columns`; it needs no Arrow schema.
    """

    incremental: bool = False
    resumable: bool = False
    dispositions: frozenset[Disposition] = frozenset()
    transactional: bool = False
    row_preserving: bool = False
    takes_columns: bool = False


@dataclass(frozen=True, slots=True)
class Stream:
    """One table-like sequence of records with one schema.

    Attributes:
        name: Stable name, unique within the extractor.
        columns: Arrow schema that every batch of the stream has, or what it follows from.
        primary_key: Columns that identify a record, if the source knows them.
        cursor_field: Column by which the extractor can filter and whose values only grow.
        is_guess: The types are those of a part of the records; what `native` offers proves them while it is read.
    """

    name: str
    columns: AnySchema
    primary_key: tuple[str, ...] = ()
    cursor_field: str | None = None
    is_guess: bool = False

    @property
    def schema(self) -> Schema:
        """The Arrow schema that every batch of the stream has."""
        from dteg.core.types import arrow_schema

        return arrow_schema(self.columns)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A saved position, from which a later read goes on without losing anything.

    Attributes:
        cursor: Greatest cursor value read so far, as JSON-able text or number; None if the stream has no cursor.
        position: What a resumable extractor remembers by itself; JSON-able.
    """

    cursor: str | int | float | None = None
    position: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dict."""
        return {"cursor": self.cursor, "position": self.position}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(cursor=data.get("cursor"), position=data.get("position") or {})


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One record that was set aside.

    Attributes:
        reason: Why, for a person to read; never holds the value of a masked column.
        position: Where in the source: `flights.csv (row 17)`.
        payload: The record as far as it could be read; JSON-able.
    """

    reason: str
    position: str
    payload: dict[str, Any]


@dataclass
class Context:
    """What the engine lends a connector.

    Attributes:
        project: The project, for its folder and its warehouse.
        run_id: Identity of the run.
        dead_letters: Where a connector puts records it cannot read; the engine empties it after each batch.
        source: What the extractor reads now, such as a file; for messages about its records.
        may_guess: A stream that `native` will offer may be described by a guess.
    """

    project: Project
    run_id: str = ""
    dead_letters: list[DeadLetter] = field(default_factory=list)
    source: str = ""
    may_guess: bool = False

    def reject(self, reason: str, position: str, payload: dict[str, Any]) -> None:
        """Set one record aside."""
        self.dead_letters.append(DeadLetter(reason, position, payload))


class Connector(ABC, Generic[ConfigT]):
    """What extractors, processors and loaders share."""

    config_model: ClassVar[type[ConnectorConfig]]
    capabilities: ClassVar[Capabilities] = Capabilities()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Find the config model in `class X(Extractor[XConfig])`."""
        super().__init_subclass__(**kwargs)
        for base in getattr(cls, "__orig_bases__", ()):
            origin, arguments = get_origin(base), get_args(base)
            if isinstance(origin, type) and issubclass(origin, Connector) and isinstance(arguments[0], type):
                cls.config_model = arguments[0]

    def __init__(self, config: ConfigT, context: Context) -> None:
        """Keep the checked config; open nothing yet."""
        self.config = config
        self.context = context

    def check(self) -> None:
        """Reach the system with as little as possible.

        Raises:
            ConnectorError: It cannot be used like this.
        """

    def close(self) -> None:
        """Give back connections and files; may be called twice."""

    def __repr__(self) -> str:
        """Show the config, whose secrets mask themselves."""
        return f"{type(self).__name__}({self.config!r})"

    def __enter__(self) -> Self:
        """Return self."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close."""
        self.close()


class Extractor(Connector[ConfigT]):
    """Reads records out of a system."""

    @classmethod
    @abstractmethod
    def stream_names(cls, config: ConfigT) -> list[str]:
        """Return the names of the streams, from the config alone: no I/O, the same each time."""

    @abstractmethod
    def streams(self) -> Iterable[Stream]:
        """Describe the streams, in the order of `stream_names`; may connect."""

    @abstractmethod
    def read(self, stream: Stream, since: Checkpoint | None) -> Iterator[Batch]:
        """Yield the records at or after `since`, or all of them.

        Batches have exactly `stream.schema`. A record that cannot be read goes to
        `self.context.reject(...)` instead of ending the read. The cursor in `since` is
        inclusive: a record whose cursor equals it is read again, so that none of several
        records with one cursor value is missed; merges and the engine drop the repeats.

        Raises:
            TransientError: Reading may succeed later.
            PermanentError: It cannot succeed.
            InputError: The source is not what the config says.
        """

    def native(self, stream: Stream, since: Checkpoint | None) -> "NativeSource | None":
        """Offer the same records as `read`, as bytes that a target of the same engine takes as they are."""
        return None

    def checkpoint(self, stream: Stream) -> dict[str, Any]:
        """Return the position after the last `read`, if the extractor keeps its own; JSON-able."""
        return {}

    def change_sensor(self) -> "ChangeSensor | None":
        """Return a cheap way to see whether the source changed, if there is one."""
        return None


class ChangeSensor(ABC):
    """Tells, cheaply and without side effects, whether a source has changed."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a text that differs when the source has changed since it was last asked."""


class Processor(Connector[ConfigT]):
    """Maps batches to batches."""

    @abstractmethod
    def output_schema(self, schema: Schema) -> Schema:
        """Return the schema of what `process` returns for batches of `schema`.

        Raises:
            ConfigError: The config does not fit the schema, such as a column that does not exist.
        """

    @abstractmethod
    def process(self, batch: Batch) -> Batch:
        """Return the processed batch; put records that are refused into `self.context.reject(...)`."""


class Transformer(Connector[ConfigT]):
    """Changes tables of the warehouse after the loads, by SQL."""

    @abstractmethod
    def sql(self) -> str:
        """Return the statements, from the config alone: no I/O, the same each time.

        They run in one transaction, so that all of them take effect or none, and must not begin or end one. A run
        may be repeated: running them twice must leave the same as running them once. Nothing is bound to them, so
        names are quoted (`dteg.core.identifiers`), and values come as literals (`psycopg.sql.Literal`).
        """


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """All a loader has to know about one load.

    Attributes:
        pipeline: Name of the pipeline.
        stream: Name of the stream.
        target: Table, or the stream name for loaders without tables.
        schema: Schema of the batches that will be written; `Columns` only for a loader that takes them.
        disposition: What to do with rows that are there already.
        load_id: Identity of this load: a load id that was committed is never loaded again.
        primary_key: Columns for merge and scd2.
        schema_policy: What to do when `schema` and the target differ.
        max_bad_rows: More dead letters than this undo the load.
        full_refresh: Ignore the saved checkpoint and replace what is there.
    """

    pipeline: str
    stream: str
    target: TableName
    schema: AnySchema
    disposition: Disposition
    load_id: str
    primary_key: tuple[str, ...] = ()
    schema_policy: SchemaPolicy = "evolve"
    max_bad_rows: int = 0
    full_refresh: bool = False


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What one load did.

    Attributes:
        rows_read: Rows that reached the loader.
        rows_written: Rows inserted, updated or closed in the target.
        rows_rejected: Dead letters.
        bytes_read: Size of the batches in memory (bytes).
        total_rows: Rows in the target afterwards; None where counting makes no sense.
        already_loaded: The load id had been committed before; nothing was done.
    """

    rows_read: int = 0
    rows_written: int = 0
    rows_rejected: int = 0
    bytes_read: int = 0
    total_rows: int | None = None
    already_loaded: bool = False


class LoadSession(ABC):
    """One load in progress: write batches, then publish; anything else leaves the target as it was."""

    @property
    @abstractmethod
    def checkpoint(self) -> Checkpoint | None:
        """The position that the last published load of this stream saved."""

    @property
    @abstractmethod
    def committed(self) -> LoadResult | None:
        """The result of an earlier load with the same load id, if there was one."""

    @property
    def changes(self) -> list[str]:
        """What `begin` changed in the target because of the schema policy, in sentences."""
        return []

    @abstractmethod
    def begin(self, schema: Schema) -> Schema:
        """Make the target ready for batches of `schema`, under the plan's schema policy.

        Returns:
            The schema that batches handed to `write` must have.

        Raises:
            SchemaDriftError: The target does not fit and the policy does not allow to change it.
        """

    @abstractmethod
    def write(self, batch: Batch) -> None:
        """Take one batch; nothing is visible to others yet."""

    @abstractmethod
    def reject(self, letters: list[DeadLetter]) -> None:
        """Take records that were set aside."""

    @abstractmethod
    def publish(self, checkpoint: Checkpoint) -> LoadResult:
        """Make data, dead letters, checkpoint and load id visible at once."""

    @abstractmethod
    def close(self) -> None:
        """Undo what was not published and give everything back; may be called twice."""

    def __enter__(self) -> Self:
        """Return self."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close."""
        self.close()


class Loader(Connector[ConfigT]):
    """Writes records into a system."""

    @classmethod
    @abstractmethod
    def target(cls, config: ConfigT, stream: str) -> TableName:
        """Return where a stream lands, from the config alone; `{stream}` in the config is replaced."""

    def database_url(self) -> str | None:
        """Return the URL of the database the targets lie in, for quality rules; None if there is none."""
        return None

    @abstractmethod
    def open(self, plan: LoadPlan) -> LoadSession:
        """Start a load, waiting until no other load of the same stream is running."""
