"""The package index, in the memory of each process: it answers with the database down, also after a restart."""

import asyncio
import contextlib
import logging
import os
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from pydantic import ValidationError
from pymongo.errors import PyMongoError

from dteg.core.errors import DtegError
from registry.identifiers import new_id
from registry.index.pages import Names, Project
from registry.releases.models import IndexedFile
from registry.service import Service

if TYPE_CHECKING:
    from registry.services import Services

_LOG = logging.getLogger(__name__)
_POLL_S = 1.0
_STALE_AFTER_S = 10.0
# A file that is asked for but unknown may have been listed just now.
_LOOK_AGAIN_AFTER_S = 0.2
_FULL_LOOK_EVERY_S = 300.0
_AT_ONCE = 500
# Saving a large index takes a while: at most this share of the time, as one in so many.
_SAVE_SHARE = 20
_FORMAT = 1


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
        self._unsaved, self._save_after = False, float("-inf")
        self._turn = asyncio.Lock()
        self._polling: asyncio.Task[None] | None = None
        self._path = self.settings.data_dir / "index.json"

    async def start(self) -> None:
        """Load the index, from the database or as this machine saw it last, and begin to poll."""
        try:
            await self.refresh()
        except (PyMongoError, DtegError):
            await asyncio.to_thread(self._load)
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
            PyMongoError: The database does not answer.
        """
        async with self._turn:
            began = time.monotonic()
            if began - self._looked_fully > _FULL_LOOK_EVERY_S:
                revs = await self.services.components.revs()
                changed = [name for name, rev in revs.items() if self._revs.get(name) != rev]
                gone = [name for name in self._by_component if name not in revs]
                self._revs = revs
                self._looked_fully = began
            else:
                components = await self.services.components.changed_since(self._rev)
                changed, gone = [each.id for each in components], []
                self._revs.update({each.id: each.rev for each in components})
            self._rev = max(self._revs.values(), default=0)
            for start in range(0, len(changed), _AT_ONCE):
                some = changed[start : start + _AT_ONCE]
                self._replace(some, await self.services.releases.files_of(some))
            self._replace(gone, [])
            self._looked = began
            self._unsaved = self._unsaved or bool(changed or gone)
            if self._unsaved and began >= self._save_after:
                await asyncio.to_thread(self._save)

    def _replace(self, components: Iterable[str], files: Iterable[IndexedFile]) -> None:
        """Put the files of components in the place of those they had."""
        by_project: dict[str, list[IndexedFile]] = defaultdict(list)
        for file in files:
            by_project[file.distribution].append(file)
        before = set(self._projects)
        for component in components:
            old = self._projects.pop(self._by_component.pop(component, ""), None)
            for file in old.files if old else ():
                self._files.pop(file.sha256, None)
        for name, its_files in by_project.items():
            self._projects[name] = Project(name, its_files)
            self._by_component[its_files[0].component] = name
            self._files.update({file.sha256: file for file in its_files})
        if set(self._projects) != before:
            self._names = Names(list(self._projects))

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(_POLL_S)
            try:
                await self.refresh()
            except (PyMongoError, DtegError):
                continue
            except Exception:  # noqa: BLE001 - the next turn may succeed
                _LOG.exception("the index could not be brought up to date")

    # --- for a start without the database ----------------------------------------------------------

    def _save(self) -> None:
        path, began = self._path.with_name(f"index.{new_id()}.part"), time.monotonic()
        files = [
            file.model_dump(mode="json")
            for project in list(self._projects.values())
            for file in project.files
        ]
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(orjson.dumps({"format": _FORMAT, "files": files}))
            path.replace(self._path)
            self._unsaved = False
        except OSError as error:  # it is only for a start without the database
            _LOG.warning("the index could not be kept: %s", error.strerror)
            path.unlink(missing_ok=True)
        ended = time.monotonic()
        self._save_after = ended + _SAVE_SHARE * (ended - began)

    def _load(self) -> None:
        with contextlib.suppress(OSError, ValueError, KeyError, ValidationError):
            files = _read(self._path)
            self._replace({file.component for file in files}, files)


def _read(path: Path) -> list[IndexedFile]:
    content = orjson.loads(path.read_bytes())
    if content["format"] != _FORMAT:
        return []
    return [IndexedFile.model_validate(each) for each in content["files"]]
