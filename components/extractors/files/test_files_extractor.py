import gzip
import http.server
import io
import json
import os
import re
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from dteg.connectors.base import Checkpoint, Context
from dteg.core.batch import sql_type_of
from dteg.core.errors import InputError, PermanentError, TransientError
from dteg.core.project import Project
from dteg.core.secrets import Secret
from dteg.testing.contract import contract_tests

from .files import FilesConfig, FilesExtractor


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def make_extractor(folder, path="data.csv", content=None, **config):
    if content is not None:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
    return FilesExtractor(FilesConfig(path=path, **config), Context(Project(folder)))


def read(extractor, since=None):
    """Return (schema, rows, dead letters)."""
    stream = next(iter(extractor.streams()))
    rows = [row for batch in extractor.read(stream, since) for row in batch.to_pylist()]
    return stream.schema, rows, extractor.context.dead_letters


def types(schema):
    return {column.name: sql_type_of(column) or str(column.type) for column in schema}


def input_error(extractor):
    with pytest.raises(InputError) as caught:
        read(extractor)
    return caught.value


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return buffer.getvalue()


def parquet_bytes(table):
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


# --- CSV: types ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "-2", "0"], "int64"),
        (["9223372036854775807"], "int64"),
        (["9223372036854775808", "1"], "numeric"),
        (["1", "2.5"], "double"),
        (["1e3", ".5", "nan"], "double"),
        (["nan", "inf"], "string"),
        (["9007199254740993", "0.5"], "numeric"),
        (["00123", "1"], "string"),
        (["007.5"], "string"),
        (["+4930"], "string"),
        (["0x1F"], "string"),
        (["true", "FALSE"], "bool"),
        (["true", "1"], "string"),
        (["2024-02-29"], "date32[day]"),
        (["2023-02-29"], "string"),
        (["2024-01-01", "2024-01-01T10:00:00"], "timestamp[us]"),
        (["2024-01-01 10:00:00.123456"], "timestamp[us]"),
        (["2024-01-01T10:00:00Z", "2024-01-01T10:00:00+02:00"], "timestamp[us, tz=UTC]"),
        (["2024-01-01T10:00:00Z", "2024-01-01T10:00:00"], "string"),
        (["1", "x"], "string"),
        (["", ""], "string"),
    ],
)
def test_csv_type_is_the_narrowest_that_keeps_every_value(folder, values, expected):
    lines = "".join(f"{value},x\n" for value in values)
    schema, rows, letters = read(make_extractor(folder, content=f"v,other\n{lines}"))
    assert types(schema)["v"] == expected
    assert len(rows) == len(values)
    assert not letters


def test_csv_type_comes_from_all_rows_not_the_first_block(folder):
    content = "v,w\n" + "1,a\n" * 400_000 + "x,a\n"
    schema, rows, _ = read(make_extractor(folder, content=content))
    assert types(schema)["v"] == "string"
    assert rows[-1]["v"] == "x"


def test_infer_rows_looks_at_the_first_rows_and_later_misfits_are_set_aside(folder):
    content = "v,w\n" + "1,a\n" * 400_000 + "x,a\n"
    schema, rows, letters = read(make_extractor(folder, content=content, infer_rows=10))
    assert types(schema)["v"] == "int64"
    assert len(rows) == 400_000
    assert letters[0].position == "data.csv (row 400001)"


def test_empty_field_is_null_and_quoted_empty_field_is_a_text(folder):
    _, rows, _ = read(make_extractor(folder, content='a,b\n,x\n"",y\nNA,z\n'))
    assert [row["a"] for row in rows] == [None, "", "NA"]


def test_quoted_empty_field_in_a_number_column_is_null(folder):
    schema, rows, letters = read(make_extractor(folder, content='a,b\n"1","x"\n"","y"\n'))
    assert types(schema)["a"] == "int64"
    assert rows[1]["a"] is None
    assert not letters


def test_null_values_apply_to_unquoted_fields_only(folder):
    extractor = make_extractor(folder, content='a,b\nNA,1\n"NA",NA\n', null_values=["NA"])
    _, rows, _ = read(extractor)
    assert rows == [{"a": None, "b": 1}, {"a": "NA", "b": None}]


