"""One backup, from the snapshot to the row of the catalogue.

What each moment leaves behind if everything stops there: before `publish` a half backup under a name that is none,
which the next one cleans up; after it a whole one, which `dteg backups --to` finds even if its row is missing.
"""

import contextlib
import queue
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Self

import orjson

from dteg import __version__
from dteg.backups import mariadb, postgres
from dteg.backups.catalogue import Catalogue
from dteg.backups.contents import Contents
from dteg.backups.frames import FRAME_BYTES, FrameWriter
from dteg.backups.keys import KeyRing
from dteg.backups.locks import server_lock
from dteg.backups.mariadb import MariaDbDump
from dteg.backups.models import Backup, Engine, FileInfo, Manifest, NewBackup
from dteg.backups.postgres import PostgresDump
from dteg.backups.progress import Progress, Report, silent
from dteg.backups.sources import Source, source_of
from dteg.backups.targets import Draft, Target, open_target, slug_of
from dteg.core.clock import utc_now
from dteg.core.databases import require_database
from dteg.core.project import Project
from dteg.core.secrets import redact

_QUEUED_FRAMES = 8
_TOLD_WARNINGS = 50
_REPORT_EVERY_S = 0.25
Dump = PostgresDump | MariaDbDump


def create(project: Project, order: NewBackup, keys: KeyRing, report: Report = silent) -> Backup:
    """Make one backup.

    Args:
        project: Whose warehouse.
        order: What to back up, and how.
        keys: To encrypt and sign with.
        report: Is told how far it is.

    Raises:
        ConflictError: Another backup of the same database is under way.
        NotFoundError: There is no such database on the warehouse's server.
        DtegError: It failed; nothing of it is left.
    """
    source = source_of(order.database, project)
    if source.own:
        require_database(project, source.name)
    target = open_target(order.to, project)
    slug = slug_of(source.name)
    with server_lock(project, f"{target.uri} {slug}"), target.lock(slug):
        target.clean(slug)
        started_at = utc_now()
        backup_id = f"{slug}-{started_at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        data_key, encryption = keys.new_data_key(backup_id, order.key) if order.encrypt else (None, None)
        with _dumping(source) as dump, _draft(target, backup_id, dump.facts.size) as draft:
            written = _Written(draft, data_key)
            content_bytes = written.dump(dump, report)
            contents = dump.finish()
            written.contents(contents)
            report(Progress("publishing", content_bytes, content_bytes))
            manifest = _manifest(
                order, source, dump, contents=contents, written=written, id=backup_id, started_at=started_at,
                content_bytes=content_bytes, encryption=encryption,
            )  # fmt: skip
            draft.publish(orjson.dumps(keys.sign(manifest)))
    backup = described(manifest, target.uri)
    Catalogue(project).save(backup)
    return backup


def described(manifest: Manifest, target: str) -> Backup:
    """Return a backup as the catalogue lists it."""
    return Backup(
        id=manifest.id, database=manifest.database, engine=manifest.engine, target=target, source=manifest.source,
        started_at=manifest.started_at, finished_at=manifest.finished_at, bytes=manifest.bytes,
        content_bytes=manifest.content_bytes, tables=manifest.tables, rows=manifest.rows,
        encrypted=manifest.encryption is not None,
        key_id=manifest.encryption.key_id if manifest.encryption else "",
    )  # fmt: skip


def _dumping(source: Source) -> contextlib.AbstractContextManager[Dump]:
    if source.engine is Engine.MARIADB:
        return mariadb.dumping(source.url)
    return postgres.dumping(source.url)


@contextlib.contextmanager
def _draft(target: Target, backup_id: str, expected_bytes: int) -> Iterator[Draft]:
    draft = target.begin(backup_id, expected_bytes)
    try:
        yield draft
    except BaseException:
        draft.discard()
        raise


def _manifest(
    order: NewBackup, source: Source, dump: Dump, *, contents: Contents, written: "_Written", **known: Any
) -> Manifest:
    facts = dump.facts
    warnings = [*facts.warnings, *(redact(line) for line in dump.program.warnings)]
    return Manifest(
        database=source.name, engine=source.engine, source="" if source.own else str(order.database),
        server_version=facts.server_version, dump_version=dump.version, dteg_version=__version__,
        finished_at=utc_now(), files=tuple(written.files), tables=len(contents.tables), rows=contents.rows,
        properties=facts.properties, roles=facts.roles, extensions=facts.extensions,
        warnings=tuple(warnings[:_TOLD_WARNINGS]), **known,
    )  # fmt: skip


@dataclass
class _Written:
    """The files of a draft."""

    draft: Draft
    data_key: bytes | None

    def __post_init__(self) -> None:
        self.files: list[FileInfo] = []

    def dump(self, dump: Dump, report: Report) -> int:
        """Write what the program says, and return how many bytes that were."""
        with self._frames("data") as frames:
            return pumped(dump.program.stdout, frames, dump.reader.feed, report, dump.facts.size)

    def contents(self, contents: Contents) -> None:
        with self._frames("contents") as frames:
            frames.write(orjson.dumps(contents.model_dump(mode="json")))

    @contextlib.contextmanager
    def _frames(self, name: str) -> Iterator[FrameWriter]:
        with self.draft.file(name) as write:
            frames = FrameWriter(write, self.data_key)
            yield frames
        self.files.append(FileInfo(name=name, bytes=frames.num_bytes, sha256=frames.sha256))


def pumped(
    source: IO[bytes], frames: FrameWriter, feed: Callable[[bytes], None], report: Report, expected: int
) -> int:
    """Read a stream to its end into frames; return its bytes.

    One thread reads and counts, another one compresses, seals and writes: neither waits for the other until
    `_QUEUED_FRAMES` lie between them.
    """
    with _Packer(frames) as packer:
        total, reported = 0, time.monotonic()
        while piece := source.read(FRAME_BYTES):
            packer.put(piece)
            feed(piece)
            total += len(piece)
            if time.monotonic() - reported > _REPORT_EVERY_S:
                report(Progress("dumping", total, max(expected, total)))
                reported = time.monotonic()
        packer.end()
    return total


class _Packer:
    """Writes frames in a thread of its own; its errors come out here."""

    def __init__(self, frames: FrameWriter) -> None:
        self._frames = frames
        self._queue: queue.Queue[bytes | None] = queue.Queue(_QUEUED_FRAMES)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="packer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._thread.is_alive():  # we are leaving because of an error
            self._error = self._error or KeyboardInterrupt()
            self._put(None)
            self._thread.join()

    def put(self, piece: bytes) -> None:
        self._raise()
        self._put(piece)

    def end(self) -> None:
        self._put(None)
        self._thread.join()
        self._raise()

    def _put(self, piece: bytes | None) -> None:
        while self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._queue.put(piece, timeout=1)
                return

    def _raise(self) -> None:
        if self._error:
            raise self._error

    def _run(self) -> None:
        try:
            # The last frame says so, so each is written when the next one is there.
            held = self._queue.get()
            while held is not None and not self._error:
                following = self._queue.get()
                self._frames.frame(held, last=following is None)
                held = following
            if self._frames.number == 0:
                self._frames.frame(b"", last=True)
        except BaseException as error:  # noqa: BLE001 - raised in the other thread
            self._error = error
