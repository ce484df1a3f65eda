"""Answers questions about Dagster's storage to programs that do not import Dagster.

`python -m orchestration.storage COMMAND`, with a JSON object of arguments on standard input; the answer is the last
line of standard output. Who asks: `dteg.orchestrator.program`.
"""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from dteg.core.errors import DtegError, NotFoundError
from dteg.core.project import Project
from dteg.core.secrets import redact
from dteg.cron.models import CronRun, RunState
from dteg.cron.names import CRON_TAG, MESSAGE_TAG, schedule_name
from dteg.cron.scheduler import run_state
from orchestration.instance import prepare_home

MAX_RUNS = 10_000


def main() -> int:
    """Run one command; return the exit code."""
    with contextlib.redirect_stdout(sys.stderr):  # whatever Dagster prints is not the answer
        answer = _answer(sys.argv[1] if len(sys.argv) > 1 else "", sys.stdin.read())
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
    return 1 if "error" in answer else 0


def _answer(command: str, arguments: str) -> dict[str, Any]:
    import dagster as dg

    try:
        if command not in COMMANDS:
            raise NotFoundError(f"there is no command {command!r}")
        prepare_home(Project.find())
        with dg.DagsterInstance.get() as instance:
            return {"result": COMMANDS[command](instance, **json.loads(arguments or "{}"))}
    except DtegError as error:
        return {"error": str(error), "class": type(error).__name__}
    except Exception as error:  # noqa: BLE001 - a storage that is down, locked or of another version
        text = str(error).strip().splitlines()
        return {"error": redact(f"Dagster's storage: {text[0] if text else type(error).__name__}")}


def prune(instance: Any, older_than: str, *, dry_run: bool) -> dict[str, Any]:
    """Remove what is old."""
    from orchestration.lib.pruning import PruneOptions, prune_everything

    report = prune_everything(instance, PruneOptions(older_than, dry_run))
    return report.model_dump(mode="json")


def cron_look(instance: Any, names: Sequence[str], limit: int) -> dict[str, Any]:
    """Return the schedules of cron jobs that were started or stopped by hand, and the last runs of jobs."""
    from dagster._core.scheduler.instigation import InstigatorStatus

    by_hand = (InstigatorStatus.RUNNING, InstigatorStatus.STOPPED)
    states = {
        state.instigator_name.removeprefix(schedule_name("")): state.status == InstigatorStatus.RUNNING
        for state in _schedules(instance)
        if state.status in by_hand
    }
    return {"states": states, "runs": cron_runs(instance, names, limit)}


def cron_forget(instance: Any, names: Sequence[str]) -> int:
    """Delete what is stored of jobs' schedules, so that their files decide; return how many states there were."""
    wanted = {schedule_name(name) for name in names}
    found = [state for state in _schedules(instance) if state.instigator_name in wanted]
    for state in found:
        instance.delete_instigator_state(state.instigator_origin_id, state.selector_id)
    return len(found)


def cron_runs(instance: Any, names: Sequence[str], limit: int) -> list[dict[str, Any]]:
    """Return the last runs of jobs, and ticks that started none, newest first."""
    import dagster as dg
    from dagster._core.scheduler.instigation import TickStatus

    states = {state.instigator_name: state for state in _schedules(instance)}
    found: list[CronRun] = []
    for name in names:
        filters = dg.RunsFilter(tags={CRON_TAG: name})
        runs = [
            _run(name, record) for record in instance.get_run_records(filters, limit=min(limit, MAX_RUNS))
        ]
        if state := states.get(schedule_name(name)):
            ticks = instance.get_ticks(
                state.instigator_origin_id, state.selector_id, limit=limit, statuses=[TickStatus.FAILURE]
            )
            runs += [_tick(name, tick) for tick in ticks]
        found += sorted(runs, key=lambda run: run.at, reverse=True)[:limit]
    return [run.model_dump(mode="json") for run in sorted(found, key=lambda run: run.at, reverse=True)]


def _schedules(instance: Any) -> Iterator[Any]:
    from dagster._core.definitions.run_request import InstigatorType

    for state in instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE):
        if state.instigator_name.startswith(schedule_name("")):
            yield state


def _run(job: str, record: Any) -> CronRun:
    run = record.dagster_run
    began = record.start_time or record.create_timestamp.replace(tzinfo=UTC).timestamp()
    return CronRun(
        job=job,
        state=run_state(run.status.value),
        at=datetime.fromtimestamp(began, UTC),
        duration_s=round(record.end_time - began, 3) if record.end_time else None,
        run_id=run.run_id,
        message=run.tags.get(MESSAGE_TAG, ""),
    )


def _tick(job: str, tick: Any) -> CronRun:
    lines = tick.error.message.strip().splitlines() if tick.error else []
    return CronRun(
        job=job,
        state=RunState.NOT_STARTED,
        at=datetime.fromtimestamp(tick.timestamp, UTC),
        message=lines[-1] if lines else "no run could be started",
    )


COMMANDS: dict[str, Callable[..., Any]] = {
    "prune": prune,
    "cron-look": cron_look,
    "cron-forget": cron_forget,
}

if __name__ == "__main__":
    sys.exit(main())
