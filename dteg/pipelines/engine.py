"""Runs one stream through extract, process and load, and publishes it in one transaction.

The promise: at-least-once delivery, effectively-once result. A crash before the publish leaves the
target as it was. After it, the saved checkpoint lets the next run go on, and a retry that does not
know whether its commit arrived finds its load id and does nothing.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from dteg.connectors.base import (
    Checkpoint,
    Context,
    DeadLetter,
    Extractor,
    Loader,
    LoadPlan,
    LoadResult,
    LoadSession,
    Processor,
    Stream,
)
from dteg.connectors.native import RowsNeededError, TypesNeededError
from dteg.core.arrow_memory import use_lean_pool
from dteg.core.batch import Batch
from dteg.core.columns import AnySchema, sql_type
from dteg.core.errors import ConfigError, DtegError, PermanentError, TransientError
from dteg.core.identifiers import TableName
from dteg.core.prefetch import prefetch
from dteg.core.retry import call_with_retry
from dteg.core.suggest import did_you_mean
from dteg.pipelines.cursor import CursorTracker, check_cursor, step_back
from dteg.pipelines.listener import Listener
from dteg.pipelines.paths import Batches, Path, Relay, choose_path
from dteg.pipelines.plan import Flow, Pipeline
from dteg.pipelines.results import StreamResult

# Batches between the source's thread and the loader: enough to even out their paces, and little memory.
BATCHES_AHEAD = 4


@dataclass
class Stopwatch:
    """Seconds by phase."""

    seconds: dict[str, float] = field(default_factory=lambda: {"extract": 0.0, "process": 0.0, "load": 0.0})

    def timed(self, phase: str, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Yield from `batches`, counting the time spent inside it."""
        while True:
            started = time.perf_counter()
            batch = next(batches, None)
            self.seconds[phase] += time.perf_counter() - started
            if batch is None:
                return
            yield batch

    def add(self, phase: str, started: float) -> None:
        """Count the time since `started`."""
        self.seconds[phase] += time.perf_counter() - started


@dataclass(frozen=True)
class Run:
    """What all streams of one run share.

    Attributes:
        pipeline: What runs.
        run_id: Identity; a retry of the same run has the same one.
        full_refresh: Forget saved positions and replace what is there.
        listener: Told of progress.
    """

    pipeline: Pipeline
    run_id: str
    full_refresh: bool = False
    listener: Listener = field(default_factory=Listener)


def run_stream(run: Run, flow: Flow, stream_name: str) -> StreamResult:
    """Load one stream, trying again on transient errors.

    Raises:
        DtegError: It failed; nothing of this load is visible in the target.
    """
    target = flow.targets()[stream_name]
    run.listener.stream_started(stream_name, str(target))

    def attempt(*, may_guess: bool = not flow.processors, not_relayed: str = "") -> StreamResult:
        load = _StreamLoad(run, flow, stream_name, target, may_guess=may_guess, not_relayed=not_relayed)
        try:
            return load.load()
        except RowsNeededError as error:
            return attempt(may_guess=False, not_relayed=str(error))
        except TransientError:
            raise
        except (TypesNeededError, DtegError):
            # What fails on types that are a guess may not fail on the right ones.
            if not load.is_guess:
                raise
            return attempt(may_guess=False)

    with run.pipeline.naming_file():
        return call_with_retry(
            attempt,
            run.pipeline.spec.retry,
            on_retry=lambda number, delay_s, error: run.listener.retrying(
                stream_name, number, delay_s, error
            ),
        )


def explain_stream(run: Run, flow: Flow, stream_name: str) -> str:
    """Say which path a load would take and what it would read; connects to both ends, changes nothing.

    Raises:
        DtegError: One of them cannot be reached or does not fit.
    """
    with run.pipeline.naming_file():
        return _StreamLoad(run, flow, stream_name, flow.targets()[stream_name]).explain()


@dataclass(frozen=True)
class _Opened:
    """A load whose ends are both open."""

    extractor: Extractor[Any]
    stream: Stream
    processors: list[Processor[Any]]
    session: LoadSession
    schema: AnySchema


