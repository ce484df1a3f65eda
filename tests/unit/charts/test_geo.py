"""Areas of maps: what is no GeoJSON is refused with its place, and simplification leaves no gaps between neighbours."""

import json
import math
import random

import pytest

from dteg.charts import geo
from dteg.charts.geo import joined, read_layer
from dteg.core import geojson
from dteg.core.errors import InputError
from tests.integration.charts.sales import SQUARES

pytestmark = pytest.mark.unit


def feature(kind="Polygon", coordinates=None, **properties):
    square = [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]
    geometry = {"type": kind, "coordinates": square if coordinates is None else coordinates}
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def read(*features, **more):
    return read_layer(
        json.dumps({"type": "FeatureCollection", "features": list(features), **more}).encode(), "a.json"
    )


def test_a_layer_is_what_the_file_says():
    layer = read_layer(json.dumps(SQUARES).encode())
    assert (layer.bbox, layer.properties, layer.vertices) == ((0, 0, 30, 10), ["iso", "title"], 15)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not valid JSON"), (b"[]", "FeatureCollection"), (b'{"type": "Topology"}', "FeatureCollection"),
        (b'{"type": "FeatureCollection", "features": []}', "no features"),
        (b'{"type": "FeatureCollection", "features": [1]}', 'feature 1: an object with "type": "Feature"'),
        (b'{"type": "Feature", "properties": {}, "geometry": null}', "feature 1 has no geometry"),
        (b'{"type": "MultiPolygon", "coordinates": []}', "feature 1 has no geometry"),
        (b'{"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [1, 2]}]}', "do not draw"),
        (b"\xff\xfe{", "not valid JSON"), (b"[" * 100_000, "not valid JSON"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_what_is_no_geojson_is_refused(content, said):
    with pytest.raises(InputError, match=said):
        read_layer(content)


@pytest.mark.parametrize(
    ("coordinates", "said"),
    [
        ([[[0, 0], [1, 0], [1, 1], [0, 1]]], "end where it begins"),
        ([[[0, 0], [1, 0], [0, 0]]], "fewer than 4"),
        ([], "no rings"),
        ([[[0, 0], [1, 0], [1, 91], [0, 0]]], "not on the globe"),
        ([[[500_000, 4_000_000], [1, 0], [1, 1], [500_000, 4_000_000]]], "not on the globe"),
        ([[["0", 0], [1, 0], [1, 1], ["0", 0]]], "no number"),
        ("POLYGON", "no rings"),
    ],
)
def test_wrong_coordinates_are_told_with_the_feature(coordinates, said):
    with pytest.raises(InputError, match=rf"a\.json.*feature 2: .*{said}"):
        read(feature(), feature(coordinates=coordinates))


def test_another_system_of_coordinates_is_refused():
    with pytest.raises(InputError, match="WGS 84"):
        read(feature(), crs={"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3857"}})


def test_a_file_that_is_too_large_is_not_parsed(monkeypatch):
    monkeypatch.setattr(geojson, "MAX_BYTES", 10)
    with pytest.raises(InputError, match="can be taken"):
        read(feature())


def test_more_features_than_a_map_has_are_refused(monkeypatch):
    monkeypatch.setattr(geo, "MAX_FEATURES", 1)
    with pytest.raises(InputError, match="2 features; a map has at most 1"):
        read(feature(), feature())


def test_the_edge_of_the_world_may_be_missed_by_the_last_digits():
    edge = -180.00000000000006
    layer = read(feature(coordinates=[[[edge, 0], [-170, 0], [-170, 9], [edge, 9], [edge, 0]]]))
    assert layer.bbox == (-180, 0, -170, 9)


def test_properties_are_plain_and_short():
    layer = read(feature(a="x" * 900, b={"deep": 1}, c=None, d=1.5), feature(a="y", d=2))
    kept = layer.features["features"][0]["properties"]
    assert (len(kept["a"]), set(kept), layer.properties) == (500, {"a", "d"}, ["a", "d"])


def test_rings_run_as_the_standard_says_and_as_the_map_wants_them():
    clockwise = [[[0, 0], [0, 1], [1, 1], [1, 0], [0, 0]]]
    layer = read(feature(coordinates=clockwise, k="a"))
    ring = layer.features["features"][0]["geometry"]["coordinates"][0]
    assert geo._area(ring) > 0
    (drawn,) = joined(layer.features, "k", {"a": 5})
    assert geo._area(drawn["geometry"]["coordinates"][0]) < 0
    assert drawn["properties"] == {"x": "a", "y0": 5}


def wiggly(points, seed):
    random.seed(seed)
    return [[5 + random.uniform(-0.004, 0.004), -10 + 20 * number / points] for number in range(points + 1)]


def test_simplification_keeps_shared_borders_shared():
    border = [[round(x, 5), round(y, 5)] for x, y in wiggly(3000, 1)]
    left = [[-10, -10], *border, [-10, 10], [-10, -10]]
    right = [[20, 10], *border[::-1], [20, -10], [20, 10]]
    layer = read(feature(coordinates=[left], k="l"), feature(coordinates=[right], k="r"))
    rings = [set(map(tuple, each["geometry"]["coordinates"][0])) for each in layer.features["features"]]
    shared = [{point for point in ring if 4 < point[0] < 6} for ring in rings]
    assert shared[0] == shared[1]
    assert layer.vertices < layer.vertices_before / 3
    assert tuple(border[0]) in shared[0]
    assert tuple(border[-1]) in shared[0]


def test_many_points_are_reduced_to_what_can_be_drawn_and_stay_in_place():
    circle = [
        [50 * math.cos(a / 20_000 * math.tau), 50 * math.sin(a / 20_000 * math.tau)] for a in range(20_000)
    ]
    circle.append(circle[0])
    layer = read(feature(coordinates=[circle]), feature(coordinates=[circle]), feature(coordinates=[circle]))
    assert layer.vertices_before == 60_003
    assert layer.vertices < 3_000
    ring = layer.features["features"][0]["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1]
    assert all(abs(math.hypot(*point) - 50) < 0.01 for point in ring)


def test_areas_without_a_value_and_keys_that_are_numbers():
    layer = read(feature(k=7), feature(k=8))
    assert [each["properties"] for each in joined(layer.features, "k", {"7": 1.5})] == [{"x": "7", "y0": 1.5}, {"x": "8", "y0": None}]  # fmt: skip
