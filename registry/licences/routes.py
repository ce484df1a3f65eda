"""Licences, metered use, orders and invoices over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from registry.access import Anybody, Principal, Scope, allow
from registry.documents import Page
from registry.identifiers import NAMESPACE_PATTERN, component_id
from registry.licences.bills import (
    CallbackAnswer,
    Closed,
    CreditNoteAnswer,
    InvoiceAnswer,
    NewCreditNote,
    NewOrder,
    OrderAnswer,
)
from registry.licences.checkouts import answer
from registry.licences.models import (
    EntitledAnswer,
    EntitlementAnswer,
    LicenceAnswer,
    NewLicence,
    NewUsage,
    OpenUsage,
    TokenWish,
    UsageAnswer,
)
from registry.parameters import After, IdPath, Limit, NamespacePath, SlugPath
from registry.services import services_of

router = APIRouter(tags=["licences"])
_MANAGE = allow(Scope.NAMESPACE)
_INSTALL = allow(Scope.INSTALL)
_COMPONENT = "/components/{ns}/{slug}"
_Login = Annotated[str, Path(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=39)]
_Period = Annotated[str, Path(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", description="Month, such as 2026-01.")]
_Namespace = Annotated[str, Query(pattern=NAMESPACE_PATTERN, description="Whose; you own it.")]
_Reference = Annotated[str, Path(pattern=r"^[\w-]{1,200}$")]


@router.post(f"{_COMPONENT}/licences", status_code=201)
async def give_licence(
    request: Request, ns: NamespacePath, slug: SlugPath, new: NewLicence, who: Principal = _MANAGE
) -> LicenceAnswer:
    """Give an organisation a licence, or change the one it has; for owners of the component's namespace."""
    licences = services_of(request).licences
    return licences.answer(await licences.give(who, component_id(ns, slug), new))


@router.post(f"{_COMPONENT}/checkout", status_code=201)
async def order_licence(
    request: Request, ns: NamespacePath, slug: SlugPath, new: NewOrder, who: Principal = _MANAGE
) -> OrderAnswer:
    """Order a licence for an organisation that one owns; the answer says where to pay."""
    return answer(await services_of(request).licences.checkouts.order(who, component_id(ns, slug), new))


@router.get("/orders/{order}")
async def read_order(request: Request, order: IdPath, who: Principal = _MANAGE) -> OrderAnswer:
    """Return an order of an organisation that one owns."""
    return answer(await services_of(request).licences.checkouts.get(who, order))


@router.post("/payments/{provider}/callback")
async def payment_callback(
    request: Request, provider: Annotated[str, Path(pattern=r"^[a-z]{1,30}$")], _: Anybody
) -> CallbackAnswer:
    """Take a signed call of a payment provider."""
    await services_of(request).licences.checkouts.call(provider, request.headers, await request.body())
    return CallbackAnswer()


@router.post("/payments/test/{reference}/pay")
async def pay_test_order(request: Request, reference: _Reference, who: Principal = _MANAGE) -> OrderAnswer:
    """Let an order count as paid, where the test provider is switched on; moves no money."""
    return answer(await services_of(request).licences.checkouts.pay(who, reference))


@router.get("/licences")
async def read_licences(
    request: Request,
    limit: Limit = 50,
    after: After = "",
    namespace: Annotated[
        str, Query(pattern=rf"^$|{NAMESPACE_PATTERN}", description="Only of this one.")
    ] = "",
    who: Principal = _MANAGE,
) -> Page[LicenceAnswer]:
    """Return the licences that one's namespaces sell or have."""
    licences = services_of(request).licences
    found = await licences.of(who, after=after, limit=limit, namespace=namespace)
    following = found[-1].key if len(found) == limit else None
    return Page(items=[licences.answer(each) for each in found], next=following)


