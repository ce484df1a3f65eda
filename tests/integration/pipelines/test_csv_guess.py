"""Types guessed from the first rows of a CSV while COPY runs: in the end they are those of all values, or it runs again."""

import pytest

from dteg.core.errors import DtegError

from .test_csv_relay import both, contents, load, write

BLOCK_BYTES = 4096
LONG = 10_000
"""Rows of a file whose end is not in the block that types are guessed from."""


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    for module in ("csv_native", "csv_format", "text_stream"):
        monkeypatch.setattr(f"components.extractors.files.{module}.CHUNK_BYTES", BLOCK_BYTES)


def long_file(warehouse, *last, name="s.csv", value="12345"):
    lines = [f"{number},{value}" for number in range(LONG)]
    write(warehouse, "\n".join(["id,v", *lines, *last]) + "\n", name)


@pytest.fixture
def guesses(monkeypatch):
    """The schemas that were guessed, and whether there was more to see."""
    from components.extractors.files.csv_format import CsvFormat

    made, guess = [], CsvFormat.guess

    def watch(self, files):
        schema = guess(self, files)
        made.append(self.is_guess)
        return schema

    monkeypatch.setattr(CsvFormat, "guess", watch)
    return made


@pytest.mark.parametrize(
    ("value", "last", "type_"),
    [
        ("12345", "1,12345", "bigint"),
        ("12345", "1,x", "text"),
        ("12345", "x1,1", "bigint"),
        ("12345", "1,1.5", "double precision"),
        ("12345", "1,12345678901234567890", "numeric"),
        ("1.5", "1,1234567890123456", "numeric"),
        ("", "1,7", "bigint"),
        ("", "1,x", "text"),
        ("nan", "1,2.5", "double precision"),
        ("12345678901234567890", "1,1", "numeric"),
        ("2026-01-01", "1,2026-01-01 10:00:00", "timestamp without time zone"),
        ("2026-01-01", "1,2026-02-30", "text"),
        ("2026-01-01", "1,today", "text"),
        ("2026-01-01T10:00:00Z", "1,2026-01-01T10:00:00", "text"),
        ("true", "1,yes", "text"),
        ("12345", '1,""', "bigint"),
    ],
)
def test_types_are_those_of_all_values_also_when_the_last_line_differs(
    warehouse, guesses, value, last, type_
):
    """Tried: without the comparison in `CsvSource._look`, the types are others or the file is decoded, and this turns red."""
    long_file(warehouse, last, value=value)
    relayed, rows = both(warehouse, path="s.csv")
    assert guesses == [True]
    # A file that is read as batches for what it holds, not for a wrong guess, says why.
    assert relayed.path.startswith("relay") or last == '1,""'
    assert dict(contents(warehouse, "relayed")[0])["v"] == type_
    assert len(rows) == LONG + 1
    assert warehouse.sql("SELECT count(*) FROM _dteg.loads WHERE target = 'raw.relayed'") == [(1,)]


@pytest.mark.parametrize("last", ['1,5" pipe', "1", "1,2,3", "\\.", '"a"b,1'])
def test_what_a_guess_meets_at_the_end_is_as_by_the_way_of_batches(warehouse, guesses, last):
    long_file(warehouse, last)
    relayed, rows = both(warehouse, path="s.csv", load={"write": "append", "max_bad_rows": 1})
    assert guesses == [True]
    assert relayed.path.startswith("batches"), relayed.path
    assert len(rows) >= LONG


@pytest.mark.parametrize("last", ["1,\udcff", "1,\0", '1,"x'], ids=["bytes", "NUL", "quote"])
def test_faults_behind_a_guess_say_the_same(warehouse, guesses, last):
    long_file(warehouse)
    path = warehouse.folder / "s.csv"
    path.write_bytes(path.read_bytes() + last.encode(errors="surrogateescape") + b"\n")
    said = []
    for batches in (False, True):
        with pytest.raises(DtegError) as caught:
            load(warehouse, "raw.t", batches=batches, path="s.csv")
        said.append((type(caught.value), str(caught.value)))
    assert guesses == [True]
    assert said[0] == said[1]
    assert warehouse.sql("SELECT to_regclass('raw.t')") == [(None,)]


def test_a_guess_that_does_not_fit_the_table_is_looked_at_again(warehouse, guesses):
    """Numbers do not fit a table of texts that is frozen; the one text at the end says that they are texts."""
    long_file(warehouse, "1,x")
    for table in ("relayed", "decoded"):
        warehouse.sql(f"CREATE SCHEMA IF NOT EXISTS raw; CREATE TABLE raw.{table} (id bigint, v text)")
    config = {"path": "s.csv", "load": {"write": "append", "schema_policy": "freeze"}}
    relayed, rows = both(warehouse, **config)
    assert guesses == [True]
    assert relayed.path.startswith("relay")
    assert len(rows) == LONG + 1


def test_types_come_from_files_that_are_known_too(warehouse, guesses):
    long_file(warehouse, "1,2.5", name="s-1.csv")
    long_file(warehouse, name="s-2.csv")
    relayed, _ = both(warehouse, path="s-*.csv")
    assert relayed.path.startswith("relay")
    long_file(warehouse, name="s-3.csv")
    again = load(warehouse, "raw.relayed", path="s-*.csv")
    assert again.path.startswith("relay")
    assert again.load.rows_written == LONG
    assert again.columns["v"] == "double precision"
    assert guesses == [True, True]


@pytest.mark.parametrize(
    ("content", "config"),
    [("id,v\n1,2\n", {}), ('id,v\n1,5" pipe\n' + "1,2\n" * LONG, {}), ("id,v\n1\n" + "1,2\n" * LONG, {"load": {"write": "append", "max_bad_rows": 1}}),
     ("id,v\n" + "a,b\n" * LONG, {}), (None, {"infer_rows": 5}), (None, {"null_values": ["", "-"]}),
     (None, {"columns": {"id": "bigint", "v": "bigint"}})],
    ids=range(7),
)  # fmt: skip
def test_nothing_is_guessed_where_all_is_seen_or_said(warehouse, guesses, content, config):
    long_file(warehouse) if content is None else write(warehouse, content)
    load(warehouse, "raw.t", path="s.csv", **config)
    assert guesses == [False]


def test_a_record_of_many_blocks(warehouse, guesses):
    long_file(warehouse, '1,"' + "x\n" * (10 * BLOCK_BYTES) + '"')
    relayed, rows = both(warehouse, path="s.csv", max_line_bytes=16 * BLOCK_BYTES)
    assert guesses == [True]
    assert relayed.path.startswith("relay")
    assert len(rows) == LONG + 1
