"""Broken CSV files, and some that only look broken."""

import gzip
import io
import zipfile
from functools import partial
from typing import Any

from tests.e2e.bad_input.case import PIPELINE, SEEDED, TARGET, Case, Content, data_case

HEADER = "id,name,amount\n"
NEXT = (4, "four", 4.5)


def csv(name: str, what: str, data: Content | None, *says: str, file: str = "data.csv", **other: Any) -> Case:
    return data_case("csv", name, what, data, *says, file=file, **other)


refused = partial(csv, code=1)
fine = partial(csv, code=0)


def zipped(*names: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), HEADER + "4,four,4.5\n")
    return sink.getvalue()


def packed(rows: int = 20_000) -> bytes:
    return gzip.compress(
        (HEADER + "".join(f"{n},name {n * n},{n}.5\n" for n in range(rows))).encode(), mtime=0
    )


def damaged() -> bytes:
    data = bytearray(packed())
    data[-6] ^= 0xFF
    return bytes(data)


def last_is_bad() -> bytes:
    return (HEADER + "".join(f"{n},x,1\n" for n in range(4, 200_004)) + "x,x,x\n").encode()


UNREADABLE = [
    csv("missing-file", "no such file", None, "there is no such file"),
    csv("folder", "a folder", None, "is a folder", files={"data.csv/": b""}),
    csv("no-match", "a pattern that matches nothing", None, "no file matches", file="in/*.csv"),
    csv("empty", "nothing in the file", b"", "empty file"),
    csv("blank-lines", "nothing but blank lines", b"\n\n\n", "empty file"),
    csv("latin-1", "Latin-1 instead of UTF-8", (HEADER + "4,f\xfcnf,1\n").encode("latin-1"), "bytes fc are not utf-8", "set `encoding`", at=":2"),
    csv("latin-1-late", "Latin-1 far behind the start", lambda: (HEADER + "4,four,1\n" * 300_000 + "5,f\xfcnf,1\n").encode("latin-1"), "not utf-8", at=":300002"),
    csv("utf-16", "UTF-16 instead of UTF-8", (HEADER + "4,four,1\n").encode("utf-16"), "not utf-8", at=":1"),
    csv("nul", "a NUL character", HEADER.encode() + b"4,fo\0ur,1\n", "NUL character", at=":2"),
    csv("spreadsheet", "a spreadsheet with the wrong suffix", b"PK\x03\x04\xd0\xcf\x11\xe0 workbook", "not utf-8", at=":1"),
    csv("long-line", "a line of 10 MB", lambda: HEADER.encode() + b"4," + b"x" * 10_000_000 + b",1\n", "longer than 8388608 bytes", at=":2"),
    csv("long-header", "a header of 10 MB", lambda: b"x" * 10_000_000, "the header is not valid CSV", at=":1"),
    csv("open-quote", "a quote that is not closed", HEADER + '4,four,1\n5,"five,2\n6,six,3\n', "a quote is opened here and never closed", at=":3"),
    csv("open-quote-header", "a quote in the header that is not closed", 'id,"name,amount\n4,four,1\n', at=":1"),
    csv("gz-truncated", "half of a .gz", lambda: packed()[:5000], "truncated", file="data.csv.gz"),
    csv("gz-damaged", "a .gz whose checksum is wrong", damaged, "damaged", file="data.csv.gz"),
    csv("gz-not", "a .gz that is none", HEADER + "4,four,1\n", "damaged|archive", file="data.csv.gz"),
    csv("gz-empty", "a .gz of 0 bytes", b"", file="data.csv.gz"),
    csv("zip-truncated", "half of a .zip", lambda: zipped("data.csv")[:60], "damaged or truncated", file="data.csv.zip"),
    csv("zip-of-two", "a .zip of two files", lambda: zipped("a.csv", "b.csv"), "holds 2 files; choose one with `member`: a.csv, b.csv", file="data.csv.zip"),
    csv("zip-of-none", "a .zip of no file", zipped, "holds 0 files", file="data.csv.zip"),
    csv("zip-member", "a member that the .zip has not", lambda: zipped("a.csv"), "has no member 'b.csv'; it holds: a.csv", file="data.csv.zip", config={"member": "b.csv"}),
]  # fmt: skip

