"""Who did what, as a chain of hashes."""

import asyncio
import random
from typing import TYPE_CHECKING

from dteg.core.errors import UnavailableError
from dteg.core.secrets import MASK, redact
from registry.access import Principal
from registry.audit.models import Detail, Entry, EntryAnswer
from registry.audit.store import INDEXES, AuditStore
from registry.documents import milliseconds
from registry.hash_chain import FIRST_HASH, Verification, verify_chain
from registry.service import Service

if TYPE_CHECKING:
    from registry.services import Services

_TRIES = 200
_SECRET_WORDS = ("password", "secret", "token", "authorization", "cookie")
_MAX_TEXT = 2_000


class Audit(Service):
    """Appends to the log and checks it."""

    INDEXES = INDEXES

    def __init__(self, services: "Services") -> None:
        super().__init__(services)
        self._store = AuditStore(self.database)
        # Processes race for the next number anyhow; the tasks of one need not.
        self._turn = asyncio.Lock()

    async def record(self, who: Principal, action: str, target: str, **details: Detail) -> Entry:
        """Append an entry and return it.

        Args:
            who: Who did it.
            action: What, as `concept.verb`.
            target: To what: an id.
            details: More; values under names such as `password` are masked.

        Raises:
            UnavailableError: Too many others append at the same time.
        """
        clean = {name: _clean(name, value) for name, value in details.items()}
        async with self._turn:
            for attempt in range(_TRIES):
                number, before = await self._end(sure=attempt > 0)
                entry = Entry(
                    seq=number + 1, actor=who.user_id, credential=who.credential, action=action,
                    target=target[:_MAX_TEXT], at=milliseconds(self.clock()), details=clean,
                    prev_hash=before,
                ).sealed()  # fmt: skip
                if await self._store.append(entry):
                    return entry
                await asyncio.sleep(random.uniform(0, 0.002 * min(attempt + 1, 20)))  # noqa: S311 - no secret
        raise UnavailableError("the audit log is busy: try again")

    async def _end(self, *, sure: bool) -> tuple[int, str]:
        """Return number and hash of the newest entry.

        It is noted apart just after it was appended: who trusts that and is wrong finds the next number taken.
        """
        if not sure and (head := await self._store.head()):
            return head
        last = await self._store.last()
        return (last.seq, last.hash) if last else (0, FIRST_HASH)

    async def page(
        self, *, before: int | None = None, limit: int = 50, target: str = "", actor: str = ""
    ) -> list[EntryAnswer]:
        """Return entries, the newest first, with the present names of their actors."""
        entries = await self._store.page(before=before, limit=limit, target=target, actor=actor)
        names = await self.services.accounts.logins([entry.actor for entry in entries if entry.actor])
        return [
            EntryAnswer(login=names.get(entry.actor, ""), **entry.model_dump(exclude={"schema_version"}))
            for entry in entries
        ]

    async def verify(self) -> Verification:
        """Read the whole chain and tell the first entry that is missing, changed or cut off."""
        head = await self._store.head()
        return await verify_chain(self._store.all(), head, noted="appended")


def _clean(name: str, value: Detail) -> Detail:
    if any(word in name.lower() for word in _SECRET_WORDS):
        return MASK
    return redact(value)[:_MAX_TEXT] if isinstance(value, str) else value
