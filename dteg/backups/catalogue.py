"""Which backups there are, as rows of `_dteg.backups`; the truth are the manifests at the targets."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from dteg.backups.models import Backup
from dteg.core.control import session
from dteg.core.errors import NotFoundError
from dteg.core.project import Project
from dteg.core.suggest import did_you_mean

_SAVE = """
INSERT INTO _dteg.backups (id, database, target, started_at, verified_at, restore_verified_at, backup)
VALUES (%(id)s, %(database)s, %(target)s, %(started_at)s, %(verified_at)s, %(restore_verified_at)s, %(backup)s)
ON CONFLICT (id) DO UPDATE SET target = excluded.target, backup = excluded.backup,
    verified_at = coalesce(backups.verified_at, excluded.verified_at),
    restore_verified_at = coalesce(backups.restore_verified_at, excluded.restore_verified_at)
"""
_ROWS = "SELECT backup, verified_at, restore_verified_at FROM _dteg.backups"


class Catalogue:
    """The rows of one project.

    Args:
        project: Whose warehouse keeps them.
    """

    def __init__(self, project: Project) -> None:
        self._project = project

    def save(self, *backups: Backup) -> None:
        """Add backups, or describe known ones anew; what was verified stays verified."""
        with session(self._project, "backups") as connection, connection.transaction():
            for backup in backups:
                connection.execute(
                    _SAVE, {**backup.model_dump(), "backup": Jsonb(backup.model_dump(mode="json"))}
                )

    def get(self, backup_id: str) -> Backup:
        """Return one.

        Raises:
            NotFoundError: There is none of that name; with the near miss.
        """
        with session(self._project, "backups") as connection:
            row = connection.execute(f"{_ROWS} WHERE id = %s".encode(), [backup_id]).fetchone()
            if row:
                return _backup(row)
            known = [name for (name,) in connection.execute("SELECT id FROM _dteg.backups").fetchall()]
        near = did_you_mean(backup_id, known) or "see: dteg backups"
        raise NotFoundError(f"there is no backup {backup_id}; {near}")

    def all(self, database: str = "", *, after: str = "", limit: int | None = None) -> list[Backup]:
        """Return backups, the newest first.

        Args:
            database: Of this database only; empty for all.
            after: Those that follow this id.
            limit: At most so many; None for all.
        """
        query = f"""{_ROWS} WHERE (%(database)s = '' OR database = %(database)s)
            AND (%(after)s = '' OR (started_at, id) < (SELECT started_at, id FROM _dteg.backups WHERE id = %(after)s))
            ORDER BY started_at DESC, id DESC LIMIT %(limit)s"""  # noqa: S608 - a constant
        with session(self._project, "backups") as connection:
            values = {"database": database, "after": after, "limit": limit}
            return [_backup(row) for row in connection.execute(query.encode(), values).fetchall()]

    def mark(self, backup_id: str, at: datetime, *, restored: bool) -> None:
        """Remember that a backup was found right."""
        query = "UPDATE _dteg.backups SET verified_at = %(at)s"
        query += ", restore_verified_at = %(at)s" if restored else ""
        with session(self._project, "backups") as connection:
            connection.execute(f"{query} WHERE id = %(id)s".encode(), {"id": backup_id, "at": at})

    def forget(self, ids: Iterable[str]) -> None:
        """Remove rows of backups that are no longer there."""
        with session(self._project, "backups") as connection:
            connection.execute("DELETE FROM _dteg.backups WHERE id = ANY(%s)", [list(ids)])


def copy_rows(source: psycopg.Connection[Any], target: psycopg.Connection[Any]) -> None:
    """Take the catalogue along when another database takes the warehouse's place."""
    from dteg.core.control import ensure

    ensure(source, "backups")
    ensure(target, "backups")
    for row in source.execute(_ROWS.encode()).fetchall():
        backup = _backup(row)
        target.execute(_SAVE, {**backup.model_dump(), "backup": Jsonb(backup.model_dump(mode="json"))})


def _backup(row: tuple[Any, ...]) -> Backup:
    document, verified_at, restore_verified_at = row
    return Backup.model_validate(
        {**document, "verified_at": verified_at, "restore_verified_at": restore_verified_at}
    )
