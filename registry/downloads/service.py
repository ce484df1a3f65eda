"""Downloads and installs, counted."""

import hashlib
import hmac
import time
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import ValidationError

from dteg.core.errors import InputError
from dteg.receipts import INSTALL
from dteg.signing import key_id_of, verify, verify_about
from registry.access import Principal
from registry.background import Repeating, rest
from registry.documents import milliseconds
from registry.downloads.counter import NOTE_EVERY_S, WRITE_EVERY_S, WRITTEN_AT_ONCE, Counter
from registry.downloads.models import (
    PEOPLE,
    Day,
    DownloadKind,
    DownloadSummary,
    Install,
    InstallAnswer,
    Receipt,
    ReceiptBody,
)
from registry.downloads.store import INDEXES, Count, DownloadStore
from registry.identifiers import release_id
from registry.service import Service
from registry.tokens.secrets import signing_key

if TYPE_CHECKING:
    from registry.services import Services

KEPT_AFTER = timedelta(days=30)
NEW_KEYS_PER_DAY = (
    20  # of one address and component that are counted: offices share an address, floods do not stop
)
_OLDEST_RECEIPT = timedelta(minutes=15)
_CLOCK_OFF = timedelta(minutes=5)
_REFRESH_EVERY_S = 60.0
_ADOPT_EVERY_S = 300.0
# Longer than a process that lives keeps a note. One that is slower loses nothing by it.
_ABANDONED_AFTER = timedelta(minutes=30)
_ADOPTED_AT_ONCE = 20


