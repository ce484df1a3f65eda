"""Runs a whole pipeline in one process: every flow, its quality rules, then the transforms."""

import dataclasses
import time
import uuid
from typing import Any

from dteg.connectors.base import Context, Loader
from dteg.core.errors import ConfigError
from dteg.core.identifiers import TableName
from dteg.core.retry import call_with_retry
from dteg.pipelines.engine import Run, explain_stream, run_stream
from dteg.pipelines.listener import Listener
from dteg.pipelines.plan import Flow, Pipeline, pipeline_of, refuse_unavailable
from dteg.pipelines.results import RunResult, StreamResult
from dteg.pipelines.transforms import preload, require_sources, run_transform
from dteg.quality import CheckResult, evaluate


def new_run_id() -> str:
    """Return an identity for a run."""
    return uuid.uuid4().hex


def run_pipeline(
    pipeline: Pipeline, *, run_id: str, full_refresh: bool = False, listener: Listener | None = None
) -> RunResult:
    """Run every step of a pipeline.

    A failed rule of severity error ends the run after its flow: what would come after it does not run.

    Raises:
        DtegError: A step failed; earlier steps stay published.
    """
    refuse_unavailable(pipeline)
    require_tables(pipeline)
    require_sources(pipeline)
    preload(pipeline.transforms)
    run = Run(pipeline, run_id, full_refresh, listener or Listener())
    started = time.perf_counter()
    streams: list[StreamResult] = []
    transforms = []
    for flow in pipeline.flows:
        streams += [load_and_check(run, flow, name) for name in flow.targets()]
        if any(stream.blocked for stream in streams):
            break
    else:
        for step in pipeline.transforms:
            transforms.append(run_transform(pipeline, step, run.listener))
            if transforms[-1].messages:
                break
    return RunResult(pipeline.name, run_id, streams, transforms, time.perf_counter() - started)


def explain_pipeline(pipeline: Pipeline) -> list[str]:
    """Say, for each stream, which path a run would take now and why; connects, changes nothing.

    Raises:
        DtegError: A source or target cannot be reached or does not fit.
    """
    refuse_unavailable(pipeline)
    run = Run(pipeline, new_run_id())
    return [explain_stream(run, flow, name) for flow in pipeline.flows for name in flow.targets()]


def require_tables(pipeline: Pipeline) -> None:
    """Check that the tables of `depends_on` are there.

    Raises:
        ConfigError: One is not; the message says which pipeline loads it.
    """
    from dteg.core.postgres import connect, translated

    tables = [TableName.parse(text) for text in pipeline.spec.depends_on]
    if not tables:
        return

    def look() -> None:
        with connect(pipeline.project.warehouse_url()) as connection, translated("warehouse"):
            for table in tables:
                row = connection.execute("SELECT to_regclass(%s)::text", [table.sql]).fetchone()
                if row is None or row[0] is None:
                    maker = pipeline_of(table, pipeline.project)
                    remedy = (
                        f"run first: dteg run {maker}" if maker else "no pipeline of this project loads it"
                    )
                    raise ConfigError(
                        f"{pipeline.file}: depends on {table}, which is not there yet; {remedy}"
                    )

    call_with_retry(look, pipeline.spec.retry)


def load_and_check(run: Run, flow: Flow, stream_name: str) -> StreamResult:
    """Load one stream and check the quality rules of its target."""
    result = run_stream(run, flow, stream_name)
    started = time.perf_counter()
    checks = check_target(
        run.pipeline,
        flow,
        stream_name,
        source_rows=result.load.rows_read if result.read_all else None,
        listener=run.listener,
    )
    result = dataclasses.replace(result, checks=checks, check_s=time.perf_counter() - started)
    run.listener.stream_finished(result)
    return result


def check_target(
    pipeline: Pipeline,
    flow: Flow,
    stream_name: str,
    source_rows: int | None = None,
    listener: Listener | None = None,
) -> list[CheckResult]:
    """Check the quality rules of one target, trying again on transient errors.

    Raises:
        ConfigError: There are rules, but the target is not a database table.
        TransientError: The server could not be reached, `retry.max_attempts` times.
    """
    target: TableName = flow.targets()[stream_name]
    rules = pipeline.rules_for(target)
    if not rules:
        return []
    loader: Loader[Any] = flow.loader.create(Context(pipeline.project))
    url = loader.database_url()
    if url is None:
        raise ConfigError(f"{pipeline.file}: quality rules need a database table, and {target} is none")
    masked = frozenset(pipeline.spec.security.data_masking) | frozenset(pipeline.spec.security.encryption)
    told = listener or Listener()
    results = call_with_retry(
        lambda: evaluate(
            url, target, [rule for _, rule in rules], masked_columns=masked, source_rows=source_rows
        ),
        pipeline.spec.retry,
        on_retry=lambda number, delay_s, error: told.retrying(stream_name, number, delay_s, error),
    )
    # The names are those of the whole file, as Dagster knows them.
    return [dataclasses.replace(each, name=name) for each, (name, _) in zip(results, rules, strict=True)]
