"""The one reader of GeoJSON: checked against RFC 7946, within limits that a browser can draw.

Source: https://www.rfc-editor.org/rfc/rfc7946; sections are named at the rules.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from dteg.core.errors import InputError

MAX_BYTES = 10_000_000
MAX_VERTICES = 50_000
MAX_DEPTH = 8
MAX_PROBLEMS = 20
# Programs that compute the edge of the world miss it by the last digits: -180.00000000000006.
_SLACK = 0.0001

Position = Sequence[float]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Feature:
    """One feature that is as it should be.

    Attributes:
        number: 1-based place in the file.
        id: Its id, if it has one.
        properties: Its properties.
        geometry: Its geometry, None if it has none.
        box: West, south, east, north of its geometry (degrees).
        vertices: Number of positions.
    """

    number: int
    id: str | None
    properties: dict[str, Any]
    geometry: dict[str, Any] | None
    box: Box | None
    vertices: int


@dataclass
class Collection:
    """The features of a file.

    Attributes:
        features: Those that are as they should be.
        problems: What is wrong, feature by feature.
        vertices: Number of positions in all.
    """

    features: list[Feature] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    vertices: int = 0

    @property
    def box(self) -> Box | None:
        """West, south, east, north of all features (degrees); None without a geometry."""
        boxes = [feature.box for feature in self.features if feature.box]
        if not boxes:
            return None
        return (
            min(box[0] for box in boxes), min(box[1] for box in boxes), max(box[2] for box in boxes),
            max(box[3] for box in boxes),
        )  # fmt: skip


class _WrongError(Exception):
    """Something of a feature is not as RFC 7946 says."""


def read_features(
    data: bytes, source: str, *, simplify: float = 0.0, max_vertices: int | None = MAX_VERTICES
) -> Collection:
    """Return the features of a GeoJSON text; a single feature or geometry is a collection of one.

    Args:
        data: The text.
        source: Its name, for messages.
        simplify: Leave out points of lines nearer than this to the line without them (degrees); 0: none.
        max_vertices: The most points that there may be then; None: whatever fits into `MAX_BYTES`.

    Raises:
        InputError: It is no GeoJSON, or something in it is wrong; the first problems are named with their features.
            Or it is larger than `MAX_BYTES` or `max_vertices`.
    """
    if len(data) > MAX_BYTES:
        raise InputError(
            f"{len(data) / 1e6:,.1f} MB; a GeoJSON file of at most {MAX_BYTES / 1e6:.0f} MB can be taken",
            source=source,
        )
    collection = Collection()
    for number, feature in enumerate(_features(_parsed(data, source), source), start=1):
        try:
            found = _feature(feature, number, simplify)
        except _WrongError as error:
            collection.problems.append(f"feature {number}: {error}")
            if len(collection.problems) >= MAX_PROBLEMS:
                break
            continue
        collection.features.append(found)
        collection.vertices += found.vertices
    if collection.problems:
        raise InputError("no GeoJSON of RFC 7946: " + "; ".join(collection.problems), source=source)
    if not collection.features:
        raise InputError("no features", source=source)
    if max_vertices is not None and collection.vertices > max_vertices:
        raise InputError(
            f"{collection.vertices:,} points; at most {max_vertices:,} can be taken: leave points out with the setting "
            "simplify, such as 0.01 (about 1 km)",
            source=source,
        )
    return collection


def _parsed(data: bytes, source: str) -> Any:
    import orjson

    try:
        return orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise InputError(f"not valid JSON: {error}", source=source) from None


def _features(value: Any, source: str) -> list[Any]:
    kind = value.get("type") if isinstance(value, dict) else None
    if isinstance(value, dict) and value.get("crs") is not None and not _is_wgs84(value["crs"]):
        # Section 4: all coordinates are WGS 84; other systems were removed from the format.
        raise InputError("another coordinate system than WGS 84; convert it to EPSG:4326", source=source)
    if kind == "FeatureCollection":
        features = value.get("features")
        if not isinstance(features, list):
            raise InputError("the FeatureCollection has no array `features`", source=source)
        return features
    if kind == "Feature":
        return [value]
    if kind in _GEOMETRIES or kind == "GeometryCollection":
        return [{"type": "Feature", "properties": {}, "geometry": value}]
    raise InputError(
        "no GeoJSON: expected an object of type FeatureCollection, Feature, or a geometry", source=source
    )


def _is_wgs84(crs: Any) -> bool:
    name = crs.get("properties", {}).get("name", "") if isinstance(crs, dict) else ""
    return str(name).upper().endswith(("CRS84", "EPSG::4326", "EPSG:4326"))


def _feature(value: Any, number: int, simplify: float) -> Feature:
    if not isinstance(value, dict) or value.get("type") != "Feature":
        raise _WrongError('an object with "type": "Feature" is expected')
    properties = value.get("properties")
    if properties is not None and not isinstance(properties, dict):
        raise _WrongError("`properties` is neither an object nor null (section 3.2)")
    if "geometry" not in value:
        raise _WrongError("`geometry` is missing; write null for none (section 3.2)")
    own = value.get("id")
    if own is not None and (isinstance(own, bool) or not isinstance(own, str | int | float)):
        raise _WrongError("`id` is neither a text nor a number (section 3.2)")
    geometry = value["geometry"]
    cleaned = None if geometry is None else _geometry(geometry, simplify, 0)
    places = list(_positions_of(cleaned)) if cleaned else []
    box = None
    if places:
        xs, ys = [place[0] for place in places], [place[1] for place in places]
        box = (min(xs), min(ys), max(xs), max(ys))
    return Feature(number, None if own is None else str(own), properties or {}, cleaned, box, len(places))


def _geometry(value: Any, simplify: float, depth: int) -> dict[str, Any]:
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "GeometryCollection":
        parts = value.get("geometries")
        if not isinstance(parts, list):
            raise _WrongError("a GeometryCollection has no array `geometries` (section 3.1.8)")
        if depth >= MAX_DEPTH:
            raise _WrongError(f"GeometryCollections nested deeper than {MAX_DEPTH}")
        return {"type": kind, "geometries": [_geometry(part, simplify, depth + 1) for part in parts]}
    if kind not in _GEOMETRIES:
        raise _WrongError(f"`geometry` has the type {kind!r}, which GeoJSON does not have")
    return {"type": kind, "coordinates": _GEOMETRIES[kind](value.get("coordinates"), simplify)}


def _point(value: Any, _simplify: float = 0.0) -> list[float]:
    if not isinstance(value, list) or len(value) < 2:
        raise _WrongError("a position is not [longitude, latitude] (section 3.1.1)")
    for number in value:
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise _WrongError("a position holds something that is no number (section 3.1.1)")
    if abs(value[0]) > 180 + _SLACK or abs(value[1]) > 90 + _SLACK:
        raise _WrongError(
            f"the position [{value[0]:g}, {value[1]:g}] is not on the globe; longitude comes first, in degrees (section 4)"
        )
    return value[:3]  # what stands behind the height has no meaning


def _points(value: Any, least: int, what: str) -> list[list[float]]:
    if not isinstance(value, list) or len(value) < least:
        raise _WrongError(f"{what} has fewer than {least} positions")
    return [_point(each) for each in value]


def _line(value: Any, simplify: float = 0.0) -> list[list[float]]:
    return simplified(_points(value, 2, "a LineString (section 3.1.4)"), simplify)


def _ring(value: Any, simplify: float) -> list[list[float]]:
    ring = _points(value, 4, "a ring of a Polygon (section 3.1.6)")
    if ring[0] != ring[-1]:
        raise _WrongError("a ring of a Polygon does not end where it begins (section 3.1.6)")
    fewer = simplified(ring, simplify)
    # A ring that would fall together stays as it is.
    return fewer if len(fewer) >= 4 else ring


def _polygon(value: Any, simplify: float = 0.0) -> list[list[list[float]]]:
    if not isinstance(value, list) or not value:
        raise _WrongError("a Polygon has no rings (section 3.1.6)")
    return [_ring(each, simplify) for each in value]


def _several(one: Any, what: str) -> Any:
    def read(value: Any, simplify: float = 0.0) -> list[Any]:
        if not isinstance(value, list):
            raise _WrongError(f"the coordinates of a {what} are no array")
        return [one(each, simplify) for each in value]

    return read


_GEOMETRIES: dict[str, Any] = {
    "Point": _point,
    "MultiPoint": _several(_point, "MultiPoint"),
    "LineString": _line,
    "MultiLineString": _several(_line, "MultiLineString"),
    "Polygon": _polygon,
    "MultiPolygon": _several(_polygon, "MultiPolygon"),
}


def _positions_of(geometry: dict[str, Any]) -> Iterator[Position]:
    if geometry["type"] == "GeometryCollection":
        for part in geometry["geometries"]:
            yield from _positions_of(part)
        return
    yield from _flat(geometry["coordinates"])


def _flat(coordinates: Any) -> Iterator[Position]:
    if coordinates and isinstance(coordinates[0], int | float):
        yield coordinates
        return
    for each in coordinates:
        yield from _flat(each)


def simplified(line: list[list[float]], tolerance: float) -> list[list[float]]:
    """Return a line without the points that are nearer than `tolerance` (degrees) to the line without them.

    The first and last points stay. Worst case O(n²), which 50,000 points of one line do not reach in practice.

    Source: Douglas and Peucker, Algorithms for the reduction of the number of points required to represent a digitized
    line, 1973.
    """
    if tolerance <= 0 or len(line) < 3:
        return line
    keep = [False] * len(line)
    keep[0] = keep[-1] = True
    spans = [(0, len(line) - 1)]
    while spans:
        start, end = spans.pop()
        far, distance = 0, tolerance
        for at in range(start + 1, end):
            if (found := _distance(line[at], line[start], line[end])) > distance:
                far, distance = at, found
        if far:
            keep[far] = True
            spans += [(start, far), (far, end)]
    return [point for point, kept in zip(line, keep, strict=True) if kept]


def _distance(point: Position, start: Position, end: Position) -> float:
    """Return how far a point is from a segment."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = dx * dx + dy * dy
    along = 0.0 if length == 0 else ((point[0] - start[0]) * dx + (point[1] - start[1]) * dy) / length
    along = min(1.0, max(0.0, along))
    return math.hypot(point[0] - start[0] - along * dx, point[1] - start[1] - along * dy)
