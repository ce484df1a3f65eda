"""All pages put together; none of them is part of the API's description."""

from fastapi import APIRouter

from registry.pages import (
    account,
    admin,
    components,
    discussions,
    entrance,
    finding,
    invoices,
    licences,
    moderation,
    namespaces,
    publishing,
    recovery,
    releases,
    reviews,
    webhooks,
)

router = APIRouter(include_in_schema=False)
for part in (
    finding, entrance, recovery, components, releases, reviews, discussions, namespaces, webhooks, licences, invoices, account,
    publishing, moderation, admin,
):  # fmt: skip
    router.include_router(part.router)
