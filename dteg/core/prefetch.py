"""An iterator that works ahead in a thread of its own."""

import queue
import threading
from collections.abc import Generator, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

_LOOK_S = 0.1
# A source that hangs must not keep a failed run from ending; its thread dies with the process.
_JOIN_S = 5.0


class _Worker(Generic[T]):
    """Fills a bounded queue from an iterator until it is empty, fails, or nobody wants more."""

    def __init__(self, items: Iterator[T], depth: int) -> None:
        self._items = items
        self._queue: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(depth)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prefetch", daemon=True)
        self._thread.start()

    def next(self) -> tuple[T] | None:
        """Return the next item in a tuple, or None at the end; raise what the iterator raised."""
        item = self._queue.get()
        if isinstance(item, BaseException):
            raise item
        return item

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        try:
            for item in self._items:
                if not self._put((item,)):
                    break
            self._put(None)
        except BaseException as error:  # noqa: BLE001 - crosses to the thread that reads
            self._put(error)
        finally:
            if isinstance(self._items, Generator):
                self._items.close()  # where it ran: it may hold connections

    def _put(self, item: tuple[T] | BaseException | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=_LOOK_S)
            except queue.Full:
                continue
            return True
        return False


def prefetch(items: Iterator[T], depth: int) -> Generator[T, None, None]:
    """Yield from `items`, which runs in another thread up to `depth` items ahead.

    Closing the result, or leaving it by an error, closes `items` if it is a generator.
    """
    worker = _Worker(items, depth)
    try:
        while (item := worker.next()) is not None:
            yield item[0]
    finally:
        worker.stop()
