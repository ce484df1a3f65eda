"""What listening installs in a database, and whether it still works."""

import contextlib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors as pg_errors
from psycopg import sql
from psycopg.rows import dict_row

from dteg.core.errors import ConfigError, ConflictError, DeniedError
from dteg.core.identifiers import TableName
from dteg.core.queries import first_value
from dteg.schema_changes.sql import CAPTURE

CHANNEL = "dteg_schema_changes"
LOCK_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Health:
    """How capture stands in a database.

    Attributes:
        installation: Which one it is; None if its tables are not there.
        failures: Statements that could not be captured.
        notifies: Whether a commit wakes readers.
        problem: What is wrong; empty if nothing is.
        replaced: The database is another one than that in which capture was installed.
    """

    installation: uuid.UUID | None
    failures: int = 0
    notifies: bool = True
    problem: str = ""
    replaced: bool = False


class Capture:
    """Capture in one database.

    Args:
        connection: A connection to it in autocommit mode.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self.database = connection.info.dbname

    def install(self, installation: uuid.UUID, *, keeps_text: bool, truncate: Sequence[TableName]) -> None:
        """Put tables, functions and triggers into the database; what is there already is brought up to date.

        Args:
            installation: What tells this one from earlier ones.
            keeps_text: Whether the text of statements is kept.
            truncate: Tables whose TRUNCATE is captured; those of earlier calls are no more.

        Raises:
            DeniedError: Only a superuser may make event triggers.
            ConfigError: A table of `truncate` does not exist.
            ConflictError: A table is locked by somebody for longer than `LOCK_TIMEOUT_S`.
        """
        if not first_value(self._connection, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
            raise DeniedError(
                f"event triggers in {self.database} can only be made by a superuser; connect as one, or listen by "
                "looking at the catalogue alone: dteg listen --snapshot-only"
            )
        values = {"installation": installation, "keeps_text": keeps_text}
        with self._patiently():
            self._connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('_dteg', 0))")
            self._connection.execute(CAPTURE["remove_triggers"])  # or what follows would be captured
            self._connection.execute(CAPTURE["tables"])
            if installation != self.health().installation:
                self._connection.execute("DELETE FROM _dteg.schema_events")
            self._connection.execute(CAPTURE["register"], values)
            self._connection.execute(CAPTURE["functions"])
            self._set_truncate(truncate)
            self._connection.execute(CAPTURE["triggers"])

    def start_anew(self, installation: uuid.UUID) -> None:
        """Forget all events: they are those of another database, of which this one is a copy."""
        with self._connection.transaction():
            self._connection.execute("DELETE FROM _dteg.schema_events")
            self._connection.execute(
                "UPDATE _dteg.schema_listener SET installation = %s,"
                " database = (SELECT oid FROM pg_database WHERE datname = current_database())",
                [installation],
            )

    def _set_truncate(self, tables: Sequence[TableName]) -> None:
        there = {TableName(*row) for row in self._connection.execute(CAPTURE["truncate_triggers"]).fetchall()}
        for table in there - set(tables):
            self._connection.execute(sql.SQL("DROP TRIGGER dteg_truncate ON {}").format(table.identifier))
        for table in set(tables) - there:
            make = sql.SQL(
                "CREATE TRIGGER dteg_truncate AFTER TRUNCATE ON {0} FOR EACH STATEMENT"
                " EXECUTE FUNCTION _dteg.capture_truncate(); ALTER TABLE {0} ENABLE ALWAYS TRIGGER dteg_truncate"
            ).format(table.identifier)
            try:
                self._connection.execute(make)
            except (pg_errors.UndefinedTable, pg_errors.WrongObjectType) as error:
                raise ConfigError(f"--truncate {table}: there is no such table in {self.database}") from error

    def stop(self) -> None:
        """Remove the triggers; events that were captured stay to be read.

        Raises:
            ConflictError: Somebody holds a lock and does not end.
        """
        with self._patiently():
            self._connection.execute(CAPTURE["remove_triggers"])
            self._set_truncate([])

    def remove(self) -> None:
        """Remove everything.

        Raises:
            ConflictError: Somebody changes the schema at this moment and does not end.
        """
        with self._patiently():
            self._connection.execute(CAPTURE["remove"])

    @contextlib.contextmanager
    def _patiently(self) -> Iterator[None]:
        """Run a transaction that waits for locks, but keeps nobody waiting behind it for long."""
        try:
            with self._connection.transaction():
                self._connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'".encode())
                yield
        except pg_errors.LockNotAvailable as error:
            raise ConflictError(
                f"a transaction in {self.database} holds a lock for longer than {LOCK_TIMEOUT_S} s; end it, or try again"
            ) from error

    def health(self) -> Health:
        """Ask how it stands."""
        with self._connection.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(CAPTURE["health"]).fetchone()
            assert row is not None
            if not row["has_tables"]:
                return Health(None, problem="what dteg had installed is gone; listen again: dteg listen")
            listener = cursor.execute(CAPTURE["listener"]).fetchone()
        if listener is None:
            return Health(None, problem="what dteg had installed is damaged; listen again: dteg listen")
        problem = (
            ""
            if row["triggers"] == 2
            else "its event triggers are gone or disabled; listen again: dteg listen"
        )
        return Health(
            listener["installation"],
            int(listener["failures"]),
            row["notifies"],
            problem,
            replaced=listener["database"] != row["database"],
        )
