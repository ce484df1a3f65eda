import io
import sys
import zipfile
from datetime import date, datetime, time, timedelta

import openpyxl
import pytest

from dteg.connectors.base import Context
from dteg.core.batch import sql_type_of
from dteg.core.errors import InputError, MissingExtraError
from dteg.core.project import Project

from .files import FilesConfig, FilesExtractor


def workbook(*rows, title="Sheet", **other_sheets):
    book = openpyxl.Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(row)
    for name, lines in other_sheets.items():
        sheet = book.create_sheet(name)
        for line in lines:
            sheet.append(line)
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def edited(data, member, change):
    """Return a workbook with one part changed, or taken away by a change to None."""
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            content = old.read(info)
            if info.filename == member:
                content = change(content)
            if content is not None:
                new.writestr(info.filename, content)
    return sink.getvalue()


def read(folder, data, **config):
    """Return (SQL or Arrow types, rows, dead letters)."""
    (folder / "data.xlsx").write_bytes(data)
    extractor = FilesExtractor(FilesConfig(path="data.xlsx", **config), Context(Project(folder)))
    stream = next(iter(extractor.streams()))
    rows = [row for batch in extractor.read(stream, None) for row in batch.to_pylist()]
    types = {column.name: sql_type_of(column) or str(column.type) for column in stream.schema}
    return types, rows, [(letter.position, letter.reason) for letter in extractor.context.dead_letters]


def test_cells_say_their_types(tmp_path):
    day, moment = date(2026, 1, 2), datetime.fromisoformat("2026-01-02T03:04:05")
    data = workbook(
        ("i", "f", "b", "d", "t", "s", "mixed", "empty"),
        (1, 1.5, True, day, moment, "007", 1, None),
        (-2, 2, False, None, day, "x", "a", ""),
    )
    types, rows, letters = read(tmp_path, data)
    assert types == {
        "i": "int64", "f": "double", "b": "bool", "d": "date32[day]", "t": "timestamp[us]", "s": "string",
        "mixed": "string", "empty": "string",
    }  # fmt: skip
    assert rows[0] == {
        "i": 1, "f": 1.5, "b": True, "d": day, "t": moment, "s": "007", "mixed": "1", "empty": None,
    }  # fmt: skip
    assert rows[1]["t"] == datetime.fromisoformat("2026-01-02")
    assert rows[1]["mixed"] == "a"
    assert letters == []


def test_whole_numbers_stay_exact_up_to_64_bits(tmp_path):
    types, rows, _ = read(tmp_path, workbook(("n",), (2**53 - 1,), (7,)))
    assert (types, rows[0]) == ({"n": "int64"}, {"n": 2**53 - 1})


def test_times_and_durations_are_texts(tmp_path):
    _, rows, _ = read(tmp_path, workbook(("t", "d"), (time(7, 30), timedelta(hours=30, seconds=5))))
    assert rows == [{"t": "07:30:00", "d": "30:00:05"}]


def test_declared_types_win_and_what_does_not_fit_is_set_aside(tmp_path):
    data = workbook(
        ("n", "d", "s"), (1.25, "2026-01-02", 5), ("x", datetime.fromisoformat("2026-01-02T03:00"), 6.0)
    )
    types, rows, letters = read(tmp_path, data, columns={"n": "numeric(5,2)", "d": "date", "s": "text"})
    assert types == {"n": "numeric(5,2)", "d": "date", "s": "text"}
    assert [(str(row["n"]), row["d"], row["s"]) for row in rows] == [("1.25", date(2026, 1, 2), "5")]
    assert letters == [("data.xlsx (sheet row 3)", "column 'n': not a valid numeric(5,2)")]


def test_errors_in_cells_are_set_aside_and_do_not_change_the_type(tmp_path):
    types, rows, letters = read(tmp_path, workbook(("a", "b"), (1, 2), ("#N/A", 3), ("#DIV/0!", 4)))
    assert (types, rows) == ({"a": "int64", "b": "int64"}, [{"a": 1, "b": 2}])
    assert letters == [
        ("data.xlsx (sheet row 3)", "column 'a': the cell holds the error #N/A"),
        ("data.xlsx (sheet row 4)", "column 'a': the cell holds the error #DIV/0!"),
    ]


