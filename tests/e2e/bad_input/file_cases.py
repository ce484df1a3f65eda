"""Broken files for `dteg create`: those of the pipelines' corpus, and families made by breaking good files.

Each is refused, and changes nothing. `create` has no types and no table beforehand, so cases that only a declared type or
a table that is there makes wrong bring the type or the key themselves.
"""

import functools
import gzip
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter
import yaml

from tests.e2e.bad_input import csv_cases, json_cases, parquet_cases
from tests.e2e.bad_input.case import PIPELINE, Case, Content

# Refused for what the pipeline says of a table or of the file, which `create` does not say.
_ABOUT_PIPELINES = (
    "frozen", "frozen-less", "new-column-quarantine", "changed-type", "duplicate-in-append", "key-twice-replace",
    "long-column", "other-delimiter",
)  # fmt: skip
# As much time as a hundred others, and the same for `create` as for `run`.
_LARGE = ("latin-1-late", "wrong-type-late", "truncated-late", "long-line", "long-header", "lines-long")
ROWS = 400


@dataclass(frozen=True)
class FileCase:
    """One broken file.

    Attributes:
        name: Unique.
        file: Its name; no content means that it is not there.
        content: What is in it.
        says: Regular expression that the message contains.
        request: What else `create` is told.
        more: Other files.
    """

    name: str
    file: str
    content: Content | None
    says: str
    request: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Content] = field(default_factory=dict)


def of_pipelines() -> Iterator[FileCase]:
    """Yield the refused files of the pipelines' corpus."""
    for case in (*csv_cases.CASES, *json_cases.CASES, *parquet_cases.CASES):
        if case.loaded is None and case.name not in _ABOUT_PIPELINES + _LARGE:
            yield _of_pipeline(case)


def _of_pipeline(case: Case) -> FileCase:
    steps = yaml.safe_load(str(case.files[PIPELINE]))["pipeline"]["steps"]
    config, load = steps[0]["extract"]["config"], steps[1]["load"]
    path = config.pop("path")
    request = {
        "types": config.pop("columns", {}), "key": load.get("primary_key", []), "max_bad_rows": load.get("max_bad_rows", 0),
    }  # fmt: skip
    config.pop("stream")
    more = {name: content for name, content in case.files.items() if name not in (PIPELINE, path)}
    says = "|".join(case.says) if case.says else "."
    return FileCase(
        f"{case.kind}/{case.name}", path, case.files.get(path), says, {**request, "options": config}, more
    )


def good_csv() -> bytes:
    return ("id,name,amount\n" + "".join(f"{n},name {n * n % 97},{n}.25\n" for n in range(ROWS))).encode()


def good_lines() -> bytes:
    return b"".join(
        json.dumps({"id": n, "name": f"name {n}", "inner": {"a": [n]}}).encode() + b"\n" for n in range(ROWS)
    )


def good_geojson() -> bytes:
    features = [
        {"type": "Feature", "properties": {"id": n}, "geometry": {"type": "Point", "coordinates": [n, 0.5]}}
        for n in range(40)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


@functools.cache
def good_parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": list(range(ROWS)), "name": [f"n {n}" for n in range(ROWS)]}), sink)
    return sink.getvalue()


@functools.cache
def good_xlsx() -> bytes:
    sink = io.BytesIO()
    with xlsxwriter.Workbook(sink) as book:
        sheet = book.add_worksheet()
        for at, row in enumerate([("id", "name", "amount"), *((n, f"name {n}", n / 4) for n in range(50))]):
            sheet.write_row(at, 0, row)
    return sink.getvalue()


def _part(member: str, change: Callable[[bytes], bytes | None]) -> bytes:
    sink = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(good_xlsx())) as old,
        zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for info in old.infolist():
            content = change(old.read(info)) if info.filename == member else old.read(info)
            if content is not None:
                new.writestr(info.filename, content)
    return sink.getvalue()


