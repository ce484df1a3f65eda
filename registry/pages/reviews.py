"""Reviews: reading them, and writing one's own."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dteg.core.errors import DtegError
from dteg.webapp.pages import go
from dteg.webkit import FormState, Point
from registry.access import Anybody, Principal, Scope, allow
from registry.pages.forms import Posted, read, refusal, state
from registry.pages.rendering import show
from registry.pages.shown import Shown, shown
from registry.parameters import After, IdPath, NamespacePath, SlugPath
from registry.reviews.models import STARS, NewReply, NewReview, Review, ReviewSort
from registry.services import services_of

router = APIRouter(prefix="/c/{ns}/{slug}/reviews")
_REVIEW = allow(Scope.REVIEW)
_NAMESPACE = allow(Scope.NAMESPACE)
_PER_PAGE = 20


@router.get("")
async def reviews(  # noqa: PLR0917 - parameters of a page
    request: Request,
    ns: NamespacePath,
    slug: SlugPath,
    who: Anybody,
    sort: ReviewSort = ReviewSort.HELPFUL,
    after: After = "",
) -> Response:
    """What people think who installed it."""
    it = await shown(request, who, ns, slug)
    return await _page(request, who, it, sort, after)


@router.post("")
async def write(
    request: Request, ns: NamespacePath, slug: SlugPath, form: Posted, who: Principal = _REVIEW
) -> Response:
    """Write one's review, or replace it."""
    stars = form.get("stars", "")
    given = {
        "stars": int(stars) if stars.isdecimal() and len(stars) < 3 else None,
        "text": form.get("text", ""),
    }
    new, errors = read(NewReview, given)
    if "stars" in errors:
        errors["stars"] = "Choose one to five stars."
    problem = ""
    if new is not None:
        try:
            await services_of(request).reviews.write(who, f"{ns}/{slug}", new)
            return go(f"/c/{ns}/{slug}/reviews", "review-saved")
        except DtegError as error:
            problem = refusal(error)
    it = await shown(request, who, ns, slug)
    return await _page(request, who, it, ReviewSort.HELPFUL, "", state(form, errors, problem))


@router.post("/withdraw")
async def withdraw(
    request: Request, ns: NamespacePath, slug: SlugPath, _: Posted, who: Principal = _REVIEW
) -> Response:
    """Take one's review back."""
    await services_of(request).reviews.withdraw(who, f"{ns}/{slug}")
    return go(f"/c/{ns}/{slug}/reviews", "review-withdrawn")


@router.post("/{review}/helpful")
async def helpful(  # noqa: PLR0917 - parameters of a page
    request: Request,
    ns: NamespacePath,
    slug: SlugPath,
    review: IdPath,
    form: Posted,
    who: Principal = _REVIEW,
) -> Response:
    """Say that a review is helpful."""
    await services_of(request).reviews.vote(who, review, form.get("helpful", "true") == "true")
    return go(f"/c/{ns}/{slug}/reviews", anchor=f"review-{review}")


@router.post("/{review}/reply")
async def reply(  # noqa: PLR0917 - parameters of a page
    request: Request,
    ns: NamespacePath,
    slug: SlugPath,
    review: IdPath,
    form: Posted,
    who: Principal = _NAMESPACE,
) -> Response:
    """Answer for the publisher; an empty answer takes it back."""
    text, problem = form.get("reply", ""), ""
    new, errors = read(NewReply, {"text": text}) if text else (None, {})
    if not errors:
        try:
            await services_of(request).reviews.reply(who, review, new.text if new else "")
            return go(f"/c/{ns}/{slug}/reviews", "reply-saved", f"review-{review}")
        except DtegError as error:
            problem = refusal(error)
    it = await shown(request, who, ns, slug)
    return await _page(request, who, it, ReviewSort.HELPFUL, "", state({}, errors, problem))


async def _page(  # noqa: PLR0917 - what the page needs
    request: Request, who: Principal, it: Shown, sort: ReviewSort, after: str, form: FormState | None = None
) -> Response:
    services = services_of(request)
    found, following = await services.reviews.page(
        who, it.component.id, sort=sort, after=after, limit=_PER_PAGE
    )
    own = await services.reviews.of(who, it.component.id)
    opens = await services.reviews.opens(who, it.component.id)
    summary = await services.reviews.summary(it.component.id)
    bars = [Point(f"{stars} ★", summary.histogram[stars - 1]) for stars in reversed(STARS)]
    return show(
        request, who, "reviews.html", status=422 if form else 200, it=it, tab="reviews", summary=summary, bars=bars,
        reviews=await services.reviews.answers(found), following=following, sort=sort.value, own=own,
        standing=_standing(who, it, opens, services.reviews.clock()), opens=opens, form=form or _own(own),
    )  # fmt: skip


def _standing(who: Principal, it: Shown, opens: datetime | None, now: datetime) -> str:
    """Return why somebody may not review: `stranger`, `member`, `not-installed`, `early`; "" for who may."""
    if not who.known:
        return "stranger"
    if it.role is not None:
        return "member"
    if opens is None:
        return "not-installed"
    return "early" if opens > now else ""


def _own(own: Review | None) -> FormState:
    given: dict[str, Any] = {"stars": str(own.stars), "text": own.text} if own else {}
    return FormState(given)
