"""Messages on their way to real sinks on this machine: web servers, a mail server, a topic."""

import io
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from dteg.alerts import Kind, Occurrence, Severity, State, report
from dteg.alerts.service import Alerts
from dteg.core.errors import ConfigError, NotFoundError, TransientError
from dteg.testing.http_server import FakeServer, Reply
from dteg.topics import Topics
from tests.integration.alerts.sinks import MailSink

pytestmark = pytest.mark.integration
pytest.importorskip("apprise", reason="THE EXTRA `alerts` IS NOT INSTALLED: NOTHING OF DELIVERY IS TESTED")
PASSWORD, TOKEN = "pass-w0rd-of-mail", "path-t0ken-of-hook"


@pytest.fixture
def web():
    with FakeServer() as server:
        server.route(f"/hook/{TOKEN}", [Reply(status=200)])
        yield server


@pytest.fixture
def mail():
    sink = MailSink()
    yield sink
    sink.close()


@pytest.fixture
def real(desk, monkeypatch):
    """The desk, with channels as alerts.yaml describes them."""
    desk.alerts = Alerts(desk.project, clock=lambda: desk.now)

    def channels(**urls):
        lines = ["channels:"]
        for name, url in urls.items():
            if url.startswith("topic "):
                lines.append(f"  {name}: {{topic: {url.removeprefix('topic ')}}}")
            else:
                monkeypatch.setenv(f"{name.upper()}_URL", url)
                lines.append(f"  {name}: {{url: secret://env/{name.upper()}_URL}}")
        rules = "".join(f"- {{name: to-{name}, to: [{name}]}}\n" for name in urls)
        desk.write(rules, channels="\n".join(lines) + "\n")

    desk.with_channels = channels
    return desk


def hook(web, scheme="http"):
    return f"{scheme}://user:{PASSWORD}@127.0.0.1:{web.url.rpartition(':')[2]}/hook/{TOKEN}"


def test_webhook_gets_words_for_people_and_the_occurrence_for_programs(real, web):
    real.with_channels(hook=f"{hook(web)}?key=a%20b&verify=x")
    assert real.fires(details={"rows": 3}, message="3 rows are odd").delivered == 1
    (seen,) = web.requests
    sent = seen.json()
    assert sent["title"] == "[error] check orders"
    assert sent["message"].startswith("3 rows are odd\nat 2026-03-10 12:00:00 UTC\nrows: 3")
    assert (sent["occurrence"]["kind"], sent["occurrence"]["details"]) == ("check", {"rows": 3})
    assert sent["id"] == seen.headers["x-dteg-alert-id"] == f"dteg-alert-{real.alerts.log()[0].id}"
    assert seen.query == {"key": "a b", "verify": "x"}
    assert seen.headers["authorization"].startswith("Basic ")


def test_slack_gets_a_message_in_the_room(real, web, monkeypatch):
    from apprise.plugins.slack import NotifySlack

    tokens = ("T1JJ3T3L2", "A1BRTD4JD", "TIiajkdnlazkcOXrIdevi7FQ")
    web.route(f"/services/{'/'.join(tokens)}", [Reply(b"ok", headers={"Content-Type": "text/html"})])
    monkeypatch.setattr(NotifySlack, "webhook_url", f"{web.url}/services")
    real.with_channels(slack=f"slack://{'/'.join(tokens)}/#data")
    assert real.fires(message="the disk is full").delivered == 1
    text = web.requests[0].body.decode()
    assert "the disk is full" in text
    assert "#data" in text
    assert "dteg-alert-" in text


def test_mail_arrives_by_smtp(real, mail):
    real.with_channels(
        mail=f"mailto://ada:{PASSWORD}@example.org:{mail.port}?smtp=127.0.0.1&mode=insecure"
        "&from=dteg@example.org&to=ada@example.org,bob@example.org"
    )
    sent = real.fires(subject="orders\r\nBcc: eve@example.org", message="<b>3</b> rows are odd")
    assert (sent.delivered, sent.failed) == (1, 0), real.alerts.log()[0].error
    assert sorted(recipients for recipients, _ in mail.mails) == [["ada@example.org"], ["bob@example.org"]]
    message = mail.mails[0][1]
    assert message["Subject"] == "[error] check orders Bcc: eve@example.org"
    assert "Bcc" not in message
    assert message["X-Dteg-Alert-Id"].startswith("dteg-alert-")
    html = message.get_body(("html",))
    assert html is None or "<b>3</b>" not in html.get_content()
    assert "rows are odd" in message.get_body(("plain", "html")).get_content()
    assert mail.logins[0][1] == PASSWORD


