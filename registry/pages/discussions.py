"""The forum of a component."""

from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dteg.core.errors import DtegError, NotFoundError
from dteg.webapp.pages import go
from dteg.webkit import FormState
from registry.access import Anybody, Principal, Scope, allow
from registry.discussions.models import NewReply, NewThread
from registry.pages.forms import Posted, read, refusal, state
from registry.pages.rendering import show
from registry.pages.shown import shown
from registry.parameters import After, IdPath, NamespacePath, SlugPath
from registry.services import services_of

router = APIRouter(prefix="/c/{ns}/{slug}/discussions")
_REVIEW = allow(Scope.REVIEW)
_MANAGE = allow(Scope.NAMESPACE)
_PER_PAGE = 30


@router.get("")
async def threads(
    request: Request, ns: NamespacePath, slug: SlugPath, who: Anybody, after: After = ""
) -> Response:
    """Its threads, the newest first."""
    return await _threads(request, who, ns, slug, after)


@router.post("")
async def begin(
    request: Request, ns: NamespacePath, slug: SlugPath, form: Posted, who: Principal = _REVIEW
) -> Response:
    """Begin a thread."""
    new, errors = read(NewThread, {"title": form.get("title", ""), "text": form.get("text", "")})
    problem = ""
    if new is not None:
        try:
            thread = await services_of(request).discussions.begin(who, f"{ns}/{slug}", new)
            return go(f"/c/{ns}/{slug}/discussions/{thread.id}", "thread")
        except DtegError as error:
            problem = refusal(error)
    return await _threads(request, who, ns, slug, "", state(form, errors, problem))


@router.get("/{thread}")
async def thread(  # noqa: PLR0917 - parameters of a page
    request: Request, ns: NamespacePath, slug: SlugPath, thread: IdPath, who: Anybody, after: After = ""
) -> Response:
    """One thread with its replies."""
    return await _thread(request, who, ns, slug, thread, after)


@router.post("/{thread}")
async def reply(  # noqa: PLR0917 - parameters of a page
    request: Request,
    ns: NamespacePath,
    slug: SlugPath,
    thread: IdPath,
    form: Posted,
    who: Principal = _REVIEW,
) -> Response:
    """Reply."""
    new, errors = read(NewReply, {"text": form.get("text", "")})
    problem = ""
    if new is not None:
        try:
            made = await services_of(request).discussions.reply(who, thread, new)
            return go(f"/c/{ns}/{slug}/discussions/{thread}", "replied", f"reply-{made.id}")
        except DtegError as error:
            problem = refusal(error)
    return await _thread(request, who, ns, slug, thread, "", state(form, errors, problem))


@router.post("/{thread}/lock")
async def lock(  # noqa: PLR0917 - parameters of a page
    request: Request,
    ns: NamespacePath,
    slug: SlugPath,
    thread: IdPath,
    form: Posted,
    who: Principal = _MANAGE,
) -> Response:
    """Close a thread, or open it again."""
    locked = form.get("locked", "true") == "true"
    await services_of(request).discussions.set_locked(who, thread, locked)
    return go(f"/c/{ns}/{slug}/discussions/{thread}", "locked" if locked else "unlocked")


@router.post("/{thread}/delete")
async def delete(  # noqa: PLR0917 - parameters of a page
    request: Request,
    ns: NamespacePath,
    slug: SlugPath,
    thread: IdPath,
    form: Posted,
    who: Principal = _REVIEW,
) -> Response:
    """Delete one's own thread, or one's own reply in it."""
    discussions = services_of(request).discussions
    kind: Literal["thread", "reply"] = "reply" if form.get("reply") else "thread"
    if kind == "reply":
        await discussions.delete_reply(who, form["reply"])
        return go(f"/c/{ns}/{slug}/discussions/{thread}", "text-deleted")
    await discussions.delete_thread(who, thread)
    return go(f"/c/{ns}/{slug}/discussions", "text-deleted")


async def _threads(  # noqa: PLR0917 - what the page needs
    request: Request, who: Principal, ns: str, slug: str, after: str, form: FormState | None = None
) -> Response:
    discussions = services_of(request).discussions
    it = await shown(request, who, ns, slug)
    found = await discussions.threads(who, it.component.id, after=after, limit=_PER_PAGE)
    return show(
        request, who, "discussions.html", status=422 if form else 200, it=it, tab="discussions",
        threads=await discussions.thread_answers(who, found), form=form or FormState(),
        following=found[-1].id if len(found) == _PER_PAGE else "",
    )  # fmt: skip


async def _thread(  # noqa: PLR0917 - what the page needs
    request: Request,
    who: Principal,
    ns: str,
    slug: str,
    thread_id: str,
    after: str,
    form: FormState | None = None,
) -> Response:
    discussions = services_of(request).discussions
    it = await shown(request, who, ns, slug)
    found = await discussions.thread(who, thread_id)
    if found.component != it.component.id:
        raise NotFoundError("there is no such thread here")
    replies = await discussions.replies(who, thread_id, after=after, limit=_PER_PAGE)
    (answer,) = await discussions.thread_answers(who, [found])
    return show(
        request, who, "thread.html", status=422 if form else 200, it=it, tab="discussions", thread=answer,
        replies=await discussions.reply_answers(who, replies), form=form or FormState(), first=not after,
        following=replies[-1].id if len(replies) == _PER_PAGE else "",
    )  # fmt: skip
