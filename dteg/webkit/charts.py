"""Charts as SVG, made on the server: no script, colours from the style sheet, so both themes fit.

Only presentation attributes and classes are used: the security policy of the pages forbids inline styles.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

_LEFT, _TOP, _BOTTOM = 34, 8, 18
_GRID_LINES = 3


class Point(NamedTuple):
    """One value of a chart.

    Attributes:
        label: What it belongs to, such as a day.
        value: 0 or more.
    """

    label: str
    value: float


def bar_chart(
    points: Sequence[Point], *, title: str, description: str, width: int = 640, height: int = 160
) -> Markup:
    """Return bars side by side.

    Args:
        points: The values, in order.
        title: What it shows, for people and screen readers.
        description: What it says, in a sentence: the chart's text for those who do not see it.
        width: In units of the view box; text is 10 units high, so give about the width in pixels on the page.
        height: Likewise.
    """
    top = _nice(max((point.value for point in points), default=0))
    step = (width - _LEFT) / max(1, len(points))
    bars = []
    for number, point in enumerate(points):
        tall = (height - _TOP - _BOTTOM) * point.value / top
        bars.append(
            Markup(
                '<rect class="chart-bar" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}" rx="1"><title>{}: {:,g}'
                "</title></rect>"
            ).format(
                _LEFT + number * step + step * 0.1, height - _BOTTOM - tall, step * 0.8, tall, point.label, point.value
            )
        )  # fmt: skip
    return _frame(points, bars, title, description, top, width, height)


def line_chart(
    points: Sequence[Point], *, title: str, description: str, width: int = 640, height: int = 160
) -> Markup:
    """Return a line with the area under it; arguments as those of `bar_chart`."""
    top = _nice(max((point.value for point in points), default=0))
    step = (width - _LEFT - 4) / max(1, len(points) - 1)
    at = [
        (
            _LEFT + number * step,
            height - _BOTTOM - (height - _TOP - _BOTTOM) * point.value / top,
        )
        for number, point in enumerate(points)
    ]
    line = " ".join(f"{x:.2f},{y:.2f}" for x, y in at)
    drawn = []
    if at:
        floor = height - _BOTTOM
        area = f"{at[0][0]:.2f},{floor} {line} {at[-1][0]:.2f},{floor}"
        drawn = [
            Markup('<polygon class="chart-area" points="{}"/>').format(area),
            Markup('<polyline class="chart-line" points="{}" fill="none"/>').format(line),
        ]
    return _frame(points, drawn, title, description, top, width, height)


def histogram(rows: Sequence[Point], *, title: str, width: int = 280) -> Markup:
    """Return one horizontal bar for each row, with its label and count."""
    most = max((row.value for row in rows), default=0) or 1
    height = len(rows) * 20 + 2
    room = width - 24 - 40
    drawn = []
    for number, row in enumerate(rows):
        y = number * 20 + 4
        drawn.append(
            Markup(
                '<text class="chart-text" x="0" y="{ly}">{label}</text>'
                '<rect class="chart-track" x="24" y="{y}" width="{room}" height="10" rx="2"/>'
                '<rect class="chart-bar" x="24" y="{y}" width="{long:.2f}" height="10" rx="2"/>'
                '<text class="chart-text" x="{right}" y="{ly}" text-anchor="end">{value:,g}</text>'
            ).format(
                ly=y + 9, label=row.label, y=y, room=room, long=room * row.value / most, right=width, value=row.value
            )
        )  # fmt: skip
    said = ", ".join(f"{row.label}: {row.value:,g}" for row in rows)
    return _svg(Markup("").join(drawn), title, said, width, height)


def _frame(  # noqa: PLR0917 - the parts of a picture
    points: Sequence[Point], drawn: Sequence[Markup], title: str, description: str, top: float, width: int, height: int
) -> Markup:  # fmt: skip
    """Put a scale to the left and the first and last label below."""
    lines = []
    for number in range(_GRID_LINES):
        value = top * number / (_GRID_LINES - 1)
        y = height - _BOTTOM - (height - _TOP - _BOTTOM) * number / (_GRID_LINES - 1)
        lines.append(
            Markup(
                '<line class="chart-grid" x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}"/>'
                '<text class="chart-text" x="{3}" y="{4:.1f}" text-anchor="end">{5:,g}</text>'
            ).format(_LEFT, width, y, _LEFT - 6, y + 3.5, value)
        )
    labels = []
    if points:
        text = Markup('<text class="chart-text" x="{}" y="{}" text-anchor="{}">{}</text>')
        labels = [
            text.format(_LEFT, height - 4, "start", points[0].label),
            text.format(width, height - 4, "end", points[-1].label),
        ]
    return _svg(Markup("").join([*lines, *drawn, *labels]), title, description, width, height)


def _svg(inside: Markup, title: str, description: str, width: int, height: int) -> Markup:
    # Not a counter: the same page must have the same bytes each time, as its ETag is made from them.
    number = hashlib.blake2b(f"{title}|{description}".encode(), digest_size=4).hexdigest()
    return Markup(
        '<svg class="chart" viewBox="0 0 {w} {h}" role="img" aria-labelledby="chart-t{n} chart-d{n}">'
        '<title id="chart-t{n}">{title}</title><desc id="chart-d{n}">{said}</desc>{inside}</svg>'
    ).format(w=width, h=height, n=number, title=title, said=description, inside=inside)


def _nice(most: float) -> float:
    """Return the end of a scale whose half is a round number too: 2, 4, 10, 20, 40, 100 and so on."""
    if most <= 2:
        return 2
    power = 10 ** math.floor(math.log10(most))
    return float(next(factor * power for factor in (1, 2, 4, 6, 8, 10, 20) if factor * power >= most))
