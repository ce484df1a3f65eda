import re
from datetime import UTC, datetime, timedelta

from dteg.webkit.series_chart import Ahead, Observed, series_chart

START = datetime(2026, 3, 1, tzinfo=UTC)


def past(values, step=timedelta(days=1)):
    return [Observed(START + step * n, value) for n, value in enumerate(values) if value is not None]


def chart(points, ahead=(), **values):
    return str(series_chart(points, ahead, title="T <b>", description="D & d", **values))


def numbers(svg):
    return [float(each) for each in re.findall(r'(?:x|y|cx|cy|x1|x2|y1|y2)="([\d.-]+)"', svg)]


def test_texts_are_escaped_and_everything_lies_inside():
    svg = chart(past([5, 1e6, -3e5, 7]), width=400, height=200)
    assert "T &lt;b&gt;" in svg
    assert "D &amp; d" in svg
    assert all(-1 <= each <= 400 for each in numbers(svg))


def test_a_gap_breaks_the_line():
    assert chart(past([1, 2, 3, 4, 5, 6])).count('class="chart-line"') == 1
    assert chart(past([1, 2, 3, None, None, 6, 7, 8])).count('class="chart-line"') == 2


def test_unusual_values_say_why():
    points = [*past([1, 2, 3]), Observed(START + timedelta(days=3), 9, "unusual, about 4")]
    assert "2026-03-04 00:00: 9, unusual, about 4" in chart(points)


def test_forecast_has_two_bands_and_a_wide_one_does_not_flatten_the_line():
    last = START + timedelta(days=9)
    ahead = [Ahead(last + timedelta(days=n), 10, 8, 12, -1e9, 1e9) for n in range(1, 5)]
    svg = chart(past(range(10)), ahead)
    assert svg.count("chart-band-") == 2
    line = re.search(r'class="chart-line" points="([^"]+)"', svg)[1]
    heights = [float(pair.split(",")[1]) for pair in line.split()]
    assert max(heights) - min(heights) > 30


def test_odd_series_are_drawn():
    for values in ([], [5], [5, 5, 5], [0, 0], [1e-9, 2e-9], [1e15, 2e15]):
        assert chart(past(values)).startswith("<svg")


def test_scale_begins_at_zero_where_values_are_not_far_above_it():
    assert ">0<" in chart(past([10, 30, 40]))
    assert ">0<" not in chart(past([1000, 1001, 1002]))