def test_topic_gets_the_occurrence(real):
    real.with_channels(events="topic ops.alerts")
    assert real.fires(severity=Severity.WARNING).delivered == 1
    (message,) = Topics.of(real.project).read("ops.alerts", "earliest")
    value = json.loads(message.payload) if isinstance(message.payload, str | bytes) else message.payload
    assert (value["subject"], value["severity"], value["title"]) == (
        "orders",
        "warning",
        "[warning] check orders",
    )
    assert message.headers["X-Dteg-Alert-Id"] == value["id"]


def test_channel_that_refuses_or_hangs_stops_no_other(real, web, desk):
    silent = socket.create_server(("127.0.0.1", 0))  # takes connections and says nothing
    web.route("/broken", [Reply(status=500)])
    base = web.url.replace("http", "json")
    port = silent.getsockname()[1]
    real.with_channels(
        hanging=f"json://127.0.0.1:{port}/?rto=60",
        broken=f"{base}/broken",
        closed="json://127.0.0.1:9/",
        good=hook(web),
    )
    report(
        real.project,
        *(Occurrence(kind=Kind.RUN, subject=f"p{n}", message="x", at=desk.now) for n in range(3)),
    )
    arrived = []
    web.route(f"/hook/{TOKEN}", lambda _seen: arrived.append(time.monotonic()) or Reply())
    began = time.monotonic()
    sent = real.alerts.deliver(message_s=6, round_s=5.5)
    assert (sent.delivered, sent.failed) == (3, 3)
    assert arrived[-1] - began < 5.9  # none of them waited for the one that hangs
    assert time.monotonic() - began < 50
    errors = {each.channel: each.error for each in real.alerts.log() if each.error}
    assert errors == {
        "hanging": "no answer within 6 s",
        "broken": "Failed to send JSON POST notification: Internal server error., error=500.",
        "closed": "A Connection error occurred sending JSON notification to 127.0.0.1.",
    }
    silent.close()


def test_channel_with_many_waiting_starves_no_other(real, web, desk):
    real.with_channels(closed="json://127.0.0.1:9/", good=hook(web))
    many = [Occurrence(kind=Kind.RUN, subject=f"p{n}", message="x", at=desk.now) for n in range(70)]
    report(real.project, *many)
    assert real.deliver().delivered == 50
    assert real.deliver().delivered == 20


def test_message_that_its_channel_never_takes_holds_up_no_other(real, web):
    web.route(f"/hook/{TOKEN}", lambda seen: Reply(status=413 if b"poison" in seen.body else 200))
    real.with_channels(hook=hook(web))
    assert real.fires(subject="poison").failed == 1
    assert real.fires(subject="orders").delivered == 1
    real.now += timedelta(seconds=20)
    assert real.deliver().failed == 1


def test_given_up_after_eight_tries(real):
    real.with_channels(closed="json://127.0.0.1:9/")
    rounds = [real.fires()]
    for _ in range(120):
        real.now += timedelta(minutes=1)
        rounds.append(real.deliver())
    assert sum(each.failed for each in rounds) == 7
    assert sum(each.given_up for each in rounds) == 1
    (message,) = real.alerts.log()
    assert message.attempts == 8
    assert 30 <= (message.given_up_at - message.created_at) / timedelta(minutes=1) <= 40


def test_secret_that_is_missing_here_may_be_there_elsewhere(real, web, monkeypatch):
    real.with_channels(hook=hook(web))
    monkeypatch.delenv("HOOK_URL")
    assert real.fires().failed == 1
    assert "HOOK_URL is not set" in real.alerts.log()[0].error
    monkeypatch.setenv("HOOK_URL", hook(web))
    real.wait("1m")
    assert real.alerts.log()[0].delivered_at


