"""A chart as a whole Vega-Lite specification, made here and never by users: its data is named `rows`."""

from typing import Any

from dteg.charts.extras import merged
from dteg.charts.models import ChartData, ChartSpec, ChartType, DataColumn, Grain
from dteg.charts.numbers import D3
from dteg.charts.reading import time_label

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
"""Which version of Vega-Lite it is written in; nothing is loaded from there."""
ROWS = "rows"
Spec = dict[str, Any]
_FEW = 60
"""Up to so many rows the points of a line are marked."""
MEASURES = ("m", "v")
"""Keys of several numbers in one column: which, and its value. See `drawn_rows`."""
# Ticks where the spans begin: else a month that is wide enough would have two.
_AXES: dict[Grain, Spec] = {
    Grain.YEAR: {"format": "%Y", "tickCount": "year"},
    Grain.QUARTER: {"format": "%b %Y", "tickCount": {"interval": "month", "step": 3}},
    Grain.MONTH: {"format": "%b %Y", "tickCount": "month"},
}


def vega_of(spec: ChartSpec, data: ChartData) -> Spec:
    """Return the specification of a chart; empty for a table and a number, which are no pictures.

    Args:
        spec: The chart.
        data: Its data: what its columns are decides about axes.
    """
    columns = {each.key: each for each in data.columns}
    if spec.type in (ChartType.TABLE, ChartType.NUMBER) or not columns:
        return {}
    drawn = _DRAWN[spec.type](spec, columns, len(data.rows) <= _FEW)
    whole = {
        "$schema": SCHEMA,
        "width": "container",
        "height": "container",
        "autosize": {"type": "fit", "contains": "padding"},
        "description": said(spec),
        "data": {"name": ROWS},
        **drawn,
    }
    return _with_extras(whole, spec)


def drawn_rows(spec: ChartSpec, data: ChartData) -> list[dict[str, Any]]:
    """Return the rows as they are drawn: times with how people read them, several numbers one below the other."""
    times = [each for each in data.columns if each.kind == "time"]
    rows = [
        {**row, **{f"{each.key}_label": time_label(row[each.key], each.grain) for each in times}}
        for row in data.rows
    ]
    measures = [each for each in data.columns if each.key.startswith("y")]
    if spec.type is ChartType.TABLE or len(measures) < 2:
        return rows
    names = _different([each.title for each in measures])
    return [
        {**row, MEASURES[0]: name, MEASURES[1]: row[measure.key]}
        for row in rows
        for name, measure in zip(names, measures, strict=True)
    ]


def _different(titles: list[str]) -> list[str]:
    return [
        title if titles.count(title) == 1 else f"{title} {number + 1}" for number, title in enumerate(titles)
    ]


def said(spec: ChartSpec) -> str:
    """Return a chart's text for those who do not see it."""
    return f"{spec.title}. {spec.description}".strip() if spec.description else spec.title


def _with_extras(whole: Spec, spec: ChartSpec) -> Spec:
    extras = dict(spec.vega_lite)
    if "layer" not in whole:
        return merged(whole, extras)
    mark = extras.pop("mark", None)
    result = merged(whole, extras)
    if mark:  # of a layered chart the last layer is the one that people mean
        *others, last = result["layer"]
        result["layer"] = [*others, merged(last, {"mark": mark})]
    return result


