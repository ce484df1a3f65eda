"""Reviews over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from dteg.core.errors import NotFoundError
from registry.access import Anybody, Principal, Scope, allow
from registry.documents import Page
from registry.identifiers import component_id
from registry.parameters import After, IdPath, Limit, NamespacePath, SlugPath
from registry.reviews.models import HelpfulAnswer, NewReply, NewReview, ReviewAnswer, ReviewSort
from registry.services import services_of

router = APIRouter(tags=["reviews"])
_REVIEW = allow(Scope.REVIEW)
_NAMESPACE = allow(Scope.NAMESPACE)


@router.put("/components/{ns}/{slug}/review")
async def write_review(
    request: Request,
    response: Response,
    *,
    ns: NamespacePath,
    slug: SlugPath,
    new: NewReview,
    who: Principal = _REVIEW,
) -> ReviewAnswer:
    """Write one's review, or replace it: 201 for the first, 200 after. Wants an install receipt of the account."""
    reviews = services_of(request).reviews
    review, first = await reviews.write(who, component_id(ns, slug), new)
    response.status_code = 201 if first else 200
    return (await reviews.answers([review]))[0]


@router.get("/components/{ns}/{slug}/review")
async def read_own_review(
    request: Request, ns: NamespacePath, slug: SlugPath, who: Principal = _REVIEW
) -> ReviewAnswer:
    """Return one's own review, hidden or not."""
    reviews = services_of(request).reviews
    review = await reviews.of(who, component_id(ns, slug))
    if review is None:
        raise NotFoundError(f"you have no review of {component_id(ns, slug)}")
    return (await reviews.answers([review]))[0]


@router.delete("/components/{ns}/{slug}/review", status_code=204)
async def withdraw_review(
    request: Request, ns: NamespacePath, slug: SlugPath, who: Principal = _REVIEW
) -> None:
    """Take one's review back: stars and text are erased."""
    await services_of(request).reviews.withdraw(who, component_id(ns, slug))


@router.get("/components/{ns}/{slug}/reviews")
async def read_reviews(
    request: Request,
    *,
    ns: NamespacePath,
    slug: SlugPath,
    who: Anybody,
    limit: Limit = 20,
    after: After = "",
    sort: Annotated[ReviewSort, Query(description="Which come first.")] = ReviewSort.NEWEST,
) -> Page[ReviewAnswer]:
    """Return the reviews of a component."""
    reviews = services_of(request).reviews
    items, following = await reviews.page(who, component_id(ns, slug), sort=sort, after=after, limit=limit)
    return Page(items=await reviews.answers(items), next=following)


@router.post("/reviews/{review}/helpful")
async def mark_helpful(request: Request, review: IdPath, who: Principal = _REVIEW) -> HelpfulAnswer:
    """Say that a review is helpful; once per account."""
    return HelpfulAnswer(helpful=await services_of(request).reviews.vote(who, review, True))


@router.delete("/reviews/{review}/helpful")
async def unmark_helpful(request: Request, review: IdPath, who: Principal = _REVIEW) -> HelpfulAnswer:
    """Take that back."""
    return HelpfulAnswer(helpful=await services_of(request).reviews.vote(who, review, False))


@router.put("/reviews/{review}/reply")
async def write_reply(
    request: Request, review: IdPath, new: NewReply, who: Principal = _NAMESPACE
) -> ReviewAnswer:
    """Answer a review for the publisher."""
    reviews = services_of(request).reviews
    return (await reviews.answers([await reviews.reply(who, review, new.text)]))[0]


@router.delete("/reviews/{review}/reply", status_code=204)
async def remove_reply(request: Request, review: IdPath, who: Principal = _NAMESPACE) -> None:
    """Take the publisher's answer back."""
    await services_of(request).reviews.reply(who, review, "")
