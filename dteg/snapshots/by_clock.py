"""Forecasts that are made without anybody asking, where no Dagster does it: after a snapshot, once a day.

A forecast of each hour would say the same twenty-four times, and the models cost a tenth of a second for each series.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from dteg.alerts.models import Kind, Occurrence, Severity, State
from dteg.alerts.occurrences import report
from dteg.core.control import session
from dteg.core.errors import DtegError
from dteg.core.secrets import redact
from dteg.snapshots import store
from dteg.snapshots.forecasting.forecaster import HOW_TO_GET, find_python
from dteg.snapshots.models import Forecast, ForecastRun, ForecastRunState, ForecastState

if TYPE_CHECKING:
    from dteg.snapshots.service import Snapshots

AGAIN_AFTER = timedelta(hours=1)
_MAX_MESSAGE = 1000
PLAIN = f"seasonal naive, as there is no environment with better models; {HOW_TO_GET}"


def due(connection: psycopg.Connection[Any], now: datetime) -> list[str]:
    """Return the datasets that are to be forecast now, by name."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    found = store.rows(connection, "forecasts_due", today=today, an_hour_ago=now - AGAIN_AFTER)
    return [str(row["dataset"]) for row in found]


def forecast(snapshots: "Snapshots", dataset: str, now: datetime) -> ForecastRun:
    """Forecast all series of a dataset; see `Snapshots.forecast_by_clock`."""
    with session(snapshots.project, store.DOMAIN) as connection:
        last = store.rows(connection, "last_take", dataset=dataset)[0]["slot"]
    values: dict[str, Any] = {"dataset": dataset, "made_at": now, "last_slot": last}
    try:
        made = snapshots.forecast_all(dataset)
        plain = find_python(snapshots.project) is None
    except DtegError as error:
        message = redact(str(error))[:_MAX_MESSAGE]
        run = ForecastRun(**values, state=ForecastRunState.FAILED, message=message)
    else:
        run = _came_of(made, values, plain=plain)
    with session(snapshots.project, store.DOMAIN) as connection:
        store.run(connection, "save_forecast_run", **run.model_dump())
    report(snapshots.project, _occurrence(run))
    return run


def _came_of(made: list[Forecast], values: dict[str, Any], *, plain: bool) -> ForecastRun:
    there = sum(each.state is ForecastState.OK for each in made)
    if not there:
        message = made[0].message if made else "there are no points yet"
        return ForecastRun(**values, state=ForecastRunState.NOT_ENOUGH_DATA, message=message)
    state = ForecastRunState.PLAIN if plain else ForecastRunState.MADE
    return ForecastRun(**values, state=state, series=there, message=PLAIN if plain else "")


def _occurrence(run: ForecastRun) -> Occurrence:
    failed = run.state is ForecastRunState.FAILED
    what = f"failed: {run.message}" if failed else f"are there: {run.series} series"
    return Occurrence(
        kind=Kind.RUN,
        subject=f"forecasts of {run.dataset}",
        message=f"forecasts of {run.dataset} {what}"[:_MAX_MESSAGE],
        state=State.FIRING if failed else State.RESOLVED,
        severity=Severity.ERROR if failed else Severity.INFO,
        details={
            "dataset": run.dataset,
            "status": "failure" if failed else "success",
            "series": run.series,
        },
    )
