"""A process that dies at any write of a change of state: the event is told all the same, and once.

Seen red: with the event after the note that the change is settled, it is lost when the process dies between the two;
with a new id each time it is kept, it is told twice when the process dies before that note.
"""

from datetime import timedelta

import pytest

from registry.webhooks.store import OUTBOX
from tests.integration.registry.publishing import Publisher
from tests.integration.registry.webhooks.crashes import Fuse

pytestmark = pytest.mark.integration
COMPONENT = "streaming/numbers-extractor"
ENOUGH = 30


@pytest.fixture
def publisher(registry, receiver, tmp_path):
    publisher = Publisher(registry, tmp_path / "wheels")
    path = "/namespaces/streaming/webhooks"
    assert (
        registry.request("POST", path, token=publisher.token, json={"url": receiver.url}).status_code == 201
    )
    return publisher


def told(registry, receiver):
    """Deliver, and return the events that came since the last time."""
    before = len(receiver.got)
    registry.run(registry.services.webhooks.deliver())
    return [
        (each["event"], each["data"]["version"], each["data"]["reason"]) for each in receiver.events[before:]
    ]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_the_event_of_a_change_is_told_once_wherever_the_process_dies(
    registry, receiver, publisher, monkeypatch, moment
):
    release = f"{COMPONENT}@{publisher.list()['version']}"
    assert told(registry, receiver) == [("release.listed", "1.0.0", "")]
    services, ann, fuse = registry.services, registry.who("ann"), Fuse(monkeypatch)
    unannounced = []
    for number in range(ENOUGH):
        reason = f"cut off {moment} write {number}"
        is_cut = registry.run(
            fuse.cut(lambda why=reason: services.releases.yank(ann, release, why), number, moment)
        )
        is_yanked = registry.run(services.releases.by_id(release)).state == "yanked"
        unannounced.append(is_yanked and not registry.run(kept(registry, reason)))
        registry.run(services.releases.reconcile(after=timedelta(0)))
        expected = [("release.yanked", "1.0.0", reason)] if is_yanked else []
        assert told(registry, receiver) == expected, reason
        assert registry.run(services.releases.reconcile(after=timedelta(0))) == 0
        if is_yanked:
            registry.run(services.releases.yank(ann, release, None))
            assert told(registry, receiver) == [("release.listed", "1.0.0", "")]
        if not is_cut:
            break
    assert not is_cut, "more writes than thought: raise ENOUGH"
    assert any(unannounced), "no crash fell between the change and its event"
    ids = [headers["webhook-id"] for headers, _ in receiver.got]
    assert (len(set(ids)), ids) == (len(ids), sorted(ids))


async def kept(registry, reason):
    return await registry.services.database[OUTBOX].find_one({"payload.reason": reason}) is not None


def test_the_time_of_an_event_is_that_of_the_change(registry, receiver, publisher, monkeypatch):
    """Who adds a webhook between a crash and its repair did not ask for what had happened before."""
    release = f"{COMPONENT}@{publisher.list()['version']}"
    told(registry, receiver)
    fuse = Fuse(monkeypatch)
    releases, ann = registry.services.releases, registry.who("ann")
    assert registry.run(fuse.cut(lambda: releases.yank(ann, release, "broken"), 0, "after"))
    changed_at = registry.run(releases.by_id(release)).updated_at
    registry.clock.advance(hours=1)
    late = {"url": f"{receiver.url}/late"}
    path = "/namespaces/streaming/webhooks"
    assert registry.request("POST", path, token=publisher.token, json=late).status_code == 201
    assert registry.run(releases.reconcile()) == 1
    assert told(registry, receiver) == [("release.yanked", "1.0.0", "broken")]
    assert receiver.events[-1]["at"] == changed_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
