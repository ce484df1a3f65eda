"""A member of a group: takes messages, has each handled, and says what became of it."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from dteg.core.errors import DtegError, TransientError, UnavailableError
from dteg.core.secrets import redact
from dteg.topics.models import Delivery
from dteg.topics.service import LEASE_S, Topics

_LOG = logging.getLogger(__name__)
_WAIT_S = 1.0
# Acks are sent together, but no later than this: what is acked late comes twice after a crash.
_ACK_WITHIN_S = 0.1
_LONGEST_PAUSE_S = 30.0

Handle = Callable[[Delivery], None]


@dataclass
class Handled:
    """What became of messages.

    Attributes:
        done: Acked.
        failed: Attempts that failed.
        dead: Messages that became dead letters.
    """

    done: int = 0
    failed: int = 0
    dead: int = 0


class Subscriber:
    """One member of a group. Everything that is not acked when it dies goes to another member.

    Args:
        topics: Where.
        topic: An existing topic.
        group: A group that `subscribe` made.
        handle: Handles one message; any exception means that it failed and is tried again later.
        batch: Messages taken at once; they are handled one after the other.
        lease_s: Time after which others get the messages of a member that died. A member that lives keeps them.
        told: Called with each failed delivery, its error and the outcome.
    """

    def __init__(
        self, topics: Topics, topic: str, group: str, handle: Handle, *, batch: int = 100, lease_s: float = LEASE_S,
        told: Callable[[Delivery, str, str], None] = lambda delivery, error, outcome: None,
    ) -> None:  # fmt: skip
        self._topics, self._topic, self._group = topics, topic, group
        self._handle, self._batch, self._lease_s, self._told = handle, batch, lease_s, told
        self._held: list[str] = []
        self._done: list[str] = []
        self._acked_at = time.monotonic()
        self._lock = threading.Lock()

    def run(self, stop: threading.Event, *, limit: int = 0, idle_s: float = 0) -> Handled:
        """Handle messages until `stop` is set; what is taken and not begun then is given back.

        Args:
            stop: Set it to end after the message that is being handled.
            limit: End after so many were acked or became dead letters; 0 never.
            idle_s: End when nothing came for so long; 0 never.
        """
        handled, heard, pause_s = Handled(), time.monotonic(), 0.0
        over = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(over,), name="leases", daemon=True)
        keeper.start()
        try:
            while not stop.wait(pause_s) and not (limit and handled.done + handled.dead >= limit):
                wanted = min(self._batch, limit - handled.done - handled.dead) if limit else self._batch
                found = False
                try:
                    found = self._next(wanted, min(_WAIT_S, idle_s or _WAIT_S), stop, handled)
                    pause_s = 0.0
                except (TransientError, UnavailableError) as error:
                    # The server restarts, perhaps. What was handled and not acked comes once more.
                    pause_s = min(max(1.0, pause_s * 2), _LONGEST_PAUSE_S)
                    _LOG.warning("%s; again in %g s", error, pause_s)
                    continue
                if found:
                    heard = time.monotonic()
                elif idle_s and time.monotonic() - heard >= idle_s:
                    break
        finally:
            over.set()
            keeper.join()
        return handled

    def _next(self, wanted: int, wait_s: float, stop: threading.Event, handled: Handled) -> bool:
        batch = self._topics.fetch(
            self._topic, self._group, limit=wanted, wait_s=wait_s, lease_s=self._lease_s
        )
        if batch:
            self._all(batch, stop, handled)
        return bool(batch)

    def _all(self, batch: list[Delivery], stop: threading.Event, handled: Handled) -> None:
        with self._lock:
            self._held = [delivery.ack_id for delivery in batch]
        try:
            for delivery in batch:
                if stop.is_set():
                    break
                self._one(delivery, handled)
        finally:
            # Also on Ctrl-C in the middle of a message: then that one was not handled, and not failed either.
            self._send_acks()
            with self._lock:
                left, self._held = self._held, []
            if left:
                self._topics.release(self._topic, self._group, left)

    def _one(self, delivery: Delivery, handled: Handled) -> None:
        error = ""
        try:
            self._handle(delivery)
        except DtegError as failed:
            error = str(failed)
        except Exception as failed:  # noqa: BLE001 - whatever a handler raises, its message failed and others wait
            error = redact(f"{type(failed).__name__}: {failed}")
        with self._lock:
            self._held.remove(delivery.ack_id)
        if not error:
            handled.done += 1
            self._done.append(delivery.ack_id)
            if time.monotonic() - self._acked_at > _ACK_WITHIN_S:
                self._send_acks()
            return
        outcome = self._topics.nack(self._topic, self._group, delivery.ack_id, error)
        handled.failed += 1
        handled.dead += outcome == "dead"
        self._told(delivery, error, outcome)

    def _send_acks(self) -> None:
        done, self._done = self._done, []
        if done:
            self._topics.ack(self._topic, self._group, done)
        self._acked_at = time.monotonic()

    def _keep(self, over: threading.Event) -> None:
        """Extend the leases of what this member holds, so that a slow handler is not taken for a dead one."""
        while not over.wait(self._lease_s / 3):
            with self._lock:
                held = [*self._held, *self._done]
            try:
                if held:
                    self._topics.extend(self._topic, self._group, held, lease_s=self._lease_s)
            except DtegError as error:
                _LOG.warning("leases were not extended: %s", error)