def _xy(spec: ChartSpec, columns: dict[str, DataColumn], few: bool) -> Spec:
    measures = [each for each in columns.values() if each.key.startswith("y")]
    x = columns["x"]
    flat = spec.type is ChartType.BAR and x.kind == "text" and _lies_down(spec)
    along: Spec = _along(spec, x)
    drawn: Spec = {"encoding": {}}
    if len(measures) > 1:
        up: Spec = _up(measures[0], field=MEASURES[1], title=None)
        drawn["encoding"]["color"] = {"field": MEASURES[0], "type": "nominal", "title": None, "sort": None}
    else:
        up = _up(measures[0])
        if "c" in columns:
            drawn["encoding"]["color"] = _group(columns["c"])
    if spec.type in (ChartType.BAR, ChartType.AREA) and (len(measures) > 1 or "c" in columns):
        up["stack"] = False if spec.stack == "none" else spec.stack
    drawn["encoding"] |= {"y": along, "x": up} if flat else {"x": along, "y": up}
    if spec.type is ChartType.BAR and spec.stack == "none" and "color" in drawn["encoding"]:
        drawn["encoding"]["yOffset" if flat else "xOffset"] = {"field": drawn["encoding"]["color"]["field"]}
    drawn["encoding"]["tooltip"] = _tooltip(columns)
    return {"mark": _mark(spec, columns, few), **drawn}


def _lies_down(spec: ChartSpec) -> bool:
    """Bars of groups with names lie, so that the names can be read."""
    return spec.sort in (None, "-y", "y")


def _mark(spec: ChartSpec, columns: dict[str, DataColumn], few: bool) -> Spec:
    kind = spec.type.value
    if spec.type is ChartType.LINE:
        return {"type": "line", "point": {"size": 20} if few else False, "tooltip": True}
    if spec.type is ChartType.AREA:
        stacked = "c" in columns
        return {"type": "area", "line": True, "fillOpacity": 0.75 if stacked else 0.25, "tooltip": True}
    return {"type": kind, "tooltip": True}


def _along(spec: ChartSpec, column: DataColumn) -> Spec:
    shape: Spec = {"field": column.key, "title": column.title}
    if column.kind == "time":
        shape |= {
            "type": "temporal",
            "scale": {"type": "utc"},
            "axis": {"labelOverlap": True, "tickCount": 8},
        }
        if column.grain in _AXES:
            shape["axis"] |= _AXES[column.grain]
        if spec.type is ChartType.BAR and column.grain is not None:
            # A bar is as wide as the span of time that it stands for.
            shape["timeUnit"] = _TIME_UNITS[column.grain]
        return shape
    if column.kind == "number":
        return {**shape, "type": "quantitative", "scale": {"zero": False}}
    # The rows are in the right order already.
    return {**shape, "type": "nominal", "sort": None, "axis": {"labelAngle": 0 if _lies_down(spec) else -35}}


_TIME_UNITS = {
    Grain.HOUR: "utcyearmonthdatehours",
    Grain.DAY: "utcyearmonthdate",
    Grain.WEEK: "utcyearweek",
    Grain.MONTH: "utcyearmonth",
    Grain.QUARTER: "utcyearquarter",
    Grain.YEAR: "utcyear",
}


def _up(column: DataColumn, *, field: str = "", title: str | None = "") -> Spec:
    shape: Spec = {
        "field": field or column.key,
        "type": "quantitative",
        "title": with_unit(column) if title == "" else title,
    }
    if D3[column.format]:
        shape["axis"] = {"format": D3[column.format]}
    return shape


def _group(column: DataColumn) -> Spec:
    if column.kind == "time":
        return {"field": f"{column.key}_label", "type": "nominal", "title": column.title, "sort": None}
    return {"field": column.key, "type": "nominal", "title": column.title}


def with_unit(column: DataColumn) -> str:
    """Return the title of a number with its unit."""
    return f"{column.title} ({column.unit})" if column.unit else column.title


def _tooltip(columns: dict[str, DataColumn]) -> list[Spec]:
    shown: list[Spec] = []
    for key, column in columns.items():
        if column.kind == "time":
            shown.append({"field": f"{key}_label", "type": "nominal", "title": column.title})
        elif column.kind == "number":
            shape = {"field": key, "type": "quantitative", "title": with_unit(column)}
            shown.append(shape | ({"format": D3[column.format] or ",.6~g"} if key != "x" else {}))
        else:
            shown.append({"field": key, "type": "nominal", "title": column.title})
    return shown