CHILD = """
    import os, sys
    from dteg.alerts import delivery
    from dteg.alerts.service import Alerts
    from dteg.core.project import Project

    # Dies when the message is with its receiver and before that is written down.
    delivery._write = lambda *a: os.kill(os.getpid(), 9)
    Alerts.of(Project.find()).deliver()
"""


def test_killed_between_sending_and_writing_it_is_sent_again_with_the_same_id(real, web):
    real.with_channels(hook=hook(web))
    report(real.project, Occurrence(kind=Kind.RUN, subject="flights", message="x"))
    child = subprocess.run([sys.executable, "-c", textwrap.dedent(CHILD)], env=os.environ, check=False)
    assert child.returncode == -signal.SIGKILL
    assert len(web.requests) == 1
    assert [(each.attempts, each.delivered_at) for each in real.alerts.log()] == [(0, None)]
    real.now = datetime.now(UTC)
    for _ in range(600):  # until the server has noticed that the leader is gone
        sent = real.deliver()
        if sent is not None:
            break
        time.sleep(0.1)
    assert sent.delivered == 1
    assert real.deliver().delivered == 0
    assert len({seen.json()["id"] for seen in web.requests}) == 1
    assert len(web.requests) == 2


def test_only_one_process_delivers(real, web):
    at_sink, go_on = threading.Event(), threading.Event()
    web.route(f"/hook/{TOKEN}", lambda _seen: (at_sink.set(), go_on.wait(60)) and Reply())
    real.with_channels(hook=hook(web))
    first = threading.Thread(target=real.fires)
    first.start()
    assert at_sink.wait(60)
    assert real.deliver() is None
    go_on.set()
    first.join()
    assert len(web.requests) == 1


def secrets_in(text):
    return [secret for secret in (PASSWORD, TOKEN, "QUERY-s3cret") if secret in text]


@pytest.fixture
def log_of_all(caplog):
    """What a program that debugs would see; pytest itself listens closer, to loggers that do not hand on."""
    stream = io.StringIO()
    handler, root = logging.StreamHandler(stream), logging.getLogger()
    caplog.set_level(logging.DEBUG)
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)


def test_no_secret_of_a_channel_gets_anywhere(real, web, log_of_all, capfd):
    base = f"user:{PASSWORD}@127.0.0.1:9/hook/{TOKEN}?key=QUERY-s3cret"
    real.with_channels(
        closed=f"http://{base}", unknown=f"nope://{TOKEN}/{PASSWORD}", words=f"{TOKEN} {PASSWORD}",
        token=f"discord://{TOKEN}", chat=f"slack://{TOKEN}/{PASSWORD}/x", mail=f"mailto://{base}&rto=1&cto=1",
        refused=f"{web.url.replace('http://', f'json://user:{PASSWORD}@')}/{TOKEN}",
    )  # fmt: skip
    real.fires()
    assert len([each for each in real.alerts.log() if each.error]) == 7
    told = [each.model_dump_json() for each in real.alerts.log()] + [real.alerts.overview().model_dump_json()]
    for name in ("closed", "unknown", "words", "token", "chat", "mail", "refused"):
        with pytest.raises((TransientError, ConfigError)) as error:
            real.alerts.test(name)
        told.append(str(error.value))
    out, err = capfd.readouterr()
    assert [secret for text in (*told, log_of_all.getvalue(), out, err) for secret in secrets_in(text)] == []


def test_test_message(real, web):
    real.with_channels(hook=hook(web))
    real.alerts.test("hook")
    assert web.requests[0].json()["title"] == "[test] dteg"
    with pytest.raises(NotFoundError, match=r'alerts.yaml: there is no channel .hok.; did you mean "hook"'):
        real.alerts.test("hok")


def test_what_is_over_is_told_as_success(real, web):
    real.with_channels(hook=hook(web))
    real.fires()
    real.happens(State.RESOLVED, severity=Severity.INFO)
    assert [seen.json()["type"] for seen in web.requests] == ["failure", "success"]
