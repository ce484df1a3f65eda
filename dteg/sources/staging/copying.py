"""One table copied: read by an extractor, loaded by the engine of pipelines, and put in the place of the old copy.

The new copy is made beside the old one, so a reader sees the one or the other, and a copy that fails changes nothing.

How long it may take is the `statement_timeout` of the connection that it is given, as for a statement that would read the
source: a source that hangs or drips is given up then.
"""

import contextlib
import math
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import psycopg
from psycopg import errors as pg_errors
from psycopg import sql
from pydantic import ValidationError

from dteg.core.columns import sql_type
from dteg.core.control import unlock
from dteg.core.errors import ConfigError, DtegError, PermanentError, TransientError, UnavailableError
from dteg.core.identifiers import TableName
from dteg.core.project import Project
from dteg.core.queries import first_value
from dteg.core.retry import RetryPolicy
from dteg.core.sql_types import parse_sql_type
from dteg.pipelines.listener import Listener
from dteg.sources.kinds import Link
from dteg.sources.models import Column, Progress, SourceTable, TableProblem
from dteg.sources.relations import retire

if TYPE_CHECKING:
    from dteg.connectors.base import Extractor, Stream
    from dteg.pipelines.plan import Part, Pipeline

PREFIX = "__stage_"
LOADED_AT = "_loaded_at"
# Whoever reads the old copy holds it so long; then the new one waits for the next time.
SWAP_WAIT_S = 10
# Another process that copies the same source.
TURN_WAIT_S = 120
_RETRY = RetryPolicy(max_attempts=2, base_delay_s=0.5, max_delay_s=5.0)
_ONCE = RetryPolicy(max_attempts=1)
_LEFT_OVER = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind = 'r' AND starts_with(c.relname, %s)
"""
_FORGET = (
    "DELETE FROM _dteg.loads WHERE target = %s",
    "DELETE FROM _dteg.checkpoints WHERE target = %s",
)
_LONG_NAMES = {
    "timestamptz": "timestamp with time zone", "timestamp": "timestamp without time zone",
    "time": "time without time zone", "timetz": "time with time zone", "varchar": "character varying",
    "char": "character",
}  # fmt: skip

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Reading:
    """What is read to make one table.

    Attributes:
        extractor: Name of the component.
        config: Its settings.
        stream: The stream that becomes the table.
        folder: Where relative paths begin; None: in the project.
        primary_key: Columns of the key, which rows must not repeat.
        max_bad_rows: Rows that may be left out.
    """

    extractor: str
    config: Mapping[str, Any]
    stream: str
    folder: Path | None = None
    primary_key: Sequence[str] = ()
    max_bad_rows: int = 0


def columns_of(project: Project, reading: Reading) -> list[Column]:
    """Return the columns that a table will have, in the spelling of the warehouse.

    Raises:
        DtegError: The source cannot be read.
    """
    stream = _stream(project, reading)
    return [
        Column(name=each.name, type=format_type(sql_type(each)), remote_type=sql_type(each))
        for each in stream.columns
    ]


def format_type(text: str) -> str:
    """Return a type as `format_type` of PostgreSQL spells it."""
    type_ = parse_sql_type(text)
    name = _LONG_NAMES.get(type_.name, type_.name)
    inner = f"({','.join(map(str, type_.arguments))})" if type_.arguments else ""
    first, _, rest = name.partition(" ")
    with_inner = (
        f"{first}{inner} {rest}"
        if type_.name in ("timestamptz", "timestamp", "time", "timetz")
        else f"{name}{inner}"
    )
    return with_inner.strip() + type_.array


def copy_tables(
    link: Link,
    connection: Connection,
    tables: Sequence[SourceTable],
    reading_of: Callable[[SourceTable, float], Reading],
    on_progress: Progress,
) -> list[TableProblem]:
    """Copy tables one after the other; one that fails keeps its old copy, and the others go on.

    Args:
        link: The source.
        connection: To the warehouse, in autocommit mode.
        tables: What they become.
        reading_of: Says how a table is read, and gives up a silence longer than the time that is left (s, or infinite).
        on_progress: Is told of each table.

    Returns:
        What could not be copied, or not all of it.
    """
    problems: list[TableProblem] = []
    end = time.monotonic() + time_left(connection)
    with _turn(link, connection):
        for number, table in enumerate(tables):
            on_progress(table.full_name, number, len(tables))
            try:
                watch = _Deadline(table.full_name, end)
                rejected = _copy(link, connection, table, reading_of(table, watch.left()), watch)
            except DtegError as error:
                problems.append(TableProblem(table=table.full_name, message=str(error)))
                continue
            if rejected:
                left_out = f"{rejected:,} rows were left out, because a value does not fit its column"
                columns = [column.name for column in table.columns]
                problems.append(TableProblem(table=table.full_name, message=left_out, columns=columns[:1]))
    on_progress("", len(tables), len(tables))
    return problems


def time_left(connection: Connection) -> float:
    """Return how long a copy may take (s): as long as one statement of the connection; infinite if it has no limit."""
    limit_ms = first_value(
        connection, "SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'"
    )
    return limit_ms / 1000 if limit_ms else math.inf


class _Deadline(Listener):
    """Ends a load whose time is over, when it tells of its progress."""

    def __init__(self, table: str, end: float) -> None:
        self._table, self._end = table, end

    def left(self) -> float:
        """Return how many seconds are left.

        Raises:
            TransientError: None.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TransientError(f"{self._table}: not copied within the time that it may take")
        return left

    @property
    def is_near(self) -> bool:
        """Whether there is a limit at all."""
        return self._end < math.inf

    def batch_loaded(self, stream: str, rows: int, num_bytes: int) -> None:
        self.left()

    def bytes_relayed(self, stream: str, num_bytes: int) -> None:
        self.left()


