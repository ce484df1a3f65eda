"""Paid components: who may download them, and how much they were used."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ValidationError
from pymongo import IndexModel

from dteg.core.errors import ConflictError, DeniedError, InputError, NotFoundError, UnavailableError
from dteg.signing import SigningKey
from registry.access import Principal, Role, Scope
from registry.attestations.service import KEY_FILE
from registry.documents import milliseconds
from registry.identifiers import new_id
from registry.licences import bill_store, store
from registry.licences.bill_store import BillStore
from registry.licences.bills import Order
from registry.licences.checkouts import Checkouts
from registry.licences.entitlements import make, read
from registry.licences.holdings import Holdings
from registry.licences.invoicing import Invoicing
from registry.licences.models import Licence, LicenceAnswer, NewLicence, NewUsage, Price, UsageRecord
from registry.licences.money import after, period_of
from registry.licences.store import LicenceStore, licence_id
from registry.service import Service

if TYPE_CHECKING:
    from registry.components.models import Component
    from registry.releases.models import Release
    from registry.services import Services

_TRIES = 50
_OLDEST_USE = timedelta(days=35)
_CLOCK_OFF = timedelta(minutes=5)
_LONGEST = timedelta(days=36_525)


class Licences(Service):
    """Keeps licences and metered use.

    Attributes:
        checkouts: Orders and payments.
        invoicing: Invoices and credit notes.
        holdings: Who has what.
    """

    INDEXES: ClassVar[Mapping[str, Sequence[IndexModel]]] = {**store.INDEXES, **bill_store.INDEXES}

    def __init__(self, services: "Services") -> None:
        super().__init__(services)
        self._store = LicenceStore(self.database)
        bills = BillStore(self.database)
        self.invoicing = Invoicing(services, self._store, bills)
        self.checkouts = Checkouts(services, bills)
        self.holdings = Holdings(services, self._store)

    # --- licences --------------------------------------------------------------------------------------

    async def give(self, who: Principal, component_id: str, new: NewLicence) -> Licence:
        """Give an organisation a licence, or change the one it has; owners of the component's namespace may.

        Raises:
            NotFoundError: There is no such component or organisation.
            DeniedError: Who asks is no owner.
            InputError: The end lies in the past, or the component is free.
        """
        component = await self.services.components.get(component_id)
        await self.services.namespaces.require(who, component.namespace, Role.OWNER, component_id)
        now, until = milliseconds(self.clock()), milliseconds(new.until)
        if not now < until <= now + _LONGEST:
            raise InputError("until: give a time in the future, within a hundred years")
        licence = await self._put(component, new.organisation, new.seats, until, source="owner")
        await self.services.audit.record(
            who, "licence.give", licence.key, component=component_id, organisation=new.organisation,
            seats=new.seats, until=until.isoformat(),
        )  # fmt: skip
        return licence

    async def give_for_order(self, order: Order) -> Licence:
        """Give or extend a licence for a paid order; once for each order, however often it is asked for."""
        assert order.paid_at is not None
        component = await self.services.components.get(order.component)
        return await self._put(
            component, order.organisation, order.seats, order.paid_at, source="payment", order=order.id, price=order.price
        )  # fmt: skip

    async def revoke(self, who: Principal, key: str) -> None:
        """Take a licence back at once; owners of the component's namespace may.

        Raises:
            NotFoundError: There is no such licence for who asks.
            DeniedError: Who asks is no owner.
        """
        licence = await self._mine(who, key)
        await self.services.namespaces.require(who, licence.seller, Role.OWNER, licence.component)
        await self.end(licence)
        await self.services.audit.record(who, "licence.revoke", key, component=licence.component)

    async def end(self, licence: Licence, *, order: str = "") -> None:
        """End a licence; with an order only if that order is the newest that it comes from."""
        for _ in range(_TRIES):
            if order and (not licence.orders or licence.orders[-1] != order):
                return
            if await self._store.change(licence, {"revoked_at": milliseconds(self.clock())}):
                return
            licence = await self._store.by_key(licence.key) or licence
        raise UnavailableError("this licence is being changed by many at once: try again")

    async def of(self, who: Principal, *, after: str, limit: int, namespace: str = "") -> list[Licence]:
        """Return the licences that one's namespaces, or one of them, sell or have; readers do not see them.

        Raises:
            DeniedError: Who asks is no maintainer of the one.
            NotFoundError: There is no such namespace.
        """
        if namespace:
            await self.services.namespaces.require(who, namespace, Role.MAINTAINER, who.component)
        names = [namespace] if namespace else await self._managed(who)
        return await self._store.of(names, after=after, limit=limit)

    async def find(self, component: str, organisation: str) -> Licence | None:
        """Return the licence of an organisation for a component."""
        return await self._store.find(component, organisation)

    async def free_seat(self, who: Principal, key: str, login: str) -> None:
        """Take a seat from an account, so that another can have it; owners of the organisation may.

        Raises:
            NotFoundError: There is no such licence for who asks, or the account has no seat.
            DeniedError: Who asks is no owner.
        """
        licence = await self._mine(who, key)
        await self.services.namespaces.require(who, licence.organisation, Role.OWNER)
        account = await self.services.accounts.by_login(login)
        if not await self._store.free_seat(key, account.id):
            raise NotFoundError(f"{login!r} has no seat")
        await self.services.audit.record(who, "licence.seat-free", key, user=account.id)

    # --- downloads -------------------------------------------------------------------------------------

    async def check_download(
        self, who: Principal, component: str, release: "Release", *, entitlement: str = ""
    ) -> None:
        """Let who asks download a release, or refuse.

        Free releases are for everybody. Others are for members of the publisher, administrators, and members of an
        organisation that has a licence and a seat for them. An entitlement stands for the account that it was made for.

        Args:
            who: Who asks.
            component: `namespace/slug`.
            release: What is to be downloaded; its own manifest says whether it is free.
            entitlement: Text that `POST /licences/{id}/token` gave.

        Raises:
            DeniedError: Not without a licence; says what to do.
        """
        if release.free or who.may(Scope.ADMIN):
            return
        if entitlement:
            await self._check_entitlement(entitlement, component)
            return
        if not who.known:
            raise DeniedError(
                f"{component} needs a licence: log in as a member of an organisation that has one",
                authenticate=True,
            )
        if not who.may(Scope.INSTALL):
            raise DeniedError("this credential lacks the scope 'install'")
        mine = [
            each.id
            for each in await self.services.namespaces.of(who.user_id)
            if who.covers(each.id, who.component)
        ]
        if component.partition("/")[0] in mine:
            return
        good = [
            each for each in await self._store.for_download(component, mine) if each.good_at(self.clock())
        ]
        for licence in good:
            if await self._has_seat(licence, who.user_id):
                return
        if good:
            raise DeniedError(
                f"all seats of the licence for {component} are taken: ask an owner of {good[0].organisation}"
            )
        raise DeniedError(f"{component} needs a licence, and none of your organisations has one")

    async def entitle(self, who: Principal, key: str, hours: int) -> tuple[str, datetime]:
        """Return an entitlement for a member of the organisation, and until when it is good.

        Raises:
            NotFoundError: There is no such licence for who asks.
            DeniedError: It does not hold, or its seats are taken.
        """
        licence = await self._store.by_key(key)
        if licence is None:
            raise NotFoundError("there is no such licence, or not for you")
        await self._require_member(who, licence)
        now = milliseconds(self.clock())
        if not licence.good_at(now):
            raise DeniedError("this licence has ended: renew it")
        if not await self._has_seat(licence, who.user_id):
            raise DeniedError(f"all seats of this licence are taken: ask an owner of {licence.organisation}")
        expires_at = now + timedelta(hours=hours)
        if licence.until is not None:
            expires_at = min(expires_at, licence.until)
        token = make(self._signing_key(), licence, who.user_id, now, expires_at)
        await self.services.audit.record(who, "licence.entitle", key, expires_at=expires_at.isoformat())
        return token, expires_at

    async def _check_entitlement(self, entitlement: str, component: str) -> None:
        keys = {key.key_id: key.public_key for key in await self.services.attestations.keys()}
        said = read(entitlement, keys, self.clock())
        licence = await self._store.by_key(said.licence)
        if said.component != component or licence is None or licence.component != component:
            raise DeniedError(f"this entitlement is for {said.component}, not for {component}")
        if not licence.good_at(self.clock()) or (
            licence.seats is not None and said.user not in licence.users
        ):
            raise DeniedError("the licence of this entitlement has ended")

    async def _has_seat(self, licence: Licence, user_id: str) -> bool:
        if licence.seats is None or user_id in licence.users[: licence.seats]:
            return True
        return await self._store.take_seat(licence, user_id)

    # --- metered use -----------------------------------------------------------------------------------

    async def use(self, who: Principal, new: NewUsage) -> tuple[UsageRecord, bool]:
        """Record metered use; return the record, and whether it was known already.

        Raises:
            NotFoundError: There is no such licence for who asks.
            InputError: The licence is not metered, or the time is too long ago or in the future.
            ConflictError: The key names a record that says something else.
            DeniedError: The licence has ended.
        """
        licence = await self._store.by_key(new.licence)
        if licence is None:
            raise NotFoundError("there is no such licence, or not for you")
        await self._require_member(who, licence)
        now, at = milliseconds(self.clock()), milliseconds(new.at)
        if licence.price.model != "usage":
            raise InputError(f"{licence.component} is not billed by use")
        record = UsageRecord(
            id=f"{licence.key}|{new.key}", licence=licence.key, component=licence.component, seller=licence.seller,
            organisation=licence.organisation, rows=new.rows, at=at, period=period_of(at.astimezone(UTC)),
            per_million_minor=licence.price.amount_minor, currency=licence.price.currency, by=who.user_id, received_at=now,
        )  # fmt: skip
        if not licence.good_at(at):
            raise DeniedError("the licence did not hold at that time")
        if not now - _OLDEST_USE <= at <= now + _CLOCK_OFF:
            raise InputError("at: give a time of the last 35 days")
        known = await self._store.insert_usage(record)
        if known is not None and (known.rows, known.at) != (record.rows, record.at):
            raise ConflictError(f"the key {new.key!r} names a record with other rows or time: use a new key")
        return known or record, known is not None

    # --- inside ----------------------------------------------------------------------------------------

    def answer(self, licence: Licence) -> LicenceAnswer:
        """Return a licence as seller and organisation see it."""
        return LicenceAnswer(
            id=licence.key, component=licence.component, organisation=licence.organisation, seats=licence.seats,
            used=len(licence.users), price=licence.price, source=licence.source, starts_at=licence.starts_at,
            until=licence.until, active=licence.good_at(self.clock()),
        )  # fmt: skip

    async def _put(
        self, component: "Component", organisation: str, seats: int | None, until: datetime, *, source: str,
        order: str = "", price: Price | None = None,
    ) -> Licence:  # fmt: skip
        """Insert or change a licence. With an order, `until` is the time of payment that its period is added to."""
        await self.services.namespaces.get(organisation)
        price = price or price_of(component)
        for _ in range(_TRIES):
            seen = await self._store.find(component.id, organisation)
            if seen is not None and order and order in seen.orders:
                return seen
            end = _extended(seen, price, until) if order else until
            values: dict[str, Any] = {
                "seats": seats,
                "until": end,
                "price": price.model_dump(),
                "source": source,
            }
            if seen is None:
                licence = Licence(
                    id=licence_id(component.id, organisation), key=new_id(), component=component.id,
                    seller=component.namespace, organisation=organisation, starts_at=milliseconds(self.clock()),
                    orders=[order] if order else [], **values,
                )  # fmt: skip
                if await self._store.insert(licence):
                    return licence
                continue
            if seats is not None and len(seen.users) > seats:
                values["users"] = seen.users[:seats]
            changed = await self._store.change(seen, {**values, "revoked_at": None}, order)
            if changed is not None:
                return changed
        raise UnavailableError("this licence is being changed by many at once: try again")

    async def _managed(self, who: Principal) -> list[str]:
        return [
            each.id
            for each in await self.services.namespaces.of(who.user_id)
            if who.covers(each.id, who.component)
            and each.role_of(who.user_id) in (Role.OWNER, Role.MAINTAINER)
        ]

    async def _mine(self, who: Principal, key: str) -> Licence:
        licence = await self._store.by_key(key)
        names = await self._managed(who)
        if licence is None or not {licence.seller, licence.organisation}.intersection(names):
            raise NotFoundError("there is no such licence, or not for you")
        return licence

    async def _require_member(self, who: Principal, licence: Licence) -> None:
        try:
            await self.services.namespaces.require(who, licence.organisation, Role.READER)
        except DeniedError:
            raise NotFoundError("there is no such licence, or not for you") from None

    def _signing_key(self) -> SigningKey:
        # The service of attestations makes the file when it is first asked for.
        _ = self.services.attestations
        return SigningKey.load(self.settings.data_dir / KEY_FILE)


def price_of(component: "Component") -> Price:
    """Return what a component costs now.

    Raises:
        InputError: It is free, or its price is beyond what can be billed.
    """
    try:
        price = Price.model_validate(component.pricing)
    except ValidationError:
        raise InputError(f"the price of {component.id} cannot be billed") from None
    if price.model == "free":
        raise InputError(f"{component.id} is free: it needs no licence")
    return price


def _extended(seen: Licence | None, price: Price, paid_at: datetime) -> datetime | None:
    """Return the end of a licence after a payment: a period after its present end, if that is still to come."""
    if price.per == "million_rows" or (seen is not None and seen.revoked_at is None and seen.until is None):
        return None
    start = paid_at
    if seen is not None and seen.revoked_at is None and seen.until is not None:
        start = max(seen.until, paid_at)
    return after(start, price.per)
