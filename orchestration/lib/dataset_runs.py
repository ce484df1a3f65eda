"""What a refresh of a dataset does in Dagster: build, check, let readers see it; and what it tells of itself."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from dteg.core.durations import parse_duration
from dteg.core.errors import ConfigError, QualityGateError, SchemaDriftError
from dteg.core.project import Project
from dteg.core.retry import RetryPolicy
from orchestration.lib.failures import dagster_failures, tell
from orchestration.lib.reads import FOLDER, dataset_key
from orchestration.lib.sources import FITS

if TYPE_CHECKING:
    from dteg.datasets.models import CheckResult, Generation
    from dteg.datasets.service import Datasets

SLOT_TAG = "dteg/slot"
DATASET_TAG = "dteg/dataset"
# A source that is away now is mostly back within a minute; the next time of the schedule comes anyway.
RETRY = RetryPolicy(max_attempts=2, base_delay_s=5.0, max_delay_s=30.0)
# Somebody else may be refreshing it just now.
WAIT_S = 60.0
MAX_SQL = 20_000


def check_name(name: str) -> str:
    """Return the name that Dagster allows for a check: letters, digits and _."""
    return re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_") or "check"


def slot_of(context: dg.AssetExecutionContext) -> datetime | None:
    """Return the time of the schedule that this run is for; None if a person started it."""
    text = context.run.tags.get(SLOT_TAG)
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def taken_by_another(context: dg.AssetExecutionContext, datasets: "Datasets", slug: str, what: str) -> bool:
    """Take the time that this run is for; return whether somebody else has done its work.

    The studio runs what is due while no daemon of Dagster does; around a start of that, both may see the same time.
    """
    from dteg.datasets.models import Due

    slot = slot_of(context)
    # A step or a run that is repeated has taken the time itself, or somebody wants the work done again.
    if slot is None or context.retry_number or context.run.root_run_id:
        return False
    due = Due.model_validate({"slug": slug, "slot": slot, "what": what})
    if datasets.claim(due, by=f"dagster:{context.run.run_id}"):
        return False
    tell(context, f"{what} of {slug} at {slot:%Y-%m-%d %H:%M} was done by another program")
    return True


def refresh_steps(
    context: dg.AssetExecutionContext,
    project: Project,
    slug: str,
    checks: Mapping[str, bool],
    save: Callable[[], None],
) -> Iterator[Any]:
    """Build a generation, check it, and publish it: yield the results of the checks, then the materialization.

    A blocking check that fails ends the run before readers see anything of it: the generation before is read on.

    Args:
        context: The step.
        project: Whose dataset.
        slug: Which dataset.
        checks: Names of its checks as Dagster knows them -> whether they are blocking.
        save: Saves the definition as its file is now.
    """
    from dteg.datasets.service import Datasets

    key = dataset_key(slug)
    with dagster_failures(context, RETRY, tried_before=False):
        datasets = Datasets.of(project)
        if key not in context.selected_asset_keys:  # somebody runs the checks alone
            yield from _look_at_definition(datasets, slug)
            return
        try:
            save()
            if taken_by_another(context, datasets, slug, "refresh"):
                return
            built = datasets.build(slug, context.run.run_id, wait_s=WAIT_S)
        except (ConfigError, SchemaDriftError) as error:
            yield fits(key, str(error))
            raise
        yield fits(key)
        results = datasets.check(slug, built.n)
        yield from evaluations(key, results, checks)
        refuse_failed(slug, results)
        live = datasets.publish(slug, built.n)
        sql = datasets.sql(slug)
    tell(context, sentence(live))
    yield dg.MaterializeResult(asset_key=key, metadata=generation_metadata(live, sql))


def _look_at_definition(datasets: "Datasets", slug: str) -> Iterator[dg.AssetCheckResult]:
    """Say whether the definition still goes with its sources; the other checks need rows that nobody reads yet."""
    try:
        datasets.sql(slug)
    except (ConfigError, SchemaDriftError) as error:
        yield fits(dataset_key(slug), str(error))
    else:
        yield fits(dataset_key(slug))


def fits(key: dg.AssetKey, problem: str = "") -> dg.AssetCheckResult:
    """Return whether a definition goes with its sources; the problem says why not."""
    message = problem or "the definition goes with its sources"
    return dg.AssetCheckResult(
        asset_key=key, check_name=FITS, passed=not problem, description=message, metadata={"message": message}
    )


def evaluations(
    key: dg.AssetKey, results: "list[CheckResult]", known: Mapping[str, bool]
) -> Iterator[dg.AssetCheckResult]:
    """Return what the checks found; one that a run does not know, as its file changed since, is left out."""
    for result in results:
        name = check_name(result.name)
        if name in known:
            yield dg.AssetCheckResult(
                asset_key=key,
                check_name=name,
                passed=result.passed,
                severity=dg.AssetCheckSeverity.ERROR if result.blocking else dg.AssetCheckSeverity.WARN,
                description=result.message or None,
                metadata={"message": result.message, "check": result.name},
            )


def refuse_failed(slug: str, results: "list[CheckResult]") -> None:
    """Keep rows that failed a blocking check from being published.

    Raises:
        QualityGateError: Names the checks.
    """
    failed = [result for result in results if result.blocking and not result.passed]
    if failed:
        told = "; ".join(f"{result.name}: {result.message}" for result in failed)
        raise QualityGateError(
            f"the new rows of {slug} are not published, as {len(failed)} checks failed: {told}",
            failed=[result.name for result in failed],
        )


def sentence(live: "Generation") -> str:
    """Say what came of a refresh."""
    return f"{live.dataset}: generation {live.n}, {live.rows or 0:,} rows in {live.seconds or 0:.1f} s"


def generation_metadata(generation: "Generation", sql: str) -> dict[str, Any]:
    """Return what a generation tells of itself."""
    metadata: dict[str, Any] = {
        "generation": generation.n,
        "relation": generation.relation,
        "dagster/table_name": f"{FOLDER}.{generation.dataset}",
        "sql": dg.MetadataValue.md(f"```sql\n{sql[:MAX_SQL]}\n```"),
    }
    counted = {
        "dagster/row_count": generation.rows,
        "bytes": generation.bytes,
        "seconds": round(generation.seconds, 3) if generation.seconds is not None else None,
        "data_as_of": dg.MetadataValue.timestamp(generation.data_as_of) if generation.data_as_of else None,
    }
    metadata |= {name: value for name, value in counted.items() if value is not None}
    if generation.columns:
        metadata["dagster/column_schema"] = dg.TableSchema(
            [dg.TableColumn(column.name, column.type) for column in generation.columns]
        )
    return metadata


def freshness(max_age: str) -> dg.FreshnessPolicy:
    """Return the policy of an age such as `1h`; Dagster knows none below a minute."""
    return dg.FreshnessPolicy.time_window(fail_window=max(parse_duration(max_age), parse_duration("1m")))
