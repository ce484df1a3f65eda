"""Follows the databases that are listened to, for as long as it runs or once.

One process of a project does it at a time: the one whose connection to the warehouse holds the lock. The same
connection writes, so whoever has lost the lock can write no more.
"""

import contextlib
import logging
import random
import select
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
from psycopg import IsolationLevel
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from dteg.alerts import Kind, Occurrence, Severity, State, report
from dteg.core.clock import utc_now
from dteg.core.control import ensure, leader
from dteg.core.errors import DtegError
from dteg.core.postgres import connect, translated, with_database
from dteg.core.project import Project
from dteg.schema_changes.capture import CHANNEL, Capture, Health
from dteg.schema_changes.ledger import Ledger
from dteg.schema_changes.models import Blocker
from dteg.schema_changes.reader import Aim, Place, Reader
from dteg.schema_changes.sql import CAPTURE, WAREHOUSE

LEADER = "schema_changes"
# Comparing thousands of tables takes a while, in which no event is read: at most a twentieth of the time.
_REST = 20
_LONGEST_REST_S = 45
# Without a listener, whoever asks compares a catalogue that nobody has compared for so long.
_OLD_SNAPSHOT = timedelta(seconds=60)
_LOG = logging.getLogger(__name__)
_COMPONENT = "schema changes"


@dataclass(frozen=True, slots=True)
class Pace:
    """How often what is done.

    Attributes:
        poll_s: Longest wait between two looks at an outbox, if no NOTIFY comes.
        position_s: Time between two writes of a cursor when nothing happens, and between two looks at the horizon.
        snapshot_s: Time between two comparisons of the catalogue.
        horizon_alert_s: Age of a transaction from which on it is told.
        outbox_kept_s: Age at which delivered events leave the outbox.
        standby_s: Time between two attempts to lead.
    """

    poll_s: float = 0.5
    position_s: float = 10.0
    snapshot_s: float = 30.0
    horizon_alert_s: float = 300.0
    outbox_kept_s: float = 86_400.0
    standby_s: float = 2.0


@dataclass(slots=True)
class _Source:
    """A connection to a database that is listened to."""

    connection: psycopg.Connection[Any]
    installation: uuid.UUID
    woken: bool = True
    health: Health | None = None

    @property
    def problem(self) -> str:
        return self.health.problem if self.health else ""

    @property
    def has_outbox(self) -> bool:
        return self.health is not None and self.health.installation is not None


@dataclass(slots=True)
class _Patience:
    """When to try again what failed."""

    failures: int = 0
    not_before: float = 0.0

    def failed(self, longest_s: float = 5.0) -> float:
        self.failures += 1
        wait_s = min(longest_s, 0.1 * 2.0 ** min(self.failures, 10)) * random.uniform(0.5, 1)  # noqa: S311 - jitter
        self.not_before = time.monotonic() + wait_s
        return wait_s


class Listener:
    """Reads events and compares catalogues.

    Args:
        project: Whose warehouse, and what of it may break.
        pace: How often what is done.
        on_lead: Told when this process begins to lead (True) or stands by (False).
    """

    def __init__(
        self, project: Project, pace: Pace | None = None, on_lead: Callable[[bool], None] = lambda leads: None
    ) -> None:
        self._project, self._pace, self._on_lead = project, pace or Pace(), on_lead

    def run(self, stop: threading.Event) -> None:
        """Follow until `stop` is set, over restarts of the server and the deaths of other listeners."""
        patience = _Patience()
        while not stop.is_set():
            try:
                with contextlib.closing(_Session(self._project, self._pace)) as session:
                    leads = session.leads()
                    self._on_lead(leads)
                    if leads:
                        patience = _Patience()
                        session.follow(stop)
                    else:
                        stop.wait(self._pace.standby_s)
            except (DtegError, psycopg.Error) as error:
                _LOG.warning("schema changes: %s", error)
                stop.wait(patience.failed())

    def once(self, *, snapshot: bool = False) -> bool:
        """Do what is to be done now, and return; False if another process does it.

        Args:
            snapshot: Compare the catalogues even if that was done a moment ago.

        Raises:
            ConnectorError: The warehouse does not answer.
        """
        with contextlib.closing(_Session(self._project, self._pace)) as session, translated(_COMPONENT):
            if not session.leads():
                return False
            session.catch_up(snapshot=snapshot)
            return True


