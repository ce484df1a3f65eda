"""The collections `orders`, `payment_calls`, `payment_events`, `invoices`, `invoice_numbers` and `credit_notes`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pymongo import IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from registry.database import Database
from registry.licences.bills import CreditNote, Invoice, Order, OrderState

ORDERS, CALLS, EVENTS = "orders", "payment_calls", "payment_events"
INVOICES, NUMBERS, CREDITS = "invoices", "invoice_numbers", "credit_notes"
INDEXES = {
    ORDERS: [
        IndexModel([("provider", 1), ("reference", 1)], unique=True),
        IndexModel([("seller", 1), ("invoice", 1), ("period", 1)]),
        IndexModel("invoice"),
    ],
    CALLS: [IndexModel("at")],
    INVOICES: [
        IndexModel("key", unique=True),
        IndexModel([("seller", 1), ("key", -1)]),
        IndexModel([("organisation", 1), ("key", -1)]),
    ],
    NUMBERS: [IndexModel("invoice", unique=True), IndexModel([("seller", 1), ("number", -1)])],
    CREDITS: [IndexModel([("invoice", 1), ("number", 1)]), IndexModel("source", unique=True)],
}


class BillStore:
    """Orders, invoices and credit notes."""

    def __init__(self, database: Database) -> None:
        self._orders, self._calls, self._events = database[ORDERS], database[CALLS], database[EVENTS]
        self._invoices, self._numbers = database[INVOICES], database[NUMBERS]
        self._credits = database[CREDITS]

    # --- orders and payments ---------------------------------------------------------------------------

    async def insert_order(self, order: Order) -> None:
        """Keep an order."""
        await self._orders.insert_one(order.to_mongo())

    async def order(self, order_id: str) -> Order | None:
        """Return an order."""
        return _order(await self._orders.find_one({"_id": order_id}))

    async def by_reference(self, provider: str, reference: str) -> Order | None:
        """Return an order by the provider's name of it."""
        return _order(await self._orders.find_one({"provider": provider, "reference": reference}))

    async def move(
        self, order: Order, expected: Sequence[OrderState], to: OrderState, **values: Any
    ) -> Order | None:
        """Bring an order to another state; None if it is in none of the expected ones."""
        return _order(
            await self._orders.find_one_and_update(
                {"_id": order.id, "state": {"$in": list(expected)}},
                {"$set": {"state": to, **values}},
                return_document=ReturnDocument.AFTER,
            )
        )

    async def first_call(self, call: str, now: datetime) -> bool:
        """Note a call of a provider; False if this very call came before."""
        try:
            await self._calls.insert_one({"_id": call, "at": now})
        except DuplicateKeyError:
            return False
        return True

    async def same_event(self, provider: str, event: dict[str, Any], now: datetime) -> bool:
        """Keep what a provider told; False if it told something else under this id before."""
        event_id = f"{provider}|{event['id']}"
        try:
            await self._events.insert_one({"_id": event_id, "event": event, "at": now})
        except DuplicateKeyError:
            found = await self._events.find_one({"_id": event_id})
            return bool(found and found["event"] == event)
        return True

    # --- invoices --------------------------------------------------------------------------------------

    async def unbilled(self, seller: str, period: str) -> set[tuple[str, str]]:
        """Return organisation and currency of paid orders that are on no invoice, up to a month."""
        query = {"seller": seller, "invoice": None, "period": {"$lte": period}, "state": OrderState.PAID}
        orders = [Order.from_mongo(each) async for each in self._orders.find(query)]
        return {(order.organisation, order.price.currency) for order in orders}

    async def put_on_invoice(self, invoice: Invoice) -> None:
        """Note on which invoice all paid orders are that are on none."""
        query = {
            "seller": invoice.seller, "organisation": invoice.organisation, "price.currency": invoice.currency,
            "invoice": None, "period": {"$lte": invoice.period}, "state": OrderState.PAID,
        }  # fmt: skip
        await self._orders.update_many(query, {"$set": {"invoice": invoice.id}})

    async def on_invoice(self, invoice: Invoice) -> list[Order]:
        """Return the orders on an invoice; refunded ones too, whose credit notes follow."""
        cursor = self._orders.find({"invoice": invoice.id}, sort=[("component", 1), ("_id", 1)])
        return [Order.from_mongo(document) async for document in cursor]

    async def drafts(self, seller: str, period: str) -> list[Invoice]:
        """Return the drafts of a seller up to a month: a closer may have been cut off."""
        query = {"seller": seller, "state": "draft", "period": {"$lte": period}}
        return [Invoice.from_mongo(each) async for each in self._invoices.find(query)]

    async def begin(self, draft: Invoice) -> Invoice | None:
        """Begin to collect for an invoice; from now on nobody who began before can close it. None if it is closed."""
        fresh = draft.to_mongo()
        for field in ("_id", "state", "rev"):
            del fresh[field]
        try:
            found = await self._invoices.find_one_and_update(
                {"_id": draft.id, "state": "draft"},
                {"$setOnInsert": fresh, "$inc": {"rev": 1}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError:
            return None
        return _invoice(found)

    async def close(self, draft: Invoice, values: dict[str, Any]) -> bool:
        """Close an invoice; False if somebody else has begun to collect since."""
        guard = {"_id": draft.id, "state": "draft", "rev": draft.rev}
        return bool(
            (await self._invoices.update_one(guard, {"$set": {**values, "state": "closed"}})).matched_count
        )

    async def discard(self, draft: Invoice) -> None:
        """Delete a draft on which nothing is."""
        await self._invoices.delete_one({"_id": draft.id, "state": "draft", "rev": draft.rev})

    async def number_for(self, invoice: Invoice) -> int:
        """Return the number of an invoice: the seller's next, and always the same for one invoice."""
        while True:
            if found := await self._numbers.find_one({"invoice": invoice.id}):
                return int(found["number"])
            last = await self._numbers.find_one({"seller": invoice.seller}, sort=[("number", -1)])
            number = int(last["number"]) + 1 if last else 1
            taken = {"seller": invoice.seller, "number": number, "invoice": invoice.id}
            try:
                await self._numbers.insert_one({"_id": f"{invoice.seller}|{number}", **taken})
            except DuplicateKeyError:
                continue

    async def invoice(self, invoice_id: str) -> Invoice | None:
        """Return an invoice by its id."""
        return _invoice(await self._invoices.find_one({"_id": invoice_id}))

    async def invoice_by_key(self, key: str) -> Invoice | None:
        """Return an invoice by its name in addresses."""
        return _invoice(await self._invoices.find_one({"key": key}))

    async def closed(self, query: dict[str, Any], *, after: str, limit: int) -> list[Invoice]:
        """Return closed invoices, the newest first."""
        query = {**query, "state": "closed"}
        if after:
            query["key"] = {"$lt": after}
        cursor = self._invoices.find(query, sort=[("key", -1)], limit=limit)
        return [Invoice.from_mongo(document) async for document in cursor]

    # --- credit notes ----------------------------------------------------------------------------------

    async def credits(self, invoice_key: str) -> list[CreditNote]:
        """Return the credit notes of an invoice."""
        cursor = self._credits.find({"invoice": invoice_key}, sort=[("number", 1)])
        return [CreditNote.from_mongo(document) async for document in cursor]

    async def insert_credit(self, note: CreditNote) -> bool:
        """Keep a credit note; False if its number, or its source, has one."""
        try:
            await self._credits.insert_one(note.to_mongo())
        except DuplicateKeyError:
            return False
        return True


def _order(document: dict[str, Any] | None) -> Order | None:
    return Order.from_mongo(document) if document else None


def _invoice(document: dict[str, Any] | None) -> Invoice | None:
    return Invoice.from_mongo(document) if document else None
