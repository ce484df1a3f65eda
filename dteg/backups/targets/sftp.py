"""Backups in a folder behind SFTP, on a machine that needs nothing but an SSH server.

The other side's key must be known (`~/.ssh/known_hosts`, or the file in `DTEG_SFTP_KNOWN_HOSTS`). We log in with the
keys of the user's agent and `~/.ssh`, the key file in `DTEG_SFTP_KEY_FILE`, or the password that the secret reference
in `DTEG_SFTP_PASSWORD` names. Files lie as in a folder of this machine: see `files.py`.
"""

import asyncio
import contextlib
import os
import secrets
import socket
import threading
import time
import weakref
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import asyncssh

from dteg.backups.frames import Reader
from dteg.backups.models import ID
from dteg.backups.targets.port import (
    LEASE_S,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    RENEW_S,
    Write,
    checked_id,
    is_of,
    lost,
    taken,
    unknown,
)
from dteg.core.errors import ConfigError, DeniedError, UnavailableError
from dteg.core.secrets import resolve

T = TypeVar("T")
_PARTIAL = ".partial"
_TIMEOUT_S = 20
_READ_BYTES = 1 << 20
# One write is sent as many blocks at once, so that a far server costs its bandwidth, not its distance.
_WRITE_BYTES = 4 << 20


