"""Sees changes of tables by the time of the last one."""

import contextlib
import time

from dteg.connectors import ChangeSensor

from .connection import Endpoint, connect, translated

_LOOKS = 5
# The server stamps changes with a clock that may lag some milliseconds behind the one that SYSDATE reads: just after
# a second has begun, a change still gets the time of the one before.
_LAG_US = 100_000


class TableSensor(ChangeSensor):
    """Looks at `update_time` of the tables, which InnoDB keeps since the server's start."""

    def __init__(self, endpoint: Endpoint, tables: list[tuple[str, str]]) -> None:
        """Take the tables as (database, name)."""
        self._endpoint, self._tables = endpoint, tables

    def fingerprint(self) -> str:
        """Return the times of the last changes.

        They count whole seconds. A change in the second that has not ended would look like the one
        before it, so such a second is waited for.
        """
        connection = connect(self._endpoint)
        with contextlib.closing(connection), translated(self._endpoint), connection.cursor() as cursor:
            times: list[str] = []
            for _ in range(_LOOKS):
                times, is_settled = [], True
                for table in self._tables:
                    cursor.execute(
                        "SELECT create_time, update_time,"
                        " COALESCE(TIMESTAMPADD(MICROSECOND, %s, update_time) <= SYSDATE(6), TRUE)"
                        " FROM information_schema.tables WHERE table_schema = %s AND table_name = %s",
                        (1_000_000 + _LAG_US, *table),
                    )
                    for created, changed, settled in cursor.fetchall():
                        times.append(f"{created} {changed}")
                        is_settled = is_settled and bool(settled)
                if is_settled:
                    break
                time.sleep(0.4)
            return repr(times)
