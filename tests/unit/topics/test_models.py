"""What goes into a message, and what does not."""

from datetime import UTC, datetime

import pytest

from dteg.core.errors import ConfigError
from dteg.topics import NewMessage, TopicSettings, parse_start
from dteg.topics.remote import _parts
from dteg.topics.service import check_batch

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("payload", "data"),
    [
        (b"\xff\x00", b"\xff\x00"), ("é", "é".encode()), ({"a": [1, None]}, b'{"a":[1,null]}'), ([], b"[]"),
        ("", b""), ("a\0b", b"a\0b"),
    ],
)  # fmt: skip
def test_payloads_become_bytes(payload, data):
    assert NewMessage.make(payload).data == data


@pytest.mark.parametrize(
    "bad",
    [
        {"payload": {"a": float("nan")}}, {"payload": {"a": object()}}, {"payload": "\ud800"},
        {"payload": "", "headers": {"a b": "c"}}, {"payload": "", "headers": {"a": "line\nbreak"}},
        {"payload": "", "headers": {"a": "x" * 1001}}, {"payload": "", "headers": {f"h{n}": "" for n in range(33)}},
        {"payload": "", "key": "tab\t"}, {"payload": "", "key": "k" * 501},
    ],
)  # fmt: skip
def test_what_cannot_be_sent_is_refused(bad):
    with pytest.raises(ConfigError):
        NewMessage.make(**bad)


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("earliest", "earliest"), ("latest", "latest"), ("0", 0), ("42", 42),
        ("2026-11-21T09:00:00Z", datetime(2026, 11, 21, 9, tzinfo=UTC)),
        ("2026-11-21", datetime(2026, 11, 21, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_places_are_read(text, start):
    assert parse_start(text) == start


@pytest.mark.parametrize("text", ["", "first", "-1", "1.5", "٣", "9" * 30])
def test_other_places_are_refused(text):
    with pytest.raises(ConfigError, match="no place in a topic"):
        parse_start(text)


def test_waits_between_attempts_grow_to_a_limit():
    settings = TopicSettings(retry_base_s=2, retry_max_s=10)
    assert [settings.retry_in_s(attempt) for attempt in (1, 2, 3, 4, 1000)] == [2, 4, 8, 10, 10]


def test_too_many_messages_at_once_are_refused():
    message = NewMessage.make("x")
    assert len(check_batch([message] * 10_000, TopicSettings())) == 10_000
    with pytest.raises(ConfigError, match="at most 10000"):
        check_batch([message] * 10_001, TopicSettings())


def test_requests_to_a_studio_stay_below_its_limit():
    messages = [NewMessage.make("x" * 100_000) for _ in range(20)]
    parts = _parts(messages)
    assert [len(part) for part in parts] == [6, 6, 6, 2]
    assert [each for part in parts for each in part] == [{"payload": message.payload} for message in messages]
