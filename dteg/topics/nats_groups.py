"""Groups and dead letters on a NATS server: documents in a key-value bucket, and copies in a stream of their own."""

import asyncio
import json
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import nats.js.errors
from nats.js import api

from dteg.core.errors import ConfigError, ConflictError, NotFoundError, TransientError
from dteg.topics.groups import GroupState, Lease, ack_id_of
from dteg.topics.models import (
    DeadLetter,
    Delivery,
    Group,
    Start,
    Topic,
    TopicSettings,
    group_name,
    topic_name,
)
from dteg.topics.nats_link import Session
from dteg.topics.nats_messages import (
    Stored,
    dead_stream_of,
    dead_subject_of,
    get,
    headers_of,
    read_stream,
    stream_of,
    subject_of,
)

T = TypeVar("T")

MAX_LEASES = 5_000  # the document of a group stays far below the largest message of a server
_SWAPS = 200
# Room for key and headers in what the server takes as one message.
_HEADER_BYTES = 64 * 1024


async def create_topic(session: Session, name: str, settings: TopicSettings) -> Topic:
    """Make a topic with its streams."""
    config = stream_config(session, name, settings)
    try:
        await session.state.create(topic_key(name), document_of(settings))
    except nats.js.errors.KeyWrongLastSequenceError:
        raise ConflictError(f"there is a topic {name} already; see: dteg topic show {name}") from None
    await session.stream.add_stream(config)
    dead = api.StreamConfig(name=dead_stream_of(name), subjects=[dead_subject_of(name)])
    await session.stream.add_stream(dead)
    return await show_topic(session, name)


def stream_config(session: Session, name: str, settings: TopicSettings) -> api.StreamConfig:
    """Return what the server is told of a topic."""
    room = session.client.max_payload - _HEADER_BYTES
    if settings.max_payload_bytes > room:
        raise ConfigError(f"max_payload_bytes: this NATS server takes {room:,} bytes at most")
    return api.StreamConfig(
        name=stream_of(name), subjects=[subject_of(name)], max_age=settings.retention_s,
        max_bytes=settings.retention_bytes, discard=api.DiscardPolicy.OLD, storage=api.StorageType.FILE,
    )  # fmt: skip


async def show_topic(session: Session, name: str) -> Topic:
    """Return a topic as it stands."""
    settings = await settings_of(session, name)
    info = await session.stream.stream_info(stream_of(name))
    first, head = await ends_of(session, name)
    groups = [key.rpartition("/")[2] for key in await keys_of(session, f"group/{name}/")]
    dead = 0
    for group in groups:
        state, _ = await state_of(session, name, group)
        dead += (await show_group(session, name, group, state)).dead_letters
    return Topic(
        name=name, settings=settings, created_at=time_of(info.created), first_offset=first, next_offset=head,
        messages=info.state.messages, bytes=info.state.bytes, groups=len(groups), dead_letters=dead,
    )  # fmt: skip


async def settings_of(session: Session, name: str) -> TopicSettings:
    """Return the settings of a topic."""
    try:
        entry = await session.state.get(topic_key(topic_name(name)))
    except (nats.js.errors.KeyNotFoundError, ConfigError):
        raise NotFoundError(
            f"there is no topic {name[:100]!r}; dteg topic list shows what there is"
        ) from None
    return TopicSettings.model_validate_json(entry.value or b"{}")


async def ends_of(session: Session, name: str) -> tuple[int, int]:
    """Return the offset of the oldest message, and the one that the next message gets."""
    state = (await session.stream.stream_info(stream_of(name))).state
    return (state.first_seq - 1 if state.messages else state.last_seq), state.last_seq


async def place_of(session: Session, topic: str, start: Start) -> int:
    """Return the offset that a start means now."""
    first, head = await ends_of(session, topic)
    if start == "latest":
        return head
    if isinstance(start, datetime):
        later = await read_stream(session, stream_of(topic), subject_of(topic), limit=1, since=start)
        return later[0].sequence - 1 if later else head
    return first if start == "earliest" else max(first, int(start))


