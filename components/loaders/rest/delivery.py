"""Sends batches under idempotency keys, and halves a refused batch until the bad records are alone."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

import orjson

from dteg.connectors import DeadLetter
from dteg.connectors.http import HttpClient

COMPONENT = "rest"


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the batches of one stream are sent.

    Attributes:
        client: The client.
        stream: Name of the stream, for messages.
        url: Where to.
        method: POST or PUT.
        wrap: Key of the wrapper object; empty to send a bare array.
        key_header: Header of the idempotency key.
        bad_record_statuses: Answers that mean that a record in the batch is bad.
    """

    client: HttpClient
    stream: str
    url: str
    method: str
    wrap: str
    key_header: str
    bad_record_statuses: frozenset[int]

    def body(self, rows: list[bytes]) -> bytes:
        """Return the records as the server wants them."""
        array = b"[" + b",".join(rows) + b"]"
        return b"{" + orjson.dumps(self.wrap) + b":" + array + b"}" if self.wrap else array


@dataclass(frozen=True, slots=True)
class BatchSender:
    """Sends one batch.

    Attributes:
        delivery: How.
        load_id: Identity of the load.
        number: 0-based place of the batch in the load.
        may_repeat: Whether an earlier run may have sent it, so that 409 means that it is there already.
        on_letter: Told of each record that the server refuses.
    """

    delivery: Delivery
    load_id: str
    number: int
    may_repeat: bool
    on_letter: Callable[[DeadLetter], None]

    def send(self, rows: list[bytes], start: int = 0) -> int:
        """Send the records of the batch from number `start` on; return how many the server took.

        Raises:
            TransientError: The server could not be reached.
            PermanentError: It refused for a reason other than the records.
        """
        delivery = self.delivery
        response = delivery.client.request(
            delivery.method,
            delivery.url,
            content=delivery.body(rows),
            headers={delivery.key_header: self.key(rows, start)},
            accept={409, *delivery.bad_record_statuses},
            stream=delivery.stream,
        )
        if response.status == 409 and not self.may_repeat and response.attempts == 1:
            # Nobody has sent this key before, so it is the records that are in conflict.
            raise response.failure(component=COMPONENT, stream=delivery.stream)
        if response.status not in delivery.bad_record_statuses:
            return len(rows)
        if len(rows) == 1:
            reason = f"the server answered {response.status}: {response.snippet()}"
            position = f"{delivery.stream} batch {self.number + 1} (record {start + 1})"
            self.on_letter(DeadLetter(reason, position, orjson.loads(rows[0])))
            return 0
        middle = len(rows) // 2
        return self.send(rows[:middle], start) + self.send(rows[middle:], start + middle)

    def key(self, rows: list[bytes], start: int) -> str:
        """Return the same key for the same part of the same load.

        The digest is in it so that a server never takes changed records for a repeat.
        """
        digest = hashlib.sha256(b"\n".join(rows)).hexdigest()[:32]
        return f"{quote(self.load_id, safe='')}-{self.number}-{start}-{digest}"
