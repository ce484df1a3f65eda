"""Topics over HTTP. Streams are in `streams.py`; a credential that is limited to topics sees no other one."""

import time
from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from dteg.topics.models import (
    DeadLetter,
    Delivery,
    Group,
    Message,
    Pruned,
    Receipt,
    Topic,
    TopicSettings,
    parse_start,
)
from dteg.topics.service import Topics
from studio.access import Principal, Scope, allow
from studio.answers import After, Limit, Page, require_match, with_etag
from studio.services import services_of
from studio.topics.bells import bells_of
from studio.topics.models import (
    MAX_WAIT_S,
    Acks,
    Count,
    DeadLetterReplay,
    Extension,
    Nack,
    NackAnswer,
    NewGroup,
    NewMessages,
    NewTopic,
    PruneRequest,
    Replay,
    WantedMessages,
)
from studio.topics.streams import router as streams

T = TypeVar("T")

router = APIRouter(tags=["topics"])
router.include_router(streams)

Name = Annotated[str, Path(max_length=100, description="Name of the topic.")]
GroupName = Annotated[str, Path(max_length=100, description="Name of the group.")]
_READ = [allow(Scope.READ)]
_WRITE = [allow(Scope.WRITE)]
Subscriber = Annotated[Principal, allow(Scope.SUBSCRIBE)]
Publisher = Annotated[Principal, allow(Scope.PUBLISH)]
StartQuery = Annotated[str, Query(max_length=64, description="earliest, latest, an offset or a time.")]
_LOOK_S = 1.0


def _topics(request: Request) -> Topics:
    return services_of(request).topics


# --- topics ------------------------------------------------------------------------------------


@router.get("/topics", dependencies=_READ)
def list_topics(request: Request, limit: Limit = 100, after: After = "") -> Page[Topic]:
    """List the topics by name."""
    found = _topics(request).topics(after=after, limit=limit + 1)
    return Page(items=found[:limit], next=found[limit - 1].name if len(found) > limit else None)


@router.post("/topics", status_code=201, dependencies=_WRITE)
def create_topic(request: Request, new: NewTopic) -> Topic:
    """Make a topic."""
    return _topics(request).create(new.name, new.settings)


@router.get("/topics/{topic}", response_model=Topic, dependencies=_READ)
def show_topic(request: Request, topic: Name) -> Response:
    """Show a topic."""
    return with_etag(request, _topics(request).topic(topic))


@router.put("/topics/{topic}", dependencies=_WRITE)
def change_topic(request: Request, topic: Name, settings: TopicSettings) -> Topic:
    """Give a topic other settings; with `If-Match` only if it is as it was shown."""
    topics = _topics(request)
    require_match(request, topics.topic(topic))
    return topics.change(topic, settings)


@router.delete("/topics/{topic}", status_code=204, dependencies=[allow(Scope.ADMIN)])
def delete_topic(request: Request, topic: Name) -> None:
    """Delete a topic with its messages, groups and dead letters."""
    _topics(request).delete(topic)


@router.post("/topics-prune", dependencies=[allow(Scope.ADMIN)])
def prune_topics(request: Request, wanted: PruneRequest) -> Page[Pruned]:
    """Delete now what retention no longer keeps; the studio does it by itself every minute."""
    return Page(items=_topics(request).prune(wanted.topic))


# --- messages ----------------------------------------------------------------------------------


@router.post("/topics/{topic}/messages", status_code=201)
def publish_messages(request: Request, topic: Name, new: NewMessages, who: Publisher) -> Receipt:
    """Publish messages, all or none; when this answers they are stored safely."""
    who.require_topic(topic)
    return _topics(request).publish_many(topic, new.messages)


@router.get("/topics/{topic}/messages")
async def read_messages(
    request: Request,
    topic: Name,
    who: Subscriber,
    *,
    start: StartQuery = "earliest",
    limit: Limit = 100,
    wait_s: Annotated[float, Query(ge=0, le=MAX_WAIT_S, description="Wait so long if there is none.")] = 0,
) -> Page[Message]:
    """Read messages from a place on, without a group; `next` is the `start` of the next request, also of an empty one."""
    who.require_topic(topic)
    topics, place = _topics(request), parse_start(start)
    if place == "latest":
        place = await run_in_threadpool(topics.head, topic)
    items = await _waited(request, topic, wait_s, lambda: topics.read(topic, place, limit=limit))
    following = items[-1].offset + 1 if items else place
    return Page(items=items, next=str(following))


# --- groups ------------------------------------------------------------------------------------


@router.get("/topics/{topic}/groups", dependencies=_READ)
def list_groups(request: Request, topic: Name) -> Page[Group]:
    """List the groups of a topic, with what they have before them."""
    return Page(items=_topics(request).groups(topic))