@router.delete("/licences/{licence}", status_code=204)
async def revoke_licence(request: Request, licence: IdPath, who: Principal = _MANAGE) -> None:
    """Take a licence back at once."""
    await services_of(request).licences.revoke(who, licence)


@router.delete("/licences/{licence}/seats/{login}", status_code=204)
async def free_seat(request: Request, licence: IdPath, login: _Login, who: Principal = _MANAGE) -> None:
    """Take a seat from an account, so that another can have it."""
    await services_of(request).licences.free_seat(who, licence, login)


@router.post("/licences/{licence}/token")
async def make_entitlement(
    request: Request, response: Response, licence: IdPath, wish: TokenWish, who: Principal = _INSTALL
) -> EntitlementAnswer:
    """Return a signed entitlement for a member of the organisation; takes a seat."""
    token, expires_at = await services_of(request).licences.entitle(who, licence, wish.hours)
    response.headers["Cache-Control"] = "private, no-store"
    return EntitlementAnswer(token=token, expires_at=expires_at)


@router.get("/entitlements")
async def read_entitlements(
    request: Request, limit: Limit = 50, after: After = "", who: Principal = _INSTALL
) -> Page[EntitledAnswer]:
    """Return what one may use now as a member of organisations that have licences."""
    found = await services_of(request).licences.holdings.usable(who, after=after, limit=limit)
    return Page(items=found, next=found[-1].id if len(found) == limit else None)


@router.get("/usage-records")
async def read_open_usage(
    request: Request, namespace: _Namespace, who: Principal = _MANAGE
) -> Page[OpenUsage]:
    """Return metered use that is on no invoice yet, summed by month and licence; the newest month first."""
    return Page(items=await services_of(request).licences.holdings.open_usage(who, namespace))


@router.post("/usage-records", status_code=201)
async def record_usage(
    request: Request, response: Response, new: NewUsage, who: Principal = _INSTALL
) -> UsageAnswer:
    """Record metered use: 201 the first time, 200 when the key was known and says the same."""
    record, repeated = await services_of(request).licences.use(who, new)
    response.status_code = 200 if repeated else 201
    return UsageAnswer(
        licence=record.licence, key=new.key, rows=record.rows, at=record.at, period=record.period, repeated=repeated
    )  # fmt: skip


@router.get("/invoices")
async def read_invoices(
    request: Request, namespace: _Namespace, limit: Limit = 50, after: After = "", who: Principal = _MANAGE
) -> Page[InvoiceAnswer]:
    """Return the closed invoices that a namespace sent or got, the newest first."""
    invoicing = services_of(request).licences.invoicing
    found = await invoicing.page(who, namespace, after=after, limit=limit)
    items = await invoicing.answers(found)
    return Page(items=items, next=found[-1].key if len(found) == limit else None)


@router.get("/invoices/{invoice}")
async def read_invoice(request: Request, invoice: IdPath, who: Principal = _MANAGE) -> InvoiceAnswer:
    """Return a closed invoice."""
    invoicing = services_of(request).licences.invoicing
    return (await invoicing.answers([await invoicing.get(who, invoice)]))[0]


@router.post("/invoices/{period}/close")
async def close_invoices(
    request: Request, period: _Period, namespace: _Namespace, who: Principal = _MANAGE
) -> Closed:
    """Close a month of a seller. A closed invoice never changes; what comes late is on the next one."""
    invoicing = services_of(request).licences.invoicing
    return Closed(items=await invoicing.answers(await invoicing.close(who, namespace, period)))


@router.post("/invoices/{invoice}/credit-notes", status_code=201)
async def write_credit_note(
    request: Request, invoice: IdPath, new: NewCreditNote, who: Principal = _MANAGE
) -> CreditNoteAnswer:
    """Take an amount of a closed invoice back."""
    note = await services_of(request).licences.invoicing.credit(who, invoice, new)
    return CreditNoteAnswer(**note.model_dump(include=set(CreditNoteAnswer.model_fields)))
