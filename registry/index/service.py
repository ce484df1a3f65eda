"""The package index, in the memory of each process: it answers with the database down, also after a restart."""

import asyncio
import contextlib
import logging
import random
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pymongo.errors import PyMongoError

from dteg.core.errors import DtegError
from registry.index.pages import Names, Project
from registry.index.snapshot import Snapshot, load, save
from registry.releases.models import IndexedFile
from registry.service import Service

if TYPE_CHECKING:
    from registry.services import Services

_LOG = logging.getLogger(__name__)
_POLL_S = 1.0
_STALE_AFTER_S = 10.0
# A file that is asked for but unknown may have been listed just now.
_LOOK_AGAIN_AFTER_S = 0.2
# Only what went wrong is found by it, and reading the numbers of all components holds up the embedded server.
_FULL_LOOK_EVERY_S = 3600.0
# Components whose files are read with one request: such a request may take ten seconds. Fewer if they are named one
# by one, see `files_between`.
_AT_ONCE, _NAMED_AT_ONCE = 500, 50
# Components whose files are put in at once: it holds up requests.
_PUT_AT_ONCE = 20
_REVS_AT_ONCE = 5_000
# Saving a large index takes a while: at most this share of the time, as one in so many.
_SAVE_SHARE = 100


class Index(Service):
    """What pip and uv may see, kept in step by polling for changed components."""

    def __init__(self, services: "Services") -> None:
        super().__init__(services)
        self._projects: dict[str, Project] = {}
        self._files: dict[str, IndexedFile] = {}
        self._names = Names([])
        self._by_component: dict[str, str] = {}
        self._revs: dict[str, int] = {}
        self._rev = 0
        self._looked = self._looked_fully = float("-inf")
        self._look_fully_every_s = _FULL_LOOK_EVERY_S * random.uniform(0.8, 1.2)  # noqa: S311 - not all at once
        self._unsaved, self._save_after = False, float("-inf")
        self._turn = asyncio.Lock()
        self._polling: asyncio.Task[None] | None = None
        self._path = self.settings.data_dir / "index.json"

    async def start(self) -> None:
        """Load the index as this machine saw it last, take in what changed since, and begin to poll."""
        await asyncio.to_thread(self._load)
        try:
            await self.refresh()
        except (PyMongoError, DtegError):
            _LOG.warning(
                "the database does not answer; the index is the last one known, %s projects",
                len(self._projects),
            )
        self._polling = asyncio.create_task(self._poll())

    async def stop(self) -> None:
        """Stop polling, and keep what is known."""
        if self._polling is not None:
            self._polling.cancel()
        if self._unsaved:
            await asyncio.to_thread(self._save)

    @property
    def stale_s(self) -> float:
        """Seconds since the index was last known to be right; 0 while that is recent."""
        age = time.monotonic() - self._looked
        return age if age > _STALE_AFTER_S else 0.0

    @property
    def names(self) -> Names:
        """The list of all projects."""
        return self._names

    def project(self, name: str) -> Project | None:
        """Return a project by its normalised name."""
        return self._projects.get(name)

    async def file(self, sha256: str, filename: str) -> IndexedFile | None:
        """Return a file that may be downloaded."""
        found = self._files.get(sha256)
        if found is None and time.monotonic() - self._looked > _LOOK_AGAIN_AFTER_S and not self.stale_s:
            with contextlib.suppress(PyMongoError, DtegError):
                await self.refresh()
            found = self._files.get(sha256)
        return found if found is not None and found.filename == filename else None

    async def refresh(self) -> None:
        """Take in what changed.

        Raises:
            PyMongoError: The database does not answer; what was read before that is taken in.
        """
        async with self._turn:
            began = time.monotonic()
            fully = began - self._looked_fully > self._look_fully_every_s
            if fully:
                await self._doubt()
            revs = await self._revs_after(0 if fully else self._rev)
            changed = sorted(name for name, rev in revs.items() if self._revs.get(name) != rev)
            # What lies between them is read with them.
            most = fully and 2 * len(changed) > len(revs)
            at_once = _AT_ONCE if most else _NAMED_AT_ONCE
            for start in range(0, len(changed), at_once):
                some = changed[start : start + at_once]
                await self._take_in(some, await self._files_of(some, between=most))
                self._revs.update({name: revs[name] for name in some})
            newest = max(revs.values(), default=0)
            if fully:
                self._forget([name for name in self._by_component if name not in revs])
                self._rev, self._looked_fully = newest, began
            self._rev = max(self._rev, newest)
            self._looked = began
            if self._unsaved and began >= self._save_after:
                await asyncio.to_thread(self._save)

    async def _doubt(self) -> None:
        """Forget what numbers we have seen if this database has not come so far: it is another one, or a restored one."""
        seen = max(self._revs.values(), default=0)
        if seen and seen > await self.services.components.last_rev():
            self._revs.clear()

    async def _files_of(self, components: list[str], *, between: bool) -> list[IndexedFile]:
        """Return the files of components that are in order, or with `between` of all from the first to the last."""
        releases = self.services.releases
        if between:
            return await releases.files_between(components[0], components[-1])
        return await releases.files_of(components)

    async def _revs_after(self, rev: int) -> dict[str, int]:
        """Return what changed after a number, read in parts: one request may take ten seconds, all may take longer.

        They come in the order of their numbers, so what changes meanwhile comes again, later.
        """
        found: dict[str, int] = {}
        while part := await self.services.components.revs(rev, _REVS_AT_ONCE):
            found |= part
            rev = max(part.values())
            if len(part) < _REVS_AT_ONCE:
                break
        return found

    async def _take_in(self, components: list[str], files: list[IndexedFile]) -> None:
        """Put in what was read, a few components at a time: making a page takes 0.1 ms, and requests come first."""
        by_component: dict[str, list[IndexedFile]] = defaultdict(list)
        for file in files:
            by_component[file.component].append(file)
        for start in range(0, len(components), _PUT_AT_ONCE):
            some = components[start : start + _PUT_AT_ONCE]
            self._replace(some, [file for name in some for file in by_component[name]])
            await asyncio.sleep(0)
        self._name()

    def _forget(self, components: list[str]) -> None:
        """Take out what is not there any more."""
        if not components:
            return
        self._replace(components, [])
        for name in components:
            self._revs.pop(name, None)
        self._name()

    def _name(self) -> None:
        """Make the list of all names anew, if it has changed."""
        if self._projects.keys() != self._names.all:
            self._names = Names(self._projects)

    def _replace(self, components: Iterable[str], files: Iterable[IndexedFile]) -> None:
        """Put the files of components in the place of those they had."""
        by_project: dict[str, list[IndexedFile]] = defaultdict(list)
        for file in files:
            by_project[file.distribution].append(file)
        self._unsaved = True
        for component in components:
            old = self._projects.pop(self._by_component.pop(component, ""), None)
            for file in old.files if old else ():
                self._files.pop(file.sha256, None)
        for name, its_files in by_project.items():
            self._projects[name] = Project(name, its_files)
            self._by_component[its_files[0].component] = name
            self._files.update({file.sha256: file for file in its_files})

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(_POLL_S)
            try:
                await self.refresh()
            except (PyMongoError, DtegError):
                continue
            except Exception:  # noqa: BLE001 - the next turn may succeed
                _LOG.exception("the index could not be brought up to date")

    # --- for the next start ------------------------------------------------------------------------

    def _save(self) -> None:
        """Write what is known. Blocks; nothing may change it meanwhile."""
        began = time.monotonic()
        files = [file for project in self._projects.values() for file in project.files]
        self._unsaved = False
        try:
            save(self._path, Snapshot(self.settings.database, files, self._revs))
        except OSError as error:  # the next start only takes longer
            self._unsaved = True
            _LOG.warning("the index could not be kept: %s", error.strerror)
        ended = time.monotonic()
        self._save_after = ended + _SAVE_SHARE * (ended - began)

    def forget_kept(self) -> None:
        """Have the next start read everything from the database."""
        self._path.unlink(missing_ok=True)

    def _load(self) -> None:
        """Put in what was kept. Blocks; not for when requests are answered."""
        kept = load(self._path)
        if kept is None or kept.database != self.settings.database:
            return
        self._replace(kept.revs, kept.files)
        self._name()
        self._revs, self._unsaved = dict(kept.revs), False
