"""Eight writers of DDL, a listener that dies, and the truth about what was committed.

Each statement carries its number in a comment. The transaction that runs it writes the number into a table too: what
stands there afterwards is what was committed, whatever the writer could see of its commit. It is written while the
lock on the object is held, with a number from a sequence: that is the order in which an object really changed.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg

CHILD = Path(__file__).parent / "child.py"
WRITERS = 8
SHARED = 12
LATE_S = 60
TYPES = ("integer", "bigint", "numeric")


def prepare(url):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE SCHEMA w; CREATE TABLE w.truth (op bigint PRIMARY KEY, seq bigserial, object text NOT NULL)"
        )
        for number in range(SHARED):
            connection.execute(f"CREATE TABLE w.shared_{number} (id bigint PRIMARY KEY, v integer)")


def burn_to(url, xid):
    """Use up numbers of transactions until the next one is `xid`."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        now = int(connection.execute("SELECT pg_current_xact_id()::text").fetchone()[0])
        assert now < xid, f"the server is at transaction {now} already, beyond {xid}"
        connection.execute(
            "DO $$ BEGIN"
            f" FOR i IN 1..{xid - now - 1} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP;"
            " END $$"
        )


@dataclass
class Writers:
    """Threads that change the schema until `total` statements were tried.

    Attributes:
        url: The database.
        total: Statements.
        seed: Of the randomness.
        rolled_back: Numbers of statements whose transaction was rolled back on purpose.
        broken: Transactions that ended in an error: of the server's restart, or a deadlock.
    """

    url: str
    total: int
    seed: int
    rolled_back: set[int] = field(default_factory=set)
    broken: Counter = field(default_factory=Counter)
    tried: int = 0

    def __post_init__(self):
        self.numbers = count(1)
        self._lock = threading.Condition()
        self._allowed = self.total
        self._threads = [
            threading.Thread(target=self._write, args=[each], daemon=True) for each in range(WRITERS)
        ]

    def start(self):
        for thread in self._threads:
            thread.start()

    def join(self, timeout_s):
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.1, deadline - time.monotonic()))
        assert not any(thread.is_alive() for thread in self._threads), (
            f"writers hang after {self.tried} statements"
        )

    @property
    def is_done(self):
        return self.tried >= self.total

    def hold_back(self):
        """Write nothing but what `allow` allows."""
        with self._lock:
            self._allowed = 0

    def allow(self, more):
        """Write so many statements more: so they last as long as the faults do."""
        with self._lock:
            self._allowed = min(self.total, self._allowed + more)
            self._lock.notify_all()

    def _take(self, wanted):
        with self._lock:
            self._lock.wait_for(lambda: self.tried < self._allowed or self.tried >= self.total)
            numbers = [next(self.numbers) for _ in range(min(wanted, self.total - self.tried))]
            self.tried += len(numbers)
            return numbers

    def _write(self, writer):
        rng = random.Random(f"{self.seed}-{writer}")
        place = f"{self.seed}_{writer}"
        own, made, connection = [], count(1), None
        while numbers := self._take(rng.choice((1, 1, 2, 3))):
            try:
                if connection is None or connection.closed:
                    connection = psycopg.connect(self.url, autocommit=True, connect_timeout=5)
                self._transaction(
                    connection, numbers, own, lambda names: _statement(rng, names, place, made), rng
                )
            except psycopg.Error as error:
                self.broken[type(error).__name__] += 1
                if connection is None or connection.closed or isinstance(error, psycopg.OperationalError):
                    with contextlib.suppress(Exception):
                        connection.close()
                    connection = None
                    time.sleep(0.1)
        if connection:
            connection.close()

    def _transaction(self, connection, numbers, own, statement_for, rng):
        names = list(own)
        gives_up = rng.random() < 0.1
        with contextlib.suppress(psycopg.Rollback), connection.transaction():
            if rng.random() < 0.5:  # an early number and a late change: numbers are not the order of changes
                connection.execute("SELECT pg_current_xact_id()")
                time.sleep(rng.uniform(0, 0.02))
            for number in numbers:
                name, statement = statement_for(names)
                connection.execute(f"/* op {number} */ {statement}")
                connection.execute("INSERT INTO w.truth (op, object) VALUES (%s, %s)", [number, name])
            time.sleep(rng.uniform(0, 0.05))
            if gives_up:
                self.rolled_back.update(numbers)
                raise psycopg.Rollback
        if not gives_up:
            own[:] = names


def commit_late(url, number, has_read):
    """Change something, let others change something, wait until that is read, and commit only then.

    Args:
        url: The database.
        number: Of the first statement; the second has the next one.
        has_read: Waits until the second statement was told.
    """
    with psycopg.connect(url) as early, psycopg.connect(url, autocommit=True) as late:
        for connection, each in ((early, number), (late, number + 1)):
            with connection.transaction() if connection is late else contextlib.nullcontext():
                connection.execute(f"/* op {each} */ CREATE TABLE w.late_{each} (id bigint)")
                connection.execute("INSERT INTO w.truth (op, object) VALUES (%s, %s)", [each, f"late_{each}"])
        has_read(number + 1)
        early.commit()


def _statement(rng, names, place, made):
    """Return the object and the SQL of a change; `names` are the writer's own tables, `place` is a part of their names."""
    kind = rng.random()
    if kind < 0.3:
        shared = f"shared_{rng.randrange(SHARED)}"
        return shared, f"ALTER TABLE w.{shared} ALTER COLUMN v TYPE {rng.choice(TYPES)}"
    if kind < 0.5 or not names:
        name = f"own_{place}_{next(made)}"
        names.append(name)
        return name, f"CREATE TABLE w.{name} (id bigint PRIMARY KEY, v integer)"
    name = names[-1]
    if kind < 0.75:
        return name, f"ALTER TABLE w.{name} ADD COLUMN c{next(made)} text"
    if kind < 0.9:
        names.remove(name)
        return name, f"DROP TABLE w.{name}"
    new = f"own_{place}_{next(made)}"
    names[-1] = new
    return new, f"ALTER TABLE w.{name} RENAME TO {new}"


class Child:
    """The listener in a process of its own."""

    def __init__(self, environment):
        self._environment = environment
        self.process = None
        self.last = ""
        self.starts = 0

    def start(self, linger=""):
        environment = {**self._environment, "DTEG_TEST_LINGER": linger}
        self.process = subprocess.Popen(
            [sys.executable, CHILD],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            stderr=subprocess.DEVNULL,
        )
        self.last, self.starts = "", self.starts + 1

    def wait_for(self, phase, timeout_s):
        """Read until it tells a phase; return whether it did."""
        timer = threading.Timer(timeout_s, self.process.kill)
        timer.start()
        try:
            for line in self.process.stdout:
                self.last = line.strip()
                if self.last == phase:
                    return True
            return False
        finally:
            timer.cancel()

    def listen_along(self):
        """Read what it tells, in the background, so that its pipe does not fill."""
        stdout = self.process.stdout
        threading.Thread(target=lambda: [None for _ in stdout], daemon=True).start()

    def kill(self):
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        with contextlib.suppress(ValueError, OSError):
            self.process.stdout.close()
        self.process = None


def environment_of(folder, url, **more):
    root = str(Path(__file__).parents[3])
    return {**os.environ, "DTEG_HOME": str(folder), "DTEG_POSTGRES_URL": url, "PYTHONPATH": root, **more}
