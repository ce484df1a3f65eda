"""Topics: messages that wait until everybody who wants them has them.

The port, and the choice of its adapter. What every adapter owes is `dteg.testing.topics_contract`:

- At least once. A message that was published is handed to every group until a member acks it, or until
  `max_attempts` deliveries failed; then it is a dead letter of that group. A member that dies says nothing: its
  lease runs out and the message goes to another member, so a message can come twice.
- Offsets grow in each topic in the order of commits; messages of one publisher keep their order. What fails and is
  tried again, or goes to another member, is handled later than what was published after it.
- Groups do not know each other, and a slow member stops nobody: others of its group take what comes after.
- Retention deletes the oldest messages by age and by size, also those that a group has not read (`Group.missed`).
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from dteg.core.errors import ConfigError, ConflictError, MissingExtraError, NotFoundError
from dteg.core.project import Project
from dteg.topics.models import (
    MAX_BATCH,
    DeadLetter,
    Delivery,
    Group,
    Message,
    NewMessage,
    Outcome,
    Payload,
    Pruned,
    Receipt,
    Start,
    Topic,
    TopicSettings,
)

URL_VARIABLE = "DTEG_TOPICS_URL"
LEASE_S = 30.0


class Topics(ABC):
    """Where messages are published and fetched."""

    @classmethod
    def of(cls, project: Project) -> "Topics":
        """Return the topics of a project: in its warehouse, or on the NATS server that `DTEG_TOPICS_URL` names.

        Raises:
            ConfigError: `DTEG_TOPICS_URL` is neither empty nor a NATS URL.
            MissingExtraError: The NATS client is not installed.
        """
        url = os.environ.get(URL_VARIABLE, "")
        if not url:
            from dteg.topics.postgres import PostgresTopics

            return PostgresTopics(project)
        if not url.startswith(("nats://", "tls://")):
            raise ConfigError(f"{URL_VARIABLE} must begin with nats:// or tls://, or be empty for PostgreSQL")
        if find_spec("nats") is None:
            raise MissingExtraError("nats", "topics on a NATS server")
        from dteg.topics.nats import NatsTopics

        return NatsTopics(url, project)

    # --- topics --------------------------------------------------------------------------------

    @abstractmethod
    def create(self, name: str, settings: TopicSettings | None = None) -> Topic:
        """Make a topic.

        Raises:
            ConfigError: The name cannot be one.
            ConflictError: It exists.
        """

    def ensure(self, name: str, settings: TopicSettings | None = None) -> Topic:
        """Return a topic, made if it does not exist; one that exists keeps its settings."""
        try:
            return self.topic(name)
        except NotFoundError:
            try:
                return self.create(name, settings)
            except ConflictError:  # somebody else was faster
                return self.topic(name)

    @abstractmethod
    def change(self, name: str, settings: TopicSettings) -> Topic:
        """Give a topic other settings.

        Raises:
            NotFoundError: There is no such topic.
        """

    @abstractmethod
    def topic(self, name: str) -> Topic:
        """Return one topic.

        Raises:
            NotFoundError: There is no such topic.
        """

    @abstractmethod
    def topics(self, *, after: str = "", limit: int = 1000) -> list[Topic]:
        """Return topics by name, those behind `after`."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete a topic with its messages, groups and dead letters.

        Raises:
            NotFoundError: There is no such topic.
        """

    # --- publishing and reading ----------------------------------------------------------------

    def publish(
        self,
        topic: str,
        payload: Payload,
        *,
        key: str = "",
        headers: Mapping[str, str] | None = None,
        connection: Any = None,
    ) -> Receipt:
        """Publish one message; see `publish_many`.

        Args:
            topic: An existing topic.
            payload: Bytes, text, or a value that is written as JSON.
            key: What the message is about.
            headers: Names and values beside the payload.
            connection: A psycopg connection to the warehouse whose transaction this joins: the message is
                published when that commits, and never if it does not.
        """
        return self.publish_many(
            topic, [NewMessage.make(payload, key=key, headers=headers)], connection=connection
        )

    @abstractmethod
    def publish_many(self, topic: str, messages: Sequence[NewMessage], *, connection: Any = None) -> Receipt:
        """Publish messages in their order; all or none of them where the adapter can (PostgreSQL, memory).

        When it returns, and there is no `connection`, the messages are stored safely.

        Raises:
            NotFoundError: There is no such topic.
            ConfigError: Too many at once (`MAX_BATCH`), or one is larger than the topic allows.
            NotAvailableError: `connection` was given and the adapter cannot join it.
        """

    def head(self, topic: str) -> int:
        """Return the offset that the next message gets.

        Raises:
            NotFoundError: There is no such topic.
        """
        return self.topic(topic).next_offset

    @abstractmethod
    def read(self, topic: str, start: Start, *, limit: int = 100, wait_s: float = 0) -> list[Message]:
        """Return messages from a place on, without a group: nothing is remembered, nothing has to be acked.

        Args:
            topic: An existing topic.
            start: `earliest`, `latest` (what comes after this call), an offset, or a time. A place before the
                oldest message is the oldest message.
            limit: At most so many.
            wait_s: Wait so long for the first one if there is none.

        Raises:
            NotFoundError: There is no such topic.
        """

    # --- groups --------------------------------------------------------------------------------

    @abstractmethod
    def subscribe(self, topic: str, group: str, start: Start = "earliest") -> Group:
        """Return a group, made at `start` if it does not exist; one that exists stays where it is.

        Raises:
            NotFoundError: There is no such topic.
            ConfigError: The name cannot be one.
        """

    @abstractmethod
    def groups(self, topic: str) -> list[Group]:
        """Return the groups of a topic by name.

        Raises:
            NotFoundError: There is no such topic.
        """

    @abstractmethod
    def delete_group(self, topic: str, group: str) -> None:
        """Forget a group with its dead letters.

        Raises:
            NotFoundError: There is no such topic or group.
        """

    @abstractmethod
    def fetch(
        self, topic: str, group: str, *, limit: int = 10, wait_s: float = 0, lease_s: float = LEASE_S
    ) -> list[Delivery]:
        """Take messages for a member of a group; nobody else of the group gets them until the lease runs out.

        Args:
            topic: An existing topic.
            group: A group that `subscribe` made.
            limit: At most so many.
            wait_s: Wait so long for the first one if there is none.
            lease_s: Time to ack, nack or extend.

        Raises:
            NotFoundError: There is no such topic or group.
        """

    @abstractmethod
    def ack(self, topic: str, group: str, ack_ids: Iterable[str]) -> int:
        """Say that messages are done; return how many of them were still leased under these names.

        The others come again, or came already: their lease had run out.
        """

    @abstractmethod
    def nack(
        self, topic: str, group: str, ack_id: str, error: str, *, retry_in_s: float | None = None
    ) -> Outcome:
        """Say that a message could not be handled.

        Args:
            topic: An existing topic.
            group: Its group.
            ack_id: Which delivery.
            error: Why, for the dead letter.
            retry_in_s: When to deliver it again; default: as the topic's settings say.

        Returns:
            `retry`, `dead` if that was the last attempt, `stale` if the lease had run out before.
        """

    @abstractmethod
    def extend(self, topic: str, group: str, ack_ids: Iterable[str], *, lease_s: float = LEASE_S) -> int:
        """Keep messages for `lease_s` from now; return how many were still leased."""

    @abstractmethod
    def release(self, topic: str, group: str, ack_ids: Iterable[str]) -> int:
        """Give messages back untouched: they are delivered again at once, and this attempt does not count."""

    # --- dead letters, replay, retention -------------------------------------------------------

    @abstractmethod
    def dead_letters(
        self, topic: str, group: str = "", *, after: int = 0, limit: int = 100
    ) -> list[DeadLetter]:
        """Return dead letters by id, those behind `after`; of all groups if `group` is empty.

        Raises:
            NotFoundError: There is no such topic.
        """

    @abstractmethod
    def replay_dead_letters(self, topic: str, group: str, ids: Sequence[int] | None = None) -> int:
        """Deliver dead letters to their group once more, with all attempts anew; return how many.

        Args:
            topic: An existing topic.
            group: Whose dead letters.
            ids: Which; default: all.

        Raises:
            NotFoundError: There is no such topic or group.
        """

    @abstractmethod
    def replay(self, topic: str, group: str, start: Start) -> Group:
        """Set a group back, or forward: what comes next is the message at `start`.

        What members work on now is forgotten: their acks come to nothing. Dead letters stay.

        Raises:
            NotFoundError: There is no such topic or group.
        """

    @abstractmethod
    def prune(self, topic: str = "") -> list[Pruned]:
        """Delete what retention no longer keeps, in all topics or in one; return what was deleted.

        Raises:
            NotFoundError: There is no such topic.
        """

    def close(self) -> None:  # noqa: B027 - adapters without connections have nothing to give back
        """Give connections back; the topics can be used again all the same."""


def check_batch(messages: Sequence[NewMessage], settings: TopicSettings) -> list[bytes]:
    """Return the payloads of messages.

    Raises:
        ConfigError: There are too many, or one is larger than the topic allows.
    """
    if len(messages) > MAX_BATCH:
        raise ConfigError(f"{len(messages)} messages at once are too many; publish at most {MAX_BATCH}")
    payloads = [message.data for message in messages]
    for number, data in enumerate(payloads, start=1):
        if len(data) > settings.max_payload_bytes:
            raise ConfigError(too_large(number, len(data), settings.max_payload_bytes))
    return payloads


def too_large(number: int, size: int, limit: int) -> str:
    """Say that the payload of message `number` (from 1) is larger than its topic allows."""
    return (
        f"message {number} has {size:,} bytes, the topic takes {limit:,}; publish the address of the data instead,"
        " or let the topic take more: dteg topic change TOPIC --max-payload-kb N"
    )
