"""Publishing a version: the objects of the tables first, the manifest last; and going back to an older version."""

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from pydantic import ValidationError

from dteg.core.clock import Clock, utc_now
from dteg.core.errors import ConfigError, ConflictError, InputError, NotFoundError
from dteg.core.places import write_whole
from dteg.metadata.client.documents import GZIP, canonical, content_sha256, sha256, unpacked
from dteg.metadata.client.signatures import signature_of, verify
from dteg.metadata.models import (
    KEPT_VERSIONS,
    CacheManifest,
    ManifestTable,
    TableDocument,
    VersionEntry,
    stored,
)
from dteg.metadata.store import Store, Stored
from dteg.signing import SigningKey

MANIFEST = "manifest.json"
# A day, and some hours for a run that comes late.
EXPIRES = timedelta(hours=30)
# What nobody refers to is kept so long: a reader may have just read the manifest that did.
GRACE = timedelta(hours=1)
_ATTEMPTS = 20


class Publisher:
    """The versions of one cache.

    Args:
        store: Where it lies.
        clock: The time.
        keep: Versions that can be returned to, the current one included.
        repair: Go on where the manifest is broken, as if there was none.
        key: Signs manifests; then one that this key did not sign is broken.
        gzip: Pack the objects of tables; older readers do not understand those.
    """

    def __init__(
        self, store: Store, clock: Clock = utc_now, keep: int = KEPT_VERSIONS, *, repair: bool = False,
        key: SigningKey | None = None, gzip: bool = False,
    ) -> None:  # fmt: skip
        self.store, self._clock, self._keep, self._repair = store, clock, keep, repair
        self._key, self._gzip = key, gzip

    def current(self) -> CacheManifest | None:
        """Return the manifest; None if nothing has been published.

        Raises:
            InputError: It was changed by somebody, or is of no known form.
        """
        return self._read(self.store.read(MANIFEST))

    def document(self, table: ManifestTable) -> TableDocument:
        """Return the object of a table.

        Raises:
            InputError: It is not there, or is not what was published.
        """
        place = f"{self.store.uri}/{table.file}"
        found = self.store.read(table.file)
        if found is None:
            raise InputError("the object is not there; collect again with --full", source=place)
        if sha256(found.data) != table.sha256:
            raise InputError(
                "its bytes are not those that were published; collect again with --full", source=place
            )
        try:
            plain = unpacked(found.data, place) if found.data.startswith(GZIP) else found.data
            document = TableDocument.model_validate_json(plain)
        except ValidationError as error:
            raise InputError(f"it is no table of a cache: {_first(error)}", source=place) from None
        if not _is_sound(plain) or document.table.table_id != table.table_id:
            raise InputError("its checksum is wrong; collect again with --full", source=place)
        return document

    def publish(
        self, draft: CacheManifest, changed: Sequence[TableDocument], kept: Mapping[str, ManifestTable],
        probes: Mapping[str, str],
    ) -> CacheManifest:  # fmt: skip
        """Publish a version.

        Args:
            draft: Its manifest without tables, version and history.
            changed: Tables to be written.
            kept: Tables that are as they were in the version before, by id.
            probes: What tells whether a table has to be read again, by id.

        Returns:
            The manifest as it is published.

        Raises:
            ConflictError: Others published all the time.
        """
        tables = dict(kept)
        for document in changed:
            entry, data = packed(document, probes.get(document.table.table_id, ""), gzip=self._gzip)
            # Also if it is there already: it may be about to be pruned.
            self.store.write(entry.file, data)
            tables[entry.table_id] = entry
        ordered = [tables[name] for name in sorted(tables)]
        published = self._replace(lambda _: draft.model_copy(update={"tables": ordered}))
        self._write_latest(changed, published)
        self.prune(published)
        return published

    def rollback(self, version: int) -> CacheManifest:
        """Make the tables of an older version current again, as a new version.

        Raises:
            NotFoundError: There is no such version any more.
            InputError: It was changed by somebody, or one of its objects is gone.
        """
        current = self.current()
        history = current.history if current else []
        found = next((each for each in history if each.cache_version == version), None)
        if found is None:
            names = ", ".join(str(each.cache_version) for each in history) or "none"
            raise NotFoundError(f"there is no version {version} to return to; there are: {names}")
        place = f"{self.store.uri}/{found.file}"
        held = self.store.read(found.file)
        if (
            held is None or sha256(held.data) != found.sha256
        ):  # a signed manifest names this hash, so its key counts
            raise InputError("it is gone, or not what was published; choose another version", source=place)
        old = read_manifest(held.data, place)
        documents = [self.document(table) for table in old.tables]
        published = self._replace(
            lambda _: old.model_copy(update={"rollback_of": version, "generated_at": self._clock()})
        )
        self._write_latest(documents, published)
        return published

    def prune(self, current: CacheManifest) -> int:
        """Delete what no kept version refers to.

        Returns:
            How many objects.
        """
        used = {table.file for table in current.tables}
        for entry in current.history:
            used.add(entry.file)
            held = self.store.read(entry.file)
            if held is None or sha256(held.data) != entry.sha256:
                return 0  # somebody changed it: what it refers to is not known, and nothing is deleted
            used |= {table.file for table in CacheManifest.model_validate_json(held.data).tables}
        old = self._clock() - GRACE
        gone = [
            key.name
            for prefix in ("tables", "versions")
            for key in self.store.keys(prefix)
            if key.name not in used and key.written_at < old
        ]
        for name in gone:
            self.store.delete(name)
        return len(gone)

    def _write_latest(self, documents: Sequence[TableDocument], manifest: CacheManifest) -> None:
        """Write the objects of single tables under fixed names, for readers of one table that know no manifest."""
        for document in documents:
            self.store.write(f"latest/{_safe(document.table.table_id)}.json", stored(document.sealed()))
        here = {f"latest/{_safe(table.table_id)}.json" for table in manifest.tables}
        for key in self.store.keys("latest"):
            if key.name not in here:
                self.store.delete(key.name)

    def _replace(self, make: Callable[[CacheManifest | None], CacheManifest]) -> CacheManifest:
        """Write the manifest, unless somebody else did since it was read: then once more, as the version after theirs."""
        for attempt in range(_ATTEMPTS):
            time.sleep(attempt * random.uniform(0.0, 0.05))  # noqa: S311 - so that two do not meet again
            held = self.store.read(MANIFEST)
            before = self._read(held)
            history: list[VersionEntry] = []
            if held and before:
                entry = _version(before, held.data)
                self.store.write(entry.file, held.data)
                history = [entry, *before.history][: self._keep - 1]
            manifest = make(before)
            made = self._sealed(
                manifest.model_copy(
                    update={
                        "cache_version": (before.cache_version if before else self._newest()) + 1,
                        "expires_at": manifest.generated_at + EXPIRES,
                        "history": history,
                    }
                )
            )
            if self.store.replace(MANIFEST, stored(made), held.tag if held else None):
                return made
        raise ConflictError("somebody else publishes to this place all the time; try again")

    def renew(self, manifest: CacheManifest, probes: Mapping[str, str]) -> CacheManifest:
        """Say that the current version is still right, unless there is another one meanwhile.

        Args:
            manifest: As it was read, with what is new in it.
            probes: See `publish`.
        """
        held = self.store.read(MANIFEST)
        now = self._read(held)
        if held is None or now is None or now.cache_version != manifest.cache_version:
            return now or manifest
        at = self._clock()
        tables = [
            each.model_copy(update={"probe": probes.get(each.table_id, each.probe)}) for each in now.tables
        ]
        facts = {
            "generated_at": at,
            "expires_at": at + EXPIRES,
            "tables": tables,
            "quality": manifest.quality,
        }
        made = self._sealed(now.model_copy(update=facts))
        self.store.replace(MANIFEST, stored(made), held.tag)
        return made

    def _sealed(self, manifest: CacheManifest) -> CacheManifest:
        """Return it signed, if there is a key, and with its checksum."""
        plain = manifest.model_copy(update={"signature": None})
        signature = (
            signature_of(plain.model_dump(mode="json", by_alias=True), self._key) if self._key else None
        )
        return plain.model_copy(update={"signature": signature}).sealed()

    def _read(self, held: Stored | None) -> CacheManifest | None:
        if held is None:
            return None
        place = f"{self.store.uri}/{MANIFEST}"
        try:
            found = read_manifest(held.data, place)
            if self._key:
                verify(json.loads(held.data), self._key.public, place)
        except InputError:
            if self._repair:
                return None
            raise
        if found.signature and not self._key:
            raise ConfigError(f"{place} is signed, and no key is given: set DTEG_METADATA_KEY to its file")
        return found

    def _newest(self) -> int:
        """Return the number of the newest version that was kept; 0 if there is none."""
        names = [key.name.removeprefix("versions/") for key in self.store.keys("versions")]
        return max((int(name[:6]) for name in names if name[:6].isdigit()), default=0)


