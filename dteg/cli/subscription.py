"""The live client behind `dteg subscribe`."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from dteg.core.errors import TransientError, UnavailableError
from dteg.topics.command import Command
from dteg.topics.models import Delivery, Message, Start
from dteg.topics.service import Topics
from dteg.topics.subscriber import Handled, Subscriber

_WAIT_S = 1.0
_PAUSE_S = 2.0


class Subscription:
    """One run of `dteg subscribe`. It ends after the message in hand on Ctrl-C, at once on a second one.

    Args:
        topics: Where.
        topic: What is subscribed to.
        limit: End after so many messages; 0 never.
        idle_s: End when nothing came for so long; 0 never.
        as_json: Print messages whole, a JSON document in each line.
    """

    def __init__(self, topics: Topics, topic: str, *, limit: int, idle_s: float, as_json: bool) -> None:
        self._topics, self._topic = topics, topic
        self._limit, self._idle_s, self._as_json = limit, idle_s, as_json

    def follow(self, place: Start) -> int:
        """Print messages from a place on, without a group."""
        count, heard = 0, time.monotonic()
        with _interruptible() as stop:
            if place == "latest":
                place = self._topics.head(self._topic)
            while not stop.is_set() and not (self._limit and count >= self._limit):
                wanted = min(1000, self._limit - count) if self._limit else 1000
                wait_s = min(_WAIT_S, self._idle_s or _WAIT_S)
                try:
                    found = self._topics.read(self._topic, place, limit=wanted, wait_s=wait_s)
                except (TransientError, UnavailableError) as error:
                    print(f"{error}; again in {_PAUSE_S:g} s", file=sys.stderr)
                    stop.wait(_PAUSE_S)
                    continue
                for message in found:
                    self._print(message)
                sys.stdout.flush()
                if found:
                    place, count, heard = found[-1].offset + 1, count + len(found), time.monotonic()
                elif self._idle_s and time.monotonic() - heard >= self._idle_s:
                    break
        return 0

    def share(self, group: str, place: Start, lease_s: float) -> int:
        """Print the messages that this member of a group gets."""

        def handle(delivery: Delivery) -> None:
            self._print(delivery)
            sys.stdout.flush()  # before the ack

        self._subscribe(group, place, handle, 100, lease_s)
        return 0

    def execute(
        self, group: str, place: Start, command: Sequence[str], timeout_s: float, lease_s: float
    ) -> int:
        """Run a command for each message that this member of a group gets; 1 if there was a dead letter."""
        # Few at once: other members can have what this one has not begun.
        handled = self._subscribe(group, place, Command(command, timeout_s), 5, lease_s)
        said = f"{handled.done:,} done, {handled.failed:,} failed attempts, {handled.dead:,} dead letter{'' if handled.dead == 1 else 's'}"
        print(f"{self._topic}: {said}", file=sys.stderr)
        return 1 if handled.dead else 0

    def _subscribe(
        self, group: str, place: Start, handle: Callable[[Delivery], None], batch: int, lease_s: float
    ) -> Handled:
        self._topics.subscribe(self._topic, group, place)
        subscriber = Subscriber(
            self._topics, self._topic, group, handle, batch=batch, lease_s=lease_s, told=_tell
        )
        with _interruptible() as stop:
            return subscriber.run(stop, limit=self._limit, idle_s=self._idle_s)

    def _print(self, message: Message) -> None:
        out = sys.stdout.buffer
        if self._as_json:
            out.write(message.model_dump_json().encode() + b"\n")
        else:
            out.write((message.payload.encode() if message.encoding == "text" else message.data) + b"\n")


def _tell(delivery: Delivery, error: str, outcome: str) -> None:
    last = "it is a dead letter now" if outcome == "dead" else "it is tried again"
    print(f"offset {delivery.offset}, attempt {delivery.attempt}: {error}; {last}", file=sys.stderr)


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C or a termination sets; the second one interrupts."""
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        print("ending after the message in hand; once more ends at once", file=sys.stderr)

    before = {each: signal.signal(each, end) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
