"""What the tests of this extractor share: a server on the loopback interface that also misbehaves."""

import pytest

from dteg.testing import make_context
from dteg.testing.http_server import FakeServer, Reply

from .rest import RestConfig, RestExtractor

CANARY = "canary-5ecret+with~marks"
QUICK = {"max_attempts": 3, "base_delay_s": 0.001, "max_delay_s": 1.0}
ROWS = [{"id": number, "name": f"n{number}"} for number in range(1, 8)]


@pytest.fixture
def server():
    with FakeServer() as running:
        yield running


@pytest.fixture
def canary(monkeypatch):
    monkeypatch.setenv("REST_CANARY", CANARY)
    return "secret://env/REST_CANARY"


@pytest.fixture
def make(server, tmp_path):
    made = []

    def build(*, stream=None, **config):
        streams = [{"name": "items", "path": "/items", **(stream or {})}]
        given = {"base_url": server.url, "streams": streams, "retry": QUICK, **config}
        extractor = RestExtractor(RestConfig.model_validate(given), make_context(tmp_path))
        made.append(extractor)
        return extractor

    yield build
    for extractor in made:
        extractor.close()


def read(extractor, since=None):
    (stream,) = extractor.streams()
    return [row for batch in extractor.read(stream, since) for row in batch.to_pylist()]


def sliced(start, size):
    return ROWS[start : start + size]


def by_page(seen):
    return Reply({"data": sliced((int(seen.query["page"]) - 1) * 3, 3), "meta": {"total": len(ROWS)}})


def by_link(seen):
    start = int(seen.query.get("from", 0))
    headers = {"Link": f'</items?from=0>; rel="first", </items?from={start + 3}>; rel="next"'}
    return Reply({"data": sliced(start, 3)}, headers=headers if start + 3 < len(ROWS) else {})
