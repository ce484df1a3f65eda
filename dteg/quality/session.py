"""A read-only connection on which a failing query harms no other."""

import contextlib
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from dteg.core.errors import ConfigError, TransientError
from dteg.core.liveness import IDLE_TIMEOUT_S, KEEPALIVES, WatchedConnection
from dteg.core.secrets import redact
from dteg.quality.catalogue import Connection
from dteg.quality.compiler import Query

CONNECT_TIMEOUT_S = 15

K = TypeVar("K", bound=Hashable)
P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a query gave no answer, in words that hold no row's value.

    Attributes:
        reason: The end of a sentence.
        final: Whether asking for less at a time is pointless.
    """

    reason: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """One snapshot of the database.

    Attributes:
        connection: In a read-only transaction.
        timeout_s: Longest time of one statement.
    """

    connection: Connection
    timeout_s: float

    def ask(self, query: Query) -> list[tuple[Any, ...]] | Refusal:
        """Return the rows, or why there are none.

        Raises:
            TransientError: The connection is gone.
        """
        try:
            with self.connection.transaction():
                return self.connection.execute(query.text, query.values).fetchall()
        except psycopg.errors.QueryCanceled:
            return Refusal(f"it was cancelled; one query may take {self.timeout_s:g} s", final=True)
        except psycopg.Error as error:
            if self.connection.closed:
                raise _lost(error) from None
            # Its text may hold a value of a row, so only its kind is told.
            row_error = Refusal(f"PostgreSQL stopped at a row with {type(error).__name__} ({error.sqlstate})")
        return self.plan_refusal(query) or row_error

    def ask_together(self, parts: Mapping[K, P], build: Callable[[list[P]], Query]) -> dict[K, Any]:
        """Return one value per part from one query for all of them.

        If the server refuses the query, the parts it cannot plan are left out; if it stops at a
        row, each part is asked alone. `build` makes a query with one row and a column per part.
        """
        answer = self.ask(build(list(parts.values())))
        if not isinstance(answer, Refusal):
            return dict(zip(parts, answer[0], strict=True))
        if answer.final or len(parts) == 1:
            return dict.fromkeys(parts, answer)
        refusals = {key: self.plan_refusal(build([part])) for key, part in parts.items()}
        refused: dict[K, Any] = {key: refusal for key, refusal in refusals.items() if refusal}
        groups = [[key for key in parts if key not in refused]] if refused else [[key] for key in parts]
        for group in filter(None, groups):
            refused |= self.ask_together({key: parts[key] for key in group}, build)
        return refused

    def plan_refusal(self, query: Query) -> Refusal | None:
        """Return why the server cannot even plan a query, in words that come from the rule, not from rows."""
        try:
            with self.connection.transaction():
                self.connection.execute(_explain(query), query.values)
        except psycopg.errors.QueryCanceled:
            return None
        except psycopg.Error as error:
            if self.connection.closed:
                raise _lost(error) from None
            return Refusal(f"PostgreSQL says: {error.diag.message_primary or type(error).__name__}")
        return None


def _explain(query: Query) -> sql.Composed:
    return sql.SQL("EXPLAIN {}").format(query.text)


@contextlib.contextmanager
def read_only_session(url: str, timeout_s: float) -> Iterator[Session]:
    """Open a session: read only, one snapshot for all its queries, UTC, every statement limited in time.

    Raises:
        ConfigError: The URL cannot be read.
        TransientError: The server does not answer or the connection breaks.
    """
    try:
        options = conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise ConfigError(f"not a PostgreSQL URL: {redact(str(error), url)}") from None
    options = {"connect_timeout": CONNECT_TIMEOUT_S, **KEEPALIVES, **options}

    def connect() -> WatchedConnection:
        # All options are libpq's, none is a parameter of `connect` itself.
        return WatchedConnection.connect(prepare_threshold=None, **options)  # type: ignore[arg-type]

    try:
        with connect() as connection:
            # The server ends a statement that takes too long; the second limit is for one that forgets to.
            connection.watch(connect, IDLE_TIMEOUT_S, timeout_s + IDLE_TIMEOUT_S)
            connection.rollback()
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.execute(
                "SELECT set_config('statement_timeout', %s, true), set_config('timezone', 'UTC', true), "
                "set_config('datestyle', 'ISO, YMD', true)",
                [str(max(1, round(timeout_s * 1000)))],
            )
            yield Session(connection, timeout_s)
    except psycopg.OperationalError as error:
        raise _lost(error) from None


def _lost(error: psycopg.Error) -> TransientError:
    return TransientError(f"PostgreSQL cannot be reached: {redact(str(error).strip())}", component="quality")
