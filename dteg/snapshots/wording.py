"""Trends and forecasts in plain words."""

from datetime import datetime

from dteg.snapshots.models import Change, Direction, Forecast, ForecastState, Trend


def number(value: float) -> str:
    """Return a number for people: 1,234,567; 12.3; 0.00123."""
    size = abs(value)
    if size >= 1000 or value == int(value):
        return f"{value:,.0f}"
    if size >= 100:
        return f"{value:,.1f}"
    if size >= 1:
        return f"{value:,.2f}".rstrip("0").rstrip(".")
    return f"{value:.3g}"


def moment(slot: datetime) -> str:
    """Return a time for people, UTC: 3 Nov 2026 09:00, midnight without the hour."""
    day = f"{slot.day} {slot:%b %Y}"
    return day if (slot.hour, slot.minute) == (0, 0) else f"{day} {slot:%H:%M}"


def step_words(step_s: float | None, count: int = 1) -> str:
    """Return a number of steps for people: `3 hours`, `1 day`; `3 points` where steps are of no usual size."""
    unit = "point"
    if step_s is not None:
        minutes = step_s / 60
        for size, name in (
            (1, "minute"),
            (60, "hour"),
            (1440, "day"),
            (10_080, "week"),
            (131_490, "quarter"),
        ):
            if abs(minutes - size) < 0.05 * size:
                unit = name
        if 27 <= minutes / 1440 <= 32:
            unit = "month"
        elif 360 <= minutes / 1440 <= 370:
            unit = "year"
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def change_words(change: Change, than: str) -> str:
    """Return how the last value differs: `12 (1.0 %) more than a week before`."""
    if change.delta == 0:
        return f"the same as {than}"
    percent = "" if change.percent is None else f" ({abs(change.percent):,.1f} %)"
    return f"{number(abs(change.delta))}{percent} {'more' if change.delta > 0 else 'less'} than {than}"


def trend_words(trend: Trend) -> str:
    """Return a trend in a few sentences."""
    if trend.last is None:
        return "There are no points yet."
    parts = [
        change_words(change, than)
        for change, than in (
            (trend.previous, "the time before"), (trend.week, "a week before"), (trend.year, "a year before"),
        )
        if change is not None
    ]  # fmt: skip
    compared = f": {'; '.join(parts)}" if parts else ""
    sentences = [f"{number(trend.last.value)} on {moment(trend.last.slot)} UTC{compared}."]
    if trend.last.stale:
        sentences.append("The rows were older than they should be when this was taken.")
    sentences.append(_direction(trend))
    if trend.gaps:
        sentences.append(f"{trend.gaps} planned {'time has' if trend.gaps == 1 else 'times have'} no point.")
    if trend.anomalies:
        count = len(trend.anomalies)
        last = trend.anomalies[-1]
        sentences.append(
            f"{count} unusual {'value' if count == 1 else 'values'}, the last {number(last.value)} on "
            f"{moment(last.slot)} UTC where about {number(last.expected)} was to be expected."
        )
    return " ".join(sentences)


def _direction(trend: Trend) -> str:
    if trend.direction is Direction.UNKNOWN or trend.slope is None or trend.p_value is None:
        return "Too few points to speak of a trend."
    if trend.direction is Direction.STEADY:
        return f"No clear trend: what there is could be chance (p {_p(trend.p_value)})."
    word = "Rising" if trend.direction is Direction.RISING else "Falling"
    every = step_words(trend.step_s).split(" ", 1)[1]
    return f"{word} by about {number(abs(trend.slope))} each {every} (p {_p(trend.p_value)})."


def _p(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def forecast_words(forecast: Forecast) -> str:
    """Return a forecast in a few sentences."""
    if forecast.state is ForecastState.NOT_ENOUGH_DATA or not forecast.points:
        return forecast.message
    last = forecast.points[-1]
    band = f"{number(last.lo80)} and {number(last.hi80)}"
    said = [
        f"About {number(last.mean)} on {moment(last.slot)} UTC, with 80 % probability between {band}.",
        f"Model: {forecast.model}.",
    ]
    if forecast.mase is not None:
        beside = ""
        if forecast.naive_mase:
            beside = f"; repeating the last {'period' if forecast.season > 1 else 'value'} has {forecast.naive_mase:.2f}"
        said.append(f"MASE {forecast.mase:.2f} in the last {forecast.windows} windows{beside}.")
    if forecast.message:
        said.append(forecast.message)
    return " ".join(said)