class _StreamLoad:
    """One attempt to load one stream."""

    def __init__(
        self,
        run: Run,
        flow: Flow,
        stream_name: str,
        target: TableName,
        *,
        may_guess: bool = False,
        not_relayed: str = "",
    ) -> None:
        self.run, self.flow, self.stream_name, self.target = run, flow, stream_name, target
        self.not_relayed = not_relayed
        self.is_guess = False
        self.context = Context(run.pipeline.project, run.run_id, may_guess=may_guess)
        self.clock = Stopwatch()
        self.started = time.perf_counter()
        self.read_all = False

    def load(self) -> StreamResult:
        with self._open() as (opened, committed):
            if committed is not None:
                return StreamResult(self.stream_name, str(self.target), committed)
            path, since, tracker = self._choose(opened)
            if isinstance(path, Relay):
                checkpoint = self._relay(path, tracker, opened)
            elif self.is_guess:
                raise TypesNeededError("only bytes prove a guess")
            else:
                checkpoint = self._copy(since, tracker, opened)
            started = time.perf_counter()
            result = opened.session.publish(checkpoint)
            self.clock.add("load", started)
            seconds = self.clock.seconds
            return StreamResult(
                self.stream_name, str(self.target), result, {each.name: sql_type(each) for each in opened.schema},
                self.read_all, str(path), opened.session.changes,
                seconds=time.perf_counter() - self.started, extract_s=seconds["extract"], process_s=seconds["process"], load_s=seconds["load"],
            )  # fmt: skip

    def explain(self) -> str:
        with self._open() as (opened, _):
            path, since, _ = self._choose(opened)
            position = (
                f"from {since.cursor} on"
                if since and since.cursor is not None
                else "all that is new"
                if since
                else "all"
            )
            return f"{self.stream_name} -> {self.target}: {path}; reads {position}"

    @contextlib.contextmanager
    def _open(self) -> Iterator[tuple[_Opened, LoadResult | None]]:
        """Open source and target, and prepare the target inside a transaction that ends with the context."""
        extractor: Extractor[Any] = self.flow.extractor.create(self.context)
        loader: Loader[Any] = self.flow.loader.create(self.context)
        processors: list[Processor[Any]] = [part.create(self.context) for part in self.flow.processors]
        with extractor, loader:
            started = time.perf_counter()
            stream = self._stream(extractor)
            self.is_guess = stream.is_guess
            if processors or not loader.capabilities.takes_columns:
                stream = replace(stream, columns=stream.schema)
            schema = _output_schema(stream.columns, processors)
            self._check_columns(schema)
            self.clock.add("extract", started)
            started = time.perf_counter()
            with loader.open(self._plan(schema)) as session:
                final = schema if session.committed else session.begin(schema)
                self.clock.add("load", started)
                yield _Opened(extractor, stream, processors, session, final), session.committed

    def _choose(self, opened: _Opened) -> tuple[Path, Checkpoint | None, CursorTracker]:
        load, saved = self.flow.load, self._saved(opened.session)
        since = self._since(saved)
        self.read_all = since is None
        tracker = CursorTracker(load.cursor, saved, drop_repeats=load.write == "append")
        if self.not_relayed:
            return Batches(self.not_relayed), since, tracker
        return (
            choose_path(self.flow, opened.extractor.native(opened.stream, since), opened.session),
            since,
            tracker,
        )

    def _stream(self, extractor: Extractor[Any]) -> Stream:
        for stream in extractor.streams():
            if stream.name == self.stream_name:
                cursor = self.flow.load.cursor
                return replace(stream, cursor_field=cursor) if cursor in stream.columns.names else stream
        raise PermanentError(f"the source has no stream {self.stream_name!r}", stream=self.stream_name)

    def _check_columns(self, schema: AnySchema) -> None:
        load = self.flow.load
        for key, names in (
            ("primary_key", load.primary_key),
            ("cursor", [load.cursor] if load.cursor else []),
        ):
            if absent := [name for name in names if name not in schema.names]:
                with self.run.pipeline.naming_file((*self.flow.at, key)):
                    near = did_you_mean(absent[0], schema.names)
                    raise ConfigError(
                        f"{self.target}: no column {absent[0]!r} arrives; there are: {', '.join(schema.names)}"
                        + (f"; {near}" if near else "")
                    )
        if load.cursor:
            check_cursor(schema.field(load.cursor))

    def _plan(self, schema: AnySchema) -> LoadPlan:
        load, run = self.flow.load, self.run
        return LoadPlan(
            pipeline=run.pipeline.name, stream=self.stream_name, target=self.target, schema=schema,
            disposition=load.write, load_id=f"{run.run_id}:{run.pipeline.name}:{self.stream_name}",
            primary_key=tuple(load.primary_key), schema_policy=load.schema_policy,
            max_bad_rows=load.max_bad_rows, full_refresh=run.full_refresh,
        )  # fmt: skip

    def _saved(self, session: LoadSession) -> Checkpoint | None:
        return None if self.run.full_refresh or self.flow.load.write == "replace" else session.checkpoint

    def _since(self, saved: Checkpoint | None) -> Checkpoint | None:
        lookback = self.flow.load.lookback
        if saved is None or saved.cursor is None or lookback is None:
            return saved
        return Checkpoint(step_back(saved.cursor, lookback), saved.position)

    def _relay(self, path: Relay, tracker: CursorTracker, opened: _Opened) -> Checkpoint:
        """Hand over bytes that nobody looks into."""
        stream, session, cursor = opened.stream, path.session, self.flow.load.cursor
        if cursor:
            check_cursor(stream.columns.field(cursor))
        with path.source.read(path.format) as blocks:
            for block in self.clock.timed("extract", blocks):
                started = time.perf_counter()
                session.write_bytes(block, path.format)
                self.clock.add("load", started)
                self.run.listener.bytes_relayed(stream.name, len(block))
        self.is_guess = False
        if session.has_null_keys():
            raise RowsNeededError("a row has a null in its key")
        if cursor:
            tracker.passed(session.greatest(cursor), sql_type(stream.columns.field(cursor)))
        return tracker.checkpoint(opened.extractor.checkpoint(stream))

    def _copy(self, since: Checkpoint | None, tracker: CursorTracker, opened: _Opened) -> Checkpoint:
        """Decode, process and load batches; the source and the processors work ahead in a thread of their own."""
        stream, session = opened.stream, opened.session
        use_lean_pool()
        with contextlib.closing(prefetch(self._batches(since, tracker, opened), BATCHES_AHEAD)) as batches:
            for batch, letters in batches:
                started = time.perf_counter()
                if letters:
                    session.reject(letters)
                if batch.num_rows:
                    session.write(batch)
                self.clock.add("load", started)
                self.run.listener.batch_loaded(stream.name, batch.num_rows, batch.nbytes)
        return tracker.checkpoint(opened.extractor.checkpoint(stream))

    def _batches(
        self, since: Checkpoint | None, tracker: CursorTracker, opened: _Opened
    ) -> Iterator[tuple[Batch, list[DeadLetter]]]:
        """Yield batches that fit the target, each with the records that were set aside on the way to it."""
        from dteg.pipelines.fitting import Fitting, no_rows

        extractor, stream, processors = opened.extractor, opened.stream, opened.processors
        stream = replace(stream, columns=stream.schema)
        fitting = Fitting(
            self.context, self.stream_name, self.target, opened.schema, self.flow.load.primary_key
        )
        # Where the source filters, the position is one of the source's values, not of what a processor makes of them.
        filters = extractor.capabilities.incremental and tracker.column in stream.schema.names
        if filters:
            check_cursor(stream.schema.field(tracker.column))
        for extracted in self.clock.timed("extract", extractor.read(stream, since)):
            started = time.perf_counter()
            if filters:
                batch = _process(tracker.filter(extracted), processors)
            else:
                batch = tracker.filter(_process(extracted, processors))
            batch = fitting.fit(batch)
            self.clock.add("process", started)
            yield batch, self._rejected()
        if letters := self._rejected():
            yield no_rows(opened.schema), letters

    def _rejected(self) -> list[DeadLetter]:
        letters, self.context.dead_letters = self.context.dead_letters, []
        return letters


def _process(batch: Batch, processors: list[Processor[Any]]) -> Batch:
    for processor in processors:
        batch = processor.process(batch)
    return batch


def _output_schema(schema: AnySchema, processors: list[Processor[Any]]) -> AnySchema:
    for processor in processors:
        schema = processor.output_schema(schema)
    return schema
