"""The contract of topics on a NATS server."""

import psycopg
import pytest

from dteg.core.errors import ConfigError, EnvironmentProblemError, NotAvailableError, TransientError
from dteg.testing.nats import nats_server
from dteg.testing.servers import fresh_port
from dteg.testing.topics_contract import TopicsContract
from dteg.topics import Topics, TopicSettings

pytestmark = pytest.mark.integration


@pytest.fixture(scope="session")
def nats_url():
    pytest.importorskip("nats", reason="no NATS client: uv pip install 'dteg[nats]'")
    try:
        with nats_server() as url:
            yield url
    except EnvironmentProblemError as error:
        pytest.skip(f"NOT TESTED: topics on NATS: {error}")


@pytest.fixture
def topics(nats_url):
    from dteg.topics.nats import NatsTopics

    topics = NatsTopics(nats_url)
    for topic in topics.topics():
        topics.delete(topic.name)
    yield topics
    topics.close()


class TestNatsTopics(TopicsContract):
    @pytest.fixture
    def topics(self, topics):
        return topics


def test_the_environment_chooses_the_server(nats_url, studio_project, monkeypatch):
    from dteg.topics.nats import NatsTopics

    monkeypatch.setenv("DTEG_TOPICS_URL", nats_url)
    topics = Topics.of(studio_project)
    assert isinstance(topics, NatsTopics)
    topics.close()
    monkeypatch.setenv("DTEG_TOPICS_URL", "redis://127.0.0.1")
    with pytest.raises(ConfigError, match="DTEG_TOPICS_URL"):
        Topics.of(studio_project)


def test_what_joins_a_transaction_is_passed_on(nats_url, topics, studio_project):
    from dteg.topics.nats import NatsTopics

    joined = NatsTopics(nats_url, studio_project)
    joined.ensure("t")
    with psycopg.connect(studio_project.warehouse_url()) as connection:
        joined.publish("t", b"\xff", key="k", headers={"a": "b"}, connection=connection)
        connection.commit()
        joined.publish("t", "never", connection=connection)
        assert joined.relay() == 1
        connection.rollback()
    assert joined.relay() == 0
    (message,) = joined.read("t", 0)
    assert (message.data, message.key, message.headers) == (b"\xff", "k", {"a": "b"})
    # As after a crash between publishing and the ack: the server knows it and takes it once.
    joined._outbox.replay("t", "nats", "earliest")
    assert joined.relay() == 1
    assert len(joined.read("t", 0)) == 1
    joined.close()


def test_what_it_cannot_do_it_says(topics):
    topics.ensure("t")
    with pytest.raises(NotAvailableError, match="transaction"):
        topics.publish("t", "x", connection=object())
    with pytest.raises(ConfigError, match="max_payload_bytes"):
        topics.create("large", TopicSettings(max_payload_bytes=4 * 2**20))


def test_a_server_that_is_not_there_is_a_clear_error():
    pytest.importorskip("nats")
    from dteg.topics.nats import NatsTopics

    topics = NatsTopics(f"nats://127.0.0.1:{fresh_port()}")
    with pytest.raises(TransientError, match="cannot be reached"):
        topics.topics()
    topics.close()
