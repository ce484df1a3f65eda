"""Topics of a studio, over HTTP."""

import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, cast

from dteg.core.errors import NotAvailableError
from dteg.studio_client import StudioClient, quoted
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
from dteg.topics.service import LEASE_S, Topics

# A request that waits must not look like one that hangs.
_WAIT_S = 20.0
# Below the size that a studio takes in one request, with room for the names of fields.
_REQUEST_BYTES = 700_000


class RemoteTopics(Topics):
    """The same as `Topics.of` of the studio's project.

    Args:
        client: The studio.
    """

    def __init__(self, client: StudioClient) -> None:
        self._client = client

    def create(self, name: str, settings: TopicSettings | None = None) -> Topic:
        """Make a topic."""
        body = {"name": topic_name(name), "settings": (settings or TopicSettings()).model_dump(mode="json")}
        return Topic.model_validate(self._client.post("/topics", body))

    def change(self, name: str, settings: TopicSettings) -> Topic:
        """Give a topic other settings."""
        return Topic.model_validate(self._client.put(_path(name), settings.model_dump(mode="json")))

    def topic(self, name: str) -> Topic:
        """Return one topic."""
        return Topic.model_validate(self._client.get(_path(name)))

    def topics(self, *, after: str = "", limit: int = 1000) -> list[Topic]:
        """Return topics by name."""
        page = self._client.get("/topics", after=after, limit=limit)
        return [Topic.model_validate(each) for each in page["items"]]

    def delete(self, name: str) -> None:
        """Delete a topic."""
        self._client.delete(_path(name))

    def publish_many(self, topic: str, messages: Sequence[NewMessage], *, connection: Any = None) -> Receipt:
        """Publish messages; those of one request, up to 700 kB, all or none."""
        if connection is not None:
            raise NotAvailableError("a studio cannot join the caller's transaction; publish without --url")
        count = size = 0
        for part in _parts(messages):
            answer = self._client.post(f"{_path(topic)}/messages", {"messages": part})
            count, size = count + answer["messages"], size + answer["bytes"]
        return Receipt(topic=topic, messages=count, bytes=size)

    def head(self, topic: str) -> int:
        """Return the offset that the next message gets."""
        return int(self._client.get(f"{_path(topic)}/messages", start="latest")["next"])

    def read(self, topic: str, start: Start, *, limit: int = 100, wait_s: float = 0) -> list[Message]:
        """Return messages from a place on."""
        place: Start | str = start
        deadline = time.monotonic() + wait_s
        while True:
            left = max(0.0, deadline - time.monotonic())
            page = self._client.get(
                f"{_path(topic)}/messages", start=_text(place), limit=limit, wait_s=min(left, _WAIT_S)
            )
            if page["items"] or left <= _WAIT_S:
                return [Message.model_validate(each) for each in page["items"]]
            place = page["next"]  # where `latest` was

    def subscribe(self, topic: str, group: str, start: Start = "earliest") -> Group:
        """Return a group, made if it does not exist."""
        return Group.model_validate(
            self._client.put(_path(topic, group_name(group)), {"start": _text(start)})
        )

    def groups(self, topic: str) -> list[Group]:
        """Return the groups of a topic by name."""
        return [Group.model_validate(each) for each in self._client.get(f"{_path(topic)}/groups")["items"]]

    def delete_group(self, topic: str, group: str) -> None:
        """Forget a group with its dead letters."""
        self._client.delete(_path(topic, group))

    def fetch(
        self, topic: str, group: str, *, limit: int = 10, wait_s: float = 0, lease_s: float = LEASE_S
    ) -> list[Delivery]:
        """Take messages for a member of a group."""
        deadline = time.monotonic() + wait_s
        while True:
            left = max(0.0, deadline - time.monotonic())
            body = {"limit": limit, "wait_s": min(left, _WAIT_S), "lease_s": lease_s}
            items = self._client.post(f"{_path(topic, group)}/fetch", body)["items"]
            if items or left <= _WAIT_S:
                return [Delivery.model_validate(each) for each in items]

    def ack(self, topic: str, group: str, ack_ids: Iterable[str]) -> int:
        """Say that messages are done."""
        return self._counted(topic, group, "ack", ack_ids=list(ack_ids))

    def nack(
        self, topic: str, group: str, ack_id: str, error: str, *, retry_in_s: float | None = None
    ) -> Outcome:
        """Say that a message could not be handled."""
        body = {"ack_id": ack_id, "error": error, "retry_in_s": retry_in_s}
        return cast("Outcome", self._client.post(f"{_path(topic, group)}/nack", body)["outcome"])

    def extend(self, topic: str, group: str, ack_ids: Iterable[str], *, lease_s: float = LEASE_S) -> int:
        """Keep messages for longer."""
        return self._counted(topic, group, "extend", ack_ids=list(ack_ids), lease_s=lease_s)

    def release(self, topic: str, group: str, ack_ids: Iterable[str]) -> int:
        """Give messages back untouched."""
        return self._counted(topic, group, "release", ack_ids=list(ack_ids))

    def dead_letters(
        self, topic: str, group: str = "", *, after: int = 0, limit: int = 100
    ) -> list[DeadLetter]:
        """Return dead letters by id."""
        page = self._client.get(f"{_path(topic)}/dead-letters", group=group, after=str(after), limit=limit)
        return [DeadLetter.model_validate(each) for each in page["items"]]

    def replay_dead_letters(self, topic: str, group: str, ids: Sequence[int] | None = None) -> int:
        """Deliver dead letters to their group once more."""
        return self._counted(topic, group, "replay-dead-letters", ids=None if ids is None else list(ids))

    def replay(self, topic: str, group: str, start: Start) -> Group:
        """Set a group back, or forward."""
        answer = self._client.post(f"{_path(topic, group)}/replay", {"start": _text(start)})
        return Group.model_validate(answer)

    def prune(self, topic: str = "") -> list[Pruned]:
        """Delete what retention no longer keeps."""
        page = self._client.post("/topics-prune", {"topic": topic})
        return [Pruned.model_validate(each) for each in page["items"]]

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _counted(self, topic: str, group: str, act: str, **body: Any) -> int:
        return int(self._client.post(f"{_path(topic, group)}/{act}", body)["count"])


def _path(topic: str, group: str | None = None) -> str:
    path = f"/topics/{quoted(topic)}"
    return path if group is None else f"{path}/groups/{quoted(group)}"


def _text(start: Start | str) -> str:
    return start.isoformat() if isinstance(start, datetime) else str(start)


def _parts(messages: Sequence[NewMessage]) -> list[list[dict[str, Any]]]:
    """Return messages as JSON in parts that fit into one request each."""
    parts: list[list[dict[str, Any]]] = [[]]
    size = 0
    for message in messages:
        more = len(message.payload.encode()) + 200
        if parts[-1] and (size + more > _REQUEST_BYTES or len(parts[-1]) >= 1000):
            parts.append([])
            size = 0
        parts[-1].append(message.model_dump(mode="json", exclude_defaults=True))
        size += more
    return parts
