"""Broken JSON and JSON lines."""

from functools import partial
from typing import Any

from tests.e2e.bad_input.case import SEEDED, Case, Content, data_case

GOOD = '{"id": 4, "name": "four", "amount": 4.5}'
NEXT = (4, "four", 4.5)


def array(name: str, what: str, data: Content, *says: str, file: str = "data.json", **other: Any) -> Case:
    return data_case("json", name, what, data, *says, file=file, **other)


lines = partial(array, file="data.jsonl")


def endless() -> bytes:
    return b"[\n" + f"{GOOD},\n".encode() * 200_000


CASES: list[Case] = [
    array("empty", "nothing in the file", "", "empty file"),
    array("truncated", "half of an array", f"[{GOOD},\n{GOOD[:20]}", "not valid JSON", at=":2"),
    array("truncated-late", "an array that ends after 200,000 records", endless, "not valid JSON"),
    array("trailing-comma", "a comma too many", f"[{GOOD},]", "not valid JSON", at=":1"),
    array("two-arrays", "two arrays", f"[{GOOD}]\n[{GOOD}]", "not valid JSON"),
    array("nan", "NaN", '[{"id": 4, "amount": NaN}]', "not valid JSON", at=":1"),
    array("object", "an object without records_path", f'{{"data": [{GOOD}]}}', "expected an array of records; set records_path", at=":1"),
    array("wrong-path", "a records_path that is not there", f'{{"data": [{GOOD}]}}', "has no array at 'rows'", config={"records_path": "rows"}),
    array("deep", "3,000 lists in one another", lambda: b'[{"id": 4, "name": ' + b"[" * 3000 + b"]" * 3000 + b"}]", "nested deeper", at=":1"),
    array("latin-1", "Latin-1 instead of UTF-8", '[{"id": 4, "name": "f\xfcnf"}]'.encode("latin-1"), "not utf-8", at=":1"),
    array("surrogate", "half of a character pair in an array: read as a question mark", r'[{"id": 4, "name": "\ud800", "amount": 1}]', code=0, loaded=(*SEEDED, (4, "?", 1.0))),
    array("no-records", "an empty array", "[]", "holds no records", config={"columns": None}),
    array("numbers", "numbers instead of records", "[1, 2]", "expected an object, found a number", at=" (row 1)", code=1),
    array("numbers-allowed", "what is no record, within max_bad_rows", f"[1, {GOOD}]", code=0, load={"max_bad_rows": 1}, loaded=(*SEEDED, NEXT), set_aside=(("data.json (row 1)", "expected an object"),)),
    lines("lines-truncated", "half of the last line", f"{GOOD}\n{GOOD[:20]}", "not valid JSON", at=":2"),
    lines("lines-nan", "NaN in a line", f'{GOOD}\n{{"id": 5, "amount": NaN}}\n', "not valid JSON", at=":2"),
    lines("lines-infinity", "Infinity in a line", '{"id": 5, "amount": -Infinity}\n', "not valid JSON", at=":1"),
    lines("lines-pretty", "one record over several lines", '{\n  "id": 4\n}\n', "not valid JSON", at=":1"),
    lines("lines-array", "an array in a file of lines", f"[{GOOD}]\n", "expected an object, found an array", at=" (line 1)", code=1),
    lines("lines-nul", "an escaped NUL character", r'{"id": 4, "name": "a\u0000b", "amount": 1}', "'name': not a valid text", at=" (line 1)", code=1),
    lines("lines-wrong-type", "a text in a column of numbers", f'{GOOD}\n{{"id": "x"}}\n', "'id': not a valid bigint", at=" (line 2)", code=1),
    lines("lines-long-number", "a number of 400 digits", lambda: b'{"id": ' + b"9" * 400 + b"}\n", "not valid JSON: number is infinity", at=":1"),
    lines("lines-huge-number", "a number of 5,000 digits", lambda: b'{"id": ' + b"9" * 5000 + b"}\n", at=":1"),
    lines("lines-deep", "3,000 lists in a line", lambda: b'{"id": 4, "name": ' + b"[" * 3000 + b"]" * 3000 + b"}\n", at=":1"),
    lines("lines-surrogate", "half of a character pair", f'{GOOD}\n{{"id": 5, "name": "\\ud800"}}\n', "not valid JSON: no low surrogate", at=":2"),
    lines("lines-wide-number", "a number beyond 64 bits, within max_bad_rows", f'{{"id": 99999999999999999999999, "name": "x"}}\n{GOOD}\n', code=0, load={"max_bad_rows": 1}, loaded=(*SEEDED, NEXT),
          set_aside=(("data.jsonl (line 1)", "'id': not a valid bigint"),)),
    lines("lines-long", "a line of 10 MB", lambda: f"{GOOD}\n".encode() + b'{"id": 5, "name": "' + b"x" * 10_000_000 + b'"}\n', "longer than 8388608 bytes", at=":2"),
    lines("lines-blank", "blank lines between records", f"\n{GOOD}\n\n\n", code=0, loaded=(*SEEDED, NEXT)),
    lines("lines-bom", "a byte order mark", b"\xef\xbb\xbf" + GOOD.encode(), code=0, loaded=(*SEEDED, NEXT)),
]  # fmt: skip
