"""A database with one loaded table, and a copy of it for cases that may change it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dteg.cli.main import run_app
from dteg.testing import database
from tests.e2e.bad_input.case import PIPELINE, SEED_CSV, pipeline_for


@pytest.fixture(scope="session")
def seeded_url(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a database whose target was loaded by a run of the same pipeline, so that it also has a journal."""
    project = tmp_path_factory.mktemp("seed")
    (project / "pipelines").mkdir()
    (project / PIPELINE).write_text(pipeline_for("data.csv", {}, {}))
    (project / "data.csv").write_text(SEED_CSV)
    with database(postgres_server) as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DTEG_POSTGRES_URL", url)
        patch.setenv("DTEG_HOME", str(project))
        assert run_app(["run", str(project / PIPELINE)]) == 0
        patch.undo()
        yield url


@pytest.fixture(scope="session")
def unchanged_url(postgres_server: str, seeded_url: str) -> Iterator[str]:
    """URL of one copy for all cases that must leave it as it is."""
    with _copy(postgres_server, seeded_url) as url:
        yield url


@pytest.fixture
def copied_url(postgres_server: str, seeded_url: str) -> Iterator[str]:
    """URL of a copy that is dropped after the test."""
    with _copy(postgres_server, seeded_url) as url:
        yield url


def _copy(server: str, template: str) -> AbstractContextManager[str]:
    return database(server, template=urlsplit(template).path.removeprefix("/"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an empty project, which commands find by `DTEG_HOME`."""
    folder = tmp_path / "project"
    (folder / "pipelines").mkdir(parents=True)
    monkeypatch.setenv("DTEG_HOME", str(folder))
    monkeypatch.delenv("DTEG_DEBUG", raising=False)
    return folder
