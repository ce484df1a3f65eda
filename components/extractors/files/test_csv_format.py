"""CSV: types, form, and what is wrong with it."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from .conftest import input_error, make_extractor, read, types


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
    content = "a,b\n" + "1,2\n" * 10 + '3,"open\n' + "4,5\n" * 400_000
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