class SftpTarget:
    """One folder of another machine.

    Args:
        uri: `sftp://user@host:port/folder`; `/~/folder` is below the user's home.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        self._root = unquote(urlsplit(self.uri).path) or "/"
        self._root = self._root.removeprefix("/~/")
        self._session: _Session | None = None

    @property
    def _sftp(self) -> "_Session":
        """The connection, opened when first needed, and anew after it broke."""
        if self._session is None or self._session.is_closed:
            self._session = _Session(self.uri)
            weakref.finalize(self, self._session.close)
        return self._session

    @contextlib.contextmanager
    def lock(self, slug: str) -> Iterator[None]:
        """See `Target.lock`: a file that is made only if it is not there."""
        sftp, path = self._sftp, f"{self._root}/.{slug}.lock"
        with _told():
            sftp.run(sftp.client.makedirs(self._root, exist_ok=True))
            self._take(path, slug)
        done = threading.Event()
        renewer = threading.Thread(target=self._renew, args=(path, done), daemon=True)
        renewer.start()
        try:
            yield
        finally:
            done.set()
            renewer.join()
            with contextlib.suppress(asyncssh.Error, OSError):
                self._sftp.run(self._sftp.client.remove(path))

    def _take(self, path: str, slug: str) -> None:
        who = f"{socket.gethostname()} process {os.getpid()}".encode()
        for _ in range(2):
            try:
                return self._sftp.run(self._sftp.write_new(path, who))
            except asyncssh.SFTPError:
                if not self._is_old(path):
                    break
                aside = f"{path}.{secrets.token_hex(4)}"
                with contextlib.suppress(asyncssh.SFTPError):
                    self._sftp.run(self._sftp.client.rename(path, aside))
                    self._sftp.run(self._sftp.client.remove(aside))
        raise taken(slug, self._sftp.run(self._sftp.read_some(path)).decode("utf-8", "replace"))

    def _is_old(self, path: str) -> bool:
        with contextlib.suppress(asyncssh.SFTPError):
            modified = self._sftp.run(self._sftp.client.stat(path)).mtime
            return modified is not None and time.time() - modified > LEASE_S
        return True  # gone meanwhile

    def _renew(self, path: str, done: threading.Event) -> None:
        while not done.wait(RENEW_S):
            with contextlib.suppress(asyncssh.Error, OSError):
                self._sftp.run(self._sftp.client.utime(path, (time.time(), time.time())))

    def begin(self, backup_id: str, expected_bytes: int) -> "SftpDraft":
        """See `Target.begin`."""
        with _told():
            return SftpDraft(self._sftp, self._root, backup_id)

    def ids(self) -> list[str]:
        """See `Target.ids`."""
        sftp = self._sftp
        with _told():
            names = [name for name in self._names() if ID.fullmatch(name)]
            return [name for name in names if sftp.run(sftp.client.isfile(f"{self._root}/{name}/{MANIFEST}"))]

    def _names(self) -> list[str]:
        try:
            return sorted(str(name) for name in self._sftp.run(self._sftp.client.listdir(self._root)))
        except asyncssh.SFTPNoSuchFile:
            return []

    def manifest(self, backup_id: str) -> bytes:
        """See `Target.manifest`."""
        try:
            with _told():
                path = f"{self._folder(backup_id)}/{MANIFEST}"
                return self._sftp.run(self._sftp.read_some(path, MAX_MANIFEST_BYTES))
        except FileNotFoundError:
            raise unknown(backup_id, self.uri) from None

    @contextlib.contextmanager
    def open(self, backup_id: str, name: str) -> Iterator[Reader]:
        """See `Target.open`."""
        sftp = self._sftp
        with _told():
            try:
                file = sftp.run(sftp.opened(f"{self._folder(backup_id)}/{name}", "rb"))
            except asyncssh.SFTPNoSuchFile:
                raise lost(backup_id, name) from None
            try:
                yield _Remote(sftp, file)
            finally:
                sftp.run(file.close())

    def remove(self, backup_id: str) -> None:
        """See `Target.remove`."""
        aside = f"{self._root}/.{backup_id}{_PARTIAL}"
        with _told():
            self._sftp.run(self._sftp.client.rename(self._folder(backup_id), aside))
            self._sftp.run(self._sftp.client.rmtree(aside))

    def clean(self, slug: str) -> list[str]:
        """See `Target.clean`."""
        found = []
        with _told():
            for name in self._names():
                backup_id = name[1 : -len(_PARTIAL)]
                if name.startswith(".") and name.endswith(_PARTIAL) and is_of(backup_id, slug):
                    self._sftp.run(self._sftp.client.rmtree(f"{self._root}/{name}", ignore_errors=True))
                    found.append(backup_id)
        return found

    def _folder(self, backup_id: str) -> str:
        return f"{self._root}/{checked_id(backup_id, self.uri)}"


class SftpDraft:
    """A folder with a name that is not that of a backup."""

    def __init__(self, sftp: "_Session", root: str, backup_id: str) -> None:
        """Make the folder."""
        self._sftp, self._root, self._id = sftp, root, backup_id
        self._folder = f"{root}/.{backup_id}{_PARTIAL}"
        sftp.run(sftp.client.mkdir(self._folder, asyncssh.SFTPAttrs(permissions=0o700)))

    @contextlib.contextmanager
    def file(self, name: str) -> Iterator[Write]:
        """See `Draft.file`."""
        with _told():
            file = self._sftp.run(self._sftp.opened(f"{self._folder}/{name}", "xb"))
            writer = _Writer(self._sftp, file)
            try:
                yield writer.write
                writer.flush()
                # A server without this extension writes to its disk when it likes; most have it.
                with contextlib.suppress(asyncssh.SFTPOpUnsupported):
                    self._sftp.run(file.fsync())
            finally:
                self._sftp.run(file.close())

    def publish(self, manifest: bytes) -> None:
        """See `Draft.publish`."""
        with self.file(MANIFEST) as write:
            write(manifest)
        with _told():
            self._sftp.run(self._sftp.client.rename(self._folder, f"{self._root}/{self._id}"))

    def discard(self) -> None:
        """See `Draft.discard`."""
        with contextlib.suppress(asyncssh.Error, OSError, UnavailableError):
            self._sftp.run(self._sftp.client.rmtree(self._folder, ignore_errors=True))


class _Session:
    """A connection whose coroutines run in a thread of its own."""

    def __init__(self, uri: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sftp", daemon=True)
        self._thread.start()
        with _told():
            self._connection, self.client = self.run(self._connect(uri))

    @property
    def is_closed(self) -> bool:
        return bool(self._connection.is_closed())

    def close(self) -> None:
        """End the connection and the thread; may be called from anywhere."""
        with contextlib.suppress(RuntimeError):  # the loop is gone already
            self._loop.call_soon_threadsafe(self._connection.abort)
            self._loop.call_soon_threadsafe(self._loop.stop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _connect(self, uri: str) -> tuple[asyncssh.SSHClientConnection, asyncssh.SFTPClient]:
        parts = urlsplit(uri)
        options: dict[str, Any] = {"connect_timeout": _TIMEOUT_S, "keepalive_interval": 15}
        if parts.username:
            options["username"] = unquote(parts.username)
        if known := os.environ.get("DTEG_SFTP_KNOWN_HOSTS"):
            options["known_hosts"] = known
        if key := os.environ.get("DTEG_SFTP_KEY_FILE"):
            options["client_keys"] = [key]
        if password := os.environ.get("DTEG_SFTP_PASSWORD"):
            options["password"] = resolve(password)
        connection = await asyncssh.connect(parts.hostname or "", parts.port or 22, **options)
        return connection, await connection.start_sftp_client()

    async def opened(self, path: str, mode: str) -> Any:
        return await self.client.open(path, mode, block_size=256 << 10, max_requests=32)

    async def write_new(self, path: str, data: bytes) -> None:
        async with self.client.open(path, "xb") as file:
            await file.write(data)

    async def read_some(self, path: str, size: int = 200) -> bytes:
        try:
            async with self.client.open(path, "rb") as file:
                data: Any = await file.read(size)
        except asyncssh.SFTPNoSuchFile as error:
            raise FileNotFoundError(path) from error
        return bytes(data)


class _Writer:
    """Gathers what is written, and writes while more is gathered."""

    def __init__(self, sftp: _Session, file: Any) -> None:
        self._sftp, self._file = sftp, file
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size >= _WRITE_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._parts:
            self._sftp.run(self._file.write(b"".join(self._parts)))
        self._parts, self._size = [], 0


class _Remote:
    """Reads a file in large pieces."""

    def __init__(self, sftp: _Session, file: Any) -> None:
        self._sftp, self._file = sftp, file
        self._rest = memoryview(b"")

    def read(self, size: int, /) -> bytes:
        if not self._rest:
            self._rest = memoryview(self._sftp.run(self._file.read(_READ_BYTES)))
        data, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return data


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except asyncssh.PermissionDenied as error:
        raise DeniedError(f"the SFTP server does not let us in: {error.reason}") from None
    except asyncssh.HostKeyNotVerifiable as error:
        raise ConfigError(
            f"the SFTP server's key is not known: {error.reason}; look at it, then add it with ssh-keyscan to"
            " ~/.ssh/known_hosts"
        ) from None
    except asyncssh.SFTPPermissionDenied as error:
        raise DeniedError(f"the SFTP server refuses: {error.reason}") from None
    except FileNotFoundError:
        raise
    except (asyncssh.Error, OSError) as error:
        raise UnavailableError(f"the SFTP server: {getattr(error, 'reason', '') or error}") from error
