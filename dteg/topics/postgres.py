"""Topics in the warehouse. The steps that must not be torn apart are functions in schema.sql."""

import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import psycopg
from psycopg import errors as pg_errors
from psycopg.types.json import Jsonb

from dteg.core.errors import ConfigError, ConflictError
from dteg.core.project import Project
from dteg.topics.models import (
    MAX_BATCH,
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
    parse_ack_id,
    topic_name,
)
from dteg.topics.records import (
    SQL,
    as_dead_letter,
    as_delivery,
    as_group,
    as_message,
    as_topic,
    group_id_of,
    json_text,
    no_topic,
    place_of,
    rows,
    run,
    sequence,
    topic_id_of,
)
from dteg.topics.service import LEASE_S, Topics
from dteg.topics.wakes import Wakes
from dteg.topics.warehouse import Warehouse, translated

_PRUNE_ROWS = 5_000
_RETAIN_S = 60.0
_RETAIN_CHANCE = 0.01
_ERROR_CHARACTERS = 2_000


class PostgresTopics(Topics):
    """Topics in the warehouse of a project; for use by several threads.

    Args:
        project: Whose warehouse.
    """

    def __init__(self, project: Project) -> None:
        self._warehouse = Warehouse(project)
        self._wakes = Wakes(project.warehouse_url)
        self._retained: dict[str, float] = {}

    # --- topics --------------------------------------------------------------------------------

    def create(self, name: str, settings: TopicSettings | None = None) -> Topic:
        """Make a topic."""
        name = topic_name(name)
        values = Jsonb((settings or TopicSettings()).model_dump(mode="json"))
        with self._warehouse.connection() as connection:
            try:
                with connection.transaction():
                    made = rows(
                        connection, "INSERT INTO _dteg.topics (name, settings) VALUES (%s, %s) RETURNING id",
                        [name, values],
                    )  # fmt: skip
                    run(connection, "CREATE SEQUENCE _dteg.topic_wakes_" + str(int(made[0][0])), [])
            except pg_errors.UniqueViolation:
                raise ConflictError(f"there is a topic {name} already; see: dteg topic show {name}") from None
        return self.topic(name)

    def change(self, name: str, settings: TopicSettings) -> Topic:
        """Give a topic other settings."""
        with self._warehouse.connection() as connection:
            changed = rows(
                connection, "UPDATE _dteg.topics SET settings = %s WHERE name = %s RETURNING id",
                [Jsonb(settings.model_dump(mode="json")), name],
            )  # fmt: skip
        if not changed:
            raise no_topic(name)
        return self.topic(name)

    def topic(self, name: str) -> Topic:
        """Return one topic."""
        with self._warehouse.connection() as connection:
            sequence(connection, topic_id_of(connection, name))
            found = rows(connection, SQL["topic"], [name])
        if not found:
            raise no_topic(name)
        return as_topic(found[0])

    def topics(self, *, after: str = "", limit: int = 1000) -> list[Topic]:
        """Return topics by name."""
        with self._warehouse.connection() as connection:
            found = rows(connection, SQL["topics"], [after, limit])
        return [as_topic(row) for row in found]

    def delete(self, name: str) -> None:
        """Delete a topic; waits up to 20 s for transactions that publish to it."""
        with self._warehouse.connection() as connection, connection.transaction():
            # First the row, which keeps publishers out, and theirs finish before it is ours.
            locked = rows(connection, "SELECT id FROM _dteg.topics WHERE name = %s FOR UPDATE", [name])
            if not locked:
                raise no_topic(name)
            topic_id = int(locked[0][0])
            run(connection, SQL["delete_deliveries"], [topic_id])
            for table, column in (
                ("topic_inbox", "topic_id"),
                ("topic_messages", "topic_id"),
                ("topics", "id"),
            ):
                run(connection, f"DELETE FROM _dteg.{table} WHERE {column} = %s", [topic_id])  # noqa: S608 - constants
            run(connection, f"DROP SEQUENCE _dteg.topic_wakes_{topic_id}", [])

    # --- publishing and reading ----------------------------------------------------------------

    def publish_many(self, topic: str, messages: Sequence[NewMessage], *, connection: Any = None) -> Receipt:
        """Publish messages, all or none."""
        if len(messages) > MAX_BATCH:
            raise ConfigError(f"{len(messages)} messages at once are too many; publish at most {MAX_BATCH}")
        if connection is not None:
            with translated():
                return _publish(connection, topic, messages)
        with self._warehouse.connection() as own:
            receipt = _publish(own, topic, messages)
            self._retain(own, topic)
        return receipt

    def read(self, topic: str, start: Start, *, limit: int = 100, wait_s: float = 0) -> list[Message]:
        """Return messages from a place on."""
        with self._warehouse.connection() as connection:
            topic_id = topic_id_of(connection, topic)
            sequence(connection, topic_id)
            place = place_of(connection, topic_id, start)

        def look() -> list[Message]:
            with self._warehouse.connection() as connection:
                sequence(connection, topic_id)
                found = rows(connection, SQL["read"], [topic_id, place, limit])
            return [as_message(topic, row) for row in found]

        return self._wakes.look(topic_id, look, wait_s)

    # --- groups --------------------------------------------------------------------------------

    def subscribe(self, topic: str, group: str, start: Start = "earliest") -> Group:
        """Return a group, made if it does not exist."""
        group = group_name(group)
        with self._warehouse.connection() as connection:
            topic_id = topic_id_of(connection, topic)
            known = rows(connection, SQL["groups"], [topic_id, group, group])
            if not known:
                sequence(connection, topic_id)
                place = place_of(connection, topic_id, start)
                run(connection, SQL["insert_group"], [topic_id, group, place])
                known = rows(connection, SQL["groups"], [topic_id, group, group])
        return as_group(topic, known[0])

    def groups(self, topic: str) -> list[Group]:
        """Return the groups of a topic by name."""
        with self._warehouse.connection() as connection:
            topic_id = topic_id_of(connection, topic)
            sequence(connection, topic_id)
            return [as_group(topic, row) for row in rows(connection, SQL["groups"], [topic_id, "", ""])]

    def delete_group(self, topic: str, group: str) -> None:
        """Forget a group with its dead letters."""
        with self._warehouse.connection() as connection, connection.transaction():
            _, group_id = group_id_of(connection, topic, group)
            run(connection, "DELETE FROM _dteg.topic_groups WHERE id = %s", [group_id])
            run(connection, "DELETE FROM _dteg.topic_deliveries WHERE group_id = %s", [group_id])

    def fetch(
        self, topic: str, group: str, *, limit: int = 10, wait_s: float = 0, lease_s: float = LEASE_S
    ) -> list[Delivery]:
        """Take messages for a member of a group."""
        with self._warehouse.connection() as connection:
            topic_id, group_id = group_id_of(connection, topic, group)
            self._retain(connection, topic)

        def look() -> list[Delivery]:
            with self._warehouse.connection() as connection:
                found = rows(
                    connection, "SELECT * FROM _dteg.topic_fetch(%s, %s, %s)", [group_id, limit, lease_s]
                )
            found.sort(key=lambda row: int(row[0]))
            return [as_delivery(topic, group, row) for row in found]

        return self._wakes.look(topic_id, look, wait_s)

    def ack(self, topic: str, group: str, ack_ids: Iterable[str]) -> int:
        """Say that messages are done."""
        query = "SELECT _dteg.topic_ack(%s, %s, %s)"
        return self._leased(topic, group, ack_ids, query, lambda group_id, pairs: [group_id, *pairs])

    def nack(
        self, topic: str, group: str, ack_id: str, error: str, *, retry_in_s: float | None = None
    ) -> Outcome:
        """Say that a message could not be handled."""
        offset, lease = parse_ack_id(ack_id)
        # A text of PostgreSQL holds no NUL.
        text = error.replace("\0", "")[:_ERROR_CHARACTERS]
        with self._warehouse.connection() as connection:
            _, group_id = group_id_of(connection, topic, group)
            found = rows(
                connection, "SELECT _dteg.topic_nack(%s, %s, %s, %s, %s)",
                [group_id, offset, lease, text, retry_in_s],
            )  # fmt: skip
        outcome: Outcome = found[0][0]
        return outcome

    def extend(self, topic: str, group: str, ack_ids: Iterable[str], *, lease_s: float = LEASE_S) -> int:
        """Keep messages for longer."""
        return self._leased(
            topic, group, ack_ids, SQL["extend"], lambda group_id, pairs: [lease_s, *pairs, group_id]
        )

    def release(self, topic: str, group: str, ack_ids: Iterable[str]) -> int:
        """Give messages back untouched."""
        return self._leased(topic, group, ack_ids, SQL["release"], lambda group_id, pairs: [*pairs, group_id])

    def _leased(
        self, topic: str, group: str, ack_ids: Iterable[str], query: str,
        parameters: Callable[[int, list[list[int]]], list[Any]],
    ) -> int:  # fmt: skip
        pairs = [parse_ack_id(ack_id) for ack_id in ack_ids]
        with self._warehouse.connection() as connection:
            _, group_id = group_id_of(connection, topic, group)
            if not pairs:
                return 0
            columns = [[offset for offset, _ in pairs], [lease for _, lease in pairs]]
            return int(rows(connection, query, parameters(group_id, columns))[0][0])

    # --- dead letters, replay, retention -------------------------------------------------------

    def dead_letters(
        self, topic: str, group: str = "", *, after: int = 0, limit: int = 100
    ) -> list[DeadLetter]:
        """Return dead letters by id."""
        with self._warehouse.connection() as connection:
            topic_id = topic_id_of(connection, topic)
            found = rows(connection, SQL["dead_letters"], [topic_id, group, group, after, limit])
        return [as_dead_letter(topic, row) for row in found]

    def replay_dead_letters(self, topic: str, group: str, ids: Sequence[int] | None = None) -> int:
        """Deliver dead letters to their group once more."""
        chosen = None if ids is None else list(ids)
        with self._warehouse.connection() as connection, connection.transaction():
            topic_id, group_id = group_id_of(connection, topic, group)
            found = rows(
                connection, SQL["replay_dead_letters"], [group_id, chosen, chosen, group_id, group_id]
            )
            rows(connection, "SELECT _dteg.topic_wake(%s)", [topic_id])
        return int(found[0][0])

    def replay(self, topic: str, group: str, start: Start) -> Group:
        """Set a group back, or forward."""
        with self._warehouse.connection() as connection:
            with connection.transaction():
                topic_id, group_id = group_id_of(connection, topic, group)
                sequence(connection, topic_id)
                place = place_of(connection, topic_id, start)
                # The group's row first, as in topic_fetch: nobody hands out messages meanwhile.
                for statement, parameters in (
                    ("UPDATE _dteg.topic_groups SET next_offset = %s WHERE id = %s", [place, group_id]),
                    ("DELETE FROM _dteg.topic_deliveries WHERE group_id = %s", [group_id]),
                    ("UPDATE _dteg.topic_dead_letters SET replaying = false WHERE group_id = %s", [group_id]),
                ):
                    run(connection, statement, parameters)
                rows(connection, "SELECT _dteg.topic_wake(%s)", [topic_id])
            return as_group(topic, rows(connection, SQL["groups"], [topic_id, group, group])[0])

    def prune(self, topic: str = "") -> list[Pruned]:
        """Delete what retention no longer keeps, in small steps."""
        with self._warehouse.connection() as connection:
            if topic:
                wanted = [(topic_id_of(connection, topic), topic)]
            else:
                wanted = [
                    (row[0], row[1]) for row in rows(connection, "SELECT id, name FROM _dteg.topics", [])
                ]
            return [pruned for id_, name in wanted if (pruned := _prune(connection, id_, name)).messages]

    def _retain(self, connection: psycopg.Connection[Any], topic: str) -> None:
        """Let retention work now and then: there may be no studio that does it.

        A process that publishes for long does it once a minute; many short ones do it by chance.
        """
        now = time.monotonic()
        known = self._retained.setdefault(topic, 0.0 if random.random() < _RETAIN_CHANCE else now)  # noqa: S311
        if now - known >= _RETAIN_S:
            self._retained[topic] = now
            _prune(connection, topic_id_of(connection, topic), topic)

    def close(self) -> None:
        """Give connections back."""
        self._wakes.close()
        self._warehouse.close()


def _publish(connection: psycopg.Connection[Any], topic: str, messages: Sequence[NewMessage]) -> Receipt:
    found = rows(
        connection, "SELECT _dteg.topic_publish(%s, %s::text[], %s::text[]::jsonb[], %b::bytea[])",
        [
            topic,
            [message.key for message in messages],
            [json_text(message.headers) for message in messages],
            [message.data for message in messages],
        ],
    )  # fmt: skip
    return Receipt(topic=topic, messages=len(messages), bytes=int(found[0][0]))


def _prune(connection: psycopg.Connection[Any], topic_id: int, name: str) -> Pruned:
    messages = size = 0
    sequence(connection, topic_id)
    while True:
        found = rows(
            connection, "SELECT messages, bytes FROM _dteg.topic_prune(%s, %s)", [topic_id, _PRUNE_ROWS]
        )
        messages, size = messages + int(found[0][0]), size + int(found[0][1])
        if found[0][0] < _PRUNE_ROWS:
            return Pruned(topic=name, messages=messages, bytes=size)