def test_blank_rows_are_passed_over_and_rows_may_be_short_or_too_long(tmp_path):
    data = workbook((), ("a", "b", None, None), (1,), (None, None, ""), (2, 3), (4, 5, 6))
    _, rows, letters = read(tmp_path, data)
    assert rows == [{"a": 1, "b": None}, {"a": 2, "b": 3}]
    assert letters == [("data.xlsx (sheet row 6)", "more values than the 2 columns that have a name")]


def test_without_a_header_columns_have_numbers(tmp_path):
    _, rows, _ = read(tmp_path, workbook((1,), (2, "x")), header=False)
    assert rows == [{"column_1": 1, "column_2": None}, {"column_1": 2, "column_2": "x"}]


def test_a_sheet_is_chosen_by_name_else_the_first_one_shown(tmp_path):
    data = workbook(("a",), (1,), title="First", Second=[("b",), (2,)])
    assert read(tmp_path, data)[1] == [{"a": 1}]
    assert read(tmp_path, data, sheet="Second")[1] == [{"b": 2}]
    hidden = edited(
        data,
        "xl/workbook.xml",
        lambda xml: xml.replace(b'sheetId="1" state="visible"', b'sheetId="1" state="hidden"'),
    )
    assert read(tmp_path, hidden)[1] == [{"b": 2}]
    with pytest.raises(InputError, match="has no sheet 'Third'; there are: First, Second"):
        read(tmp_path, data, sheet="Third")


def test_a_wrong_dimension_hides_no_cell(tmp_path):
    data = edited(
        workbook(("a", "b"), (1, 2)), "xl/worksheets/sheet1.xml",
        lambda xml: xml.replace(b'<dimension ref="A1:B2"', b'<dimension ref="A1:A1"'),
    )  # fmt: skip
    assert read(tmp_path, data)[1] == [{"a": 1, "b": 2}]


def test_the_workbooks_of_two_files_are_one_stream(tmp_path):
    (tmp_path / "a.xlsx").write_bytes(workbook(("n",), (1,)))
    (tmp_path / "b.xlsx").write_bytes(workbook(("n", "m"), (1.5, "x")))
    extractor = FilesExtractor(FilesConfig(path="*.xlsx"), Context(Project(tmp_path)))
    stream = next(iter(extractor.streams()))
    rows = [row for batch in extractor.read(stream, None) for row in batch.to_pylist()]
    assert rows == [{"n": 1.0, "m": None}, {"n": 1.5, "m": "x"}]


GOOD = workbook(("a",), (1,))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a zip|damaged|truncated"),
        (b"a,b\n1,2\n", "damaged"),
        (GOOD[: len(GOOD) // 2], "damaged or truncated"),
        (b"\xd0\xcf\x11\xe0" + bytes(600), "protected by a password, or .* old .xls"),
        (workbook(), "the sheet is empty"),
        (workbook(("a", "a"), (1, 2)), "data.xlsx:1: the column name 'a' stands twice"),
        (workbook(("a", None, "b"), (1, 2, 3)), "data.xlsx:1: column 2 has no name"),
        (edited(GOOD, "xl/worksheets/sheet1.xml", lambda xml: xml[:-30]), "not an .xlsx workbook, or damaged"),
        (edited(GOOD, "xl/workbook.xml", lambda _: None), "not an .xlsx workbook, or damaged"),
        (edited(GOOD, "xl/worksheets/sheet1.xml", lambda xml: xml.replace(b'<row r="2"', b'<row r="99999999999"')), "more than 1,048,576 rows"),
        (edited(GOOD, "xl/worksheets/sheet1.xml", lambda xml: xml.replace(b"</row>", b"<c/>" * 5_000_000, 1)), "a row of more than 16 MiB"),
    ],
)  # fmt: skip
def test_what_is_no_workbook_is_said(tmp_path, data, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, data)


def test_without_the_extra_it_says_which(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(
        MissingExtraError, match=r'data.xlsx: reading .xlsx .* uv pip install "dteg\[excel\]"'
    ):
        read(tmp_path, GOOD)
