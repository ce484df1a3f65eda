import csv
import gzip
import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from dteg.connectors.base import Checkpoint, Context, DeadLetter, LoadPlan
from dteg.core.errors import ConfigError, PermanentError, QualityGateError, SchemaDriftError
from dteg.core.project import Project
from dteg.testing.contract import contract_tests
from dteg.testing.samples import make_batch

from .files import FilesLoader, FilesLoaderConfig
from .publication import Publication

BATCH = make_batch(id=[1, 2], name=["a", None])


def make_loader(folder, path="out/items.csv", **config):
    return FilesLoader(FilesLoaderConfig(path=path, **config), Context(Project(folder)))


def make_plan(batch=BATCH, disposition="replace", load_id="run-1", **changes):
    target = FilesLoader.target(FilesLoaderConfig(path="x.csv"), "items")
    return LoadPlan("pipeline", "items", target, batch.schema, disposition, load_id, **changes)


def load(loader, batch=BATCH, *, checkpoint=None, letters=(), **plan):
    with loader.open(make_plan(batch, **plan)) as session:
        session.begin(batch.schema)
        session.write(batch)
        if letters:
            session.reject(list(letters))
        return session.publish(checkpoint or Checkpoint())


def visible(folder):
    """Return the files that a reader of the output sees, without state and dead letters."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and ".dteg" not in str(path.relative_to(folder)) and "dead_letters" not in path.name
    )


LETTER = DeadLetter("bad", "x.csv (row 2)", {"id": "x"})


# --- formats ---------------------------------------------------------------------------------


def test_csv_keeps_null_and_empty_text_apart(tmp_path):
    load(make_loader(tmp_path), make_batch(id=[1, 2, 3], name=["", None, 'say "hi",\nü']))
    assert (tmp_path / "out/items.csv").read_text() == '"id","name"\n1,""\n2,\n3,"say ""hi"",\nü"\n'


def test_csv_writes_nested_values_as_json_and_bytes_as_digits(tmp_path):
    load(make_loader(tmp_path), make_batch(o=[{"a": [1]}, None], b=[b"\x00\xff", None]))
    rows = list(csv.reader(io.StringIO((tmp_path / "out/items.csv").read_text())))
    assert rows[1:] == [['{"a":[1]}', "00ff"], ["", ""]]


def test_formula_guard_touches_texts_only(tmp_path):
    batch = make_batch(
        t=["=1+1", "+a", "-a", "@a", "\ta", "\ra", "a=1", None],
        n=["-1"] * 8,
        i=[-1] * 8,
        types={"n": "numeric"},
    )
    load(make_loader(tmp_path, formula_guard=True), batch)
    with (tmp_path / "out/items.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["t"] for row in rows] == ["'=1+1", "'+a", "'-a", "'@a", "'\ta", "'\ra", "a=1", ""]
    assert {(row["n"], row["i"]) for row in rows} == {("-1", "-1")}


def test_formulas_are_kept_by_default(tmp_path):
    load(make_loader(tmp_path), make_batch(t=["=1+1"]))
    assert '"=1+1"' in (tmp_path / "out/items.csv").read_text()


def test_jsonl_nests_json_columns_and_keeps_exact_values(tmp_path):
    batch = make_batch(
        j=['{"a":[1]}', None],
        n=[Decimal("1.50"), None],
        t=[datetime(2024, 1, 1, tzinfo=UTC), None],
        x=["ü", None],
        types={"j": "jsonb", "n": "numeric(5,2)", "t": "timestamptz"},
    )
    load(make_loader(tmp_path, "out/items.jsonl"), batch)
    first, second = map(json.loads, (tmp_path / "out/items.jsonl").read_text().splitlines())
    assert first == {"j": {"a": [1]}, "n": "1.50", "t": "2024-01-01T00:00:00.000000Z", "x": "ü"}
    assert second == dict.fromkeys(first)


@pytest.mark.parametrize("name", ["items.csv.gz", "items.jsonl.gz"])
def test_gz_is_packed_and_the_same_bytes_each_time(tmp_path, name):
    load(make_loader(tmp_path, f"out/{name}"))
    first = (tmp_path / "out" / name).read_bytes()
    assert b"a" in gzip.decompress(first)
    load(make_loader(tmp_path, f"out/{name}"), load_id="run-2")
    assert (tmp_path / "out" / name).read_bytes() == first


def test_parquet_gathers_batches_into_row_groups(tmp_path):
    batch = make_batch(id=list(range(30)), n=[Decimal("1.50")] * 30, types={"n": "numeric(12,2)"})
    loader = make_loader(tmp_path, "out/items.parquet", row_group_rows=50, compression="snappy")
    with loader.open(make_plan(batch)) as session:
        session.begin(batch.schema)
        for _ in range(4):
            session.write(batch)
        session.publish(Checkpoint())
    metadata = pq.read_metadata(tmp_path / "out/items.parquet")
    assert [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)] == [
        50,
        10,
        50,
        10,
    ]
    assert metadata.row_group(0).column(0).compression == "SNAPPY"
    assert pq.read_schema(tmp_path / "out/items.parquet").field("n").type == pa.decimal128(12, 2)


@pytest.mark.parametrize(
    "path", ["out/items.csv", "out/items.jsonl", "out/items.parquet", "out/items.csv.gz"]
)
def test_load_without_rows_makes_a_readable_file(tmp_path, path):
    assert load(make_loader(tmp_path, path), BATCH.slice(0, 0)).total_rows == 0
    assert visible(tmp_path) == [path]
    if path.endswith("parquet"):
        assert pq.read_table(tmp_path / path).num_rows == 0


# --- config and plan -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        {"path": "out/"},
        {"path": "out/x.txt"},
        {"path": "x.parquet.gz"},
        {"path": "x.jsonl", "formula_guard": True},
    ],
)
def test_config_that_cannot_work_is_refused(config):
    with pytest.raises(ValidationError):
        FilesLoaderConfig(**config)


@pytest.mark.parametrize("disposition", ["merge", "scd2", "append"])
def test_dispositions_a_file_cannot_do_are_refused(tmp_path, disposition):
    with pytest.raises(ConfigError):
        make_loader(tmp_path).open(make_plan(disposition=disposition))


def test_quarantine_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="quarantine"):
        make_loader(tmp_path).open(make_plan(schema_policy="quarantine"))


@pytest.mark.parametrize("path", ["../x.csv", "/etc/x.csv", "out/../../x.csv"])
def test_path_outside_of_the_project_is_refused(tmp_path, path):
    with pytest.raises(ConfigError, match="below the project"):
        make_loader(tmp_path, path).open(make_plan())


def test_stream_name_cannot_lead_outside_of_the_project(tmp_path):
    with pytest.raises(ConfigError, match="below the project"):
        make_loader(tmp_path, "{stream}.csv").open(replace(make_plan(), stream="../../evil"))


def test_symbolic_link_out_of_the_project_is_refused(tmp_path):
    (tmp_path / "project").mkdir()
    (tmp_path / "project/out").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="below the project"):
        make_loader(tmp_path / "project").open(make_plan())


def test_folder_in_place_of_the_file_is_refused(tmp_path):
    (tmp_path / "out/items.csv").mkdir(parents=True)
    with pytest.raises(ConfigError, match="is a folder"):
        make_loader(tmp_path).open(make_plan())


def test_stream_is_put_into_the_path(tmp_path):
    load(make_loader(tmp_path, "out/{stream}.csv"))
    assert visible(tmp_path) == ["out/items.csv"]


def test_place_that_cannot_be_written_is_our_error(tmp_path):
    (tmp_path / "out").write_text("a file where a folder should be")
    with pytest.raises(PermanentError, match="cannot be written"):
        make_loader(tmp_path).open(make_plan())


# --- folders ---------------------------------------------------------------------------------


def test_append_adds_one_part_per_load_id(tmp_path):
    for load_id in ("run-1", "run:2"):
        result = load(make_loader(tmp_path, "out/", format="csv"), disposition="append", load_id=load_id)
    assert visible(tmp_path) == ["out/part-run%3A2.csv", "out/part-run-1.csv"]
    assert result.total_rows == 4
    for load_id in ("run-1", "run:2"):
        with make_loader(tmp_path, "out/", format="csv").open(
            make_plan(disposition="append", load_id=load_id)
        ) as session:
            assert session.committed.already_loaded


def test_replace_and_full_refresh_of_a_folder_leave_one_part(tmp_path):
    loader = make_loader(tmp_path, "out/", format="csv")
    for load_id in ("run-1", "run-2"):
        load(loader, disposition="append", load_id=load_id)
    (tmp_path / "out/notes.txt").write_text("not ours")
    assert load(loader, disposition="replace", load_id="run-3").total_rows == 2
    assert visible(tmp_path) == ["out/notes.txt", "out/part-run-3.csv"]
    load(loader, disposition="append", load_id="run-4", full_refresh=True)
    assert visible(tmp_path) == ["out/notes.txt", "out/part-run-4.csv"]


# --- dead letters ----------------------------------------------------------------------------


def letters_of(folder, path="out/items.csv"):
    return [json.loads(line) for line in (folder / f"{path}.dead_letters.jsonl").read_text().splitlines()]


def test_dead_letters_are_published_with_the_data_and_replaced_with_it(tmp_path):
    result = load(make_loader(tmp_path), letters=[LETTER], max_bad_rows=1)
    assert result.rows_rejected == 1
    (letter,) = letters_of(tmp_path)
    assert (letter["reason"], letter["position"], letter["payload"]) == ("bad", "x.csv (row 2)", {"id": "x"})
    assert (letter["stream"], letter["load_id"]) == ("items", "run-1")
    load(make_loader(tmp_path), load_id="run-2")
    assert not (tmp_path / "out/items.csv.dead_letters.jsonl").exists()


def test_append_keeps_earlier_dead_letters(tmp_path):
    for load_id in ("run-1", "run-2"):
        loader = make_loader(tmp_path, "out/", format="csv")
        load(loader, disposition="append", load_id=load_id, letters=[LETTER], max_bad_rows=1)
    load(make_loader(tmp_path, "out/", format="csv"), disposition="append", load_id="run-3")
    assert [letter["load_id"] for letter in letters_of(tmp_path, "out")] == ["run-1", "run-2"]


def test_too_many_dead_letters_change_nothing(tmp_path):
    load(make_loader(tmp_path), checkpoint=Checkpoint(1))
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(QualityGateError, match="row 2"):
        load(make_loader(tmp_path), make_batch(id=[9]), load_id="run-2", letters=[LETTER] * 2, max_bad_rows=1)
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


# --- all or nothing --------------------------------------------------------------------------


def test_nothing_is_visible_before_publish_and_closing_leaves_the_old_file(tmp_path):
    load(make_loader(tmp_path))
    before = (tmp_path / "out/items.csv").read_bytes()
    with make_loader(tmp_path).open(make_plan(load_id="run-2")) as session:
        session.begin(BATCH.schema)
        session.write(make_batch(id=[9], name=["new"]))
        assert (tmp_path / "out/items.csv").read_bytes() == before
    assert (tmp_path / "out/items.csv").read_bytes() == before
    assert visible(tmp_path) == ["out/items.csv"]


_VICTIM = f"""
import sys, time
from pathlib import Path
import {__name__} as suite
loader = suite.make_loader(Path(sys.argv[1]), sys.argv[2], format="csv")
session = loader.open(suite.make_plan(disposition=sys.argv[3], load_id="dead"))
session.begin(suite.BATCH.schema)
for _ in range(1000):
    session.write(suite.BATCH)
