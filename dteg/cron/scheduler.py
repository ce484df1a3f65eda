"""Who runs cron jobs: Dagster while it is up, and what it keeps in its storage while it is not.

Whether a schedule runs is written in two places: `enabled:` in the job's file, which becomes the default of its
schedule, and a state that Dagster stores once somebody starts or stops the schedule by hand, and which then wins.
So that both always say the same:

- while Dagster runs, start and stop go through it, and the file is written too;
- while it does not, the stored state is deleted, so that the file decides at the next start.

Dagster's own reset is not used: without a stored state it leaves one behind that starts at no time, from which
the scheduler works out every tick since 1970.
"""

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from dteg.core.errors import ConfigError, PermanentError, Problem
from dteg.core.project import Project
from dteg.cron.models import CronRun, RunState
from dteg.cron.names import CRON_TAG, MESSAGE_TAG, schedule_name, stand_in_key
from dteg.cron.spec import CronSpec
from dteg.orchestrator.page import DagsterPage, running_page
from dteg.orchestrator.program import ask, has_storage

_RUN_STATES = {
    "SUCCESS": RunState.SUCCEEDED,
    "FAILURE": RunState.FAILED,
    "CANCELED": RunState.CANCELED,
    "STARTED": RunState.RUNNING,
    "CANCELING": RunState.RUNNING,
}

_SCHEDULE = """
query($selector: ScheduleSelector!) { scheduleOrError(scheduleSelector: $selector) { __typename
  ... on Schedule { name scheduleState { id status typeSpecificData { ... on ScheduleData { startTimestamp } } } }
  ... on Error { message }
} }
"""
_SCHEDULES = """
query($selector: RepositorySelector!) { schedulesOrError(repositorySelector: $selector) { __typename
  ... on Schedules { results { name scheduleState { status } } }
  ... on Error { message }
} }
"""
_START = """
mutation($selector: ScheduleSelector!) { startSchedule(scheduleSelector: $selector) { __typename
  ... on ScheduleStateResult { scheduleState { status } }
  ... on Error { message }
} }
"""
_STOP = """
mutation($id: String!) { stopRunningSchedule(id: $id) { __typename
  ... on ScheduleStateResult { scheduleState { status } }
  ... on Error { message }
} }
"""
_STAND_IN = """
query($keys: [AssetKeyInput!]) { assetNodes(assetKeys: $keys) { description } }
"""
_RUNS = "runsOrError(filter: {tags: [{key: $tag, value: $job%d}]}, limit: $limit) { ...Runs }"
_TICKS = "instigationStateOrError(instigationSelector: $schedule%d) { ...Ticks }"
_FRAGMENTS = """
fragment Runs on RunsOrError { __typename
  ... on Runs { results { runId status creationTime startTime endTime tags { key value } } }
}
fragment Ticks on InstigationStateOrError { __typename
  ... on InstigationState { ticks(limit: $limit, statuses: [FAILURE]) { timestamp error { message } } }
}
"""


class Scheduler(Protocol):
    """Runs jobs by the clock.

    Attributes:
        knows_all: Whether a job that `states` leaves out does not run, or its file decides.
    """

    knows_all: bool

    def take_up(self, spec: CronSpec) -> None:
        """Begin to run a job as its file says, which is new or was changed.

        Raises:
            DtegError: It cannot; whoever wrote the file puts the former one back.
        """

    def reload(self) -> None:
        """Read all files again."""

    def switch(self, names: Sequence[str], *, on: bool) -> None:
        """Start or stop jobs, whose files say so already."""

    def states(self) -> dict[str, bool]:
        """Return whether jobs run, for those of which more is known than their files say."""

    def runs(self, names: Iterable[str], limit: int) -> list[CronRun]:
        """Return the last runs of each job, up to `limit` of each, newest first."""


def scheduler_of(project: Project) -> "Scheduler":
    """Return Dagster if it runs, else its storage."""
    page = running_page(project)
    return RunningDagster(page) if page else StoredDagster(project)


