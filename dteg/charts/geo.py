"""Areas for maps: GeoJSON that is checked (RFC 7946), reduced to what a screen can show, and joined with numbers.

Borders that two areas share stay shared: points where more than two lines meet are kept, and between them a point is
dropped by the size of the triangle that it makes with its neighbours, which is the same seen from both sides
(Visvalingam and Whyatt, 1993).
"""

import heapq
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from dteg.core.errors import InputError

MAX_BYTES = 10_000_000
MAX_FEATURES = 5_000
MAX_VERTICES = 50_000
MAX_PROPERTIES = 50
MAX_VALUE = 500
_DIGITS = 5
"""Decimals of a degree that are kept: about a metre."""
_TYPES = ("Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon")
# Of the width of the whole: a triangle smaller than the square of this is not seen at 2,000 pixels.
_SEEN = 1 / 2_000

Position = tuple[float, float]
Ring = list[Position]


@dataclass(frozen=True, slots=True)
class Layer:
    """Checked areas.

    Attributes:
        features: A FeatureCollection.
        properties: Names of the properties that every feature has, sorted.
        bbox: West, south, east, north, in degrees.
        vertices: Points after, and `vertices_before` those before reducing.
    """

    features: dict[str, Any]
    properties: list[str]
    bbox: tuple[float, float, float, float]
    vertices: int
    vertices_before: int


def read_layer(content: bytes, name: str = "") -> Layer:
    """Check and reduce a GeoJSON file.

    Raises:
        InputError: It is too large, no GeoJSON, or has more points than can be reduced to `MAX_VERTICES`.
    """
    if len(content) > MAX_BYTES:
        raise InputError(
            f"the file is larger than {MAX_BYTES // 1_000_000} MB; simplify it first", source=name
        )
    features = _features(_parsed(content, name), name)
    lines = [line for feature in features for line in _lines(feature["geometry"])]
    before = sum(map(len, lines))
    box = _bbox(lines)
    _reduce(features, box)
    after = sum(len(line) for feature in features for line in _lines(feature["geometry"]))
    if after > MAX_VERTICES:
        raise InputError(
            f"the areas still have {after:,} points after simplification, and {MAX_VERTICES:,} are the most: "
            "split them or simplify them first",
            source=name,
        )
    common = set.intersection(*(set(feature["properties"]) for feature in features))
    collection = {"type": "FeatureCollection", "features": features}
    return Layer(collection, sorted(common), box, after, before)


def joined(features: Mapping[str, Any], key: str, values: Mapping[str, float | None]) -> list[dict[str, Any]]:
    """Return features for a map: each with its name `x` and number `y0`, exterior rings clockwise as d3 wants them.

    Args:
        features: A FeatureCollection of `read_layer`.
        key: Property that holds the keys of `values`.
        values: Numbers by key; areas without one have none.
    """
    found = []
    for feature in features["features"]:
        name = feature["properties"].get(key)
        text = "" if name is None else _key_text(name)
        found.append(
            {
                "type": "Feature",
                "properties": {"x": text, "y0": values.get(text)},
                "geometry": _turned(feature["geometry"]),
            }
        )
    return found


