"""Where a cache lies: a folder, S3, Google Cloud Storage or Azure.

No names are changed; one object is replaced on a condition, and all others are written once.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from dteg.core.errors import ConfigError, EnvironmentProblemError, MissingExtraError
from dteg.core.object_stores import store_errors
from dteg.core.places import write_whole

_RETRIES: Any = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}
_LOCK = ".lock"
SCHEMES = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss")


@dataclass(frozen=True)
class Stored:
    """An object and what tells whether it has changed."""

    data: bytes
    tag: str


@dataclass(frozen=True)
class Key:
    """The name of an object, and when it was last written."""

    name: str
    written_at: datetime


class Store(Protocol):
    """Objects below one address."""

    uri: str

    def read(self, name: str) -> Stored | None:
        """Return an object; None if there is none."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write an object, whole or not at all, over an old one of its name."""
        ...

    def replace(self, name: str, data: bytes, tag: str | None) -> bool:
        """Write an object only if it is as it was read; False if it is not.

        Args:
            name: Of the object.
            data: Its bytes.
            tag: What `read` gave; None: only if there is none.
        """
        ...

    def keys(self, prefix: str) -> list[Key]:
        """Return the names below a prefix."""
        ...

    def delete(self, name: str) -> None:
        """Delete an object, if it is there."""
        ...


def open_store(uri: str, **options: Any) -> Store:
    """Return the store of an address.

    Args:
        uri: A folder (`/data/cache`, `file:///data/cache`), `s3://bucket/folder`, `gs://…` or `az://…`.
        options: What the environment does not say; see `obstore.store.from_url`.

    Raises:
        ConfigError: No such kind of address.
        MissingExtraError: obstore is not installed.
    """
    scheme = urlsplit(uri).scheme if "://" in uri else ""
    if scheme in ("", "file"):
        return FolderStore(Path(unquote(urlsplit(uri).path) if scheme else uri))
    if scheme not in SCHEMES:
        raise ConfigError(f"{scheme}:// is no place for a cache; use a folder, s3://, gs:// or az://")
    return ObjectStore(uri, **options)


class FolderStore:
    """A folder of this machine, or of a network file system that locks.

    Args:
        folder: Made when first written to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.expanduser().absolute()
        self.uri = str(self._folder)

    def read(self, name: str) -> Stored | None:
        """See `Store.read`. The tag is made of the file's number, time and size: each write is a new file."""
        if ".." in Path(name).parts or Path(name).is_absolute():
            return None
        try:
            with (self._folder / name).open("rb") as file:
                return Stored(file.read(), _tag(os.fstat(file.fileno())))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise EnvironmentProblemError(f"{self._folder / name} cannot be read: {error.strerror}") from None

    def write(self, name: str, data: bytes) -> None:
        """See `Store.write`."""
        write_whole(self._folder / name, data)

    def replace(self, name: str, data: bytes, tag: str | None) -> bool:
        """See `Store.replace`: under a lock of the folder."""
        with self._locked():
            now = self.read(name)
            if (now.tag if now else None) != tag:
                return False
            self.write(name, data)
            return True

    def keys(self, prefix: str) -> list[Key]:
        """See `Store.keys`."""
        found = []
        for path in (self._folder / prefix).rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                if path.is_file() and not path.name.startswith("."):
                    at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                    found.append(Key(path.relative_to(self._folder).as_posix(), at))
        return sorted(found, key=lambda key: key.name)

    def delete(self, name: str) -> None:
        """See `Store.delete`; a folder that is empty then goes too."""
        path = self._folder / name
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.parent.rmdir()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise EnvironmentProblemError(f"{self._folder} cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


class ObjectStore:
    """Objects below a prefix of a bucket. Credentials come from the environment, as the clouds' own tools read them.

    Args:
        uri: `s3://bucket/folder`, `gs://…` or `az://…`.
        options: See `obstore.store.from_url`.
    """

    def __init__(self, uri: str, **options: Any) -> None:
        try:
            from obstore import exceptions
            from obstore.store import from_url
        except ImportError:
            raise MissingExtraError("backups", "a cache in an object store") from None
        self.uri = uri.rstrip("/")
        plain = os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true") and uri.startswith("s3")
        given: dict[str, Any] = {"client_options": {"allow_http": True}} if plain else {}
        try:
            self._store = from_url(self.uri, **{"retry_config": _RETRIES, **given, **options})
        except (exceptions.BaseError, ValueError) as error:
            raise ConfigError(f"{self.uri}: {str(error).splitlines()[0]}") from None

    def read(self, name: str) -> Stored | None:
        """See `Store.read`."""
        import obstore

        with store_errors():
            try:
                found = obstore.get(self._store, name)
            except FileNotFoundError:
                return None
            return Stored(bytes(found.bytes()), _joined(found.meta))

    def write(self, name: str, data: bytes) -> None:
        """See `Store.write`."""
        import obstore

        with store_errors():
            obstore.put(self._store, name, data, use_multipart=False)

    def replace(self, name: str, data: bytes, tag: str | None) -> bool:
        """See `Store.replace`: S3's If-Match, Google's generation, Azure's etag."""
        import obstore
        from obstore import exceptions

        mode: Any = "create" if tag is None else _parted(tag)
        with store_errors():
            try:
                obstore.put(self._store, name, data, mode=mode, use_multipart=False)
            except (exceptions.PreconditionError, exceptions.AlreadyExistsError, FileExistsError):
                return False
            except FileNotFoundError:  # it was there, and is not any more
                return False
        return True

    def keys(self, prefix: str) -> list[Key]:
        """See `Store.keys`."""
        import obstore

        with store_errors():
            found = [
                Key(meta["path"], meta["last_modified"])
                for batch in obstore.list(self._store, prefix=prefix)
                for meta in batch
            ]
        return sorted(found, key=lambda key: key.name)

    def delete(self, name: str) -> None:
        """See `Store.delete`."""
        import obstore

        with store_errors(), contextlib.suppress(FileNotFoundError):
            obstore.delete(self._store, name)


def _tag(status: os.stat_result) -> str:
    return f"{status.st_ino}-{status.st_mtime_ns}-{status.st_size}"


def _joined(meta: Any) -> str:
    return f"{meta.get('e_tag') or ''} {meta.get('version') or ''}"


def _parted(tag: str) -> dict[str, str]:
    e_tag, _, version = tag.rpartition(" ")
    return {name: value for name, value in (("e_tag", e_tag), ("version", version)) if value}
