"""Topics in the memory of one process, for tests: what `dteg.topics.Topics` promises, until the process ends."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from dteg.core.errors import ConflictError, NotAvailableError, NotFoundError
from dteg.topics.groups import GroupState, Lease, ack_id_of
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
from dteg.topics.service import LEASE_S, Topics, check_batch

T = TypeVar("T")


@dataclass
class _Group:
    name: str
    state: GroupState
    dead: dict[int, DeadLetter] = field(default_factory=dict)


@dataclass
class _Topic:
    name: str
    settings: TopicSettings
    created_at: datetime
    messages: dict[int, Message] = field(default_factory=dict)
    next_offset: int = 0
    groups: dict[str, _Group] = field(default_factory=dict)

    @property
    def first_offset(self) -> int:
        return next(iter(self.messages), self.next_offset)


class MemoryTopics(Topics):
    """Topics without a server; for use by several threads of one process.

    Args:
        clock: Returns the time in UTC; replaced in tests of retention.
    """

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._changed = threading.Condition(threading.RLock())
        self._topics: dict[str, _Topic] = {}
        self._numbers = 0

    # --- topics --------------------------------------------------------------------------------

    def create(self, name: str, settings: TopicSettings | None = None) -> Topic:
        """Make a topic."""
        name = topic_name(name)
        with self._changed:
            if name in self._topics:
                raise ConflictError(f"topic {name} exists")
            self._topics[name] = _Topic(name, settings or TopicSettings(), self._clock())
            return self.topic(name)

    def change(self, name: str, settings: TopicSettings) -> Topic:
        """Give a topic other settings."""
        with self._changed:
            self._topic(name).settings = settings
            return self.topic(name)

    def topic(self, name: str) -> Topic:
        """Return one topic."""
        with self._changed:
            topic = self._topic(name)
            return Topic(
                name=name,
                settings=topic.settings,
                created_at=topic.created_at,
                first_offset=topic.first_offset,
                next_offset=topic.next_offset,
                messages=len(topic.messages),
                bytes=sum(len(message.data) for message in topic.messages.values()),
                groups=len(topic.groups),
                dead_letters=sum(_count_dead(group) for group in topic.groups.values()),
            )

    def topics(self, *, after: str = "", limit: int = 1000) -> list[Topic]:
        """Return topics by name."""
        with self._changed:
            return [self.topic(name) for name in sorted(self._topics) if name > after][:limit]

    def delete(self, name: str) -> None:
        """Delete a topic."""
        with self._changed:
            self._topic(name)
            del self._topics[name]
            self._changed.notify_all()

    # --- publishing and reading ----------------------------------------------------------------

    def publish_many(self, topic: str, messages: Sequence[NewMessage], *, connection: Any = None) -> Receipt:
        """Publish messages, all or none."""
        if connection is not None:
            raise NotAvailableError("topics in memory cannot join a transaction")
        with self._changed:
            kept = self._topic(topic)
            payloads = check_batch(messages, kept.settings)
            for message in messages:
                kept.messages[kept.next_offset] = Message(
                    topic=topic,
                    offset=kept.next_offset,
                    published_at=self._clock(),
                    **message.model_dump(),
                )
                kept.next_offset += 1
            self._changed.notify_all()
        return Receipt(topic=topic, messages=len(messages), bytes=sum(map(len, payloads)))

    def read(self, topic: str, start: Start, *, limit: int = 100, wait_s: float = 0) -> list[Message]:
        """Return messages from a place on."""
        with self._changed:
            place = _place(self._topic(topic), start)

            def look() -> list[Message]:
                messages = self._topic(topic).messages
                return [message for offset, message in messages.items() if offset >= place][:limit]

            return self._look(look, wait_s)

    # --- groups --------------------------------------------------------------------------------

    def subscribe(self, topic: str, group: str, start: Start = "earliest") -> Group:
        """Return a group, made if it does not exist."""
        group = group_name(group)
        with self._changed:
            kept = self._topic(topic)
            if group not in kept.groups:
                now = self._now()
                kept.groups[group] = _Group(group, GroupState(_place(kept, start), now, now))
            return self._shown(kept, kept.groups[group])

    def groups(self, topic: str) -> list[Group]:
        """Return the groups of a topic by name."""
        with self._changed:
            kept = self._topic(topic)
            return [self._shown(kept, kept.groups[name]) for name in sorted(kept.groups)]

    def delete_group(self, topic: str, group: str) -> None:
        """Forget a group with its dead letters."""
        with self._changed:
            self._group(topic, group)
            del self._topic(topic).groups[group]

    def fetch(
        self, topic: str, group: str, *, limit: int = 10, wait_s: float = 0, lease_s: float = LEASE_S
    ) -> list[Delivery]:
        """Take messages for a member of a group."""
        with self._changed:
            return self._look(lambda: self._fetch(topic, group, limit, lease_s), wait_s)

    def _fetch(self, topic: str, group: str, limit: int, lease_s: float) -> list[Delivery]:
        kept, members = self._topic(topic), self._group(topic, group)
        taken = members.state.take(
            self._now(), first=kept.first_offset, head=kept.next_offset, limit=limit, lease_s=lease_s,
            settings=kept.settings,
        )  # fmt: skip
        for offset, lease in taken.spent.items():
            self._bury(kept, members, offset, lease, "no answer before the lease ran out")
        return [_delivery(kept, members, offset) for offset in taken.offsets]

    def ack(self, topic: str, group: str, ack_ids: Iterable[str]) -> int:
        """Say that messages are done."""
        with self._changed:
            members = self._group(topic, group)
            leased = self._leased(members, ack_ids)
            for offset in leased:
                members.dead.pop(members.state.leases.pop(offset).dead_id, None)
            return len(leased)

    def nack(
        self, topic: str, group: str, ack_id: str, error: str, *, retry_in_s: float | None = None
    ) -> Outcome:
        """Say that a message could not be handled."""
        with self._changed:
            kept, members = self._topic(topic), self._group(topic, group)
            offset = members.state.leased(ack_id)
            if offset is None:
                return "stale"
            outcome = members.state.fail(offset, self._now(), retry_in_s, kept.settings)
            if outcome == "dead":
                self._bury(kept, members, offset, members.state.leases.pop(offset), error)
            self._changed.notify_all()
            return outcome

    def extend(self, topic: str, group: str, ack_ids: Iterable[str], *, lease_s: float = LEASE_S) -> int:
        """Keep messages for longer."""
        with self._changed:
            members = self._group(topic, group)
            leased = self._leased(members, ack_ids)
            for offset in leased:
                members.state.leases[offset].due_at = self._now() + lease_s
            return len(leased)

    def release(self, topic: str, group: str, ack_ids: Iterable[str]) -> int:
        """Give messages back untouched."""
        with self._changed:
            members = self._group(topic, group)
            leased = self._leased(members, ack_ids)
            for offset in leased:
                members.state.release(offset, self._now())
            self._changed.notify_all()
            return len(leased)

    # --- dead letters, replay, retention -------------------------------------------------------

    def dead_letters(
        self, topic: str, group: str = "", *, after: int = 0, limit: int = 100
    ) -> list[DeadLetter]:
        """Return dead letters by id."""
        with self._changed:
            groups = self._topic(topic).groups.values()
            letters = [letter for each in groups if group in ("", each.name) for letter in each.dead.values()]
            return sorted((each for each in letters if each.id > after), key=lambda each: each.id)[:limit]

    def replay_dead_letters(self, topic: str, group: str, ids: Sequence[int] | None = None) -> int:
        """Deliver dead letters to their group once more."""
        with self._changed:
            members = self._group(topic, group)
            chosen = [
                each
                for each in members.dead.values()
                if not each.replaying and (ids is None or each.id in ids)
            ]
            for letter in chosen:
                members.dead[letter.id] = letter.model_copy(update={"replaying": True})
                members.state.leases[letter.offset] = Lease(0, 0, self._now(), letter.id)
            self._changed.notify_all()
            return len(chosen)

    def replay(self, topic: str, group: str, start: Start) -> Group:
        """Set a group back, or forward."""
        with self._changed:
            kept, members = self._topic(topic), self._group(topic, group)
            members.state.next_offset = _place(kept, start)
            members.state.leases.clear()
            for letter in list(members.dead.values()):
                members.dead[letter.id] = letter.model_copy(update={"replaying": False})
            self._changed.notify_all()
            return self._shown(kept, members)

    def prune(self, topic: str = "") -> list[Pruned]:
        """Delete what retention no longer keeps."""
        with self._changed:
            chosen = [self._topic(topic)] if topic else list(self._topics.values())
            return [pruned for each in chosen if (pruned := self._prune(each)).messages]

    def _prune(self, topic: _Topic) -> Pruned:
        oldest_at = self._clock() - timedelta(seconds=topic.settings.retention_s)
        size = sum(len(message.data) for message in topic.messages.values())
        messages = freed = 0
        for message in list(topic.messages.values()):
            if message.published_at >= oldest_at and size - freed <= topic.settings.retention_bytes:
                break
            del topic.messages[message.offset]
            messages, freed = messages + 1, freed + len(message.data)
            for group in topic.groups.values():
                lease = group.state.leases.get(message.offset)
                if lease is not None and not lease.dead_id:  # it waits in vain now
                    del group.state.leases[message.offset]
                    group.state.missed += 1
        return Pruned(topic=topic.name, messages=messages, bytes=freed)

    # --- inside --------------------------------------------------------------------------------

    def _topic(self, name: str) -> _Topic:
        if name not in self._topics:
            raise NotFoundError(f"there is no topic {name!r}")
        return self._topics[name]

    def _group(self, topic: str, name: str) -> _Group:
        groups = self._topic(topic).groups
        if name not in groups:
            raise NotFoundError(f"topic {topic} has no group {name!r}")
        return groups[name]

    def _look(self, attempt: Callable[[], list[T]], wait_s: float) -> list[T]:
        deadline = time.monotonic() + wait_s
        while not (found := attempt()) and (left := deadline - time.monotonic()) > 0:
            self._changed.wait(min(left, 0.02))  # leases run out without a notice
        return found

    def _now(self) -> float:
        return self._clock().timestamp()

    def _leased(self, group: _Group, ack_ids: Iterable[str]) -> list[int]:
        return [offset for each in ack_ids if (offset := group.state.leased(each)) is not None]

    def _bury(self, topic: _Topic, group: _Group, offset: int, lease: Lease, error: str) -> None:
        old = next((each for each in group.dead.values() if each.offset == offset), None)
        message = topic.messages.get(offset, old)
        if message is None:
            return
        self._numbers += 1
        number = old.id if old else self._numbers
        group.dead[number] = DeadLetter(
            **message.model_dump(include=set(Message.model_fields)), id=number, group=group.name,
            attempts=lease.attempts + (old.attempts if old else 0), error=error, died_at=self._clock(), replaying=False,
        )  # fmt: skip

    def _shown(self, topic: _Topic, group: _Group) -> Group:
        state, now = group.state, self._now()
        flying = state.in_flight(now)
        return Group(
            topic=topic.name,
            name=group.name,
            next_offset=state.next_offset,
            lag=max(0, topic.next_offset - max(state.next_offset, topic.first_offset)),
            in_flight=flying,
            retrying=len(state.leases) - flying,
            dead_letters=_count_dead(group),
            missed=state.missed + max(0, topic.first_offset - state.next_offset),
            created_at=datetime.fromtimestamp(state.created_at, UTC),
            last_seen_at=datetime.fromtimestamp(state.last_seen_at, UTC),
        )


def _delivery(topic: _Topic, group: _Group, offset: int) -> Delivery:
    lease = group.state.leases[offset]
    message = topic.messages.get(offset) or group.dead[lease.dead_id]
    return Delivery(
        **message.model_dump(include=set(Message.model_fields)), group=group.name, attempt=lease.attempts,
        ack_id=ack_id_of(offset, lease), lease_until=datetime.fromtimestamp(lease.due_at, UTC),
    )  # fmt: skip


def _count_dead(group: _Group) -> int:
    return sum(1 for letter in group.dead.values() if not letter.replaying)


def _place(topic: _Topic, start: Start) -> int:
    if start == "latest":
        return topic.next_offset
    if start == "earliest":
        return topic.first_offset
    if isinstance(start, datetime):
        later = (message.offset for message in topic.messages.values() if message.published_at >= start)
        return next(later, topic.next_offset)
    return max(topic.first_offset, int(start))
