"""The commands, here and with the URL of a studio: the same words, the same answers."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dteg.cli.main import run_app
from dteg.topics.postgres import PostgresTopics

pytestmark = pytest.mark.integration


@pytest.fixture(params=["here", "studio"])
def dteg(request, empty_studio, capfdbinary, monkeypatch):
    """Run a command; return its exit code, what it printed and what it said on standard error."""
    if request.param == "studio":
        monkeypatch.setenv("DTEG_STUDIO_URL", empty_studio.url)
        monkeypatch.setenv("DTEG_STUDIO_TOKEN", empty_studio.token)

    def run(*arguments, stdin=None):
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = run_app(list(arguments))
        sys.stdout.flush()
        said = capfdbinary.readouterr()
        return code, said.out.decode(errors="replace"), said.err.decode(errors="replace")

    return run


def test_the_story_of_a_topic(dteg, tmp_path):
    assert dteg("topic", "create", "orders", "--max-attempts", "2", "--retry-base-s", "0")[:2] == (
        0, "made topic orders\n",
    )  # fmt: skip
    code, _, error = dteg("topic", "create", "orders")
    assert (code, error) == (1, "error: there is a topic orders already; see: dteg topic show orders\n")
    code, _, error = dteg("topic", "delete", "orders", stdin=b"y\n")
    assert (code, error) == (
        2, "error: nobody is there to ask; to delete orders without a question, add --yes\n",
    )  # fmt: skip
    dteg("publish-message", "orders", "--data", "one", "--key", "k", "--header", "a=b=c")
    (tmp_path / "file").write_bytes(b"\xff\x00")
    dteg("publish-message", "orders", "--file", str(tmp_path / "file"))
    code, out, _ = dteg("publish-message", "orders", "-", "--json", stdin=b"two\r\n\nthree")
    assert json.loads(out) == {"topic": "orders", "messages": 3, "bytes": 8}
    _, out, _ = dteg("subscribe", "orders", "--from", "earliest", "--limit", "5", "--json")
    messages = [json.loads(line) for line in out.splitlines()]
    assert [each["payload"] for each in messages] == ["one", "/wA=", "two", "", "three"]
    assert (messages[0]["key"], messages[0]["headers"]) == ("k", {"a": "b=c"})
    assert dteg("subscribe", "orders", "--from", "1", "--limit", "1")[1].startswith("\ufffd\0")
    assert dteg("subscribe", "orders", "--group", "g", "--limit", "1")[1] == "one\n"

    fail = ("--exec", "sh", "-c", 'cat >&2; exit "$DTEG_ATTEMPT"')
    code, _, error = dteg("subscribe", "orders", "--from", "latest", "--group", "g", "--idle", "3", *fail)
    assert code == 1
    assert "offset 2, attempt 2: exit code 2: two; it is a dead letter now" in error
    letters = json.loads(dteg("topic", "dead-letters", "orders", "--json")[1])
    assert sorted(letter["offset"] for letter in letters) == [1, 2, 3, 4]
    shown = json.loads(dteg("topic", "show", "orders", "--json")[1])
    assert (shown["messages"], shown["groups"][0]["dead_letters"]) == (5, 4)
    dead = next(letter for letter in letters if letter["payload"] == "three")
    assert dteg("topic", "replay", "orders", "--group", "g", "--id", str(dead["id"]))[1] == (
        "delivered to g again: 1 dead letter\n"
    )
    code, out, error = dteg("subscribe", "orders", "--group", "g", "--limit", "1", "--exec", "cat")
    assert (code, out) == (0, "three")
    assert "1 done, 0 failed attempts, 0 dead letters" in error
    assert dteg("topic", "replay", "orders", "--group", "g", "--from", "3")[1] == (
        "g goes on at offset 3; 2 messages to come\n"
    )
    assert re.search(r"^orders +5 ", dteg("topic", "list")[1], re.MULTILINE)
    before = json.loads(dteg("topic", "show", "orders", "--json")[1])["settings"]
    changed = dteg("topic", "change", "orders", "--max-payload-kb", "1024", "--retention", "30d", "--json")[1]
    assert json.loads(changed)["settings"] == {
        **before, "max_payload_bytes": 2**20, "retention_s": 30 * 86_400
    }  # fmt: skip
    assert dteg("topic", "delete", "orders", "--yes")[1] == "deleted orders\n"
    assert json.loads(dteg("topic", "list", "--json")[1]) == []


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("topic", "show", "none"), 1, "there is no topic 'none'"),
        (("topic", "create", "Bad"), 2, "cannot be a name"),
        (("topic", "create", "t2", "--retention", "long"), 2, "--retention"),
        (("topic", "change", "t"), 2, "say what to change"),
        (("topic", "change", "none", "--max-attempts", "2"), 1, "there is no topic 'none'"),
        (("publish-message", "t"), 2, "say what to publish"),
        (("publish-message", "t", "--data", "x", "-"), 2, "say what to publish"),
        (("publish-message", "t", "--data", "x", "--header", "x"), 2, "write NAME=VALUE"),
        (("publish-message", "t", "--file", "/nowhere"), 2, "/nowhere: cannot be read"),
        (("publish-message", "t", "--data", "x" * 600_000), 2, "message 1 has 600,000 bytes"),
        (("subscribe", "t", "--exec"), 2, "write the command after it"),
        (("subscribe", "t", "--exec", "true"), 2, "--exec needs --group"),
        (("subscribe", "t", "--group", "g", "--exec", "no-such-program"), 2, "no program"),
        (("subscribe", "t", "--from", "there"), 2, "no place in a topic"),
        (("topic", "replay", "t", "--group", "g"), 2, "say what to replay"),
        (("topic", "replay", "t", "--group", "none", "--from", "0"), 1, "no group 'none'"),
    ],
)
def test_mistakes_are_told(dteg, empty_studio, arguments, code, told):
    empty_studio.services.topics.create("t")
    found, out, error = dteg(*arguments)
    assert found == code, error
    assert told in error
    assert "Traceback" not in error + out


def test_a_line_that_is_too_large_is_named(dteg, empty_studio):
    empty_studio.services.topics.create("t")
    code, _, error = dteg("publish-message", "t", "-", stdin=b"good\n" + b"x" * 600_000)
    assert code == 2
    assert "message" in error
    assert "has 600,000 bytes" in error
    assert "from line 2 on not all lines were published" in error


def test_deleting_asks(dteg, empty_studio, monkeypatch):
    empty_studio.services.topics.create("t")
    code, _, _ = dteg("topic", "delete", "t", stdin=b"n\n")
    assert code != 0
    assert [topic.name for topic in empty_studio.services.topics.topics()] == ["t"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it_after_the_command_in_hand(empty_studio, tmp_path, number):
    """The command is not interrupted; what was not begun is for others at once."""
    topics = PostgresTopics(empty_studio.project)
    topics.create("t")
    for text in ("first", "second", "third"):
        topics.publish("t", text)
    script = f"cat >> {tmp_path}/begun; sleep 1; echo $DTEG_OFFSET >> {tmp_path}/ended"
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / "dteg"), "subscribe", "t", "--group", "g", "--exec", "sh", "-c", script],
        env=os.environ.copy(), stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, number)  # as a terminal does: the whole group
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert "1 done, 0 failed attempts" in error
    assert (tmp_path / "ended").read_text() == "0\n"
    assert [(each.payload, each.attempt) for each in topics.fetch("t", "g")] == [("second", 1), ("third", 1)]
    topics.close()
