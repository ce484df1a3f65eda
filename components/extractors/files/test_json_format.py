"""JSON and JSON lines."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from .conftest import input_error, make_extractor, read, types


def test_jsonl_types_join_over_all_records(folder):
    content = (
        '{"i":1,"d":1,"m":1,"b":true,"o":{"x":[1]},"n":null,"big":1}\n\n'
        '{"i":2,"d":0.5,"m":"x","b":null,"o":[2],"big":99999999999999999999,"late":"é"}'
    )
    schema, rows, _ = read(make_extractor(folder, "x.jsonl", content))
    assert types(schema) == {
        "i": "int64",
        "d": "double",
        "m": "string",
        "b": "bool",
        "o": "jsonb",
        "n": "string",
        "big": "numeric",
        "late": "string",
    }
    assert rows[0]["o"] == '{"x":[1]}'
    assert rows[0]["m"] == "1"
    assert rows[1]["big"] == "99999999999999999999"
    assert [row["late"] for row in rows] == [None, "é"]


def test_jsonl_line_that_is_no_object_is_set_aside_by_line(folder):
    _, rows, letters = read(make_extractor(folder, "x.jsonl", '{"a":1}\n[1]\n"x"\n{"a":2}\n'))
    assert [row["a"] for row in rows] == [1, 2]
    assert [letter.position for letter in letters] == ["x.jsonl (line 2)", "x.jsonl (line 3)"]


def test_json_declared_columns_convert_or_are_set_aside(folder):
    content = '{"at":"2024-01-01T10:00:00Z","n":"1.25"}\n{"at":"soon","n":1}\n'
    extractor = make_extractor(folder, "x.jsonl", content, columns={"at": "timestamptz", "n": "numeric(5,2)"})
    _, rows, letters = read(extractor)
    assert rows == [{"at": datetime(2024, 1, 1, 10, tzinfo=UTC), "n": Decimal("1.25")}]
    assert letters[0].payload == {"at": "soon", "n": 1}


def test_text_in_a_declared_json_column_becomes_json(folder):
    _, rows, _ = read(make_extractor(folder, "x.jsonl", '{"j":"a"}\n{"j":[1]}\n', columns={"j": "jsonb"}))
    assert [row["j"] for row in rows] == ['"a"', "[1]"]


def test_json_record_with_nul_is_set_aside(folder):
    content = '{"a":"x"}\n{"a":"\\u0000"}\n{"a":"\\\\u0000"}\n'
    _, rows, letters = read(make_extractor(folder, "x.jsonl", content))
    assert [row["a"] for row in rows] == ["x", "\\u0000"]
    assert letters[0].position == "x.jsonl (line 2)"


@pytest.mark.parametrize(
    ("name", "content", "message", "line"),
    [
        ("x.jsonl", '{"a":1}\n{"a":\n', "not valid JSON", 2),
        ("x.jsonl", '{"a":NaN}\n', "not valid JSON", 1),
        ("x.jsonl", '{"a":1}\n{"a":-Infinity}\n', "not valid JSON", 2),
        ("x.jsonl", "", "empty file", None),
        ("x.json", "", "empty file", None),
        ("x.json", '[{"a":1},\n{"a":', "not valid JSON", 2),
        ("x.json", '[{"a":NaN}]', "not valid JSON", 1),
        ("x.json", '[{"a":1}] x', "not valid JSON", 1),
        ("x.json", '{"a":1}', "records_path", 1),
        ("x.json", "[]", "no records", None),
    ],
)
def test_bad_json_is_an_input_error(folder, name, content, message, line):
    error = input_error(make_extractor(folder, name, content))
    assert message in str(error)
    assert error.line == line


def test_json_array_streams_records_and_sets_others_aside(folder):
    content = '[{"a":1.5,"o":{"d":0.1}},\n 3, {"a":2,"o":null}, {"a":12345678901234567890}]'
    schema, rows, letters = read(make_extractor(folder, "x.json", content))
    assert types(schema) == {"a": "numeric", "o": "jsonb"}
    assert [row["a"] for row in rows] == ["1.5", "2", "12345678901234567890"]
    assert rows[0]["o"] == '{"d":0.1}'
    assert letters[0].position == "x.json (row 2)"


def test_records_path_finds_a_nested_array(folder):
    content = '{"meta":{"items":1},"data":{"items":[{"a":1}],"none":[]}}'
    _, rows, _ = read(make_extractor(folder, "x.json", content, records_path="data.items"))
    assert rows == [{"a": 1}]
    error = input_error(make_extractor(folder, "x.json", records_path="data.itemz"))
    assert "no array at 'data.itemz'" in str(error)
    _, rows, _ = read(make_extractor(folder, "x.json", records_path="data.none", columns={"a": "bigint"}))
    assert rows == []
