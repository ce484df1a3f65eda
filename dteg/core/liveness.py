"""Connections to PostgreSQL that a server which hangs cannot hang.

A statement may work for hours without a word, so silence alone proves nothing. After `idle_timeout_s` of it
the server is asked, over a second connection, what this session does, and the session is given up if

- the server does not answer within `ANSWER_TIMEOUT_S`, or
- it says that the session is gone, or that the session waits for its client. We are that client, and we wait
  for the session: so what hangs is the link between the two.

`statement_timeout_s` ends what is left: a session that the server calls busy for ever.
"""

import time
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import psycopg
from psycopg import errors as pg_errors
from psycopg.rows import TupleRow

T = TypeVar("T")

IDLE_TIMEOUT_S = 60.0
STATEMENT_TIMEOUT_S = 24 * 3600.0
ANSWER_TIMEOUT_S = 15.0
# What was on its way when the server was asked gets this long to arrive before the server is asked once more.
CONFIRM_S = 1.0
KEEPALIVES: dict[str, int] = {
    # A peer that is gone is noticed after about 30 s instead of two hours.
    "keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 4, "tcp_user_timeout": 30_000,
}  # fmt: skip

_ACTIVITY = """
SELECT state IS DISTINCT FROM 'active' OR wait_event_type IS NOT DISTINCT FROM 'Client'
FROM pg_stat_activity WHERE pid = %s
"""


class WatchedConnection(psycopg.Connection[TupleRow]):
    """A connection whose every wait has an end, once it is watched."""

    _reopen: Callable[[], "WatchedConnection"] | None = None
    _idle_timeout_s = IDLE_TIMEOUT_S
    _statement_timeout_s = STATEMENT_TIMEOUT_S
    _pid = 0
    _suspected = False

    def watch(
        self, reopen: Callable[[], "WatchedConnection"], idle_timeout_s: float, statement_timeout_s: float
    ) -> None:
        """Watch all waits from now on.

        Args:
            reopen: Opens another connection to the same server, to ask it about this one.
            idle_timeout_s: Silence after which the server is asked.
            statement_timeout_s: Longest silence of all, whatever the server says.
        """
        self._idle_timeout_s, self._statement_timeout_s = idle_timeout_s, statement_timeout_s
        # Not the number libpq knows: behind a pooler that one belongs to the pooler.
        row = self.execute("SELECT pg_backend_pid()").fetchone()
        self._pid = row[0] if row else 0
        self._reopen = reopen

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """Wait for the server as psycopg does, but not for ever.

        Raises:
            psycopg.OperationalError: The server, or the link to it, hangs.
            psycopg.errors.QueryCanceled: One statement took longer than `statement_timeout_s`.
        """
        return super().wait(self._watched(gen), *args, **kwargs)

    def _watched(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """Pass on what psycopg's loop and the protocol tell each other; the loop says every 0.1 s that nothing came."""
        try:
            wanted = next(gen)
            heard = asked = time.monotonic()
            while True:
                ready = yield wanted
                wanted = gen.send(ready)
                now = time.monotonic()
                if ready:
                    heard = asked = now
                    self._suspected = False
                elif now - heard > self._statement_timeout_s:
                    self._give_up(
                        pg_errors.QueryCanceled(
                            f"one statement took longer than {self._statement_timeout_s:g} s"
                        )
                    )
                elif now - asked > self._idle_timeout_s:
                    asked = self._ask(heard, asked)
        except StopIteration as end:
            result: T = end.value
            return result

    def _ask(self, heard: float, asked: float) -> float:
        """Return the time from which to count again; give up if the server has said twice that nothing will come."""
        is_second = asked > heard and self._suspected
        trouble = self._trouble(end_session=is_second)
        self._suspected = bool(trouble)
        if not trouble:
            return time.monotonic()
        if not is_second:
            return time.monotonic() - self._idle_timeout_s + CONFIRM_S
        silent_s = time.monotonic() - heard
        self._give_up(psycopg.OperationalError(f"nothing came for {silent_s:.0f} s, and {trouble}"))
        raise AssertionError

    def _trouble(self, *, end_session: bool) -> str:
        """Ask the server about this session; return what is wrong, or nothing.

        Args:
            end_session: If the session waits for us, end it: it would keep its locks, and the next attempt out.
        """
        if self._reopen is None:  # not watched yet, or itself the one that asks
            return "the server does not answer"
        try:
            with self._reopen() as other:
                other._idle_timeout_s = ANSWER_TIMEOUT_S  # noqa: SLF001 - one of our own
                row = other.execute(_ACTIVITY, [self._pid]).fetchone()
                if row and row[0] and end_session:
                    other.execute("SELECT pg_terminate_backend(%s)", [self._pid])
        except psycopg.Error as error:
            # A server that refuses in so many words, such as one without room for another client, is alive.
            alive = error.sqlstate is not None or "FATAL" in str(error)
            return "" if alive else "the server does not answer a second connection either"
        if row is None:
            return "the server no longer knows this session"
        return "the server waits for us as well: the link hangs" if row[0] else ""

    def _give_up(self, error: psycopg.Error) -> None:
        self.pgconn.finish()  # nothing that follows may wait for it once more
        raise error
