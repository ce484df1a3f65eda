"""The same operations, on the library and over a studio; one studio for all tests, because most of their time is its start."""

import shutil

import psycopg
import pytest

from dteg.tables.remote import RemoteTables
from dteg.tables.service import Tables
from dteg.testing.servers import empty
from studio.testing import empty_project, running_studio


@pytest.fixture(scope="package")
def _studio(_postgres_database, tmp_path_factory):
    project = empty_project(tmp_path_factory.mktemp("studio") / "project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DTEG_POSTGRES_URL", _postgres_database)
        patch.setenv("DTEG_HOME", str(project.root))
        with running_studio(project) as running:
            yield running


@pytest.fixture
def studio(_studio, monkeypatch):
    """A running studio over an empty database, with a project that is as new."""
    for name in ("DTEG_STUDIO_URL", "DTEG_STUDIO_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    yield _studio
    empty(_studio.project.warehouse_url())
    shutil.rmtree(_studio.project.state_dir / "uploads", ignore_errors=True)
    for path in _studio.project.pipelines_dir.iterdir():
        path.unlink()


@pytest.fixture
def studio_project(studio):
    return studio.project


@pytest.fixture
def postgres_url(studio):
    return studio.project.warehouse_url()


@pytest.fixture(params=["local", "remote"])
def tables(request, studio, monkeypatch, tmp_path):
    """`Tables` or `RemoteTables` of an empty project; the current folder is an empty one."""
    folder = tmp_path / "files"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return Tables.of(studio.project) if request.param == "local" else RemoteTables(studio.client)


@pytest.fixture
def folder(tables, tmp_path):
    """The current folder."""
    return tmp_path / "files"


@pytest.fixture
def database(postgres_url):
    """A connection to the warehouse."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection
