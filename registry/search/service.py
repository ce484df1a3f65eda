"""Finding components: each process has an index of its own in memory and follows the changes in the database.

The database is asked for changes every two seconds and never during a search, so searching goes on while it is down;
answers then say that they may be stale.
"""

import asyncio
import hashlib
import logging
import random
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import orjson
from pymongo.errors import PyMongoError

from dteg.core.errors import DtegError, UnavailableError
from registry.background import Repeating
from registry.components.models import Component, ComponentAnswer
from registry.search.entries import Entry, with_explanation
from registry.search.finder import Counts, Result, cache_key, find
from registry.search.index import SearchIndex
from registry.search.models import Found, ListQuery
from registry.search.quality import NEUTRAL, Quality, freshness_part, kept_part, proven_part, rating_part
from registry.search.snapshot import Snapshot, load, save
from registry.search.suggestions import did_you_mean
from registry.search.words import query_words
from registry.service import Service

if TYPE_CHECKING:
    from registry.services import Services

_LOG = logging.getLogger(__name__)
POLL_S = 2.0
# How old the newest successful poll may be before answers are marked.
STALE_AFTER_S = 15.0
# Freshness wears off, so entries are made again now and then; each process at another time.
_ALL_AGAIN_S = 3600.0
# How often what can be found is written to a file, if it changes.
_KEEP_EVERY_S = 300.0
_CACHED_ANSWERS = 512
_CACHED_BYTES = 16_000_000
_CHUNK = 50
# Components that are read with one request, and numbers of changes.
_AT_ONCE, _REVS_AT_ONCE = 500, 5_000


@dataclass(frozen=True, slots=True)
class Response:
    """An answer as it is sent.

    Attributes:
        body: JSON.
        etag: Changes with the body.
        stale_s: Seconds since the database last answered; 0 while that is recent.
    """

    body: bytes
    etag: str
    stale_s: int


class Search(Service):
    """Finds components, from memory."""

    def __init__(self, services: "Services") -> None:
        super().__init__(services)
        self._index = SearchIndex()
        self._rev = 0
        self._loaded = self._from_file = False
        self._born = self._seen_at = time.monotonic()
        self._all_again_at = 0.0
        self._path = self.settings.data_dir / "search.jsonl"
        self._kept_at, self._kept_generation = float("-inf"), 0
        self._turn = asyncio.Lock()
        self._answers = _Answers()
        self._poll = Repeating(services, "search", POLL_S, self.refresh)

    async def start(self) -> None:
        """Load everything as this machine saw it last, take in what changed since, and begin to follow the changes."""
        await self._load_kept()
        try:
            await self.refresh()
        except (PyMongoError, DtegError) as error:
            self._seen_at = float("-inf")
            _LOG.warning(
                "%s; search has the %s components known last", type(error).__name__, self._index.size
            )
        self._poll.start()

    async def stop(self) -> None:
        """Stop following."""
        await self._poll.stop()
        async with self._turn:
            await self._keep()

    @property
    def size(self) -> int:
        """How many components can be found."""
        return self._index.size

    async def refresh(self) -> None:
        """Take over what has changed; tests call it instead of waiting two seconds.

        Raises:
            PyMongoError: The database does not answer.
        """
        async with self._turn:
            everything = not self._loaded or time.monotonic() >= self._all_again_at or await self._doubtful()
            # What came before the first `refresh` of a component has no number yet, and nothing to list.
            changed, newest = await self._changes(0 if everything else self._rev)
            entries = [entry for entry in changed.values() if entry is not None]
            if everything:
                await asyncio.to_thread(self._index.rebuild, entries)
                self._all_again_at = time.monotonic() + _ALL_AGAIN_S * random.uniform(0.8, 1.2)  # noqa: S311 - no secret
                self._loaded = True
            elif changed:
                gone = [name for name, entry in changed.items() if entry is None]
                await asyncio.to_thread(self._index.apply, entries, gone)
            self._rev = newest if everything else max(self._rev, newest)
            self._from_file, self._seen_at = False, time.monotonic()
            if self._seen_at - self._kept_at > _KEEP_EVERY_S:
                await self._keep()

    def answer(self, wanted: ListQuery) -> Response:
        """Return the answer as it is sent. Does not wait for anything.

        Raises:
            UnavailableError: This process has never reached the database.
        """
        self._need_loaded()
        stale = self.stale_s()
        key = f"{int(bool(stale))}{cache_key(wanted)}"
        view = self._index.view
        kept = self._answers.get(key, view.generation)
        if kept is None:
            body = _body(find(view, wanted), stale=bool(stale))
            kept = Response(body, f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"', 0)
            self._answers.put(key, view.generation, kept)
        return Response(kept.body, kept.etag, stale)

    def find(self, wanted: ListQuery) -> Found:
        """Return the answer for a page of this registry.

        Raises:
            UnavailableError: This process has never reached the database.
        """
        answer = orjson.loads(self.answer(wanted).body)
        return Found.model_validate(answer)

    def suggest(self, text: str) -> str | None:
        """Return the words as they may have been meant; None if all are known or none is near."""
        vocabulary = self._index.view.vocabulary
        unknown = [word for word in query_words(text) if word not in vocabulary]
        return did_you_mean(text, unknown, vocabulary)

    def stale_s(self) -> int:
        """Return the seconds since the database last answered, to this process; 0 while that is recent."""
        age = time.monotonic() - max(self._seen_at, self._born)
        return max(1, int(age)) if age > STALE_AFTER_S or self._seen_at == float("-inf") else 0

    def _need_loaded(self) -> None:
        if not self._loaded:
            raise UnavailableError("the search has not been loaded yet: try again", retry_after_s=POLL_S)

    async def _changes(self, rev: int) -> tuple[dict[str, Entry | None], int]:
        """Return what changed after `rev`, None for what cannot be found any more, and the newest number.

        It is read in parts: one request may take ten seconds, all may take longer, and of what was read only entries
        stay. What changes meanwhile comes again, and counts as it was last.
        """
        found: dict[str, Entry | None] = {}
        components = self.services.components
        while revs := sorted((await components.revs(rev, _REVS_AT_ONCE)).values()):
            for until in [*revs[_AT_ONCE - 1 : -1 : _AT_ONCE], revs[-1]]:
                await self._add_entries(found, await components.changed_since(rev, until))
                rev = until
            if len(revs) < _REVS_AT_ONCE:
                break
        return found, rev

    async def _add_entries(self, found: dict[str, Entry | None], components: list[Component]) -> None:
        now = self.clock()
        for number, each in enumerate(components, 1):
            found[each.id] = entry_of(each, now) if each.listed else None
            if number % _CHUNK == 0:
                await asyncio.sleep(0)  # requests come first

    def forget_kept(self) -> None:
        """Have the next start read everything from the database."""
        self._path.unlink(missing_ok=True)

    async def _load_kept(self) -> None:
        """Put in what was kept; what is older than a turn of `_ALL_AGAIN_S` is read again as soon as possible."""
        kept = await asyncio.to_thread(load, self._path)
        if kept is None or not kept.entries or kept.database != self.settings.database:
            return
        await asyncio.to_thread(self._index.rebuild, kept.entries)
        self._rev, self._loaded, self._from_file = kept.rev, True, True
        left_s = (kept.made_at + timedelta(seconds=_ALL_AGAIN_S) - self.clock()).total_seconds()
        self._all_again_at = time.monotonic() + min(left_s, _ALL_AGAIN_S) * random.uniform(0.8, 1)  # noqa: S311 - no secret
        self._kept_at, self._kept_generation = time.monotonic(), self._index.view.generation

    async def _doubtful(self) -> bool:
        """Whether the database has not come so far as what was kept: it is another one, or a restored one."""
        return self._from_file and self._rev > await self.services.components.last_rev()

    async def _keep(self) -> None:
        """Write what can be found to a file, if it has changed."""
        generation = self._index.view.generation
        if not self._loaded or generation == self._kept_generation:
            return
        self._kept_at, self._kept_generation = time.monotonic(), generation
        try:
            kept = Snapshot(self.settings.database, self._rev, self.clock(), self._index.entries())
            await asyncio.to_thread(save, self._path, kept)
        except OSError as error:  # the next start only takes longer
            _LOG.warning("the search could not be kept: %s", error.strerror)


class _Answers:
    """The newest answers, by query; those of an older index are of no use."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Response] = OrderedDict()
        self._generation = 0
        self._bytes = 0

    def get(self, key: str, generation: int) -> Response | None:
        if generation != self._generation:
            self._kept.clear()
            self._generation, self._bytes = generation, 0
            return None
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, key: str, generation: int, response: Response) -> None:
        if generation != self._generation or key in self._kept:
            return
        self._kept[key] = response
        self._bytes += len(response.body)
        while len(self._kept) > _CACHED_ANSWERS or self._bytes > _CACHED_BYTES:
            self._bytes -= len(self._kept.popitem(last=False)[1].body)


def entry_of(component: Component, now: datetime) -> Entry:
    """Return a component as the search keeps it."""
    rating, downloads = component.rating, component.downloads
    adjusted = rating.adjusted or 0.0
    quality = Quality(
        score=NEUTRAL if component.score is None else component.score / 100,
        proven=proven_part(len(component.proven), component.tested),
        kept=kept_part(downloads.installs, downloads.kept_rate),
        rating=rating_part(rating.count, adjusted),
        freshness=freshness_part(component.released_at or component.updated_at, now),
        deprecated=component.deprecation is not None,
    )
    return Entry(
        id=component.id, slug=component.slug, name=component.name, kind=component.kind,
        category=component.category, summary=component.summary, tags=tuple(component.tags),
        licence=component.licence, capabilities=tuple(component.capabilities),
        framework_versions=component.framework_versions, python_versions=component.python_versions,
        price=str(component.pricing.get("model", "free")), tier=component.tier, verified=component.verified,
        quality=quality, body=ComponentAnswer.of(component).model_dump_json().encode(),
        proven=tuple(component.proven), downloads=downloads.last_30_days,
        rating=adjusted if rating.count else 0.0, updated_s=int(component.updated_at.timestamp()),
    )  # fmt: skip


def _body(result: Result, *, stale: bool) -> bytes:
    items = [entry.body for entry in result.entries]
    if result.explanations:
        pairs = zip(result.entries, result.explanations, strict=True)
        items = [with_explanation(entry, orjson.dumps(each)) for entry, each in pairs]
    return b'{"total":%d,"items":[%s],"facets":%s,"did_you_mean":%s,"stale":%s}' % (
        result.total, b",".join(items), _facets(result.facets), orjson.dumps(result.did_you_mean),
        b"true" if stale else b"false",
    )  # fmt: skip


def _facets(counts: Counts) -> bytes:
    shown = {
        facet: [{"value": value, "count": count} for value, count in values.items()]
        for facet, values in counts.items()
    }
    return orjson.dumps(shown)