class _Session:
    """The time between two losses of the warehouse's connection."""

    def __init__(self, project: Project, pace: Pace) -> None:
        self._project, self._pace = project, pace
        self._url = project.warehouse_url()
        self._connection = connect(self._url, component=_COMPONENT)
        self._sources: dict[str, _Source] = {}
        self._patience: dict[str, _Patience] = {}
        self._told_horizon = False
        self._ledger = Ledger(project, self._connection)
        self._reader = Reader(self._connection, self._ledger)
        try:
            for domain in ("schema_changes", "alerts"):
                ensure(self._connection, domain)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for name in list(self._sources):
            self._disconnect(name)
        with contextlib.suppress(psycopg.Error, DtegError):
            self._ledger.close()
        with contextlib.suppress(psycopg.Error):
            self._connection.close()

    def leads(self) -> bool:
        """Whether this process may work; only asked once."""
        if not leader(self._connection, LEADER):
            return False
        self._ledger.prepare()
        return True

    def follow(self, stop: threading.Event) -> None:
        """Work until `stop` is set or the warehouse is lost."""
        next_snapshot = next_position = 0.0
        while not stop.is_set():
            now = time.monotonic()
            snapshot, position = now >= next_snapshot, now >= next_position
            rows = self._listeners()
            self._forget_sources({row["database"] for row in rows})
            more = [self._serve(row, snapshot=snapshot, position=position) for row in rows]
            if snapshot:
                self._reader.look_at_server()
                took_s = time.monotonic() - now
                next_snapshot = now + max(self._pace.snapshot_s, min(took_s * _REST, _LONGEST_REST_S))
            if position:
                self._ledger.mend()
                self._watch_horizon(rows)
                next_position = now + self._pace.position_s
            if not any(more):
                self._wait()

    def catch_up(self, *, snapshot: bool) -> None:
        """Read what there is, in every database; compare catalogues that nobody has compared for a while."""
        compared = snapshot
        for row in self._listeners():
            age = utc_now() - row["snapshot_at"] if row["snapshot_at"] else _OLD_SNAPSHOT
            more, now = True, snapshot or age >= _OLD_SNAPSHOT
            compared = compared or now
            while more:
                fresh = next(
                    (each for each in self._listeners() if each["database"] == row["database"]), None
                )
                more, now = fresh is not None and self._serve(fresh, snapshot=now, position=True), False
        if compared:
            self._reader.look_at_server()
        self._ledger.mend()

    def _listeners(self) -> list[dict[str, Any]]:
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(WAREHOUSE["listeners"]).fetchall()

    def _serve(self, row: dict[str, Any], *, snapshot: bool, position: bool) -> bool:
        """Look at one database; return whether there is more. What is wrong with it stops no other."""
        name = row["database"]
        patience = self._patience.setdefault(name, _Patience())
        if time.monotonic() < patience.not_before:
            return False
        try:
            source = self._source(row)
            more = self._look(row, source, snapshot=snapshot, position=position)
        except (DtegError, psycopg.Error) as error:
            if self._connection.closed:
                raise
            self._disconnect(name)
            patience.failed(longest_s=30)
            if patience.failures > 2:  # a restart of the server is no news
                self._set_state(name, "unreachable", str(error).splitlines()[0][:500])
            return False
        patience.failures = 0
        state = ("damaged" if source.problem else "on", source.problem)
        if state != (row["state"], row["message"]):
            self._set_state(name, *state)
        return more

    def _look(self, row: dict[str, Any], source: _Source, *, snapshot: bool, position: bool) -> bool:
        source.woken = False
        if position:
            self._check(row, source)
        if source.health and source.health.replaced:
            return self._replaced(row, source)
        place = Place(row["database"], row["installation"], int(row["cursor_text"]), source.has_outbox)
        look = self._reader.look(place, source.connection, Aim(snapshot, keep_position=position))
        if look.suspects:
            fresh = next((each for each in self._listeners() if each["database"] == place.database), row)
            place = Place(place.database, place.installation, int(fresh["cursor_text"]), place.has_triggers)
            self._reader.look(place, source.connection, Aim(True, look.suspects))
        if snapshot and place.has_triggers:
            values = {"cursor": str(place.cursor), "keep_s": self._pace.outbox_kept_s}
            source.connection.execute(CAPTURE["forget"], values)
        return look.more or source.woken

    # --- connections ---------------------------------------------------------------------------

    def _source(self, row: dict[str, Any]) -> _Source:
        name = row["database"]
        source = self._sources.get(name)
        if source is not None and source.installation == row["installation"] and not source.connection.closed:
            return source
        self._disconnect(name)
        connection = connect(with_database(self._url, name), component=_COMPONENT)
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        source = _Source(connection, row["installation"])
        self._sources[name] = source

        def wake(_: psycopg.Notify) -> None:
            source.woken = True

        connection.add_notify_handler(wake)
        connection.execute(f"LISTEN {CHANNEL}".encode())
        self._check(row, source)
        return source

    def _disconnect(self, name: str) -> None:
        source = self._sources.pop(name, None)
        if source is not None:
            with contextlib.suppress(psycopg.Error):
                source.connection.close()

    def _forget_sources(self, wanted: set[str]) -> None:
        for name in set(self._sources) - wanted:
            self._disconnect(name)

    def _wait(self) -> None:
        """Wait for a NOTIFY of any database, at most `poll_s`."""
        sockets = [
            source.connection.fileno() for source in self._sources.values() if not source.connection.closed
        ]
        if not sockets:
            time.sleep(self._pace.poll_s)
            return
        select.select(sockets, [], [], self._pace.poll_s)

    # --- state ---------------------------------------------------------------------------------

    def _check(self, row: dict[str, Any], source: _Source) -> None:
        """Ask how capture stands; with triggers only."""
        if row["mode"] == "triggers":
            source.health = Capture(source.connection).health()
            if source.health.installation and source.health.failures > row["failures"]:
                self._tell_failures(row, source.health.failures)

    def _replaced(self, row: dict[str, Any], source: _Source) -> bool:
        """Go on with a database that was put in place of the one that was listened to, such as a restored one."""
        name, installation = row["database"], uuid.uuid4()
        with connect(with_database(self._url, name), component=_COMPONENT) as writer:
            Capture(writer).start_anew(installation)
        with self._connection.transaction():
            self._connection.execute(
                WAREHOUSE["add_listener"],
                {
                    "database": name, "installation": installation, "mode": row["mode"],
                    "truncate": row["truncate_tables"], "keeps_text": row["keeps_text"],
                },
            )  # fmt: skip
            self._connection.execute(WAREHOUSE["forget_delivered"], {"installation": row["installation"]})
        self._reader.adopt(name, source.connection)
        self._disconnect(name)
        _LOG.warning("%s was replaced by another database; it is listened to anew", name)
        return True

    def _set_state(self, database: str, state: str, message: str) -> None:
        over = state == "on"
        told = Occurrence(
            kind=Kind.SCHEMA_CHANGE,
            subject=database,
            state=State.RESOLVED if over else State.FIRING,
            severity=Severity.ERROR,
            message=f"changes of {database} are {'captured again' if over else f'not captured: {message}'}",
            dedupe_key=f"schema_capture:{database}",
        )
        values = {"database": database, "state": state, "message": message}
        with self._connection.transaction():
            if self._connection.execute(WAREHOUSE["set_state"], values).fetchone():
                report(self._project, told, connection=self._connection)

    def _tell_failures(self, row: dict[str, Any], failures: int) -> None:
        values = {"database": row["database"], "failures": failures}
        told = Occurrence(
            kind=Kind.SCHEMA_CHANGE,
            subject=row["database"],
            state=State.EVENT,
            severity=Severity.WARNING,
            message=f"{failures - row['failures']} statements in {row['database']} could not be captured; the server's "
            "log says why. What they changed is found by comparing the catalogue",
            dedupe_key=f"schema_failures:{row['database']}:{failures}",
        )
        with self._connection.transaction():
            self._connection.execute(WAREHOUSE["set_failures"], values)
            report(self._project, told, connection=self._connection)

    def _watch_horizon(self, rows: Sequence[dict[str, Any]]) -> None:
        """Note the oldest transaction that writes, and tell when it is too old: outboxes grow behind it."""
        if not rows:
            return
        with self._connection.cursor(row_factory=dict_row) as cursor:
            oldest = cursor.execute(CAPTURE["blockers"]).fetchone()
        age_s = float(oldest["age_s"] or 0) if oldest else 0.0
        is_old = age_s >= self._pace.horizon_alert_s
        blocker = None
        if oldest and is_old:
            texts = {name: oldest[name] or "" for name in ("user", "database", "application", "state")}
            blocker = Blocker(pid=oldest["pid"], age_s=age_s, **texts)
        values = {"age_s": age_s, "blocker": Jsonb(blocker.model_dump()) if blocker else None}
        with self._connection.transaction():
            self._connection.execute(WAREHOUSE["set_horizon"], values)
            if is_old != self._told_horizon:
                report(self._project, _horizon(age_s, blocker), connection=self._connection)
        self._told_horizon = is_old


def _horizon(age_s: float, blocker: Blocker | None) -> Occurrence:
    if blocker is None:
        message = "no old transaction holds back the outbox of schema changes any more"
    else:
        who = (
            f"session {blocker.pid} of {blocker.user}"
            if blocker.pid
            else f"{blocker.state} of {blocker.user}"
        )
        message = (
            f"{who} in {blocker.database} ({blocker.application or 'no name'}, {blocker.state}) has been in one "
            f"transaction for {age_s:.0f} s; until it ends, the outbox of schema changes cannot be emptied"
        )
    return Occurrence(
        kind=Kind.SCHEMA_CHANGE,
        subject="horizon",
        state=State.FIRING if blocker else State.RESOLVED,
        severity=Severity.WARNING,
        message=message,
        details={"age_s": age_s, **(blocker.model_dump(exclude={"age_s"}) if blocker else {})},
        dedupe_key="schema_horizon",
    )
