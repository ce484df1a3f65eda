"""What every adapter of topics owes, as pytest tests: subclass it and give the fixture `topics`.

class TestMine(TopicsContract):
    @pytest.fixture
    def topics(self) -> Topics: ...
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from dteg.core.errors import ConfigError, ConflictError, NotFoundError
from dteg.topics.models import Delivery, NewMessage, Start, TopicSettings
from dteg.topics.service import Topics

__all__ = ["TopicsContract"]

# Retries at once, so that tests do not wait.
QUICK = TopicSettings(max_attempts=3, retry_base_s=0, retry_max_s=0)
LEASE_S = 1.0
WAIT_S = 15.0


def offsets(messages: object) -> list[int]:
    """Return the offsets of messages."""
    return [message.offset for message in messages]  # type: ignore[attr-defined]


class TopicsContract:
    """The contract of `dteg.topics.Topics`."""

    pytestmark = pytest.mark.contract

    @pytest.fixture
    def topics(self) -> Iterator[Topics]:
        """The adapter, empty."""
        raise NotImplementedError("give the fixture `topics`")

    # --- topics --------------------------------------------------------------------------------

    def test_a_topic_is_made_shown_changed_and_deleted(self, topics: Topics) -> None:
        """Settings are kept; a second one of the name is refused."""
        made = topics.create("shop.orders", TopicSettings(description="all orders", max_attempts=9))
        assert (made.name, made.settings.max_attempts, made.messages, made.next_offset) == (
            "shop.orders", 9, 0, 0,
        )  # fmt: skip
        with pytest.raises(ConflictError):
            topics.create("shop.orders")
        assert topics.ensure("shop.orders", TopicSettings(max_attempts=2)).settings.max_attempts == 9
        assert topics.change("shop.orders", TopicSettings(max_attempts=4)).settings.max_attempts == 4
        topics.create("audit")
        assert [topic.name for topic in topics.topics()] == ["audit", "shop.orders"]
        assert [topic.name for topic in topics.topics(after="audit", limit=5)] == ["shop.orders"]
        topics.delete("shop.orders")
        assert [topic.name for topic in topics.topics()] == ["audit"]

    def test_what_does_not_exist_is_said(self, topics: Topics) -> None:
        """No method makes a topic or a group by accident."""
        calls: list[Callable[[], object]] = [
            lambda: topics.topic("none"), lambda: topics.delete("none"), lambda: topics.publish("none", "x"),
            lambda: topics.read("none", 0), lambda: topics.subscribe("none", "g"), lambda: topics.groups("none"),
            lambda: topics.dead_letters("none"), lambda: topics.change("none", QUICK), lambda: topics.prune("none"),
        ]  # fmt: skip
        topics.create("t")
        calls += [
            lambda: topics.fetch("t", "none"), lambda: topics.ack("t", "none", []),
            lambda: topics.replay("t", "none", 0), lambda: topics.replay_dead_letters("t", "none"),
            lambda: topics.delete_group("t", "none"),
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(NotFoundError, match="none"):
                call()

    @pytest.mark.parametrize("name", ["", "Orders", "a b", "a..b", "../x", "a;drop", "1st", "a" * 101, "é"])
    def test_bad_names_are_refused(self, topics: Topics, name: str) -> None:
        """Of topics, and the worse ones of groups."""
        with pytest.raises(ConfigError):
            topics.create(name)
        topics.create("t")
        if name not in ("Orders", "1st"):
            with pytest.raises(ConfigError):
                topics.subscribe("t", name)

    # --- publishing and reading ----------------------------------------------------------------

    def test_messages_come_out_as_they_went_in(self, topics: Topics) -> None:
        """Any bytes, any text, keys and headers; in order, with a time."""
        topics.create("t")
        before = datetime.now(UTC)
        topics.publish("t", {"id": 1, "name": "Zoë"}, key="1", headers={"Trace-Id": "abc"})
        topics.publish("t", "plain\nlines\0and NUL")
        receipt = topics.publish("t", bytes(range(256)))
        assert (receipt.topic, receipt.messages, receipt.bytes) == ("t", 1, 256)
        topics.publish("t", b"")
        first, second, third, fourth = topics.read("t", "earliest")
        assert (first.offset, first.key, first.headers) == (0, "1", {"Trace-Id": "abc"})
        assert first.json_value() == {"id": 1, "name": "Zoë"}
        assert abs((first.published_at - before).total_seconds()) < 60
        assert (second.payload, second.encoding, second.headers) == ("plain\nlines\0and NUL", "text", {})
        assert (third.data, third.encoding) == (bytes(range(256)), "base64")
        assert fourth.data == b""
        shown = topics.topic("t")
        assert (shown.messages, shown.next_offset) == (4, 4)
        assert shown.bytes >= sum(len(message.data) for message in (first, second, third, fourth))

    def test_reading_begins_where_it_was_told(self, topics: Topics) -> None:
        """Offsets, the ends, times; without moving anything."""
        topics.create("t")
        topics.publish_many("t", [NewMessage.make(str(number)) for number in range(5)])
        time.sleep(0.02)
        middle = datetime.now(UTC)
        time.sleep(0.02)
        topics.publish_many("t", [NewMessage.make(str(number)) for number in range(5, 8)])
        expected: list[tuple[Start, list[int]]] = [
            ("earliest", [0, 1, 2, 3, 4, 5, 6, 7]), ("latest", []), (3, [3, 4, 5, 6, 7]), (8, []), (99, []),
            (middle, [5, 6, 7]),
        ]  # fmt: skip
        for start, found in expected:
            assert offsets(topics.read("t", start)) == found, start
        assert offsets(topics.read("t", 2, limit=2)) == [2, 3]

    def test_a_reader_that_waits_gets_the_next_message_soon(self, topics: Topics) -> None:
        """`latest` is what comes after the call."""
        topics.create("t")
        topics.publish("t", "old")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(topics.read, "t", "latest", wait_s=WAIT_S)
            time.sleep(1.0)
            sent = time.monotonic()
            topics.publish("t", "new")
            assert [message.payload for message in waiting.result()] == ["new"]
            assert time.monotonic() - sent < WAIT_S / 2
        assert topics.read("t", "latest", wait_s=0.1) == []

    def test_too_large_messages_are_refused_whole(self, topics: Topics) -> None:
        """The limit is the topic's; the error names the message; nothing of the batch is published."""
        topics.create("t", TopicSettings(max_payload_bytes=10))
        with pytest.raises(ConfigError, match=r"message 2 has 11 bytes"):
            topics.publish_many("t", [NewMessage.make("x" * 10), NewMessage.make("x" * 11)])
        assert topics.read("t", 0) == []
        topics.publish("t", "x" * 10)
        assert len(topics.read("t", 0)) == 1

    # --- groups --------------------------------------------------------------------------------

    def test_groups_get_every_message_members_share_them(self, topics: Topics) -> None:
        """Two groups get all; what one member of a group holds the other does not get."""
        topics.create("t")
        for group in ("a", "b"):
            topics.subscribe("t", group)
        topics.publish_many("t", [NewMessage.make(str(number)) for number in range(6)])
        one = topics.fetch("t", "a", limit=4)
        other = topics.fetch("t", "a", limit=4)
        assert (offsets(one), offsets(other)) == ([0, 1, 2, 3], [4, 5])
        assert offsets(topics.fetch("t", "b", limit=10)) == [0, 1, 2, 3, 4, 5]
        assert all((delivery.group, delivery.attempt) == ("a", 1) for delivery in one)
        assert topics.ack("t", "a", [delivery.ack_id for delivery in one]) == 4
        state = topics.groups("t")[0]
        assert (state.name, state.next_offset, state.lag, state.in_flight) == ("a", 6, 0, 2)
        assert topics.fetch("t", "a") == []

    def test_a_group_begins_where_it_was_told_and_stays(self, topics: Topics) -> None:
        """The start counts when the group is made only."""
        topics.create("t")
        topics.publish_many("t", [NewMessage.make(str(number)) for number in range(3)])
        starts: dict[str, Start] = {"all": "earliest", "new": "latest", "some": 1}
        for group, start in starts.items():
            topics.subscribe("t", group, start)
        topics.publish("t", "3")
        found = {group: offsets(topics.fetch("t", group)) for group in starts}
        assert found == {"all": [0, 1, 2, 3], "new": [3], "some": [1, 2, 3]}
        topics.subscribe("t", "new", "earliest")
        assert topics.fetch("t", "new") == []

    def test_an_ack_is_final_and_counts_once(self, topics: Topics) -> None:
        """A second ack, and one of somebody else's making, do nothing."""
        topics.create("t", QUICK)
        topics.subscribe("t", "g")
        topics.publish("t", "x")
        (delivery,) = topics.fetch("t", "g", lease_s=LEASE_S)
        assert topics.ack("t", "g", [delivery.ack_id]) == 1
        assert topics.ack("t", "g", [delivery.ack_id]) == 0
        with pytest.raises(ConfigError):
            topics.ack("t", "g", ["not-an-ack-id"])
        time.sleep(LEASE_S * 2)
        assert topics.fetch("t", "g") == []

    def test_without_an_ack_the_message_comes_again(self, topics: Topics) -> None:
        """At least once: the lease of a member that died runs out; its late ack is not taken for another's."""
        topics.create("t", QUICK)
        topics.subscribe("t", "g")
        topics.publish("t", "x")
        (lost,) = topics.fetch("t", "g", lease_s=LEASE_S)
        assert topics.fetch("t", "g") == []
        (again,) = topics.fetch("t", "g", wait_s=WAIT_S)
        assert (again.offset, again.attempt, again.payload) == (lost.offset, 2, "x")
        assert topics.ack("t", "g", [lost.ack_id]) == 0
        assert topics.nack("t", "g", lost.ack_id, "late") == "stale"
        assert topics.ack("t", "g", [again.ack_id]) == 1

    def test_a_lease_can_be_extended_and_given_back(self, topics: Topics) -> None:
        """Extended ones stay with their member; released ones come again at once, and the attempt does not count."""
        topics.create("t", QUICK)
        topics.subscribe("t", "g")
        topics.publish("t", "x")
        (delivery,) = topics.fetch("t", "g", lease_s=LEASE_S)
        for _ in range(4):
            time.sleep(LEASE_S / 2)
            assert topics.extend("t", "g", [delivery.ack_id], lease_s=LEASE_S) == 1
            assert topics.fetch("t", "g") == []
        assert topics.release("t", "g", [delivery.ack_id]) == 1
        for _ in range(QUICK.max_attempts + 1):  # never a dead letter: nobody tried
            (again,) = topics.fetch("t", "g", wait_s=WAIT_S)
            assert again.attempt == 1
            assert topics.release("t", "g", [again.ack_id]) == 1
        assert topics.dead_letters("t") == []

    def test_a_slow_member_and_a_poison_message_stop_nobody(self, topics: Topics) -> None:
        """What comes after is handed to others at once; other groups do not notice."""
        topics.create("t", TopicSettings(max_attempts=2, retry_base_s=60))
        for group in ("a", "b"):
            topics.subscribe("t", group)
        topics.publish_many("t", [NewMessage.make(str(number)) for number in range(4)])
        slow = topics.fetch("t", "a", limit=1, lease_s=60)
        (poison,) = topics.fetch("t", "a", limit=1)
        assert topics.nack("t", "a", poison.ack_id, "boom") == "retry"
        assert offsets(topics.fetch("t", "a")) == [2, 3]
        assert offsets(topics.fetch("t", "b")) == [0, 1, 2, 3]
        assert offsets(slow) == [0]
        assert topics.groups("t")[0].retrying == 1

    # --- dead letters, replay, retention -------------------------------------------------------

    def test_after_the_last_attempt_it_is_a_dead_letter(self, topics: Topics) -> None:
        """With the error; of this group only; nobody gets it again."""
        topics.create("t", QUICK)
        for group in ("a", "b"):
            topics.subscribe("t", group)
        topics.publish("t", "x", key="k", headers={"H": "1"})
        outcomes = []
        for attempt in range(1, QUICK.max_attempts + 1):
            (delivery,) = topics.fetch("t", "a", wait_s=WAIT_S)
            assert delivery.attempt == attempt
            outcomes.append(topics.nack("t", "a", delivery.ack_id, f"failed {attempt}\0"))
        assert outcomes == ["retry", "retry", "dead"]
        assert topics.fetch("t", "a") == []
        (letter,) = topics.dead_letters("t")
        assert (letter.group, letter.offset, letter.attempts) == ("a", 0, 3)
        assert letter.error.startswith("failed 3")
        assert (letter.payload, letter.key, letter.headers) == ("x", "k", {"H": "1"})
        assert topics.dead_letters("t", "b") == []
        assert (topics.groups("t")[0].dead_letters, topics.topic("t").dead_letters) == (1, 1)
        assert offsets(topics.fetch("t", "b")) == [0]

    def test_a_message_that_kills_its_members_becomes_a_dead_letter(self, topics: Topics) -> None:
        """Leases that run out are attempts too."""
        topics.create("t", QUICK)
        topics.subscribe("t", "g")
        topics.publish("t", "x")
        for attempt in range(1, QUICK.max_attempts + 1):
            (delivery,) = topics.fetch("t", "g", wait_s=WAIT_S, lease_s=0.1)
            assert delivery.attempt == attempt
        time.sleep(0.2)
        assert topics.fetch("t", "g", wait_s=0.5) == []
        (letter,) = topics.dead_letters("t", "g")
        assert "lease" in letter.error

    def test_dead_letters_are_replayed_to_their_group(self, topics: Topics) -> None:
        """With all attempts anew; an ack removes them, another death keeps one letter."""
        topics.create("t", TopicSettings(max_attempts=1))
        for group in ("a", "b"):
            topics.subscribe("t", group)
        topics.publish_many("t", [NewMessage.make("bad"), NewMessage.make("good after all")])
        for delivery in topics.fetch("t", "a"):
            assert topics.nack("t", "a", delivery.ack_id, "first") == "dead"
        assert topics.ack("t", "b", [each.ack_id for each in topics.fetch("t", "b")]) == 2
        letters = topics.dead_letters("t", "a")
        assert topics.replay_dead_letters("t", "a", [letters[0].id]) == 1
        assert topics.replay_dead_letters("t", "a") == 1
        assert topics.replay_dead_letters("t", "a") == 0
        again = self._drain(topics, "t", "a", 2)
        assert sorted(delivery.payload for delivery in again) == ["bad", "good after all"]
        for delivery in again:
            if delivery.payload == "bad":
                assert topics.nack("t", "a", delivery.ack_id, "second") == "dead"
            else:
                assert topics.ack("t", "a", [delivery.ack_id]) == 1
        (letter,) = topics.dead_letters("t")
        assert (letter.payload, letter.attempts, letter.replaying) == ("bad", 2, False)
        assert letter.error == "second"
        assert topics.fetch("t", "b") == []

    def test_a_group_is_set_back_alone(self, topics: Topics) -> None:
        """To an offset, to the ends; acks from before come to nothing."""
        topics.create("t", QUICK)
        for group in ("a", "b"):
            topics.subscribe("t", group)
        topics.publish_many("t", [NewMessage.make(str(number)) for number in range(5)])
        held = topics.fetch("t", "a")
        topics.ack("t", "a", [delivery.ack_id for delivery in held[:3]])
        topics.ack("t", "b", [delivery.ack_id for delivery in topics.fetch("t", "b")])
        assert topics.replay("t", "a", 1).lag == 4
        assert topics.ack("t", "a", [held[4].ack_id]) == 0
        again = topics.fetch("t", "a")
        assert [(delivery.offset, delivery.attempt) for delivery in again] == [(1, 1), (2, 1), (3, 1), (4, 1)]
        assert topics.replay("t", "a", "latest").lag == 0
        assert topics.fetch("t", "a") == []
        topics.replay("t", "a", "earliest")
        assert offsets(topics.fetch("t", "a", limit=2)) == [0, 1]
        assert topics.fetch("t", "b") == []

    def test_retention_by_size_takes_the_oldest(self, topics: Topics) -> None:
        """Offsets go on; a group that comes late is told what it missed. Adapters may count more than the payloads."""
        topics.create("t", TopicSettings(retention_bytes=350))
        topics.subscribe("t", "g")
        topics.publish_many("t", [NewMessage.make("x" * 100) for _ in range(10)])
        topics.prune("t")
        shown = topics.topic("t")
        assert shown.next_offset == 10
        assert 0 < shown.bytes <= 350
        first = shown.first_offset
        assert first in (7, 8), "two or three messages of 100 bytes fit"
        assert offsets(topics.read("t", "earliest")) == list(range(first, 10))
        assert topics.groups("t")[0].missed == first
        assert offsets(topics.fetch("t", "g")) == list(range(first, 10))
        assert topics.groups("t")[0].missed == first

    def test_retention_by_age_takes_the_oldest(self, topics: Topics) -> None:
        """Whatever is younger stays; some servers take a moment."""
        topics.create("t", TopicSettings(retention_s=3))
        topics.publish("t", "old")
        time.sleep(2.2)
        topics.publish("t", "new")
        deadline, kept = time.monotonic() + WAIT_S, [""]
        while time.monotonic() < deadline:
            topics.prune("t")
            kept = [message.payload for message in topics.read("t", "earliest")]
            if kept != ["old", "new"]:
                break
            time.sleep(0.05)
        assert kept == ["new"]

    def test_many_publishers_and_members_lose_nothing(self, topics: Topics) -> None:
        """Each message comes to exactly one member of a group when nobody fails; publishers keep their order."""
        publishers, each, members = 4, 150, 3
        topics.create("t")
        topics.subscribe("t", "g")
        seen: list[Delivery] = []
        lock = threading.Lock()

        def publish(number: int) -> None:
            for at in range(0, each, 10):
                batch = [NewMessage.make(f"{number}:{at + step}") for step in range(10)]
                topics.publish_many("t", batch)

        def consume(_: int) -> None:
            while True:
                batch = topics.fetch("t", "g", limit=17, wait_s=0.5)
                topics.ack("t", "g", [delivery.ack_id for delivery in batch])
                with lock:
                    seen.extend(batch)
                    if len(seen) >= publishers * each:
                        return

        with ThreadPoolExecutor(publishers + members) as pool:
            work = [pool.submit(publish, number) for number in range(publishers)]
            work += [pool.submit(consume, number) for number in range(members)]
            for job in work:
                job.result(timeout=150)
        assert sorted(offsets(seen)) == list(range(publishers * each))
        seen.sort(key=lambda delivery: delivery.offset)
        for number in range(publishers):
            own = [
                int(each_.payload.split(":")[1]) for each_ in seen if each_.payload.startswith(f"{number}:")
            ]
            assert own == list(range(each))

    # --- inside --------------------------------------------------------------------------------

    def _drain(self, topics: Topics, topic: str, group: str, count: int) -> list[Delivery]:
        found: list[Delivery] = []
        deadline = time.monotonic() + WAIT_S
        while len(found) < count and time.monotonic() < deadline:
            found += topics.fetch(topic, group, wait_s=0.5)
        return found
