"""A process that dies at any write of a review, thread or report: the event is told all the same, and once.

Seen red: with the event kept by the request that wrote the review, as it was before, it is lost when the process dies
between the two; with an id of its own each time it is told twice when the process dies before `told` is set.
"""

import itertools

import pytest

from dteg.core.errors import UnavailableError
from registry.discussions.models import NewThread
from registry.reports.models import NewReport
from registry.reviews.models import NewReview
from registry.webhooks.store import OUTBOX
from tests.integration.registry.community import COMPONENT, Community
from tests.integration.registry.publishing import Publisher
from tests.integration.registry.webhooks.crashes import Fuse

pytestmark = pytest.mark.integration
ENOUGH = 30
HOOKS = "/namespaces/streaming/webhooks"


class Written:
    """Reviews, threads and reports, each by somebody new."""

    def __init__(self, registry, receiver, folder):
        self.registry, self.receiver = registry, receiver
        publisher = Publisher(registry, folder)
        self.community = Community(registry, publisher)
        made = self.community.ask("ann", "POST", HOOKS, json={"url": receiver.url})
        assert made.status_code == 201, made.text
        self.numbers = itertools.count()
        registry.run(registry.services.webhooks.deliver())

    def by_somebody(self, kind):
        """Return what writes one, and a word that its event holds."""
        login = f"guest{next(self.numbers)}"
        services, title = self.registry.services, f"Question of {login}"
        if kind == "review":
            self.community.install(login)
            who = self.registry.who(login)
            return lambda: services.reviews.write(who, COMPONENT, NewReview(stars=4)), login
        self.community.token(login)
        who = self.registry.who(login)
        if kind == "thread":
            return lambda: services.discussions.begin(who, COMPONENT, NewThread(title=title, text="?")), title
        report = NewReport(target=f"component:{COMPONENT}", reason="spam", text=title)
        return lambda: services.reports.create(who, report), ""

    def found(self, kind, before):
        """Return how many were written since."""
        return self.count(f"{kind}s") - before

    def count(self, collection, **query):
        return self.registry.run(self.registry.services.database[collection].count_documents(query))

    def told(self):
        """Deliver, and return the events that came since the last time."""
        before = len(self.receiver.got)
        self.registry.run(self.registry.services.webhooks.deliver())
        return self.receiver.events[before:]


@pytest.fixture
def written(registry, receiver, tmp_path):
    return Written(registry, receiver, tmp_path / "wheels")


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("kind", ["review", "thread", "report"])
def test_the_event_of_what_was_written_is_told_once_wherever_the_process_dies(
    written, monkeypatch, kind, moment
):
    registry, receiver, fuse = written.registry, written.receiver, Fuse(monkeypatch)
    webhooks = registry.services.webhooks
    unkept = []
    for number in range(ENOUGH):
        write, word = written.by_somebody(kind)
        before, events = written.count(f"{kind}s"), written.count(OUTBOX)

        async def work(write=write):
            await write()
            await webhooks.gather()

        is_cut = registry.run(fuse.cut(work, number, moment))
        is_written = written.found(kind, before) == 1
        unkept.append(is_written and written.count(OUTBOX) == events)
        told = written.told()
        assert [each["event"] for each in told] == [f"{kind}.created"] * is_written, (
            f"{moment} write {number}"
        )
        assert all(word in str(each["data"]) for each in told)
        assert written.told() == []
        assert written.count(f"{kind}s", told=False) == 0
        if not is_cut:
            break
    assert not is_cut, "more writes than thought: raise ENOUGH"
    assert is_written
    assert any(unkept), "no crash fell between what was written and its event"
    ids = [headers["webhook-id"] for headers, _ in receiver.got]
    assert len(set(ids)) == len(ids)


def test_what_was_written_is_acknowledged_while_events_cannot_be_kept(registry, written, monkeypatch):
    """A failing outbox is no reason to ask people to write it again."""
    store = registry.services.webhooks._store

    async def down(_):
        raise UnavailableError("the outbox is down")

    with monkeypatch.context() as patched:
        patched.setattr(store, "keep", down)
        new = {"title": "How to", "text": "use it?"}
        answer = written.community.ask("bob", "POST", f"/components/{COMPONENT}/threads", json=new)
        assert answer.status_code == 201
        with pytest.raises(UnavailableError):
            written.told()
    (told,) = written.told()
    assert told["data"] == {
        "component": COMPONENT, "thread": answer.json()["id"], "title": "How to", "author": "bob",
    }  # fmt: skip
    assert (told["id"], told["at"][:19]) == (answer.json()["id"], answer.json()["created_at"][:19])


def test_what_was_taken_back_before_it_was_told_is_not_told(registry, written):
    community = written.community
    community.install("bob")
    community.review("bob", 5)
    community.ask("bob", "DELETE", f"/components/{COMPONENT}/review")
    thread = community.ask(
        "bob", "POST", f"/components/{COMPONENT}/threads", json={"title": "Sorry", "text": "wrong"}
    ).json()
    community.ask("bob", "DELETE", f"/threads/{thread['id']}")
    assert written.told() == []


def test_what_older_versions_wrote_is_not_told_again(registry, written):
    """Their documents say nothing of it: the event was kept, or lost, long ago."""
    community, database = written.community, registry.services.database
    thread = community.ask(
        "bob", "POST", f"/components/{COMPONENT}/threads", json={"title": "Old", "text": "text"}
    ).json()
    registry.run(database["threads"].update_one({"_id": thread["id"]}, {"$unset": {"told": ""}}))
    assert written.told() == []
    assert community.ask("bob", "GET", f"/threads/{thread['id']}").json()["title"] == "Old"
