"""The same suite for files taken apart here and through a studio."""

import json
import zipfile

import psycopg
import pytest

from dteg.cli.main import run_app
from dteg.core.errors import ConflictError, InputError
from dteg.normalize.remote import RemoteNormalizer, _unpack
from dteg.normalize.service import Normalizer, NormalizeRequest
from tests.integration.normalize.cases import TEXTBOOK

ORDERS = TEXTBOOK[0]


@pytest.fixture(params=["library", "studio"])
def normalizer(request, studio_project):
    if request.param == "library":
        return Normalizer.of(studio_project)
    return RemoteNormalizer(request.getfixturevalue("studio").client)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "all the orders.csv"
    path.write_text(ORDERS.text())
    return str(path)


def wanted(**values):
    return NormalizeRequest.model_validate(values)


def test_a_file_becomes_the_same_tables(normalizer, file, studio_project):
    result = normalizer.run(wanted(), file)
    assert result.plan.root.name == "all_the_orders"
    assert [set(table.columns) for table in result.plan.tables if table.name == "zips"] == [{"zip", "city"}]
    assert (result.proof.holds, result.files, result.out, result.archive) == (True, {}, "", "")
    loaded = normalizer.run(wanted(into="shop", form="BCNF"), file)
    assert (loaded.into, loaded.plan.form) == ("shop", "BCNF")
    with pytest.raises(ConflictError, match="--replace"):
        normalizer.run(wanted(into="shop"), file)
    with psycopg.connect(studio_project.warehouse_url()) as connection:
        assert connection.execute("SELECT count(*) FROM shop.all_the_orders_flat").fetchone() == (600,)


def test_the_files_are_the_same_bytes(normalizer, file, tmp_path, studio_project):
    out = tmp_path / "out"
    result = normalizer.run(wanted(out=str(out), table_format="parquet"), file)
    assert (result.out, result.archive) == (str(out), "")
    here = Normalizer.of(studio_project).run(wanted(out=str(tmp_path / "here"), table_format="parquet"), file)
    assert result.files == here.files
    written = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert written == {*result.files, "normalization_report.json"}
    assert json.loads((out / "normalization_report.json").read_text())["proof"]["holds"]
    with pytest.raises(ConflictError, match="not empty"):
        normalizer.run(wanted(out=str(out)), file)
    assert not any((studio_project.state_dir / "uploads").glob("*/*"))


def test_what_is_no_file_is_refused(normalizer, tmp_path):
    with pytest.raises(InputError):
        normalizer.run(wanted(), str(tmp_path / "absent.csv"))
    (tmp_path / "broken.csv").write_text("a,b\n1\n")
    with pytest.raises(InputError, match=r"broken\.csv"):
        normalizer.run(wanted(), str(tmp_path / "broken.csv"))


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/b/c", "..\\evil"])
def test_a_studio_that_sends_other_names_writes_nothing(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "files.zip", "w") as files:
        files.writestr("orders.csv", "a\n")
        files.writestr(name, "evil")
    with pytest.raises(InputError, match="none of ours"):
        _unpack(tmp_path / "files.zip", tmp_path / "deep" / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["files.zip"]


def test_the_command_through_a_studio(studio, file, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("DTEG_STUDIO_TOKEN", studio.token)
    assert run_app(["normalize", file, "--out", str(tmp_path / "out"), "--url", studio.url]) == 0
    said = capsys.readouterr().out
    assert "Proved on 600 rows" in said
    assert f"Written to {tmp_path / 'out'}" in said
    assert (tmp_path / "out" / "zips.csv").is_file()