class RunningDagster:
    """Dagster's web server.

    Args:
        page: Where it is.
    """

    knows_all = True

    def __init__(self, page: DagsterPage) -> None:
        self.page = page

    def take_up(self, spec: CronSpec) -> None:
        """Load the code location again, and start or stop the schedule."""
        asked_at = time.time()
        self.page.reload()
        state = self._state(spec.name)
        if state is None:
            raise ConfigError([Problem(self._reason(spec.name))])
        started = (state.get("typeSpecificData") or {}).get("startTimestamp")
        # Left over from an older job of this name: it would count as started then, and its last tick as missed.
        stale = state["status"] == "RUNNING" and started is not None and started < asked_at
        if stale:
            self._switch(spec.name, on=False)
        if stale or (state["status"] == "RUNNING") is not spec.enabled:
            self._switch(spec.name, on=spec.enabled)

    def reload(self) -> None:
        """Load the code location again."""
        self.page.reload()

    def switch(self, names: Sequence[str], *, on: bool) -> None:
        """Start or stop schedules; it is fine if one is already so, or if there is none to be stopped."""
        for name in names:
            self._switch(name, on=on)

    def _switch(self, name: str, *, on: bool) -> None:
        state = self._state(name)
        if state is None and on:  # a file that was written by hand
            self.page.reload()
            state = self._state(name)
        if state is None and on:
            raise ConfigError([Problem(self._reason(name))])
        if state is None or (state["status"] == "RUNNING") is on:
            return
        if on:
            answer = self.page.query(_START, selector=self._selector(name))["startSchedule"]
        else:
            answer = self.page.query(_STOP, id=state["id"])["stopRunningSchedule"]
        if answer["__typename"] != "ScheduleStateResult":
            raise PermanentError(f"Dagster: {answer.get('message', answer['__typename'])}")

    def states(self) -> dict[str, bool]:
        """Return whether each schedule runs."""
        answer = self.page.query(_SCHEDULES, selector=self.page.repository)["schedulesOrError"]
        if answer["__typename"] != "Schedules":
            raise PermanentError(f"Dagster: {answer.get('message', answer['__typename'])}")
        prefix = schedule_name("")
        return {
            each["name"].removeprefix(prefix): each["scheduleState"]["status"] == "RUNNING"
            for each in answer["results"]
            if each["name"].startswith(prefix)
        }

    def runs(self, names: Iterable[str], limit: int) -> list[CronRun]:
        """Return the last runs, and ticks that started none."""
        wanted = list(names)
        if not wanted:
            return []
        variables: dict[str, Any] = {"tag": CRON_TAG, "limit": limit}
        declared = ["$tag: String!", "$limit: Int!"]
        fields = []
        for number, name in enumerate(wanted):
            declared += [f"$job{number}: String!", f"$schedule{number}: InstigationSelector!"]
            variables |= {
                f"job{number}": name,
                f"schedule{number}": {**self.page.repository, "name": schedule_name(name)},
            }
            fields += [f"runs{number}: {_RUNS % number}", f"ticks{number}: {_TICKS % number}"]
        data = self.page.query(
            f"query({', '.join(declared)}) {{ {' '.join(fields)} }}{_FRAGMENTS}", **variables
        )
        found: list[CronRun] = []
        for number, name in enumerate(wanted):
            runs = [_run_of(name, run) for run in data[f"runs{number}"].get("results", ())]
            runs += [_tick_of(name, tick) for tick in data[f"ticks{number}"].get("ticks", ())]
            found += sorted(runs, key=lambda run: run.at, reverse=True)[:limit]
        return sorted(found, key=lambda run: run.at, reverse=True)

    def _state(self, name: str) -> dict[str, Any] | None:
        answer = self.page.query(_SCHEDULE, selector=self._selector(name))["scheduleOrError"]
        if answer["__typename"] == "Schedule":
            found: dict[str, Any] = answer["scheduleState"]
            return found
        if answer["__typename"] == "ScheduleNotFoundError":
            return None
        raise PermanentError(f"Dagster: {answer.get('message', answer['__typename'])}")

    def _selector(self, name: str) -> dict[str, str]:
        return {**self.page.repository, "scheduleName": schedule_name(name)}

    def _reason(self, name: str) -> str:
        """Return why a location that loads has no such schedule: its stand-in says so."""
        nodes = self.page.query(_STAND_IN, keys=[{"path": stand_in_key(name)}])["assetNodes"]
        text = (nodes[0]["description"] or "") if nodes else ""
        message = text.split("```")[1].strip() if text.count("```") >= 2 else ""
        return (
            message or f"Dagster has no schedule for cron job {name!r}; is its folder that of this project?"
        )


class StoredDagster:
    """What Dagster keeps between two starts.

    Args:
        project: Whose Dagster.
    """

    knows_all = False

    def __init__(self, project: Project) -> None:
        self.project = project
        self._states: dict[str, bool] | None = None

    def take_up(self, spec: CronSpec) -> None:
        """Make the file decide at the next start."""
        self._forget([spec.name])

    def reload(self) -> None:
        """Nothing is loaded."""

    def switch(self, names: Sequence[str], *, on: bool) -> None:
        """Make the files decide at the next start."""
        self._forget(names)

    def states(self) -> dict[str, bool]:
        """Return the states that were set by hand."""
        if self._states is None:
            self._look([], 0)
        return self._states or {}

    def runs(self, names: Iterable[str], limit: int) -> list[CronRun]:
        """Return the last runs, and ticks that started none."""
        return self._look(list(names), limit)

    def _look(self, names: list[str], limit: int) -> list[CronRun]:
        """Ask for runs and states at once: each question is a process of two seconds."""
        if not has_storage(self.project):
            return []
        answer = ask(self.project, "cron-look", names=names, limit=limit)
        self._states = answer["states"]
        return [CronRun.model_validate(run) for run in answer["runs"]]

    def _forget(self, names: Sequence[str]) -> None:
        if has_storage(self.project):
            ask(self.project, "cron-forget", names=list(names))
            self._states = None


def run_state(status: str) -> RunState:
    """Return the state of a run of Dagster."""
    return _RUN_STATES.get(status, RunState.WAITING)


def _run_of(job: str, run: dict[str, Any]) -> CronRun:
    began = run["startTime"] or run["creationTime"]
    ended = run["endTime"]
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    return CronRun(
        job=job,
        state=run_state(run["status"]),
        at=datetime.fromtimestamp(began, UTC),
        duration_s=round(ended - began, 3) if ended else None,
        run_id=run["runId"],
        message=tags.get(MESSAGE_TAG, ""),
    )


def _tick_of(job: str, tick: dict[str, Any]) -> CronRun:
    message = ((tick["error"] or {}).get("message") or "").strip()
    return CronRun(
        job=job,
        state=RunState.NOT_STARTED,
        at=datetime.fromtimestamp(tick["timestamp"], UTC),
        message=message.splitlines()[-1] if message else "no run could be started",
    )
