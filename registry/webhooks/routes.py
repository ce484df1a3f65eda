"""Webhooks and feeds over HTTP."""

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from registry.access import Anybody, Principal, Scope, allow
from registry.documents import Page
from registry.identifiers import component_id
from registry.parameters import After, IdPath, Limit, NamespacePath, SlugPath
from registry.services import services_of
from registry.webhooks.feed import MEDIA_TYPE, atom
from registry.webhooks.models import (
    DeliveryAnswer,
    Happened,
    NewWebhook,
    Webhook,
    WebhookAnswer,
    WebhookMade,
)

router = APIRouter(tags=["webhooks"])
_MANAGE = allow(Scope.NAMESPACE)
_HOOKS = "/namespaces/{ns}/webhooks"
DeliveryPath = Annotated[str, Path(pattern=r"^[0-9a-z]{26}-[0-9a-z]{26}$")]
_ATOM: dict[int | str, dict[str, Any]] = {200: {"content": {MEDIA_TYPE: {}}, "description": "An Atom feed."}}


@router.get(_HOOKS)
async def read_webhooks(request: Request, ns: NamespacePath, who: Principal = _MANAGE) -> Page[WebhookAnswer]:
    """Return the webhooks of a namespace, without their secrets."""
    found = await services_of(request).webhooks.of(who, ns)
    return Page(items=[WebhookAnswer(**_shown(each)) for each in found])


@router.post(_HOOKS, status_code=201)
async def create_webhook(
    request: Request, ns: NamespacePath, new: NewWebhook, who: Principal = _MANAGE
) -> WebhookMade:
    """Have events sent to a URL. The secret that signs them is shown in this answer only."""
    webhook, secret = await services_of(request).webhooks.create(who, ns, new)
    return WebhookMade(**_shown(webhook), secret=secret)


@router.delete(f"{_HOOKS}/{{webhook}}", status_code=204)
async def delete_webhook(
    request: Request,
    ns: NamespacePath,
    webhook: IdPath,
    who: Principal = _MANAGE,
) -> None:
    """Delete a webhook."""
    await services_of(request).webhooks.delete(who, ns, webhook)


@router.post(f"{_HOOKS}/{{webhook}}/secret")
async def renew_secret(
    request: Request,
    ns: NamespacePath,
    webhook: IdPath,
    who: Principal = _MANAGE,
) -> WebhookMade:
    """Replace the secret at once."""
    renewed, secret = await services_of(request).webhooks.renew_secret(who, ns, webhook)
    return WebhookMade(**_shown(renewed), secret=secret)


@router.post(f"{_HOOKS}/{{webhook}}/test", status_code=202)
async def try_webhook(
    request: Request,
    ns: NamespacePath,
    webhook: IdPath,
    who: Principal = _MANAGE,
) -> DeliveryAnswer:
    """Send the event `webhook.test` to this webhook."""
    return DeliveryAnswer.of(await services_of(request).webhooks.test(who, ns, webhook))


@router.get(f"{_HOOKS}/{{webhook}}/deliveries")
async def read_deliveries(
    request: Request,
    *,
    ns: NamespacePath,
    webhook: IdPath,
    limit: Limit = 20,
    after: After = "",
    who: Principal = _MANAGE,
) -> Page[DeliveryAnswer]:
    """Return how deliveries went, those of the newest events first."""
    found = await services_of(request).webhooks.deliveries(who, ns, webhook, after=after, limit=limit)
    return Page(
        items=[DeliveryAnswer.of(each) for each in found], next=found[-1].id if len(found) == limit else None
    )


@router.post(f"{_HOOKS}/{{webhook}}/deliveries/{{delivery}}/redeliver", status_code=202)
async def redeliver(
    request: Request,
    *,
    ns: NamespacePath,
    webhook: IdPath,
    delivery: DeliveryPath,
    who: Principal = _MANAGE,
) -> DeliveryAnswer:
    """Send an ended delivery again."""
    return DeliveryAnswer.of(await services_of(request).webhooks.redeliver(who, ns, webhook, delivery))


@router.get("/feed.atom", response_class=Response, responses=_ATOM)
async def read_feed(
    request: Request,
    _: Anybody,
    namespace: Annotated[str, Query(pattern=r"^([a-z][a-z0-9]{1,38})?$", description="Only this one.")] = "",
) -> Response:
    """Return the newest releases as an Atom feed."""
    found = await services_of(request).webhooks.releases(namespace)
    title = f"New releases of {namespace}" if namespace else "New releases"
    query = f"?namespace={namespace}" if namespace else ""
    return _feed(request, title, f"/api/v1/feed.atom{query}", found)


@router.get("/components/{ns}/{slug}/feed.atom", response_class=Response, responses=_ATOM)
async def read_component_feed(request: Request, ns: NamespacePath, slug: SlugPath, _: Anybody) -> Response:
    """Return the newest releases of a component as an Atom feed."""
    services = services_of(request)
    component = await services.components.get(component_id(ns, slug))
    found = await services.webhooks.releases(component=component.id)
    return _feed(
        request, f"Releases of {component.id}", f"/api/v1/components/{component.id}/feed.atom", found
    )


def _feed(request: Request, title: str, path: str, releases: list[Happened]) -> Response:
    url = services_of(request).settings.public_url
    content = atom(title, url, f"{url}{path}", releases)
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    caching = {"ETag": tag, "Cache-Control": "public, max-age=300"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=caching)
    return Response(content, media_type=MEDIA_TYPE, headers=caching)


def _shown(webhook: Webhook) -> dict[str, Any]:
    return webhook.model_dump(include=set(WebhookAnswer.model_fields))