def _copy(link: Link, connection: Connection, table: SourceTable, reading: Reading, watch: _Deadline) -> int:
    """Copy one table; return how many rows were left out."""
    beside = TableName(link.schema, f"{PREFIX}{secrets.token_hex(8)}")
    letters = beside.with_suffix("__dead_letters")
    try:
        rejected = _load(link.project, reading, beside, watch)
        _finish(connection, beside, reading.primary_key, table)
        _swap(connection, beside, table)
        return rejected
    finally:
        for name in (beside, letters):
            with contextlib.suppress(psycopg.Error):
                connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name.identifier))
        for statement in _FORGET:
            with contextlib.suppress(psycopg.Error):
                connection.execute(statement, [str(beside)])


def _load(project: Project, reading: Reading, target: TableName, watch: _Deadline) -> int:
    from dteg.pipelines.engine import Run, run_stream
    from dteg.pipelines.runner import new_run_id

    # Within a limit there is no time for a second attempt: whoever set the limit tries again.
    pipeline = _pipeline(project, reading, target, _ONCE if watch.is_near else _RETRY)
    run = Run(pipeline, new_run_id(), full_refresh=True, listener=watch)
    result = run_stream(run, pipeline.flows[0], reading.stream)
    return result.load.rows_rejected


def _pipeline(project: Project, reading: Reading, target: TableName, retry: RetryPolicy) -> "Pipeline":
    from dteg.connectors.discovery import discover, find
    from dteg.pipelines.plan import Flow, Part, Pipeline
    from dteg.pipelines.spec import ExtractStep, LoadStep, PipelineSpec

    loader = find("loader", "postgres", discover(project))
    settings = loader.config_model.model_validate({"table": str(target), "only_new": True})
    load = LoadStep(type="postgres", write="replace", max_bad_rows=reading.max_bad_rows)
    flow = Flow(_part(project, reading), (), Part(loader, settings), load)
    spec = PipelineSpec(name="source", extract=ExtractStep(type=reading.extractor), load=load, retry=retry)
    return Pipeline(spec, _place(project, reading), "", (flow,))


