"""One database and one studio for all tests of topics: a topic is deleted in a millisecond, a studio starts in a second."""

import threading

import pytest

from dteg.testing.servers import database
from studio.testing import empty_project, running_studio


@pytest.fixture(scope="module")
def kept_studio(postgres_server, tmp_path_factory):
    """A studio that several tests use."""
    with database(postgres_server) as url, pytest.MonkeyPatch.context() as patch:
        project = empty_project(tmp_path_factory.mktemp("topics"))
        patch.setenv("DTEG_POSTGRES_URL", url)
        patch.setenv("DTEG_HOME", str(project.root))
        for name in ("DTEG_STUDIO_URL", "DTEG_STUDIO_TOKEN", "DTEG_TOPICS_URL"):
            patch.delenv(name, raising=False)
        with running_studio(project) as running:
            yield running
        # Who still waits for messages would look for them once more, and start a server of the project's own.
        for thread in threading.enumerate():
            if thread.name.startswith("bell "):
                thread.join(60)


@pytest.fixture
def empty_studio(kept_studio):
    """The same, without topics."""
    for topic in kept_studio.services.topics.topics():
        kept_studio.services.topics.delete(topic.name)
    return kept_studio


@pytest.fixture(autouse=True)
def no_retention_by_chance(monkeypatch):
    """One in a hundred first publishes deletes what is too old, before a test counts what it deletes itself."""
    monkeypatch.setattr("dteg.topics.postgres._RETAIN_CHANCE", 0.0)