async def state_of(session: Session, topic: str, group: str) -> tuple[GroupState, int]:
    """Return what a group has done, and the revision to swap."""
    try:
        entry = await session.state.get(group_key(topic, group_name(group)))
    except (nats.js.errors.KeyNotFoundError, ConfigError):
        await settings_of(session, topic)
        raise NotFoundError(f"topic {topic} has no group {group[:100]!r}") from None
    return GroupState.from_json(json.loads(entry.value or b"{}")), entry.revision or 0


async def swap(session: Session, topic: str, group: str, act: Callable[[GroupState], T]) -> T:
    """Change a group; `act` is called again when somebody else was faster."""
    for _ in range(_SWAPS):
        state, revision = await state_of(session, topic, group)
        result = act(state)
        if await _saved(session, topic, group, state, revision):
            return result
    raise TransientError(f"too many members change group {group} at once", component="topics")


async def _saved(session: Session, topic: str, group: str, state: GroupState, revision: int) -> bool:
    try:
        await session.state.update(group_key(topic, group), packed(state), revision)
    except nats.js.errors.KeyWrongLastSequenceError:
        await asyncio.sleep(random.uniform(0, 0.01))  # noqa: S311 - so that two do not meet again
        return False
    return True


async def fetch_for(session: Session, topic: str, group: str, limit: int, lease_s: float) -> list[Delivery]:
    """Take messages for a member of a group, those that are there."""
    settings = await settings_of(session, topic)
    for _ in range(_SWAPS):
        state, revision = await state_of(session, topic, group)
        first, head = await ends_of(session, topic)
        room = max(0, min(limit, MAX_LEASES - len(state.leases)))
        before = (state.missed, len(state.leases))
        taken = state.take(
            time.time(), first=first, head=head, limit=room, lease_s=lease_s, settings=settings
        )
        if not taken.offsets and not taken.spent and before == (state.missed, len(state.leases)):
            return []
        letters = [
            await bury(session, topic, group, offset, lease, "no answer before the lease ran out")
            for offset, lease in taken.spent.items()
        ]
        if await _saved(session, topic, group, state, revision):
            return await _deliveries(session, topic, group, state, taken.offsets)
        for letter in letters:
            await remove_dead(session, topic, letter)
    raise TransientError(f"too many members fetch for group {group} at once", component="topics")


async def _deliveries(
    session: Session, topic: str, group: str, state: GroupState, offsets: list[int]
) -> list[Delivery]:
    found: dict[int, Stored] = {}
    plain = [offset for offset in offsets if not state.leases[offset].dead_id]
    # What is new lies together; what is tried again is fetched one by one.
    if len(plain) > 1 and plain[-1] - plain[0] < 2 * len(plain):
        part = await read_stream(
            session,
            stream_of(topic),
            subject_of(topic),
            limit=plain[-1] - plain[0] + 1,
            sequence=plain[0] + 1,
        )
        found = {each.sequence - 1: each for each in part}
    for offset in offsets:
        lease = state.leases[offset]
        if offset not in found or lease.dead_id:
            stream, sequence = (
                (dead_stream_of(topic), lease.dead_id) if lease.dead_id else (stream_of(topic), offset + 1)
            )
            if (one := await get(session, stream, sequence)) is not None:
                found[offset] = one
    gone = [offset for offset in offsets if offset not in found]
    if gone:  # retention was faster
        await swap(session, topic, group, lambda state: _forget(state, gone))
    return [
        Delivery.model_construct(
            **found[offset].message(topic), group=group, attempt=state.leases[offset].attempts,
            ack_id=ack_id_of(offset, state.leases[offset]), lease_until=time_of(state.leases[offset].due_at),
        )
        for offset in offsets if offset in found
    ]  # fmt: skip


def _forget(state: GroupState, offsets: list[int]) -> None:
    for offset in offsets:
        if state.leases.pop(offset, None) is not None:
            state.missed += 1