def _part(project: Project, reading: Reading) -> "Part":
    from dteg.connectors.discovery import discover, find
    from dteg.pipelines.plan import Part

    component = find("extractor", reading.extractor, discover(project))
    try:
        return Part(component, component.config_model.model_validate(dict(reading.config)))
    except ValidationError as error:
        messages = [
            f"{'.'.join(map(str, each['loc']))}: {each['msg'].removeprefix('Value error, ')}".removeprefix(
                ": "
            )
            for each in error.errors()
        ]
        raise ConfigError("; ".join(messages)) from None


def _stream(project: Project, reading: Reading) -> "Stream":
    from dteg.connectors.base import Context

    extractor = cast("Extractor[Any]", _part(project, reading).create(Context(_place(project, reading))))
    with extractor:
        for stream in extractor.streams():
            if stream.name == reading.stream:
                return stream
    raise PermanentError(f"the source has no table {reading.stream!r}")


def _place(project: Project, reading: Reading) -> Project:
    from dteg.tables.loading import project_in

    return project_in(project, reading.folder) if reading.folder else project


def _finish(connection: Connection, beside: TableName, key: Sequence[str], table: SourceTable) -> None:
    """Give a new copy its key and its statistics, and take away what loads of pipelines have beside their columns."""
    name = beside.identifier
    connection.execute(
        sql.SQL("ALTER TABLE {} DROP COLUMN IF EXISTS {}").format(name, sql.Identifier(LOADED_AT))
    )
    if key:
        try:
            connection.execute(
                sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(
                    name, sql.SQL(", ").join(map(sql.Identifier, key))
                )
            )
        except (pg_errors.UniqueViolation, pg_errors.NotNullViolation) as error:
            what = "repeat it" if isinstance(error, pg_errors.UniqueViolation) else "have a null in it"
            raise PermanentError(
                f"{table.full_name}: {', '.join(key)} is no key, because some rows {what}; name other columns as primary_key"
            ) from None
    connection.execute(sql.SQL("ANALYZE {}").format(name))


def _swap(connection: Connection, beside: TableName, table: SourceTable) -> None:
    """Put a new copy in the place of the old one."""
    try:
        with connection.transaction():
            connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(SWAP_WAIT_S * 1000)))
            retire(connection, table.relation)
            connection.execute(
                sql.SQL("ALTER TABLE {} RENAME TO {}").format(
                    beside.identifier, sql.Identifier(table.relation.name)
                )
            )
            if table.description:
                connection.execute(
                    sql.SQL("COMMENT ON TABLE {} IS {}").format(
                        table.relation.identifier,
                        sql.Literal(table.description),
                    )
                )
    except (pg_errors.LockNotAvailable, pg_errors.DeadlockDetected):
        raise TransientError(
            f"{table.full_name}: the copy before is being read; the new one was not put in its place"
        ) from None


@contextlib.contextmanager
def _turn(link: Link, connection: Connection) -> Iterator[None]:
    """Copy a source alone, and clear away what a process that was killed has left."""
    name = f"dteg stage {link.schema}"
    try:
        connection.execute(sql.SQL("SET lock_timeout = {}").format(sql.Literal(TURN_WAIT_S * 1000)))
        connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [name])
    except (pg_errors.LockNotAvailable, pg_errors.QueryCanceled):
        raise UnavailableError(
            f"{link.slug} is being copied by another process all the time; try again later"
        ) from None
    finally:
        connection.execute("RESET lock_timeout")
    try:
        for (left,) in connection.execute(_LEFT_OVER, [link.schema, PREFIX]).fetchall():
            connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(link.schema, left)))
        yield
    finally:
        with contextlib.suppress(psycopg.Error):
            unlock(connection, name)
