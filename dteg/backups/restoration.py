"""Backups verified and restored. A restore never touches a database that is there: it makes a new one beside it."""

import contextlib
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Literal

from psycopg.conninfo import conninfo_to_dict

from dteg.backups import mariadb
from dteg.backups import postgres_restore as pg
from dteg.backups.archive import ArchiveReader, Look
from dteg.backups.catalogue import copy_rows
from dteg.backups.contents import UNKNOWN_ROWS, Contents, Names, differences, summary, suspects
from dteg.backups.errors import DamagedBackupError
from dteg.backups.frames import FRAME_BYTES
from dteg.backups.locks import administration, try_lock
from dteg.backups.models import Engine, Manifest, Restored, RestoreOrder, Verified
from dteg.backups.progress import Progress, Report
from dteg.backups.reading import read_contents, read_file
from dteg.backups.sources import source_of
from dteg.backups.spooling import spooled
from dteg.backups.sql_reader import SqlReader
from dteg.backups.targets import Target
from dteg.core.config import ConnectionUrl
from dteg.core.errors import ConfigError, ConflictError
from dteg.core.identifiers import check_identifier
from dteg.core.liveness import WatchedConnection
from dteg.core.postgres import connect, translated, with_database
from dteg.core.prefetch import prefetch
from dteg.core.project import Project
from dteg.tokens.carrying import carry_over

_FRAMES_AHEAD = 8


@dataclass(frozen=True)
class Opened:
    """A backup that can be read.

    Attributes:
        target: Where it lies.
        manifest: What it says of itself; its signature was good.
        data_key: What opens it; None if it is not encrypted.
    """

    target: Target
    manifest: Manifest
    data_key: bytes | None

    def contents(self) -> Contents:
        """Return the figures of what is in it."""
        return read_contents(self.target, self.manifest, self.data_key)

    def dump(self, passed: Callable[[int], None]) -> Generator[bytes, None, None]:
        """Yield the dump; a thread of its own reads and opens ahead."""
        pieces = read_file(self.target, self.manifest, "data", self.data_key, passed)
        return prefetch(pieces, _FRAMES_AHEAD)

    def told(self, report: Report, phase: str) -> Callable[[int], None]:
        """Return what tells how many bytes of it have passed."""
        return lambda done: report(Progress(phase, done, self.manifest.content_bytes))


def verify(opened: Opened, report: Report) -> Verified:
    """Read a backup whole and compare what is in it with what was signed.

    Raises:
        DamagedBackupError: It is not what was written.
    """
    began = time.monotonic()
    manifest = opened.manifest
    wanted = opened.contents()
    found = _read(opened, opened.told(report, "reading"))
    if told := differences(wanted, found):
        raise DamagedBackupError(f"backup {manifest.id} does not hold what it should: {summary(told)}")
    return Verified(
        id=manifest.id, restored=False, bytes=manifest.bytes, tables=len(found.tables), rows=found.rows,
        seconds=time.monotonic() - began,
    )  # fmt: skip


def _read(opened: Opened, passed: Callable[[int], None]) -> Contents:
    """Return what is in a backup's dump: hashes as they were taken when it was made, and rows counted one by one."""
    pieces = opened.dump(passed)
    if opened.manifest.engine is Engine.MARIADB:
        reader = SqlReader()
        for piece in pieces:
            reader.feed(piece)
        return reader.finish()
    hashing, counting = ArchiveReader(Look.HASHES), ArchiveReader(Look.ROWS)
    for piece in pieces:
        hashing.feed(piece)
        counting.feed(piece)
    rows = {(each.schema_name, each.name): each.rows for each in counting.finish().tables}
    return hashing.finish().with_rows(rows)


def verify_by_restore(project: Project, opened: Opened, server: str, report: Report) -> Verified:
    """Restore a backup into a database of its own, compare all of it, and drop that again.

    Raises:
        DamagedBackupError: What was restored differs.
    """
    began = time.monotonic()
    order = RestoreOrder(id=opened.manifest.id, into="dteg_verify", server=_url(server))
    if opened.manifest.engine is Engine.MARIADB:
        url = _server(project, opened.manifest, order)
        name = f"dteg_verify_{opened.manifest.id[-6:]}"
        try:
            restored = _restore_mariadb(url, opened, order.model_copy(update={"into": name}), report)
        finally:
            mariadb.drop(url, name)
    else:
        restored = _restore_postgres(project, opened, order, report, keep=False)
    return Verified(
        id=order.id, restored=True, bytes=opened.manifest.bytes, tables=restored.tables, rows=restored.rows,
        seconds=time.monotonic() - began,
    )  # fmt: skip


def restore(project: Project, opened: Opened, order: RestoreOrder, report: Report) -> Restored:
    """Make a database from a backup.

    Raises:
        ConflictError: There is a database of that name, and it shall not be swapped.
        DamagedBackupError: The backup is not what was written, or what was restored differs; nothing is left of it.
    """
    check_identifier(order.into, "database name")
    began = time.monotonic()
    if opened.manifest.engine is Engine.MARIADB:
        if order.swap:
            raise ConfigError(
                "--swap is for PostgreSQL: MariaDB cannot rename a database; restore into a new name"
            )
        restored = _restore_mariadb(_server(project, opened.manifest, order), opened, order, report)
    else:
        restored = _restore_postgres(project, opened, order, report)
    return restored.model_copy(update={"seconds": time.monotonic() - began})


