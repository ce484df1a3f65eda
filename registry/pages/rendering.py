"""From templates to answers: what every page knows, and how long a browser may keep it."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from dteg import __version__
from dteg.manifest import REQUIRED_GATES
from dteg.webapp.pages import here_of, page_answer
from dteg.webkit import FormState, PageKit, bar_chart, histogram
from dteg.webkit.pages import THEMES
from registry.access import Principal, Role, Scope
from registry.services import services_of

_HERE = Path(__file__).parent
THEME_COOKIE = "dteg_theme"
# What a page says after a form was sent; addresses name the sentence and cannot hold one of their own.
DONE = {
    "credited": "The credit note was written.",
    "deprecated": "The component is marked as deprecated.",
    "email": "Your address was changed.",
    "hidden": "The text is hidden.",
    "hook-deleted": "The webhook was deleted. Nothing more is sent there.",
    "hook-tested": "A test is on its way.",
    "joined": "Welcome. Your account is ready.",
    "key-added": "The key was added: releases may be signed with it from now on.",
    "key-revoked": "The key was revoked: it signs nothing from now on.",
    "licence-given": "The licence was saved. Members of the organisation may download now.",
    "licence-revoked": "The licence was taken back: nothing more is downloaded with it.",
    "link-sent": "If there is such an account, a mail with a link is on its way. It may take a few minutes.",
    "locked": "The thread is locked.",
    "logged-in": "You are logged in.",
    "logged-out": "You are logged out.",
    "member": "The member was saved.",
    "member-removed": "The member was removed.",
    "month-closed": "The month is closed.",
    "namespace": "The namespace is yours.",
    "ownerless": "You have left the namespace.",
    "password-set": "The new password is set. Log in with it.",
    "published": "The upload was accepted. Its gates run now.",
    "quarantined": "The release is quarantined.",
    "redelivered": "It is sent again.",
    "released": "The release is available again.",
    "replied": "Your reply was posted.",
    "reply-saved": "Your answer was saved.",
    "reported": "Thank you. An administrator will look at your report.",
    "resolved": "The report was resolved.",
    "review-saved": "Your review was saved.",
    "review-withdrawn": "Your review was withdrawn.",
    "rollout": "The rollout was changed.",
    "seat-freed": "The seat is free for somebody else.",
    "sessions-ended": "All other logins were ended.",
    "shown": "The text is shown again.",
    "text-deleted": "Your text was deleted.",
    "text-saved": "Your text was saved.",
    "thread": "Your thread was posted.",
    "token-deleted": "The token was revoked.",
    "undeprecated": "The component is no longer deprecated.",
    "unlocked": "The thread is open again.",
    "unverified": "The namespace is no longer marked as verified.",
    "unyanked": "The release is listed again.",
    "verified-email": "Thank you. Your address is confirmed.",
    "verified": "The namespace is marked as verified.",
    "yanked": "The release was yanked: new installations no longer take it.",
}


@dataclass(frozen=True, slots=True)
class Page:
    """What every template knows about its request.

    Attributes:
        who: Who looks.
        theme: `light`, `dark`, or "" for what the machine prefers.
        csrf: What forms carry; "" without a session.
        here: The page's own address.
        flash: What was just done.
        url: Address of the registry, as users write it.
    """

    who: Principal
    theme: str
    csrf: str
    here: str
    flash: str
    url: str

    @property
    def is_admin(self) -> bool:
        """Whether an administrator looks."""
        return self.who.may(Scope.ADMIN)


@cache
def kit() -> PageKit:
    """Return templates and static files of the pages, loaded once."""
    shared = {
        "site": "dteg registry", "version": __version__, "gate_names": REQUIRED_GATES, "bar_chart": bar_chart,
        "histogram": histogram, "roles": list(Role), "no_form": FormState(),
    }  # fmt: skip
    return PageKit([_HERE / "templates"], [_HERE / "static"], "/static", shared)


def show(request: Request, who: Principal, template: str, /, *, status: int = 200, **values: Any) -> Response:
    """Return a page. The same for everybody may be kept and asked for again by its ETag; a personal one may not."""
    page = _page(request, who)
    html = kit().render(template, page=page, **values)
    return page_answer(request, html, status=status, personal=who.known or bool(page.csrf))


def _page(request: Request, who: Principal) -> Page:
    services = services_of(request)
    cookie = request.cookies.get(services.tokens.cookie, "")
    theme = request.cookies.get(THEME_COOKIE, "")
    return Page(
        who=who, theme=theme if theme in THEMES else "",
        csrf=services.tokens.csrf_token(cookie) if cookie else "", here=here_of(request),
        flash=DONE.get(request.query_params.get("done", ""), ""), url=services.settings.public_url,
    )  # fmt: skip
