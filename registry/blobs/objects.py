"""Files in an object store: S3 and what speaks its protocol, Google Cloud Storage, Azure.

Credentials and endpoint come from the environment, as the clouds' own tools read them (`AWS_ACCESS_KEY_ID`,
`AWS_ENDPOINT`, `AWS_ALLOW_HTTP`, …). A file of a component has at most some MB, so it is read whole and compared with
its hash before any of it is handed out.
"""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import obstore
from obstore.store import from_url

from dteg.core.errors import NotFoundError, UnavailableError
from registry.blobs.incoming import incoming
from registry.blobs.store import CHUNK_BYTES, Blob, DamagedBlobError

_FOLDER = "blobs"
_ASIDE = "aside"
_ERRORS = (obstore.exceptions.BaseError,)


class ObjectBlobs:
    """One object for each content, at `blobs/aa/aabbcc…`.

    Args:
        url: `s3://bucket/folder`, `gs://…` or `az://…`.
        scratch: Folder for files on their way.
        options: What the environment does not say; see `obstore.store.from_url`.
    """

    def __init__(self, url: str, scratch: Path, **options: Any) -> None:
        self._store = from_url(url, **options)
        self._scratch = scratch

    async def put(self, source: Path | AsyncIterator[bytes], limit: int) -> tuple[str, int]:
        """See `BlobStore.put`."""
        async with incoming(source, self._scratch, limit) as file:
            try:
                await obstore.put_async(self._store, _key(file.sha256), file.path)
            except _ERRORS as error:
                raise _unavailable(error) from None
            return file.sha256, file.size

    async def path(self, sha256: str) -> Path | None:
        """See `BlobStore.path`: always None."""
        return None

    async def read(self, sha256: str) -> AsyncIterator[bytes]:
        """See `BlobStore.read`."""
        try:
            content = bytes(await (await obstore.get_async(self._store, _key(sha256))).bytes_async())
        except FileNotFoundError:
            raise NotFoundError(f"there is no stored file {sha256}") from None
        except _ERRORS as error:
            raise _unavailable(error) from None
        if hashlib.sha256(content).hexdigest() != sha256:
            raise DamagedBlobError(sha256)
        for start in range(0, len(content), CHUNK_BYTES):
            yield content[start : start + CHUNK_BYTES]

    async def has(self, sha256: str) -> bool:
        """See `BlobStore.has`."""
        try:
            await obstore.head_async(self._store, _key(sha256))
        except FileNotFoundError:
            return False
        except _ERRORS as error:
            raise _unavailable(error) from None
        return True

    async def all(self) -> AsyncIterator[Blob]:
        """See `BlobStore.all`."""
        try:
            async for batch in obstore.list(self._store, prefix=_FOLDER):
                for meta in batch:
                    yield Blob(meta["path"].rpartition("/")[2], meta["size"], meta["last_modified"])
        except _ERRORS as error:
            raise _unavailable(error) from None

    async def set_aside(self, sha256: str) -> bool:
        """See `BlobStore.set_aside`."""
        return await self._move(_key(sha256), f"{_ASIDE}/{sha256}")

    async def bring_back(self, sha256: str) -> bool:
        """See `BlobStore.bring_back`."""
        return await self._move(f"{_ASIDE}/{sha256}", _key(sha256))

    async def discard(self, sha256: str) -> None:
        """See `BlobStore.discard`."""
        try:
            await obstore.delete_async(self._store, f"{_ASIDE}/{sha256}")
        except FileNotFoundError:
            return
        except _ERRORS as error:
            raise _unavailable(error) from None

    async def _move(self, source: str, target: str) -> bool:
        try:
            await obstore.copy_async(self._store, source, target)
            await obstore.delete_async(self._store, source)
        except FileNotFoundError:
            return False
        except _ERRORS as error:
            raise _unavailable(error) from None
        return True


def _key(sha256: str) -> str:
    return f"{_FOLDER}/{sha256[:2]}/{sha256}"


def _unavailable(error: Exception) -> UnavailableError:
    # The store's own message holds addresses and request ids, which are nobody's business.
    return UnavailableError(f"the store of the files does not answer ({type(error).__name__}); try again")
