"""Invoices as CSV, for bookkeeping."""

import csv
import io
from collections.abc import Iterable, Sequence

from registry.licences.bills import InvoiceAnswer

MEDIA_TYPE = "text/csv; charset=utf-8"
_COLUMNS = (
    "number", "period", "closed_at", "seller", "organisation", "currency", "kind", "component", "reference", "quantity",
    "unit_minor", "per", "amount_minor", "paid", "reason",
)  # fmt: skip
# Spreadsheets compute what begins with these.
_FORMULA = ("=", "+", "-", "@", "\t")


def invoices_csv(invoices: Iterable[InvoiceAnswer]) -> bytes:
    """Return a row for each line and each credit note (with a negative amount); amounts are in minor units."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for invoice in invoices:
        writer.writerows(_rows(invoice))
    return text.getvalue().encode()


def _rows(invoice: InvoiceAnswer) -> Iterable[Sequence[object]]:
    head = (
        invoice.number, invoice.period, invoice.closed_at.isoformat(), invoice.seller, invoice.organisation, invoice.currency,
    )  # fmt: skip
    for line in invoice.lines:
        paid = "yes" if line.paid else "no"
        yield (
            *head, line.kind, line.component, line.reference, line.quantity, line.unit_minor, line.per, line.amount_minor,
            paid, "",
        )  # fmt: skip
    for note in invoice.credit_notes:
        reason = f"'{note.reason}" if note.reason.startswith(_FORMULA) else note.reason
        yield (*head, "credit-note", "", note.number, 1, "", "", -note.amount_minor, "", reason)