def truncated() -> Iterator[FileCase]:
    """Yield files that end too early, plain and packed, at many places."""
    for number in range(1, 17):
        whole = good_parquet()
        yield FileCase(
            f"parquet/cut-{number}", "d.parquet", whole[: len(whole) * number // 17], "not a Parquet file"
        )
        whole = good_xlsx()
        yield FileCase(
            f"xlsx/cut-{number}",
            "d.xlsx",
            whole[: len(whole) * number // 17],
            "damaged|truncated|not an .xlsx",
        )
        whole = good_geojson()
        yield FileCase(
            f"geojson/cut-{number}",
            "d.geojson",
            whole[: len(whole) * number // 17],
            "not valid JSON|features",
        )
    for name, whole, file in (
        ("csv", good_csv(), "d.csv.gz"), ("jsonl", good_lines(), "d.jsonl.gz"), ("geojson", good_geojson(), "d.geojson.gz"),
        ("parquet", good_parquet(), "d.parquet.gz"), ("xlsx", good_xlsx(), "d.xlsx.gz"),
    ):  # fmt: skip
        packed = gzip.compress(whole, mtime=0)
        for number in range(8):
            end = len(packed) * number // 8
            yield FileCase(
                f"gz/{name}-cut-{number}",
                file,
                packed[:end],
                "truncated|empty|damaged|not a Parquet|holds no|not valid",
            )
        broken = bytearray(packed)
        broken[-6] ^= 0xFF
        yield FileCase(f"gz/{name}-checksum", file, bytes(broken), "damaged")
        yield FileCase(f"gz/{name}-not-packed", file, whole, "damaged|archive")
    for number in range(1, 20):
        lines = b'[{"id": 1, "name": "x", "inner": {"a": [1, 2]}}]'
        end = len(lines) * number // 20
        yield FileCase(f"json/cut-{number}", "d.json", lines[:end], "not valid JSON|holds no records")


def wrong_values() -> Iterator[FileCase]:
    """Yield CSV files with a value that is not of the type asked for, early and late."""
    bad = {
        "smallint": "40000", "integer": "2147483648", "bigint": "1.5", "real": "x", "double precision": "1,5",
        "numeric(5,2)": "12345.67", "boolean": "maybe", "date": "2026-02-30", "time": "25:00",
        "timestamp": "2026-01-01 25:00", "timestamptz": "soon", "uuid": "123", "jsonb": "{", "json": "[1,",
        "varchar(3)": "four", "inet": "300.1.1.1", "interval": "long",
    }  # fmt: skip
    for type_, value in bad.items():
        quoted = '"' + value.replace('"', '""') + '"'
        for place in (0, 300):
            rows = [""] * place + [quoted] + [""]
            text = "id,v\n" + "".join(f"{n},{row}\n" for n, row in enumerate(rows))
            yield FileCase(
                f"type/{type_}-{place}", "d.csv", text,
                rf"row {place + 1}\).*not a valid|v is not|invalid|out of range|cannot", {"types": {"v": type_}},
            )  # fmt: skip


def broken_lines() -> Iterator[FileCase]:
    """Yield CSV files with one broken line, at several places."""
    lines = good_csv().splitlines(keepends=True)
    faults = {
        "short": (b"1\n", "1 columns where the header has 3"), "long": (b"1,2,3,4\n", "4 columns where"),
        "nul": (b"1,a\0b,2\n", "NUL character"), "latin-1": ("1,f\xfcnf,2\n".encode("latin-1"), "not utf-8"),
        "open-quote": (b'1,"open,2\n', "never closed|columns where"), "surrogate": (b"1,\xed\xa0\x80,2\n", "not utf-8"),
    }  # fmt: skip
    for fault, (line, says) in faults.items():
        for place in (1, 2, 200, ROWS):
            data = b"".join([*lines[:place], line, *lines[place:]])
            yield FileCase(f"line/{fault}-{place}", "d.csv", data, says)
    for encoding in ("utf-16", "utf-32", "utf-16-le", "cp037"):
        yield FileCase(
            f"encoding/{encoding}", "d.csv", good_csv().decode().encode(encoding), "not utf-8|NUL|header"
        )
    for setting, says in (
        ({"encoding": "utf-99"}, "unknown text encoding"), ({"delimiter": ";;"}, "delimiter"), ({"quote": ","}, "same character"),
        ({"colour": 1}, "no such setting"), ({"header": "perhaps"}, "header"), ({"max_line_bytes": 1}, "max_line_bytes"),
        ({"member": "x"}, "."), ({"encoding": "hex"}, "encoding"),
    ):  # fmt: skip
        file, data = ("d.csv.zip", b"PK") if "member" in setting else ("d.csv", good_csv())
        yield FileCase(f"setting/{next(iter(setting))}-{says[:6]}", file, data, says, {"options": setting})
    for name in ("d", "d.txt", "d.xls", "d.csv.bz2", "d.doc"):
        yield FileCase(f"name/{name}", name, good_csv(), "the name does not say the format")


def broken_lines_of_json() -> Iterator[FileCase]:
    """Yield JSON lines with one broken line, at several places."""
    lines = good_lines().splitlines(keepends=True)
    faults = {
        "text": (b"hello\n", "not valid JSON"), "number": (b"5\n", "expected an object"), "array": (b"[]\n", "expected an object"),
        "comma": (b'{"id": 1,}\n', "not valid JSON"), "quote": (b"{'id': 1}\n", "not valid JSON"),
        "key": (b'{"id": 1, "a\\u0000b": 1}\n', "NUL|invalid|column"), "two": (b'{"id": 1} {"id": 2}\n', "not valid JSON"),
    }  # fmt: skip
    for fault, (line, says) in faults.items():
        for place in (0, 200, ROWS):
            data = b"".join([*lines[:place], line, *lines[place:]])
            yield FileCase(f"jsonl/{fault}-{place}", "d.jsonl", data, says)


def broken_workbooks() -> Iterator[FileCase]:
    """Yield workbooks with parts that are missing, empty or wrong."""
    sheet = "xl/worksheets/sheet1.xml"
    with zipfile.ZipFile(io.BytesIO(good_xlsx())) as archive:
        names = archive.namelist()
    said = "not an .xlsx workbook, or damaged|no sheet of cells|the sheet is empty|damaged"
    for name in names:
        if name.startswith(("docProps", "_rels")) or "theme" in name:
            continue  # a reader does without them
        if name == "xl/styles.xml":
            yield FileCase("xlsx/empty-styles", "d.xlsx", _part(name, lambda _: b""), said)
            continue
        yield FileCase(f"xlsx/without-{name}", "d.xlsx", _part(name, lambda _: None), said)
        yield FileCase(f"xlsx/empty-{name}", "d.xlsx", _part(name, lambda _: b""), said)
        yield FileCase(f"xlsx/no-xml-{name}", "d.xlsx", _part(name, lambda _: b"<a><b></a>"), said)
    edits = {
        "shared-index": (b't="s"><v>5<', b't="s"><v>5000<', said), "shared-text": (b't="s"><v>5<', b't="s"><v>x<', said),
        "row-number": (b'<row r="3"', b'<row r="x"', said), "cell-number": (b'<c r="A3"', b'<c r="3A"', said),
        "far-row": (b'<row r="50"', b'<row r="9999999999"', "more than 1,048,576 rows"),
        "number": (b'<c r="A9"><v>7<', b'<c r="A9"><v>seven<', said), "entity": (b'<c r="A9"><v>7<', b'<c r="A9"><v>&nothing;<', said),
        "boolean": (b'<c r="A9"><v>7<', b'<c r="A9" t="b"><v>maybe<', said), "day": (b'<c r="A9"><v>7<', b'<c r="A9" t="d"><v>soon<', said),
    }  # fmt: skip
    for fault, (old, new, says) in edits.items():
        changed = _part(sheet, lambda xml, old=old, new=new: xml.replace(old, new))
        assert changed != _part(sheet, lambda xml: xml), fault
        yield FileCase(f"xlsx/{fault}", "d.xlsx", changed, says)
    entities = "".join(
        f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    bomb = (
        f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">{entities}]><sst xmlns='
        '"http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>&i;</t></si></sst>'
    ).encode()
    yield FileCase("xlsx/entities", "d.xlsx", _part("xl/sharedStrings.xml", lambda _: bomb), said)
    for fault, rows, says in (
        ("no-rows", [], "the sheet is empty"), ("twice", [("a", "a"), (1, 2)], "stands twice"),
        ("unnamed", [("a", None, "c"), (1, 2, 3)], "has no name"), ("wide", [("a",), (1, 2)], "more values than"),
        ("error", [("a",), (1,), ("#REF!",)], "the cell holds the error #REF!"), ("own", [("_loaded_at",), (1,)], "dteg's own"),
        ("long-name", [("x" * 64,), (1,)], "longer than 63 bytes"),
    ):  # fmt: skip
        book, sink = openpyxl.Workbook(), io.BytesIO()
        for row in rows:
            book.active.append(row)
        book.save(sink)
        yield FileCase(f"xlsx/rows-{fault}", "d.xlsx", sink.getvalue(), says)
    yield FileCase("xlsx/old", "d.xlsx", b"\xd0\xcf\x11\xe0" + bytes(512), "protected by a password")
    yield FileCase("xlsx/sheet", "d.xlsx", good_xlsx(), "has no sheet 'x'", {"options": {"sheet": "x"}})
    yield FileCase("xlsx/type", "d.xlsx", good_xlsx(), "not a valid date", {"types": {"name": "date"}})


def broken_features() -> Iterator[FileCase]:
    """Yield GeoJSON that is JSON, but no collection of features."""
    good = {"type": "Feature", "properties": {"a": 1}, "geometry": None}
    features: dict[str, Any] = {
        "number": 5, "null": None, "no-type": {"properties": {}}, "properties": {**good, "properties": 5},
        "geometry": {**good, "geometry": {"type": "Point"}}, "shape": {**good, "geometry": {"type": "Star", "coordinates": []}},
        "list": {**good, "geometry": [1, 2]}, "text": {**good, "geometry": "POINT(1 2)"},
    }  # fmt: skip
    for fault, feature in features.items():
        data = json.dumps({"type": "FeatureCollection", "features": [good, feature]})
        yield FileCase(
            f"geojson/{fault}", "d.geojson", data, r"row 2\): (not a GeoJSON|`properties`|`geometry`)"
        )
    for fault, whole, says in (
        ("feature", good, "no GeoJSON FeatureCollection"), ("array", [good], "no GeoJSON FeatureCollection"),
        ("none", {"type": "FeatureCollection"}, "no GeoJSON FeatureCollection"), ("empty", {"features": []}, "holds no records"),
        ("object", {"features": {}}, "no GeoJSON"), ("number", 5, "no GeoJSON"),
        ("clash", {"features": [{**good, "properties": {"geometry": 1}}]}, "a property is called 'geometry'"),
    ):  # fmt: skip
        yield FileCase(f"geojson/whole-{fault}", "d.geojson", json.dumps(whole), says)


def all_cases() -> list[FileCase]:
    """Return every case."""
    families = (
        of_pipelines, truncated, wrong_values, broken_lines, broken_lines_of_json, broken_workbooks, broken_features,
    )  # fmt: skip
    return [case for family in families for case in family()]