def _pie(_spec: ChartSpec, columns: dict[str, DataColumn], _few: bool) -> Spec:
    x = columns["x"]
    field = f"{x.key}_label" if x.kind == "time" else x.key
    return {
        "mark": {"type": "arc", "innerRadius": 40, "padAngle": 0.008, "cornerRadius": 2, "tooltip": True},
        "encoding": {
            "theta": {"field": "y0", "type": "quantitative", "stack": True},
            "color": {"field": field, "type": "nominal", "title": x.title, "sort": None},
            "order": {"field": "y0", "type": "quantitative", "sort": "descending"},
            "tooltip": _tooltip(columns),
        },
    }


def _heatmap(_spec: ChartSpec, columns: dict[str, DataColumn], _few: bool) -> Spec:
    def axis(column: DataColumn) -> Spec:
        field = f"{column.key}_label" if column.kind == "time" else column.key
        return {
            "field": field,
            "type": "ordinal",
            "title": column.title,
            "sort": None,
            "axis": {"labelOverlap": True},
        }

    return {
        "mark": {"type": "rect", "tooltip": True},
        "encoding": {
            "x": {**axis(columns["x"]), "axis": {"labelOverlap": True, "labelAngle": -40}},
            "y": {**axis(columns["c"]), "sort": "ascending"},
            "color": {"field": "y0", "type": "quantitative", "title": with_unit(columns["y0"])},
            "tooltip": _tooltip(columns),
        },
    }


def _map(_spec: ChartSpec, columns: dict[str, DataColumn], _few: bool) -> Spec:
    form = D3[columns["y0"].format] or ",.6~g"
    value = {"field": "properties.y0", "type": "quantitative", "title": with_unit(columns["y0"])}
    return {
        "projection": {"type": "mercator"},
        "mark": {"type": "geoshape", "tooltip": True, "invalid": None},
        "encoding": {
            "color": {
                **value,
                # Areas without a value are grey, not white, and not like zero.
                "condition": {"test": "!isValid(datum.properties.y0)", "value": "#a7adb3"},
            },
            "tooltip": [
                {"field": "properties.x", "type": "nominal", "title": columns["x"].title},
                {**value, "format": form},
            ],
        },
    }


def _forecast(spec: ChartSpec, columns: dict[str, DataColumn], few: bool) -> Spec:
    along = {"field": "x", "type": "temporal", "scale": {"type": "utc"}, "title": None}
    title = with_unit(columns["y0"])
    options = spec.forecast
    bands = options.bands if options is not None else [80, 95]
    layers: list[Spec] = [
        {
            "mark": {"type": "area", "fillOpacity": 0.14 if band == 95 else 0.22, "line": False},
            "encoding": {
                "y": {"field": f"lo{band}", "type": "quantitative", "title": title, "scale": {"zero": False}},
                "y2": {"field": f"hi{band}"},
            },
        }
        for band in sorted(bands, reverse=True)
        if f"lo{band}" in columns
    ]
    layers.append(
        {
            "mark": {"type": "line", "strokeDash": [5, 4]},
            "encoding": {"y": {"field": "mean", "type": "quantitative", "title": title}},
        }
    )
    layers.append(
        {
            "mark": {
                "type": "line",
                "tooltip": True,
                "point": {"size": 14} if few else {"size": 14, "opacity": 0},
            },
            "encoding": {
                "y": {"field": "y0", "type": "quantitative", "title": title, "scale": {"zero": False}},
                "tooltip": _tooltip({key: columns[key] for key in ("x", "y0", "mean") if key in columns}),
            },
        }
    )
    return {"encoding": {"x": along}, "layer": layers}


_DRAWN = {
    ChartType.LINE: _xy,
    ChartType.BAR: _xy,
    ChartType.AREA: _xy,
    ChartType.POINT: _xy,
    ChartType.PIE: _pie,
    ChartType.HEATMAP: _heatmap,
    ChartType.FORECAST: _forecast,
    ChartType.MAP: _map,
}

__all__ = ["ROWS", "SCHEMA", "drawn_rows", "said", "vega_of", "with_unit"]
