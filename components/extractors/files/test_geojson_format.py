import json

import pytest

from dteg.connectors.base import Context
from dteg.core.batch import sql_type_of
from dteg.core.errors import InputError
from dteg.core.project import Project

from .files import FilesConfig, FilesExtractor

POINT = {"type": "Point", "coordinates": [1.5, 2]}


def feature(properties, geometry=POINT, **more):
    return {"type": "Feature", "properties": properties, "geometry": geometry, **more}


def collection(*features, **more):
    return json.dumps({"type": "FeatureCollection", **more, "features": list(features)})


def read(folder, text, **config):
    """Return (types, rows, dead letters)."""
    (folder / "data.geojson").write_text(text)
    extractor = FilesExtractor(FilesConfig(path="data.geojson", **config), Context(Project(folder)))
    stream = next(iter(extractor.streams()))
    rows = [row for batch in extractor.read(stream, None) for row in batch.to_pylist()]
    types = {column.name: sql_type_of(column) or str(column.type) for column in stream.schema}
    return types, rows, [(letter.position, letter.reason) for letter in extractor.context.dead_letters]


def test_properties_are_columns_and_the_geometry_is_json(tmp_path):
    text = collection(
        feature({"n": 1, "s": "x"}), feature({"n": 2.5}, None), feature(None), crs={"type": "name"}
    )
    types, rows, letters = read(tmp_path, text)
    assert types == {"n": "double", "s": "string", "geometry": "jsonb"}
    assert [row["n"] for row in rows] == [1.0, 2.5, None]
    assert json.loads(rows[0]["geometry"]) == POINT
    assert rows[1]["geometry"] is None
    assert letters == []


def test_ids_of_features_are_a_column(tmp_path):
    types, rows, _ = read(tmp_path, collection(feature({"a": 1}, id="x1"), feature({"a": 2}, id="x2")))
    assert list(types) == ["feature_id", "geometry", "a"]
    assert [row["feature_id"] for row in rows] == ["x1", "x2"]


def test_a_collection_of_nulls_still_has_a_geometry(tmp_path):
    types, _, _ = read(tmp_path, collection(feature({"a": 1}, None)))
    assert types == {"a": "int64", "geometry": "jsonb"}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (5, 'not a GeoJSON feature: an object with "type": "Feature"'),
        ({"type": "feature", "properties": {}}, 'not a GeoJSON feature: an object with "type": "Feature"'),
        (feature([1]), "`properties` is neither an object nor null"),
        (feature({}, {"type": "Square", "coordinates": []}), "`geometry` is no geometry of GeoJSON"),
        (feature({}, {"type": "Point"}), "`geometry` is no geometry of GeoJSON"),
        (
            feature({}, {"type": "GeometryCollection", "coordinates": []}),
            "`geometry` is no geometry of GeoJSON",
        ),
        (feature({}, [1, 2]), "`geometry` is no geometry of GeoJSON"),
    ],
)
def test_what_is_no_feature_is_set_aside(tmp_path, bad, reason):
    _, rows, letters = read(tmp_path, collection(feature({"a": 1}), bad))
    assert [row["a"] for row in rows] == [1]
    assert letters == [("data.geojson (row 2)", reason)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty file"),
        ("[1]", "no GeoJSON FeatureCollection: it has no array `features`"),
        (json.dumps(feature({"a": 1})), "no GeoJSON FeatureCollection"),
        (json.dumps({"type": "FeatureCollection", "features": {}}), "no GeoJSON FeatureCollection"),
        (collection(), "holds no records"),
        (collection(feature({"a": 1}))[:-10], "not valid JSON"),
        (collection(feature({"geometry": 1})), "a property is called 'geometry'"),
        (collection(feature({"feature_id": 1}, id=5)), "a property is called 'feature_id'"),
    ],
)
def test_what_is_no_collection_is_said(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, text)