def test_declared_columns_get_exact_types(folder):
    columns = {
        "n": "numeric(6,2)",
        "d": "date",
        "t": "time",
        "u": "uuid",
        "s": "varchar(3)",
        "j": "json",
        "z": "timestamptz",
    }
    content = (
        "n,d,t,u,s,j,z\n1.50,2024-01-31,10:20,6f1e2f4a-0000-4000-8000-000000000000,abc,"
        '"{""a"":1}",2024-01-01T00:00:00Z\n'
    )
    schema, rows, letters = read(make_extractor(folder, content=content, columns=columns))
    assert types(schema) == columns
    assert rows[0]["n"] == Decimal("1.50")
    assert rows[0]["d"] == date(2024, 1, 31)
    assert rows[0]["z"] == datetime(2024, 1, 1, tzinfo=UTC)
    assert not letters


def test_values_that_do_not_convert_are_set_aside_with_row_and_texts(folder):
    content = "id,n\n1,1.5\nx,2\n3,abc\n4,4\n"
    extractor = make_extractor(folder, content=content, columns={"id": "bigint", "n": "numeric(4,1)"})
    _, rows, letters = read(extractor)
    assert [row["id"] for row in rows] == [1, 4]
    assert [(letter.position, letter.payload) for letter in letters] == [
        ("data.csv (row 2)", {"id": "x", "n": "2"}),
        ("data.csv (row 3)", {"id": "3", "n": "abc"}),
    ]
    assert "bigint" in letters[0].reason
    assert "x" not in letters[0].reason.replace("'id'", "")


def test_ragged_rows_are_set_aside_and_later_rows_keep_their_numbers(folder):
    content = "id,b\n1,x\n2\n3,y,z\nbad,z\n5,w\n"
    _, rows, letters = read(make_extractor(folder, content=content, columns={"id": "bigint"}))
    assert [row["id"] for row in rows] == [1, 5]
    found = {letter.position: letter.reason for letter in letters}
    assert found["data.csv (row 2)"] == "1 columns where the header has 2"
    assert found["data.csv (row 3)"] == "3 columns where the header has 2"
    assert "bigint" in found["data.csv (row 4)"]


def test_unknown_declared_column_is_an_error(folder):
    assert "'x'" in str(input_error(make_extractor(folder, content="a\n1\n", columns={"x": "text"})))


# --- CSV: form -------------------------------------------------------------------------------


def test_quoted_line_breaks_and_doubled_quotes(folder):
    _, rows, _ = read(make_extractor(folder, content='a,b\n"x\ny","say ""hi"""\n'))
    assert rows == [{"a": "x\ny", "b": 'say "hi"'}]


def test_delimiter_quote_and_missing_header(folder):
    extractor = make_extractor(folder, content="1;'a;b'\n2;c\n", delimiter=";", quote="'", header=False)
    _, rows, _ = read(extractor)
    assert rows == [{"column_1": 1, "column_2": "a;b"}, {"column_1": 2, "column_2": "c"}]


def test_tsv_without_quotes(folder):
    _, rows, _ = read(make_extractor(folder, "x.tsv", 'a\tb\n1\t5" pipe\n', quote=""))
    assert rows == [{"a": 1, "b": '5" pipe'}]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252", "utf-16", "utf-16-le"])
def test_encodings_and_byte_order_mark(folder, encoding):
    content = "straße,b\nü,1\r\n".encode(encoding)
    given = "utf-8" if encoding == "utf-8-sig" else encoding
    _, rows, _ = read(make_extractor(folder, content=content, encoding=given))
    assert rows == [{"straße": "ü", "b": 1}]


def test_header_only_gives_text_columns_and_no_rows(folder):
    schema, rows, _ = read(make_extractor(folder, content="a,b\n"))
    assert types(schema) == {"a": "string", "b": "string"}
    assert rows == []


def test_one_column_keeps_empty_lines_as_nulls(folder):
    _, rows, _ = read(make_extractor(folder, content="a\nx\n\ny\n"))
    assert [row["a"] for row in rows] == ["x", None, "y"]


def test_record_larger_than_a_block_is_read_once(folder):
    content = "id,text\n1,a\n2\n" + f"3,{'x' * 3_000_000}\n4,b\n"
    _, rows, letters = read(make_extractor(folder, content=content))
    assert [row["id"] for row in rows] == [1, 3, 4]
    assert len(rows[1]["text"]) == 3_000_000
    assert [letter.position for letter in letters] == ["data.csv (row 2)"]


