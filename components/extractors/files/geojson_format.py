"""GeoJSON: a feature is a record of its properties, with its geometry as JSON beside them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dteg.core.errors import InputError

from .inference import Inference, Kind
from .json_format import JsonFormat, Record
from .locations import SourceFile
from .text_stream import TextStream

GEOMETRY, FEATURE_ID = "geometry", "feature_id"
_NOT_A_COLLECTION = "no GeoJSON FeatureCollection: it has no array `features`"
_GEOMETRIES = frozenset(
    ["Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection"]
)


@dataclass(frozen=True, slots=True)
class _NoFeature:
    """What cannot be a record, and why."""

    reason: str
    value: Any


class GeoJsonFormat(JsonFormat):
    """Reads the features of one collection."""

    def observe(self, file: SourceFile, inference: Inference) -> None:
        """Look at all features; the geometry is a column of its own, even if every one of them is null."""
        super().observe(file, inference)
        if GEOMETRY in inference.schema().names:
            inference.add(GEOMETRY, Kind.JSON)

    def records(self, stream: TextStream, file: SourceFile) -> Iterator[Record]:
        """Yield features as flat records."""
        for record in self.array_records(stream, file, "features", absent=_NOT_A_COLLECTION):
            yield Record(record.place, _flat(record.value, file.display))

    def refusal(self, value: Any) -> tuple[str, dict[str, Any]]:
        """Say why something is no record."""
        if isinstance(value, _NoFeature):
            return value.reason, {"value": value.value}
        return super().refusal(value)


def _flat(feature: Any, source: str) -> dict[str, Any] | _NoFeature:
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        return _NoFeature('not a GeoJSON feature: an object with "type": "Feature"', feature)
    properties, geometry = feature.get("properties"), feature.get("geometry")
    if not isinstance(properties, dict | None):
        return _NoFeature("`properties` is neither an object nor null", feature)
    if geometry is not None and not _is_geometry(geometry):
        return _NoFeature("`geometry` is no geometry of GeoJSON", feature)
    own = {FEATURE_ID: feature["id"]} if "id" in feature else {}
    own[GEOMETRY] = geometry
    for name in own:
        if properties and name in properties:
            raise InputError(
                f"a property is called {name!r}, as the column for the {name} is; rename it", source=source
            )
    return {**own, **(properties or {})} if FEATURE_ID in own else {**(properties or {}), **own}


def _is_geometry(value: Any) -> bool:
    if not isinstance(value, dict) or value.get("type") not in _GEOMETRIES:
        return False
    inner = "geometries" if value["type"] == "GeometryCollection" else "coordinates"
    return isinstance(value.get(inner), list)
