"""Work that ends in the middle, like a process that dies."""

import contextvars

from pymongo.asynchronous.collection import AsyncCollection

WRITES = (
    "insert_one", "update_one", "update_many", "find_one_and_update", "find_one_and_replace", "replace_one",
)  # fmt: skip


class Crash(BaseException):
    """Ends the work like the end of its process: nothing of ours catches it."""


class Fuse:
    """Lets so many writes of one piece of work through, and ends it before or after the next one."""

    def __init__(self, monkeypatch):
        self.left = contextvars.ContextVar("left", default=None)  # of this work only, not of what else runs
        for name in WRITES:
            monkeypatch.setattr(AsyncCollection, name, self.around(getattr(AsyncCollection, name)))

    def around(self, write):
        async def wrapped(collection, *given, **options):
            left = self.left.get()
            if left is None:
                return await write(collection, *given, **options)
            if not left[0] and left[1] == "before":
                raise Crash
            result = await write(collection, *given, **options)
            if not left[0]:
                raise Crash
            left[0] -= 1
            return result

        return wrapped

    async def cut(self, work, number, moment):
        """Do the work up to a write; return whether it was cut off there."""
        self.left.set([number, moment])
        try:
            await work()
        except Crash:
            return True
        return False
