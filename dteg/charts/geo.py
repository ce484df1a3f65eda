"""Areas for maps: features reduced to what a screen can show, and joined with numbers.

Borders that two areas share stay shared: points where more than two lines meet are kept, and between them a point is
dropped by the size of the triangle that it makes with its neighbours, which is the same seen from both sides
(Visvalingam and Whyatt, 1993).
"""

import heapq
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from dteg.core.errors import InputError
from dteg.core.geojson import MAX_VERTICES, Feature, read_features

MAX_FEATURES = 5_000
MAX_PROPERTIES = 50
MAX_VALUE = 500
_DIGITS = 5
"""Decimals of a degree that are kept: about a metre."""
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
    """Check (`dteg.core.geojson`) and reduce a GeoJSON file.

    Raises:
        InputError: It is too large, no GeoJSON, or has more points than can be reduced to `MAX_VERTICES`.
    """
    found = read_features(content, name, max_vertices=None).features
    if len(found) > MAX_FEATURES:
        raise InputError(f"{len(found):,} features; a map has at most {MAX_FEATURES:,}", source=name)
    features = [_map_feature(each, name) for each in found]
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


def _map_feature(feature: Feature, name: str) -> dict[str, Any]:
    """Return a feature as maps keep it: plain properties, points of two rounded numbers, rings as the standard wants them."""
    if feature.geometry is None or not feature.vertices:
        raise InputError(
            f"feature {feature.number} has no geometry; a map draws areas, lines or points", source=name
        )
    kind: str = feature.geometry["type"]
    coordinates: Any = feature.geometry.get("coordinates")
    if kind == "Polygon":
        coordinates = _polygon(coordinates)
    elif kind == "MultiPolygon":
        coordinates = [_polygon(each) for each in coordinates]
    elif kind == "MultiLineString":
        coordinates = [_line(each) for each in coordinates]
    elif kind in ("LineString", "MultiPoint"):
        coordinates = _line(coordinates)
    elif kind == "Point":
        coordinates = _position(coordinates)
    else:
        raise InputError(
            f"the geometry of feature {feature.number} is a {kind}, which maps do not draw; write its parts as features",
            source=name,
        )
    properties = _plain(feature.properties)
    if feature.id is not None:
        properties.setdefault("id", feature.id)
    return {
        "type": "Feature",
        "properties": properties,
        "geometry": {"type": kind, "coordinates": coordinates},
    }


def _plain(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: each if not isinstance(each, str) else each[:MAX_VALUE]
        for key, each in list(properties.items())[:MAX_PROPERTIES]
        if isinstance(each, str | int | float | bool) and len(key) <= 100 and "\x00" not in f"{key}{each}"
    }


def _polygon(rings: list[list[Sequence[float]]]) -> list[Ring]:
    found = [_line(each) for each in rings]
    for number, ring in enumerate(found):
        # RFC 7946: the outer ring runs counterclockwise, holes clockwise.
        if (_area(ring) < 0) is (number == 0):
            ring.reverse()
    return found


def _line(points: list[Sequence[float]]) -> Ring:
    return [_position(each) for each in points]


def _position(point: Sequence[float]) -> Position:
    return (round(float(point[0]), _DIGITS), round(float(point[1]), _DIGITS))


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
