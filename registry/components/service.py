"""What is listed: the newest release of each component, its score and ratings, and who must hear of a change."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from dteg.core.errors import ConflictError, NotFoundError
from dteg.manifest import Manifest
from registry.access import Principal, Role
from registry.components.models import (
    Component,
    ComponentAnswer,
    Deprecation,
    Downloads,
    Latest,
    NewDeprecation,
    Rating,
)
from registry.components.store import INDEXES, ComponentStore
from registry.documents import milliseconds
from registry.gates.models import CellStatus
from registry.identifiers import component_id, skeleton
from registry.releases.models import Outline, Release, State
from registry.service import Service

if TYPE_CHECKING:
    from registry.services import Services

_LOG = logging.getLogger(__name__)
_TRIES = 50
_SHOWN = ("name", "category", "tags")


class Components(Service):
    """Keeps one document for each component in step with its releases."""

    INDEXES = INDEXES

    def __init__(self, services: "Services") -> None:
        super().__init__(services)
        self._store = ComponentStore(self.database)
        # Processes race for numbers anyhow; the tasks of one need not.
        self._turn = asyncio.Lock()

    async def ensure(self, manifest: Manifest) -> Component:
        """Return the component of a manifest; the first release makes it.

        Raises:
            ConflictError: A component of the namespace looks like it.
        """
        name = component_id(manifest.namespace, manifest.slug)
        now = milliseconds(self.clock())
        if (found := await self._store.find(name)) is None:
            found = Component(
                id=name, namespace=manifest.namespace, slug=manifest.slug, look=skeleton(manifest.slug),
                distribution=manifest.distribution, name=manifest.name, kind=manifest.kind,
                category=manifest.category, summary=manifest.description, tags=manifest.tags,
                pricing=manifest.pricing.model_dump(), created_at=now, updated_at=now,
            )  # fmt: skip
            is_new = await self._store.insert(found)
            # `refresh` gives it its first number; the next one comes when a release is listed.
            found = await (self.refresh(name) if is_new else self.get(name))
        return found

    async def get(self, component: str) -> Component:
        """Return a component.

        Raises:
            NotFoundError: There is none.
        """
        found = await self._store.find(component)
        if found is None:
            raise NotFoundError(f"there is no component {component!r}")
        return found

    async def many(self, ids: list[str]) -> list[Component]:
        """Return those of the components that exist, in the order asked for."""
        found = {each.id: each for each in await self._store.many(ids)}
        return [found[each] for each in ids if each in found]

    async def changed_since(self, rev: int, until: int | None = None) -> list[Component]:
        """Return components that changed after `rev`, the oldest change first; poll with the last one's `rev`.

        With `until` no later changes: reading all of a large registry takes longer than one request may. Who reads in
        parts learns from `revs` where to cut.

        A change is never missed: see `refresh`.
        """
        return await self._store.changed_since(rev, until)

    async def revs(self, after: int = -1, limit: int = 0) -> dict[str, int]:
        """Return the `rev` of the components that changed after `after`, as `changed_since` does; default: of all.

        With a `limit` at most so many.
        """
        return await self._store.revs(after, limit)

    async def last_rev(self) -> int:
        """Return the newest number that a change has taken."""
        return await self._store.last_rev()

    async def ids(self, after: str = "", limit: int = 1000) -> list[str]:
        """Return ids in order, from after one on."""
        return await self._store.ids(after, limit)

    async def refresh(self, component: str, **more: Any) -> Component:
        """Compute what follows from releases, reviews and downloads; if that is something new, tell who watches.

        Args:
            component: `namespace/slug`.
            more: Further fields to set.

        Raises:
            NotFoundError: There is no such component.
            ConflictError: Others change it all the time.
        """
        return await self._renew(component, self._computed, **more)

    async def refresh_downloads(self, component: str) -> Component:
        """Do this for its downloads only, which change far more often than all the rest; for errors see `refresh`."""
        return await self._renew(component, self._downloads)

    async def _renew(
        self, component: str, computed: Callable[[Component], Awaitable[dict[str, Any]]], **more: Any
    ) -> Component:
        """Set what is computed from a component as it is, again and again until nobody came between."""
        async with self._turn:
            for attempt in range(_TRIES):
                before = await self.get(component)
                values = {**await computed(before), **more}
                present = before.to_mongo()
                if all(present[name] == value for name, value in values.items()) and before.rev:
                    return before
                rev = await self._store.take_rev()
                if await self._store.change(component, before.rev, {**values, "rev": rev}):
                    rev = await self._be_newest(component, rev)
                    return Component.from_mongo({**present, **values, "rev": rev})
                await asyncio.sleep(random.uniform(0, 0.002 * min(attempt + 1, 20)))  # noqa: S311 - no secret
        raise ConflictError(f"{component} changes all the time: try again")

    async def refresh_namespace(self, namespace: str) -> None:
        """Do this for all components of a namespace, because something about it changed."""
        for name in await self._store.in_namespace(namespace):
            await self.refresh(name)

    def answer(self, component: Component) -> ComponentAnswer:
        """Return a component as everybody sees it."""
        return ComponentAnswer.of(component)

    async def deprecate(self, who: Principal, component: str, new: NewDeprecation | None) -> Component:
        """Say that nobody should begin to use a component, or take it back.

        Raises:
            DeniedError: Who asks is no maintainer.
            NotFoundError: There is no such component, or no such replacement.
            ConflictError: It would replace itself.
        """
        await self.services.namespaces.require(who, component.partition("/")[0], Role.MAINTAINER, component)
        if new is not None and new.replacement:
            if new.replacement == component:
                raise ConflictError(f"{component} cannot replace itself")
            await self.get(new.replacement)
        value = Deprecation(**new.model_dump()).model_dump() if new is not None else None
        changed = await self.refresh(component, deprecation=value, updated_at=milliseconds(self.clock()))
        action = "component.deprecate" if new is not None else "component.undeprecate"
        await self.services.audit.record(who, action, component, reason=new.reason if new else "")
        return changed

    async def _be_newest(self, component: str, rev: int) -> int:
        """Take a newer number until no larger one can have been seen before ours was written, and return it.

        Numbers are taken before they are written. Who polls may have seen a larger one meanwhile, and would never ask
        for ours.
        """
        for _ in range(_TRIES):
            if await self._store.last_rev() == rev:
                return rev
            newer = await self._store.take_rev()
            if not await self._store.raise_rev(component, rev, newer):
                return rev  # another refresh came after us, and looks after its own number
            rev = newer
        _LOG.warning("%s: no newest number; watchers see the change at their next full look", component)
        return rev

    async def _computed(self, before: Component) -> dict[str, Any]:
        outlines = await self.services.releases.outlines(before.id)
        listed = [each for each in outlines if each.state is State.LISTED]
        latest = latest_of(listed)
        namespace = await self.services.namespaces.get(before.namespace)
        rating = await self.services.reviews.summary(before.id)
        values: dict[str, Any] = {
            "latest": latest.model_dump(),
            "rating": Rating.model_validate(rating.model_dump()).model_dump(),
            "score": None,
            "verified": namespace.verified,
            "updated_at": max([before.updated_at, *(each.updated_at for each in listed)]),
            **await self._downloads(before),
        }
        if latest.any is not None:
            newest = await self.services.releases.get(before.id, latest.any)
            values["score"] = newest.score
            values |= {key: newest.manifest[key] for key in _SHOWN}
            values |= {"summary": newest.manifest["description"], "pricing": newest.manifest["pricing"]}
            values |= await self._searched(newest)
        return values

    async def _searched(self, newest: Release) -> dict[str, Any]:
        """Return what the search filters by."""
        manifest, cells = newest.contents, await self.services.gates.cells([newest.id])
        return {
            "licence": manifest.licence,
            "capabilities": sorted(manifest.capabilities.names()),
            "framework_versions": manifest.framework_versions,
            "python_versions": manifest.python_versions,
            "proven": sorted(
                f"{each.dteg}|{each.python}" for each in cells if each.status is CellStatus.PASS
            ),
            "tested": len(cells),
            "released_at": newest.published_at,
        }

    async def _downloads(self, before: Component) -> dict[str, Any]:
        summary = await self.services.downloads.summary(before.id)
        return {"downloads": Downloads.model_validate(summary.model_dump()).model_dump()}


def latest_of(releases: Sequence[Outline]) -> Latest:
    """Return the newest of listed releases, by the order of versions; a halted or partial rollout does not count."""
    open_to_all = sorted((each for each in releases if each.rollout.complete), key=lambda each: each.ver_key)
    stable = [each.version for each in open_to_all if "rc" not in each.version]
    candidates = [each.version for each in open_to_all if "rc" in each.version]
    return Latest(stable=stable[-1] if stable else None, rc=candidates[-1] if candidates else None)
