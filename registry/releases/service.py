"""Versions of components: taken in, listed after proof, pulled back when they turn out bad; never replaced."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dteg.core.errors import ConflictError, DeniedError, InputError, NotFoundError, UnavailableError
from registry.access import Principal, Role, Scope
from registry.background import Repeating
from registry.documents import milliseconds
from registry.identifiers import release_id
from registry.releases.answers import answers_of
from registry.releases.intake import GATES_JOB, Intake
from registry.releases.models import (
    MOVES,
    IndexedFile,
    NewRollout,
    Outline,
    Release,
    ReleaseAnswer,
    Rollout,
    State,
)
from registry.releases.orphans import sweep_orphans
from registry.releases.settling import settle
from registry.releases.store import INDEXES, ReleaseStore
from registry.service import Service

if TYPE_CHECKING:
    from registry.services import Services

_RECONCILE_EVERY_S = 30.0
# Younger ones are still at work.
_CUT_OFF_AFTER = timedelta(seconds=60)
_SWEEP_EVERY_S = 3600.0
_ORPHAN_AFTER = timedelta(hours=1)
_AT_ONCE = 200
_UPLOADS_AT_ONCE = 8
_WAIT_FOR_TURN_S = 20.0


class Releases(Service):
    """Takes releases in and moves them from state to state."""

    INDEXES = INDEXES

    def __init__(self, services: "Services") -> None:
        super().__init__(services)
        self._store = ReleaseStore(self.database)
        self._intake = Intake(services, self._store)
        self._turns = asyncio.Semaphore(_UPLOADS_AT_ONCE)
        self._reconciling = Repeating(services, "unfinished releases", _RECONCILE_EVERY_S, self.reconcile)
        self._sweeping = Repeating(services, "orphaned files", _SWEEP_EVERY_S, self.sweep_blobs)

    async def start(self) -> None:
        """Begin to finish what crashes have cut off."""
        self._reconciling.start()
        self._reconciling.wake()
        self._sweeping.start()

    async def stop(self) -> None:
        """Stop that."""
        await self._reconciling.stop()
        await self._sweeping.stop()

    # --- publish ------------------------------------------------------------------------------------

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until few enough others upload: each upload takes memory, disk and a processor.

        Raises:
            UnavailableError: That takes too long.
        """
        try:
            await asyncio.wait_for(self._turns.acquire(), _WAIT_FOR_TURN_S)
        except TimeoutError:
            raise UnavailableError("too many uploads at a time: try again", retry_after_s=10) from None
        try:
            yield
        finally:
            self._turns.release()

    async def publish(self, who: Principal, wheel: Path, envelope: dict[str, Any]) -> Release:
        """Take a wheel in; its gates run later.

        Args:
            who: Who publishes.
            wheel: The file; it is copied.
            envelope: The publisher's statement about its hash, signed with a key of the namespace.

        Raises:
            PackageError: The wheel breaks a rule.
            DeniedError: Who asks is no maintainer of the namespace.
            SignatureError: No key that is good now has signed this file.
            ConflictError: The version is there already, or the name looks like another one.
        """
        return await self._intake.take(who, wheel, envelope)

    # --- reading ------------------------------------------------------------------------------------

    async def get(self, component: str, version: str) -> Release:
        """Return a release.

        Raises:
            NotFoundError: There is none.
        """
        return await self.by_id(release_id(component, version))

    async def by_id(self, name: str) -> Release:
        """Return a release by `namespace/slug@version`.

        Raises:
            NotFoundError: There is none.
        """
        found = await self._store.find(name)
        if found is None:
            raise NotFoundError(f"there is no release {name!r}")
        return found

    async def of(self, component: str) -> list[Release]:
        """Return all releases of a component, the newest version first."""
        return await self._store.of(component)

    async def outlines(self, component: str) -> list[Outline]:
        """Return what lists show of all releases of a component, the newest version first."""
        return await self._store.outlines(component)

    async def installable(self, component: str) -> list[Release]:
        """Return the releases of a component that may be downloaded, the newest version first."""
        return await self._store.installable(component)

    async def files_of(self, components: list[str]) -> list[IndexedFile]:
        """Return the files of components that may be downloaded, the newest version of each first."""
        return await self._store.files_of(components)

    async def files_between(self, first: str, last: str) -> list[IndexedFile]:
        """Return the same of all components from one id to another, both included: better for many."""
        return await self._store.files_between(first, last)

    async def in_state(self, *states: State, after: str = "", limit: int = 500) -> list[Release]:
        """Return releases in one of some states by id, from after one on."""
        return await self._store.in_state(states, after, limit)

    async def readme(self, release: Release) -> str:
        """Return the README, which is the description in the METADATA."""
        from packaging.metadata import parse_email

        content = b"".join([chunk async for chunk in self.services.blobs.read(release.metadata_sha256)])
        return str(parse_email(content)[0].get("description", ""))

    async def answer(self, releases: list[Release]) -> list[ReleaseAnswer]:
        """Return releases as everybody sees them."""
        return await answers_of(self.services, releases)

    # --- states -------------------------------------------------------------------------------------

    async def move(
        self, name: str, *, expected: State, to: State, reason: str = "", **values: Any
    ) -> Release:
        """Bring a release from one state to another; log and component hear of it.

        Args:
            name: `namespace/slug@version`.
            expected: The state it must be in now.
            to: The state that follows.
            reason: Why; shown to everybody.
            values: More fields to set in the same moment.

        Raises:
            ConflictError: It is in another state, or the one never follows the other.
            NotFoundError: There is none.
        """
        if (expected, to) not in MOVES:
            raise ConflictError(f"{name}: a release that is {expected.value} never becomes {to.value}")
        change = {"state": to.value, "reason": reason, "updated_at": milliseconds(self.clock()), **values}
        moved = await self._store.change(name, expected, change, moves=True)
        if moved is None:
            present = await self.by_id(name)
            raise ConflictError(f"{name} is {present.state.value}, not {expected.value}")
        await settle(self.services, self._store, moved)
        return await self.by_id(name)

    async def yank(self, who: Principal, name: str, reason: str | None) -> Release:
        """Keep new installations from taking a release, or (without a reason) let them again.

        Raises:
            DeniedError: Who asks is no maintainer.
            ConflictError: It is not listed, or not yanked.
        """
        release = await self._maintained(who, name)
        expected, to = (State.LISTED, State.YANKED) if reason else (State.YANKED, State.LISTED)
        moved = await self.move(release.id, expected=expected, to=to, reason=reason or "")
        action = "release.yank" if reason else "release.unyank"
        await self.services.audit.record(who, action, name, reason=reason or "")
        return moved

    async def quarantine(self, who: Principal | None, name: str, reason: str | None) -> Release:
        """Withhold one release from everybody, or (without a reason) give it back.

        Args:
            who: An administrator; None for the registry itself.
            name: `namespace/slug@version`.
            reason: Why.

        Raises:
            DeniedError: Who asks is no administrator.
            ConflictError: It is not in a state for it.
        """
        if who is not None and not who.may(Scope.ADMIN):
            raise DeniedError("only an administrator may do this")
        release = await self.by_id(name)
        if reason:
            moved = await self.move(
                name,
                expected=release.state,
                to=State.QUARANTINED,
                reason=reason,
                state_before=release.state.value,
            )
        else:
            moved = await self.move(
                name, expected=State.QUARANTINED, to=release.state_before or State.LISTED, state_before=None
            )
        action = "release.quarantine" if reason else "release.unquarantine"
        await self.services.audit.record(who or Principal(), action, name, reason=reason or "")
        return moved

    async def retest(self, who: Principal, name: str) -> Release:
        """Have a rejected release go through its gates again: the same file.

        Maintainers may ask for it when no gate has failed, because some could not be told; administrators always.

        Raises:
            DeniedError: Who asks may not.
            ConflictError: It is not rejected.
        """
        release = await self.by_id(name)
        if not who.may(Scope.ADMIN):
            await self._maintained(who, name)
            if "failed" in release.gates.values():
                raise DeniedError(
                    f"{name} has failed: publish a new version, or ask an administrator to test it again"
                )
        moved = await self.move(name, expected=State.REJECTED, to=State.PENDING, gates={}, score=None)
        await self.services.jobs.enqueue(GATES_JOB, {"release": name}, dedupe_key=name)
        await self.services.audit.record(who, "release.retest", name)
        return moved

    async def remove(self, who: Principal, name: str, reason: str) -> Release:
        """Take a quarantined release away for ever; its name stays taken, its file is kept as evidence.

        Raises:
            DeniedError: Who asks is no administrator.
            ConflictError: It is not quarantined.
        """
        if not who.may(Scope.ADMIN):
            raise DeniedError("only an administrator may do this")
        moved = await self.move(name, expected=State.QUARANTINED, to=State.REMOVED, reason=reason)
        await self.services.audit.record(who, "release.remove", name, reason=reason)
        return moved

    async def set_rollout(self, who: Principal, name: str, new: NewRollout) -> Release:
        """Say how far a release may go; who has it already keeps it.

        Raises:
            DeniedError: Who asks is no maintainer.
            InputError: Nothing was given.
            ConflictError: It is not listed.
        """
        given = new.model_dump(exclude_none=True)
        if not given:
            raise InputError("give percent, or halted")
        release = await self._maintained(who, name)
        rollout = Rollout(**{**release.rollout.model_dump(), **given})
        values = {"rollout": rollout.model_dump(), "updated_at": milliseconds(self.clock())}
        changed = await self._store.change(name, State.LISTED, values)
        if changed is None:
            raise ConflictError(f"{name} is {release.state.value}: only a listed release is rolled out")
        await self.services.audit.record(who, "release.rollout", name, **rollout.model_dump())
        await self.services.components.refresh(release.component)
        return changed

    async def note_ruleset(self, name: str, state: State, ruleset: str) -> None:
        """Note that a release has passed newer rules too."""
        await self._store.change(name, state, {"ruleset": ruleset})

    async def _maintained(self, who: Principal, name: str) -> Release:
        component = name.partition("@")[0]
        await self.services.namespaces.require(who, component.partition("/")[0], Role.MAINTAINER, component)
        return await self.by_id(name)

    # --- after crashes ------------------------------------------------------------------------------

    async def reconcile(self, *, after: timedelta = _CUT_OFF_AFTER) -> int:
        """Finish publishes and changes of state that were cut off at least that long ago; return how many."""
        before = milliseconds(self.clock()) - after
        claims = await self._store.unfinished(before, _AT_ONCE)
        for claim in claims:
            await self._intake.finish(claim)
        releases = await self._store.unsettled(before, _AT_ONCE)
        for release in releases:
            # A new time, so that who watches components surely hears of it.
            await settle(self.services, self._store, release, updated_at=milliseconds(self.clock()))
        return len(claims) + len(releases)

    async def sweep_blobs(self, *, after: timedelta = _ORPHAN_AFTER) -> int:
        """Delete files that belong to no release and were stored at least that long ago; return how many.

        A file is taken away first and deleted only if still nobody wants it. Who publishes the same content at the
        same moment claims it and then looks whether it is there: one of the two sees the other.
        """
        return await sweep_orphans(self.services, self._store, before=self.clock() - after)
