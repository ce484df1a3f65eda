"""Discussions over HTTP."""

from fastapi import APIRouter, Request

from registry.access import Anybody, Principal, Scope, allow
from registry.discussions.models import NewReply, NewThread, ReplyAnswer, ThreadAnswer, ThreadChange
from registry.documents import Page
from registry.identifiers import component_id
from registry.parameters import After, IdPath, Limit, NamespacePath, SlugPath
from registry.services import services_of

router = APIRouter(tags=["discussions"])
_WRITE = allow(Scope.REVIEW)
_MANAGE = allow(Scope.NAMESPACE)
_THREADS = "/components/{ns}/{slug}/threads"


@router.get(_THREADS)
async def read_threads(
    request: Request,
    *,
    ns: NamespacePath,
    slug: SlugPath,
    who: Anybody,
    limit: Limit = 20,
    after: After = "",
) -> Page[ThreadAnswer]:
    """Return the threads of a component, the newest first."""
    discussions = services_of(request).discussions
    found = await discussions.threads(who, component_id(ns, slug), after=after, limit=limit)
    items = await discussions.thread_answers(who, found)
    return Page(items=items, next=found[-1].id if len(found) == limit else None)


@router.post(_THREADS, status_code=201)
async def begin_thread(
    request: Request, ns: NamespacePath, slug: SlugPath, new: NewThread, who: Principal = _WRITE
) -> ThreadAnswer:
    """Begin a thread."""
    discussions = services_of(request).discussions
    thread = await discussions.begin(who, component_id(ns, slug), new)
    return (await discussions.thread_answers(who, [thread]))[0]


@router.get("/threads/{thread}")
async def read_thread(request: Request, thread: IdPath, who: Anybody) -> ThreadAnswer:
    """Return a thread without its replies."""
    discussions = services_of(request).discussions
    return (await discussions.thread_answers(who, [await discussions.thread(who, thread)]))[0]


@router.patch("/threads/{thread}")
async def edit_thread(
    request: Request, thread: IdPath, change: ThreadChange, who: Principal = _WRITE
) -> ThreadAnswer:
    """Change one's own thread."""
    discussions = services_of(request).discussions
    return (await discussions.thread_answers(who, [await discussions.edit_thread(who, thread, change)]))[0]


@router.delete("/threads/{thread}", status_code=204)
async def delete_thread(request: Request, thread: IdPath, who: Principal = _WRITE) -> None:
    """Delete one's own thread."""
    await services_of(request).discussions.delete_thread(who, thread)


@router.post("/threads/{thread}/lock")
async def lock_thread(request: Request, thread: IdPath, who: Principal = _MANAGE) -> ThreadAnswer:
    """Take no more replies."""
    discussions = services_of(request).discussions
    return (await discussions.thread_answers(who, [await discussions.set_locked(who, thread, True)]))[0]


@router.delete("/threads/{thread}/lock")
async def unlock_thread(request: Request, thread: IdPath, who: Principal = _MANAGE) -> ThreadAnswer:
    """Take replies again."""
    discussions = services_of(request).discussions
    return (await discussions.thread_answers(who, [await discussions.set_locked(who, thread, False)]))[0]


@router.get("/threads/{thread}/replies")
async def read_replies(
    request: Request, thread: IdPath, who: Anybody, limit: Limit = 50, after: After = ""
) -> Page[ReplyAnswer]:
    """Return the replies of a thread, the oldest first."""
    discussions = services_of(request).discussions
    found = await discussions.replies(who, thread, after=after, limit=limit)
    items = await discussions.reply_answers(who, found)
    return Page(items=items, next=found[-1].id if len(found) == limit else None)


@router.post("/threads/{thread}/replies", status_code=201)
async def write_reply(
    request: Request, thread: IdPath, new: NewReply, who: Principal = _WRITE
) -> ReplyAnswer:
    """Reply to a thread."""
    discussions = services_of(request).discussions
    return (await discussions.reply_answers(who, [await discussions.reply(who, thread, new)]))[0]


@router.patch("/replies/{reply}")
async def edit_reply(request: Request, reply: IdPath, new: NewReply, who: Principal = _WRITE) -> ReplyAnswer:
    """Change one's own reply."""
    discussions = services_of(request).discussions
    return (await discussions.reply_answers(who, [await discussions.edit_reply(who, reply, new)]))[0]


@router.delete("/replies/{reply}", status_code=204)
async def delete_reply(request: Request, reply: IdPath, who: Principal = _WRITE) -> None:
    """Delete one's own reply; its place stays."""
    await services_of(request).discussions.delete_reply(who, reply)
