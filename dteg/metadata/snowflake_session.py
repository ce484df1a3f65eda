"""A session in Snowflake that can only read, and the gate's statements in it."""

import contextlib
import json
import math
import os
import re
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dteg.core.errors import MissingExtraError, PermanentError, TransientError
from dteg.core.secrets import redact
from dteg.metadata.clouds import SnowflakePlace
from dteg.metadata.probers import COMPONENT, Limits, Ran, Result, texts

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection

TAG = "dteg metadata"
TIMEOUT_S = 60.0
_LOGIN_TIMEOUT_S = 30
# `002003 (42S02): ` before, ` (request_id=...)` behind what the server says.
_HEAD = re.compile(r"^(?:\d{6} \(\w{5}\): |\d{6}: )+")
_TAIL = re.compile(r"\s*\(request_id=[^)]*\)\s*$")
# The statement was cancelled, by us or by its time limit.
_CANCELLED = (604, 630)
_LATER = re.compile(r"HTTP request failed|timed? ?out|refused|unavailable|connection", re.IGNORECASE)


class Session:
    """A connection as the role of the URL and no other one.

    Args:
        place: Where.

    Raises:
        MissingExtraError: The driver is not installed.
        TransientError: Snowflake does not answer.
        PermanentError: It does not let us in.
    """

    def __init__(self, place: SnowflakePlace) -> None:
        self.max_bytes = place.max_bytes
        with _translated(TIMEOUT_S):
            self._connection = _connected(place)
        self._timeout_s = math.inf
        try:
            # Roles that the user has besides would add what they may do.
            self.rows("USE SECONDARY ROLES NONE")
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        """End the session."""
        with contextlib.suppress(Exception):  # what is gone needs no ending
            self._connection.close()

    def rows(
        self, sql: str, values: Sequence[Any] = (), *, timeout_s: float = TIMEOUT_S, most: int | None = None
    ) -> Result:
        """Run one statement.

        Args:
            sql: With `%s` for each value, if there are values.
            values: Are written into it by the driver, quoted.
            timeout_s: Then Snowflake ends it (s).
            most: Rows that are read; all if None.

        Raises:
            PermanentError: It cannot run, or takes too long.
            TransientError: Snowflake does not answer.
        """
        with _translated(timeout_s), contextlib.closing(self._connection.cursor()) as cursor:
            self._limit(cursor, timeout_s)
            began = time.monotonic()
            cursor.execute(sql, tuple(values) or None)
            found = cursor.fetchall() if most is None else cursor.fetchmany(most)
            took = round((time.monotonic() - began) * 1000, 2)
            return Result(
                [each[0] for each in cursor.description or ()], [tuple(each) for each in found], took
            )

    def planned(self, sql: str, timeout_s: float = TIMEOUT_S) -> int:
        """Have a query planned without running it, which needs no warehouse.

        Returns:
            What it would read (bytes); 0 if the plan does not say.

        Raises:
            PermanentError: It cannot run.
            TransientError: Snowflake does not answer.
        """
        found = self.rows(f"EXPLAIN USING JSON {sql}", timeout_s=timeout_s)
        try:
            plan = json.loads(found.rows[0][0])
            return int(plan["GlobalStats"]["bytesAssigned"])
        except (IndexError, KeyError, TypeError, ValueError):
            return 0

    def refuse_large(self, sql: str, timeout_s: float = TIMEOUT_S) -> None:
        """Plan a query.

        Raises:
            PermanentError: It cannot run, or would read more than it may.
            TransientError: Snowflake does not answer.
        """
        if (size := self.planned(sql, timeout_s)) > self.max_bytes:
            raise PermanentError(
                f"it would read {size:,} bytes; max_bytes is {self.max_bytes:,}", component=COMPONENT
            )

    def _limit(self, cursor: Any, timeout_s: float) -> None:
        if timeout_s != self._timeout_s:
            seconds = max(1, math.ceil(timeout_s))
            cursor.execute(f"ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = {seconds}")
            self._timeout_s = timeout_s


class SnowflakeProber:
    """Runs statements of the gate: EXPLAIN, then a run within limits, as a role that may only read.

    Args:
        session: Of the database.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def run(self, sql: str, limits: Limits) -> Ran:
        """See `Prober.run`."""
        try:
            self._session.refuse_large(sql, limits.timeout_s)
            if not limits.run:
                return Ran()
            most = limits.rows + 1
            text = f"SELECT * FROM ({sql}\n) AS dteg_q LIMIT {most}"  # noqa: S608 - checked by the gate
            found = self._session.rows(text, timeout_s=limits.timeout_s, most=most)
        except PermanentError as error:
            return Ran(str(error))
        return Ran("", found.columns, texts(found.rows), found.runtime_ms)


def _connected(place: SnowflakePlace) -> "SnowflakeConnection":
    try:
        import snowflake.connector
    except ModuleNotFoundError as error:
        raise MissingExtraError("snowflake", "metadata of Snowflake") from error
    # Else the driver asks the addresses where clouds tell virtual machines who they are.
    os.environ.setdefault("SNOWFLAKE_DISABLE_PLATFORM_DETECTION", "true")
    settings: dict[str, Any] = {"password": place.password} if place.password else {
        "private_key_file": place.private_key_file, "authenticator": "SNOWFLAKE_JWT",
    }  # fmt: skip
    if place.endpoint:
        parts = urlsplit(place.endpoint)
        settings |= {"host": parts.hostname, "port": parts.port, "protocol": parts.scheme}
    if place.warehouse:
        settings["warehouse"] = place.warehouse
    return snowflake.connector.connect(
        account=place.account, user=place.user, role=place.role, database=place.database,
        schema=place.schema or None, login_timeout=_LOGIN_TIMEOUT_S, enable_server_session_keep_alive_auto_detection=False,
        session_parameters={
            "QUERY_TAG": TAG, "MULTI_STATEMENT_COUNT": 1, "TIMEZONE": "UTC", "CLIENT_TELEMETRY_ENABLED": False,
            "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS": int(TIMEOUT_S),
        },
        **settings,
    )  # fmt: skip


@contextlib.contextmanager
def _translated(timeout_s: float) -> Iterator[None]:
    try:
        from snowflake.connector import errors
    except ModuleNotFoundError as error:
        raise MissingExtraError("snowflake", "metadata of Snowflake") from error
    try:
        yield
    except errors.Error as error:
        said = _TAIL.sub("", _HEAD.sub("", redact(str(error)).strip()))
        said = (said.splitlines() or [type(error).__name__])[0][:300]
        if error.errno in _CANCELLED:
            raise PermanentError(f"it takes longer than {timeout_s:g} s", component=COMPONENT) from None
        if isinstance(error, errors.ProgrammingError) or not _LATER.search(said):
            raise PermanentError(said, component=COMPONENT) from None
        raise TransientError(f"Snowflake does not answer: {said}", component=COMPONENT) from None
