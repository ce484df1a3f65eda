import csv
import io

import pytest

from .strict_csv import StrictCsv

RECORDS = 'a,"b ""q"" \n x",c\r\n"",,"\r"\r\n\r\n"z",\\.,"\\."\r\nd,e,"f"\r\n'


def blocks_of_records(content, size):
    """Return what stands between the borders of records that were found, block by block."""
    strict, rest, found = StrictCsv(b",", b'"'), b"", []
    for start in range(0, len(content), size):
        block = content[start : start + size]
        cut = strict.follows(block)
        if cut is None:
            return None
        found.append(rest + block[:cut] if cut else b"")
        rest = block[cut:] if cut else rest + block
    assert not strict.is_open
    return [*found, rest]


def rows(content):
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


@pytest.mark.parametrize("line_break", ["\r\n", "\n", "\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 13, 1000])
def test_blocks_end_behind_records(line_break, size):
    """Tried: with a break inside quotes taken for the end of a record, this turns red."""
    content = RECORDS.replace("\r\n", line_break).encode()
    found = blocks_of_records(content, size)
    assert b"".join(found) == content
    assert [row for block in found for row in rows(block)] == rows(content)
    assert not any(block.startswith(b"\n") for block in found[1:] if line_break == "\r\n")


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    "content",
    [b'a"b"\n', b'"a"b\n', b'"a" ,b\n', b'a, "b"\n', b'5" x\n', b"a\n\\.\nb\n", b'"a"\n\\.\n', b"\r\\.\r", b'"a""b"c\n'],
)  # fmt: skip
def test_what_programs_read_differently_is_not_strict(content, size):
    assert blocks_of_records(b"x,y\n" + content, size) is None
