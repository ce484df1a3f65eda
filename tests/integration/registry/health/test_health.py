import time

import pytest

from dteg.core.document_server import DocumentServer
from registry.testing import PASSWORD, running_registry

pytestmark = pytest.mark.integration


@pytest.fixture
def server(tmp_path):
    server = DocumentServer(tmp_path / "mongodb", durable=True, options=("--standalone",))
    yield server
    server.stop()


def wait_until(condition, seconds=120):  # indexes are made first, each waits for the disk
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def ready(registry):
    return registry.request("GET", "//readyz").status_code == 200


def test_it_survives_a_database_that_dies_and_comes_back(server, tmp_path):
    server.start()
    with running_registry(f"mongodb://{server.address}", tmp_path / "data") as registry:
        registry.make_account("ada")
        token = registry.token_of("ada")
        assert ready(registry)
        server.kill()
        started = time.monotonic()
        read = registry.request("GET", "/account", token=token)
        assert (read.status_code, read.json()["code"]) == (503, "unavailable")
        assert int(read.headers["retry-after"]) > 0
        assert time.monotonic() - started < 25, "a request does not hang"
        write = registry.request("POST", "/namespaces", token=token, json={"name": "acme"})
        assert write.status_code == 503
        assert registry.request("GET", "//healthz").status_code == 200
        assert registry.request("GET", "//metrics").text.count(" 0\n") > 0
        assert not ready(registry)
        server.start()
        wait_until(lambda: ready(registry))
        assert registry.request("GET", "/account", token=token).status_code == 200


def test_it_starts_without_a_database_and_writes_nothing_before_the_indexes_are_there(server, tmp_path):
    server.start()
    address = server.address
    server.stop()
    with running_registry(f"mongodb://{address}", tmp_path / "data") as registry:
        assert registry.request("GET", "//healthz").status_code == 200
        assert not ready(registry)
        body = {"login": "ada", "email": "a@example.org", "password": PASSWORD}
        answer = registry.request("POST", "/accounts", json=body)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        server.start()
        wait_until(lambda: ready(registry))
        assert registry.request("POST", "/accounts", json=body).status_code == 201

        async def indexes():
            return await registry.services.database["users"].index_information()

        assert any(each.get("unique") for each in registry.run(indexes()).values())


def test_metrics_count_by_route_and_never_by_what_clients_make_up(registry):
    for name in ("one", "two", "three"):
        registry.request("GET", f"/namespaces/{name}")
        registry.request("GET", f"//made-up/{name}")
    registry.request("BREW", "//made-up")
    text = registry.request("GET", "//metrics").text
    assert 'method="GET",route="/api/v1/namespaces/{ns}",status="404"} 3' in text
    assert 'method="GET",route="none",status="404"} 3' in text
    assert "made-up" not in text
    assert "BREW" not in text
    assert text.startswith("# TYPE")
