"""What the registry signs, and the log in which it cannot quietly change its mind."""

import asyncio
import base64
import json
import logging
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymongo.errors import PyMongoError

from dteg.core.errors import ConfigError, NotFoundError, UnavailableError
from dteg.signing import SignatureError, SigningKey, canonical_json, digest, statement, verify_about
from registry.attestations.models import (
    ACCEPTED,
    LOG_HEAD,
    Attestation,
    LogEntry,
    RegistryKey,
    RegistryKeyAnswer,
)
from registry.attestations.store import INDEXES, AttestationStore, Head
from registry.documents import milliseconds
from registry.hash_chain import FIRST_HASH, Verification, verify_chain
from registry.service import Service

if TYPE_CHECKING:
    from registry.releases.models import Release
    from registry.services import Services

_LOG = logging.getLogger(__name__)
_TRIES = 200
_LOG_NAME = "log"
KEY_FILE = "registry.key"


class Attestations(Service):
    """Signs, keeps what is signed, and appends to the log."""

    INDEXES = INDEXES

    def __init__(self, services: "Services") -> None:
        super().__init__(services)
        self._store = AttestationStore(self.database)
        self._key = _load_or_make(self.settings.data_dir / KEY_FILE)
        self._announced = False
        # Processes race for the next number anyhow; the tasks of one need not.
        self._turn = asyncio.Lock()

    # --- signing ------------------------------------------------------------------------------------

    async def sign(self, signed: dict[str, Any], *, release: str, at: datetime | None = None) -> str:
        """Sign a statement with the registry's key, keep it, and return its digest.

        Args:
            signed: An in-toto statement.
            release: The release it is about.
            at: When; default: now. The same statement at the same time is the same attestation.
        """
        await self._announce()
        return await self.keep(self._key.sign(signed), release=release, at=at)

    async def keep(self, envelope: dict[str, Any], *, release: str, at: datetime | None = None) -> str:
        """Keep an envelope that somebody else signed and that was verified; return its digest."""
        made = _attestation(envelope, release, milliseconds(at or self.clock()))
        await self._store.keep(made)
        return made.id

    async def accept(self, envelope: dict[str, Any], release: "Release") -> None:
        """Keep what a publisher has signed about a release, and sign and keep that it was verified and taken in."""
        await self._announce()
        publisher = _attestation(envelope, release.id, release.published_at)
        accepted = {
            "publisher_attestation": publisher.id, "publisher_key": release.key_id,
            "component": release.component, "version": release.version, "at": release.published_at.isoformat(),
        }  # fmt: skip
        signed = self._key.sign(statement(release.filename, release.sha256, ACCEPTED, accepted))
        after = release.published_at + timedelta(milliseconds=1)
        await self._store.keep(publisher, _attestation(signed, release.id, after))

    async def about(self, release: str) -> list[dict[str, Any]]:
        """Return the envelopes about a release, the oldest first."""
        return [json.loads(each.envelope) for each in await self._store.about(release)]

    async def get(self, name: str) -> dict[str, Any]:
        """Return an envelope by its digest.

        Raises:
            NotFoundError: There is none.
        """
        found = await self._store.find(name)
        if found is None:
            raise NotFoundError(f"there is no attestation {name}")
        envelope: dict[str, Any] = json.loads(found.envelope)
        return envelope

    async def keys(self) -> list[RegistryKeyAnswer]:
        """Return the registry's public keys, the oldest first; without the database the present one."""
        try:
            await self._announce()
            found = await self._store.keys()
        except PyMongoError:
            now = milliseconds(self.clock())
            found = [RegistryKey(id=self._key.key_id, public=self._key.public, from_at=now)]
        return [
            RegistryKeyAnswer(key_id=key.id, public_key=key.public, from_at=key.from_at, to_at=key.to_at)
            for key in found
        ]

    async def _announce(self) -> None:
        if not self._announced:
            now = milliseconds(self.clock())
            await self._store.announce(RegistryKey(id=self._key.key_id, public=self._key.public, from_at=now))
            self._announced = True

    # --- log ----------------------------------------------------------------------------------------

    async def log(self, release: "Release") -> LogEntry:
        """Append the present state of a release, once, and sign the new end of the log.

        Raises:
            UnavailableError: Too many others append at the same time, or the log was tampered with.
        """
        key = f"{release.id}#{release.moves}"
        async with self._turn:
            for attempt in range(_TRIES):
                if attempt and (present := await self._store.by_key(key)):
                    return present
                head = await self._store.head()
                last = await self._store.last(head, sure=attempt > 0)
                await self._refuse_if_tampered(head, last)
                entry = LogEntry(
                    seq=last.seq + 1 if last else 1, key=key, component=release.component, version=release.version,
                    sha256=release.sha256, state=release.state.value, at=release.updated_at,
                    prev=last.hash if last else FIRST_HASH,
                ).sealed()  # fmt: skip
                if await self._store.append(entry):
                    await self._sign_head(entry)
                    return entry
                await asyncio.sleep(random.uniform(0, 0.002 * min(attempt + 1, 20)))  # noqa: S311 - no secret
        raise UnavailableError("the public log is busy: try again")

    async def entries_of(self, release: "Release") -> list[LogEntry]:
        """Return what the log says about a release, the oldest first."""
        found = [await self._store.by_key(f"{release.id}#{number}") for number in range(release.moves + 1)]
        return [entry for entry in found if entry is not None]

    async def page(self, after: int, limit: int) -> list[LogEntry]:
        """Return entries after a number, the oldest first."""
        return await self._store.page(after, limit)

    async def head(self) -> tuple[int, str, dict[str, Any] | None]:
        """Return number, hash and signed statement of the end of the log."""
        found = await self._store.head()
        return (found[0], found[1], json.loads(found[2])) if found else (0, FIRST_HASH, None)

    async def verify_log(self) -> Verification:
        """Read the whole log and tell the first entry that is missing, changed or cut off."""
        head = await self._store.head()
        if head is not None and (problem := await self._head_problem(head)):
            return Verification(ok=False, entries=0, problem=problem)
        return await verify_chain(self._store.all(), head[:2] if head else None, noted="signed")

    async def _sign_head(self, entry: LogEntry) -> None:
        await self._announce()
        at = milliseconds(self.clock())
        signed = statement(_LOG_NAME, entry.hash, LOG_HEAD, {"seq": entry.seq, "at": at.isoformat()})
        envelope = canonical_json(self._key.sign(signed)).decode()
        await self._store.set_head(entry.seq, entry.hash, envelope, at)

    async def _refuse_if_tampered(self, head: Head | None, last: LogEntry | None) -> None:
        """Never sign a new end over a past that is not the one that was signed before."""
        if head is None:
            return
        seq, signed_hash, _ = head
        found = last if last is not None and last.seq == seq else await self._store.entry(seq)
        if found is None or found.hash != signed_hash or await self._head_problem(head):
            _LOG.error("the public log was tampered with at or before entry %s: nothing is appended", seq)
            raise UnavailableError("the public log is damaged; an administrator has to restore it")

    async def _head_problem(self, head: Head) -> str:
        """Return what is wrong with the signed head; "" if nothing. Only who holds the key can make one."""
        if not _problem_of(head, {self._key.key_id: self._key.public}):
            return ""
        # An earlier key may have signed it.
        return _problem_of(head, {key.key_id: key.public_key for key in await self.keys()})


def _problem_of(head: Head, keys: dict[str, str]) -> str:
    seq, entry_hash, envelope = head
    try:
        found = verify_about(json.loads(envelope), keys, predicate_type=LOG_HEAD, sha256=entry_hash)
    except (SignatureError, ValueError) as error:
        return f"the signed end of the log: {error}"
    return "" if found.predicate.get("seq") == seq else "the signed end of the log names another entry"


def _attestation(envelope: dict[str, Any], release: str, at: datetime) -> Attestation:
    signed = json.loads(base64.b64decode(envelope["payload"]))
    return Attestation(
        id=digest(envelope), release=release, subject=signed["subject"][0]["digest"]["sha256"],
        predicate_type=signed["predicateType"], key_id=envelope["signatures"][0]["keyid"],
        envelope=canonical_json(envelope).decode(), at=at,
    )  # fmt: skip


def _load_or_make(path: Path) -> SigningKey:
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            SigningKey.generate().save(path)
        except ConfigError:
            if not path.exists():  # else another process was first, and its key is the one
                raise
    return SigningKey.load(path)
