"""From templates to pages: what every page knows, and what each concept adds to navigation and home page."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import Response

from dteg import __version__
from dteg.tokens.models import Scope
from dteg.webapp.forms import texts_of
from dteg.webapp.pages import here_of, page_answer
from dteg.webkit import FormState, PageKit, bar_chart, histogram, line_chart
from dteg.webkit.pages import THEMES
from studio.access import NOBODY, Principal
from studio.services import services_of

_HERE = Path(__file__).parent
STATIC = "/static"
THEME_COOKIE = "dteg_theme"
# What a page says after a form was sent; addresses name the sentence and cannot hold one of their own. A concept has its
# own in `DONE` of its pages.
DONE = {"logged-in": "You are logged in.", "logged-out": "You are logged out."}
# A dependency of every route that takes a form; where it comes from is checked with who sent it.
Posted = Annotated[dict[str, str], Depends(texts_of)]
Navigation = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a summary.

    Attributes:
        text: What is said.
        href: Where it leads; "" nowhere.
        note: A word or two at its end, such as a time.
        tone: `good`, `bad`, `warn` or "".
    """

    text: str
    href: str = ""
    note: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a concept says on the home page. Its pages offer `summary(services: Services) -> Summary`.

    Attributes:
        title: Of the card.
        href: Where the card leads.
        figures: Label and value of the few numbers that matter.
        lines: The newest or worst things, at most five.
        empty: What to do first, when there is nothing yet.
        tone: `bad` when somebody should look.
    """

    title: str
    href: str
    figures: tuple[tuple[str, str], ...] = ()
    lines: tuple[Line, ...] = ()
    empty: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class StudioPage:
    """What every template knows about its request, as `page`.

    Attributes:
        who: Who looks.
        theme: `light`, `dark`, or "" for what the machine prefers.
        csrf: What forms carry; "" without a login.
        here: The page's own address.
        path: The same without its query.
        flash: What was just done.
        url: Address of the studio, as users write it.
        navigation: The entries, label and address, below their headings.
    """

    who: Principal
    theme: str
    csrf: str
    here: str
    path: str
    flash: str
    url: str
    navigation: Navigation = ()

    @property
    def may_write(self) -> bool:
        """Whether who looks may change data."""
        return self.who.may(Scope.WRITE)

    @property
    def may_admin(self) -> bool:
        """Whether who looks may restore, delete and give rights."""
        return self.who.may(Scope.ADMIN)


def show(request: Request, template: str, /, *, status: int = 200, **values: Any) -> Response:
    """Return a page made of a template; in templates `page` is a `StudioPage`."""
    who: Principal = getattr(request.state, "principal", None) or NOBODY
    html = kit().render(template, page=_page(request, who), **values)
    return page_answer(request, html, status=status, personal=True)


@cache
def kit() -> PageKit:
    """Return templates and static files of the pages, loaded once."""
    shared = {
        "site": "dteg studio", "version": __version__, "bar_chart": bar_chart, "histogram": histogram,
        "line_chart": line_chart, "no_form": FormState(),
    }  # fmt: skip
    folders = [_HERE, *sorted(path.parent for path in _HERE.glob("*/templates"))]
    static = [folder / "static" for folder in folders if (folder / "static").is_dir()]
    return PageKit([folder / "templates" for folder in folders], static, STATIC, shared)


def page_modules(group: str | None = None) -> Iterator[ModuleType]:
    """Yield the pages of the concepts that have some: of all, or of those below one heading."""
    from studio.app import CONCEPTS, GROUPS

    for concept in CONCEPTS if group is None else GROUPS[group]:
        if (module := part_of(concept, "pages")) is not None:
            yield module


def part_of(concept: str, part: str) -> ModuleType | None:
    """Return a module of a concept; None if it has no such part."""
    name = f"studio.{concept}.{part}"
    return import_module(name) if find_spec(name) is not None else None


@cache
def _navigation() -> Navigation:
    from studio.app import GROUPS

    return tuple(
        (group, tuple(module.NAVIGATION for module in page_modules(group) if hasattr(module, "NAVIGATION")))
        for group in GROUPS
    )


@cache
def _done() -> Mapping[str, str]:
    sentences = dict(DONE)
    for module in page_modules():
        sentences |= getattr(module, "DONE", {})
    return sentences


def _page(request: Request, who: Principal) -> StudioPage:
    services = services_of(request)
    theme = request.cookies.get(THEME_COOKIE, "")
    return StudioPage(
        who=who, theme=theme if theme in THEMES else "",
        csrf=services.credentials.csrf_token(who.cookie) if who.cookie else "", here=here_of(request),
        path=request.url.path, flash=_done().get(request.query_params.get("done", ""), ""), url=services.settings.url,
        navigation=_navigation() if who.known else (),
    )  # fmt: skip
