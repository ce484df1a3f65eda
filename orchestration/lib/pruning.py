"""Removes old runs, events and ticks from Dagster's storage, which by itself only forgets ticks.

What stays however old it is:

- runs that have not ended;
- the last run of each job;
- a run that holds the latest event of some kind of an asset or its partition, or the latest evaluation of a check:
  freshness, lineage and "missing" are worked out from those;
- the newest event and the newest run of all. SQLite gives the number of a deleted last row to the next one, so that
  a sensor's cursor would stand behind events that it has not seen.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as db
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, AssetEventTagsTable
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable as Events
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.event_log.sqlite import SqliteEventLogStorage
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage
from dagster._core.storage.schedules.schema import AssetDaemonAssetEvaluationsTable, JobTickTable
from dagster._core.storage.schedules.sql_schedule_storage import SqlScheduleStorage
from sqlalchemy.engine import Connection

from dteg.core.durations import parse_duration
from dteg.core.errors import NotAvailableError
from dteg.pruning.models import PruneReport

BATCH = 500
RUNLESS = ""
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
Connect = Callable[[], AbstractContextManager[Connection]]


@dataclass(frozen=True, slots=True)
class PruneOptions:
    """What goes.

    Attributes:
        older_than: Age such as `30d`.
        dry_run: Only count.
        compact: Give the room back to the file system, where the storage is SQLite.
    """

    older_than: str = "30d"
    dry_run: bool = False
    compact: bool = True


def prune_everything(instance: dg.DagsterInstance, options: PruneOptions) -> PruneReport:
    """Prune Dagster's storage.

    Args:
        instance: Dagster with its storage.
        options: What goes.

    Raises:
        NotAvailableError: The storage is of a kind that this does not know.
    """
    return Pruning(instance, options).run()


class Pruning:
    """One pass over the storage of an instance, in batches, so that others get their turn."""

    def __init__(
        self, instance: dg.DagsterInstance, options: PruneOptions, now: datetime | None = None
    ) -> None:
        self.instance, self.options = instance, options
        self.before = (now or datetime.now(UTC)) - parse_duration(options.older_than)
        events, runs, ticks = instance.event_log_storage, instance.run_storage, instance.schedule_storage
        if not (
            isinstance(events, SqlEventLogStorage)
            and isinstance(runs, SqlRunStorage)
            and isinstance(ticks, SqlScheduleStorage)
        ):
            raise NotAvailableError(f"pruning of {type(events).__name__}")
        self.events, self.runs, self.ticks = events, runs, ticks

    def run(self) -> PruneReport:
        """Prune, and say what went."""
        began, bytes_before = time.monotonic(), self._bytes()
        report: dict[str, Any] = {"before": self.before, "dry_run": self.options.dry_run}
        going, kept = self._sort_runs()
        report["runs_kept"] = kept
        report["events"] = self._count_events(going)
        if not self.options.dry_run:
            for run_id in going:
                self._delete_run(run_id)
        report["runs"] = len(going)
        report["events"] += self._delete_runless()
        report["checks"] = self._delete_rows(
            self.events.index_connection, AssetCheckExecutionsTable, self._old_checks()
        )
        report["ticks"] = self._delete_rows(self.ticks.connect, JobTickTable, self._old_ticks())
        evaluations = AssetDaemonAssetEvaluationsTable
        report["evaluations"] = self._delete_rows(
            self.ticks.connect, evaluations, evaluations.c.create_timestamp < self._naive
        )
        if self.options.compact and not self.options.dry_run:
            report["compacted"] = self._compact()
        report["bytes_before"], report["bytes_after"] = bytes_before, self._bytes()
        report["seconds"] = round(time.monotonic() - began, 3)
        return PruneReport(**report)

    # --- runs and their events --------------------------------------------------------------------

    def _sort_runs(self) -> tuple[list[str], int]:
        """Return the runs that go, oldest first, and how many old ones stay."""
        keep = self._runs_of_latest_events() | self._last_runs()
        going, kept, cursor = [], 0, None
        while True:
            records = self.instance.get_run_records(
                dg.RunsFilter(created_before=self.before), limit=BATCH, cursor=cursor
            )
            for record in records:
                run = record.dagster_run
                ended = record.end_time or record.update_timestamp.replace(tzinfo=UTC).timestamp()
                if run.status in _ENDED and ended < self.before.timestamp() and run.run_id not in keep:
                    going.append(run.run_id)
                else:
                    kept += 1
            if len(records) < BATCH:
                return going[::-1], kept
            cursor = records[-1].dagster_run.run_id

    def _runs_of_latest_events(self) -> set[str]:
        """Return the runs that hold the latest event of an asset, or the latest of all."""
        checks = AssetCheckExecutionsTable.c
        latest_check = db.select(db.func.max(checks.id)).group_by(
            checks.asset_key, checks.check_name, checks.partition
        )
        with self.events.index_connection() as connection:
            held = connection.execute(
                db.select(Events.c.run_id).where(Events.c.id.in_(self._latest_events()))
            ).all()
            held += connection.execute(
                db.select(AssetCheckExecutionsTable.c.run_id).where(checks.id.in_(latest_check))
            ).all()
        return {run_id for (run_id,) in held}

    def _last_runs(self) -> set[str]:
        """Return the last run of each job, and the newest of all."""
        from dagster._core.storage.runs.schema import RunsTable

        last = db.select(db.func.max(RunsTable.c.id)).group_by(RunsTable.c.pipeline_name)
        with self.runs.connect() as connection:
            rows = connection.execute(db.select(RunsTable.c.run_id).where(RunsTable.c.id.in_(last))).all()
        return {run_id for (run_id,) in rows}

    def _count_events(self, run_ids: Sequence[str]) -> int:
        """Count the events of runs; on SQLite in their own files."""
        if isinstance(self.events, SqliteEventLogStorage):
            return sum(_rows_in(Path(self.events.path_for_shard(run_id))) for run_id in run_ids)
        total = 0
        for part in _parts(run_ids):
            with self.events.index_connection() as connection:
                counted = db.select(db.func.count()).select_from(Events).where(Events.c.run_id.in_(part))
                total += connection.execute(counted).scalar_one()
        return total

    def _delete_run(self, run_id: str) -> None:
        """Delete a run: its events first, so that what a crash leaves is a run that the next pass finds."""
        if isinstance(self.events, SqliteEventLogStorage):
            # Not `delete_events`, which empties the run's own file and leaves it there.
            with self.events.index_connection() as connection:
                self.events.delete_events_for_run(connection, run_id)
            self.events.free_concurrency_slots_for_run(run_id)
            _remove_database(Path(self.events.path_for_shard(run_id)))
        else:
            self.events.delete_events(run_id)
        with suppress(Exception):  # logs may be in a place that cannot be cleaned; they hold back nothing
            self.instance.compute_log_manager.delete_logs(prefix=[run_id])
        self.runs.delete_run(run_id)

    # --- what belongs to no run -------------------------------------------------------------------

    def _delete_runless(self) -> int:
        """Delete old events that were reported from outside of runs, such as observations and freshness."""
        old = db.and_(
            Events.c.run_id == RUNLESS,
            Events.c.timestamp < self._naive,
            Events.c.id.not_in(self._latest_events()),
        )
        deleted = self._delete_rows(self.events.index_connection, Events, old)
        if not self.options.dry_run:
            gone = AssetEventTagsTable.c.event_id.not_in(db.select(Events.c.id))
            self._delete_rows(self.events.index_connection, AssetEventTagsTable, gone)
            if isinstance(self.events, SqliteEventLogStorage):
                own = db.select(db.func.max(Events.c.id)).scalar_subquery()
                shard = db.and_(Events.c.timestamp < self._naive, Events.c.id != own)
                self._delete_rows(lambda: self.events.run_connection(RUNLESS), Events, shard)
        return deleted

    def _latest_events(self) -> Any:
        """Return the query of the events that stay: the latest of each kind of each asset, and the last of all."""
        latest = (
            db.select(db.func.max(Events.c.id))
            .where(Events.c.asset_key.is_not(None))
            .group_by(Events.c.asset_key, Events.c.dagster_event_type, Events.c.partition)
        )
        return latest.union(db.select(db.func.max(Events.c.id)))

    def _old_checks(self) -> Any:
        checks = AssetCheckExecutionsTable.c
        latest = db.select(db.func.max(checks.id)).group_by(
            checks.asset_key, checks.check_name, checks.partition
        )
        return db.and_(checks.create_timestamp < self._naive, checks.id.not_in(latest))

    def _old_ticks(self) -> Any:
        """Return the condition of old ticks but for the last one of each schedule and sensor."""
        ticks = JobTickTable.c
        latest = db.select(db.func.max(ticks.id)).group_by(
            db.func.coalesce(ticks.selector_id, ticks.job_origin_id)
        )
        return db.and_(ticks.timestamp < self._naive, ticks.id.not_in(latest))

    def _delete_rows(self, connect: Connect, table: Any, condition: Any) -> int:
        """Delete rows in batches, each a transaction, and return how many; only count them in a dry run."""
        if self.options.dry_run:
            with connect() as connection:
                return int(
                    connection.execute(
                        db.select(db.func.count()).select_from(table).where(condition)
                    ).scalar_one()
                )
        with connect() as connection:
            ids = [row[0] for row in connection.execute(db.select(table.c.id).where(condition)).all()]
        for part in _parts(ids):
            with connect() as connection:
                connection.execute(table.delete().where(table.c.id.in_(part)))
        return len(ids)

    @property
    def _naive(self) -> datetime:
        """The limit as Dagster stores times: UTC without a zone."""
        return self.before.astimezone(UTC).replace(tzinfo=None)

    # --- room -------------------------------------------------------------------------------------

    def _databases(self) -> list[Path]:
        """Return the SQLite files that all runs share."""
        found = []
        for connect in (self.events.index_connection, self.runs.connect, self.ticks.connect):
            with connect() as connection:
                url = connection.engine.url
                if url.get_backend_name() == "sqlite" and url.database:
                    found.append(Path(url.database))
        return found

    def _compact(self) -> bool:
        """Rewrite the SQLite files without their gaps; False if one is in use all the time, which does no harm."""
        done = True
        for path in self._databases():
            try:
                with closing(sqlite3.connect(path, timeout=20, isolation_level=None)) as connection:
                    connection.execute("VACUUM")
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.OperationalError:
                done = False
        return done

    def _bytes(self) -> int:
        """Return the size of the storage in bytes, as far as it lies in files; 0 on a server."""
        folders = {path.parent for path in self._databases()}
        if isinstance(self.events, SqliteEventLogStorage):
            folders.add(Path(self.events.path_for_shard("index")).parent)
        return sum(
            path.stat().st_size for folder in folders for path in folder.glob("*.db*") if path.is_file()
        )


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), BATCH):
        yield values[start : start + BATCH]


def _rows_in(path: Path) -> int:
    """Count the events in the file of one run; 0 if there is none."""
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM event_logs").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def _remove_database(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
