"""What readers notice of a refresh, and of a source that is stopped or frozen; and how soon a refresh gives up."""

import contextlib
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg

from benchmarks.datasets.worlds import DEADLINE_S, FROM_SLOW, JOINED, MOST_S, World, failure_of
from benchmarks.registry.cases import Case
from benchmarks.registry.wire import percentile
from dteg.core.errors import DtegError
from dteg.testing.freezing import frozen

SWAPS = 20


@dataclass
class Reader:
    """Reads one row again and again, as a chart would, and notes how long each time took.

    Attributes:
        hub: URL of the hub.
        rows: Rows of the dataset.
        times: (when it began, ms).
        errors: What went wrong.
    """

    hub: str
    rows: int
    times: list[tuple[float, float]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def reading(self) -> Iterator["Reader"]:
        """Read during the block."""
        stop = threading.Event()
        thread = threading.Thread(target=self._run, args=(stop,))
        thread.start()
        try:
            yield self
        finally:
            stop.set()
            thread.join()

    def between(self, began: float, ended: float) -> list[float]:
        """Return the times (ms) of what was read within a span."""
        return [ms for at, ms in self.times if began <= at <= ended]

    def _run(self, stop: threading.Event) -> None:
        with psycopg.connect(self.hub, autocommit=True) as connection:
            number = 0
            while not stop.wait(0.003):
                number = number * 7919 % self.rows + 1
                began = time.perf_counter()
                try:
                    connection.execute("SELECT * FROM ds.joined WHERE order_id = %s", [number]).fetchall()
                except psycopg.Error as error:
                    self.errors.append(str(error))
                self.times.append((began, (time.perf_counter() - began) * 1000))


def readers(world: World, remote: Any) -> Case:
    """Read while nothing happens, a refresh runs, copies are swapped, and the source is stopped and frozen."""
    world.save(JOINED)
    world.datasets.refresh("joined")
    world.datasets.refresh("joined")
    reader = Reader(world.hub, world.rows)
    spans: dict[str, tuple[float, float]] = {}
    with reader.reading():
        spans["idle"] = _span(lambda: time.sleep(3))
        spans["refresh"] = _span(lambda: _in_a_child(world, "joined"))
        swaps = [_span(lambda: world.datasets.rollback("joined")) for _ in _pauses(SWAPS)]
        with remote.stopped():
            spans["stopped"] = _span(lambda: _until_it_fails(world))
        world.heal()
        with frozen(remote.url):
            spans["frozen"] = _span(lambda: _until_it_fails(world))
    spans["swap"] = (swaps[0][0], swaps[-1][1])
    read = {name: reader.between(*span) for name, span in spans.items()}
    # A read that began just before a swap waits for it.
    waits = [max(reader.between(began - 0.01, ended), default=0.0) for began, ended in swaps]
    p95 = {name: percentile(times, 95) for name, times in read.items()}
    figures: dict[str, Any] = {
        f"{name}_added_ms": round(max(0.0, p95[name] - p95["idle"]), 2) for name in read if name != "idle"
    }
    figures |= {f"{name}_longest_ms": round(max(times, default=0.0), 1) for name, times in read.items()}
    figures["swap_typical_ms"] = round(statistics.median(waits), 1)
    figures |= {"idle_p95_ms": round(p95["idle"], 2), "errors": len(reader.errors)}
    counts = ", ".join(f"{len(times)} reads {name}" for name, times in read.items())
    notes = [f"one row by its key through the view; {counts}; {SWAPS} swaps"]
    return Case(figures, notes + sorted(set(reader.errors))[:3])


def _span(work: Callable[[], Any]) -> tuple[float, float]:
    began = time.perf_counter()
    work()
    return began, time.perf_counter()


def _in_a_child(world: World, slug: str) -> None:
    """Refresh as the studio does: in a process of its own."""
    run = world.datasets.start(slug)
    deadline = time.monotonic() + MOST_S
    while time.monotonic() < deadline:
        generation = world.datasets.run(run)
        if generation is not None and generation.status == "live":
            return
        if generation is not None and generation.status == "failed":
            raise SystemExit(f"the refresh failed: {generation.error}")
        time.sleep(0.05)
    raise SystemExit("the refresh does not end")


def _pauses(count: int) -> Iterator[int]:
    for number in range(count):
        yield number
        time.sleep(0.05)


def _until_it_fails(world: World) -> None:
    failure_of(world, "joined")
    time.sleep(1)  # what is read just after it belongs to it


def frozen_within(world: World, server: str) -> Case:
    """Freeze the source in the middle of a refresh, and see when that ends and what it leaves.

    Args:
        world: The hub, with the source linked.
        server: URL of the source's server.
    """
    slug = world.save(FROM_SLOW)
    world.heal()
    early, message = _frozen_before(world, slug, server)
    world.heal()
    told: list[tuple[float, str]] = []
    began = time.perf_counter()
    thread = threading.Thread(target=lambda: told.append(_failing(world, slug, began)))
    thread.start()
    _wait_until_it_reads(world)
    with frozen(server):
        thread.join(MOST_S)
        if thread.is_alive():
            return Case({"over_deadline_s": MOST_S, "backends_left": world.sessions()}, ["it does not end"])
        left = _sessions_after(world)
    seconds, late = told[0]
    world.heal()
    if seconds < 1:
        raise SystemExit(f"the refresh ended before the source froze: {late}")
    return Case(
        {
            "seconds": round(seconds, 2), "over_deadline_s": round(max(0.0, seconds - DEADLINE_S), 2),
            "backends_left": left, "frozen_before_s": round(early, 2),
            "status": world.datasets.generations(slug, 1)[0].status,
        },
        [f"deadline {DEADLINE_S:g} s; frozen before: {_short(message)}; frozen within: {_short(late)}"],
    )  # fmt: skip


def _frozen_before(world: World, slug: str, server: str) -> tuple[float, str]:
    with frozen(server):
        return failure_of(world, slug)


def _failing(world: World, slug: str, began: float) -> tuple[float, str]:
    try:
        world.datasets.refresh(slug)
    except DtegError as error:
        return time.perf_counter() - began, str(error)
    return time.perf_counter() - began, "IT DID NOT FAIL"


def _wait_until_it_reads(world: World) -> None:
    """Wait until a session of the hub is at work with the source."""
    deadline = time.monotonic() + MOST_S
    while world.sessions() == 0:
        if time.monotonic() > deadline:
            raise SystemExit("the refresh does not begin")
        time.sleep(0.02)
    time.sleep(1)


def _sessions_after(world: World) -> int:
    """Return how many sessions of the hub are still at work a second after the end."""
    deadline = time.monotonic() + 1
    while (left := world.sessions()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def stopped(world: World, remote: Any, rounds: int) -> tuple[float, bool]:
    """Refresh from a stopped server; return the seconds until that fails, and whether the rows of before are served."""
    slug = world.save(JOINED)
    if world.datasets.get(slug).live is None:
        world.datasets.refresh(slug)
    before = world.datasets.rows(slug, limit=20)
    took = []
    for _ in range(rounds):
        world.heal()
        with remote.stopped():
            took.append(failure_of(world, slug)[0])
            after, dataset = world.datasets.rows(slug, limit=20), world.datasets.get(slug)
    world.heal()
    served = after.rows == before.rows and dataset.age_s is not None and bool(dataset.problem)
    return statistics.median(took), served


def _short(message: str) -> str:
    return " ".join(message.split())[:160]
