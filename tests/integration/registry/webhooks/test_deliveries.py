import json

import pytest

from registry.webhooks.service import TRIES
from registry.webhooks.store import DELIVERIES, OUTBOX
from tests.integration.registry.community import PATH, Community, all_pages, at_once
from tests.integration.registry.publishing import Publisher

pytestmark = pytest.mark.integration
HOOKS = "/namespaces/streaming/webhooks"


class Hooked:
    """A namespace with webhooks."""

    def __init__(self, registry, receiver):
        self.registry, self.receiver = registry, receiver
        for login in ("ann", "mia", "rex", "eve"):
            registry.make_account(login)
        registry.make_namespace("streaming", "ann", mia="maintainer", rex="reader")
        self.tokens = {
            login: registry.token_of(login, expires_days=300) for login in ("ann", "mia", "rex", "eve")
        }

    def ask(self, login, method, path, **options):
        return self.registry.request(method, path, token=self.tokens[login], **options)

    def hook(self, **body):
        answer = self.ask("ann", "POST", HOOKS, json={"url": self.receiver.url, **body})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def emit(self, event="release.listed", **payload):
        self.registry.run(self.registry.services.webhooks.emit(event, "streaming", payload))

    def deliver(self):
        return self.registry.run(self.registry.services.webhooks.deliver())

    def deliveries(self, hook):
        return self.ask("ann", "GET", f"{HOOKS}/{hook['id']}/deliveries").json()["items"]


@pytest.fixture
def hooked(registry, receiver):
    return Hooked(registry, receiver)


def test_a_receiver_can_verify_what_it_gets(hooked, receiver):
    hook = hooked.hook()
    hooked.emit(component="streaming/numbers-extractor", version="1.0.0")
    assert hooked.deliver() == 1
    ((headers, _),) = receiver.got
    (event,) = receiver.events
    assert event["data"] == {"component": "streaming/numbers-extractor", "version": "1.0.0"}
    assert (event["event"], event["namespace"], event["id"]) == (
        "release.listed",
        "streaming",
        headers["webhook-id"],
    )
    assert headers["content-type"] == "application/json"
    assert receiver.is_signed(hook["secret"])
    assert not receiver.is_signed("whsec_" + "A" * 43 + "=")
    assert abs(int(headers["webhook-timestamp"]) - hooked.registry.clock().timestamp()) < 60
    (delivery,) = hooked.deliveries(hook)
    assert (delivery["state"], delivery["tries"], delivery["next_at"]) == ("delivered", 1, None)
    assert (delivery["log"][0]["status"], delivery["log"][0]["error"]) == (204, "")
    assert hooked.deliver() == 0


def test_the_secret_is_shown_once_and_is_not_in_the_database(hooked, registry):
    hook = hooked.hook()
    assert "secret" not in json.dumps(hooked.ask("ann", "GET", HOOKS).json())

    async def everything():
        database = registry.services.database
        return [str(each) for name in await database.collections() async for each in database[name].find({})]

    stored = " ".join(registry.run(everything()))
    assert hook["id"] in stored
    assert hook["secret"].removeprefix("whsec_") not in stored


def test_a_new_secret_ends_the_old_one(hooked, receiver):
    hook = hooked.hook()
    renewed = hooked.ask("ann", "POST", f"{HOOKS}/{hook['id']}/secret").json()
    hooked.emit()
    hooked.deliver()
    assert renewed["secret"] != hook["secret"]
    assert (receiver.is_signed(renewed["secret"]), receiver.is_signed(hook["secret"])) == (True, False)


def test_failures_are_tried_again_later_each_time_until_dead(hooked, receiver, registry):
    hook = hooked.hook()
    hooked.emit()
    receiver.answers.extend([500] * TRIES)
    waits = []
    for _ in range(TRIES):
        assert hooked.deliver() == 1
        assert hooked.deliver() == 0  # not before its time
        (delivery,) = hooked.deliveries(hook)
        if delivery["next_at"] is None:
            break
        stored = registry.run(registry.services.database[DELIVERIES].find_one({}))
        waits.append((stored["next_at"] - registry.clock()).total_seconds())
        registry.clock.advance(seconds=waits[-1] + 1)
    assert delivery["state"] == "dead"
    assert [each["status"] for each in delivery["log"]] == [500] * TRIES
    expected = [min(10 * 4**number, 43_200) for number in range(TRIES - 1)]
    assert len(waits) == len(expected)
    for wait, middle in zip(waits, expected, strict=True):
        assert 0.75 * middle - 5 <= wait <= 1.25 * middle + 1
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert len({headers["webhook-timestamp"] for headers, _ in receiver.got}) == TRIES
    assert len({body for _, body in receiver.got}) == 1
    registry.clock.advance(days=3)
    assert hooked.deliver() == 0


