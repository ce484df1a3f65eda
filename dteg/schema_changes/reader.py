"""One look at one database: what came into its outbox since the last one, and what its triggers did not see.

What is in the outbox is read in one snapshot of the database together with its catalogue. Everything that is visible
there is delivered at once, in the order of ids; what was not yet committed is found by a later look, as the cursor
only passes transactions that are over: those below the horizon `pg_snapshot_xmin`. A cursor by id would pass over
events of transactions that commit late.

History, effects, images, cursor and the list of what is delivered above it are one transaction in the warehouse. A
reader that dies before its commit has done nothing, and one that dies after it does not repeat it.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
from psycopg import errors as pg_errors
from psycopg.rows import dict_row

from dteg.core.clock import utc_now
from dteg.core.queries import first_value
from dteg.schema_changes.images import Image, Images, Key
from dteg.schema_changes.ledger import Ledger
from dteg.schema_changes.models import SchemaChange
from dteg.schema_changes.sql import CAPTURE, CLUSTER_IMAGES, DIGESTS, IMAGES, WAREHOUSE
from dteg.schema_changes.story import Draft, Event, found, needed, plain, rekeyed, tell

BATCH = 500
Connection = psycopg.Connection[Any]
Digests = Mapping[Key, str]
_SETTINGS = b"SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL jit = off"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """A database that is listened to, and how far it was read.

    Attributes:
        database: Its name.
        installation: Which installation of capture.
        cursor: All events of transactions below this number were delivered.
        has_triggers: Whether there is an outbox.
    """

    database: str
    installation: UUID
    cursor: int
    has_triggers: bool = True


@dataclass(frozen=True, slots=True)
class Aim:
    """What a look does besides reading the outbox.

    Attributes:
        snapshot: Compare the catalogue too, if the outbox does not fill a whole batch.
        confirm: Differences of the look before; those that are still there are changes that no trigger saw.
        keep_position: Write the cursor down even if nothing came.
    """

    snapshot: bool = False
    confirm: Digests | None = None
    keep_position: bool = True


@dataclass(frozen=True, slots=True)
class Look:
    """What one look came to.

    Attributes:
        changes: What was noticed.
        more: There is more in the outbox.
        suspects: Differences of the catalogue that the next look has to confirm.
    """

    changes: Sequence[SchemaChange] = ()
    more: bool = False
    suspects: Digests = field(default_factory=dict)


class Reader:
    """Looks at databases; only the process that leads may.

    Args:
        connection: A connection to the warehouse in autocommit mode.
        ledger: Writes down what is noticed, over the same connection.
    """

    def __init__(self, connection: Connection, ledger: Ledger) -> None:
        self._connection, self._ledger = connection, ledger
        self._limits: dict[str, int] = {}

    def look(self, place: Place, source: Connection, aim: Aim = Aim()) -> Look:
        """Deliver what is in the outbox, and compare the catalogue if asked to.

        Args:
            place: Which database.
            source: A connection to it in autocommit mode; its transactions are read-only and REPEATABLE READ.
            aim: What to do besides reading the outbox.
        """
        limit = self._limits.get(place.database, BATCH)
        try:
            look = self._look(place, source, limit, aim)
        except (pg_errors.OperationalError, pg_errors.InsufficientPrivilege, pg_errors.UndefinedTable):
            raise
        except Exception as error:
            if source.closed or self._connection.closed:
                raise
            if limit == 1:
                return self._give_up(place, source, error)
            _LOG.warning("events of %s are read one by one: %s", place.database, error)
            self._limits[place.database] = 1
            return Look(more=True)
        self._limits[place.database] = min(BATCH, limit * 2)
        return look

    def _look(self, place: Place, source: Connection, limit: int, aim: Aim) -> Look:
        with source.transaction():
            source.execute(_SETTINGS)
            horizon = self._horizon(source)
            events = self.unread(place, source, limit) if place.has_triggers else []
            more = len(events) >= limit
            snapshot = aim.snapshot and not more
            if not events and not snapshot and not aim.keep_position:
                return Look()
            with self._connection.transaction():
                drafts = self._told(place, events)
                suspects: Digests = {}
                if snapshot:
                    suspects, missed = self._compared(place.database, source, aim.confirm)
                    drafts += missed
                changes = self._ledger.write(place.database, place.installation, drafts)
                self._deliver(place, events, place.cursor if more else horizon, snapshot)
        return Look(changes, more, suspects)

    def _horizon(self, source: Connection) -> int:
        return int(first_value(source, CAPTURE["horizon"]))

    def unread(self, place: Place, source: Connection, limit: int) -> list[Event]:
        """Return events that were not delivered yet, in the order in which they are to be."""
        delivered = self._connection.execute(
            WAREHOUSE["delivered"], {"installation": place.installation}
        ).fetchall()
        values = {"cursor": str(place.cursor), "delivered": [row[0] for row in delivered], "limit": limit}
        with source.cursor(row_factory=dict_row) as cursor:
            return [Event.of(row) for row in cursor.execute(CAPTURE["unread"], values).fetchall()]

    def _told(self, place: Place, events: Sequence[Event]) -> list[Draft]:
        if not events:
            return []
        images = Images(self._connection, place.database)
        images.load(*needed(events))
        drafts = [draft for event in events if (draft := tell(event, images))]
        images.save()
        return drafts

    def _deliver(self, place: Place, events: Sequence[Event], cursor: int, snapshot: bool) -> None:
        rows = [
            {"installation": place.installation, "event": event.id, "xid": str(event.xid)}
            for event in events
            if event.xid >= cursor
        ]
        with self._connection.cursor() as into:
            if rows:
                into.executemany(WAREHOUSE["deliver"], rows)
            position = {"database": place.database, "cursor": str(cursor), "snapshot": snapshot}
            into.execute(WAREHOUSE["set_position"], position)
            if cursor > place.cursor:
                into.execute(
                    WAREHOUSE["drop_delivered"], {"installation": place.installation, "cursor": str(cursor)}
                )

    def _give_up(self, place: Place, source: Connection, error: Exception) -> Look:
        """Tell of an event that nobody understands by its bare command, rather than stop at it for ever."""
        with source.transaction():
            events = self.unread(place, source, 1)
        if not events:
            raise error
        for how in ("without details", "to nobody"):
            drafts = [plain(each) for each in events] if how == "without details" else []
            try:
                with self._connection.transaction():
                    changes = self._ledger.write(place.database, place.installation, drafts)
                    self._deliver(place, events, place.cursor, snapshot=False)
            except psycopg.OperationalError:
                raise
            except Exception as worse:  # noqa: BLE001 - whatever it is, the next event must come
                error = worse
                continue
            _LOG.error("event %d of %s is told %s: %s", events[0].id, place.database, how, error)
            return Look(changes, more=True)
        raise error

    # --- the catalogue -------------------------------------------------------------------------

    def baseline(self, database: str, source: Connection) -> None:
        """Remember what the database looks like now, without telling anybody."""
        with source.transaction():
            source.execute(_SETTINGS)
            now = self._read(source, [row["object"] for row in _rows(source, DIGESTS)])
            with self._connection.transaction():
                self._connection.execute(WAREHOUSE["forget_images"], {"database": database})
                self._save(database, now)

    def adopt(self, database: str, source: Connection) -> None:
        """Find the known objects again in a database that was put in place of the old one: by their names."""
        with source.transaction(), self._connection.transaction():
            source.execute(_SETTINGS)
            there = {
                (row["class"], row["kind"], row["schema"], row["name"]): row["object"]
                for row in _rows(source, DIGESTS)
            }
            known = self._known(database)
            self._connection.execute(WAREHOUSE["forget_images"], {"database": database})
            moved = [
                rekeyed(each, there.get((each.class_, each.kind, each.schema, each.name), each.object))
                for each in known.values()
            ]
            self._save(database, {each.key: each for each in moved}.values())

    def _compared(
        self, database: str, source: Connection, confirm: Digests | None
    ) -> tuple[Digests, list[Draft]]:
        """Return differences to confirm, and the changes that are confirmed now.

        Functions such as `format_type` see what was committed after the snapshot was taken, and so can show a
        change before its event. In a second snapshot that event is there, and has removed the difference.
        """
        there = {(row["class"], row["object"]): row["digest"] for row in _rows(source, DIGESTS)}
        known = {
            (row["class"], row["object"]): row["digest"]
            for row in _rows(self._connection, WAREHOUSE["digests"], {"database": database})
        }
        differ = {
            key: there.get(key, "") for key in there.keys() | known.keys() if there.get(key) != known.get(key)
        }
        if confirm is None:
            return differ, []
        sure = [key for key, digest in differ.items() if confirm.get(key) == digest]
        if not sure:
            return {}, []
        now = {each.key: each for each in self._read(source, [key[1] for key in sure])}
        return {}, self._missed(database, sure, now)

    def _missed(self, database: str, keys: Sequence[Key], now: Mapping[Key, Image]) -> list[Draft]:
        images = Images(self._connection, database)
        images.load((key[1] for key in keys), ())
        drafts, at = [], utc_now()
        for key in sorted(keys):
            before, after = images.get(key), now.get(key)
            if before is None and after is None:
                continue
            drafts.append(found(before, after, at))
            if after is None:
                images.drop(key)
            else:
                images.put(after)
        images.save()
        return drafts

    def look_at_server(self) -> Sequence[SchemaChange]:
        """Compare roles and databases with what they were; the first time, only remember them."""
        with self._connection.transaction():
            self._connection.execute(_SETTINGS)
            now = {each.key: each for each in map(Image.of, _rows(self._connection, CLUSTER_IMAGES))}
            if not first_value(self._connection, WAREHOUSE["has_images"], {"database": ""}):
                self._save("", now.values())
                return []
            known = self._known("")
            differ = [key for key in now.keys() | known.keys() if not _same(known.get(key), now.get(key))]
            return self._ledger.write("", None, self._missed("", differ, now))

    def _known(self, database: str) -> dict[Key, Image]:
        rows = _rows(self._connection, WAREHOUSE["all_images"], {"database": database})
        return {each.key: each for each in map(Image.of, rows)}

    def _read(self, source: Connection, objects: Sequence[int]) -> list[Image]:
        return [Image.of(row) for row in _rows(source, IMAGES, {"objects": list(objects)})]

    def _save(self, database: str, images: Any) -> None:
        known = Images(self._connection, database)
        for image in images:
            known.put(image)
        known.save()


def _same(old: Image | None, new: Image | None) -> bool:
    return old is not None and new is not None and (old.name, old.image) == (new.name, new.image)


def _rows(
    connection: Connection, query: bytes, values: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, values).fetchall()