@pytest.mark.parametrize(
    ("content", "message", "line"),
    [
        (b"", "empty file", None),
        (b"\n\n", "empty file", None),
        (b"a,a\n1,2\n", "'a' stands twice", 1),
        (b"a,,c\n1,2,3\n", "column 2 has no name", 1),
        (b"a,b\n1,2\n3,\xff\n", "bytes ff are not utf-8", 3),
        (b"a,b\n1,\xe2\x82\n", "are not utf-8", 2),
        (b"a,b\n1,2\n3,4\n5,\x006\n", "NUL", 4),
        (b'a,b\n1,2\n3,"open\n4,5\n', "never closed", 3),
        (b'a,b\n1,"x ""y"" z"\n3,"say ""open\n4,5\n', "never closed", 3),
        (b"a,b\n1,2\n3," + b"x" * 5000 + b"\n", "longer than 4096", 3),
    ],
)
def test_bad_csv_is_an_input_error_at_its_line(folder, content, message, line):
    error = input_error(make_extractor(folder, content=content, max_line_bytes=4096))
    assert message in str(error)
    assert error.line == line
    assert error.source == "data.csv"


def test_unclosed_quote_in_a_large_file_is_found(folder):
    content = "a,b\n" + "1,2\n" * 10 + '3,"open\n' + "4,5\n" * 1_000_000
    error = input_error(make_extractor(folder, content=content, max_line_bytes=1 << 20))
    assert error.line == 12


def test_undecodable_bytes_far_behind_and_over_a_chunk_border(folder):
    # The two bytes of the last good character lie in different chunks.
    head = b"a,b\n" + b"1,2\n" * 262_142 + b"1,"
    content = head + b"z" * ((1 << 20) - len(head) % (1 << 20) - 1) + "é\n".encode() + b"3,\x80\n"
    error = input_error(make_extractor(folder, content=content))
    assert error.line == content[: content.rindex(b"\x80")].count(b"\n") + 1


def test_half_of_a_surrogate_pair_is_an_input_error(folder):
    content = b"a,b\n1,2\n\\ud800,3\n"
    assert input_error(make_extractor(folder, content=content, encoding="unicode_escape")).line == 3


def test_bad_bytes_in_utf_16_are_found_by_line(folder):
    content = "a,b\n1,2\n".encode("utf-16-le") + b"\x00\xd8" + "x,3\n".encode("utf-16-le")
    assert input_error(make_extractor(folder, content=content, encoding="utf-16-le")).line == 3


# --- archives and places ---------------------------------------------------------------------


def test_gzip_and_zip_are_unpacked(folder):
    content = b"a,b\n1,x\n"
    for name, packed in (("d.csv.gz", gzip.compress(content)), ("d.csv.zip", zipped(inner__csv=content))):
        _, rows, _ = read(make_extractor(folder, name, packed))
        assert rows == [{"a": 1, "b": "x"}]


def test_zip_with_several_members_needs_a_choice(folder):
    packed = zipped(one__csv=b"a\n1\n", two__csv=b"a\n2\n")
    error = input_error(make_extractor(folder, "d.csv.zip", packed))
    assert "one.csv, two.csv" in str(error)
    _, rows, _ = read(make_extractor(folder, "d.csv.zip", member="two.csv"))
    assert rows == [{"a": 2}]
    assert "no member" in str(input_error(make_extractor(folder, "d.csv.zip", member="three.csv")))