session.reject([])
print("writing", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(("path", "disposition"), [("out/items.csv", "replace"), ("out/", "append")])
def test_killed_load_leaves_nothing_visible_and_the_next_one_cleans_up(tmp_path, path, disposition):
    victim = subprocess.Popen(
        [sys.executable, "-c", _VICTIM, str(tmp_path), path, disposition],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        text=True,
    )
    with victim:
        assert victim.stdout.readline() == "writing\n"
        victim.send_signal(signal.SIGKILL)
    left = visible(tmp_path)
    assert len(left) == 1
    assert ".partial-" in left[0]
    with make_loader(tmp_path, path, format="csv").open(
        make_plan(disposition=disposition, load_id="dead")
    ) as session:
        assert session.committed is None
        assert session.checkpoint is None
        assert visible(tmp_path) == []


class _PowerCut(BaseException):
    pass


@pytest.mark.parametrize(
    ("cut_in", "happened"),
    [("_write", False), ("replace", False), ("_finish", True), ("second _write", True)],
)
@pytest.mark.parametrize(("path", "disposition"), [("out/items.csv", "replace"), ("out/", "append")])
def test_crash_within_publish_loads_all_or_nothing(
    tmp_path, monkeypatch, *, cut_in, happened, path, disposition
):
    """After the crash either the load id is committed with its checkpoint, or neither rows nor checkpoint are there."""
    loader = make_loader(tmp_path, path, format="csv")
    load(loader, disposition=disposition, load_id="old", checkpoint=Checkpoint("old"))
    old = set(visible(tmp_path))
    session = loader.open(make_plan(disposition=disposition, load_id="new", max_bad_rows=1))
    session.begin(BATCH.schema)
    session.write(make_batch(id=[9], name=["new"]))
    session.reject([LETTER])
    with monkeypatch.context() as patched:
        cut_at(patched, cut_in)
        with pytest.raises(_PowerCut):
            session.publish(Checkpoint("new"))
    session._lock.close()  # a dead process holds no lock, and cleans nothing up

    with loader.open(make_plan(disposition=disposition, load_id="new")) as again:
        assert (again.committed is not None) == happened
        assert again.checkpoint == Checkpoint("new" if happened else "old")
    text = "".join((tmp_path / name).read_text() for name in visible(tmp_path))
    assert ('9,"new"' in text) == happened
    assert (tmp_path / f"{path.rstrip('/')}.dead_letters.jsonl").exists() == happened
    assert not any(".partial-" in name for name in visible(tmp_path))
    assert happened or set(visible(tmp_path)) == old


def cut_at(patched, place):
    """Stop the publication right before a step."""
    if place == "replace":
        original = Path.replace

        def rename(path, target):
            if ".partial-" in path.name and "dead_letters" not in path.name:
                raise _PowerCut
            return original(path, target)

        patched.setattr(Path, "replace", rename)
        return
    name = place.removeprefix("second ")
    original, calls = getattr(Publication, name), []

    def step(self, *arguments):
        calls.append(name)
        if place == name or len(calls) == 2:
            raise _PowerCut
        return original(self, *arguments)

    patched.setattr(Publication, name, step)


def test_same_load_id_is_found_with_its_result(tmp_path):
    result = load(make_loader(tmp_path), checkpoint=Checkpoint("2024", {"files": {"a": "b"}}))
    with make_loader(tmp_path).open(make_plan()) as session:
        assert session.committed == replace(result, already_loaded=True)
        assert session.checkpoint == Checkpoint("2024", {"files": {"a": "b"}})


def test_deleted_file_voids_its_checkpoint(tmp_path):
    load(make_loader(tmp_path), checkpoint=Checkpoint(1))
    (tmp_path / "out/items.csv").unlink()
    with make_loader(tmp_path).open(make_plan()) as session:
        assert session.checkpoint is None
        assert session.committed is None


def test_unreadable_state_is_an_error_and_frees_the_lock(tmp_path):
    load(make_loader(tmp_path))
    (tmp_path / "out/items.csv.dteg.json").write_text("{")
    for _ in range(2):
        with pytest.raises(PermanentError, match="move it away"):
            make_loader(tmp_path).open(make_plan())


def test_freeze_refuses_other_columns_and_names_them(tmp_path):
    load(make_loader(tmp_path))
    with pytest.raises(SchemaDriftError, match="extra"):
        load(
            make_loader(tmp_path),
            make_batch(id=[1], name=["a"], extra=[1]),
            load_id="run-2",
            schema_policy="freeze",
        )
    load(make_loader(tmp_path), load_id="run-2", schema_policy="freeze")


def _rows_of_all_parts(config, target):
    folder = Path(config.path.replace("{stream}", target.name))
    return [row for part in sorted(folder.glob("part-*.parquet")) for row in pq.read_table(part).to_pylist()]


TestFilesLoaderContract = contract_tests(
    FilesLoader,
    config=lambda tmp_path: {"path": f"{tmp_path}/out/{{stream}}/", "format": "parquet"},
    bad_config=[{"path": ""}, {"compression": "zip"}, {"row_group_rows": 0}, {"format": "xml"}],
    read_back=_rows_of_all_parts,
)