def test_a_dead_delivery_can_be_sent_again(hooked, receiver, registry):
    hook = hooked.hook()
    hooked.emit()
    receiver.answers.extend([500] * TRIES)
    for _ in range(TRIES):
        hooked.deliver()
        registry.clock.advance(days=1)
    (delivery,) = hooked.deliveries(hook)
    path = f"{HOOKS}/{hook['id']}/deliveries/{delivery['id']}/redeliver"
    assert hooked.ask("rex", "POST", path).status_code == 403
    assert hooked.ask("mia", "POST", path).status_code == 202
    assert hooked.ask("mia", "POST", path).status_code == 409
    assert hooked.deliver() == 1
    assert receiver.is_signed(hook["secret"])
    assert hooked.deliveries(hook)[0]["state"] == "delivered"


def test_a_webhook_is_tried_out(hooked, receiver):
    hook, other = hooked.hook(events=["release.yanked"]), hooked.hook(url=f"{receiver.url}/other")
    path = f"{HOOKS}/{hook['id']}/test"
    made = hooked.ask("mia", "POST", path)
    assert (made.status_code, made.json()["state"], made.json()["log"]) == (202, "pending", [])
    assert hooked.deliver() == 1
    (event,) = receiver.events
    assert (event["event"], event["data"]) == ("webhook.test", {"webhook": hook["id"], "asked_by": "mia"})
    assert receiver.is_signed(hook["secret"])
    assert (hooked.deliveries(hook)[0]["state"], hooked.deliveries(other)) == ("delivered", [])
    wrong = {"url": receiver.url, "events": ["webhook.test"]}
    assert hooked.ask("ann", "POST", HOOKS, json=wrong).status_code == 422
    receiver.answers.append(410)
    hooked.ask("ann", "POST", path)
    hooked.deliver()
    assert hooked.ask("ann", "POST", path).status_code == 409  # it is switched off


def test_a_receiver_that_is_gone_gets_no_more(hooked, receiver):
    hook = hooked.hook()
    receiver.answers.append(410)
    hooked.emit()
    hooked.deliver()
    assert hooked.deliveries(hook)[0]["state"] == "dead"
    assert hooked.ask("ann", "GET", HOOKS).json()["items"][0]["active"] is False
    hooked.emit()
    assert hooked.deliver() == 0
    hooked.ask("ann", "POST", f"{HOOKS}/{hook['id']}/secret")  # switches it on again
    hooked.emit()
    assert hooked.deliver() == 1


def test_redirects_are_not_followed_and_waits_are_respected(hooked, receiver, registry):
    hook = hooked.hook()
    receiver.answers.append((302, {"Location": receiver.url}))
    hooked.emit()
    hooked.deliver()
    assert len(receiver.got) == 1
    assert "302" in hooked.deliveries(hook)[0]["log"][0]["error"]
    receiver.answers.append((503, {"Retry-After": "1800"}))
    registry.clock.advance(minutes=1)
    assert hooked.deliver() == 1
    registry.clock.advance(minutes=25)
    assert hooked.deliver() == 0
    registry.clock.advance(minutes=6)
    assert hooked.deliver() == 1


def test_nobody_listens(hooked, registry):
    hook = hooked.hook(url="http://127.0.0.1:1/hook")
    hooked.emit()
    assert hooked.deliver() == 1
    (delivery,) = hooked.deliveries(hook)
    assert delivery["log"][0]["status"] is None
    assert delivery["log"][0]["error"] == "no answer: ConnectError"
    assert delivery["state"] == "pending"


def test_each_event_goes_to_those_who_want_it(hooked, receiver):
    hooked.hook(events=["release.yanked"])
    everything = hooked.hook()
    hooked.registry.make_namespace("other", "eve")
    hooked.emit("release.listed")
    hooked.emit("release.yanked")
    hooked.emit("release.testing")  # told to nobody
    hooked.registry.run(hooked.registry.services.webhooks.emit("release.listed", "other", {}))
    hooked.deliver()
    assert sorted(each["event"] for each in receiver.events) == [
        "release.listed",
        "release.yanked",
        "release.yanked",
    ]
    assert len(hooked.deliveries(everything)) == 2


def test_an_event_before_the_webhook_is_not_sent(hooked, registry):
    hooked.emit()
    registry.clock.advance(seconds=1)
    hooked.hook()
    assert hooked.deliver() == 0


def test_a_crash_between_events_and_deliveries_sends_once(hooked, receiver, registry):
    hooked.hook()
    hooked.emit()
    store = registry.services.webhooks._store
    set_shared = store.set_shared

    async def cut_off(_):
        raise SystemError("killed here")

    store.set_shared = cut_off
    with pytest.raises(SystemError):
        hooked.deliver()
    store.set_shared = set_shared
    assert hooked.deliver() == 1
    assert hooked.deliver() == 0
    assert len(receiver.got) == 1


