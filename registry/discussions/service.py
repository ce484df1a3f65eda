"""The forum of each component."""

from typing import TYPE_CHECKING, Any, Literal, TypeVar

from dteg.core.errors import ConflictError, DeniedError, InputError, NotFoundError
from registry.access import Principal, Role, Scope
from registry.discussions.models import (
    NewReply,
    NewThread,
    Reply,
    ReplyAnswer,
    Thread,
    ThreadAnswer,
    ThreadChange,
)
from registry.discussions.store import INDEXES, DiscussionStore
from registry.documents import milliseconds
from registry.identifiers import new_id
from registry.service import Service
from registry.webhooks.models import Event, Happened

if TYPE_CHECKING:
    from registry.services import Services

_Post = TypeVar("_Post", Thread, Reply)
_DELETED = {"state": "deleted", "text": ""}


class Discussions(Service):
    """Keeps threads and replies."""

    INDEXES = INDEXES

    def __init__(self, services: "Services") -> None:
        super().__init__(services)
        self._store = DiscussionStore(self.database)

    # --- writing ---------------------------------------------------------------------------------------

    async def begin(self, who: Principal, component_id: str, new: NewThread) -> Thread:
        """Begin a thread.

        Raises:
            NotFoundError: There is no such component.
        """
        component = await self.services.components.get(component_id)
        now = milliseconds(self.clock())
        thread = Thread(
            id=new_id(), component=component.id, user_id=who.user_id, title=new.title, text=new.text,
            created_at=now, last_at=now, told=False,
        )  # fmt: skip
        await self._store.insert(thread)
        self.services.webhooks.wake()
        return thread

    async def reply(self, who: Principal, thread_id: str, new: NewReply) -> Reply:
        """Reply to a thread.

        Raises:
            NotFoundError: There is no such thread.
            ConflictError: It is locked.
        """
        now = milliseconds(self.clock())
        # Counted first: that is the moment in which the thread is known to be open.
        thread = await self._store.begin_reply(thread_id, now)
        if thread is None:
            await self._visible(who, thread_id)
            raise ConflictError("this thread is locked: it takes no more replies")
        reply = Reply(
            id=new_id(), component=thread.component, thread=thread_id, user_id=who.user_id, text=new.text, created_at=now
        )  # fmt: skip
        await self._store.insert(reply)
        return reply

    async def edit_thread(self, who: Principal, thread_id: str, change: ThreadChange) -> Thread:
        """Change one's own thread.

        Raises:
            NotFoundError: There is no such thread.
            DeniedError: Somebody else wrote it.
            ConflictError: It is locked, hidden or deleted.
        """
        thread = _own(who, await self._thread(thread_id))
        if thread.locked:
            raise ConflictError("this thread is locked: it is not changed any more")
        values = change.model_dump(exclude_none=True)
        if not values:
            raise InputError("nothing to change: give a title or a text")
        await self._edit(thread, values)
        return await self._thread(thread_id)

    async def edit_reply(self, who: Principal, reply_id: str, new: NewReply) -> Reply:
        """Change one's own reply; raises as `edit_thread`."""
        reply = _own(who, await self._reply(reply_id))
        if (await self._thread(reply.thread)).locked:
            raise ConflictError("this thread is locked: its replies are not changed any more")
        await self._edit(reply, {"text": new.text})
        return await self._reply(reply_id)

    async def delete_thread(self, who: Principal, thread_id: str) -> None:
        """Delete one's own thread: title and text are erased, replies are no longer found.

        Raises:
            NotFoundError: There is no such thread.
            DeniedError: Somebody else wrote it.
        """
        thread = _own(who, await self._thread(thread_id))
        values = {**_DELETED, "title": "(deleted)", "told": True}
        await self._store.change(thread, values, expected=["visible", "hidden"])
        await self.services.audit.record(who, "thread.delete", thread_id)

    async def delete_reply(self, who: Principal, reply_id: str) -> None:
        """Delete one's own reply: its text is erased, its place stays; raises as `delete_thread`."""
        reply = _own(who, await self._reply(reply_id))
        await self._store.change(reply, _DELETED, expected=["visible", "hidden"])
        await self.services.audit.record(who, "reply.delete", reply_id)

    async def set_locked(self, who: Principal, thread_id: str, locked: bool) -> Thread:
        """Close or open a thread: maintainers of the component's namespace, and administrators.

        Raises:
            NotFoundError: There is no such thread.
            DeniedError: Who asks is neither.
        """
        thread = await self._visible(who, thread_id)
        if not who.may(Scope.ADMIN):
            namespace = thread.component.partition("/")[0]
            await self.services.namespaces.require(who, namespace, Role.MAINTAINER, thread.component)
        await self._store.change(thread, {"locked": locked}, expected=["visible", "hidden"])
        await self.services.audit.record(who, "thread.lock" if locked else "thread.unlock", thread_id)
        return await self._thread(thread_id)

    async def set_hidden(
        self, who: Principal, kind: Literal["thread", "reply"], post_id: str, hidden: bool, reason: str
    ) -> None:
        """Hide a post or show it again; called by moderation, which checks rights.

        Raises:
            NotFoundError: There is no such post.
        """
        post = await (self._thread(post_id) if kind == "thread" else self._reply(post_id))
        state = "hidden" if hidden else "visible"
        if not await self._store.change(post, {"state": state}, expected=["visible", "hidden"]):
            raise NotFoundError(f"this {kind} was deleted by its author")
        await self.services.audit.record(
            who, f"{kind}.{'hide' if hidden else 'show'}", post_id, reason=reason
        )

    # --- reading ---------------------------------------------------------------------------------------

    async def threads(self, who: Principal, component_id: str, *, after: str, limit: int) -> list[Thread]:
        """Return the threads of a component, the newest first; to administrators hidden ones too.

        Raises:
            NotFoundError: There is no such component.
        """
        await self.services.components.get(component_id)
        return await self._store.threads(
            component_id, after=after, limit=limit, all_states=who.may(Scope.ADMIN)
        )

    async def thread(self, who: Principal, thread_id: str) -> Thread:
        """Return a thread; a hidden one only to its author and to administrators.

        Raises:
            NotFoundError: There is none for who asks.
        """
        return await self._visible(who, thread_id)

    async def replies(self, who: Principal, thread_id: str, *, after: str, limit: int) -> list[Reply]:
        """Return the replies of a thread, the oldest first; raises as `thread`."""
        await self._visible(who, thread_id)
        return await self._store.replies(thread_id, after=after, limit=limit)

    async def component_of(self, kind: Literal["thread", "reply"], post_id: str) -> str:
        """Return the component that a post belongs to.

        Raises:
            NotFoundError: There is no such post.
        """
        return (await (self._thread(post_id) if kind == "thread" else self._reply(post_id))).component

    async def thread_answers(self, who: Principal, threads: list[Thread]) -> list[ThreadAnswer]:
        """Return threads as who asks may see them."""
        logins = await self._logins(threads)
        return [
            ThreadAnswer(
                **_shown(who, each, logins), component=each.component, title=each.title, locked=each.locked,
                replies=each.replies, last_at=each.last_at,
            )
            for each in threads
        ]  # fmt: skip

    async def reply_answers(self, who: Principal, replies: list[Reply]) -> list[ReplyAnswer]:
        """Return replies as who asks may see them."""
        logins = await self._logins(replies)
        return [ReplyAnswer(**_shown(who, each, logins), thread=each.thread) for each in replies]

    # --- events ----------------------------------------------------------------------------------------

    async def untold(self, limit: int) -> list[Happened]:
        """Return events of new threads that the webhooks have not kept yet."""
        threads = await self._store.untold(limit)
        logins = await self._logins(threads)
        return [_event(each, logins.get(each.user_id, "")) for each in threads]

    async def told(self, happened: Happened) -> None:
        """Note that the webhooks have kept an event."""
        await self._store.set_told(happened.id)

    # --- inside ----------------------------------------------------------------------------------------

    async def _edit(self, post: Thread | Reply, values: dict[str, Any]) -> None:
        now = milliseconds(self.clock())
        if not await self._store.change(post, {**values, "edited_at": now}, expected=["visible"]):
            raise ConflictError("it was hidden or deleted, and cannot be changed")

    async def _thread(self, thread_id: str) -> Thread:
        thread = await self._store.thread(thread_id)
        if thread is None or thread.state == "deleted":
            raise NotFoundError("there is no such thread")
        return thread

    async def _reply(self, reply_id: str) -> Reply:
        reply = await self._store.reply(reply_id)
        if reply is None or reply.state == "deleted":
            raise NotFoundError("there is no such reply")
        return reply

    async def _visible(self, who: Principal, thread_id: str) -> Thread:
        thread = await self._thread(thread_id)
        if thread.state == "hidden" and not _may_see(who, thread):
            raise NotFoundError("there is no such thread")
        return thread

    async def _logins(self, posts: list[Thread] | list[Reply]) -> dict[str, str]:
        return await self.services.accounts.logins(sorted({each.user_id for each in posts}))


def _event(thread: Thread, author: str) -> Happened:
    payload = {"component": thread.component, "thread": thread.id, "title": thread.title, "author": author}
    namespace = thread.component.partition("/")[0]
    return Happened(
        id=thread.id, event=Event.THREAD_CREATED, namespace=namespace, payload=payload, at=thread.created_at
    )


def _own(who: Principal, post: _Post) -> _Post:
    if not who.known or post.user_id != who.user_id:
        raise DeniedError("only who wrote it may change it")
    return post


def _may_see(who: Principal, post: Thread | Reply) -> bool:
    return who.may(Scope.ADMIN) or (who.known and who.user_id == post.user_id)


def _shown(who: Principal, post: Thread | Reply, logins: dict[str, str]) -> dict[str, Any]:
    secret = post.state == "deleted" or (post.state == "hidden" and not _may_see(who, post))
    return {
        "id": post.id, "author": "" if post.state == "deleted" else logins.get(post.user_id, ""),
        "text": "" if secret else post.text, "state": post.state, "created_at": post.created_at,
        "edited_at": post.edited_at,
    }  # fmt: skip