@router.put("/topics/{topic}/groups/{group}")
def subscribe_group(request: Request, topic: Name, group: GroupName, new: NewGroup, who: Subscriber) -> Group:
    """Make a group, or return the one that exists, where it is."""
    who.require_topic(topic)
    return _topics(request).subscribe(topic, group, parse_start(new.start))


@router.delete("/topics/{topic}/groups/{group}", status_code=204, dependencies=_WRITE)
def delete_group(request: Request, topic: Name, group: GroupName) -> None:
    """Forget a group with its dead letters."""
    _topics(request).delete_group(topic, group)


@router.post("/topics/{topic}/groups/{group}/fetch")
async def fetch_messages(
    request: Request, topic: Name, group: GroupName, wanted: WantedMessages, who: Subscriber
) -> Page[Delivery]:
    """Take messages for a member of a group: others of the group get them when the lease runs out without an ack."""
    who.require_topic(topic)
    topics = _topics(request)
    items = await _waited(
        request, topic, wanted.wait_s,
        lambda: topics.fetch(topic, group, limit=wanted.limit, lease_s=wanted.lease_s),
    )  # fmt: skip
    return Page(items=items)


@router.post("/topics/{topic}/groups/{group}/ack")
def ack_messages(request: Request, topic: Name, group: GroupName, acks: Acks, who: Subscriber) -> Count:
    """Say that messages are done; the count is of those whose lease still held."""
    who.require_topic(topic)
    return Count(count=_topics(request).ack(topic, group, acks.ack_ids))


@router.post("/topics/{topic}/groups/{group}/nack")
def nack_message(request: Request, topic: Name, group: GroupName, nack: Nack, who: Subscriber) -> NackAnswer:
    """Say that a message could not be handled: it comes again, or is a dead letter after the last attempt."""
    who.require_topic(topic)
    outcome = _topics(request).nack(topic, group, nack.ack_id, nack.error, retry_in_s=nack.retry_in_s)
    return NackAnswer(outcome=outcome)


@router.post("/topics/{topic}/groups/{group}/extend")
def extend_leases(
    request: Request, topic: Name, group: GroupName, wanted: Extension, who: Subscriber
) -> Count:
    """Keep messages for longer."""
    who.require_topic(topic)
    return Count(count=_topics(request).extend(topic, group, wanted.ack_ids, lease_s=wanted.lease_s))


@router.post("/topics/{topic}/groups/{group}/release")
def release_messages(request: Request, topic: Name, group: GroupName, acks: Acks, who: Subscriber) -> Count:
    """Give messages back untouched; the attempt does not count."""
    who.require_topic(topic)
    return Count(count=_topics(request).release(topic, group, acks.ack_ids))


@router.post("/topics/{topic}/groups/{group}/replay", dependencies=_WRITE)
def replay_group(request: Request, topic: Name, group: GroupName, replay: Replay) -> Group:
    """Set a group back, or forward."""
    return _topics(request).replay(topic, group, parse_start(replay.start))


@router.post("/topics/{topic}/groups/{group}/replay-dead-letters", dependencies=_WRITE)
def replay_dead_letters(request: Request, topic: Name, group: GroupName, wanted: DeadLetterReplay) -> Count:
    """Deliver dead letters to their group once more."""
    return Count(count=_topics(request).replay_dead_letters(topic, group, wanted.ids))


@router.get("/topics/{topic}/dead-letters")
def list_dead_letters(
    request: Request,
    topic: Name,
    who: Subscriber,
    *,
    group: Annotated[str, Query(max_length=100, description="Only of this group.")] = "",
    limit: Limit = 100,
    after: Annotated[int, Query(ge=0, description="`next` of the answer before.")] = 0,
) -> Page[DeadLetter]:
    """List the messages that groups gave up."""
    who.require_topic(topic)
    found = _topics(request).dead_letters(topic, group, after=after, limit=limit + 1)
    return Page(items=found[:limit], next=str(found[limit - 1].id) if len(found) > limit else None)


# --- inside ------------------------------------------------------------------------------------


async def _waited(request: Request, topic: str, wait_s: float, look: Callable[[], list[T]]) -> list[T]:
    """Look until something is there, for `wait_s` seconds; waiting holds no thread."""
    deadline = time.monotonic() + wait_s
    bells, stopping = bells_of(request), services_of(request).stopping
    while True:
        rings = bells.rings(topic) if wait_s else 0
        found = await run_in_threadpool(look)
        left = deadline - time.monotonic()
        if found or left <= 0 or stopping.is_set() or await request.is_disconnected():
            return found
        # Also without a ring: what is tried again becomes due by the clock.
        await bells.wait(topic, rings, min(left, _LOOK_S))
