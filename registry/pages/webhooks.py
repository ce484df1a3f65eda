"""Webhooks of a publisher: where its events are sent, and how that went."""

from datetime import timedelta

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dteg.core.errors import DtegError
from dteg.webapp.pages import go
from dteg.webkit import FormState
from registry.access import Principal, Role, Scope, allow
from registry.pages.forms import Posted, chosen, read, refusal, state
from registry.pages.publisher import publisher
from registry.pages.rendering import show
from registry.parameters import After, IdPath, NamespacePath
from registry.services import services_of
from registry.webhooks.models import DeliveryAnswer, DeliveryState, Event, NewWebhook, Webhook
from registry.webhooks.routes import DeliveryPath

router = APIRouter(prefix="/n/{ns}/webhooks")
_MANAGE = allow(Scope.NAMESPACE)
_PER_PAGE = 20
_SOON = timedelta(
    minutes=2
)  # until then the page asks again by itself; what is being tried now is due in one
_MEANINGS = {
    Event.RELEASE_LISTED: "a release was listed",
    Event.RELEASE_REJECTED: "a release did not pass its gates",
    Event.RELEASE_YANKED: "a release was yanked",
    Event.RELEASE_QUARANTINED: "a release was put in quarantine",
    Event.REVIEW_CREATED: "somebody wrote a review",
    Event.THREAD_CREATED: "somebody began a discussion",
    Event.REPORT_CREATED: "somebody reported something",
}


@router.get("")
async def webhooks(request: Request, ns: NamespacePath, who: Principal = _MANAGE) -> Response:
    """All webhooks of a namespace, each with its newest delivery."""
    return await _webhooks(request, who, ns)


@router.post("")
async def add(request: Request, ns: NamespacePath, form: Posted, who: Principal = _MANAGE) -> Response:
    """Make a webhook and show its secret, which is never shown again."""
    events = await chosen(request, "events")
    new, errors = read(NewWebhook, {"url": form.get("url", ""), "events": events})
    problem = ""
    if new is not None:
        try:
            made, secret = await services_of(request).webhooks.create(who, ns, new)
            return await _webhook(request, who, made, secret=secret)
        except DtegError as error:
            problem = refusal(error)
    return await _webhooks(request, who, ns, state(form, errors, problem, events=events))


@router.get("/{webhook}")
async def webhook(
    request: Request, ns: NamespacePath, webhook: IdPath, after: After = "", who: Principal = _MANAGE
) -> Response:
    """One webhook with its deliveries; while one is due soon, the page asks again by itself."""
    found = await services_of(request).webhooks.get(who, ns, webhook)
    return await _webhook(request, who, found, after=after)


@router.post("/{webhook}/test")
async def try_out(
    request: Request, ns: NamespacePath, webhook: IdPath, _: Posted, who: Principal = _MANAGE
) -> Response:
    """Send a test."""
    await services_of(request).webhooks.test(who, ns, webhook)
    # Without an anchor: a page whose address has one is not loaded again by its <meta>.
    return go(f"/n/{ns}/webhooks/{webhook}", "hook-tested")


@router.post("/{webhook}/secret")
async def renew(
    request: Request, ns: NamespacePath, webhook: IdPath, _: Posted, who: Principal = _MANAGE
) -> Response:
    """Replace the secret and show the new one once."""
    renewed, secret = await services_of(request).webhooks.renew_secret(who, ns, webhook)
    return await _webhook(request, who, renewed, secret=secret)


@router.post("/{webhook}/delete")
async def delete(
    request: Request, ns: NamespacePath, webhook: IdPath, _: Posted, who: Principal = _MANAGE
) -> Response:
    """Delete a webhook."""
    await services_of(request).webhooks.delete(who, ns, webhook)
    return go(f"/n/{ns}/webhooks", "hook-deleted")


@router.post("/{webhook}/deliveries/{delivery}/redeliver")
async def redeliver(
    request: Request,
    ns: NamespacePath,
    webhook: IdPath,
    delivery: DeliveryPath,
    _: Posted,
    who: Principal = _MANAGE,
) -> Response:
    """Send an ended delivery again."""
    await services_of(request).webhooks.redeliver(who, ns, webhook, delivery)
    return go(f"/n/{ns}/webhooks/{webhook}", "redelivered")


async def _webhooks(request: Request, who: Principal, ns: str, form: FormState | None = None) -> Response:
    it = await publisher(request, who, ns, least=Role.MAINTAINER)
    service = services_of(request).webhooks
    found = await service.of(who, ns)
    newest = {
        each.id: [
            DeliveryAnswer.of(one) for one in await service.deliveries(who, ns, each.id, after="", limit=1)
        ]
        for each in found
    }
    return show(
        request, who, "webhooks.html", status=422 if form else 200, it=it, tab="webhooks", webhooks=found, newest=newest,
        events=_MEANINGS, form=form or FormState(chosen={"events": list(Event)}),
    )  # fmt: skip


async def _webhook(
    request: Request, who: Principal, webhook: Webhook, *, after: str = "", secret: str = ""
) -> Response:
    services = services_of(request)
    it = await publisher(request, who, webhook.namespace, least=Role.MAINTAINER)
    found = await services.webhooks.deliveries(
        who, webhook.namespace, webhook.id, after=after, limit=_PER_PAGE
    )
    soon = services.clock() + _SOON
    return show(
        request, who, "webhook.html", it=it, tab="webhooks", webhook=webhook, secret=secret, events=_MEANINGS,
        deliveries=[DeliveryAnswer.of(each) for each in found], after=after,
        following=found[-1].id if len(found) == _PER_PAGE else None,
        moving=not secret and any(each.state is DeliveryState.PENDING and each.next_at < soon for each in found),
    )  # fmt: skip
