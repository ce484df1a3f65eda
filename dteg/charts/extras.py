"""What users may add to the Vega-Lite of a chart: looks, and nothing that loads, links or computes.

Deny by default: a key that is not in `_ALLOWED` is refused, so whatever a later Vega-Lite adds is refused too.
Never in it: `data` and `url` (loads), `href` (leads away), `image` (loads), `params`, `signal` and anything with
expressions such as `labelExpr`, `calculate` and `datum` tests (compute).
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], bool]
_COLOUR = re.compile(r"^(#[0-9a-fA-F]{3,8}|[a-zA-Z]{3,30})$")
# d3-format and d3-time-format without anything that could be markup.
_FORMAT = re.compile(r"^[-+$,.~%0-9a-zA-Z:/ ()]{0,30}$")
_NAME = re.compile(r"^[a-z][a-z0-9-]{0,30}$")
MAX_DEPTH = 6
MAX_TEXT = 200


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT


def _matches(pattern: re.Pattern[str]) -> Check:
    return lambda value: isinstance(value, str) and pattern.match(value) is not None


def _one_of(*words: str) -> Check:
    return lambda value: isinstance(value, str) and value in words


def _list_of(check: Check, most: int = 50) -> Check:
    return lambda value: isinstance(value, list) and len(value) <= most and all(check(each) for each in value)


def _plain(value: Any) -> bool:
    return value is None or _number(value) or _flag(value) or _text(value)


_colour = _matches(_COLOUR)
_share: Check = lambda value: _number(value) and 0 <= value <= 1  # noqa: E731 - one line as the others
_title: Check = lambda value: value is None or _text(value)  # noqa: E731
_AXIS: Mapping[str, Any] = {
    "title": _title, "format": _matches(_FORMAT), "labelAngle": _number, "labelLimit": _number, "labels": _flag,
    "grid": _flag, "ticks": _flag, "domain": _flag, "tickCount": _number, "values": _list_of(_plain),
    "orient": _one_of("top", "bottom", "left", "right"), "labelOverlap": _flag,
}  # fmt: skip
_SCALE: Mapping[str, Any] = {
    "type": _one_of("linear", "log", "symlog", "sqrt", "pow", "utc"), "zero": _flag, "nice": _flag, "clamp": _flag,
    "reverse": _flag, "domain": _list_of(_plain), "range": _list_of(_colour), "scheme": _matches(_NAME),
    "padding": _number, "paddingInner": _share, "paddingOuter": _share,
}  # fmt: skip
_LEGEND: Mapping[str, Any] = {
    "title": _title, "orient": _one_of("left", "right", "top", "bottom", "none"), "columns": _number,
    "format": _matches(_FORMAT), "labelLimit": _number, "direction": _one_of("horizontal", "vertical"),
}  # fmt: skip
_CHANNEL: Mapping[str, Any] = {"title": _title, "axis": _AXIS, "scale": _SCALE, "legend": _LEGEND}
_ALLOWED: Mapping[str, Any] = {
    "mark": {
        "opacity": _share, "fillOpacity": _share, "strokeOpacity": _share, "strokeWidth": _number, "size": _number,
        "color": _colour, "filled": _flag, "point": _flag, "cornerRadius": _number, "innerRadius": _number,
        "padAngle": _number, "strokeDash": _list_of(_number, 8), "shape": _one_of("circle", "square", "cross", "diamond", "triangle-up", "triangle-down"),
        "interpolate": _one_of("linear", "monotone", "step", "step-before", "step-after", "basis", "cardinal", "natural"),
    },
    "encoding": {"x": _CHANNEL, "y": _CHANNEL, "color": _CHANNEL, "theta": _CHANNEL},
    "config": {"axis": _AXIS, "legend": _LEGEND, "range": {"category": _list_of(_colour)}},
    "projection": {"type": _one_of("mercator", "equalEarth", "naturalEarth1", "equirectangular", "albersUsa")},
}  # fmt: skip
# `axis: null` and `legend: null` hide them.
_HIDDEN = ("axis", "legend")


def check_extras(extras: Mapping[str, Any]) -> dict[str, Any]:
    """Return the additions if all of them are allowed.

    Raises:
        ValueError: One is not; it names the place.
    """
    _check(extras, _ALLOWED, "vega_lite", 0)
    return dict(extras)


def merged(spec: Mapping[str, Any], extras: Mapping[str, Any]) -> dict[str, Any]:
    """Return a specification with additions, mapping by mapping; the additions win."""
    result = dict(spec)
    for key, value in extras.items():
        known = result.get(key)
        result[key] = (
            merged(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
        )
    return result


def _check(value: Any, allowed: Any, path: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"{path}: too deep")
    if callable(allowed):
        if not allowed(value):
            raise ValueError(f"{path}: this value is not allowed here")
        return
    if value is None and path.rpartition(".")[2] in _HIDDEN:
        return
    if not isinstance(value, Mapping):
        raise ValueError(f"{path}: write a mapping")  # noqa: TRY004 - pydantic tells it
    for key, inner in value.items():
        if not isinstance(key, str) or key not in allowed:
            shown = str(key)[:60]
            raise ValueError(f"{path}.{shown} is not allowed; allowed here: {', '.join(sorted(allowed))}")
        _check(inner, allowed[key], f"{path}.{key}", depth + 1)
