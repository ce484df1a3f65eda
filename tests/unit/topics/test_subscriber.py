"""A member of a group: what it acks, gives back and keeps."""

import os
import sys
import threading
import time

import pytest

from dteg.core.errors import ConfigError, TransientError
from dteg.testing.memory_topics import MemoryTopics
from dteg.topics import NewMessage, TopicSettings
from dteg.topics.command import Command, CommandError
from dteg.topics.subscriber import Subscriber

pytestmark = pytest.mark.unit


@pytest.fixture
def topics():
    topics = MemoryTopics()
    topics.create("t", TopicSettings(max_attempts=2, retry_base_s=0))
    topics.subscribe("t", "g")
    topics.publish_many("t", [NewMessage.make(str(number)) for number in range(5)])
    return topics


def state(topics):
    (group,) = topics.groups("t")
    return group


def test_it_acks_what_is_handled_and_fails_the_rest(topics):
    told = []

    def handle(delivery):
        if delivery.payload == "2":
            raise ValueError("not this one, password=hunter22")

    subscriber = Subscriber(topics, "t", "g", handle, told=lambda *each: told.append(each))
    handled = subscriber.run(threading.Event(), idle_s=0.1)
    assert (handled.done, handled.failed, handled.dead) == (4, 2, 1)
    assert [(delivery.attempt, outcome) for delivery, _, outcome in told] == [(1, "retry"), (2, "dead")]
    (letter,) = topics.dead_letters("t")
    assert letter.error.startswith("ValueError: not this one")
    assert "hunter22" not in letter.error
    assert (state(topics).in_flight, state(topics).retrying) == (0, 0)


def test_what_is_not_begun_when_it_ends_is_given_back_untouched(topics):
    stop = threading.Event()
    seen = []

    def handle(delivery):
        seen.append(delivery.payload)
        if len(seen) == 2:
            stop.set()

    assert Subscriber(topics, "t", "g", handle).run(stop).done == 2
    assert (state(topics).in_flight, state(topics).retrying) == (0, 3)
    assert [(each.payload, each.attempt) for each in topics.fetch("t", "g")] == [("2", 1), ("3", 1), ("4", 1)]


def test_an_interrupt_in_a_message_gives_that_back_too(topics):
    def handle(delivery):
        if delivery.payload == "1":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Subscriber(topics, "t", "g", handle).run(threading.Event())
    assert [(each.payload, each.attempt) for each in topics.fetch("t", "g")][:2] == [("1", 1), ("2", 1)]


def test_it_ends_after_as_many_as_wanted(topics):
    handled = Subscriber(topics, "t", "g", lambda delivery: None, batch=2).run(threading.Event(), limit=3)
    assert handled.done == 3
    assert state(topics).lag == 2


def test_a_slow_handler_keeps_its_messages(topics):
    handled = []

    def handle(delivery):
        time.sleep(0.7)
        handled.append(delivery.payload)

    slow = Subscriber(topics, "t", "g", handle, batch=3, lease_s=1.5)  # less than the three take
    thread = threading.Thread(target=slow.run, args=(threading.Event(),), kwargs={"limit": 3})
    thread.start()
    while state(topics).in_flight < 3:
        time.sleep(0.01)
    others = []
    while thread.is_alive():
        others += [delivery.payload for delivery in topics.fetch("t", "g", lease_s=60)]
        time.sleep(0.02)
    assert handled == ["0", "1", "2"]
    assert others == ["3", "4"]


def test_a_server_that_is_gone_for_a_moment_does_not_end_it(topics, monkeypatch):
    fetch, failures = topics.fetch, [TransientError("gone"), TransientError("gone")]

    def flaky(*arguments, **options):
        if failures:
            raise failures.pop()
        return fetch(*arguments, **options)

    monkeypatch.setattr(topics, "fetch", flaky)
    monkeypatch.setattr("dteg.topics.subscriber._LONGEST_PAUSE_S", 0.01)
    assert Subscriber(topics, "t", "g", lambda delivery: None).run(threading.Event(), limit=5).done == 5


# --- commands ----------------------------------------------------------------------------------


def a_delivery(topics, **values):
    topics.replay("t", "g", "latest")
    topics.publish("t", **values)
    return topics.fetch("t", "g")[0]


def test_a_command_gets_payload_and_environment(topics, tmp_path):
    script = (
        "import os, sys, pathlib; pathlib.Path(sys.argv[1]).write_bytes(sys.stdin.buffer.read() + "
        "'|'.join(os.environ[n] for n in ('DTEG_TOPIC', 'DTEG_GROUP', 'DTEG_OFFSET', 'DTEG_KEY', 'DTEG_ATTEMPT',"
        " 'DTEG_HEADER_TRACE_ID')).encode())"
    )
    out = tmp_path / "out"
    delivery = a_delivery(topics, payload=b"\xff\x00", key="; rm -rf /", headers={"Trace-Id": "$(boom)"})
    Command([sys.executable, "-c", script, str(out)])(delivery)
    assert out.read_bytes() == b"\xff\x00t|g|5|; rm -rf /|1|$(boom)"


def test_a_command_that_fails_tells_why(topics, capfd):
    delivery = a_delivery(topics, payload="x")
    with pytest.raises(CommandError, match=r"exit code 3: no such account"):
        Command(["sh", "-c", "cat > /dev/null; echo no such account >&2; exit 3"])(delivery)
    assert "no such account" in capfd.readouterr().err


def test_a_command_that_reads_nothing_is_fine(topics):
    Command(["true"])(a_delivery(topics, payload="x" * 300_000))


def test_a_command_that_hangs_is_ended(topics, tmp_path):
    pid = tmp_path / "pid"
    began = time.monotonic()
    with pytest.raises(CommandError, match=r"longer than 1\.5 s"):
        Command(["sh", "-c", f"echo $$ > {pid}; exec sleep 60"], 1.5)(a_delivery(topics, payload="x"))
    assert time.monotonic() - began < 50
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_a_command_that_does_not_exist_is_refused_before_any_message():
    with pytest.raises(ConfigError, match="no program 'no-such-program'"):
        Command(["no-such-program"])
