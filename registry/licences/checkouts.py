"""From an order to a licence: checkout, the provider's call, and what follows from it."""

import hmac
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dteg.core.errors import ConflictError, DeniedError, InputError, NotFoundError
from registry.access import Principal, Role
from registry.documents import milliseconds
from registry.identifiers import new_id
from registry.licences.bill_store import BillStore
from registry.licences.bills import NewOrder, Order, OrderAnswer, OrderState
from registry.licences.models import Price
from registry.licences.money import period_of, price_of_seats
from registry.licences.payments import PaymentEvent, PaymentProvider, TestProvider
from registry.tokens.secrets import signing_key

if TYPE_CHECKING:
    from registry.components.models import Component
    from registry.services import Services

_LOG = logging.getLogger(__name__)


class Checkouts:
    """Orders and payments.

    Args:
        services: All services.
        store: Orders, and calls of providers.

    Attributes:
        provider: Who takes payments; None for nobody.
    """

    def __init__(self, services: "Services", store: BillStore) -> None:
        self._services, self._store = services, store
        self.provider: PaymentProvider | None = None
        if services.settings.payments == "test":
            key = hmac.digest(signing_key(services.settings.data_dir), b"test payments", "sha256")
            self.provider = TestProvider(key, services.settings.public_url)

    async def order(self, who: Principal, component_id: str, new: NewOrder) -> Order:
        """Order a licence; what has no price in advance (metered use) is given at once.

        Raises:
            NotFoundError: There is no such component or organisation.
            DeniedError: Who asks is no owner of the organisation.
            InputError: The component is free, or a number of seats is needed.
            ConflictError: Nobody takes payments here.
        """
        from registry.licences.service import price_of

        component = await self._services.components.get(component_id)
        await self._services.namespaces.require(who, new.organisation, Role.OWNER)
        price = price_of(component)
        if price.model == "premium" and new.seats is None:
            raise InputError("seats: how many people shall use it? The price is per seat")
        amount = price_of_seats(price.amount_minor, new.seats, per_seat=price.model == "premium")
        order = self._order(who, component, new, price, 0 if price.model == "usage" else amount)
        if order.amount_minor == 0:
            order = order.model_copy(update={"reference": f"none_{order.id}"})
            await self._store.insert_order(order)
            order = await self._paid(order)
        else:
            if self.provider is None:
                raise ConflictError("this registry takes no payments: ask the publisher for a licence")
            checkout = await self.provider.checkout(order)
            order = order.model_copy(update={"reference": checkout.reference, "url": checkout.url})
            await self._store.insert_order(order)
        await self._services.audit.record(
            who, "order.create", order.id, component=component_id, organisation=new.organisation,
            amount_minor=order.amount_minor, currency=price.currency,
        )  # fmt: skip
        return order

    async def get(self, who: Principal, order_id: str) -> Order:
        """Return an order to owners of the organisation that buys.

        Raises:
            NotFoundError: There is none for who asks.
        """
        order = await self._store.order(order_id)
        if order is not None:
            try:
                await self._services.namespaces.require(who, order.organisation, Role.OWNER)
            except (DeniedError, NotFoundError):
                order = None
        if order is None:
            raise NotFoundError("there is no such order, or not for you")
        return order

    async def call(self, name: str, headers: Mapping[str, str], body: bytes) -> None:
        """Take a call of a provider: once for each call, and with effect once for each event.

        Raises:
            NotFoundError: No such provider takes payments here, or there is no such payment.
            DeniedError: The call is not from the provider, old, or says another amount than was ordered.
            ConflictError: It is a copy of an earlier call, or contradicts one.
        """
        if self.provider is None or self.provider.name != name:
            raise NotFoundError(f"no provider {name!r} takes payments here")
        now = milliseconds(self._services.clock())
        event, call = self.provider.verified(headers, body, now)
        if not await self._store.first_call(f"{name}|{call}", now):
            raise ConflictError("this very call came before: a copy is not believed")
        if not await self._store.same_event(name, event.model_dump(), now):
            raise ConflictError("this event was told before, with another content")
        order = await self._store.by_reference(name, event.reference)
        if order is None:
            raise NotFoundError("there is no such payment")
        if (event.amount_minor, event.currency) != (order.amount_minor, order.price.currency):
            _LOG.error("order %s: the provider tells another amount than was ordered", order.id)
            raise DeniedError("another amount than was ordered: nothing was done")
        await self._apply(event, order)

    async def pay(self, who: Principal, reference: str) -> Order:
        """Let an order of the test provider count as paid, by a signed call such as a real provider makes.

        Raises:
            NotFoundError: There is no such payment for who asks.
        """
        found = await self._store.by_reference(TestProvider.name, reference)
        if found is None or not isinstance(self.provider, TestProvider):
            raise NotFoundError("there is no such payment")
        order = await self.get(who, found.id)
        headers, body = self.provider.call("paid", order, self._services.clock())
        await self.call(self.provider.name, headers, body)
        return await self.get(who, order.id)

    async def _apply(self, event: PaymentEvent, order: Order) -> None:
        """Do what follows from an event; doing it again changes nothing, so a provider may tell again after a crash."""
        match event.kind:
            case "paid":
                await self._paid(order)
            case "failed":
                await self._store.move(order, [OrderState.CREATED], OrderState.FAILED)
            case "refunded":
                await self._refunded(order)

    async def _paid(self, order: Order) -> Order:
        now = milliseconds(self._services.clock())
        waiting = [OrderState.CREATED, OrderState.FAILED]
        moved = await self._store.move(order, waiting, OrderState.PAID, paid_at=now, period=period_of(now))
        present = moved or await self._store.order(order.id) or order
        if present.state is not OrderState.PAID or present.paid_at is None:
            return present
        licence = await self._services.licences.give_for_order(present)
        if moved is not None:
            await self._services.audit.record(Principal(), "order.paid", order.id, licence=licence.key)
        return present

    async def _refunded(self, order: Order) -> None:
        moved = await self._store.move(order, [OrderState.PAID], OrderState.REFUNDED)
        present = moved or await self._store.order(order.id) or order
        if present.state is not OrderState.REFUNDED:
            raise ConflictError("this payment has not been made, so it cannot be given back")
        licence = await self._services.licences.find(order.component, order.organisation)
        if licence is not None and licence.revoked_at is None:
            await self._services.licences.end(licence, order=order.id)
        if present.invoice is not None:
            await self._services.licences.invoicing.credit_refund(present)
        if moved is not None:
            await self._services.audit.record(Principal(), "order.refunded", order.id)

    def _order(
        self, who: Principal, component: "Component", new: NewOrder, price: Price, amount: int
    ) -> Order:
        return Order(
            id=new_id(), component=component.id, seller=component.namespace, organisation=new.organisation,
            seats=new.seats, price=price, amount_minor=amount, provider=self.provider.name if self.provider else "none",
            reference="", url="", created_by=who.user_id, created_at=milliseconds(self._services.clock()),
        )  # fmt: skip


def answer(order: Order) -> OrderAnswer:
    """Return an order as the buyer sees it."""
    return OrderAnswer(
        id=order.id, component=order.component, organisation=order.organisation, seats=order.seats,
        amount_minor=order.amount_minor, currency=order.price.currency, state=order.state, url=order.url,
        created_at=order.created_at,
    )  # fmt: skip
