"""Messages in the streams of NATS: names, headers, and reading a part of a stream."""

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import nats.errors
import nats.js.errors
from nats.js import api

from dteg.topics.models import Message, encoded
from dteg.topics.nats_link import Session

# What the server itself would understand as headers (Nats-Msg-Id and others) must not come from users.
_META = "Dteg-Meta"
_READ_BATCH = 500
_READ_S = 2.0


def stream_of(topic: str) -> str:
    """Return the stream of a topic; names of streams have no dots, and topics no capitals."""
    return f"DTEG_{topic.replace('.', '_D_')}"


def subject_of(topic: str) -> str:
    """Return the subject of a topic."""
    return f"dteg.{topic}"


def dead_stream_of(topic: str) -> str:
    """Return the stream of a topic's dead letters."""
    return f"DTEG_DEAD_{topic.replace('.', '_D_')}"


def dead_subject_of(topic: str, group: str = "*") -> str:
    """Return the subject of a group's dead letters."""
    return f"dteg-dead.{topic}.{group}"


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as a stream keeps it.

    Attributes:
        sequence: Its place in the stream, from 1.
        data: The payload.
        at: When it was stored.
        meta: What we have put beside it.
    """

    sequence: int
    data: bytes
    at: datetime
    meta: Mapping[str, Any]

    def message(self, topic: str) -> dict[str, Any]:
        """Return the values of a `Message`, of a dead letter those of what died."""
        payload, encoding = encoded(self.data)
        published_at = self.meta.get("published_at")
        return {
            "topic": topic,
            "offset": self.meta.get("offset", self.sequence - 1),
            "key": self.meta.get("key", ""),
            "headers": self.meta.get("headers", {}),
            "payload": payload,
            "encoding": encoding,
            "published_at": datetime.fromisoformat(published_at) if published_at else self.at,
        }

    def as_message(self, topic: str) -> Message:
        """Return it as a message."""
        return Message.model_construct(**self.message(topic))


def headers_of(meta: Mapping[str, Any]) -> dict[str, str] | None:
    """Return what is kept beside a payload as one header: lines of text would change what they carry."""
    given = {name: value for name, value in meta.items() if value}
    if not given:
        return None
    return {_META: base64.b64encode(json.dumps(given).encode()).decode("ascii")}


async def get(session: Session, stream: str, sequence: int) -> Stored | None:
    """Return one message of a stream; None if it is gone."""
    try:
        raw = await session.stream.get_msg(stream, seq=sequence)
    except nats.js.errors.NotFoundError:
        return None
    at = raw.time if isinstance(raw.time, datetime) else api.Base._parse_utc_iso(str(raw.time))  # noqa: SLF001
    return Stored(sequence, raw.data or b"", at, _meta(raw.headers))


async def read_stream(
    session: Session,
    stream: str,
    subject: str,
    *,
    limit: int,
    sequence: int = 1,
    since: datetime | None = None,
) -> list[Stored]:
    """Return messages of a stream from a place on, those that are there.

    Args:
        session: The server.
        stream: Its name.
        subject: Only of this subject.
        limit: At most so many.
        sequence: The first place.
        since: The first time, instead of a place.
    """
    config = api.ConsumerConfig(
        deliver_policy=api.DeliverPolicy.BY_START_TIME if since else api.DeliverPolicy.BY_START_SEQUENCE,
        opt_start_time=since.astimezone(UTC) if since else None,
        opt_start_seq=None if since else max(1, sequence),
        ack_policy=api.AckPolicy.NONE,
        inactive_threshold=30,
        mem_storage=True,
        name=f"read-{secrets.token_hex(8)}",
        filter_subject=subject,
    )
    info = await session.stream.add_consumer(stream, config)
    found: list[Stored] = []
    waiting = min(limit, info.num_pending or 0)
    subscription = await session.stream.pull_subscribe_bind(consumer=info.name, stream=stream)
    try:
        while waiting > 0:
            for message in await subscription.fetch(min(waiting, _READ_BATCH), timeout=_READ_S):
                metadata = message.metadata
                found.append(
                    Stored(metadata.sequence.stream, message.data, metadata.timestamp, _meta(message.headers))
                )
                waiting = min(waiting - 1, metadata.num_pending)
    except (nats.errors.TimeoutError, TimeoutError):
        pass  # retention took the rest meanwhile
    finally:
        await subscription.unsubscribe()
        await session.stream.delete_consumer(stream, info.name)
    return found


def _meta(headers: Mapping[str, str] | None) -> Mapping[str, Any]:
    text = (headers or {}).get(_META)
    if not text:  # published by somebody else than us
        return {}
    try:
        meta = json.loads(base64.b64decode(text))
    except ValueError:
        return {}
    return meta if isinstance(meta, dict) else {}
