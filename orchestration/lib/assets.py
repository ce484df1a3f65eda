"""One multi-asset for each flow of a pipeline, and one asset for each of its SQL transforms."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from dteg.core.durations import parse_duration
from dteg.core.errors import ConfigError, PermanentError, TransientError
from dteg.core.identifiers import TableName
from dteg.pipelines.engine import Run
from dteg.pipelines.listener import Listener
from dteg.pipelines.plan import Flow, Part, Pipeline, load_pipeline, refuse_unavailable
from dteg.pipelines.results import TransformResult
from dteg.pipelines.runner import check_target, load_and_check
from dteg.pipelines.spec import FreshnessSection
from dteg.pipelines.transforms import run_transform
from orchestration.lib.checks import asset_key, check_specs, last_rows_read
from orchestration.lib.failures import dagster_failures
from orchestration.lib.metadata import check_result, materialization, transform_metadata

POOL_TAG = "pool"
PRIORITY_TAG = "dagster/priority"


class RunOptions(dg.Config):
    """What can be chosen for one run, in the launchpad or by `--config`."""

    params: dict[str, Any] = Field(
        {}, description="Values for the pipeline's params; its defaults for the others."
    )
    full_refresh: bool = Field(False, description="Forget saved positions and replace what is in the tables.")


class LogListener(Listener):
    """Tells Dagster's log what the engine does."""

    def __init__(self, log: Any) -> None:
        """Write to `log`."""
        self.log = log

    def stream_started(self, stream: str, target: str) -> None:
        """Log the start."""
        self.log.info("loading %s into %s", stream, target)

    def retrying(self, stream: str, attempt: int, delay_s: float, error: TransientError) -> None:
        """Log why an attempt is repeated."""
        self.log.warning("%s: attempt %s failed, next in %.1f s: %s", stream, attempt, delay_s, error)


def pipeline_assets(pipeline: Pipeline, path: Path) -> list[dg.AssetsDefinition]:
    """Return the assets of a pipeline.

    Args:
        pipeline: As loaded with its default params.
        path: Its file, read again by each run: so a run sees its own params.
    """
    flows = [_flow_asset(pipeline, number, path) for number in range(len(pipeline.flows))]
    return flows + _sql_assets(pipeline, path)


def _flow_asset(pipeline: Pipeline, number: int, path: Path) -> dg.AssetsDefinition:
    flow = pipeline.flows[number]
    suffix = f"_{number + 1}" if len(pipeline.flows) > 1 else ""

    @dg.multi_asset(
        name=f"{pipeline.name}__load{suffix}",
        description=pipeline.spec.description or None,
        specs=_flow_specs(pipeline, number),
        check_specs=check_specs(pipeline, flow),
        can_subset=True,  # also what lets checks run without a load
        pool=pipeline.spec.tags.get(POOL_TAG),
        op_tags={
            PRIORITY_TAG: str(-number)
        },  # steps run in the order of the file where nothing else orders them
    )
    def load(context: dg.AssetExecutionContext, config: RunOptions) -> Iterator[Any]:
        with dagster_failures(context, pipeline.spec.retry):
            current = _read_again(pipeline, path, config, context.run.run_id)
            run = Run(current, context.run.run_id, config.full_refresh, LogListener(context.log))
            yield from _execute(context, run, current.flows[number])

    return load


def _execute(context: dg.AssetExecutionContext, run: Run, flow: Flow) -> Iterator[Any]:
    """Load the selected streams and check them; check alone where only checks are selected."""
    checks_wanted = context.selected_asset_check_keys
    tables_wanted = context.selected_asset_keys if context.has_assets_def else set()
    for stream, target in flow.targets().items():
        key = asset_key(target)
        checks = []
        if key in tables_wanted:
            result = load_and_check(run, flow, stream)
            yield materialization(key, result)
            checks = result.checks
        elif any(wanted.asset_key == key for wanted in checks_wanted):
            rows_read = last_rows_read(context.instance, key)
            checks = check_target(run.pipeline, flow, stream, source_rows=rows_read)
        for check in checks:
            if dg.AssetCheckKey(key, check.name) in checks_wanted:
                yield check_result(key, check)


