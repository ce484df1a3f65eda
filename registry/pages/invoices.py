"""Invoices and use that is not billed yet, for the owners of a namespace."""

from collections.abc import Sequence
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dteg.core.errors import DtegError
from dteg.webapp.pages import go
from dteg.webkit import FormState
from registry.access import Principal, Role, Scope, allow
from registry.licences.bills import InvoiceAnswer, NewCreditNote
from registry.licences.exports import MEDIA_TYPE, invoices_csv
from registry.pages.forms import Posted, read, refusal, state
from registry.pages.publisher import paid_components, publisher
from registry.pages.rendering import show
from registry.parameters import After, IdPath, NamespacePath
from registry.services import services_of

router = APIRouter()
_MANAGE = allow(Scope.NAMESPACE)
_OF = "/n/{ns}/invoices"
_ONE = "/invoices/{invoice}"
_PER_PAGE = 30


@router.get(_OF)
async def invoices(
    request: Request, ns: NamespacePath, after: After = "", who: Principal = _MANAGE
) -> Response:
    """The invoices that a namespace sent or got."""
    return await _invoices(request, who, ns, after)


@router.get(f"{_OF}/export")
async def export_all(request: Request, ns: NamespacePath, who: Principal = _MANAGE) -> Response:
    """All of them as CSV."""
    invoicing = services_of(request).licences.invoicing
    found = await invoicing.answers(await invoicing.page(who, ns, after="", limit=0))
    return _file(invoices_csv(found), MEDIA_TYPE, f"invoices-{ns}.csv")


@router.post(f"{_OF}/close")
async def close(request: Request, ns: NamespacePath, form: Posted, who: Principal = _MANAGE) -> Response:
    """Close a month."""
    services, period = services_of(request), form.get("period", "")
    await services.namespaces.require(who, ns, Role.OWNER)
    try:
        await services.licences.invoicing.close(who, ns, period)
    except DtegError as error:
        return await _invoices(request, who, ns, "", state(form, problem=refusal(error)))
    return go(f"/n/{ns}/invoices", "month-closed")


@router.get(_ONE)
async def invoice(request: Request, invoice: IdPath, who: Principal = _MANAGE) -> Response:
    """One invoice."""
    return await _invoice(request, who, invoice)


@router.get(f"{_ONE}/export")
async def export_one(
    request: Request,
    invoice: IdPath,
    kind: Literal["csv", "json"] = "csv",
    who: Principal = _MANAGE,
) -> Response:
    """One invoice as a file."""
    found = await _found(request, who, invoice)
    name = f"invoice-{found.seller}-{found.number}.{kind}"
    if kind == "json":
        return _file(found.model_dump_json(indent=2).encode(), "application/json", name)
    return _file(invoices_csv([found]), MEDIA_TYPE, name)


@router.post(f"{_ONE}/credit-notes")
async def credit(request: Request, invoice: IdPath, form: Posted, who: Principal = _MANAGE) -> Response:
    """Take an amount back."""
    amount = form.get("amount_minor", "")
    given: dict[str, Any] = {
        "amount_minor": int(amount) if amount.isascii() and amount.isdecimal() and len(amount) < 17 else amount,
        "reason": form.get("reason", ""),
    }  # fmt: skip
    new, errors = read(NewCreditNote, given)
    if "amount_minor" in errors:
        errors["amount_minor"] = "Amount: write a whole number of the smallest unit, such as 250 for 2.50."
    problem = ""
    if new is not None:
        try:
            await services_of(request).licences.invoicing.credit(who, invoice, new)
            return go(f"/invoices/{invoice}", "credited", "credit-notes")
        except DtegError as error:
            problem = refusal(error)
    return await _invoice(request, who, invoice, state(form, errors, problem))


async def _invoices(
    request: Request, who: Principal, ns: str, after: str, form: FormState | None = None
) -> Response:
    licences = services_of(request).licences
    it = await publisher(request, who, ns, least=Role.OWNER)
    found = await licences.invoicing.page(who, ns, after=after, limit=_PER_PAGE)
    return show(
        request, who, "invoices.html", status=422 if form else 200, it=it, tab="invoices", form=form or FormState(),
        invoices=await licences.invoicing.answers(found), usage=await licences.holdings.open_usage(who, ns),
        following=found[-1].key if len(found) == _PER_PAGE else None, sells=bool(await paid_components(request, ns)),
    )  # fmt: skip


async def _invoice(request: Request, who: Principal, key: str, form: FormState | None = None) -> Response:
    found = await _found(request, who, key)
    owned = await _owned(request, who, (found.seller, found.organisation))
    return show(
        request, who, "invoice.html", status=422 if form else 200, invoice=found, owned=owned, form=form or FormState()
    )  # fmt: skip


async def _found(request: Request, who: Principal, key: str) -> InvoiceAnswer:
    invoicing = services_of(request).licences.invoicing
    (found,) = await invoicing.answers([await invoicing.get(who, key)])
    return found


async def _owned(request: Request, who: Principal, names: Sequence[str]) -> list[str]:
    """Return which of some namespaces who looks owns."""
    namespaces = await services_of(request).namespaces.of(who.user_id)
    mine = {each.id for each in namespaces if each.role_of(who.user_id) is Role.OWNER and who.covers(each.id)}
    return [name for name in names if name in mine]


def _file(content: bytes, media_type: str, name: str) -> Response:
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "private, no-store",
    }
    return Response(content, media_type=media_type, headers=headers)
