"""A copy of the cache on disk, shared by the processes of one user.

The state names the manifest and holds it, in one file that is replaced as a whole; objects are named by their SHA-256
and never change. So a reader sees one version, whatever others write.
"""

import json
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dteg.metadata.client.documents import sha256

_STATE = "state.json"
_FORM = 1


@dataclass(frozen=True, slots=True)
class State:
    """What was read last.

    Attributes:
        manifest: Its bytes.
        etag: Of the manifest.
        fetched_at: When the origin said that it is the newest (s since 1970).
    """

    manifest: bytes
    etag: str
    fetched_at: float


class Disk:
    """The copy of one cache. What cannot be read, or is not as it was written, is not there.

    Args:
        folder: Of all copies.
        uri: Which cache it is a copy of.
    """

    def __init__(self, folder: Path, uri: str) -> None:
        self._folder = folder / sha256(uri.encode())[:24]
        self._uri = uri

    def state(self) -> State | None:
        """Return what was read last."""
        try:
            if self._folder.stat().st_uid != os.getuid():
                return None  # somebody else could have put anything there
            found = json.loads((self._folder / _STATE).read_bytes())
            manifest = found["manifest"].encode()
            if found["form"] != _FORM or found["uri"] != self._uri or sha256(manifest) != found["sha256"]:
                return None
            return State(manifest, str(found["etag"]), float(found["fetched_at"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def object(self, digest: str) -> bytes | None:
        """Return the object of a SHA-256."""
        try:
            data = (self._folder / digest).read_bytes()
        except (OSError, ValueError):
            return None
        return data if sha256(data) == digest else None

    def save_object(self, digest: str, data: bytes) -> None:
        """Keep an object."""
        self._write(digest, data)

    def save(self, state: State, keep: set[str], keep_s: float) -> None:
        """Keep the state, once its objects are there, and drop what has not been needed for `keep_s` seconds."""
        manifest = state.manifest.decode()
        found = {
            "form": _FORM, "uri": self._uri, "fetched_at": state.fetched_at, "etag": state.etag,
            "sha256": sha256(state.manifest), "manifest": manifest,
        }  # fmt: skip
        self._write(_STATE, json.dumps(found, ensure_ascii=False).encode())
        with suppress(OSError):
            for file in self._folder.iterdir():
                unneeded = file.name not in keep and file.name != _STATE
                if unneeded and state.fetched_at - file.stat().st_mtime > keep_s:
                    file.unlink(missing_ok=True)

    def _write(self, name: str, data: bytes) -> None:
        # A full or read-only disk makes the next start slower, and that is all: the cache itself was read.
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, draft = tempfile.mkstemp(dir=self._folder)  # 0600
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                Path(draft).replace(self._folder / name)
            except OSError:
                Path(draft).unlink(missing_ok=True)
                raise


def default_folder() -> Path:
    """Return the user's folder for copies of caches."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "dteg" / "metadata"