class Downloads(Service):
    """Counts downloads in memory and installs in the database."""

    INDEXES = INDEXES

    def __init__(self, services: "Services") -> None:
        super().__init__(services)
        self._store = DownloadStore(self.database)
        self._counter = Counter(self._store)
        self._changed: set[str] = set()
        self._key = hmac.digest(signing_key(self.settings.data_dir), b"addresses of installs", "sha256")
        self._beside = [
            Repeating(services, "downloads", NOTE_EVERY_S, self.note),
            Repeating(services, "downloads by component", WRITE_EVERY_S, self.write),
            Repeating(services, "downloads of processes that are gone", _ADOPT_EVERY_S, self.adopt),
            Repeating(services, "downloads shown", _REFRESH_EVERY_S, self.refresh),
        ]

    async def start(self) -> None:
        """Begin to write what is counted."""
        for each in self._beside:
            each.start()

    async def stop(self) -> None:
        """Write the rest."""
        for each in self._beside:
            await each.stop()
        await self.flush()

    # --- downloads -------------------------------------------------------------------------------------

    def count(self, component: str, version: str, kind: str) -> None:
        """Count one download that was sent; costs no request to the database.

        Args:
            component: `namespace/slug`.
            version: Its version.
            kind: Name of a `DownloadKind`; others count as `other`.
        """
        self._counter.add(Count(component, version, _day(self.clock()), DownloadKind.of(kind).value))

    async def note(self) -> None:
        """Note what is counted, so that a crash does not lose it."""
        await self._counter.note(milliseconds(self.clock()))

    async def write(self) -> None:
        """Write some of what is counted where it is added up."""
        self._changed |= await self._counter.write(_day(self.clock()))

    async def flush(self) -> None:
        """Write all of it: at the end."""
        self._changed |= await self._counter.flush(_day(self.clock()))

    async def adopt(self) -> None:
        """Write what processes that are gone have noted."""
        while notes := await self._store.abandoned(self.clock() - _ABANDONED_AFTER, _ADOPTED_AT_ONCE):
            for note in notes:
                keys = sorted(note.totals)
                for start in range(0, len(keys), WRITTEN_AT_ONCE):
                    began = time.monotonic()
                    part = {key: note.totals[key] for key in keys[start : start + WRITTEN_AT_ONCE]}
                    await self._store.write(note.writer, part)
                    await rest(began)
                await self._store.drop_note(note)
                self._changed |= {key.component for key in keys}

    def show_later(self, component: str) -> None:
        """Have a component computed anew within the next minute."""
        self._changed.add(component)

    async def refresh(self) -> None:
        """Have the components show what was written since the last time."""
        for component in sorted(self._changed):
            began = time.monotonic()
            await self.services.components.refresh_downloads(component)
            self._changed.discard(component)
            await rest(began)

    async def summary(self, component: str) -> DownloadSummary:
        """Return how much a component is used, as far as it is written."""
        today = self.clock().astimezone(UTC).date()
        total, recent = await self._store.totals(component, PEOPLE, _number(today - timedelta(days=29)))
        installs, old, kept = await self._store.installs(component, self.clock() - KEPT_AFTER)
        return DownloadSummary(
            total=total,
            last_30_days=recent,
            installs=installs,
            kept_rate=round(kept / old, 3) if old else None,
        )

    async def series(self, component: str, days: int) -> list[Day]:
        """Return the downloads of the last days, the oldest first, also those without any."""
        today = self.clock().astimezone(UTC).date()
        first = today - timedelta(days=days - 1)
        found = await self._store.by_day(component, _number(first))
        kinds, shown = [kind.value for kind in DownloadKind], []
        for passed in range(days):
            day = first + timedelta(days=passed)
            number = _number(day)
            by_kind = {kind: found.get((number, kind), 0) for kind in kinds}
            shown.append(Day(day=day, downloads=sum(by_kind[kind] for kind in PEOPLE), by_kind=by_kind))
        return shown

    # --- installs --------------------------------------------------------------------------------------

    async def receive(self, who: Principal, body: ReceiptBody, address: str) -> InstallAnswer:
        """Take a receipt. The same one twice, or an older one, changes nothing.

        Args:
            who: Who sends it; anybody may, but only an account can later write a review.
            body: As `dteg.receipts.receipt` makes it.
            address: Where it comes from; only a keyed hash of it is kept.

        Raises:
            SignatureError: It is not signed by the key that it names, or says something else than a receipt.
            InputError: It says something impossible, or is too old.
            NotFoundError: There is no such release.
        """
        receipt = await self._checked(body)
        key, now = f"{receipt.install_id}|{receipt.component}", milliseconds(self.clock())
        told_at = milliseconds(receipt.at)
        source = self._source(address, now)
        seen = await self._store.find_install(key)
        if seen is None:
            earlier = await self._store.from_source(receipt.component, source)
            install = Install(
                id=key, component=receipt.component, install_id=receipt.install_id, user_id=who.user_id,
                version=receipt.version, first_seen=now, last_seen=now, told_at=told_at, ok_runs=receipt.ok_runs,
                environment=receipt.environment, removed_at=now if receipt.removed else None, source=source,
                counted=earlier < NEW_KEYS_PER_DAY,
            )  # fmt: skip
            if await self._store.insert_install(install):
                self.show_later(receipt.component)
                return self._answer(install, who)
            seen = await self._store.find_install(key) or install
        await self._update(seen, receipt, now, told_at)
        known = await self._store.claim_install(key, who.user_id) if who.known else None
        return self._answer(known or await self._store.find_install(key) or seen, who)

    async def install_of(self, user_id: str, component: str) -> Install | None:
        """Return the account's installation of a component; None if it has sent no receipt."""
        return await self._store.install_of(user_id, component) if user_id else None

    async def installed_since(self, user_id: str, component: str) -> datetime | None:
        """Return when the account's first receipt of a component came; None if it has sent none."""
        return await self._store.installed_since(user_id, component) if user_id else None

    async def _update(self, seen: Install, receipt: Receipt, now: datetime, told_at: datetime) -> None:
        values = {
            "version": receipt.version, "environment": receipt.environment, "last_seen": now,
            "removed_at": now if receipt.removed else None,
        }  # fmt: skip
        if not receipt.removed and now - seen.first_seen >= KEPT_AFTER:
            values["kept"] = True
        await self._store.update_install(seen.id, told_at, values, receipt.ok_runs)

    async def _checked(self, body: ReceiptBody) -> Receipt:
        key_id = key_id_of(body.public_key)
        keys = {key_id: body.public_key}
        try:
            receipt = Receipt.model_validate(verify(body.envelope, keys)["predicate"])
        except ValidationError as error:
            places = ", ".join(".".join(str(part) for part in each["loc"]) for each in error.errors())
            raise InputError(f"the receipt is wrong in: {places}") from None
        release = await self.services.releases.get(receipt.component, receipt.version)
        verify_about(body.envelope, keys, predicate_type=INSTALL, sha256=release.sha256)
        if receipt.install_id != key_id:
            raise InputError("the receipt names another installation than the key that signed it")
        if not -_CLOCK_OFF <= self.clock() - receipt.at <= _OLDEST_RECEIPT:
            raise InputError("the receipt is too old or from the future: is the clock of this machine right?")
        if release.state not in ("listed", "yanked", "quarantined"):
            raise InputError(f"{release_id(receipt.component, receipt.version)} was never installable")
        return receipt

    def _answer(self, install: Install, who: Principal) -> InstallAnswer:
        ripe = self.clock() - install.first_seen >= timedelta(days=self.settings.review_after_days)
        return InstallAnswer(
            component=install.component, version=install.version, install_id=install.install_id,
            first_seen=install.first_seen, last_seen=install.last_seen, ok_runs=install.ok_runs,
            may_review=who.known and install.user_id == who.user_id and ripe,
        )  # fmt: skip

    def _source(self, address: str, now: datetime) -> str:
        return hmac.new(self._key, f"{_day(now)}|{address}".encode(), hashlib.sha256).hexdigest()[:32]


def _day(moment: datetime) -> int:
    return _number(moment.astimezone(UTC).date())


def _number(day: date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day
