"""Topics over HTTP: who may what, live streams, and the pages."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from dteg.studio_client import API
from dteg.topics import NewMessage, TopicSettings
from dteg.topics.remote import RemoteTopics

pytestmark = pytest.mark.integration


@pytest.fixture
def studio(empty_studio):
    return empty_studio


@pytest.fixture
def topics(studio):
    return studio.services.topics


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def open_socket(studio, path, token):
    return connect(
        f"{studio.url.replace('http', 'ws')}{API}{path}", additional_headers=bearer(token), proxy=None
    )


# --- tokens limited to topics ------------------------------------------------------------------


def test_a_token_for_one_topic_reaches_no_other(studio, topics):
    for name in ("mine", "other"):
        topics.create(name)
        topics.subscribe(name, "g")
        topics.publish(name, "x")
    publish = studio.token_of("publish", topics=["mine"])
    subscribe = studio.token_of("subscribe", topics=["mine"])
    delivery = topics.fetch("mine", "g")[0]
    asked = [
        ("POST", "messages", publish, {"messages": [{"payload": "y"}]}), ("GET", "messages", subscribe, None),
        ("GET", "dead-letters", subscribe, None), ("PUT", "groups/h", subscribe, {"start": "latest"}),
        ("POST", "groups/g/fetch", subscribe, {}), ("POST", "groups/g/ack", subscribe, {"ack_ids": [delivery.ack_id]}),
        ("POST", "groups/g/extend", subscribe, {"ack_ids": []}), ("POST", "groups/g/release", subscribe, {"ack_ids": []}),
        ("POST", "groups/g/nack", subscribe, {"ack_id": delivery.ack_id}),
    ]  # fmt: skip
    for method, path, token, body in asked:
        for topic, expected in (("mine", (200, 201)), ("other", (403,))):
            answer = studio.request(method, f"/topics/{topic}/{path}", token=token, json=body)
            assert answer.status_code in expected, (method, topic, path, answer.text)
        wrong = publish if token == subscribe else subscribe
        assert studio.request(method, f"/topics/mine/{path}", token=wrong, json=body).status_code == 403
    with httpx.Client(
        base_url=studio.url + API, headers=bearer(subscribe), timeout=60, trust_env=False
    ) as client:
        assert client.get("/topics/other/events").status_code == 403
        with client.stream("GET", "/topics/mine/events") as stream:
            assert stream.status_code == 200
    for group in ("", "?group=g"):
        with pytest.raises(InvalidStatus) as refused:
            open_socket(studio, f"/topics/other/ws{group}", subscribe)
        assert refused.value.response.status_code == 403
    with open_socket(studio, "/topics/mine/ws?start=earliest", subscribe) as socket:
        assert json.loads(socket.recv(60))["payload"] == "x"


def test_a_subscriber_with_a_token_for_its_topic_only_works_as_a_library(studio, topics):
    topics.create("mine")
    remote = RemoteTopics(studio.client_of("subscribe", topics=["mine"]))
    assert remote.head("mine") == 0
    remote.subscribe("mine", "g")
    topics.publish("mine", "x")
    (delivery,) = remote.fetch("mine", "g", wait_s=5)
    assert remote.ack("mine", "g", [delivery.ack_id]) == 1


# --- HTTP --------------------------------------------------------------------------------------


def test_a_topic_is_not_changed_by_who_saw_another_one(studio, topics):
    topics.create("t")
    shown = studio.request("GET", "/topics/t")
    etag = {"If-Match": shown.headers["etag"]}
    again = studio.request("GET", "/topics/t", headers={"If-None-Match": shown.headers["etag"]})
    assert again.status_code == 304
    body = TopicSettings(max_attempts=7).model_dump(mode="json")
    assert studio.request("PUT", "/topics/t", json=body, headers=etag).status_code == 200
    assert studio.request("PUT", "/topics/t", json=body, headers=etag).status_code == 409


def test_lists_come_in_pages(studio, topics):
    for name in "abcde":
        topics.create(name)
    assert [each["name"] for each in studio.client.items("/topics", limit=2)] == list("abcde")
    topics.publish_many("a", [NewMessage.make(str(number)) for number in range(5)])
    first = studio.client.get("/topics/a/messages", start="earliest", limit=3)
    second = studio.client.get("/topics/a/messages", start=first["next"], limit=3)
    assert [each["payload"] for each in first["items"] + second["items"]] == list("01234")
    assert studio.client.get("/topics/a/messages", start=second["next"])["next"] == "5"


def test_bad_requests_are_refused_with_a_reason(studio, topics):
    topics.create("t")
    for method, path, body in (
        ("POST", "/topics/t/messages", {"messages": []}),
        ("POST", "/topics/t/messages", {"messages": [{"payload": "!", "encoding": "base64"}]}),
        ("POST", "/topics/t/messages", {"messages": [{"headers": {"a b": "c"}}]}),
        ("POST", "/topics/t/messages", {"messages": [{"headers": {"a": "b\r\nX: y"}}]}),
        ("POST", "/topics", {"name": "t2", "settings": {"unknown": 1}}),
        ("GET", "/topics/t/messages?start=yesterday", None),
        ("GET", "/topics/t/messages?wait_s=9999", None),
        ("GET", "/topics/t/events?start=nowhere", None),
    ):
        answer = studio.request(method, path, json=body)
        assert answer.status_code == 422, (path, answer.text)
        assert answer.json()["code"] == "invalid"
    assert topics.read("t", 0) == []


def test_many_who_wait_hold_up_nobody(studio, topics):
    """More long requests than the server has threads."""
    topics.create("t")
    with ThreadPoolExecutor(60) as pool:
        waiting = [
            pool.submit(studio.request, "GET", "/topics/t/messages?start=0&wait_s=20") for _ in range(60)
        ]
        time.sleep(1.5)
        began = time.monotonic()
        assert studio.request("GET", "/topics/t").status_code == 200
        assert time.monotonic() - began < 18  # those who wait would hold it up for 20 s
        topics.publish("t", "now")
        assert all(job.result().json()["items"][0]["payload"] == "now" for job in waiting)


# --- live streams ------------------------------------------------------------------------------


def events_of(lines):
    """Yield the events of a text/event-stream."""
    event = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if not line:
            if event:
                yield event
            event = {}
            continue
        name, _, value = line.partition(": ")
        event[name] = value


def test_events_come_live_and_go_on_after_a_reconnect(studio, topics):
    topics.create("t")
    topics.publish_many("t", [NewMessage.make(str(number)) for number in range(3)])
    with studio.client.stream("/topics/t/events", start="earliest") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = events_of(response.iter_lines())
        assert [json.loads(next(events)["data"])["payload"] for _ in range(3)] == list("012")
        threading.Timer(0.2, topics.publish, ("t", "live\nline")).start()
        event = next(events)
        assert (event["id"], event["event"]) == ("3", "message")
        assert json.loads(event["data"])["payload"] == "live\nline"
    with (
        httpx.Client(
            headers={**bearer(studio.token), "Last-Event-ID": "1"}, timeout=60, trust_env=False
        ) as client,
        client.stream("GET", f"{studio.url}{API}/topics/t/events") as response,
    ):
        again = events_of(response.iter_lines())
        assert [next(again)["id"] for _ in range(2)] == ["2", "3"]


def test_a_slow_reader_of_events_stops_nobody(studio, topics):
    """One client reads nothing at all; another one gets everything at once."""
    topics.create("t")
    big = "x" * 100_000
    with (
        studio.client.stream("/topics/t/events", start="earliest"),  # its answer is never read
        httpx.Client(headers=bearer(studio.token), timeout=60, trust_env=False) as client,
        client.stream("GET", f"{studio.url}{API}/topics/t/events?start=earliest") as quick,
    ):
        events = events_of(quick.iter_lines())
        for number in range(100):  # 10 MB, far more than buffers of sockets hold
            topics.publish("t", f"{number}{big}")
        assert [next(events)["id"] for _ in range(100)] == [str(number) for number in range(100)]


def test_a_member_over_a_websocket_acks_and_fails(studio, topics):
    topics.create("t", TopicSettings(max_attempts=2, retry_base_s=0))
    topics.publish_many("t", [NewMessage.make("good"), NewMessage.make("bad")])
    token = studio.token_of("subscribe", topics=["t"])
    with open_socket(studio, "/topics/t/ws?group=g", token) as socket:
        for _ in range(3):
            delivery = json.loads(socket.recv(60))
            act = "ack" if delivery["payload"] == "good" else "nack"
            socket.send(json.dumps({"act": act, "ack_id": delivery["ack_id"], "error": "no good"}))
        socket.send(json.dumps({"act": "ack", "ack_id": "7.7"}))
        assert "not open" in json.loads(socket.recv(60))["problem"]
        socket.send("nonsense")
        assert "problem" in json.loads(socket.recv(60))
    assert [(letter.payload, letter.error) for letter in topics.dead_letters("t")] == [("bad", "no good")]
    (group,) = topics.groups("t")
    assert (group.lag, group.in_flight, group.retrying) == (0, 0, 0)


def test_what_a_lost_socket_had_comes_to_another_at_once(studio, topics):
    topics.create("t")
    topics.publish("t", "x")
    with open_socket(studio, "/topics/t/ws?group=g", studio.token) as lost:
        assert json.loads(lost.recv(60))["attempt"] == 1
    with open_socket(studio, "/topics/t/ws?group=g", studio.token) as other:
        assert json.loads(other.recv(60))["attempt"] == 2


def test_a_socket_ends_when_its_topic_is_deleted(studio, topics):
    topics.create("t")
    with open_socket(studio, "/topics/t/ws", studio.token) as socket:
        time.sleep(0.2)
        topics.delete("t")
        with pytest.raises(ConnectionClosed) as ended:
            socket.recv(60)
        assert "there is no topic" in str(ended.value)


# --- pages -------------------------------------------------------------------------------------


def test_pages_work_without_scripts(studio, topics):
    with studio.browser() as browser:
        form = {"csrf": studio.csrf_of(browser)}

        def post(path, **values):
            answer = browser.post(path, data={**form, **values})
            assert answer.status_code in (303, 422), answer.text
            return browser.get(answer.headers["location"]) if answer.status_code == 303 else answer

        assert "No topics yet" in browser.get("/topics").text
        assert "cannot be a name" in post("/topics", name="Bad Name").text
        page = post("/topics", name="t", max_attempts="1", retention_s="3")
        assert "The topic is there." in page.text
        assert topics.topic("t").settings.retention_s == 3 * 86_400
        page = post("/topics/t/publish", payload="<script>alert(1)</script>\r\n  two", key="k", headers="a=b")
        assert "&lt;script&gt;" in page.text
        assert "<script>alert" not in page.text
        assert topics.read("t", 0)[0].payload == "<script>alert(1)</script>\n  two"
        assert "write NAME=VALUE" in post("/topics/t/publish", payload="x", headers="broken").text
        topics.subscribe("t", "g")
        topics.nack("t", "g", topics.fetch("t", "g")[0].ack_id, "it broke")
        page = browser.get("/topics/t")
        assert "it broke" in page.text
        letter = topics.dead_letters("t")[0]
        page = post("/topics/t/groups/g/replay-dead-letters", id=str(letter.id))
        assert "delivered again" in page.text
        assert len(topics.fetch("t", "g")) == 1
        assert "The group goes on from there." in post("/topics/t/groups/g/replay", start="earliest").text
        assert "is no place in a topic" in post("/topics/t/groups/g/replay", start="there").text
        assert "The settings are changed." in post("/topics/t/settings", max_attempts="9").text
        assert topics.topic("t").settings.max_attempts == 9
        assert "Forget the group g?" in browser.get("/topics/t/groups/g/delete").text
        assert "forgotten" in post("/topics/t/groups/g/delete").text
        assert "Delete the topic t?" in browser.get("/topics/t/delete").text
        assert "The topic is deleted." in post("/topics/t/delete").text


def test_older_messages_are_a_page_further(studio, topics):
    topics.create("t")
    topics.publish_many("t", [NewMessage.make(f"message {number}.") for number in range(120)])
    with studio.browser() as browser:
        first = browser.get("/topics/t").text
        assert "message 119." in first
        assert "message 69." not in first
        assert "/topics/t?before=70#messages" in first
        older = browser.get("/topics/t?before=70").text
        assert "message 69." in older
        assert "message 70." not in older
        assert "data-live=" not in older


def test_the_home_page_tells_of_dead_letters(studio, topics):
    topics.create("t", TopicSettings(max_attempts=1))
    topics.subscribe("t", "g")
    topics.publish("t", "x")
    topics.nack("t", "g", topics.fetch("t", "g")[0].ack_id, "no")
    with studio.browser() as browser:
        assert "1 dead" in browser.get("/").text


def test_who_may_not_subscribe_sees_no_payloads(studio, topics):
    topics.create("t", TopicSettings(max_attempts=1))
    topics.subscribe("t", "g")
    topics.publish("t", "a secret")
    topics.nack("t", "g", topics.fetch("t", "g")[0].ack_id, "no")
    page = studio.request("GET", "//topics/t", token=studio.token_of("read"))
    assert page.status_code == 200
    assert "a secret" not in page.text
    assert "has the scope subscribe" in page.text


# --- background --------------------------------------------------------------------------------


class OneRound(threading.Event):
    """Is set as soon as a worker rests."""

    def wait(self, timeout=None):
        self.set()
        return super().wait(timeout)


def test_the_worker_gives_offsets_prunes_and_reports_dead_letters(studio, topics):
    import psycopg

    from studio.topics.worker import TopicsWorker

    def work():
        worker.run(OneRound())
        with psycopg.connect(studio.project.warehouse_url()) as connection:
            found = connection.execute(
                "SELECT subject, state FROM _dteg.alert_occurrences ORDER BY id"
            ).fetchall()
            waiting = connection.execute("SELECT count(*) FROM _dteg.topic_inbox").fetchone()
        assert waiting == (0,)
        return found

    worker = TopicsWorker(studio.services)
    topics.create("watched", TopicSettings(max_attempts=1, retention_bytes=10))
    topics.subscribe("watched", "g")
    topics.publish_many("watched", [NewMessage.make("x" * 10), NewMessage.make("y" * 10)])
    assert work() == [("watched", "resolved")]
    assert [message.payload[0] for message in topics.read("watched", 0)] == ["y"]
    (delivery,) = topics.fetch("watched", "g")
    topics.nack("watched", "g", delivery.ack_id, "no")
    assert work()[1:] == [("watched", "firing")]
    assert len(work()) == 2
    topics.replay_dead_letters("watched", "g")
    topics.ack("watched", "g", [each.ack_id for each in topics.fetch("watched", "g")])
    assert work()[2:] == [("watched", "resolved")]
