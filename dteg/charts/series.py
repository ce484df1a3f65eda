"""The history of a metric, and what is expected of it, as rows of a chart."""

from collections.abc import Sequence
from typing import Any

from dteg.charts.models import MAX_ROWS, ChartData, ChartSpec, ChartType, DataColumn, Measure, NumberFormat
from dteg.charts.numbers import with_delta
from dteg.charts.reading import time_text
from dteg.core.errors import NotFoundError
from dteg.core.project import Project
from dteg.snapshots.models import Dims, Forecast, ForecastState, Point

MAX_SERIES = 20


def read_series(project: Project, spec: ChartSpec) -> ChartData:
    """Return the rows of a chart of a metric.

    Raises:
        NotFoundError: There is no such metric, or nothing was taken of it yet.
    """
    from dteg.snapshots.service import Snapshots

    snapshots = Snapshots.of(project)
    source = spec.source
    metric = source.metric or ""
    if spec.type is ChartType.FORECAST:
        points = snapshots.points(source.dataset, metric, source.by)
        found = snapshots.forecasts(source.dataset, metric, source.by)
        return _with_forecast(spec, points, found[0] if found else None)
    if spec.type is ChartType.NUMBER:
        return _number(spec, snapshots.points(source.dataset, metric, source.by))
    wanted = _wanted(snapshots, spec)
    each = [(by, snapshots.points(source.dataset, metric, by)) for by in wanted]
    return _history(spec, each)


def _wanted(snapshots: Any, spec: ChartSpec) -> list[Dims]:
    if not spec.source.each:
        return [spec.source.by]
    found = [each.by for each in snapshots.series(spec.source.dataset, spec.source.metric) if each.by]
    if not found:
        raise NotFoundError(f"{spec.source.dataset}.{spec.source.metric} is not kept apart by any column yet")
    return found[:MAX_SERIES]


def _column(spec: ChartSpec, key: str, title: str = "") -> DataColumn:
    measure = spec.y[0] if spec.y else Measure.model_validate({"fn": "count"})
    name = (spec.source.metric or "").replace("_", " ")
    return DataColumn(
        key=key, name=key, title=title or name, kind="number", format=measure.format, unit=measure.unit
    )


def _time_column() -> DataColumn:
    return DataColumn(key="x", name="slot", title="time", kind="time")


def _history(spec: ChartSpec, each: Sequence[tuple[Dims, Sequence[Point]]]) -> ChartData:
    columns = [_time_column()]
    if spec.source.each:
        columns.append(DataColumn(key="c", name="series", title="series", kind="text"))
    columns.append(_column(spec, "y0"))
    room = max(2, MAX_ROWS // max(1, len(each)))
    rows: list[dict[str, Any]] = []
    more = False
    for by, points in each:
        more = more or len(points) > room
        for point in points[-room:]:
            row: dict[str, Any] = {"x": time_text(point.slot)}
            if spec.source.each:
                row["c"] = _name_of(by)
            rows.append({**row, "y0": point.value})
    return ChartData(columns=columns, rows=rows, more=more)


def _name_of(by: Dims) -> str:
    return ", ".join("(none)" if value is None else value or "(empty)" for value in by.values())


def _number(spec: ChartSpec, points: Sequence[Point]) -> ChartData:
    last = points[-1].value if points else None
    before = points[-2].value if len(points) > 1 else None
    column = _column(spec, "y0")
    since = f"against {points[-2].slot:%Y-%m-%d %H:%M}" if len(points) > 1 else ""
    number = with_delta(last, before, column.format or NumberFormat.PLAIN, column.unit, since)
    return ChartData(columns=[column], rows=[{"y0": last}] if points else [], number=number)


def _with_forecast(spec: ChartSpec, points: Sequence[Point], forecast: Forecast | None) -> ChartData:
    most = spec.forecast.history if spec.forecast else 365
    bands = spec.forecast.bands if spec.forecast else [80, 95]
    columns = [_time_column(), _column(spec, "y0"), _column(spec, "mean", "expected")]
    keys = [f"{end}{band}" for band in sorted(bands) for end in ("lo", "hi")]
    columns += [_column(spec, key, f"{'from' if key[0] == 'l' else 'to'} ({key[2:]} %)") for key in keys]
    empty = {each.key: None for each in columns}
    rows = [{**empty, "x": time_text(point.slot), "y0": point.value} for point in points[-most:]]
    if forecast is None:
        name = f"{spec.source.dataset} {spec.source.metric}"
        return ChartData(
            columns=columns, rows=rows, note=f"No forecast yet: make one with dteg snapshot forecast {name}"
        )
    if forecast.state is not ForecastState.OK:
        return ChartData(columns=columns, rows=rows, note=f"No forecast: {forecast.message}")
    if rows:  # both lines meet in the last point
        value = rows[-1]["y0"]
        rows[-1] |= dict.fromkeys(["mean", *keys], value)
    for each in forecast.points:
        row = {**empty, "x": time_text(each.slot), "mean": each.mean}
        rows.append({**row, **{key: getattr(each, key) for key in keys}})
    return ChartData(columns=columns, rows=rows, note=_quality(forecast))


def _quality(forecast: Forecast) -> str:
    if forecast.mase is None:
        return f"Forecast by {forecast.model}"
    return f"Forecast by {forecast.model}; error {forecast.mase:.2f} of the seasonal naive one's (MASE)"
