"""The collections `threads` and `replies`."""

from datetime import datetime
from typing import Any

from pymongo import IndexModel, ReturnDocument

from registry.database import Database
from registry.discussions.models import Post, Reply, Thread

THREADS, REPLIES = "threads", "replies"
INDEXES = {
    THREADS: [IndexModel([("component", 1), ("_id", -1)]), IndexModel([("told", 1), ("_id", 1)])],
    REPLIES: [IndexModel([("thread", 1), ("_id", 1)])],
}


class DiscussionStore:
    """Threads by component, replies by thread."""

    def __init__(self, database: Database) -> None:
        self._threads = database[THREADS]
        self._replies = database[REPLIES]

    async def insert(self, post: Thread | Reply) -> None:
        """Keep a post."""
        await self._of(post).insert_one(post.to_mongo())

    async def thread(self, thread_id: str) -> Thread | None:
        """Return a thread."""
        found = await self._threads.find_one({"_id": thread_id})
        return Thread.from_mongo(found) if found else None

    async def reply(self, reply_id: str) -> Reply | None:
        """Return a reply."""
        found = await self._replies.find_one({"_id": reply_id})
        return Reply.from_mongo(found) if found else None

    async def threads(self, component: str, *, after: str, limit: int, all_states: bool) -> list[Thread]:
        """Return the threads of a component, the newest first."""
        query: dict[str, Any] = {"component": component}
        if not all_states:
            query["state"] = "visible"
        if after:
            query["_id"] = {"$lt": after}
        cursor = self._threads.find(query, sort=[("_id", -1)], limit=limit)
        return [Thread.from_mongo(document) async for document in cursor]

    async def untold(self, limit: int) -> list[Thread]:
        """Return threads whose event is not kept yet, the oldest first."""
        cursor = self._threads.find({"told": False}, sort=[("_id", 1)], limit=limit)
        return [Thread.from_mongo(document) async for document in cursor]

    async def set_told(self, thread_id: str) -> None:
        """Note that the event of a thread is kept."""
        await self._threads.update_one({"_id": thread_id}, {"$set": {"told": True}})

    async def replies(self, thread_id: str, *, after: str, limit: int) -> list[Reply]:
        """Return the replies of a thread, the oldest first; hidden and deleted ones keep their place."""
        query: dict[str, Any] = {"thread": thread_id}
        if after:
            query["_id"] = {"$gt": after}
        cursor = self._replies.find(query, sort=[("_id", 1)], limit=limit)
        return [Reply.from_mongo(document) async for document in cursor]

    async def begin_reply(self, thread_id: str, now: datetime) -> Thread | None:
        """Count a reply, if the thread takes any at this moment; None if not."""
        found = await self._threads.find_one_and_update(
            {"_id": thread_id, "state": "visible", "locked": False},
            {"$inc": {"replies": 1}, "$set": {"last_at": now}},
            return_document=ReturnDocument.AFTER,
        )
        return Thread.from_mongo(found) if found else None

    async def change(self, post: Post, values: dict[str, Any], *, expected: list[str]) -> bool:
        """Set values of a post that is in one of some states; return whether it was."""
        done = await self._of(post).update_one({"_id": post.id, "state": {"$in": expected}}, {"$set": values})
        return bool(done.matched_count)

    def _of(self, post: Post) -> Any:
        return self._threads if isinstance(post, Thread) else self._replies