HEADERS = [
    csv("duplicate-column", "a column name twice", "id,name,name\n4,four,1\n", "'name' stands twice", at=":1"),
    csv("unnamed-column", "a column without a name", "id,,amount\n4,four,1\n", "column 2 has no name", at=":1"),
    csv("long-column", "a column name that PostgreSQL would cut", f"id,name,amount,{'x' * 64}\n4,four,1,1\n", "longer than 63 bytes", place=PIPELINE),
    csv("own-column", "a column name that dteg uses itself", "id,name,amount,_loaded_at\n4,four,1,x\n", "the column name _loaded_at is dteg's own; rename it", place=PIPELINE),
    csv("other-delimiter", "semicolons instead of commas", "id;name;amount\n4;four;1\n", "`columns` names 'id', which no file has"),
    csv("absent-column", "a declared column that is not there", "id,name\n4,four\n", "`columns` names 'amount', which no file has"),
    csv("html", "a web page with an error", "<!DOCTYPE html>\n<html><body>404</body></html>\n", "`columns` names 'id', which no file has"),
]  # fmt: skip

TOO_MANY = "more than max_bad_rows: {} rows cannot be loaded; nothing was changed"
POLICY = [
    refused("row-too-long", "a row of too many columns", HEADER + "4,four,1\n5,five,2,x\n", TOO_MANY.format(0), "4 columns where the header has 3", at=" (row 2)"),
    refused("row-too-short", "a row of too few columns", HEADER + "4,four,1\n5\n", TOO_MANY.format(0), "1 columns where the header has 3", at=" (row 2)"),
    refused("ragged-replace", "a ragged row in a replace", HEADER + "4,four,1\n5\n", TOO_MANY.format(0), at=" (row 2)", load={"write": "replace", "primary_key": None}),
    refused("ragged-append", "a ragged row in an append", HEADER + "4,four,1\n5\n", TOO_MANY.format(0), at=" (row 2)", load={"write": "append", "primary_key": None}),
    refused("wrong-type", "a text in a column of numbers", HEADER + "4,four,1\n5,five,many\n", TOO_MANY.format(0), "column 'amount': not a valid double precision", at=" (row 2)"),
    refused("wrong-type-late", "a text in the last of 200,000 rows of an append", last_is_bad, TOO_MANY.format(0), "not a valid bigint", at=" (row 200001)", load={"write": "append", "primary_key": None}),
    refused("too-large-number", "a number beyond 64 bits", HEADER + "9223372036854775808,four,1\n", TOO_MANY.format(0), "'id': not a valid bigint", at=" (row 1)"),
    refused("no-such-day", "a day that no calendar has", "id,name,amount,day\n4,four,1,2026-02-30\n", TOO_MANY.format(0), "'day': not a valid date", at=" (row 1)", config={"columns": {"day": "date"}}),
    refused("null-key", "no value in a key column", HEADER + "4,four,1\n,five,2\n", TOO_MANY.format(0), "key column id is null", at=" (record 2)"),
    refused("changed-type", "a column that became text, under schema_policy: quarantine", HEADER + "4,four,much\n", TOO_MANY.format(0), "amount is not double precision", at=" (record 1)", config={"columns": None}, load={"schema_policy": "quarantine"}),
    refused("new-column-and-bad-row", "a new column and a bad row: the table does not get the column", "id,name,amount,more\n4,four,1,x\n5,five,many,x\n", TOO_MANY.format(0), at=" (row 2)"),
    refused("one-too-many", "more bad rows than max_bad_rows", HEADER + "4,four,1\n5,five,x\n6\n7,,y\n", TOO_MANY.format(2), load={"max_bad_rows": 2}),
    refused("frozen", "a new column under schema_policy: freeze", "id,name,amount,more\n4,four,1,x\n", "raw.target does not fit", "new column more", place=TARGET, load={"schema_policy": "freeze"}),
    refused("frozen-less", "a lost column under schema_policy: freeze", "id,name\n4,four\n", "missing column.s. amount", place=TARGET, load={"schema_policy": "freeze"}, config={"columns": {"id": "bigint"}}),
    refused("new-column-quarantine", "a new column under schema_policy: quarantine", "id,name,amount,more\n4,four,1,x\n", TOO_MANY.format(0), "column more is unknown", at=" (record 1)", load={"schema_policy": "quarantine"}),
    refused("duplicate-in-append", "a key that is there already, in an append", HEADER + "1,uno,1\n", "duplicate key", place="table target", load={"write": "append", "primary_key": None}),
    refused("key-twice-replace", "a key twice in one file, in a replace", HEADER + "4,first,1\n4,four,4.5\n", "duplicate key", place="table target", load={"write": "replace"}),
    fine("ragged-allowed", "ragged rows within max_bad_rows", HEADER + "4,four,4.5\n5\n6,six,6,6\n", load={"max_bad_rows": 2}, loaded=(*SEEDED, NEXT),
         set_aside=(("data.csv (row 2)", "1 columns"), ("data.csv (row 3)", "4 columns"))),
    fine("wrong-type-allowed", "wrong values within max_bad_rows", HEADER + "x,x,1\n4,four,4.5\n5,five,many\n", load={"max_bad_rows": 2}, loaded=(*SEEDED, NEXT),
         set_aside=(("data.csv (row 1)", "'id': not a valid bigint"), ("data.csv (row 3)", "'amount': not a valid double precision"))),
    fine("null-key-allowed", "rows without a key within max_bad_rows", HEADER + "4,four,4.5\n,five,2\n", load={"max_bad_rows": 1}, loaded=(*SEEDED, NEXT),
         set_aside=(("data.csv (record 2)", "key column id is null"),)),
    fine("unknown-column-allowed", "a new column under quarantine within max_bad_rows", "id,name,amount,more\n4,four,4.5,\n5,five,1,x\n", load={"schema_policy": "quarantine", "max_bad_rows": 1},
         loaded=(*SEEDED, NEXT), set_aside=(("data.csv (record 2)", "column more is unknown to raw.target"),)),
]  # fmt: skip

