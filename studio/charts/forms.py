"""The form of a chart: from what people chose to a chart, and back."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from dteg.charts.models import ChartSpec, ChartType, Filter, Fn, Grain, NumberFormat, Op

MEASURES, FILTERS = 6, 20
TYPES = (
    (ChartType.BAR, "Bars"),
    (ChartType.LINE, "Line"),
    (ChartType.AREA, "Area"),
    (ChartType.POINT, "Points"),
    (ChartType.PIE, "Pie"),
    (ChartType.HEATMAP, "Heatmap"),
    (ChartType.NUMBER, "Number"),
    (ChartType.TABLE, "Table"),
    (ChartType.MAP, "Map"),
)
METRIC_TYPES = (
    (ChartType.LINE, "Line"),
    (ChartType.FORECAST, "Forecast with bands"),
    (ChartType.AREA, "Area"),
    (ChartType.BAR, "Bars"),
    (ChartType.POINT, "Points"),
    (ChartType.NUMBER, "Last number"),
    (ChartType.TABLE, "Table"),
)
FNS = (
    (Fn.SUM, "sum of"),
    (Fn.COUNT, "number of rows"),
    (Fn.AVG, "average of"),
    (Fn.MEDIAN, "median of"),
    (Fn.MIN, "smallest"),
    (Fn.MAX, "largest"),
    (Fn.COUNT_DISTINCT, "different values of"),
    (Fn.VALUE, "each value of (points, lines)"),
)
GRAINS = (("", "as they are"), *((each.value, f"by {each.value}") for each in Grain))
FORMATS = tuple((each.value, each.value) for each in NumberFormat)
OPS = (
    (Op.EQ, "is"), (Op.NE, "is not"), (Op.LT, "less than"), (Op.LE, "at most"), (Op.GT, "more than"),
    (Op.GE, "at least"), (Op.IN, "one of (commas between)"), (Op.NOT_IN, "none of (commas between)"),
    (Op.CONTAINS, "contains"), (Op.LAST, "in the last (30d)"), (Op.IS_NULL, "is empty"), (Op.NOT_NULL, "is given"),
)  # fmt: skip
SORTS = (
    ("", "by itself"),
    ("-y", "largest first"),
    ("y", "smallest first"),
    ("x", "by x"),
    ("-x", "by x, backwards"),
)
STACKS = (("zero", "on each other"), ("normalize", "as shares of 100 %"), ("none", "side by side"))


def values_of(form: Mapping[str, str]) -> dict[str, Any]:
    """Return what a form says as the values of a `ChartSpec`; what is empty is left out.

    Raises:
        ValueError: The additions are no JSON.
    """
    kind = form.get("type", "")
    source: dict[str, Any] = {"dataset": form.get("dataset", "")}
    values: dict[str, Any] = {
        "chart": form.get("slug", ""), "title": form.get("title", ""), "description": form.get("description", ""),
        "type": kind, "source": source, "roles": form.get("roles", "").replace(",", " ").split(),
    }  # fmt: skip
    if form.get("metric"):
        source |= {"metric": form["metric"]} | ({"each": True} if form.get("each") else {})
        if by := form.get("by"):
            source["by"] = json.loads(by)
        if kind == ChartType.FORECAST.value:
            values["forecast"] = {"history": form.get("history") or 365}
    else:
        values |= _of_dataset(form, kind)
    if form.get("more"):
        try:
            values["vega_lite"] = json.loads(form["more"])
        except ValueError as error:
            raise ValueError(f"More: this is no JSON: {error}") from None
    return values


def _of_dataset(form: Mapping[str, str], kind: str) -> dict[str, Any]:
    values: dict[str, Any] = {"y": list(_measures(form))}
    for key in ("x", "color"):
        if name := form.get(key):
            shape = {"field": name, "grain": form.get(f"{key}_grain"), "title": form.get(f"{key}_title")}
            values[key] = {word: each for word, each in shape.items() if each}
    values["filters"] = list(_filters(form))
    for key in ("sort", "top"):
        if form.get(key):
            values[key] = form[key]
    if form.get("stack") and form["stack"] != "zero":
        values["stack"] = form["stack"]
    if kind == ChartType.MAP.value:
        values["map"] = {"layer": form.get("layer", ""), "key": form.get("key", "")}
    if kind == ChartType.NUMBER.value:
        values.pop("x", None)
        values.pop("color", None)
        if form.get("compare_field") and form.get("compare_period"):
            values["compare"] = {"field": form["compare_field"], "period": form["compare_period"]}
    return values


def _measures(form: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for number in range(MEASURES):
        fn, name = form.get(f"y{number}_fn", ""), form.get(f"y{number}")
        if not name and fn != Fn.COUNT.value:
            continue
        shape = {
            "fn": fn, "field": name if fn != Fn.COUNT.value else None, "title": form.get(f"y{number}_title"),
            "format": form.get(f"y{number}_format"), "unit": form.get(f"y{number}_unit"),
        }  # fmt: skip
        yield {word: each for word, each in shape.items() if each}


def _filters(form: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for number in range(FILTERS):
        if not (name := form.get(f"where{number}")):
            continue
        op, text = form.get(f"where{number}_op", Op.EQ.value), form.get(f"where{number}_value", "")
        value: Any = text
        if op in (Op.IN.value, Op.NOT_IN.value):
            value = [part.strip() for part in text.split(",") if part.strip()]
        elif op in (Op.IS_NULL.value, Op.NOT_NULL.value):
            value = None
        yield {"field": name, "op": op, "value": value}


def form_of(spec: ChartSpec) -> dict[str, str]:
    """Return what the form of a chart shows."""
    form = {
        "slug": spec.chart, "title": spec.title, "description": spec.description, "type": spec.type.value,
        "dataset": spec.source.dataset, "metric": spec.source.metric or "", "each": "yes" if spec.source.each else "",
        "by": json.dumps(spec.source.by) if spec.source.by else "", "roles": " ".join(spec.roles),
        "sort": spec.sort or "", "top": str(spec.top or ""), "stack": spec.stack,
        "more": json.dumps(spec.vega_lite, indent=1) if spec.vega_lite else "",
        "history": str(spec.forecast.history) if spec.forecast else "",
        "layer": spec.map.layer if spec.map else "", "key": spec.map.key if spec.map else "",
        "compare_field": spec.compare.field if spec.compare else "",
        "compare_period": spec.compare.period if spec.compare else "",
    }  # fmt: skip
    for key, dimension in (("x", spec.x), ("color", spec.color)):
        if dimension is not None:
            form |= {key: dimension.field, f"{key}_title": dimension.title}
            form[f"{key}_grain"] = dimension.grain.value if dimension.grain else ""
    for number, measure in enumerate(spec.y):
        form |= {
            f"y{number}": measure.field or "", f"y{number}_fn": measure.fn.value, f"y{number}_title": measure.title,
            f"y{number}_format": measure.format.value, f"y{number}_unit": measure.unit,
        }  # fmt: skip
    for number, each in enumerate(spec.filters):
        form |= {
            f"where{number}": each.field,
            f"where{number}_op": each.op.value,
            f"where{number}_value": _shown(each),
        }
    return {key: value for key, value in form.items() if value}


def _shown(each: Filter) -> str:
    if isinstance(each.value, list):
        return ", ".join(map(str, each.value))
    return "" if each.value is None else str(each.value)


def rows_of(form: Mapping[str, str], prefix: str, most: int, least: int) -> int:
    """Return how many rows of a part of the form are shown: those that say something, and one more."""
    used = [
        number
        for number in range(most)
        if form.get(f"{prefix}{number}") or form.get(f"{prefix}{number}_fn") == "count"
    ]
    return min(most, max(least, max(used, default=-1) + 2))
