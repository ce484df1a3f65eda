"""Drawings as pictures: a title above, a size in pixels, numbers and tables as text."""

from typing import Any

from dteg.charts.models import ChartType, Drawing
from dteg.charts.numbers import number_text
from dteg.charts.reading import time_label
from dteg.charts.render import painter
from dteg.charts.theme import theme

WIDTH, HEIGHT = 800, 400
MIN_SIZE, MAX_SIZE = 120, 3_000
_TABLE_ROWS, _TABLE_COLUMNS, _CELL = 25, 8, 28

Spec = dict[str, Any]


def png_of(drawing: Drawing, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """Return a PNG of twice as many pixels as `width` or a little more, for titles and legends lie outside."""
    return painter().png(picture_spec(drawing, width, height))


def svg_of(drawing: Drawing, width: int = WIDTH, height: int = HEIGHT, *, title: bool = True) -> str:
    """Return an SVG."""
    return painter().svg(picture_spec(drawing, width, height, title=title))


def picture_spec(drawing: Drawing, width: int, height: int, *, title: bool = True) -> Spec:
    """Return a whole specification, with data and size."""
    if drawing.type is ChartType.NUMBER:
        spec = _number(drawing)
    elif not drawing.spec:
        spec = _table(drawing, width)
        height = min(height, _CELL * (len(drawing.data.rows[:_TABLE_ROWS]) + 1) + 40)
    else:
        spec = {**drawing.spec, "data": {"values": drawing.rows}}
    config = {**theme(), **drawing.spec.get("config", {})}
    whole = {
        **spec,
        "width": width,
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "padding": 16,
        "config": config,
    }
    if title:
        whole["title"] = {"text": drawing.title}
        if drawing.data.note:
            whole["title"]["subtitle"] = drawing.data.note
    return whole


def _number(drawing: Drawing) -> Spec:
    number = drawing.data.number
    texts = [(number.text if number else "–", 40, 40)]  # noqa: RUF001 - the typographic dash is meant
    if number and number.delta_text:
        texts += [(number.delta_text, 15, 82), (number.since, 12, 104)]
    layers = [
        {
            "data": {"values": [{"t": text}]},
            "mark": {
                "type": "text",
                "fontSize": size,
                "fontWeight": 600 if size > 12 else 400,
                "align": "left",
            },
            "encoding": {"text": {"field": "t"}, "x": {"value": 0}, "y": {"value": top}},
        }
        for text, size, top in texts
    ]
    return {"layer": layers}


def _table(drawing: Drawing, width: int) -> Spec:
    columns = drawing.data.columns[:_TABLE_COLUMNS]
    most = max(6, int(width / max(1, len(columns)) / 7))
    cells = [
        {"r": -1, "c": place, "t": column.title[:most], "h": True} for place, column in enumerate(columns)
    ]
    for place, row in enumerate(drawing.data.rows[:_TABLE_ROWS]):
        for number, column in enumerate(columns):
            cells.append(
                {"r": place, "c": number, "t": cell_text(row.get(column.key), column)[:most], "h": False}
            )
    if not cells:
        cells = [{"r": 0, "c": 0, "t": "no rows", "h": False}]
    return {
        "data": {"values": cells},
        "mark": {"type": "text", "align": "left", "baseline": "middle", "fontSize": 12},
        "encoding": {
            "x": {"field": "c", "type": "ordinal", "axis": None, "scale": {"paddingOuter": 0, "align": 0}},
            "y": {"field": "r", "type": "ordinal", "axis": None},
            "text": {"field": "t"},
            "opacity": {"field": "h", "type": "nominal", "legend": None, "scale": {"domain": [True, False], "range": [0.6, 1]}},
        },
    }  # fmt: skip


def cell_text(value: Any, column: Any) -> str:
    """Return a cell as people read it."""
    if value is None:
        return ""
    if column.kind == "number":
        return number_text(value, column.format, column.unit)
    if column.kind == "time":
        text = time_label(str(value), column.grain)
        return text.removesuffix(" 00:00")
    return str(value)
