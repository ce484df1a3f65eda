"""Schema changes: what the command line, the studio and Dagster's sensor work with."""

import contextlib
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Self

import psycopg
from psycopg import IsolationLevel
from psycopg.rows import dict_row

from dteg.core.control import session
from dteg.core.databases import databases_of, require_database
from dteg.core.errors import NotFoundError
from dteg.core.identifiers import TableName, check_identifier
from dteg.core.postgres import connect, database_of, translated, with_database
from dteg.core.project import Project
from dteg.core.queries import first_value
from dteg.core.suggest import did_you_mean
from dteg.schema_changes.breaks import Breaks, ProjectImpact
from dteg.schema_changes.capture import Capture
from dteg.schema_changes.ledger import Ledger
from dteg.schema_changes.listener import Listener
from dteg.schema_changes.models import (
    Break,
    ChangeFilter,
    ChangePage,
    Listening,
    SchemaChange,
)
from dteg.schema_changes.reader import Place, Reader
from dteg.schema_changes.sql import WAREHOUSE

DOMAIN = "schema_changes"
KEPT_S = 400 * 86_400
MAX_PAGE = 1000
_DRAIN_S = 10
_COMPONENT = "schema changes"


class SchemaChanges:
    """Changes of the databases of the warehouse's server.

    Args:
        project: Whose.
    """

    def __init__(self, project: Project) -> None:
        self._project = project

    @classmethod
    def of(cls, project: Project) -> Self:
        """Return the schema changes of a project."""
        return cls(project)

    # --- listening -----------------------------------------------------------------------------

    def listen(
        self,
        database: str = "",
        *,
        truncate: Sequence[str] | None = None,
        keeps_text: bool = True,
        snapshot_only: bool = False,
    ) -> Listening:
        """Begin to capture the changes of a database; to do it again repairs and keeps what is there.

        Args:
            database: A database of the warehouse's server; empty for the warehouse itself.
            truncate: Tables whose TRUNCATE is captured as well, by a trigger on each; None leaves it as it is.
            keeps_text: Keep the text of statements: it may hold values of other statements sent along.
            snapshot_only: Install nothing; find changes by comparing the catalogue, without knowing who did them.

        Raises:
            ConfigError: A table does not exist.
            ConflictError: Somebody holds a lock.
            DeniedError: Only a superuser may make event triggers.
            NotFoundError: There is no such database.
        """
        name = self._name(database)
        require_database(self._project, name)
        known = next((row for row in self._rows() if row["database"] == name), None)
        mode = "snapshot" if snapshot_only else "triggers"
        tables = list(known["truncate_tables"] if known else []) if truncate is None else list(truncate)
        with self._source(name) as source, session(self._project, DOMAIN) as warehouse:
            installation = uuid.uuid4()
            if not snapshot_only:
                capture = Capture(source)
                health = capture.health()
                if known and health.installation == known["installation"] and not health.replaced:
                    installation = known["installation"]
                parsed = [TableName.parse(table) for table in tables]
                capture.install(installation, keeps_text=keeps_text, truncate=parsed)
            elif known and known["mode"] == mode:
                installation = known["installation"]
            elif known:
                Capture(source).stop()
                self._drain(name, source)
                Capture(source).remove()
            if known is None:
                self._baseline(name, source, warehouse)
            values = {"database": name, "installation": installation, "mode": mode, "truncate": tables}
            warehouse.execute(WAREHOUSE["add_listener"], {**values, "keeps_text": keeps_text})
        return self.listening_to(name)

    def _baseline(
        self, name: str, source: psycopg.Connection[Any], warehouse: psycopg.Connection[Any]
    ) -> None:
        source.isolation_level = IsolationLevel.REPEATABLE_READ
        source.read_only = True
        Reader(warehouse, Ledger(self._project, warehouse)).baseline(name, source)

    def unlisten(self, database: str = "") -> None:
        """End the capture in a database and remove what it installed there; the history stays.

        Raises:
            NotFoundError: Nobody listens to it.
            ConflictError: Somebody holds a lock; nothing or only the triggers are removed, and it can be tried again.
        """
        name = self._name(database)
        known = self.listening_to(name)
        with contextlib.ExitStack() as stack:
            source = None
            if known.mode == "triggers" and self._exists(name):
                source = stack.enter_context(self._source(name))
                capture = Capture(source)
                capture.stop()
                self._drain(name, source)
                capture.remove()
            warehouse = stack.enter_context(session(self._project, DOMAIN))
            with warehouse.transaction():
                row = warehouse.execute(WAREHOUSE["remove_listener"], {"database": name}).fetchone()
                if row:
                    warehouse.execute(WAREHOUSE["forget_delivered"], {"installation": row[0]})
                warehouse.execute(WAREHOUSE["forget_images"], {"database": name})

    def _drain(self, name: str, source: psycopg.Connection[Any]) -> None:
        """Take note of what is left in an outbox, or wait until who leads has done so."""
        deadline = time.monotonic() + _DRAIN_S
        while not self.catch_up() and time.monotonic() < deadline:
            row = next(row for row in self._rows() if row["database"] == name)
            place = Place(name, row["installation"], int(row["cursor_text"]))
            with session(self._project, DOMAIN) as warehouse:
                if not Reader(warehouse, Ledger(self._project, warehouse)).unread(place, source, 1):
                    return
            time.sleep(0.1)

    def listening(self) -> list[Listening]:
        """Return how it stands with each database that is listened to."""
        return [_listening(row) for row in self._rows()]

    def listening_to(self, database: str) -> Listening:
        """Return how it stands with one database.

        Raises:
            NotFoundError: Nobody listens to it.
        """
        name = self._name(database)
        rows = self._rows()
        for row in rows:
            if row["database"] == name:
                return _listening(row)
        names = [row["database"] for row in rows]
        near = did_you_mean(name, names) or f"listened to: {', '.join(names) or 'none'}"
        raise NotFoundError(f"nobody listens to {name}; {near}; begin with: dteg listen {name}")

    def databases(self) -> list[str]:
        """Return the databases of the server that one may listen to."""
        return databases_of(self._project)

    def catch_up(self, *, snapshot: bool = False) -> bool:
        """Take note of what has happened, unless another process does that; return whether this one did.

        Args:
            snapshot: Compare the catalogues as well.
        """
        return bool(self._rows()) and Listener(self._project).once(snapshot=snapshot)

    # --- changes -------------------------------------------------------------------------------

    def read(
        self, cursor: int = 0, limit: int = 500, *, routine: bool = False, catch_up: bool = True
    ) -> tuple[list[SchemaChange], int]:
        """Return what came after a cursor, oldest first, and the cursor for the next time.

        Args:
            cursor: What the last call returned; 0 is the beginning.
            limit: How many at the most.
            routine: Also what dbt made anew as it was.
            catch_up: First take note of what has happened, if nobody else does.
        """
        if catch_up:
            self.catch_up()
        values = {"after": cursor, "limit": limit, "routine": routine}
        changes = self._changes("changes_after", values)
        return changes, changes[-1].id if changes else cursor

    def last(self) -> int:
        """Return the cursor behind everything that is known now."""
        with session(self._project, DOMAIN) as warehouse:
            return int(first_value(warehouse, WAREHOUSE["last_id"]) or 0)

    def changes(
        self,
        wanted: ChangeFilter | None = None,
        *,
        before: int | None = None,
        limit: int = 100,
        catch_up: bool = True,
    ) -> ChangePage:
        """Return changes, newest first.

        Args:
            wanted: Which; all if left out.
            before: Only those with a smaller number.
            limit: How many at the most.
            catch_up: First take note of what has happened, if nobody else does.
        """
        if catch_up:
            self.catch_up()
        wanted = wanted or ChangeFilter.model_validate({})
        limit = min(limit, MAX_PAGE)
        values = {**wanted.model_dump(), "before": before, "limit": limit + 1}
        changes = self._changes("changes", values)
        more = len(changes) > limit
        return ChangePage(items=changes[:limit], next=changes[limit - 1].id if more else None)

    def change(self, number: int) -> SchemaChange:
        """Return one change.

        Raises:
            NotFoundError: There is none with this number.
        """
        found = self._changes("change", {"id": number})
        if not found:
            raise NotFoundError(f"there is no schema change {number}; list them: dteg schema-changes")
        return found[0]

    def breaks(self, *, mended: bool = False, limit: int = 200) -> list[Break]:
        """Return what changes have broken and nobody has mended; with `mended` also what was broken once."""
        with session(self._project, DOMAIN) as warehouse, warehouse.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(WAREHOUSE["breaks"], {"all": mended, "limit": limit}).fetchall()
        return [Break.model_validate(row) for row in rows]

    def dismiss(self, number: int, by: str) -> Break:
        """Close a break because somebody says that it is none.

        Raises:
            NotFoundError: No such break is open.
        """
        with session(self._project, DOMAIN) as warehouse:
            found = Breaks(warehouse, ProjectImpact(self._project)).dismiss(number, f"dismissed by {by}")
        if found is None:
            raise NotFoundError(
                f"no open break has the number {number}; list them: dteg schema-changes --breaks"
            )
        return found

    def prune(self, keep_s: float = KEPT_S) -> int:
        """Delete changes and mended breaks that are older than `keep_s` seconds; return how many changes."""
        with session(self._project, DOMAIN) as warehouse, warehouse.transaction():
            warehouse.execute(WAREHOUSE["prune_breaks"], {"keep_s": keep_s})
            return warehouse.execute(WAREHOUSE["prune"], {"keep_s": keep_s}).rowcount

    # --- parts ---------------------------------------------------------------------------------

    def _name(self, database: str) -> str:
        return (
            check_identifier(database, "database name")
            if database
            else database_of(self._project.warehouse_url())
        )

    def _exists(self, database: str) -> bool:
        return database in self.databases()

    @contextlib.contextmanager
    def _source(self, database: str) -> Iterator[psycopg.Connection[Any]]:
        url = with_database(self._project.warehouse_url(), database)
        with connect(url, component=_COMPONENT) as connection, translated(_COMPONENT):
            yield connection

    def _rows(self) -> list[dict[str, Any]]:
        with session(self._project, DOMAIN) as warehouse, warehouse.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(WAREHOUSE["listeners"]).fetchall()

    def _changes(self, query: str, values: dict[str, Any]) -> list[SchemaChange]:
        with session(self._project, DOMAIN) as warehouse, warehouse.cursor(row_factory=dict_row) as cursor:
            return [_change(row) for row in cursor.execute(WAREHOUSE[query], values).fetchall()]


def _listening(row: dict[str, Any]) -> Listening:
    names = (
        "database",
        "mode",
        "state",
        "message",
        "listened_at",
        "looked_at",
        "snapshot_at",
        "horizon_age_s",
        "blocker",
    )
    return Listening(
        **{name: row[name] for name in names},
        truncate=row["truncate_tables"],
        cursor=int(row["cursor_text"]),
        lost=row["failures"],
    )


def _change(row: dict[str, Any]) -> SchemaChange:
    values = {name: value for name, value in row.items() if name != "xid_text"}
    return SchemaChange(**values, xid=None if row["xid_text"] is None else int(row["xid_text"]))


def parse_since(text: str, now: datetime) -> datetime:
    """Read a time such as `2026-03-01`, or how long ago, such as `2h`.

    Raises:
        ValueError: It is neither.
    """
    from datetime import UTC

    from dteg.core.durations import parse_duration

    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return now - parse_duration(text)
    return when if when.tzinfo else when.replace(tzinfo=UTC)
