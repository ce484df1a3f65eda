"""The history of a dataset in the browser: a series, its trend in words, and what is expected of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from markupsafe import Markup

from dteg.core.errors import ConfigError, DtegError
from dteg.datasets.models import Dataset
from dteg.snapshots.dims import by_words
from dteg.snapshots.models import Dims, Forecast, ForecastState, Point, Series, Trend
from dteg.snapshots.service import Snapshots
from dteg.snapshots.wording import change_words, forecast_words, moment, number, step_words
from dteg.webapp.forms import refusal, state
from dteg.webapp.pages import go
from dteg.webkit import FormState
from dteg.webkit.series_chart import Ahead, Observed, series_chart
from studio.access import Scope, allow
from studio.datasets.seeing import ONLY_KNOWN
from studio.rendering import Posted, show
from studio.services import services_of

DONE = {
    "snapshot-taken": "The numbers of now are remembered.",
    "snapshot-there": "The numbers of this time were remembered before; nothing was changed.",
    "forecast-made": "The forecast is there.",
}
LONG = (r"/datasets/[^/]+/history/(take|forecast)",)
SHOWN = {"60": 60, "200": 200, "1000": 1000, "5000": 5000}
_MAX_OFFERED = 300
_READ, _WRITE = [allow(Scope.READ)], [allow(Scope.WRITE)]
_Slug = Annotated[str, Path(max_length=60, pattern=r"^[^\x00/]+$")]
router = APIRouter(prefix="/datasets/{slug}/history", dependencies=ONLY_KNOWN)


@dataclass(frozen=True, slots=True)
class Offered:
    """A series as the form offers it.

    Attributes:
        key: Value of its option.
        metric: Name of the metric.
        words: Its values in words.
    """

    key: str
    metric: str
    words: str


@router.get("", dependencies=_READ)
def history(
    request: Request,
    slug: _Slug,
    series: Annotated[str, Query(max_length=20_000, pattern=r"^[^\x00]*$")] = "",
    points: str = "200",
) -> Response:
    """One series of a dataset: chart, trend, forecast."""
    return _page(request, slug, series, points=points)


@router.post("/take", dependencies=_WRITE)
def take(request: Request, slug: _Slug, form: Posted) -> Response:
    """Remember the numbers of now."""
    try:
        taken = services_of(request).snapshots.take(slug)
    except DtegError as error:
        return _page(
            request, slug, form.get("series", ""), form=state(form, problem=refusal(error)), status=422
        )
    return _back(slug, form, "snapshot-there" if taken.again else "snapshot-taken")


@router.post("/forecast", dependencies=_WRITE)
def forecast(request: Request, slug: _Slug, form: Posted) -> Response:
    """Make a forecast of the series that is shown."""
    key = form.get("series", "")
    try:
        metric, by = _read(key)
        services_of(request).snapshots.forecast(slug, metric, by, fresh=bool(form.get("fresh")))
    except DtegError as error:
        return _page(request, slug, key, form=state(form, problem=refusal(error)), status=422)
    return _back(slug, form, "forecast-made")


def _page(
    request: Request,
    slug: str,
    key: str,
    *,
    points: str = "200",
    form: FormState | None = None,
    status: int = 200,
) -> Response:
    services = services_of(request)
    dataset, snapshots = services.datasets.get(slug), services.snapshots
    found = snapshots.series(slug, limit=_MAX_OFFERED)
    values = {
        "dataset": dataset, "form": form or FormState(), "offered": [_offered(each) for each in found], "key": "",
        "shown": points if points in SHOWN else "200", "choices": list(SHOWN), "rows": snapshots.row_snapshots(slug, 24),
        "takes": snapshots.takes(slug, 12), "schedule": _schedule(dataset), "chosen": None, "moment": moment,
        "clock": snapshots.forecast_run(slug),
    }  # fmt: skip
    if found:
        metric, by = _wanted(found, key)
        values |= _chosen(snapshots, dataset, metric, by, SHOWN.get(points, 200))
    return show(request, "snapshots_history.html", status=status, **values)


def _chosen(snapshots: Snapshots, dataset: Dataset, metric: str, by: Dims, count: int) -> dict[str, object]:
    """Return what the template shows of one series."""
    points = snapshots.points(dataset.slug, metric, by, limit=count)
    trend = snapshots.trend(dataset.slug, metric, by)
    expected = next(iter(snapshots.forecasts(dataset.slug, metric, by)), None)
    is_old = bool(expected and points and expected.last_slot and expected.last_slot < points[-1].slot)
    return {
        "chosen": metric, "key": _key(metric, by), "by": by_words(by, ""), "trend": trend, "facts": _facts(trend),
        "forecast": expected, "has_ahead": bool(expected and points and expected.points and expected.points[-1].slot > points[-1].slot), "forecast_words": forecast_words(expected) if expected else "", "is_old": is_old,
        "missing": _missing(trend, expected), "charts": _charts(dataset, points, trend, expected), "number": number,
        "points": list(reversed(points)), "notes": {each.slot: _odd(each.expected) for each in trend.anomalies},
    }  # fmt: skip


def _charts(
    dataset: Dataset, points: Sequence[Point], trend: Trend, expected: Forecast | None
) -> dict[str, Markup]:
    odd = {each.slot: _odd(each.expected) for each in trend.anomalies}
    past = [Observed(point.slot, point.value, odd.get(point.slot, "")) for point in points if not point.stale]
    if not past:
        return {}
    ahead: list[Ahead] = []
    if expected is not None:
        ahead = [
            Ahead(p.slot, p.mean, p.lo80, p.hi80, p.lo95, p.hi95)
            for p in expected.points
            if p.slot > past[-1].at
        ]
    joined = not (expected and expected.last_slot and expected.last_slot < past[-1].at)
    title = f"{trend.metric} of {dataset.title or dataset.slug}"
    said = f"{trend.words} {forecast_words(expected) if expected and ahead else ''}".strip()
    return {
        "wide": series_chart(
            past, ahead, joined=joined, title=title, description=said, said=number, width=760, height=280
        ),
        "narrow": series_chart(
            past, ahead, title=title, description=said, said=number, width=380, height=230
        ),
    }


def _facts(trend: Trend) -> list[tuple[str, str, str]]:
    """Return label, value and remark of the figures."""
    found = [("Last value", number(trend.last.value), moment(trend.last.slot) + " UTC")] if trend.last else []
    for label, change in (
        ("Time before", trend.previous),
        ("Week before", trend.week),
        ("Year before", trend.year),
    ):
        if change is not None:
            found.append(
                (label, number(change.value), change_words(change, "then").replace("than then", "now"))
            )
    if trend.mean_7 is not None and trend.points >= 7:
        found.append(("Mean of 7", number(trend.mean_7), "points"))
    if trend.mean_28 is not None and trend.points >= 28:
        found.append(("Mean of 28", number(trend.mean_28), "points"))
    if trend.slope is not None:
        every = step_words(trend.step_s).split(" ", 1)[1]
        found.append(("Slope", number(trend.slope), f"each {every}"))
    if trend.volatility is not None:
        found.append(("Volatility", f"{100 * trend.volatility:.1f} %", "of the mean, step to step"))
    return found


def _missing(trend: Trend, expected: Forecast | None) -> str:
    """Return how many points a forecast still needs, in words; empty if there are enough."""
    from dteg.snapshots.forecasting.naive import MIN_POINTS

    if expected is not None and expected.state is ForecastState.OK:
        return ""
    if trend.points >= MIN_POINTS:
        return ""
    missing = MIN_POINTS - trend.points
    soon = f", about {step_words(trend.step_s, missing)}" if trend.step_s else ""
    return f"A forecast needs {MIN_POINTS} points. There {'is' if trend.points == 1 else 'are'} {trend.points}: {missing} more{soon}."


def _odd(expected: float) -> str:
    return f"unusual, about {number(expected)} was to be expected"


def _schedule(dataset: Dataset) -> str:
    from dteg.core.schedules import describe

    try:
        snapshot = dataset.definition.snapshot
    except ConfigError:
        return ""
    return "" if snapshot is None else f"{describe(snapshot.schedule)} ({snapshot.timezone})"


def _offered(series: Series) -> Offered:
    return Offered(_key(series.metric, series.by), series.metric, by_words(series.by))


def _key(metric: str, by: Dims) -> str:
    return json.dumps([metric, by], ensure_ascii=False, separators=(",", ":"))


def _wanted(found: Sequence[Series], key: str) -> tuple[str, Dims]:
    return _read(key) if key else (found[0].metric, found[0].by)


def _read(key: str) -> tuple[str, Dims]:
    """Return the series that an address or a form names.

    Raises:
        ConfigError: It names none.
    """
    try:
        metric, by = json.loads(key)
        if isinstance(metric, str) and all(value is None or isinstance(value, str) for value in by.values()):
            return metric, dict(by)
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass
    raise ConfigError("choose a series from the list")


def _back(slug: str, form: Posted, done: str) -> Response:
    key = form.get("series", "")
    path = f"/datasets/{slug}/history"
    return go(f"{path}?{urlencode({'series': key})}" if key else path, done)
