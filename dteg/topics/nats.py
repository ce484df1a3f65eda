"""Topics on a NATS server with JetStream.

Streams keep the messages; the server gives the offsets and takes care of retention. What groups have done is a document
for each group in a key-value bucket, changed by compare and swap: JetStream's own consumers count no attempt twice the
same way, take late acks for good and cannot set a member's lease, so they could not keep the promises of `Topics`. The
clocks of members must agree within the lease.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

import nats.js.errors

from dteg.core.errors import NotAvailableError
from dteg.core.project import Project
from dteg.topics.groups import GroupState, Lease
from dteg.topics.models import (
    DeadLetter,
    Delivery,
    Group,
    Message,
    NewMessage,
    Outcome,
    Pruned,
    Receipt,
    Start,
    Topic,
    TopicSettings,
    group_name,
    topic_name,
)
from dteg.topics.nats_groups import (
    MAX_LEASES,
    as_dead_letter,
    bury,
    create_topic,
    dead_of,
    document_of,
    ends_of,
    fetch_for,
    group_key,
    keys_of,
    leased_of,
    packed,
    place_of,
    remove_dead,
    settings_of,
    show_group,
    show_topic,
    state_of,
    stream_config,
    swap,
    topic_key,
)
from dteg.topics.nats_link import Link, Session
from dteg.topics.nats_messages import (
    dead_stream_of,
    dead_subject_of,
    headers_of,
    read_stream,
    stream_of,
    subject_of,
)
from dteg.topics.postgres import PostgresTopics
from dteg.topics.service import LEASE_S, Topics, check_batch

T = TypeVar("T")

_FIRST_LOOK_S = 0.01
_LOOK_S = 0.25
# The group of the warehouse's topics that passes messages on to NATS.
_RELAY = "nats"
_RELAY_BATCH = 500
_ERROR_CHARACTERS = 2_000


class NatsTopics(Topics):
    """Topics on a NATS server; for use by several threads.

    Args:
        url: One server or several, with commas between.
        project: In whose warehouse messages wait that join a transaction, until `relay` passes them on; None if none do.
    """

    def __init__(self, url: str, project: Project | None = None) -> None:
        self._link = Link(url)
        self._outbox = PostgresTopics(project) if project else None

    # --- topics --------------------------------------------------------------------------------

    def create(self, name: str, settings: TopicSettings | None = None) -> Topic:
        """Make a topic."""
        name = topic_name(name)
        return self._link.run(lambda session: create_topic(session, name, settings or TopicSettings()))

    def change(self, name: str, settings: TopicSettings) -> Topic:
        """Give a topic other settings."""

        async def step(session: Session) -> Topic:
            await settings_of(session, name)
            await session.stream.update_stream(stream_config(session, name, settings))
            await session.state.put(topic_key(name), document_of(settings))
            return await show_topic(session, name)

        return self._link.run(step)

    def topic(self, name: str) -> Topic:
        """Return one topic."""
        return self._link.run(lambda session: show_topic(session, name))

    def topics(self, *, after: str = "", limit: int = 1000) -> list[Topic]:
        """Return topics by name."""

        async def step(session: Session) -> list[Topic]:
            names = [key.removeprefix("topic/") for key in await keys_of(session, "topic/")]
            return [await show_topic(session, name) for name in sorted(names) if name > after][:limit]

        return self._link.run(step)

    def delete(self, name: str) -> None:
        """Delete a topic."""

        async def step(session: Session) -> None:
            await settings_of(session, name)
            # First the entry: what follows is found by nobody then, and a second delete is a clear error.
            await session.state.delete(topic_key(name))
            for key in await keys_of(session, f"group/{name}/"):
                await session.state.delete(key)
            for stream in (stream_of(name), dead_stream_of(name)):
                await session.stream.delete_stream(stream)

        self._link.run(step)

    # --- publishing and reading ----------------------------------------------------------------

    def publish_many(self, topic: str, messages: Sequence[NewMessage], *, connection: Any = None) -> Receipt:
        """Publish messages in their order. After an error some of them may be published."""
        if connection is not None:
            if self._outbox is None:
                raise NotAvailableError(
                    "these topics on NATS know no warehouse whose transaction they could join"
                )
            self._outbox.ensure(topic, self.topic(topic).settings)
            return self._outbox.publish_many(topic, messages, connection=connection)
        return self._publish(topic, messages)

    def _publish(self, topic: str, messages: Sequence[NewMessage], ids: Sequence[str] = ()) -> Receipt:
        """Publish; with `ids` the server drops what it has got under the same id within two minutes."""

        async def step(session: Session) -> Receipt:
            payloads = check_batch(messages, await settings_of(session, topic))
            acks = []
            for number, (each, data) in enumerate(zip(messages, payloads, strict=True)):
                headers = headers_of({"key": each.key, "headers": each.headers})
                if ids:
                    headers = {**(headers or {}), "Nats-Msg-Id": ids[number]}
                acks.append(await session.stream.publish_async(subject_of(topic), data, headers=headers))
            await asyncio.gather(*acks)
            return Receipt(topic=topic, messages=len(messages), bytes=sum(map(len, payloads)))

        return self._link.run(step)

    def read(self, topic: str, start: Start, *, limit: int = 100, wait_s: float = 0) -> list[Message]:
        """Return messages from a place on."""

        async def place_(session: Session) -> int:
            await settings_of(session, topic)
            return await place_of(session, topic, start)

        place = self._link.run(place_)

        async def look(session: Session) -> list[Message]:
            first, head = await ends_of(session, topic)
            count = min(limit, head - max(place, first))
            if count <= 0:
                return []
            found = await read_stream(
                session, stream_of(topic), subject_of(topic), limit=count, sequence=place + 1
            )
            return [each.as_message(topic) for each in found]

        return self._look(look, wait_s)

    # --- groups --------------------------------------------------------------------------------

    def subscribe(self, topic: str, group: str, start: Start = "earliest") -> Group:
        """Return a group, made if it does not exist."""
        group = group_name(group)

        async def step(session: Session) -> Group:
            await settings_of(session, topic)
            now = time.time()
            state = GroupState(await place_of(session, topic, start), now, now)
            try:
                await session.state.create(group_key(topic, group), packed(state))
            except nats.js.errors.KeyWrongLastSequenceError:  # it exists
                state, _ = await state_of(session, topic, group)
            return await show_group(session, topic, group, state)

        return self._link.run(step)

    def groups(self, topic: str) -> list[Group]:
        """Return the groups of a topic by name."""

        async def step(session: Session) -> list[Group]:
            await settings_of(session, topic)
            found = []
            for key in sorted(await keys_of(session, f"group/{topic}/")):
                group = key.rpartition("/")[2]
                state, _ = await state_of(session, topic, group)
                found.append(await show_group(session, topic, group, state))
            return found

        return self._link.run(step)

    def delete_group(self, topic: str, group: str) -> None:
        """Forget a group with its dead letters."""

        async def step(session: Session) -> None:
            await state_of(session, topic, group)
            await session.state.delete(group_key(topic, group))
            await session.stream.purge_stream(dead_stream_of(topic), subject=dead_subject_of(topic, group))

        self._link.run(step)

    def fetch(
        self, topic: str, group: str, *, limit: int = 10, wait_s: float = 0, lease_s: float = LEASE_S
    ) -> list[Delivery]:
        """Take messages for a member of a group."""
        return self._look(lambda session: fetch_for(session, topic, group, limit, lease_s), wait_s)

    def ack(self, topic: str, group: str, ack_ids: Iterable[str]) -> int:
        """Say that messages are done."""
        wanted = list(ack_ids)

        def act(state: GroupState) -> list[Lease]:
            return [state.leases.pop(offset) for offset in leased_of(state, wanted)]

        async def step(session: Session) -> int:
            done = await swap(session, topic, group, act)
            for lease in done:
                if lease.dead_id:
                    await remove_dead(session, topic, lease.dead_id)
            return len(done)

        return self._link.run(step)

    def nack(
        self, topic: str, group: str, ack_id: str, error: str, *, retry_in_s: float | None = None
    ) -> Outcome:
        """Say that a message could not be handled."""

        async def step(session: Session) -> Outcome:
            settings = await settings_of(session, topic)

            def act(state: GroupState) -> tuple[Outcome, int, Lease | None]:
                offset = state.leased(ack_id)
                if offset is None:
                    return "stale", 0, None
                outcome = state.fail(offset, time.time(), retry_in_s, settings)
                return outcome, offset, state.leases[offset]

            outcome, offset, lease = await swap(session, topic, group, act)
            if outcome == "dead" and lease is not None:
                # The letter first: a crash between leaves both, never neither.
                await bury(session, topic, group, offset, lease, error[:_ERROR_CHARACTERS])
                await swap(session, topic, group, lambda state: state.leases.pop(offset, None))
            return outcome

        return self._link.run(step)

    def extend(self, topic: str, group: str, ack_ids: Iterable[str], *, lease_s: float = LEASE_S) -> int:
        """Keep messages for longer."""
        wanted = list(ack_ids)

        def act(state: GroupState) -> int:
            leased = leased_of(state, wanted)
            for offset in leased:
                state.leases[offset].due_at = time.time() + lease_s
            return len(leased)

        return self._link.run(lambda session: swap(session, topic, group, act))

    def release(self, topic: str, group: str, ack_ids: Iterable[str]) -> int:
        """Give messages back untouched."""
        wanted = list(ack_ids)

        def act(state: GroupState) -> int:
            leased = leased_of(state, wanted)
            for offset in leased:
                state.release(offset, time.time())
            return len(leased)

        return self._link.run(lambda session: swap(session, topic, group, act))

    # --- dead letters, replay, retention -------------------------------------------------------

    def dead_letters(
        self, topic: str, group: str = "", *, after: int = 0, limit: int = 100
    ) -> list[DeadLetter]:
        """Return dead letters by id."""

        async def step(session: Session) -> list[DeadLetter]:
            await settings_of(session, topic)
            found = await dead_of(session, topic, group or "*", limit=limit, after=after)
            replaying = set()
            for name in {str(each.meta["group"]) for each in found}:
                replaying |= (await state_of(session, topic, name))[0].replaying()
            return [as_dead_letter(topic, each, replaying) for each in found]

        return self._link.run(step)

    def replay_dead_letters(self, topic: str, group: str, ids: Sequence[int] | None = None) -> int:
        """Deliver dead letters to their group once more."""

        async def step(session: Session) -> int:
            await state_of(session, topic, group)
            found = await dead_of(session, topic, group, limit=MAX_LEASES)

            def act(state: GroupState) -> int:
                replaying = state.replaying()
                chosen = [
                    each for each in found
                    if each.sequence not in replaying and (ids is None or each.sequence in ids)
                ]  # fmt: skip
                for each in chosen:
                    state.leases[int(each.meta["offset"])] = Lease(0, 0, time.time(), each.sequence)
                return len(chosen)

            return await swap(session, topic, group, act)

        return self._link.run(step)

    def replay(self, topic: str, group: str, start: Start) -> Group:
        """Set a group back, or forward."""

        async def step(session: Session) -> Group:
            await state_of(session, topic, group)
            place = await place_of(session, topic, start)

            def act(state: GroupState) -> GroupState:
                state.next_offset = place
                state.leases.clear()
                return state

            return await show_group(session, topic, group, await swap(session, topic, group, act))

        return self._link.run(step)

    def prune(self, topic: str = "") -> list[Pruned]:
        """Do nothing: the server deletes what is too old or too much by itself."""
        if topic:
            self._link.run(lambda session: settings_of(session, topic))
        return []

    def relay(self) -> int:
        """Pass on what was published in transactions of the warehouse, at least once; return how many messages."""
        outbox, count = self._outbox, 0
        if outbox is None:
            return 0
        for topic in outbox.topics():
            outbox.subscribe(topic.name, _RELAY)
            while batch := outbox.fetch(topic.name, _RELAY, limit=_RELAY_BATCH):
                made = [NewMessage.make(each.data, key=each.key, headers=each.headers) for each in batch]
                ids = [f"{topic.created_at.timestamp()}:{topic.name}:{each.offset}" for each in batch]
                self._publish(topic.name, made, ids)
                outbox.ack(topic.name, _RELAY, [each.ack_id for each in batch])
                count += len(batch)
        return count

    def close(self) -> None:
        """Close the connections."""
        self._link.close()
        if self._outbox is not None:
            self._outbox.close()

    def _look(self, look: Callable[[Session], Coroutine[Any, Any, list[T]]], wait_s: float) -> list[T]:
        async def step(session: Session) -> list[T]:
            deadline, pause = time.monotonic() + wait_s, _FIRST_LOOK_S
            while not (found := await look(session)) and (left := deadline - time.monotonic()) > 0:
                await asyncio.sleep(min(pause, left))
                pause = min(pause * 2, _LOOK_S)
            return found

        return self._link.run(step, wait_s + 60)
