"""Home and search."""

from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError

from dteg.core.errors import InputError, UnavailableError
from dteg.webkit import Pager
from registry.access import Anybody
from registry.pages.rendering import show
from registry.search.models import FACETS, Found, ListQuery, SearchQuery, Sort
from registry.services import Services, services_of

router = APIRouter()
_SHELF = 6
_PER_PAGE = 20
_LABELS = {
    "kind": "Kind", "category": "Category", "capability": "Needs", "licence": "Licence", "price": "Price",
    "tier": "Standing", "dteg": "Proven with dteg", "python": "Proven with Python",
}  # fmt: skip
_SORTS = {
    Sort.RELEVANCE: "Best match",
    Sort.QUALITY: "Quality",
    Sort.DOWNLOADS: "Downloads",
    Sort.RATING: "Rating",
    Sort.UPDATED: "Newest",
    Sort.NAME: "Name",
}


@router.get("/")
async def home(request: Request, who: Anybody) -> Response:
    """What this is, and what is new, proven and used."""
    services = services_of(request)
    shelves = {
        "Recently updated": (Sort.UPDATED, _shelf(services, Sort.UPDATED)),
        "Best proven": (Sort.QUALITY, _shelf(services, Sort.QUALITY)),
        "Most downloaded": (Sort.DOWNLOADS, _shelf(services, Sort.DOWNLOADS)),
    }
    counts = shelves["Best proven"][1]
    return show(
        request, who, "home.html", shelves=shelves, total=counts.total, kinds=counts.facets.get("kind", []),
        categories=counts.facets.get("category", []),
    )  # fmt: skip


@router.get("/search")
async def search(request: Request, who: Anybody) -> Response:
    """Components by words and filters."""
    wanted = _wanted(request)
    found = services_of(request).search.find(wanted)
    pairs = tuple(_pairs(wanted))
    return show(
        request, who, "search.html", wanted=wanted, found=found, labels=_LABELS, facets=_facets(found, wanted),
        sorts=_SORTS, pager=Pager("/search", pairs, found.total, wanted.limit, wanted.offset),
        instead=_url([("q", found.did_you_mean), *(pair for pair in pairs if pair[0] != "q")])
        if found.did_you_mean
        else "",
        without_filters=_url([("q", wanted.q)]), chosen=len([pair for pair in pairs if pair[0] in FACETS]),
    )  # fmt: skip


@router.get("/about")
async def about(request: Request, who: Anybody) -> Response:
    """What is proved before something is listed, and what the words on the pages mean."""
    return show(request, who, "about.html")


def _shelf(services: Services, sort: Sort) -> Found:
    """Return some components; none while the database has not been reached yet."""
    try:
        return services.search.find(ListQuery(limit=_SHELF, sort=sort))
    except UnavailableError:
        return Found(total=0, items=[], facets={}, did_you_mean=None, stale=True)


def _wanted(request: Request) -> SearchQuery:
    """Return what is asked for; words and places that the search does not know are left out, empty ones too."""
    known: dict[str, list[str] | str] = {}
    for name in SearchQuery.model_fields:
        values = [value.strip() for value in request.query_params.getlist(name) if value.strip()]
        if values:
            known[name] = values if name in FACETS and name not in ("dteg", "python") else values[-1]
    try:
        return SearchQuery.model_validate({"limit": _PER_PAGE, **known})
    except ValidationError as error:
        names = ", ".join(sorted({str(each["loc"][0]) for each in error.errors()}))
        raise InputError(f"these filters have values that cannot be: {names}") from None


def _pairs(wanted: SearchQuery) -> list[tuple[str, str]]:
    pairs = [("q", wanted.q)] if wanted.q else []
    for name in FACETS:
        value = getattr(wanted, name)
        pairs += [(name, str(each)) for each in ([value] if isinstance(value, str) else value) if each]
    if wanted.sort is not Sort.RELEVANCE:
        pairs.append(("sort", wanted.sort.value))
    return [*pairs, ("explain", "true")] if wanted.explain else pairs


def _facets(found: Found, wanted: SearchQuery) -> dict[str, list[tuple[str, int, bool]]]:
    """Return the values of each filter with their counts, and whether they are chosen; chosen ones stay with 0."""
    shown = {}
    for name in FACETS:
        value = getattr(wanted, name)
        chosen = [str(each) for each in ([value] if isinstance(value, str) else value) if each]
        counts = {each.value: each.count for each in found.facets.get(name, [])}
        values = [*counts, *(each for each in chosen if each not in counts)]
        if len(values) > 1 or chosen:
            shown[name] = [(each, counts.get(each, 0), each in chosen) for each in values]
    return shown


def _url(pairs: list[tuple[str, str | None]]) -> str:
    query = urlencode([(name, value) for name, value in pairs if value])
    return f"/search?{query}" if query else "/search"
