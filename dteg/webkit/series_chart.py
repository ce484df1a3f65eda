"""A series over time as SVG: its line with gaps, unusual values, and a forecast with its bands.

Made on the server like the other charts: no script, no inline styles; the classes are in the style sheet.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from markupsafe import Markup

_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 10, 10, 22
_GRID_LINES = 4
# Each dot has a text for the mouse; with more of them they would only hide the line.
_MAX_DOTS = 130
# A scale that begins at 0 where the values lie not far above it.
_FROM_ZERO = 0.5
_CHARACTER_WIDTH = 6.0


class Observed(NamedTuple):
    """One value of the past.

    Attributes:
        at: When.
        value: How much.
        note: What is unusual about it; "" if nothing is.
    """

    at: datetime
    value: float
    note: str = ""


class Ahead(NamedTuple):
    """One value that is expected.

    Attributes:
        at: When.
        mean: How much.
        lo80: Lower end of the inner band.
        hi80: Its upper end.
        lo95: Lower end of the outer band.
        hi95: Its upper end.
    """

    at: datetime
    mean: float
    lo80: float
    hi80: float
    lo95: float
    hi95: float


class _Frame(NamedTuple):
    start: datetime
    end: datetime
    low: float
    high: float
    width: int
    height: int

    def x(self, at: datetime) -> float:
        span = (self.end - self.start).total_seconds() or 1.0
        return _LEFT + (self.width - _LEFT - _RIGHT) * (at - self.start).total_seconds() / span

    def y(self, value: float) -> float:
        inside = min(max(value, self.low), self.high)
        return _TOP + (self.height - _TOP - _BOTTOM) * (self.high - inside) / (self.high - self.low)


def series_chart(
    points: Sequence[Observed],
    ahead: Sequence[Ahead] = (),
    *,
    joined: bool = True,
    title: str,
    description: str,
    said: Callable[[float], str] = "{:,g}".format,
    width: int = 720,
    height: int = 260,
) -> Markup:
    """Return a line over time.

    Args:
        points: The past, oldest first.
        ahead: The forecast that follows, if there is one.
        joined: Whether it goes on from the last point; one that was made before that does not.
        title: What it shows, for people and screen readers.
        description: What it says, in a sentence.
        said: How a value is written.
        width: In units of the view box; text is 10 units high, so give about the width in pixels on the page.
        height: Likewise.
    """
    if not points:
        return _svg([], title, description, width, height)
    frame = _frame(points, ahead, width, height)
    drawn = [*_grid(frame, said), *_days(frame)]
    if ahead:
        drawn += _forecast(frame, points[-1] if joined else None, ahead)
    drawn += _past(frame, points, said)
    return _svg(drawn, title, description, width, height)


def _frame(points: Sequence[Observed], ahead: Sequence[Ahead], width: int, height: int) -> _Frame:
    values = [point.value for point in points]
    # The outer band may be so wide that the line would be flat: it is then cut off at the frame.
    span = max(values) - min(values) or abs(values[-1]) or 1.0
    ends = [value for each in ahead for value in (each.lo80, each.hi80, each.mean)]
    wide = [
        min(max(value, min(values) - 2 * span), max(values) + 2 * span)
        for each in ahead
        for value in (each.lo95, each.hi95)
    ]
    low, high = min([*values, *ends, *wide]), max([*values, *ends, *wide])
    if 0 <= low <= _FROM_ZERO * high:
        low = 0.0
    low, high = _scale(low, high)
    start, end = points[0].at, ahead[-1].at if ahead else points[-1].at
    if end <= start:  # one point alone stands in the middle
        start, end = start - timedelta(minutes=1), start + timedelta(minutes=1)
    return _Frame(start, end, low, high, width, height)


def _scale(low: float, high: float) -> tuple[float, float]:
    """Return round ends around two values."""
    if high <= low:
        pad = abs(low) * 0.1 or 1.0
        low, high = low - pad, high + pad
    step = _round_step((high - low) / _GRID_LINES)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)


def _grid(frame: _Frame, said: Callable[[float], str]) -> list[Markup]:
    step = _round_step((frame.high - frame.low) / _GRID_LINES)
    lines = []
    for number in range(round((frame.high - frame.low) / step) + 1):
        value = frame.low + number * step
        y = frame.y(value)
        lines.append(
            Markup(
                '<line class="chart-grid" x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}"/>'
                '<text class="chart-text" x="{3}" y="{4:.1f}" text-anchor="end">{5}</text>'
            ).format(
                _LEFT,
                frame.width - _RIGHT,
                y,
                _LEFT - 6,
                y + 3.5,
                said(0.0 if abs(value) < step / 1e6 else value),
            )
        )
    return lines


def _days(frame: _Frame) -> list[Markup]:
    """Return the times below: as many as fit."""
    span = frame.end - frame.start
    form = "%H:%M" if span < timedelta(hours=20) else "%d %b %H:%M" if span < timedelta(days=4) else "%d %b"
    if span > timedelta(days=250):
        form = "%b %Y"
    room = len(frame.start.strftime(form)) * _CHARACTER_WIDTH * 1.6
    count = max(1, min(6, int((frame.width - _LEFT - _RIGHT) / room), int(span / timedelta(minutes=1))))
    text = Markup('<text class="chart-text" x="{:.1f}" y="{}" text-anchor="{}">{}</text>')
    made = []
    for number in range(count + 1):
        at = frame.start + span * (number / count)
        anchor = "start" if number == 0 else "end" if number == count else "middle"
        made.append(text.format(frame.x(at), frame.height - 6, anchor, at.strftime(form).lstrip("0")))
    return made


def _forecast(frame: _Frame, last: Observed | None, ahead: Sequence[Ahead]) -> list[Markup]:
    start = [(frame.x(last.at), frame.y(last.value))] if last else []

    def band(low: str, high: str) -> str:
        up = [(frame.x(each.at), frame.y(getattr(each, high))) for each in ahead]
        down = [(frame.x(each.at), frame.y(getattr(each, low))) for each in reversed(ahead)]
        return _path([*start, *up, *down])

    middle = _path([*start, *((frame.x(each.at), frame.y(each.mean)) for each in ahead)])
    x = start[0][0] if start else frame.x(ahead[0].at)
    return [
        Markup('<polygon class="chart-band-95" points="{}"/>').format(band("lo95", "hi95")),
        Markup('<polygon class="chart-band-80" points="{}"/>').format(band("lo80", "hi80")),
        Markup('<line class="chart-now" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>').format(
            x, _TOP, frame.height - _BOTTOM
        ),
        Markup('<polyline class="chart-ahead" points="{}" fill="none"/>').format(middle),
    ]


def _past(frame: _Frame, points: Sequence[Observed], said: Callable[[float], str]) -> list[Markup]:
    made = [
        Markup('<polyline class="chart-line" points="{}" fill="none"/>').format(
            _path([(frame.x(point.at), frame.y(point.value)) for point in part])
        )
        for part in _parts(points)
        if len(part) > 1
    ]
    shown = [point for point in points if point.note or len(points) <= _MAX_DOTS]
    return made + [_dot(frame, point, said) for point in shown]


def _dot(frame: _Frame, point: Observed, said: Callable[[float], str]) -> Markup:
    dot = Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{}"><title>{}: {}{}</title></circle>')
    name, radius = ("chart-odd", 4) if point.note else ("chart-dot", 1.8)
    note = f", {point.note}" if point.note else ""
    when = point.at.strftime("%Y-%m-%d %H:%M")
    return dot.format(name, frame.x(point.at), frame.y(point.value), radius, when, said(point.value), note)


def _parts(points: Sequence[Observed]) -> list[list[Observed]]:
    """Return the points in parts, broken where the step is far wider than those beside it."""
    steps = [(b.at - a.at).total_seconds() for a, b in pairwise(points)]
    parts = [[points[0]]]
    for number, step in enumerate(steps):
        beside = [steps[n] for n in (number - 1, number + 1) if 0 <= n < len(steps)]
        if beside and step > 1.9 * min(beside) and (len(beside) < 2 or step > 1.9 * max(beside)):
            parts.append([])
        parts[-1].append(points[number + 1])
    return parts


def _path(at: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in at)


def _svg(drawn: Sequence[Markup], title: str, description: str, width: int, height: int) -> Markup:
    # Made from what it says, width included: the page has one for narrow screens, too, and ids must differ.
    number = hashlib.blake2b(f"{title}|{description}|{width}".encode(), digest_size=4).hexdigest()
    return Markup(
        '<svg class="chart" viewBox="0 0 {w} {h}" role="img" aria-labelledby="chart-t{n} chart-d{n}">'
        '<title id="chart-t{n}">{title}</title><desc id="chart-d{n}">{said}</desc>{inside}</svg>'
    ).format(w=width, h=height, n=number, title=title, said=description, inside=Markup("").join(drawn))