@pytest.mark.parametrize("name", ["d.csv.gz", "d.csv.zip"])
def test_truncated_archive_is_an_input_error(folder, name):
    content = "a,b\n" + "".join(f"{number},{number * 7919}\n" for number in range(50_000))
    packed = gzip.compress(content.encode()) if name.endswith(".gz") else zipped(inner__csv=content)
    error = input_error(make_extractor(folder, name, packed[: len(packed) // 2]))
    assert error.source == name
    assert re.search("truncated|damaged", str(error))


def test_plain_file_called_gz_is_an_input_error(folder):
    assert "archive" in str(input_error(make_extractor(folder, "d.csv.gz", b"a,b\n1,2\n")))


@pytest.mark.parametrize(
    "path", ["missing.csv", "none/*.csv", "package://no-such-dist/x.csv", "package://pyarrow/x.csv"]
)
def test_missing_file_is_an_input_error_that_names_the_path(folder, path):
    assert input_error(make_extractor(folder, path)).source == path


def test_folder_is_an_input_error(folder):
    (folder / "data").mkdir()
    assert "data/*.csv" in str(input_error(make_extractor(folder, "data", format="csv")))


def test_file_of_an_installed_package_is_found_without_import(folder):
    extractor = make_extractor(folder, "package://pyarrow/pyarrow/tests/data/parquet/v0.7.1.parquet")
    try:
        _, rows, _ = read(extractor)
    except InputError:
        pytest.skip("this pyarrow has no test data")
    assert rows
    position = extractor.checkpoint(next(iter(extractor.streams())))
    assert f"version={pa.__version__}" in position["files"][extractor.config.path]


def test_glob_is_one_stream_in_order_with_joined_columns(folder):
    make_extractor(folder, "in/b.csv", "id,new\n2.5,x\n")
    make_extractor(folder, "in/a.csv", "id,old\n1,y\n")
    extractor = make_extractor(folder, "in/*.csv")
    assert FilesExtractor.stream_names(extractor.config) == ["in"]
    schema, rows, _ = read(extractor)
    assert types(schema) == {"id": "double", "old": "string", "new": "string"}
    assert rows == [{"id": 1.0, "old": "y", "new": None}, {"id": 2.5, "old": None, "new": "x"}]


def test_name_with_brackets_is_a_file_before_it_is_a_pattern(folder):
    _, rows, _ = read(make_extractor(folder, "a[1].csv", "x\n1\n"))
    assert rows == [{"x": 1}]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("data/Orders 2024.csv.gz", "orders_2024"),
        ("in/orders_*.jsonl", "orders"),
        ("https://example.com/x/Items.json?page=1", "items"),
        ("package://dist/dist/data/flights.csv.zip", "flights"),
    ],
)
def test_stream_name_comes_from_the_path(path, expected):
    assert FilesExtractor.stream_names(FilesConfig(path=path)) == [expected]


def test_bad_columns_and_key_are_refused_before_reading(folder):
    with pytest.raises(ValidationError, match="bigint"):
        FilesConfig(path="a.csv", columns={"x": "bigintt"})
    extractor = make_extractor(folder, content="a\n1\n", primary_key=["b"])
    with pytest.raises(Exception, match="no column 'b'"):
        read(extractor)


# --- resuming --------------------------------------------------------------------------------


def test_files_in_the_checkpoint_are_not_read_again(folder):
    make_extractor(folder, "in/a.csv", "id\n1\n")
    first = make_extractor(folder, "in/*.csv")
    read(first)
    saved = json.loads(json.dumps(first.checkpoint(next(iter(first.streams())))))
    make_extractor(folder, "in/b.csv", "id\n2\n")
    second = make_extractor(folder, "in/*.csv")
    _, rows, _ = read(second, Checkpoint(position=saved))
    assert rows == [{"id": 2}]
    assert set(second.checkpoint(next(iter(second.streams())))["files"]) == {"in/a.csv", "in/b.csv"}


def test_changed_file_is_read_again_and_full_read_takes_all(folder):
    extractor = make_extractor(folder, content="id\n1\n")
    read(extractor)
    saved = Checkpoint(position=extractor.checkpoint(next(iter(extractor.streams()))))
    assert read(make_extractor(folder), saved)[1] == []
    assert len(read(make_extractor(folder), None)[1]) == 1
    assert len(read(make_extractor(folder, content="id\n1\n2\n"), saved)[1]) == 2


def test_file_that_was_not_read_to_its_end_is_not_in_the_checkpoint(folder):
    make_extractor(folder, "in/a.csv", "id\n1\n")
    make_extractor(folder, "in/b.csv", "id\n2\n")
    extractor = make_extractor(folder, "in/*.csv")
    stream = next(iter(extractor.streams()))
    batches = extractor.read(stream, None)
    next(batches)
    assert extractor.checkpoint(stream) == {"files": {}}
    next(batches)
    assert set(extractor.checkpoint(stream)["files"]) == {"in/a.csv"}


def test_change_sensor_sees_a_new_file(folder):
    make_extractor(folder, "in/a.csv", "id\n1\n")
    sensor = make_extractor(folder, "in/*.csv").change_sensor()
    before = sensor.fingerprint()
    assert sensor.fingerprint() == before
    make_extractor(folder, "in/b.csv", "id\n1\n")
    assert sensor.fingerprint() != before


# --- JSON ------------------------------------------------------------------------------------


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


# --- Parquet ---------------------------------------------------------------------------------


def test_parquet_types_are_kept_or_made_storable(folder):
    table = pa.table(
        {
            "n": pa.array([Decimal("1.50")], pa.decimal128(12, 2)),
            "s": pa.array(["x"]).dictionary_encode(),
            "o": pa.array([{"a": [1, 2]}]),
            "m": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
            "u": pa.array([2**64 - 1], pa.uint64()),
            "t": pa.array([datetime(2024, 1, 1, tzinfo=UTC)], pa.timestamp("us", tz="UTC")),
        }
    )
    schema, rows, _ = read(make_extractor(folder, "x.parquet", parquet_bytes(table)))
    assert types(schema) == {
        "n": "numeric(12,2)",
        "s": "string",
        "o": "jsonb",
        "m": "jsonb",
        "u": "numeric(20,0)",
        "t": "timestamp[us, tz=UTC]",
    }
    assert rows[0]["n"] == Decimal("1.50")
    assert (rows[0]["s"], rows[0]["o"], rows[0]["m"]) == ("x", '{"a":[1,2]}', '{"k":1}')
    assert rows[0]["u"] == 2**64 - 1


def test_parquet_files_widen_each_other_but_must_fit(folder):
    make_extractor(folder, "in/a.parquet", parquet_bytes(pa.table({"a": pa.array([1], pa.int32())})))
    make_extractor(folder, "in/b.parquet", parquet_bytes(pa.table({"a": [2], "b": ["x"]})))
    schema, rows, _ = read(make_extractor(folder, "in/*.parquet"))
    assert types(schema) == {"a": "int64", "b": "string"}
    assert rows == [{"a": 1, "b": None}, {"a": 2, "b": "x"}]
    make_extractor(folder, "in/c.parquet", parquet_bytes(pa.table({"a": ["text"]})))
    assert input_error(make_extractor(folder, "in/*.parquet")).source == "in/c.parquet"


def test_parquet_value_that_is_not_of_its_declared_type_is_set_aside(folder):
    content = parquet_bytes(pa.table({"a": ["1", "x", "3"]}))
    _, rows, letters = read(make_extractor(folder, "x.parquet", content, columns={"a": "integer"}))
    assert [row["a"] for row in rows] == [1, 3]
    assert letters[0].position == "x.parquet (row 2)"


@pytest.mark.parametrize("keep", [0, 3, 0.5, 0.95])
def test_truncated_parquet_is_an_input_error(folder, keep):
    content = parquet_bytes(pa.table({"a": list(range(10_000))}))
    length = keep if isinstance(keep, int) else int(len(content) * keep)
    assert input_error(make_extractor(folder, "x.parquet", content[:length])).source == "x.parquet"


def test_damaged_parquet_page_is_an_input_error(folder):
    content = bytearray(parquet_bytes(pa.table({"a": [f"{number}" for number in range(50_000)]})))
    content[100:2000] = b"\xff" * 1900
    assert input_error(make_extractor(folder, "x.parquet", bytes(content))).source == "x.parquet"


def test_packed_parquet_is_unpacked_to_a_temporary_file(folder):
    content = parquet_bytes(pa.table({"a": [1]}))
    for name, packed in (
        ("x.parquet.gz", gzip.compress(content)),
        ("x.parquet.zip", zipped(x__parquet=content)),
    ):
        assert read(make_extractor(folder, name, packed))[1] == [{"a": 1}]


# --- HTTP ------------------------------------------------------------------------------------


class FileServer(http.server.ThreadingHTTPServer):
    """Serves one content; can cut, refuse, redirect and change."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = b"id,name\n" + b"".join(b"%d,x\n" % number for number in range(100_000))
        self.etag = '"v1"'
        self.cut_at = None
        self.answers = []  # (status, headers) to give first
        self.seen = []  # (method, headers)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/data.csv"


class _Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        server = self.server
        server.seen.append((self.command, dict(self.headers)))
        if server.answers:
            status, headers = server.answers.pop(0)
            self.reply(status, headers)
            return
        if server.etag and self.headers.get("If-None-Match") == server.etag:
            self.reply(304, {"ETag": server.etag})
            return
        start = 0
        if "Range" in self.headers and self.headers.get("If-Range") == server.etag:
            start = int(re.match(r"bytes=(\d+)-", self.headers["Range"])[1])
        body = server.content[start:]
        headers = {"Content-Length": str(len(body))}
        if server.etag:
            headers["ETag"] = server.etag
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(server.content) - 1}/{len(server.content)}"
        self.reply(206 if start else 200, headers, body)

    def reply(self, status, headers, body=b""):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", "0")
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.server.cut_at is not None:
            body, self.server.cut_at = body[: self.server.cut_at], None
            self.close_connection = True
        self.wfile.write(body)


@pytest.fixture
def server():
    with FileServer() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_http_file_is_downloaded_once_and_then_only_asked_about(folder, server):
    first = make_extractor(folder, server.url)
    _, rows, _ = read(first)
    assert len(rows) == 100_000
    saved = Checkpoint(position=first.checkpoint(next(iter(first.streams()))))
    assert [method for method, _ in server.seen] == ["GET"]
    again = make_extractor(folder, server.url)
    assert read(again, saved)[1] == []
    assert server.seen[-1][1]["if-none-match"] == '"v1"'
    server.content, server.etag = b"id,name\n1,new\n", '"v2"'
    assert read(make_extractor(folder, server.url), saved)[1] == [{"id": 1, "name": "new"}]


def test_http_download_goes_on_where_it_was_cut(folder, server):
    server.cut_at = 300_000
    with pytest.raises(TransientError, match="the next try goes on"):
        read(make_extractor(folder, server.url))
    _, rows, _ = read(make_extractor(folder, server.url))
    assert [row["id"] for row in rows] == list(range(100_000))
    assert server.seen[-1][1]["range"] == "bytes=300000-"


def test_http_download_starts_again_when_the_file_changed_after_the_cut(folder, server):
    server.cut_at = 300_000
    with pytest.raises(TransientError):
        read(make_extractor(folder, server.url))
    server.content, server.etag = b"id,name\n1,new\n", '"v2"'
    assert read(make_extractor(folder, server.url))[1] == [{"id": 1, "name": "new"}]


def test_http_download_without_validators_starts_again(folder, server):
    server.etag = ""
    server.cut_at = 300_000
    with pytest.raises(TransientError):
        read(make_extractor(folder, server.url))
    extractor = make_extractor(folder, server.url)
    assert len(read(extractor)[1]) == 100_000
    assert "range" not in server.seen[-1][1]
    (fingerprint,) = extractor.checkpoint(next(iter(extractor.streams())))["files"].values()
    assert fingerprint.startswith("sha256=")


@pytest.mark.parametrize(
    ("status", "headers", "error", "retry_after_s"),
    [
        (404, {}, PermanentError, None),
        (403, {}, PermanentError, None),
        (503, {"Retry-After": "7"}, TransientError, 7.0),
        (429, {"Retry-After": "Wed, 01 Jan 2020 00:00:00 GMT"}, TransientError, 0.0),
        (500, {}, TransientError, None),
        (416, {}, TransientError, None),
    ],
)
def test_http_status_becomes_our_error(folder, server, *, status, headers, error, retry_after_s):
    server.answers = [(status, headers)]
    with pytest.raises(error) as caught:
        read(make_extractor(folder, server.url))
    assert getattr(caught.value, "retry_after_s", None) == retry_after_s


def test_unreachable_server_is_transient_and_hides_the_password(folder):
    with pytest.raises(TransientError) as caught:
        read(make_extractor(folder, "http://me:hunter2@127.0.0.1:1/data.csv"))
    assert "hunter2" not in str(caught.value)


def test_url_and_header_that_cannot_be_sent_are_our_error(folder, server, monkeypatch):
    monkeypatch.setenv("TEST_FILES_KEY", "schlüssel")
    with pytest.raises(PermanentError) as caught:
        read(make_extractor(folder, server.url, headers={"X-Key": "secret://env/TEST_FILES_KEY"}))
    assert "schl" not in str(caught.value)
    with pytest.raises(PermanentError, match="not valid"):
        read(make_extractor(folder, "http://127.0.0.1:port/data.csv"))


def test_headers_are_sent_to_the_configured_server_only(folder, server, monkeypatch):
    monkeypatch.setenv("TEST_FILES_KEY", "k-123")
    server.answers = [(302, {"Location": server.url.replace("127.0.0.1", "localhost")})]
    extractor = make_extractor(folder, server.url, headers={"X-Key": "secret://env/TEST_FILES_KEY"})
    assert len(read(extractor)[1]) == 100_000
    first, second = (headers for _, headers in server.seen)
    assert first["X-Key"] == "k-123"
    assert "X-Key" not in second


def test_redirect_to_another_scheme_and_redirect_loops_are_refused(folder, server):
    server.answers = [(302, {"Location": "ftp://example.com/data.csv"})]
    with pytest.raises(PermanentError, match="ftp"):
        read(make_extractor(folder, server.url))
    server.answers = [(302, {"Location": server.url})] * 10
    with pytest.raises(PermanentError, match="redirects"):
        read(make_extractor(folder, server.url))


def test_http_sensor_asks_for_headers_only(folder, server):
    sensor = make_extractor(folder, server.url).change_sensor()
    before = sensor.fingerprint()
    assert {method for method, _ in server.seen} == {"HEAD"}
    server.etag = '"v2"'
    assert sensor.fingerprint() != before
    server.answers = [(405, {})]
    assert sensor.fingerprint() != before
    assert server.seen[-1][0] == "GET"


def test_http_parquet_is_read_from_the_cache(folder, server):
    server.content = parquet_bytes(pa.table({"a": [1, 2]}))
    extractor = make_extractor(folder, server.url.replace(".csv", ".parquet"))
    assert read(extractor)[1] == [{"a": 1}, {"a": 2}]


# --- memory ----------------------------------------------------------------------------------

_PEAK = """
import sys
from pathlib import Path
from PACKAGE.files import FilesConfig, FilesExtractor
from dteg.connectors.base import Context
from dteg.core.project import Project
from dteg.core.secrets import Secret
extractor = FilesExtractor(FilesConfig(path=sys.argv[1]), Context(Project(Path(sys.argv[1]).parent)))
stream = next(iter(extractor.streams()))
rows = sum(batch.num_rows for batch in extractor.read(stream, None))
# Not ru_maxrss, which starts at the size of the parent process.
status = Path("/proc/self/status").read_text()
print(rows, int(status.split("VmHWM:")[1].split()[0]) // 1024)
"""


def peak_mb(path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    done = subprocess.run(
        [sys.executable, "-c", _PEAK.replace("PACKAGE", __package__), str(path)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [int(number) for number in done.stdout.split()]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_memory_does_not_grow_with_rows(folder, suffix):
    filler = "some text that takes room " * (10 if suffix == "csv" else 40)
    unit = 80_000 if suffix == "csv" else 20_000
    line = f"{{0}},{filler}{{0}},{{0}}.5\n" if suffix == "csv" else f'{{{{"a":{{0}},"b":"{filler}{{0}}"}}}}\n'
    paths = []
    for factor in (1, 5):
        paths.append(folder / f"x{factor}.{suffix}")
        with paths[-1].open("w") as file:
            file.write("a,b,c\n" if suffix == "csv" else "")
            file.writelines(line.format(number) for number in range(unit * factor))
    with ThreadPoolExecutor() as pool:
        (few, small), (many, large) = pool.map(peak_mb, paths)
    assert (few, many) == (unit, unit * 5)
    # Measured: 5 to 30 MB between the two; more than 110 MB when everything is kept.
    assert large < small + 60, (small, large)


def _contract_config(tmp_path: Path):
    lines = "".join(f"{number},name {number}\n" for number in range(5))
    (tmp_path / "items.csv").write_text(f"id,name\n{lines}")
    return {"path": str(tmp_path / "items.csv"), "primary_key": ["id"]}


_Contract = contract_tests(
    FilesExtractor,
    config=_contract_config,
    bad_config=[
        {"path": ""},
        {"path": "data.unknown"},
        {"delimiter": ";;"},
        {"quote": ","},
        {"encoding": "no-such-codec"},
        {"encoding": "hex"},
        {"columns": {"id": "no_such_type"}},
        {"headers": {"Authorization": "Bearer plain"}},
    ],
)


class TestFilesExtractorContract(_Contract):
    def test_secrets_are_masked(self, case):
        super().test_secrets_are_masked(case)
        # The secrets are values of a mapping.
        config = case.checked_config(headers={"Authorization": Secret("canary", literal=True)})
        extractor = FilesExtractor(config, case.create().context)
        for shown in (repr(config), str(config.model_dump()), config.model_dump_json(), repr(extractor)):
            assert "canary" not in shown
