"""MongoDB killed in the middle of reads: index and files go on answering, a publish is told to come back.

How the test was seen to fail, in a copy of the tree: with the index looking into the database, or the credentials read
for files too, some reads get 503; without `Index._load` the second process knows no package.
"""

import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from dteg.core.document_server import DocumentServer
from dteg.core.errors import EnvironmentProblemError
from registry.testing import running_registry
from tests.integration.registry.publishing import Publisher

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]
JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}


@pytest.fixture
def database(tmp_path):
    """A server of our own: this test kills it, so it cannot be the one that DTEG_MONGODB_URL names."""
    try:
        server = DocumentServer(tmp_path / "mongodb", durable=True, options=("--standalone",))
    except EnvironmentProblemError as error:
        pytest.skip(f"no document server here: {error}")
    server.start()
    yield server
    server.stop()


def reads(registry, release: dict[str, object], stop: threading.Event, seen: list[int]) -> None:
    paths = [
        "//simple/", "//simple/dteg-streaming-numbers-extractor/",
        f"//files/{release['sha256']}/{release['filename']}", f"//files/{release['sha256']}/{release['filename']}.metadata",
    ]  # fmt: skip
    with httpx.Client(timeout=30) as client:
        for path in itertools.cycle(paths):
            if stop.is_set():
                return
            seen.append(client.get(f"{registry.url}{path[1:]}", headers=JSON).status_code)


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.05)


def test_reads_go_on_and_a_publish_is_told_to_come_back(database, tmp_path, figures):
    line = figures("MongoDB killed in the middle of reads", points=1)
    with running_registry(f"mongodb://{database.address}", tmp_path / "registry") as registry:
        publisher = Publisher(registry, tmp_path / "wheels")
        release = publisher.list()
        next_wheel = publisher.wheel("1.1.0")
        stop, seen = threading.Event(), []
        readers = [threading.Thread(target=reads, args=(registry, release, stop, seen)) for _ in range(4)]
        for reader in readers:
            reader.start()
        wait_for(lambda: len(seen) > 20)
        database.kill()
        before = len(seen)
        refused = publisher.send(next_wheel)
        wait_for(lambda: len(seen) - before > 20)
        stop.set()
        for reader in readers:
            reader.join()
        assert set(seen) == {200}
        assert len(seen) - before > 20, "the readers were not reading while the database was down"
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert int(refused.headers["retry-after"]) > 0
        assert registry.request("GET", "//healthz").is_success
        assert registry.request("GET", "/search", params={"q": "numbers"}).status_code == 200
        assert registry.request("GET", "//readyz").status_code == 503
        restart_without_database(registry, release, tmp_path)
        database.start()
        again = publish_until_accepted(publisher, next_wheel)
        assert again.status_code == 202, again.text
        orphans = registry.run(registry.services.releases.sweep_blobs())
        assert orphans == 0
        line.landed, line.note = 1, f"{len(seen)} reads, all 200"


def restart_without_database(registry, release, tmp_path: Path) -> None:
    """Another process of the same registry that starts while the database is down."""
    settings = registry.settings.model_dump(exclude={"mongodb_url", "data_dir", "public_url"})
    with running_registry(
        "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=300", registry.settings.data_dir, **settings
    ) as second:  # fmt: skip
        page = second.request("GET", "//simple/dteg-streaming-numbers-extractor/", headers=JSON)
        assert page.json()["files"][0]["hashes"]["sha256"] == release["sha256"]
        assert "x-registry-stale" in page.headers
        assert (
            len(second.request("GET", f"//files/{release['sha256']}/{release['filename']}").content)
            == release["size"]
        )


def publish_until_accepted(publisher: Publisher, wheel: Path) -> httpx.Response:
    for _ in range(120):
        answer = publisher.send(wheel)
        if answer.status_code != 503:
            break
        time.sleep(0.5)
    return answer