FINE = [
    fine("header-only", "a header and no rows", HEADER, loaded=SEEDED),
    fine("header-only-replace", "a header and no rows, in a replace", HEADER, loaded=(), load={"write": "replace"}),
    fine("bom", "a byte order mark", b"\xef\xbb\xbf" + (HEADER + "4,four,4.5\n").encode(), loaded=(*SEEDED, NEXT)),
    fine("quoted-newline", "a line break in quotes", HEADER + '4,"fo\nur",4.5\n', loaded=(*SEEDED, (4, "fo\nur", 4.5))),
    fine("quoted-quote", "a quote in quotes", HEADER + '4,"fo""ur",4.5\n', loaded=(*SEEDED, (4, 'fo"ur', 4.5))),
    fine("leading-zeros", "leading zeros in a text", HEADER + "4,007,4.5\n", loaded=(*SEEDED, (4, "007", 4.5))),
    fine("windows-lines", "line ends of Windows", HEADER.replace("\n", "\r\n") + "4,four,4.5\r\n", loaded=(*SEEDED, NEXT)),
    fine("no-last-newline", "no line end at the end", HEADER + "4,four,4.5", loaded=(*SEEDED, NEXT)),
    fine("empty-is-null", "empty values", HEADER + '4,,\n5,"",1\n', loaded=(*SEEDED, (4, None, None), (5, "", 1.0))),
    fine("key-twice", "a key twice in one file: the last row counts", HEADER + "4,first,1\n1,uno,9\n4,four,4.5\n", loaded=((1, "uno", 9.0), *SEEDED[1:], NEXT)),
    fine("sql-in-value", "SQL in a value", HEADER + "4,'); DROP TABLE raw.target; --,4.5\n", loaded=(*SEEDED, (4, "'); DROP TABLE raw.target; --", 4.5))),
]  # fmt: skip

CASES: list[Case] = [*UNREADABLE, *HEADERS, *POLICY, *FINE]
