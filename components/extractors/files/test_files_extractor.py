"""The extractor as a whole: places, archives, resuming, memory, contract."""

import gzip
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from pydantic import ValidationError

from dteg.connectors.base import Checkpoint
from dteg.core.errors import InputError
from dteg.core.secrets import Secret
from dteg.testing.contract import contract_tests

from .conftest import input_error, make_extractor, read, types, zipped
from .files import FilesConfig, FilesExtractor


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
    filler = "some text that takes room " * (10 if suffix == "csv" else 400)
    unit = 80_000 if suffix == "csv" else 2_000
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
