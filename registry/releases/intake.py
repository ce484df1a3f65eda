"""How a wheel becomes a release.

A publish writes in this order, so that a crash after any step leaves something that is finished or swept later: files
by hash; the claim of the file's name, which holds all that is needed to go on; attestations; the release; the job of
its gates; log and component; the claim is done. The answer goes out after that.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dteg.core.errors import ConflictError
from dteg.packages import MAX_PACKED_BYTES
from dteg.signing import PUBLISH, SignatureError, key_id_of, verify_about
from dteg.versions import sort_key
from registry.access import Principal, Role
from registry.documents import milliseconds
from registry.identifiers import component_id, release_id
from registry.namespaces.models import Namespace
from registry.releases.models import Claim, Release
from registry.releases.settling import settle
from registry.releases.store import ReleaseStore
from registry.releases.uploads import MAX_TEXT_BYTES, Upload, inspected
from registry.together import together

if TYPE_CHECKING:
    from registry.services import Services

GATES_JOB = "gates"


class Intake:
    """Takes wheels in, and finishes what was cut off."""

    def __init__(self, services: "Services", store: ReleaseStore) -> None:
        self._services, self._store = services, store

    async def take(self, who: Principal, wheel: Path, envelope: dict[str, Any]) -> Release:
        """Take a wheel in; for arguments and errors see `Releases.publish`."""
        upload = await inspected(wheel)
        manifest = upload.contents.manifest
        component = component_id(manifest.namespace, manifest.slug)
        namespace, taken = await together(
            self._services.namespaces.require(who, manifest.namespace, Role.MAINTAINER, component),
            self._store.claim_of(upload.contents.filename),
        )
        key_id = self._signer(namespace, upload, envelope)
        _refuse(taken, upload)
        await self._services.components.ensure(manifest)
        claim = await self._store_files(who, upload, key_id, envelope)
        if not await self._store.claim(claim):
            _refuse(await self._store.claim_of(upload.contents.filename), upload)
            raise ConflictError(f"{claim.release} is being published by somebody else")
        # A sweep may have taken the very same content away before our claim was there.
        await self._put_again(upload, claim)
        release = await self._follow(claim)
        await together(
            self._store.claim_done(claim.id),
            self._services.audit.record(who, "release.publish", release.id, sha256=release.sha256),
        )
        return release

    async def finish(self, claim: Claim) -> None:
        """Do all that follows a claim and was cut off; may be done again, or by another process."""
        await self._follow(claim)
        await self._store.claim_done(claim.id)

    async def _follow(self, claim: Claim) -> Release:
        assert claim.pending is not None
        release = Release.from_mongo(claim.pending["release"])
        await self._services.attestations.accept(json.loads(claim.pending["envelope"]), release)
        is_new = await self._store.insert(release)
        present = release if is_new else await self._services.releases.by_id(release.id)
        # Neither waits for the other: the gates find the release, and the log is by the number of its change.
        await together(
            self._services.jobs.enqueue(GATES_JOB, {"release": release.id}, dedupe_key=release.id),
            settle(self._services, self._store, present),
        )
        return present

    def _signer(self, namespace: Namespace, upload: Upload, envelope: dict[str, Any]) -> str:
        """Return the id of the key of the namespace that has signed this very file."""
        contents = upload.contents
        keys = {key_id_of(key): key for key in namespace.good_keys(self._services.clock()).values()}
        signed = verify_about(envelope, keys, predicate_type=PUBLISH, sha256=contents.sha256)
        if signed.filename != contents.filename:
            raise SignatureError(f"the signature is for {signed.filename!r}, this is {contents.filename!r}")
        return signed.key_id

    async def _store_files(
        self, who: Principal, upload: Upload, key_id: str, envelope: dict[str, Any]
    ) -> Claim:
        contents, now = upload.contents, milliseconds(self._services.clock())
        manifest = contents.manifest
        component = component_id(manifest.namespace, manifest.slug)
        metadata_sha256 = await self._put(upload)
        release = Release(
            id=release_id(component, manifest.version), component=component, version=manifest.version,
            ver_key=sort_key(manifest.version), distribution=manifest.distribution, filename=contents.filename,
            sha256=contents.sha256, size=contents.size, metadata_sha256=metadata_sha256,
            manifest=manifest.model_dump(mode="json"), config_schema=_json(contents.config_schema),
            changelog=upload.changelog, published_at=now, published_by=who.user_id, updated_at=now, key_id=key_id,
        )  # fmt: skip
        return Claim(
            id=contents.filename, sha256=contents.sha256, blobs=[contents.sha256, metadata_sha256],
            release=release.id, pending={"release": release.to_mongo(), "envelope": _json(envelope)}, at=now,
        )  # fmt: skip

    async def _put(self, upload: Upload) -> str:
        """Store the files of a release; return the hash of the METADATA."""

        async def metadata() -> AsyncIterator[bytes]:
            yield upload.metadata

        blobs = self._services.blobs
        (sha256, _), _ = await together(
            blobs.put(metadata(), MAX_TEXT_BYTES), blobs.put(upload.path, MAX_PACKED_BYTES)
        )
        return sha256

    async def _put_again(self, upload: Upload, claim: Claim) -> None:
        if not all([await self._services.blobs.has(sha256) for sha256 in claim.blobs]):
            await self._put(upload)


def _refuse(taken: Claim | None, upload: Upload) -> None:
    """Refuse a version that is there already."""
    if taken is not None:
        is_same = taken.sha256 == upload.contents.sha256
        content = "with this very content" if is_same else "with another content"
        raise ConflictError(f"{taken.release} was published already, {content}: give it a new version")


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