def write_export(path: Path, manifest: CacheManifest, documents: Sequence[TableDocument]) -> int:
    """Write a version to a folder as plain files, with the JSON Schema of tables; return the number of tables.

    Args:
        path: The folder; files of the same names are replaced.
        manifest: The version.
        documents: Its tables.
    """
    for document in documents:
        write_whole(path / "tables" / f"{_safe(document.table.table_id)}.json", stored(document))
    write_whole(path / "manifest.json", stored(manifest))
    write_whole(path / "table.schema.json", canonical(TableDocument.model_json_schema(by_alias=True)))
    return len(documents)


def packed(document: TableDocument, probe: str = "", *, gzip: bool = False) -> tuple[ManifestTable, bytes]:
    """Return the bytes of a table and how the manifest names them."""
    from gzip import compress

    sealed = document.sealed()
    # Without a time in it: the same table gives the same bytes.
    data = compress(stored(sealed), 6, mtime=0) if gzip else stored(sealed)
    table, digest = sealed.table, sha256(data)
    entry = ManifestTable(
        table_id=table.table_id, file=f"tables/{_safe(table.table_id)}/{digest}.json{'.gz' * gzip}", sha256=digest, bytes=len(data),
        fingerprint_sha256=table.fingerprint_sha256, probe=probe, row_count=table.row_count, columns=len(table.columns),
        examples=len(document.examples), description=table.description[:500],
    )  # fmt: skip
    return entry, data


