"""The loader: memory, then disk, then where the cache lies; and if that does not answer, what was read before."""

import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Literal

from dteg.core.errors import ConfigError, DtegError, NotFoundError, UnavailableError
from dteg.metadata.client import prompts, signatures
from dteg.metadata.client.catalogue import Catalogue
from dteg.metadata.client.disk import Disk, State, default_folder
from dteg.metadata.client.documents import Frozen, TamperedError, checked, files_of, parse, sha256
from dteg.metadata.client.origins import Fetched, origin_of

_MANIFEST = "manifest.json"
_AT_ONCE = 8
_RETRY_S = 15.0  # between two questions to an origin that does not answer
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
Tier = Literal["disk", "origin"]


@dataclass(frozen=True)
class _Held:
    """What is in memory.

    Attributes:
        catalogue: The version.
        state: Its manifest, as it was read.
        until: When to look for another one.
        tier: Where it was read from.
        stale: Why it may be out of date; "" if it is not.
    """

    catalogue: Catalogue
    state: State
    until: float
    tier: Tier
    stale: str = ""
    served: "count[int]" = field(default_factory=count, compare=False)


class MetadataClient:
    """Serves a metadata cache to programs. Safe to share among threads; what it returns cannot be changed.

    Args:
        uri: Where `dteg metadata collect` published it: a folder, `s3://…`, `gs://…`, `az://…` or `https://…`; or one
            file of the form `{generated_at, schema, examples}`, if it ends in `.json`.
        file_expiry: How long the copy on disk is used without asking there (such as `24h`).
        memory_ttl: How long the copy in memory is used without asking the disk.
        strict: Raise when the newest version cannot be had, instead of serving the one before.
        clock: Seconds since 1970.
        cache_dir: Folder of the copies on disk; default: the user's, and none for a cache that is a folder itself.
        token: For `https://…`, such as the studio.
        timeout_s: For each answer (s).
        public_key: Ed25519 key (base64) that every manifest has to be signed with; what is not is refused, and so is a
            version older than one that was read before. Needs `cryptography`.

    Raises:
        ConfigError: The address, a duration or the key cannot be used.
    """

    def __init__(
        self,
        uri: str,
        file_expiry: str = "24h",
        memory_ttl: str = "1h",
        strict: bool = False,
        clock: Callable[[], float] = time.time,
        *,
        cache_dir: str | Path | None = None,
        token: str = "",
        timeout_s: float = 10.0,
        public_key: str = "",
    ) -> None:
        self.uri = str(uri)
        self._public_key = signatures.checked_key(public_key) if public_key else ""
        self.strict = strict
        self._file_expiry_s, self._memory_ttl_s = _seconds(file_expiry), _seconds(memory_ttl)
        base, _, name = self.uri.rpartition("/") if self.uri.endswith(".json") else (self.uri, "", _MANIFEST)
        self._manifest_path = name
        self._origin = origin_of(base or ".", token, timeout_s)
        self._disk = self._disk_of(cache_dir)
        self._clock = clock
        self._lock = threading.Lock()
        self._held: _Held | None = None
        self._failed: tuple[float, DtegError] | None = None

    def get_schema_info(self, table: str = "") -> Frozen:
        """Return the entry of a table, as the format has it; without a name those of all tables by their id.

        Raises:
            NotFoundError: There is no such table, or no cache.
            UnavailableError: There is no cache to be had.
            TamperedError: It is not what was published, and there is no older one.
        """
        catalogue = self._current().catalogue
        return catalogue.table(table) if table else Frozen(catalogue.tables)

    def get_schema_columns(self, table: str = "") -> tuple[Frozen, ...]:
        """Return the columns of a table; without a name those of all tables, each with its `table_id`.

        Raises:
            NotFoundError: As `get_schema_info`.
        """
        catalogue = self._current().catalogue
        if table:
            return tuple(catalogue.table(table)["columns"])
        return tuple(
            Frozen({"table_id": each["table_id"], **column})
            for each in catalogue.tables.values()
            for column in each["columns"]
        )

    def get_few_shot_examples(self, question: str = "", k: int = 0, table: str = "") -> tuple[Frozen, ...]:
        """Return examples that were run against the schema as it is in the cache.

        Args:
            question: Sorts them by how much they are like it, and leaves out those of the same form.
            k: Most examples; 0 for all.
            table: Only those that read this table.

        Raises:
            NotFoundError: As `get_schema_info`.
        """
        catalogue = self._current().catalogue
        found: tuple[Any, ...] = catalogue.examples
        if question:
            found = tuple(catalogue.retrieval.examples(question, k or len(found)))
        if table:
            id_ = catalogue.table(table)["table_id"]
            found = tuple(each for each in found if id_ in (each.get("tables") or ()))
        return found[:k] if k else found

    def is_cache_available(self) -> bool:
        """Whether there is a cache to be had; reads it, if need be."""
        try:
            self._current()
        except DtegError:
            return False
        return True

    def get_cache_metadata(self) -> dict[str, Any]:
        """Return what the cache says of itself, and where this copy is from.

        Returns:
            `cache_version`, `generated_at`, `expires_at`, `expired`, `source`, `quality`, `stats`, `tables`,
            `examples` (numbers), `stale` with `why`, `tier` (where memory was filled from), `fetched_at` and `age_s`
            (since the origin said that it is the newest), `memory_hits`.

        Raises:
            NotFoundError: As `get_schema_info`.
        """
        held = self._current()
        manifest, now = held.catalogue.manifest, self._clock()
        taken = {name: manifest.get(name) for name in _TOLD}
        return {
            **taken,
            "tables": len(held.catalogue.tables),
            "examples": len(held.catalogue.examples),
            "expired": _is_past(manifest.get("expires_at"), now),
            "stale": bool(held.stale),
            "why": held.stale,
            "tier": held.tier,
            "etag": sha256(held.state.manifest)[:24],
            "fetched_at": datetime.fromtimestamp(held.state.fetched_at, UTC).isoformat(),
            "age_s": max(0.0, now - held.state.fetched_at),
            "memory_hits": next(held.served),
        }

    def prompt(self, question: str, budget_tokens: int = 4_000, k: int = 5) -> str:
        """Return what a model needs to know to answer a question with SQL, the most important first.

        Args:
            question: The question.
            budget_tokens: Most tokens, estimated on the high side. If all tables fit, all are told.
            k: Most examples.

        Raises:
            NotFoundError: As `get_schema_info`.
            ValueError: The budget is less than 50 tokens.
        """
        return self.context(question, budget_tokens, k).text

    def context(self, question: str, budget_tokens: int = 4_000, k: int = 5) -> prompts.Context:
        """Return the text of `prompt` with the tables and examples that are in it."""
        if budget_tokens < 50:
            raise ValueError("budget_tokens: at least 50")
        catalogue = self._current().catalogue
        ids = catalogue.retrieval.tables(question)
        examples = catalogue.retrieval.examples(question, k) if k else []
        source = catalogue.manifest.get("source") or {}
        heading = f"# Tables ({source.get('dialect', 'postgres')})"
        return prompts.context(
            [catalogue.tables[each] for each in ids], examples, budget_tokens=budget_tokens, heading=heading
        )

    def refresh(self) -> None:
        """Ask where the cache lies whether there is a newer version, whatever the clock says.

        Raises:
            UnavailableError: As `get_schema_info`; also if an older version is there.
        """
        with self._lock:
            self._held = self._load(self._held, self._clock(), now_at_once=True)
            self._failed = None

    def _current(self) -> _Held:
        """Return what is in memory; one thread fills it, the others wait for that."""
        held, now = self._held, self._clock()
        if held is not None and _is_fresh(held, now, self._longest_s()):
            next(held.served)
            return held
        with self._lock:
            now = self._clock()
            if self._held is not None and _is_fresh(self._held, now, self._longest_s()):
                return self._held
            if self._failed and 0 <= self._failed[0] - now <= _RETRY_S:
                raise self._failed[1]
            try:
                self._held = self._load(self._held, now)
                self._failed = None
            except DtegError as error:
                self._held = self._older(self._held, error, now)
            return self._held

    def _longest_s(self) -> float:
        return max(self._memory_ttl_s, _RETRY_S)

    def _older(self, held: _Held | None, error: DtegError, now: float) -> _Held:
        """Return the version before, told to be stale, if there is one and it may be served.

        Raises:
            DtegError: The error itself.
        """
        if not self.strict and held is None and self._disk and (state := self._disk.state()):
            with suppress(DtegError):
                held = self._held_of(state, None, now, "disk")
        if self.strict or held is None:
            self._failed = (now + _RETRY_S, error)
            raise error
        return replace(held, until=now + _RETRY_S, stale=str(error), served=count())

    def _load(self, held: _Held | None, now: float, *, now_at_once: bool = False) -> _Held:
        state = self._newest(held.state if held else None)
        if state and not now_at_once and 0 <= now - state.fetched_at < self._file_expiry_s and self._disk:
            with suppress(DtegError):  # a part of the copy is gone: ask the origin
                return self._held_of(state, held, now, "disk")
        fetched = self._origin.read(self._manifest_path, state.etag if state else "")
        if fetched is None and state is not None:
            try:
                return self._kept(self._held_of(replace(state, fetched_at=now), held, now, "origin"))
            except NotFoundError:  # what the copy names is pruned there and broken here
                fetched = None
        fetched = fetched or self._origin.read(self._manifest_path)
        try:
            return self._kept(self._of_fetched(fetched, held, now))
        except NotFoundError:
            # A publisher may have dropped the version between both reads: its successor is complete.
            again = self._origin.read(self._manifest_path)
            return self._kept(self._of_fetched(again, held, now))

    def _newest(self, state: State | None) -> State | None:
        """Return what memory or disk, which another process may have filled, has of the newest state."""
        found = self._disk.state() if self._disk else None
        return max((each for each in (state, found) if each), key=lambda each: each.fetched_at, default=None)

    def _of_fetched(self, fetched: Fetched | None, held: _Held | None, now: float) -> _Held:
        if fetched is None:
            raise UnavailableError(f"{self.uri} says that nothing changed since nothing was read")
        return self._held_of(State(fetched.data, fetched.etag, now), held, now, "origin")

    def _held_of(self, state: State, held: _Held | None, now: float, tier: Tier) -> _Held:
        """Return a version as memory holds it: objects from memory, else from disk, else from the origin."""
        until = now + self._memory_ttl_s
        if held is not None and held.state.manifest == state.manifest:
            return replace(held, state=state, until=until, tier=tier, stale="", served=count())
        manifest = checked(state.manifest, self.uri)
        if self._public_key:
            signatures.verify(manifest, self._public_key, self.uri)
            self._refuse_older(manifest, held)
        if "tables" not in manifest and "schema" in manifest:  # one table, in the original form
            return _Held(_made(Catalogue(manifest, {sha256(state.manifest): manifest})), state, until, tier)
        files = files_of(manifest, self.uri)
        had = held.catalogue.documents if held else {}
        new = self._objects([each for each in files if each[1] not in had])
        documents = {digest: had.get(digest) or new[digest] for _, digest in files}
        return _Held(_made(Catalogue(manifest, documents)), state, until, tier)

    def _refuse_older(self, manifest: Frozen, held: _Held | None) -> None:
        """A version is signed for ever: that it is the newest, only what was read before can tell."""
        known = [held.catalogue.manifest] if held else []
        if self._disk and (state := self._disk.state()):
            with suppress(DtegError):
                found = checked(state.manifest, self.uri)
                signatures.verify(found, self._public_key, self.uri)
                known.append(found)
        newest = max((_version(each) for each in known), default=0)
        if _version(manifest) < newest:
            raise TamperedError(
                f"it is version {_version(manifest)}, and version {newest} was read before; if the cache was made anew, "
                "delete the copy on disk",
                source=self.uri,
            )

    def _objects(self, files: list[tuple[str, str]]) -> dict[str, Frozen]:
        """Read objects, several at once if each is a question to a server."""
        if self._origin.is_local or len(files) < 2:
            return {digest: self._object(path, digest) for path, digest in files}
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            read = pool.map(lambda each: self._object(*each), files)
            return dict(zip((digest for _, digest in files), read, strict=True))

    def _object(self, path: str, digest: str) -> Frozen:
        source = f"{self.uri}/{path}"
        if self._disk and (data := self._disk.object(digest)) is not None:
            return parse(data, source)
        fetched = self._origin.read(path)
        if fetched is None or sha256(fetched.data) != digest:
            raise TamperedError(
                "it is not what the manifest names: it was changed or is damaged", source=source
            )
        if self._disk:
            self._disk.save_object(digest, fetched.data)
        return parse(fetched.data, source)

    def _kept(self, held: _Held) -> _Held:
        if self._disk:
            self._disk.save(held.state, set(held.catalogue.documents), self._file_expiry_s)
        return held

    def _disk_of(self, folder: str | Path | None) -> Disk | None:
        if folder is None and self._origin.is_local:
            return None
        try:
            return Disk(Path(folder) if folder is not None else default_folder(), self.uri)
        except RuntimeError:  # a user without a home
            return None


_TOLD = (
    "cache_version", "generated_at", "expires_at", "format_version", "source", "quality", "stats", "rollback_of",
)  # fmt: skip


def _made(catalogue: Catalogue) -> Catalogue:
    """Return it with all that is derived from it, so that the first question is as quick as the others."""
    _ = catalogue.tables, catalogue.examples, catalogue.retrieval
    return catalogue


def _is_fresh(held: _Held, now: float, longest_s: float) -> bool:
    # A clock that was set back must not keep a version for longer than it may be kept.
    return 0 < held.until - now <= longest_s


def _seconds(duration: str) -> float:
    found = re.fullmatch(r"([0-9]{1,9})([smhdw])", duration.strip())
    if found is None:
        raise ConfigError(
            f"{duration!r} is not a duration; write a number and a unit, such as 90s, 15m, 24h or 7d"
        )
    return float(int(found[1]) * _SECONDS[found[2]])


def _version(manifest: Frozen) -> int:
    found = manifest.get("cache_version")
    return found if isinstance(found, int) else 0


def _is_past(moment: Any, now: float) -> bool:
    try:
        return moment is not None and datetime.fromisoformat(str(moment)).timestamp() <= now
    except ValueError:
        return True