def _key_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _parsed(content: bytes, name: str) -> Any:
    import orjson

    try:
        return orjson.loads(content.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise InputError(f"not valid JSON: {error}", source=name) from None


def _features(value: Any, name: str) -> list[dict[str, Any]]:
    if not isinstance(value, dict) or value.get("type") not in ("FeatureCollection", "Feature"):
        raise InputError("write a FeatureCollection of GeoJSON (RFC 7946)", source=name)
    if "crs" in value and "CRS84" not in str(value["crs"]) and "4326" not in str(value["crs"]):
        raise InputError(
            "coordinates must be longitude and latitude (WGS 84); convert them first", source=name
        )
    found = value.get("features") if value["type"] == "FeatureCollection" else [value]
    if not isinstance(found, list) or not 1 <= len(found) <= MAX_FEATURES:
        raise InputError(f"there must be 1 to {MAX_FEATURES:,} features", source=name)
    return [_feature(each, number, name) for number, each in enumerate(found, 1)]


def _feature(value: Any, number: int, name: str) -> dict[str, Any]:
    if not isinstance(value, dict) or value.get("type") != "Feature":
        raise InputError("this is no Feature", source=name, row=number)
    geometry = value.get("geometry")
    if not isinstance(geometry, dict) or geometry.get("type") not in _TYPES:
        raise InputError(f"its geometry must be one of {', '.join(_TYPES)}", source=name, row=number)
    try:
        checked = _geometry(geometry["type"], geometry.get("coordinates"))
    except ValueError as error:
        raise InputError(str(error), source=name, row=number) from None
    properties = value.get("properties") or {}
    if not isinstance(properties, dict):
        raise InputError("its properties must be an object", source=name, row=number)
    kept = {
        key: each if not isinstance(each, str) else each[:MAX_VALUE]
        for key, each in list(properties.items())[:MAX_PROPERTIES]
        if isinstance(each, str | int | float | bool) and len(key) <= 100 and "\x00" not in f"{key}{each}"
    }
    if isinstance(value.get("id"), str | int) and "id" not in kept:
        kept["id"] = value["id"]
    return {"type": "Feature", "properties": kept, "geometry": checked}


def _geometry(kind: str, value: Any) -> dict[str, Any]:
    if kind == "Point":
        return {"type": kind, "coordinates": _position(value)}
    if kind == "Polygon":
        return {"type": kind, "coordinates": _polygon(value)}
    if kind == "MultiPolygon":
        return {"type": kind, "coordinates": [_polygon(each) for each in _listed(value, 1)]}
    if kind == "MultiLineString":
        return {"type": kind, "coordinates": [_line(each, 2) for each in _listed(value, 1)]}
    return {"type": kind, "coordinates": _line(value, 2 if kind == "LineString" else 1)}


def _polygon(value: Any) -> list[Ring]:
    rings = [_line(each, 4) for each in _listed(value, 1)]
    for number, ring in enumerate(rings):
        if ring[0] != ring[-1]:
            raise ValueError("a ring of a polygon must end where it begins")
        # RFC 7946: the outer ring runs counterclockwise, holes clockwise.
        if (_area(ring) < 0) is (number == 0):
            ring.reverse()
    return rings


def _line(value: Any, least: int) -> Ring:
    return [_position(each) for each in _listed(value, least)]


def _listed(value: Any, least: int) -> list[Any]:
    if not isinstance(value, list) or len(value) < least:
        raise ValueError(f"coordinates: there must be at least {least} here")
    return value


def _position(value: Any) -> Position:
    numbers = isinstance(value, list) and len(value) >= 2 and all(
        isinstance(each, int | float) and not isinstance(each, bool) and math.isfinite(each) for each in value[:2]
    )  # fmt: skip
    if not numbers or not (-180.0001 <= value[0] <= 180.0001 and -90.0001 <= value[1] <= 90.0001):
        raise ValueError(f"{str(value)[:60]} is no longitude and latitude in degrees")
    return (round(float(value[0]), _DIGITS), round(float(value[1]), _DIGITS))


def _lines(geometry: Mapping[str, Any]) -> Iterator[Ring]:
    kind, value = geometry["type"], geometry["coordinates"]
    if kind == "Point":
        yield [value]
    elif kind in ("LineString", "MultiPoint"):
        yield value
    elif kind in ("Polygon", "MultiLineString"):
        yield from value
    else:
        for polygon in value:
            yield from polygon


def _bbox(lines: list[Ring]) -> tuple[float, float, float, float]:
    xs = [x for line in lines for x, _ in line]
    ys = [y for line in lines for _, y in line]
    return min(xs), min(ys), max(xs), max(ys)


def _reduce(features: list[dict[str, Any]], box: tuple[float, float, float, float]) -> None:
    """Drop what is not seen; more of it while there are too many points, up to what would be seen."""
    side = max(box[2] - box[0], box[3] - box[1], 1e-9) * _SEEN
    limit = side * side / 4
    for _ in range(6):
        kept = _kept_points(features)
        count = 0
        for feature in features:
            feature["geometry"]["coordinates"] = _reduced(feature["geometry"], limit, kept)
            count += sum(map(len, _lines(feature["geometry"])))
        if count <= MAX_VERTICES:
            return
        limit *= 4


def _kept_points(features: list[dict[str, Any]]) -> set[Position]:
    """Return the points where more than two lines meet, and the ends of lines."""
    neighbours: defaultdict[Position, set[Position]] = defaultdict(set)
    for feature in features:
        for line in _lines(feature["geometry"]):
            for one, other in pairwise(line):
                if one != other:
                    neighbours[one].add(other)
                    neighbours[other].add(one)
    return {point for point, near in neighbours.items() if len(near) != 2}


def _reduced(geometry: Mapping[str, Any], limit: float, kept: set[Position]) -> Any:
    kind, value = geometry["type"], geometry["coordinates"]
    if kind in ("Point", "MultiPoint"):
        return value
    if kind == "LineString":
        return _thinned(value, limit, kept, 2)
    if kind == "MultiLineString":
        return [_thinned(each, limit, kept, 2) for each in value]
    if kind == "Polygon":
        return [_thinned(ring, limit, kept, 4) for ring in value]
    return [[_thinned(ring, limit, kept, 4) for ring in polygon] for polygon in value]


def _thinned(line: Ring, limit: float, kept: set[Position], least: int) -> Ring:
    """Return a line without the points that make triangles smaller than `limit` (square degrees)."""
    count = len(line)
    if count <= least:
        return line
    before, after = list(range(-1, count - 1)), list(range(1, count + 1))
    # Of two that are equally small the one further to the south-west goes first, whichever way the line runs.
    heap = [
        (_triangle(line, number - 1, number, number + 1), line[number], number)
        for number in range(1, count - 1)
    ]
    heapq.heapify(heap)
    current = {number: size for size, _, number in heap}
    gone: set[int] = set()
    while heap and count - len(gone) > least:
        size, _, number = heapq.heappop(heap)
        if size >= limit:
            break
        if number in gone or current[number] != size or line[number] in kept:
            continue
        gone.add(number)
        left, right = before[number], after[number]
        after[left], before[right] = right, left
        for near in (left, right):
            if 0 < near < count - 1 and near not in gone:
                # Never less than what was dropped before: so a point goes only after those that matter less.
                current[near] = max(size, _triangle(line, before[near], near, after[near]))
                heapq.heappush(heap, (current[near], line[near], near))
    return [point for number, point in enumerate(line) if number not in gone]


def _triangle(line: Ring, one: int, two: int, three: int) -> float:
    # Both neighbours of a border compute it the same way round, so that not even the last bit differs.
    (ax, ay), (cx, cy) = sorted((line[one], line[three]))
    bx, by = line[two]
    return abs((bx - ax) * (cy - ay) - (cx - ax) * (by - ay)) / 2


def _area(ring: Ring) -> float:
    """Return twice the area; positive if it runs counterclockwise."""
    return sum(ax * by - bx * ay for (ax, ay), (bx, by) in pairwise(ring))


def _turned(geometry: Mapping[str, Any]) -> dict[str, Any]:
    kind, value = geometry["type"], geometry["coordinates"]
    if kind == "Polygon":
        value = [ring[::-1] for ring in value]
    elif kind == "MultiPolygon":
        value = [[ring[::-1] for ring in polygon] for polygon in value]
    return {"type": kind, "coordinates": value}