async def show_group(session: Session, topic: str, group: str, state: GroupState) -> Group:
    """Return a group as it stands."""
    first, head = await ends_of(session, topic)
    subject = dead_subject_of(topic, group)
    info = await session.stream.stream_info(dead_stream_of(topic), subjects_filter=subject)
    now = time.time()
    flying = state.in_flight(now)
    return Group(
        topic=topic, name=group, next_offset=state.next_offset, lag=max(0, head - max(state.next_offset, first)),
        in_flight=flying, retrying=len(state.leases) - flying,
        dead_letters=max(0, (info.state.subjects or {}).get(subject, 0) - len(state.replaying())),
        missed=state.missed + max(0, first - state.next_offset), created_at=time_of(state.created_at),
        last_seen_at=time_of(state.last_seen_at),
    )  # fmt: skip


def leased_of(state: GroupState, ack_ids: list[str]) -> list[int]:
    """Return the offsets of the deliveries that are still leased."""
    return list(dict.fromkeys(offset for each in ack_ids if (offset := state.leased(each)) is not None))


async def bury(  # noqa: PLR0917
    session: Session, topic: str, group: str, offset: int, lease: Lease, error: str
) -> int:
    """Keep a copy of what a group gives up and return its id; 0 if retention was faster."""
    old = await get(session, dead_stream_of(topic), lease.dead_id) if lease.dead_id else None
    message = old or await get(session, stream_of(topic), offset + 1)
    if message is None:
        return 0
    values = message.message(topic)
    meta = {
        "key": values["key"], "headers": values["headers"], "offset": offset, "group": group, "error": error,
        "attempts": lease.attempts + (int(old.meta["attempts"]) if old else 0),
        "published_at": values["published_at"].isoformat(), "died_at": datetime.now(UTC).isoformat(),
    }  # fmt: skip
    # The place 0 is a place, so it is written down although it counts as nothing.
    headers = headers_of({**meta, "offset": str(offset)})
    stored = await session.stream.publish(dead_subject_of(topic, group), message.data, headers=headers)
    if old is not None:
        await remove_dead(session, topic, lease.dead_id)
    return stored.seq


async def dead_of(session: Session, topic: str, group: str, *, limit: int, after: int = 0) -> list[Stored]:
    """Return dead letters from an id on; `*` is every group."""
    return await read_stream(
        session, dead_stream_of(topic), dead_subject_of(topic, group), limit=limit, sequence=after + 1
    )


async def remove_dead(session: Session, topic: str, letter: int) -> None:
    """Delete a dead letter, if it is still there."""
    if letter:
        try:
            await session.stream.delete_msg(dead_stream_of(topic), letter)
        except nats.js.errors.APIError:  # somebody else has removed it
            return


def as_dead_letter(topic: str, stored: Stored, replaying: set[int]) -> DeadLetter:
    """Return a dead letter as it was stored."""
    meta = stored.meta
    return DeadLetter.model_construct(
        **{**stored.message(topic), "offset": int(meta["offset"])}, id=stored.sequence, group=meta["group"],
        attempts=meta["attempts"], error=meta.get("error", ""), died_at=datetime.fromisoformat(meta["died_at"]),
        replaying=stored.sequence in replaying,
    )  # fmt: skip


def topic_key(name: str) -> str:
    """Return where the settings of a topic are."""
    return f"topic/{name}"


def group_key(topic: str, group: str) -> str:
    """Return where the document of a group is."""
    return f"group/{topic}/{group}"


def document_of(settings: TopicSettings) -> bytes:
    """Return settings as they are stored."""
    return settings.model_dump_json().encode()


def packed(state: GroupState) -> bytes:
    """Return the document of a group as it is stored."""
    return json.dumps(state.to_json(), separators=(",", ":")).encode()


async def keys_of(session: Session, prefix: str) -> list[str]:
    """Return the keys that begin with a text."""
    try:
        return [key for key in await session.state.keys() if key.startswith(prefix)]
    except nats.js.errors.NoKeysError:
        return []


def time_of(value: Any) -> datetime:
    """Return a time of the server, or in seconds since 1970, as a datetime."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    return api.Base._parse_utc_iso(str(value))  # noqa: SLF001
