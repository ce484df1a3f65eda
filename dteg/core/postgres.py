"""Connections to PostgreSQL, and its errors in our words."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import errors as pg_errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dteg.core.errors import ConfigError, DtegError, PermanentError, TransientError
from dteg.core.liveness import IDLE_TIMEOUT_S, KEEPALIVES, STATEMENT_TIMEOUT_S, WatchedConnection
from dteg.core.secrets import redact

APPLICATION_NAME = "dteg"
CONNECT_TIMEOUT_S = 15
# What the text of a value looks like must not depend on the server's or the role's settings.
SESSION_SETTINGS = {
    "timezone": "UTC",
    "datestyle": "ISO,YMD",
    "intervalstyle": "iso_8601",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "client_min_messages": "warning",
}

# The server, too, notices within half a minute that we are gone, and gives the locks of the session back.
SERVER_KEEPALIVES = {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "4"}

# psycopg warns of a COPY that could not end because its connection broke; our error says that and more.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

# Classes of SQLSTATE where the same statement may succeed a moment later.
_TRANSIENT_STATES = frozenset(
    {
        "08000", "08001", "08003", "08004", "08006", "08P01",  # connection
        "40001", "40P01",  # serialization, deadlock
        "53000", "53300", "53400",  # too many connections and the like, but not a full disk
        "55P03",  # lock not available
        "57P01", "57P02", "57P03", "57P05",  # shutdown, crash, starting up, idle session
    }
)  # fmt: skip


def connect(
    url: str,
    *,
    component: str = "postgres",
    idle_timeout_s: float = IDLE_TIMEOUT_S,
    statement_timeout_s: float = STATEMENT_TIMEOUT_S,
    lock_timeout_s: float = 0,
) -> WatchedConnection:
    """Open an autocommit connection whose session speaks UTC and ISO dates; no wait on it is without an end.

    Args:
        url: The server and database.
        component: Who asks, for errors.
        idle_timeout_s: Silence after which the server is asked whether it still works for us.
        statement_timeout_s: Longest time of one statement, even if it does.
        lock_timeout_s: Longest wait for a lock on a table; 0 is as long as the statement may take.

    Raises:
        TransientError: The server does not answer or is full.
        PermanentError: It refuses us.
    """
    settings = {**SESSION_SETTINGS, **SERVER_KEEPALIVES, "lock_timeout": str(int(lock_timeout_s * 1000))}
    options: dict[str, Any] = {
        "application_name": APPLICATION_NAME,
        "client_encoding": "utf8",
        "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
        **KEEPALIVES,
    }
    if "connect_timeout=" not in url:
        options["connect_timeout"] = CONNECT_TIMEOUT_S

    def open_() -> WatchedConnection:
        return WatchedConnection.connect(url, autocommit=True, **options)

    with translated(component):
        connection = open_()
        connection.watch(open_, idle_timeout_s, statement_timeout_s)
        return connection


def parts_of(url: str) -> dict[str, str]:
    """Return what a URL or connection string says, by libpq's names.

    Raises:
        ConfigError: It is none; the message does not repeat it, for it may hold a password.
    """
    try:
        return {key: str(value) for key, value in conninfo_to_dict(url).items()}
    except psycopg.ProgrammingError:
        raise ConfigError("the URL of the database cannot be read") from None


def with_database(url: str, name: str) -> str:
    """Return how to reach another database of the same server; see `parts_of`."""
    return make_conninfo(**{**parts_of(url), "dbname": name})


def database_of(url: str) -> str:
    """Return the database that a URL or connection string names; see `parts_of`."""
    parts = parts_of(url)
    return parts.get("dbname") or parts.get("user") or "postgres"


@contextlib.contextmanager
def translated(component: str, stream: str = "") -> Iterator[None]:
    """Raise ours for psycopg's errors, sorted into transient and permanent."""
    try:
        yield
    except DtegError:
        raise
    except psycopg.Error as error:
        raise translate(error, component, stream) from error


def translate(error: psycopg.Error, component: str, stream: str = "") -> DtegError:
    """Return our error for one of psycopg's."""
    message = _message(error)
    if error.sqlstate is None and isinstance(error, psycopg.OperationalError) and not _hopeless(message):
        return TransientError(redact(message), component=component, stream=stream)
    return error_for_state(error.sqlstate, message, component, stream)


def error_for_state(state: str | None, message: str, component: str, stream: str = "") -> DtegError:
    """Return our error for a SQLSTATE, whichever driver brought it."""
    kind = TransientError if state in _TRANSIENT_STATES else PermanentError
    return kind(redact(message), component=component, stream=stream)


_HOPELESS = (
    "password", "authentication", "does not exist", "could not translate host", "failed to resolve host",
    "pg_hba.conf", "permission denied for database", "not permitted to log in", "does not support SSL",
    "certificate", "invalid port number",
)  # fmt: skip


def _hopeless(message: str) -> bool:
    """Whether a failure without SQLSTATE, so from the client library, will not go away by itself."""
    return any(text in message for text in _HOPELESS)


def _message(error: psycopg.Error) -> str:
    diagnosis = error.diag
    if not diagnosis.message_primary:
        # libpq writes a line for each address it tried, and a question below it.
        return (
            "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
            or type(error).__name__
        )
    parts = [diagnosis.message_primary]
    # The detail of a constraint violation repeats the row's values, which may be private.
    if diagnosis.message_detail and not isinstance(error, pg_errors.IntegrityError):
        parts.append(diagnosis.message_detail)
    if isinstance(error, pg_errors.IntegrityError) and diagnosis.constraint_name:
        parts.append(f"constraint {diagnosis.constraint_name} of table {diagnosis.table_name}")
    if diagnosis.message_hint:
        parts.append(diagnosis.message_hint)
    return "; ".join(parts)
