"""Sending what waits: each channel in a thread of its own, so that one that hangs or refuses stops no other."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Any

import psycopg
from psycopg.rows import dict_row

from dteg.alerts.channels import Channel, Message
from dteg.alerts.matters import SQL
from dteg.alerts.models import Sent, Severity
from dteg.alerts.pictures import WAIT_S, Pictures
from dteg.core.errors import DtegError, TransientError

MAX_ATTEMPTS = 8
# How long one message may take, and how long a round begins new ones.
MESSAGE_S = 20.0
ROUND_S = 30.0
_FIRST_WAIT = timedelta(seconds=15)
_LONGEST_WAIT = timedelta(hours=1)
_PART = 50

Row = Mapping[str, Any]


@dataclass
class _Sender:
    """One channel's messages, and how far its thread has come."""

    name: str
    rows: Sequence[Row]
    done: int = 0
    since: float = field(default_factory=time.monotonic)
    over: bool = False


# Which channel, why it failed, and whether it sends no more in this round.
_Result = tuple[_Sender, DtegError | None, bool]
_Results = SimpleQueue[_Result]


def deliver(
    connection: psycopg.Connection[Any],
    channel_of: Callable[[str], Channel],
    now: Callable[[], datetime],
    *,
    message_s: float = MESSAGE_S,
    round_s: float = ROUND_S,
    stop: threading.Event,
    pictures: Pictures | None = None,
) -> Sent:
    """Send what is due, and write down what became of each message as soon as that is known.

    A message whose arrival could not be written down is sent again with the same id: at least once, never zero times.

    Args:
        connection: A connection to the warehouse in autocommit mode; nobody else may deliver meanwhile.
        channel_of: Returns the channel of a name.
        now: The time.
        message_s: Seconds that one message may take; then it has failed.
        round_s: Seconds within which sending begins; what is left waits for the next round.
        stop: Ends the round when it is set; what is on its way then is sent again.
        pictures: Charts that go along.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(SQL["due"], {"now": now(), "limit": _PART}).fetchall()
    waiting: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        waiting[row["channel"]].append(row)
    senders = [_Sender(name, messages) for name, messages in waiting.items()]
    results: _Results = SimpleQueue()
    closing = threading.Event()
    message_of = _Messages(pictures, min(WAIT_S, message_s / 2))
    for sender in senders:
        # Daemons, and no pool, which the end of the program would wait for.
        threading.Thread(
            target=_send_all, args=(channel_of, message_of, sender, results, closing), name=f"alerts {sender.name}", daemon=True
        ).start()  # fmt: skip
    sent = Sent()
    end = time.monotonic() + round_s
    try:
        while not stop.is_set() and any(not sender.over for sender in senders):
            if time.monotonic() > end:
                closing.set()
            for sender, error, last in (*_next(results), *_hanging(senders, message_s)):
                if sender.over:  # it answers after it was given up; the message is sent again
                    continue
                sent = _write(connection, sender.rows[sender.done], error, now(), sent)
                sender.done, sender.since, sender.over = sender.done + 1, time.monotonic(), last
    finally:
        closing.set()
    return sent


def _next(results: _Results) -> list[_Result]:
    try:
        return [results.get(timeout=0.05)]
    except Empty:
        return []


def _hanging(senders: Sequence[_Sender], message_s: float) -> list[_Result]:
    now = time.monotonic()
    error = TransientError(f"no answer within {message_s:g} s", component="alerts")
    return [(each, error, True) for each in senders if not each.over and now - each.since > message_s]


def _send_all(
    channel_of: Callable[[str], Channel],
    message_of: "_Messages",
    sender: _Sender,
    results: _Results,
    closing: threading.Event,
) -> None:
    """Send the messages of one channel in order; when one fails, the rest waits for the next round."""
    for row in sender.rows:
        error: DtegError | None = None
        try:
            channel_of(sender.name).send(message_of(row))
        except DtegError as known:
            error = known
        except Exception as unknown:  # noqa: BLE001 - a plug-in of the sender must not end the deliveries
            # Only its name: its text may hold the address.
            error = DtegError(f"{type(unknown).__name__} in the channel")
        last = error is not None or closing.is_set() or sender.over or row is sender.rows[-1]
        results.put((sender, error, last))
        if last:
            return


@dataclass(frozen=True, slots=True)
class _Messages:
    """Makes messages of rows.

    Attributes:
        pictures: Charts that go along.
        wait_s: How long a message waits for its chart.
    """

    pictures: Pictures | None
    wait_s: float

    def __call__(self, row: Row) -> Message:
        """Return the message of a row."""
        picture, note = self.pictures.of(row["rule"], self.wait_s) if self.pictures else (None, "")
        body = f"{row['body']}\n{note}" if note else row["body"]
        severity = Severity(row["severity"])
        return Message(row["title"], body, severity, row["occurrence"], f"dteg-alert-{row['id']}", picture)


def _write(
    connection: psycopg.Connection[Any], row: Row, error: DtegError | None, now: datetime, sent: Sent
) -> Sent:
    if error is None:
        connection.execute(SQL["delivered"], {"id": row["id"], "now": now})
        return sent.model_copy(update={"delivered": sent.delivered + 1})
    attempts = row["attempts"] + 1
    hopeless = attempts >= MAX_ATTEMPTS
    values = {
        "id": row["id"],
        "error": str(error)[:1000],
        "not_before": now + min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (attempts - 1)),
        "given_up_at": now if hopeless else None,
    }
    connection.execute(SQL["failed"], values)
    connection.execute(SQL["postpone"], {"channel": row["channel"], "not_before": now + _FIRST_WAIT})
    if hopeless:
        return sent.model_copy(update={"given_up": sent.given_up + 1})
    return sent.model_copy(update={"failed": sent.failed + 1})
