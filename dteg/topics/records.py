"""Rows of the topics' tables, and the models they become."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import TupleRow, tuple_row

from dteg.core.errors import NotFoundError
from dteg.core.queries import load_queries
from dteg.topics.models import DeadLetter, Delivery, Group, Message, Start, Topic, TopicSettings, encoded

SQL = load_queries(Path(__file__).parent / "queries.sql")


def rows(connection: psycopg.Connection[Any], query: str, parameters: list[Any]) -> list[TupleRow]:
    """Run a constant query of ours and return its rows as tuples, whatever the connection makes of rows."""
    with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        return cursor.execute(query.encode(), parameters).fetchall()


def run(connection: psycopg.Connection[Any], statement: str, parameters: list[Any]) -> None:
    """Run a constant statement of ours that returns nothing."""
    connection.execute(statement.encode(), parameters)


def sequence(connection: psycopg.Connection[Any], topic_id: int) -> None:
    """Give offsets to all that was committed to a topic before."""
    rows(connection, "SELECT _dteg.topic_sequence(%s, NULL)", [topic_id])


def topic_id_of(connection: psycopg.Connection[Any], name: str) -> int:
    """Return the number of a topic.

    Raises:
        NotFoundError: There is no such topic.
    """
    found = rows(connection, "SELECT id FROM _dteg.topics WHERE name = %s", [name])
    if not found:
        raise no_topic(name)
    return int(found[0][0])


def group_id_of(connection: psycopg.Connection[Any], topic: str, group: str) -> tuple[int, int]:
    """Return the numbers of a topic and of one of its groups.

    Raises:
        NotFoundError: There is no such topic or group.
    """
    found = rows(connection, SQL["find_group"], [topic, group])
    if not found:
        topic_id_of(connection, topic)
        raise no_group(topic, group)
    return int(found[0][0]), int(found[0][1])


def place_of(connection: psycopg.Connection[Any], topic_id: int, start: Start) -> int:
    """Return the offset that a start means now."""
    found = rows(connection, "SELECT first_offset, next_offset FROM _dteg.topics WHERE id = %s", [topic_id])
    if not found:
        raise NotFoundError("the topic was deleted meanwhile")
    first, following = int(found[0][0]), int(found[0][1])
    if start == "latest":
        return following
    if isinstance(start, datetime):
        later = rows(connection, SQL["place_of_time"], [topic_id, start])[0][0]
        return following if later is None else int(later)
    return first if start == "earliest" else max(first, min(int(start), 2**62))


def as_topic(row: TupleRow) -> Topic:
    """Return a row of the query `topic`."""
    _, name, settings, created_at, first, following, size, groups, dead_letters = row
    return Topic(
        name=name,
        settings=TopicSettings(**settings),
        created_at=created_at,
        first_offset=first,
        next_offset=following,
        messages=following - first,
        bytes=size,
        groups=groups,
        dead_letters=dead_letters,
    )


def as_group(topic: str, row: TupleRow) -> Group:
    """Return a row of the query `groups`."""
    name, following, lag, in_flight, retrying, dead_letters, missed, created_at, last_seen_at = row
    return Group(
        topic=topic,
        name=name,
        next_offset=following,
        lag=lag,
        in_flight=in_flight,
        retrying=retrying,
        dead_letters=dead_letters,
        missed=missed,
        created_at=created_at,
        last_seen_at=last_seen_at,
    )


# What comes from our own tables was checked when it came in; checking it again would cost most of the time of a fetch.


def as_message(topic: str, row: TupleRow) -> Message:
    """Return a row of the query `read`."""
    return Message.model_construct(**_message(topic, row))


def as_delivery(topic: str, group: str, row: TupleRow) -> Delivery:
    """Return a row of the function `topic_fetch`."""
    attempt, lease, lease_until = row[5:]
    return Delivery.model_construct(
        **_message(topic, row),
        group=group,
        attempt=attempt,
        ack_id=f"{row[0]}.{lease}",
        lease_until=lease_until,
    )


def as_dead_letter(topic: str, row: TupleRow) -> DeadLetter:
    """Return a row of the query `dead_letters`."""
    id_, group, attempts, error, died_at, replaying = row[5:]
    return DeadLetter.model_construct(
        **_message(topic, row),
        id=id_,
        group=group,
        attempts=attempts,
        error=error,
        died_at=died_at,
        replaying=replaying,
    )


def _message(topic: str, row: TupleRow) -> dict[str, Any]:
    payload, encoding = encoded(bytes(row[3]))
    return {
        "topic": topic,
        "offset": row[0],
        "key": row[1],
        "headers": row[2],
        "payload": payload,
        "encoding": encoding,
        "published_at": row[4],
    }


def json_text(headers: Mapping[str, str]) -> str:
    """Return headers as JSON."""
    return json.dumps(headers) if headers else "{}"


def no_topic(name: str) -> NotFoundError:
    """Return the error for a topic that does not exist."""
    return NotFoundError(f"there is no topic {name[:100]!r}; dteg topic list shows what there is")


def no_group(topic: str, group: str) -> NotFoundError:
    """Return the error for a group that does not exist."""
    return NotFoundError(
        f"topic {topic} has no group {group[:100]!r}; dteg topic show {topic} shows what there is"
    )
