import pyarrow as pa
import pytest

from dteg.connectors import Column, Columns, Stream
from dteg.core import types
from dteg.core.columns import sql_type
from dteg.core.sql_types import NAMES
from dteg.core.types import arrow_schema, sql_field

COLUMNS = Columns({"id": "bigint", "price": "numeric(15,2)", "at": "timestamptz", "mood": "feeling"})


def test_columns_are_asked_as_an_arrow_schema_is():
    schema = arrow_schema(COLUMNS)
    assert COLUMNS.names == schema.names
    assert [each.name for each in COLUMNS] == [each.name for each in schema]
    assert [sql_type(each) for each in COLUMNS] == [sql_type(each) for each in schema]
    assert sql_type(COLUMNS.field("price")) == sql_type(schema.field("price")) == "numeric(15,2)"
    with pytest.raises(KeyError):
        COLUMNS.field("absent")


def test_columns_become_the_arrow_schema_of_their_sql_types():
    expected = [sql_field(each.name, each.sql_type) for each in list(COLUMNS)[:3]]
    assert list(arrow_schema(COLUMNS))[:3] == expected
    mood = arrow_schema(COLUMNS).field("mood")
    assert (mood.type, sql_type(mood)) == (pa.string(), "feeling")


def test_a_stream_of_columns_has_an_arrow_schema_too():
    given = pa.schema([("id", pa.int64())])
    assert Stream("s", COLUMNS).schema.equals(arrow_schema(COLUMNS), check_metadata=True)
    assert Stream("s", given).schema is given


def test_columns_compare_by_names_types_and_order():
    assert Columns({"a": "text", "b": "date"}) == Columns({"a": "text", "b": "date"})
    assert Columns({"a": "text", "b": "date"}) != Columns({"b": "date", "a": "text"})
    assert Columns({"a": "text"}) != Columns({"a": "date"})
    assert hash(Columns({"a": "text"})) == hash(Columns({"a": "text"}))
    assert list(Columns({"a": "text"})) == [Column("a", "text")]


def test_each_known_name_of_a_type_has_its_arrow_type():
    assert set(types._ARROW) == NAMES
