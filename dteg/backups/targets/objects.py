"""Backups in an object store: S3 and what speaks its protocol, Google Cloud Storage, Azure.

Credentials and endpoint come from the environment, as the clouds' own tools read them. Objects have no names to change,
so a backup is there when its manifest is: that is written last and deleted first. An upload that was cut off is not
an object yet; let a lifecycle rule of the bucket end unfinished multipart uploads.
"""

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import obstore
from obstore import exceptions
from obstore.store import from_url

from dteg.backups.frames import Reader
from dteg.backups.models import ID
from dteg.backups.targets.port import (
    LEASE_S,
    MANIFEST,
    RENEW_S,
    Write,
    checked_id,
    is_of,
    lost,
    taken,
    unknown,
)
from dteg.core.errors import ConfigError
from dteg.core.object_stores import store_errors

_PART_BYTES = 8 << 20
_MAX_PARTS = 9_000  # S3 and Google allow 10,000
_AT_ONCE = 3
_READ_BYTES = 4 << 20
_LOCKS = "locks"
_RETRIES: Any = {"max_retries": 6, "retry_timeout": timedelta(seconds=90)}


class ObjectTarget:
    """Objects below one prefix.

    Args:
        uri: `s3://bucket/folder`, `gs://…` or `az://…`.
        options: What the environment does not say; see `obstore.store.from_url`.
    """

    def __init__(self, uri: str, **options: Any) -> None:
        self.uri = uri.rstrip("/")
        try:
            self._store = from_url(self.uri, **{"retry_config": _RETRIES, **_plain_http(uri), **options})
        except (exceptions.BaseError, ValueError) as error:
            raise ConfigError(f"{self.uri}: {str(error).splitlines()[0]}") from None

    @contextlib.contextmanager
    def lock(self, slug: str) -> Iterator[None]:
        """See `Target.lock`: an object that is made only if it is not there."""
        key = f"{_LOCKS}/{slug}.json"
        owner = json.dumps({"host": socket.gethostname(), "process": os.getpid()}).encode()
        with store_errors():
            self._take(key, slug, owner)
        done = threading.Event()
        renewer = threading.Thread(target=self._renew, args=(key, owner, done), daemon=True)
        renewer.start()
        try:
            yield
        finally:
            done.set()
            renewer.join()
            with contextlib.suppress(exceptions.BaseError, FileNotFoundError):
                obstore.delete(self._store, key)

    def _take(self, key: str, slug: str, owner: bytes) -> None:
        try:
            obstore.put(self._store, key, owner, mode="create")
        except (exceptions.AlreadyExistsError, FileExistsError):
            held = obstore.get(self._store, key)
            meta = held.meta
            if datetime.now(UTC) - meta["last_modified"] < timedelta(seconds=LEASE_S):
                raise taken(slug, bytes(held.bytes()).decode("utf-8", "replace")) from None
            try:
                # Only if it is still the one that was seen: of two that find an old lock one gets it.
                seen: Any = {name: meta[name] for name in ("e_tag", "version") if meta[name]}  # type: ignore[literal-required]
                obstore.put(self._store, key, owner, mode=seen)
            except exceptions.PreconditionError:
                raise taken(slug, "just taken over") from None

    def _renew(self, key: str, owner: bytes, done: threading.Event) -> None:
        while not done.wait(RENEW_S):
            with contextlib.suppress(exceptions.BaseError):
                obstore.put(self._store, key, owner)

    def begin(self, backup_id: str, expected_bytes: int) -> "ObjectDraft":
        """See `Target.begin`."""
        return ObjectDraft(self._store, backup_id, max(_PART_BYTES, expected_bytes // _MAX_PARTS))

    def ids(self) -> list[str]:
        """See `Target.ids`."""
        return sorted(backup_id for backup_id, names in self._found().items() if MANIFEST in names)

    def manifest(self, backup_id: str) -> bytes:
        """See `Target.manifest`."""
        checked_id(backup_id, self.uri)
        try:
            with store_errors():
                return bytes(obstore.get(self._store, f"{backup_id}/{MANIFEST}").bytes())
        except FileNotFoundError:
            raise unknown(backup_id, self.uri) from None

    @contextlib.contextmanager
    def open(self, backup_id: str, name: str) -> Iterator[Reader]:
        """See `Target.open`."""
        checked_id(backup_id, self.uri)
        with store_errors():
            try:
                stream = obstore.get(self._store, f"{backup_id}/{name}").stream(_READ_BYTES)
            except FileNotFoundError:
                raise lost(backup_id, name) from None
            yield _Streamed(iter(stream))

    def remove(self, backup_id: str) -> None:
        """See `Target.remove`."""
        checked_id(backup_id, self.uri)
        names = self._found().get(backup_id, set())
        with store_errors():
            for name in sorted(names, key=lambda each: each != MANIFEST):
                obstore.delete(self._store, f"{backup_id}/{name}")

    def clean(self, slug: str) -> list[str]:
        """See `Target.clean`."""
        half = [each for each, names in self._found().items() if MANIFEST not in names and is_of(each, slug)]
        for backup_id in half:
            self.remove(backup_id)
        return half

    def _found(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        with store_errors():
            for batch in obstore.list(self._store):
                for meta in batch:
                    folder, _, name = meta["path"].rpartition("/")
                    if ID.fullmatch(folder):
                        found.setdefault(folder, set()).add(name)
        return found


class ObjectDraft:
    """Objects without a manifest."""

    def __init__(self, store: Any, backup_id: str, part_bytes: int) -> None:
        """Remember where to write."""
        self._store, self._id, self._part_bytes = store, backup_id, part_bytes
        self._names: list[str] = []

    @contextlib.contextmanager
    def file(self, name: str) -> Iterator[Write]:
        """See `Draft.file`: in parts, of which a few are under way at once."""
        self._names.append(name)
        with store_errors():
            writer = obstore.open_writer(
                self._store, f"{self._id}/{name}", buffer_size=self._part_bytes, max_concurrency=_AT_ONCE
            )
            yield writer.write
            writer.close()

    def publish(self, manifest: bytes) -> None:
        """See `Draft.publish`."""
        with store_errors():
            obstore.put(self._store, f"{self._id}/{MANIFEST}", manifest, use_multipart=False)

    def discard(self) -> None:
        """See `Draft.discard`."""
        for name in [MANIFEST, *self._names]:
            with contextlib.suppress(exceptions.BaseError, FileNotFoundError):
                obstore.delete(self._store, f"{self._id}/{name}")


class _Streamed:
    """A stream of pieces, read in sizes of ours."""

    def __init__(self, pieces: Iterator[Any]) -> None:
        self._pieces, self._rest = pieces, memoryview(b"")

    def read(self, size: int, /) -> bytes:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = memoryview(piece)
        data, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return data


def _plain_http(uri: str) -> dict[str, Any]:
    """Servers of one's own may speak plain HTTP, if the environment says so as the clouds' tools do."""
    allowed = os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true") and uri.startswith("s3")
    return {"client_options": {"allow_http": True}} if allowed else {}