def read_manifest(data: bytes, place: str) -> CacheManifest:
    """Read a manifest.

    Raises:
        InputError: It was changed by somebody, or is of no known form.
    """
    try:
        manifest = CacheManifest.model_validate_json(data)
    except ValidationError as error:
        raise InputError(f"it is no manifest of a cache: {_first(error)}", source=place) from None
    if manifest.format_version.partition(".")[0] != "2":
        raise InputError(f"format {manifest.format_version} is newer than this dteg", source=place)
    if not _is_sound(data):
        raise InputError(
            "its checksum is wrong: somebody changed it; collect again with --full", source=place
        )
    return manifest


def _is_sound(data: bytes) -> bool:
    """Whether the checksum fits: of what was stored, whatever keys this version of the format knows."""
    found = json.loads(data)
    return isinstance(found, dict) and found.get("content_sha256") == content_sha256(found)


def _version(manifest: CacheManifest, data: bytes) -> VersionEntry:
    digest = sha256(data)
    return VersionEntry(
        cache_version=manifest.cache_version, generated_at=manifest.generated_at, sha256=digest,
        file=f"versions/{manifest.cache_version:06d}-{digest}.json", tables=len(manifest.tables),
        rollback_of=manifest.rollback_of,
    )  # fmt: skip


def _safe(table_id: str) -> str:
    """Return a name of a table as part of a path: never `..`, never a slash."""
    return quote(table_id, safe="").replace("..", "%2E%2E")


def _first(error: ValidationError) -> str:
    each = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, each['loc']))}: {each['msg']}"
