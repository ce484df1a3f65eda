"""Running one statement where it cannot write: a read-only transaction that is rolled back, with limits."""

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
from psycopg.pq import TransactionStatus

from dteg.core.errors import TransientError
from dteg.core.postgres import translate
from dteg.core.secrets import redact

if TYPE_CHECKING:
    import pymysql

COMPONENT = "metadata"
_LOCK_TIMEOUT_MS = 1_000
_READER = """
SELECT CASE WHEN to_regrole('pg_read_all_data') IS NULL THEN false
    WHEN current_setting('server_version_num')::int >= 160000
    THEN pg_has_role('pg_read_all_data', 'SET') ELSE pg_has_role('pg_read_all_data', 'MEMBER') END
"""
# Of MySQL: the server has gone away.
_LOST = (2006, 2013, 2014)
# Errors that say nothing about the statement: the connection, the server.
_NOT_OURS = (psycopg.errors.AdminShutdown, psycopg.errors.CrashShutdown, psycopg.errors.TooManyConnections)


@dataclass(frozen=True)
class Limits:
    """How far a statement may go.

    Attributes:
        rows: Rows of the result that are read.
        timeout_s: For each of planning and running (s).
        run: Run it; otherwise it is only planned.
    """

    rows: int = 100
    timeout_s: float = 5.0
    run: bool = True


@dataclass(frozen=True)
class Result:
    """The result of a statement.

    Attributes:
        columns: Their names.
        rows: As Python values.
        runtime_ms: From asking for it until it was there.
    """

    columns: list[str]
    rows: list[tuple[Any, ...]]
    runtime_ms: float = 0.0

    def dicts(self) -> list[dict[str, Any]]:
        """Return the rows by name of the column, in small letters."""
        names = [name.lower() for name in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class Ran:
    """What came of a statement.

    Attributes:
        problem: What the server said against it; empty if it ran.
        columns: Names of the result.
        rows: Values as text, one row more than the limit if there are more.
        runtime_ms: Of running it, without planning.
    """

    problem: str = ""
    columns: list[str] = field(default_factory=list)
    rows: list[list[str | None]] = field(default_factory=list)
    runtime_ms: float = 0.0


class Prober(Protocol):
    """Runs statements that the gate has looked at."""

    def run(self, sql: str, limits: Limits) -> Ran:
        """Plan a query, then run it.

        Raises:
            TransientError: The server does not answer.
        """
        ...


class PostgresProber:
    """PostgreSQL: as `pg_read_all_data` where that is allowed, which can write nothing and read no files.

    Args:
        connection: In autocommit mode; left as it was.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        row = connection.execute(_READER.encode()).fetchone()
        self._as_reader = bool(row and row[0])

    def run(self, sql: str, limits: Limits) -> Ran:
        """See `Prober.run`."""
        try:
            with self.read_only(limits):
                self._connection.execute(f"EXPLAIN {sql}".encode(), prepare=True)
                if not limits.run:
                    return Ran()
                began = time.monotonic()
                text = f"SELECT * FROM ({sql}\n) AS dteg_q LIMIT {limits.rows + 1}"  # noqa: S608 - checked by the gate
                # A prepared statement is one statement, whatever the text holds.
                cursor = self._connection.execute(text.encode(), prepare=True)
                took = (time.monotonic() - began) * 1000
                columns = [column.name for column in cursor.description or ()]
                return Ran(columns=columns, rows=_as_sent(cursor), runtime_ms=round(took, 2))
        except _NOT_OURS as error:
            raise translate(error, COMPONENT) from None
        except psycopg.errors.QueryCanceled:
            return Ran(f"it takes longer than {limits.timeout_s:g} s")
        except psycopg.Error as error:
            if error.sqlstate is None or error.sqlstate.startswith("08"):
                raise translate(error, COMPONENT) from None
            return Ran(str(translate(error, COMPONENT)))

    @contextlib.contextmanager
    def read_only(self, limits: Limits) -> Iterator[None]:
        """Give a transaction that cannot write and is rolled back."""
        connection = self._connection
        connection.execute("BEGIN READ ONLY")
        try:
            settings = (
                f"SET LOCAL statement_timeout = {int(limits.timeout_s * 1000)}; "
                f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}; "
                # Nobody's function can pass for one of the server's.
                "SET LOCAL search_path = pg_catalog; SET LOCAL standard_conforming_strings = on; "
                "SET LOCAL max_parallel_workers_per_gather = 0"
            )
            connection.execute(settings.encode())
            if self._as_reader:
                connection.execute("SET LOCAL ROLE pg_read_all_data")
            yield
        finally:
            if connection.info.transaction_status is not TransactionStatus.UNKNOWN:
                connection.execute("ROLLBACK")


class MysqlProber:
    """MySQL or MariaDB.

    Args:
        connection: In autocommit mode.
    """

    def __init__(self, connection: "pymysql.Connection[Any]") -> None:
        self._connection = connection
        self._is_mariadb = "mariadb" in connection.get_server_info().lower()

    def run(self, sql: str, limits: Limits) -> Ran:
        """See `Prober.run`."""
        import pymysql

        try:
            with self.read_only(limits.timeout_s) as cursor:
                cursor.execute(f"EXPLAIN {sql}")
                if not limits.run:
                    return Ran()
                began = time.monotonic()
                cursor.execute(f"SELECT * FROM ({sql}\n) AS dteg_q LIMIT {limits.rows + 1}")  # noqa: S608 - checked by the gate
                took = (time.monotonic() - began) * 1000
                columns = [str(each[0]) for each in cursor.description or ()]
                rows = texts(cursor.fetchall(), lambda value: value.decode("utf-8", "replace"))
                return Ran(columns=columns, rows=rows, runtime_ms=round(took, 2))
        except pymysql.err.MySQLError as error:
            if error.args and error.args[0] in _LOST:
                raise TransientError("MySQL went away", component=COMPONENT) from None
            return Ran(redact(str(error.args[-1] if error.args else error)))

    @contextlib.contextmanager
    def read_only(self, timeout_s: float) -> Iterator[Any]:
        """Give a cursor of a transaction that cannot write and is rolled back."""
        limit = (
            f"SET SESSION max_statement_time = {timeout_s}"
            if self._is_mariadb
            else f"SET SESSION max_execution_time = {int(timeout_s * 1000)}"
        )
        with self._connection.cursor() as cursor:
            cursor.execute(limit)
            cursor.execute("START TRANSACTION READ ONLY")
            try:
                yield cursor
            finally:
                with contextlib.suppress(Exception):  # a connection that is gone has nothing to roll back
                    self._connection.rollback()


def _as_sent(cursor: psycopg.Cursor[Any]) -> list[list[str | None]]:
    """Return the values as the server writes them."""
    result = cursor.pgresult
    assert result is not None
    width = range(result.nfields)
    values = [[result.get_value(row, column) for column in width] for row in range(result.ntuples)]
    return [[None if value is None else value.decode("utf-8", "replace") for value in row] for row in values]


def texts(
    rows: Iterable[Sequence[Any]], of_bytes: Callable[[bytes], str] = bytes.hex
) -> list[list[str | None]]:
    """Return values of a driver as people read them."""
    return [[None if value is None else _text(value, of_bytes) for value in row] for row in rows]


def _text(value: Any, of_bytes: Callable[[bytes], str]) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes | bytearray):
        return of_bytes(bytes(value))
    if isinstance(value, dict | list):
        return json.dumps(value, default=str, ensure_ascii=False)
    return str(value)