def _flow_specs(pipeline: Pipeline, number: int) -> list[dg.AssetSpec]:
    spec, flow = pipeline.spec, pipeline.flows[number]
    deps = flow_dependencies(pipeline, number)
    return [
        dg.AssetSpec(
            asset_key(target),
            group_name=pipeline.name,
            description=spec.description or None,
            kinds={kind_of(flow.extractor), kind_of(flow.loader)},
            owners=spec.owners,
            tags=spec.tags,
            deps=deps,
            freshness_policy=freshness_policy(spec.freshness) if spec.freshness else None,
            metadata={
                "dagster/table_name": str(target),
                "pipeline_file": pipeline.file,
                "stream": stream,
                "write": flow.load.write,
            },
        )
        for stream, target in flow.targets().items()
    ]


def flow_dependencies(pipeline: Pipeline, number: int) -> list[dg.AssetKey]:
    """Return what a flow comes after: the pipeline's `depends_on`, but nothing that it or a later flow loads."""
    not_yet = {target for flow in pipeline.flows[number:] for target in flow.targets().values()}
    tables = [TableName.parse(table) for table in pipeline.spec.depends_on]
    return [asset_key(table) for table in dict.fromkeys(tables) if table not in not_yet]


def kind_of(part: Part) -> str:
    """Return the badge of a component: its file format where it has one, else its name."""
    kind = getattr(part.config, "file_format", None)
    return kind if isinstance(kind, str) else part.component.manifest.name


def freshness_policy(freshness: FreshnessSection) -> dg.FreshnessPolicy:
    """Return the policy that Dagster's freshness daemon watches."""
    warn = parse_duration(freshness.warn_age) if freshness.warn_age else None
    return dg.FreshnessPolicy.time_window(fail_window=parse_duration(freshness.max_age), warn_window=warn)


def _sql_assets(pipeline: Pipeline, path: Path) -> list[dg.AssetsDefinition]:
    """Return an asset for each SQL transform, one after the other, after all loads. dbt has its own location."""
    assets: list[dg.AssetsDefinition] = []
    after = [asset_key(target) for target in pipeline.targets()]
    for index, step in enumerate(pipeline.transforms):
        if step.type != "dbt":
            assets.append(_sql_asset(pipeline, index, path, after or flow_dependencies(pipeline, 0)))
            after = [assets[-1].key]
    return assets


def _sql_asset(pipeline: Pipeline, index: int, path: Path, after: list[dg.AssetKey]) -> dg.AssetsDefinition:
    step = pipeline.transforms[index]

    @dg.asset(
        key=["transform", pipeline.name, str(index + 1)],
        description=f"Runs {step.file or step.label} after the loads of {pipeline.name}.",
        deps=after,
        group_name=pipeline.name,
        kinds={"sql"},
        owners=pipeline.spec.owners,
        tags=pipeline.spec.tags,
        pool=pipeline.spec.tags.get(POOL_TAG),
        metadata={"pipeline_file": pipeline.file, "sql_file": step.file or step.label},
    )
    def transform(context: dg.AssetExecutionContext, config: RunOptions) -> "dg.MaterializeResult[None]":
        with dagster_failures(context, pipeline.spec.retry):
            current = _read_again(pipeline, path, config, context.run.run_id)
            result = _checked(run_transform(current, current.transforms[index], LogListener(context.log)))
        return dg.MaterializeResult(metadata=transform_metadata(result))

    return transform


def _checked(result: TransformResult) -> TransformResult:
    if result.messages:
        raise PermanentError("\n".join(result.messages))
    return result


def _read_again(pipeline: Pipeline, path: Path, config: RunOptions, run_id: str) -> Pipeline:
    """Return the pipeline as its file is now, with the params of this run.

    Raises:
        ConfigError: It is not valid any more, or what it makes is not what this code location shows.
    """
    current = load_pipeline(path, pipeline.project, config.params, run_id)
    if _outline(current) != _outline(pipeline):
        raise ConfigError(
            f"{current.file} makes other tables, checks or transforms than when this code location was loaded; "
            "reload the location, then run again"
        )
    refuse_unavailable(current)
    return current


def _outline(pipeline: Pipeline) -> tuple[Any, ...]:
    targets = tuple(tuple(flow.targets().items()) for flow in pipeline.flows)
    rules = tuple(
        (name, rule.severity) for target in pipeline.targets() for name, rule in pipeline.rules_for(target)
    )
    return targets, rules, tuple((step.type, step.file) for step in pipeline.transforms)
