"""Backups of databases: made, listed, verified, restored and pruned."""

from datetime import UTC
from typing import Self

from dteg.alerts import Kind, Occurrence, Severity, State
from dteg.alerts import report as alert
from dteg.backups.catalogue import Catalogue
from dteg.backups.creation import create, described
from dteg.backups.jobs import Jobs
from dteg.backups.keys import KeyRing
from dteg.backups.locks import server_lock
from dteg.backups.models import (
    Backup,
    Job,
    JobKind,
    Keep,
    Manifest,
    NewBackup,
    Pruned,
    Restored,
    RestoreOrder,
    Verified,
)
from dteg.backups.progress import Report, silent
from dteg.backups.reading import read_manifest
from dteg.backups.restoration import Opened, restore, verify, verify_by_restore
from dteg.backups.retention import plan
from dteg.backups.targets import Target, open_target, slug_of
from dteg.core.clock import utc_now
from dteg.core.errors import ConfigError, DtegError, NotFoundError
from dteg.core.project import Project


class Backups:
    """The backups of one project.

    Args:
        project: Whose warehouse keeps the catalogue, and whose databases are backed up.
        keys: To encrypt and sign with; default: this user's.
    """

    def __init__(self, project: Project, keys: KeyRing | None = None) -> None:
        self._project = project
        self._keys = keys or KeyRing()
        self._catalogue = Catalogue(project)
        self._jobs = Jobs(project)

    @classmethod
    def of(cls, project: Project) -> Self:
        """Return the backups of a project."""
        return cls(project)

    # --- work that takes a while --------------------------------------------------------------------

    def create(self, order: NewBackup, report: Report = silent) -> Backup:
        """Back a database up.

        Raises:
            ConflictError: Another backup of the same database is under way.
            DtegError: It failed; nothing of it is left.
        """
        return self._jobs.run(JobKind.CREATE, _subject(order), lambda told: self._create(order, told), report)

    def restore(self, order: RestoreOrder, report: Report = silent) -> Restored:
        """Make a database from a backup.

        Raises:
            ConflictError: There is a database of that name, and it shall not be swapped.
            DamagedBackupError: The backup is not what was written, or what was restored differs.
        """
        return self._jobs.run(JobKind.RESTORE, order.id, lambda told: self._restore(order, told), report)

    def verify(
        self, backup_id: str, *, restore: bool = False, source: str = "", key: str = "", server: str = "",
        report: Report = silent,
    ) -> Verified:  # fmt: skip
        """Read a backup whole and compare it with its signed manifest; on wish restore it and compare all rows, too.

        Args:
            backup_id: Which one.
            restore: Whether to restore it into a database of its own, which is dropped again.
            source: Where it lies; default: where the catalogue says.
            key: What opens it, as a secret reference; default: the project's key.
            server: Where to restore a backup of another server; default: where it came from.
            report: Is told how far it is.

        Raises:
            DamagedBackupError: Something differs.
        """

        def work(told: Report) -> Verified:
            return self._verify(backup_id, source, key, server, told, by_restore=restore)

        return self._jobs.run(JobKind.VERIFY, backup_id, work, report)

    def start_create(self, order: NewBackup) -> Job:
        """Begin a backup and return its job at once."""
        return self._jobs.start(JobKind.CREATE, _subject(order), lambda told: self._create(order, told))

    def start_restore(self, order: RestoreOrder) -> Job:
        """Begin a restore and return its job at once."""
        return self._jobs.start(JobKind.RESTORE, order.id, lambda told: self._restore(order, told))

    def start_verify(
        self, backup_id: str, *, restore: bool = False, source: str = "", key: str = "", server: str = ""
    ) -> Job:
        """Begin a verification and return its job at once; see `verify`."""
        if not source:
            self.get(backup_id)

        def work(told: Report) -> Verified:
            return self._verify(backup_id, source, key, server, told, by_restore=restore)

        return self._jobs.start(JobKind.VERIFY, backup_id, work)

    def job(self, job_id: str) -> Job:
        """Return one job."""
        return self._jobs.get(job_id)

    def jobs(self, limit: int = 20) -> list[Job]:
        """Return the newest jobs, those of other processes too."""
        return self._jobs.recent(limit)

    # --- looking -----------------------------------------------------------------------------------

    def all(self, database: str = "", *, after: str = "", limit: int | None = None) -> list[Backup]:
        """Return the backups of the catalogue, the newest first.

        Args:
            database: Of this database only.
            after: Those that follow this id.
            limit: At most so many.
        """
        return self._catalogue.all(database, after=after, limit=limit)

    def get(self, backup_id: str) -> Backup:
        """Return one backup of the catalogue.

        Raises:
            NotFoundError: There is none.
        """
        return self._catalogue.get(backup_id)

    def manifest(self, backup_id: str) -> Manifest:
        """Return what a backup says of itself, after its signature was found good."""
        return read_manifest(self._target_of(backup_id, ""), backup_id, self._keys)

    def rebuild(self, uri: str) -> list[Backup]:
        """Read the manifests at a target into the catalogue, and return what is there, the newest first.

        Rows of backups that lie no longer there are removed.
        """
        target = open_target(uri, self._project)
        manifests = [read_manifest(target, each, self._keys) for each in target.ids()]
        self._catalogue.save(*(described(each, target.uri) for each in manifests))
        ids = {each.id for each in manifests}
        known = [each for each in self._catalogue.all() if each.target == target.uri]
        self._catalogue.forget(each.id for each in known if each.id not in ids)
        return [each for each in known if each.id in ids]

    def public_key(self) -> str:
        """Return the key that others need to trust these backups; empty before the first one."""
        return self._keys.public_key()

    # --- pruning -------------------------------------------------------------------------------------

    def prune(self, keep: Keep | None = None, *, database: str = "", dry_run: bool = False) -> Pruned:
        """Delete backups that need not be kept; never the newest one, nor the last that was verified.

        Args:
            keep: How many of each age; default: see `Keep`.
            database: Of this database only.
            dry_run: Only say what would go.
        """
        now = utc_now().astimezone()  # days begin where this machine is
        backups = self._catalogue.all(database)
        planned = plan(backups, keep or Keep(), now, now.tzinfo or UTC)
        by_id = {backup.id: backup for backup in backups}
        gone = tuple(by_id[each] for each in planned.delete)
        if not dry_run:
            for backup in gone:
                self._delete(backup)
        return Pruned(dry_run=dry_run, deleted=gone, kept=planned.keep)

    def _delete(self, backup: Backup) -> None:
        target, slug = open_target(backup.target, self._project), slug_of(backup.database)
        with server_lock(self._project, f"{target.uri} {slug}"), target.lock(slug):
            if backup.id in target.ids():
                target.remove(backup.id)
            target.clean(slug)
        self._catalogue.forget([backup.id])

    # --- how -----------------------------------------------------------------------------------------

    def _create(self, order: NewBackup, report: Report) -> Backup:
        subject = _subject(order)
        try:
            backup = create(self._project, order, self._keys, report)
        except DtegError as error:
            if not isinstance(error, ConfigError | NotFoundError) or self._was_backed_up(order):
                self._alert(
                    f"create {subject}",
                    State.FIRING,
                    f"the backup of {subject} failed: {error}",
                    database=subject,
                )
            raise
        self._alert(
            f"create {subject}", State.RESOLVED, f"{subject} was backed up", database=subject, id=backup.id
        )
        return backup

    def _was_backed_up(self, order: NewBackup) -> bool:
        """Return whether this ever worked: a name that somebody mistyped would be in trouble for ever."""
        return any(order.database in (each.database, each.source) for each in self._catalogue.all())

    def _restore(self, order: RestoreOrder, report: Report) -> Restored:
        opened = self._open(order.id, order.source, order.key)
        return restore(self._project, opened, order, report)

    def _verify(
        self, backup_id: str, source: str, key: str, server: str, report: Report, *, by_restore: bool
    ) -> Verified:
        subject = f"verify {backup_id.rsplit('-', 2)[0]}"
        try:
            opened = self._open(backup_id, source, key)
            done = verify(opened, report)
            if by_restore:
                done = verify_by_restore(self._project, opened, server, report)
        except NotFoundError:
            raise
        except DtegError as error:
            self._alert(subject, State.FIRING, f"backup {backup_id} is not good: {error}", id=backup_id)
            raise
        self._catalogue.save(described(opened.manifest, opened.target.uri))
        self._catalogue.mark(backup_id, utc_now(), restored=by_restore)
        self._alert(subject, State.RESOLVED, f"backup {backup_id} is good", id=backup_id)
        return done

    def _open(self, backup_id: str, source: str, key: str) -> Opened:
        target = self._target_of(backup_id, source)
        manifest = read_manifest(target, backup_id, self._keys)
        return Opened(target, manifest, self._keys.data_key(manifest, key))

    def _target_of(self, backup_id: str, source: str) -> Target:
        return open_target(source or self._catalogue.get(backup_id).target, self._project)

    def _alert(self, subject: str, state: State, message: str, **details: str) -> None:
        severity = Severity.ERROR if state is State.FIRING else Severity.INFO
        alert(
            self._project,
            Occurrence(kind=Kind.BACKUP, subject=subject, state=state, severity=severity, message=message, details=details),
        )  # fmt: skip


def _subject(order: NewBackup) -> str:
    """Return the database's name for people; a URL keeps only its last part."""
    return order.database.rpartition("/")[2] if "://" in order.database else str(order.database)
