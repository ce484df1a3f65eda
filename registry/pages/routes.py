"""All pages put together; none of them is part of the API's description."""

from fastapi import APIRouter

from registry.pages import (
    account,
    admin,
    components,
    discussions,
    entrance,
    finding,
    moderation,
    namespaces,
    publishing,
    releases,
    reviews,
)

router = APIRouter(include_in_schema=False)
for part in (
    finding, entrance, components, releases, reviews, discussions, namespaces, account, publishing, moderation, admin,
):  # fmt: skip
    router.include_router(part.router)
