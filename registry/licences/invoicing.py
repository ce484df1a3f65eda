"""Invoices: what a month came to, closed once and never changed; mistakes are put right by credit notes.

Nothing is billed twice and nothing is forgotten: a record of use or a paid order is put on one invoice by one guarded
update. What comes late, when its month is closed, is on the next invoice. Of several that close at the same time only
the last one to begin can finish, and it has seen what the others collected.
"""

import asyncio
import hashlib
import random
import re
from datetime import UTC
from typing import TYPE_CHECKING, Any

import orjson

from dteg.core.errors import ConflictError, DeniedError, InputError, NotFoundError, UnavailableError
from registry.access import Principal, Role
from registry.documents import milliseconds
from registry.identifiers import new_id
from registry.licences.bill_store import BillStore
from registry.licences.bills import (
    CreditNote,
    CreditNoteAnswer,
    Invoice,
    InvoiceAnswer,
    InvoiceLine,
    NewCreditNote,
    Order,
)
from registry.licences.money import LARGEST_MINOR, period_of, price_of_rows
from registry.licences.store import LicenceStore

if TYPE_CHECKING:
    from registry.services import Services

_TRIES = 20
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)


class Invoicing:
    """Closes months.

    Args:
        services: All services.
        licences: Metered use.
        store: Orders, invoices and credit notes.
    """

    def __init__(self, services: "Services", licences: LicenceStore, store: BillStore) -> None:
        self._services, self._licences, self._store = services, licences, store
        # Processes may stop each other from closing; the tasks of one need not.
        self._turn = asyncio.Lock()

    async def close(self, who: Principal, seller: str, period: str) -> list[Invoice]:
        """Close a month of a seller and return its invoices. Closing again adds nothing to a closed invoice.

        Raises:
            DeniedError: Who asks is no owner.
            InputError: This is no month, or it is not over.
        """
        await self._services.namespaces.require(who, seller, Role.OWNER)
        if not _MONTH.fullmatch(period):
            raise InputError("give a month, such as 2026-01")
        if period >= period_of(self._services.clock().astimezone(UTC)):
            raise InputError(f"the month {period} is not over")
        todo = {
            (each.organisation, each.currency, each.period)
            for each in await self._store.drafts(seller, period)
        }
        unbilled = await self._licences.unbilled(seller, period) | await self._store.unbilled(seller, period)
        todo |= {(organisation, currency, period) for organisation, currency in unbilled}
        for organisation, currency, month in sorted(todo):
            async with self._turn:
                invoice = await self._close(seller, organisation, currency, month)
            if invoice is not None:
                await self._services.audit.record(
                    who, "invoice.close", invoice.key, seller=seller, organisation=organisation, period=month,
                    number=invoice.number, total_minor=invoice.total_minor, currency=currency, sha256=invoice.sha256,
                )  # fmt: skip
        return await self._store.closed({"seller": seller, "period": period}, after="", limit=0)

    async def page(self, who: Principal, namespace: str, *, after: str, limit: int) -> list[Invoice]:
        """Return the closed invoices that a namespace sent or got, the newest first; to its owners.

        Raises:
            DeniedError: Who asks is no owner.
        """
        await self._services.namespaces.require(who, namespace, Role.OWNER)
        either = {"$or": [{"seller": namespace}, {"organisation": namespace}]}
        return await self._store.closed(either, after=after, limit=limit)

    async def get(self, who: Principal, key: str) -> Invoice:
        """Return a closed invoice to owners of seller or organisation.

        Raises:
            NotFoundError: There is none for who asks.
        """
        invoice = await self._store.invoice_by_key(key)
        if invoice is not None and invoice.state == "closed":
            for namespace in (invoice.seller, invoice.organisation):
                try:
                    await self._services.namespaces.require(who, namespace, Role.OWNER)
                except (DeniedError, NotFoundError):
                    continue
                return invoice
        raise NotFoundError("there is no such invoice, or not for you")

    async def credit(self, who: Principal, key: str, new: NewCreditNote) -> CreditNote:
        """Take an amount of a closed invoice back; owners of the seller may.

        Raises:
            NotFoundError: There is no such invoice for who asks.
            DeniedError: Who asks is no owner of the seller.
            ConflictError: Together with earlier ones that is more than the invoice.
        """
        invoice = await self.get(who, key)
        await self._services.namespaces.require(who, invoice.seller, Role.OWNER)
        note = await self._credit(invoice, new.amount_minor, new.reason, who.user_id, f"note|{new_id()}")
        await self._services.audit.record(
            who, "invoice.credit", invoice.key, number=note.number, amount_minor=note.amount_minor, reason=note.reason
        )  # fmt: skip
        return note

    async def credit_refund(self, order: Order) -> None:
        """Take back from an invoice what was refunded, once for each order.

        Raises:
            ConflictError: The invoice is being closed just now: the provider tells again later.
        """
        invoice = await self._store.invoice(order.invoice or "")
        if invoice is None or invoice.state != "closed":
            raise ConflictError("the invoice of this order is being closed: tell again in a minute")
        await self._credit(
            invoice, order.amount_minor, f"refund of order {order.id}", "", f"order|{order.id}"
        )

    async def answers(self, invoices: list[Invoice]) -> list[InvoiceAnswer]:
        """Return closed invoices as seller and organisation see them."""
        return [_answer(each, await self._store.credits(each.key)) for each in invoices]

    async def _close(self, seller: str, organisation: str, currency: str, period: str) -> Invoice | None:
        """Close one invoice; None if there is nothing to bill, or it is closed already."""
        invoice_id = f"{seller}|{organisation}|{currency}|{period}"
        for attempt in range(_TRIES):
            draft = await self._store.begin(
                Invoice(
                    id=invoice_id, key=new_id(), seller=seller, organisation=organisation, currency=currency, period=period
                )
            )  # fmt: skip
            if draft is None:
                return None
            where = {"seller": seller, "organisation": organisation, "currency": currency}
            await self._licences.put_on_invoice(draft.id, where, period)
            await self._store.put_on_invoice(draft)
            lines = await self._lines(draft)
            if not lines:
                await self._store.discard(draft)
                return None
            # Between here and the update nothing can come onto this invoice without another `begin`.
            values = await self._closing(draft, lines)
            if await self._store.close(draft, values):
                return await self._store.invoice(invoice_id)
            await asyncio.sleep(random.uniform(0, 0.02 * (attempt + 1)))  # noqa: S311 - no secret
        raise UnavailableError("many close this month at once: try again")

    async def _lines(self, draft: Invoice) -> list[InvoiceLine]:
        lines = [
            InvoiceLine(
                kind="usage", component=row["component"], reference=row["licence"], quantity=row["rows"],
                unit_minor=row["price"], per="million_rows", amount_minor=price_of_rows(row["rows"], row["price"]), paid=False,
            )
            for row in await self._licences.on_invoice(draft.id)
        ]  # fmt: skip
        lines += [
            InvoiceLine(
                kind="licence", component=order.component, reference=order.id, quantity=order.seats or 1,
                unit_minor=order.price.amount_minor, per=order.price.per, amount_minor=order.amount_minor, paid=True,
            )
            for order in await self._store.on_invoice(draft)
        ]  # fmt: skip
        return lines

    async def _closing(self, draft: Invoice, lines: list[InvoiceLine]) -> dict[str, Any]:
        total = sum(line.amount_minor for line in lines)
        if total > LARGEST_MINOR:
            raise ConflictError(
                f"the invoice of {draft.organisation} would be {total}: more than can be billed at once"
            )
        values: dict[str, Any] = {
            "number": await self._store.number_for(draft),
            "lines": [line.model_dump() for line in lines],
            "total_minor": total,
            "paid_minor": sum(line.amount_minor for line in lines if line.paid),
            "closed_at": milliseconds(self._services.clock()),
        }
        return {**values, "sha256": content_hash(draft.model_copy(update={**values, "lines": lines}))}

    async def _credit(self, invoice: Invoice, amount: int, reason: str, by: str, source: str) -> CreditNote:
        for _ in range(_TRIES):
            present = await self._store.credits(invoice.key)
            if again := next((each for each in present if each.source == source), None):
                return again
            left = invoice.total_minor - sum(each.amount_minor for each in present)
            if amount > left:
                raise ConflictError(
                    f"of this invoice only {left} {invoice.currency} in minor units are left to take back"
                )
            # The number was read together with the sum: who has it has seen all notes before.
            number = len(present) + 1
            note = CreditNote(
                id=f"{invoice.key}|{number}", invoice=invoice.key, number=number, amount_minor=amount, reason=reason,
                by=by, source=source, at=milliseconds(self._services.clock()),
            )  # fmt: skip
            if await self._store.insert_credit(note):
                return note
        raise UnavailableError("many credit notes are written for this invoice at once: try again")


def content_hash(invoice: Invoice) -> str:
    """Return the hash of all that a closed invoice says."""
    said = invoice.model_dump(mode="json", exclude={"sha256", "state", "rev", "schema_version"})
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _answer(invoice: Invoice, notes: list[CreditNote]) -> InvoiceAnswer:
    assert invoice.closed_at is not None
    credited = sum(each.amount_minor for each in notes)
    return InvoiceAnswer(
        id=invoice.key, number=invoice.number, seller=invoice.seller, organisation=invoice.organisation,
        currency=invoice.currency, period=invoice.period, lines=invoice.lines, total_minor=invoice.total_minor,
        paid_minor=invoice.paid_minor, credited_minor=credited,
        due_minor=max(0, invoice.total_minor - invoice.paid_minor - credited), closed_at=invoice.closed_at,
        sha256=invoice.sha256, credit_notes=[CreditNoteAnswer(**each.model_dump(include=set(CreditNoteAnswer.model_fields))) for each in notes],
    )  # fmt: skip