def test_a_process_that_dies_while_sending_leaves_it_to_another(hooked, receiver, registry):
    hooked.hook()
    hooked.emit()
    sender = registry.services.webhooks.sender
    post = sender.post

    async def dies(*_):
        raise SystemError("killed here")

    sender.post = dies
    with pytest.raises(SystemError):
        hooked.deliver()
    sender.post = post
    assert hooked.deliver() == 0  # the other one might still be at work
    registry.clock.advance(seconds=61)
    assert hooked.deliver() == 1
    assert len(receiver.got) == 1


def test_several_processes_send_each_delivery_once(hooked, receiver, registry):
    hooked.hook()
    for number in range(12):
        hooked.emit(number=number)
    sent = at_once(lambda _: hooked.deliver(), range(4), threads=4)
    assert sum(sent) == 12
    assert sorted(each["data"]["number"] for each in receiver.events) == list(range(12))


def test_a_deleted_webhook_gets_nothing_more(hooked, receiver, registry):
    hook = hooked.hook()
    hooked.emit()
    receiver.answers.append(500)
    hooked.deliver()
    assert hooked.ask("ann", "DELETE", f"{HOOKS}/{hook['id']}").status_code == 204
    registry.clock.advance(minutes=5)
    hooked.deliver()
    assert len(receiver.got) == 1
    assert registry.run(registry.services.database[DELIVERIES].find_one({}))["state"] == "dead"


def test_rights_and_limits(hooked, receiver):
    for login, status in (("mia", 201), ("rex", 403), ("eve", 403)):
        assert hooked.ask(login, "POST", HOOKS, json={"url": receiver.url}).status_code == status
        assert hooked.ask(login, "GET", HOOKS).status_code == (200 if status == 201 else 403)
    hook = hooked.ask("ann", "GET", HOOKS).json()["items"][0]
    hooked.registry.make_namespace("other", "eve")
    for method, path in [("DELETE", ""), ("GET", "/deliveries"), ("POST", "/secret")]:
        other = f"/namespaces/other/webhooks/{hook['id']}{path}"
        assert hooked.ask("eve", method, other).status_code == 404
    for number in range(1, 20):
        assert hooked.ask("ann", "POST", HOOKS, json={"url": f"{receiver.url}/{number}"}).status_code == 201
    assert hooked.ask("ann", "POST", HOOKS, json={"url": receiver.url}).status_code == 409
    for body in (
        {"url": receiver.url, "events": ["nothing"]},
        {"url": receiver.url, "events": []},
        {"url": "ftp://x.org"},
    ):
        assert hooked.ask("ann", "POST", HOOKS, json=body).status_code == 422


def test_the_log_of_deliveries_has_pages(hooked):
    hook = hooked.hook()
    for _ in range(7):
        hooked.emit()
    hooked.deliver()
    found = all_pages(
        lambda *given, **more: hooked.ask("ann", *given, **more), f"{HOOKS}/{hook['id']}/deliveries", 3
    )
    ids = [each["id"] for each in found]
    assert len(set(ids)) == 7
    assert ids == sorted(ids, reverse=True)


def test_old_events_and_deliveries_are_forgotten(hooked, registry):
    hooked.hook()
    hooked.emit()
    hooked.deliver()
    registry.clock.advance(days=31)
    registry.run(registry.services.webhooks.sweep())
    database = registry.services.database
    assert registry.run(database[DELIVERIES].count_documents({})) == 0
    assert registry.run(database[OUTBOX].count_documents({})) == 1
    registry.clock.advance(days=60)
    registry.run(registry.services.webhooks.sweep())
    assert registry.run(database[OUTBOX].count_documents({})) == 0


def test_what_happens_in_a_registry_is_told(registry, receiver, tmp_path):
    publisher = Publisher(registry, tmp_path / "wheels")
    made = registry.request("POST", HOOKS, token=publisher.token, json={"url": receiver.url})
    assert made.status_code == 201
    community = Community(registry, publisher)
    community.token("boss", admin=True)
    community.install("bob")
    community.review("bob", 5, "private words")
    registry.run(registry.services.webhooks.gather())  # as what runs in the background does at once
    community.review("bob", 4)  # not a new review
    community.ask("bob", "POST", f"{PATH}/threads", json={"title": "How to", "text": "use it?"})
    community.ask(
        "bob", "POST", "/reports", json={"target": "component:streaming/numbers-extractor", "reason": "spam"}
    )
    yanked = community.ask("ann", "POST", f"{PATH}/releases/1.0.0/yank", json={"reason": "broken"})
    assert yanked.status_code == 200
    community.ask("boss", "POST", f"{PATH}/releases/1.0.0/quarantine", json={"reason": "malware"})
    registry.run(registry.services.webhooks.deliver())
    assert sorted(each["event"] for each in receiver.events) == [
        "release.listed", "release.quarantined", "release.yanked", "report.created", "review.created", "thread.created",
    ]  # fmt: skip
    told = {each["event"]: each["data"] for each in receiver.events}
    assert told["review.created"]["stars"] == 5
    assert "bob" not in json.dumps(told["report.created"])
