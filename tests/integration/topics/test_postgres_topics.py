"""The contract of topics in PostgreSQL, here and through a studio, and what only PostgreSQL owes."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg.rows import dict_row

from dteg.core.errors import ConfigError, NotAvailableError, NotFoundError
from dteg.testing.topics_contract import TopicsContract
from dteg.topics import NewMessage, TopicSettings
from dteg.topics.postgres import PostgresTopics
from dteg.topics.remote import RemoteTopics

pytestmark = pytest.mark.integration


@pytest.fixture
def topics(empty_studio):
    topics = PostgresTopics(empty_studio.project)
    yield topics
    topics.close()


@pytest.fixture
def url(empty_studio):
    return empty_studio.project.warehouse_url()


class TestPostgresTopics(TopicsContract):
    @pytest.fixture
    def topics(self, topics):
        return topics


class TestTopicsOfAStudio(TopicsContract):
    @pytest.fixture
    def topics(self, empty_studio):
        return RemoteTopics(empty_studio.client)


# --- joining a transaction ---------------------------------------------------------------------


def test_publishing_joins_the_callers_transaction(topics, url):
    topics.ensure("t")
    with psycopg.connect(url, row_factory=dict_row) as connection:
        topics.publish("t", {"n": 1}, key="k", connection=connection)
        assert topics.read("t", 0) == []
        connection.rollback()
        assert topics.read("t", 0) == []
        topics.publish("t", {"n": 2}, connection=connection)
        connection.commit()
        with pytest.raises(NotFoundError):
            topics.publish("none", "x", connection=connection)
        connection.rollback()
        with pytest.raises(ConfigError):
            topics.publish("t", "x" * 2**20, connection=connection)
    assert [message.json_value() for message in topics.read("t", 0)] == [{"n": 2}]


def test_triggers_publish_with_sql(topics, url):
    topics.ensure("t")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT _dteg.topic_publish('t', ARRAY['key'], ARRAY['{\"a\":\"b\"}'::jsonb], ARRAY[convert_to('é', 'UTF8')])"
        )
    (message,) = topics.read("t", 0)
    assert (message.payload, message.key, message.headers) == ("é", "key", {"a": "b"})


def test_a_studio_says_that_it_cannot_join(empty_studio):
    with pytest.raises(NotAvailableError, match="transaction"):
        RemoteTopics(empty_studio.client).publish("t", "x", connection=object())


# --- the order of commits ----------------------------------------------------------------------


def test_what_commits_late_is_not_passed_over(topics, url):
    """An identity number is given before the commit: here the first number commits last."""
    topics.ensure("t")
    topics.subscribe("t", "g")
    with psycopg.connect(url) as slow:
        topics.publish("t", "slow", connection=slow)
        topics.publish("t", "fast")
        (fast,) = topics.fetch("t", "g")
        assert (fast.payload, fast.offset) == ("fast", 0)
        topics.ack("t", "g", [fast.ack_id])
        slow.commit()
    (late,) = topics.fetch("t", "g")
    assert (late.payload, late.offset) == ("slow", 1)


def test_overlapping_publishers_lose_nothing(topics, url):
    """The same by chance: 4 publishers hold their transactions open at random while a group reads all the time."""
    import random

    each, rng = 40, random.Random(20260)
    waits = [rng.uniform(0, 0.02) for _ in range(4 * each)]
    topics.ensure("t")
    topics.subscribe("t", "g")

    def publish(number):
        with psycopg.connect(url) as connection:
            for at in range(each):
                topics.publish("t", f"{number}:{at}", connection=connection)
                time.sleep(waits[number * each + at])
                connection.commit()

    found = []
    with ThreadPoolExecutor(4) as pool:
        work = [pool.submit(publish, number) for number in range(4)]
        while len(found) < 4 * each:
            batch = topics.fetch("t", "g", limit=100, wait_s=2)
            if not batch and all(job.done() for job in work):
                break
            topics.ack("t", "g", [delivery.ack_id for delivery in batch])
            found += batch
        for job in work:
            job.result()
    assert [delivery.offset for delivery in found] == list(range(4 * each))
    assert {delivery.payload for delivery in found} == {f"{n}:{at}" for n in range(4) for at in range(each)}


def test_an_open_transaction_stops_nobody(topics, url):
    """Neither publishers nor readers wait for a publisher that does not commit."""
    topics.ensure("t")
    topics.subscribe("t", "g")
    with psycopg.connect(url) as open_one:
        topics.publish("t", "never", connection=open_one)
        for number in range(3):
            topics.publish("t", str(number))
        assert [each.payload for each in topics.fetch("t", "g")] == ["0", "1", "2"]
        open_one.rollback()
    assert topics.fetch("t", "g") == []


# --- notices, members, retention ---------------------------------------------------------------


def test_notices_are_few_however_many_messages(topics, url):
    """A commit that notifies waits for all others that do, so it must not happen for each message."""
    topics.ensure("t")
    with psycopg.connect(url, autocommit=True) as listener:
        listener.execute("LISTEN dteg_topics")
        began = time.monotonic()
        for number in range(300):
            topics.publish("t", str(number))
        took_s = time.monotonic() - began
        notices = len(list(listener.notifies(timeout=0.3)))
    assert 1 <= notices <= took_s / 0.05 + 2


def test_a_waiting_member_is_woken(topics):
    topics.ensure("t")
    topics.subscribe("t", "g")
    times = []
    for _ in range(3):
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(topics.fetch, "t", "g", wait_s=10)
            time.sleep(0.9)  # until it looks once a second only
            sent = time.monotonic()
            topics.publish("t", "x")
            (delivery,) = waiting.result()
            times.append(time.monotonic() - sent)
            topics.ack("t", "g", [delivery.ack_id])
    assert min(times) < 0.4


def test_a_dead_member_takes_only_the_guilty_with_it(topics):
    """A member dies of one message in a batch, again and again: the others of the batch are not given up."""
    topics.create("t", TopicSettings(max_attempts=3))
    topics.subscribe("t", "g")
    topics.publish_many("t", [NewMessage.make("poison" if number == 2 else "good") for number in range(6)])
    done = []
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and len(done) < 5:
        batch = topics.fetch("t", "g", lease_s=1, wait_s=0.2)
        for delivery in batch:
            if delivery.payload == "poison":
                break  # it dies here: no ack for this one and those behind it
            if topics.ack("t", "g", [delivery.ack_id]):
                done.append(delivery.offset)
    assert sorted(done) == [0, 1, 3, 4, 5]
    time.sleep(1.1)
    while topics.fetch("t", "g", lease_s=0.05):
        time.sleep(0.1)
    assert [letter.offset for letter in topics.dead_letters("t")] == [2]


def test_retention_of_much_goes_in_steps(topics):
    topics.create("t", TopicSettings(retention_bytes=1000))
    for _ in range(3):
        topics.publish_many("t", [NewMessage.make("x" * 10) for _ in range(4000)])
    (pruned,) = topics.prune()
    assert (pruned.topic, pruned.messages, pruned.bytes) == ("t", 11_900, 119_000)
    shown = topics.topic("t")
    assert (shown.messages, shown.bytes) == (100, 1000)
    assert topics.prune() == []


def test_a_delivery_whose_message_was_deleted_is_counted_as_missed(topics):
    topics.create("t", TopicSettings(retention_bytes=10, retry_base_s=0))
    topics.subscribe("t", "g")
    topics.publish_many("t", [NewMessage.make("x" * 10), NewMessage.make("y" * 10)])
    first, second = topics.fetch("t", "g")
    assert topics.nack("t", "g", first.ack_id, "no") == "retry"
    topics.prune()
    assert topics.fetch("t", "g") == []
    assert topics.groups("t")[0].missed == 1
    assert topics.ack("t", "g", [second.ack_id]) == 1


def test_it_goes_on_after_its_connections_are_cut(topics, url):
    topics.ensure("t")
    topics.publish("t", "1")
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'dteg'"
        )
    topics.publish("t", "2")
    assert len(topics.read("t", 0)) == 2


def test_deleting_waits_for_who_publishes(topics, url):
    topics.ensure("t")
    with psycopg.connect(url) as publisher:
        topics.publish("t", "x", connection=publisher)
        deleting = threading.Thread(target=topics.delete, args=("t",))
        deleting.start()
        time.sleep(0.2)
        assert deleting.is_alive()
        publisher.commit()
        deleting.join(60)
    with psycopg.connect(url) as connection:
        left = connection.execute(
            "SELECT (SELECT count(*) FROM _dteg.topic_inbox) + (SELECT count(*) FROM _dteg.topic_messages)"
        ).fetchone()
    assert left == (0,)


def test_who_publishes_keeps_to_retention_now_and_then(topics, monkeypatch):
    """There may be no studio that does it."""
    monkeypatch.setattr("dteg.topics.postgres._RETAIN_CHANCE", 1.0)
    topics.create("t", TopicSettings(retention_bytes=10))
    topics.publish_many("t", [NewMessage.make("x" * 10) for _ in range(3)])
    assert topics.topic("t").messages == 1
