"""GeoJSON as RFC 7946 wants it, within limits."""

import json

import pytest

from dteg.core.errors import InputError
from dteg.core.geojson import MAX_VERTICES, read_features, simplified

SQUARE = [[0, 0], [2, 0], [2, 1], [0, 1], [0, 0]]


def feature(geometry, **values):
    return {"type": "Feature", "properties": {}, "geometry": geometry, **values}


def read(value, **options):
    return read_features(json.dumps(value).encode(), "regions.geojson", **options)


def geometry(kind, coordinates):
    return {"type": kind, "coordinates": coordinates}


def test_features_have_ids_properties_and_bounds():
    found = read(
        {
            "type": "FeatureCollection",
            "features": [
                feature(geometry("Polygon", [SQUARE]), id="a", properties={"name": "Square"}),
                feature(geometry("Point", [-3.5, 40, 650]), id=7),
                feature(None),
            ],
        }
    )
    assert [(each.number, each.id, each.box, each.vertices) for each in found.features] == [
        (1, "a", (0, 0, 2, 1), 5), (2, "7", (-3.5, 40, -3.5, 40), 1), (3, None, None, 0),
    ]  # fmt: skip
    assert found.features[0].properties == {"name": "Square"}
    assert (found.vertices, found.box) == (6, (-3.5, 0, 2, 40))


@pytest.mark.parametrize(
    "value",
    [
        geometry("MultiPolygon", [[SQUARE], [SQUARE]]),
        geometry("MultiLineString", [[[0, 0], [1, 1]]]),
        geometry("MultiPoint", [[0, 0]]),
        {"type": "GeometryCollection", "geometries": [geometry("Point", [1, 2]), geometry("LineString", [[0, 0], [1, 1]])]},
        feature(geometry("Point", [1, 2])),
    ],
)  # fmt: skip
def test_one_geometry_or_feature_is_a_collection_of_one(value):
    assert len(read(value).features) == 1


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "expected an object of type FeatureCollection"),
        ({"type": "Topology"}, "expected an object"),
        ({"type": "FeatureCollection"}, "no array `features`"),
        ({"type": "FeatureCollection", "features": []}, "no features"),
        ({"type": "FeatureCollection", "features": [1]}, "feature 1: an object"),
        (feature(geometry("Circle", [0, 0])), "the type 'Circle'"),
        (feature(geometry("Point", [200, 0])), "not on the globe; longitude comes first"),
        (feature(geometry("Point", [0, 91])), "not on the globe"),
        (feature(geometry("Point", ["0", 0])), "no number"),
        (feature(geometry("Point", [True, 0])), "no number"),
        (feature(geometry("Point", [0])), "longitude, latitude"),
        (feature(geometry("Point", None)), "longitude, latitude"),
        (feature(geometry("LineString", [[0, 0]])), "fewer than 2 positions"),
        (feature(geometry("Polygon", [SQUARE[:4]])), "does not end where it begins"),
        (feature(geometry("Polygon", [SQUARE[:3]])), "fewer than 4 positions"),
        (feature(geometry("Polygon", [])), "no rings"),
        (feature(geometry("MultiPolygon", {})), "no array"),
        (feature({"type": "GeometryCollection"}), "no array `geometries`"),
        ({"type": "Feature", "properties": {}}, "`geometry` is missing"),
        (feature(None, properties=[]), "neither an object nor null"),
        (feature(None, id=[1]), "neither a text nor a number"),
        (
            {"type": "FeatureCollection", "features": [], "crs": {"type": "name", "properties": {"name": "EPSG:3857"}}},
            "another coordinate system",
        ),
    ],
)  # fmt: skip
def test_what_is_no_geojson_is_refused_with_its_place(value, said):
    with pytest.raises(InputError, match=r"regions\.geojson") as caught:
        read(value)
    assert said in str(caught.value)


def test_each_wrong_feature_is_named():
    bad = feature(geometry("Point", [0, 99]))
    with pytest.raises(InputError, match=r"feature 2: .*; feature 4: "):
        read({"type": "FeatureCollection", "features": [feature(None), bad, feature(None), bad]})


def test_nesting_without_an_end_is_refused():
    inner = geometry("Point", [0, 0])
    for _ in range(50):
        inner = {"type": "GeometryCollection", "geometries": [inner]}
    with pytest.raises(InputError, match="nested deeper"):
        read(feature(inner))
    with pytest.raises(InputError, match="not valid JSON"):
        read_features(b"[" * 100_000, "deep.geojson")


def test_too_many_points_are_refused_and_simplification_helps():
    line = [[index * 0.001, 0.0] for index in range(MAX_VERTICES + 1)]
    value = feature(geometry("LineString", line))
    with pytest.raises(InputError, match=r"50,001 points.*simplify"):
        read(value)
    assert read(value, simplify=0.01).vertices == 2
    with pytest.raises(InputError, match="at most 10 MB"):
        read_features(b" " * 10_000_001, "large.geojson")


def test_simplification_keeps_corners_and_never_closes_a_ring_too_far():
    zigzag = [[0, 0], [1, 0.001], [2, 0], [2, 2]]
    assert simplified(zigzag, 0.01) == [[0, 0], [2, 0], [2, 2]]
    assert simplified(zigzag, 0) == zigzag
    small = feature(geometry("Polygon", [SQUARE]))
    assert read(small, simplify=10).features[0].geometry["coordinates"] == [SQUARE]


def test_byte_order_mark_and_wgs84_names_are_fine():
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    text = json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature(None)]})
    assert len(read_features(b"\xef\xbb\xbf" + text.encode(), "x").features) == 1