def _restore_postgres(
    project: Project, opened: Opened, order: RestoreOrder, report: Report, *, keep: bool = True
) -> Restored:
    manifest, owners = opened.manifest, not order.no_owner
    url = _server(project, manifest, order)
    with administration(url) as admin:
        pg.drop_leftovers(admin)
        if keep:
            _claim(admin, order)
        pg.require(admin, manifest, with_owners=owners)
        wanted = opened.contents()
        pieces = opened.dump(opened.told(report, "restoring"))
        with (
            spooled(pieces, project.state_dir, manifest.content_bytes, order.jobs) as spool,
            pg.temporary_database(admin, manifest.properties) as name,
        ):
            made = with_database(url, name)
            pg.fill(made, admin.info.server_version // 10000, spool or pieces, with_owners=owners)
            filled = time.monotonic()
            found, same = _looked_at(opened, made, wanted, report)
            told, notes = pg.compared(made, wanted, found, manifest, with_owners=owners, same_rows=same)
            _refuse(manifest, told)
            compare_seconds = time.monotonic() - filled
            kept = ""
            if keep:
                pg.give_properties(admin, name, manifest.properties, with_owners=owners)
                if order.swap:
                    _prepare_swap(project, url, order.into, made)
                kept = pg.put_in_place(admin, name, order.into, swap=order.swap)
            else:
                pg.drop(admin, name)
    return Restored(
        id=manifest.id, database=order.into, kept=kept, tables=len(found.tables), rows=found.rows, seconds=0,
        compare_seconds=compare_seconds, notes=tuple(notes),
    )  # fmt: skip


def _looked_at(opened: Opened, made: str, wanted: Contents, report: Report) -> tuple[Contents, Names]:
    """Return what is in a new database, and the tables whose rows are all there, but in another order.

    Equal hashes are equal rows, as many as were counted when they were backed up. Where hashes differ both sides are
    read once more, row by row.
    """
    found = pg.contents_of(made, opened.told(report, "comparing"))
    doubtful = suspects(wanted, found)
    rows = {(each.schema_name, each.name): UNKNOWN_ROWS for each in found.tables}
    rows |= {(each.schema_name, each.name): each.rows for each in wanted.tables}
    if not doubtful:
        return found.with_rows(rows), doubtful
    counting = ArchiveReader(Look.ROWS)
    for piece in opened.dump(lambda done: None):
        counting.feed(piece)
    before = {(each.schema_name, each.name): each.checksum for each in counting.finish().tables}
    now = pg.contents_of(made, opened.told(report, "comparing rows"), Look.ROWS)
    after = {(each.schema_name, each.name): each for each in now.tables}
    rows |= {name: after[name].rows for name in doubtful}
    return found.with_rows(rows), frozenset(name for name in doubtful if before[name] == after[name].checksum)


def _claim(admin: WatchedConnection, order: RestoreOrder) -> None:
    """Refuse at once what would be refused at the end."""
    if pg.exists(admin, order.into) and not order.swap:
        raise ConflictError(
            f"there is a database {order.into} already, and a restore never writes into one; choose another name, or"
            " put it in its place with --swap, which keeps the old one under another name"
        )
    if order.swap and admin.info.dbname == order.into:
        raise ConfigError(
            f"the database {order.into} belongs to the server itself; restore into another name"
        )
    if not try_lock(admin, f"into {order.into}"):
        raise ConflictError(f"another restore into {order.into} is under way")


def _prepare_swap(project: Project, url: str, name: str, made: str) -> None:
    """Statistics for the planner, and, if the warehouse itself is swapped, today's catalogue and credentials."""
    with connect(made, component="backups") as connection, translated("backups"):
        connection.execute("ANALYZE")
        warehouse = project.warehouse_url()
        if conninfo_to_dict(warehouse) == conninfo_to_dict(with_database(url, name)):
            with connect(warehouse, component="backups") as old:
                copy_rows(old, connection)
                carry_over(old, connection)


def _restore_mariadb(url: str, opened: Opened, order: RestoreOrder, report: Report) -> Restored:
    manifest = opened.manifest
    wanted = opened.contents()
    pieces = opened.dump(opened.told(report, "restoring"))
    with mariadb.restoring(url, order.into, manifest.properties) as program:
        with contextlib.suppress(BrokenPipeError):
            for piece in pieces:
                program.stdin.write(piece)
        program.wait()
        with mariadb.dumping(mariadb.renamed(url, order.into), without=mariadb.UNFINISHED) as dump:
            while piece := dump.program.stdout.read(FRAME_BYTES):
                dump.reader.feed(piece)
            found = dump.finish()
        _refuse(manifest, differences(wanted, found))
    return Restored(
        id=manifest.id, database=order.into, tables=len(found.tables), rows=found.rows, seconds=0,
    )  # fmt: skip


def _refuse(manifest: Manifest, told: list[str]) -> None:
    if told:
        raise DamagedBackupError(
            f"what was restored from {manifest.id} differs from what was backed up, and was dropped: {summary(told)}"
        )


def _server(project: Project, manifest: Manifest, order: RestoreOrder) -> str:
    named = order.server or manifest.source
    if named:
        source = source_of(named, project)
        if source.engine is not manifest.engine:
            raise ConfigError(f"the backup is of {manifest.engine}, and the server is {source.engine}")
        return source.url
    return project.warehouse_url()


def _url(server: str) -> ConnectionUrl | Literal[""]:
    return ConnectionUrl(server) if server else ""
