"""How a backup's files are written: frames of 1 MiB, each compressed, then sealed.

    header  magic "DTEGBAK1", seal (0 digest, 1 AES-256-GCM), 3 zero bytes, random id of the file (16 bytes)
    frame   length as stored (4 bytes), length of the content (4), flags (1: last = 1, compressed = 2), then the bytes

What is sealed with a frame beside its content: the header, its number, its flags and its length. So a frame that was
altered, cut, repeated, left out, moved or taken from another file is refused, and so is a file without its last frame.
A seal is a GCM tag, or for a backup that is not encrypted a BLAKE2b digest; whoever could forge the latter does not
get past the SHA-256 of the whole file in the signed manifest.
"""

import hashlib
import hmac
import secrets
import struct
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, Protocol

from dteg.backups.errors import DamagedBackupError

MAGIC = b"DTEGBAK1"
FRAME_BYTES = 1 << 20
# No form of this file may hold larger ones, so no file can make a reader take more memory.
MAX_FRAME_BYTES = 1 << 20
_HEADER = struct.Struct(">8sB3s16s")
_FRAME = struct.Struct(">IIB")
_BOUND = struct.Struct(">QIB")
_LAST, _COMPRESSED = 1, 2
_ZEROS = bytes(3)
_TAG_BYTES = 16
# Threads that open frames, which stand each for itself; and frames that may be between the file and who reads them.
_OPENERS = 2
_IN_WORK = 4
# Of all levels this one compresses a dump at the speed at which a server sends it.
_ZSTD_LEVEL = 1


class Reader(Protocol):
    """Where bytes come from."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, none at the end."""


class Seal(Protocol):
    """Closes a frame and opens it again."""

    def close(self, number: int, bound: bytes, content: bytes) -> bytes:
        """Return the frame's bytes as they are stored."""

    def open(self, number: int, bound: bytes, stored: bytes) -> bytes | memoryview:
        """Return the content.

        Raises:
            DamagedBackupError: It is not what was closed.
        """


class Digest:
    """Seals without a key: whatever damages a frame is noticed."""

    def close(self, number: int, bound: bytes, content: bytes) -> bytes:
        """See `Seal.close`."""
        return content + self._digest(bound, content)

    def open(self, number: int, bound: bytes, stored: bytes) -> memoryview:
        """See `Seal.open`."""
        content, digest = memoryview(stored)[:-_TAG_BYTES], stored[-_TAG_BYTES:]
        if not hmac.compare_digest(digest, self._digest(bound, content)):
            raise _damaged(number, "its digest does not fit")
        return content

    @staticmethod
    def _digest(bound: bytes, content: bytes | memoryview) -> bytes:
        digest = hashlib.blake2b(bound, digest_size=_TAG_BYTES)
        digest.update(content)
        return digest.digest()


class Gcm:
    """Seals with AES-256-GCM under a key that no other file has.

    Args:
        data_key: The backup's 32 bytes.
        file_id: The file's random id.
    """

    def __init__(self, data_key: bytes, file_id: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        # A key of its own for each file: their nonces, a prefix and the frame's number, may then be alike.
        key = HKDF(SHA256(), 32, salt=file_id, info=b"dteg backup frames v1").derive(data_key)
        self._cipher, self._prefix = AESGCM(key), file_id[:4]

    def close(self, number: int, bound: bytes, content: bytes) -> bytes:
        """See `Seal.close`."""
        return self._cipher.encrypt(self._nonce(number), content, bound)

    def open(self, number: int, bound: bytes, stored: bytes) -> bytes:
        """See `Seal.open`."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(self._nonce(number), stored, bound)
        except InvalidTag:
            raise _damaged(number, "it was altered, or the key is another one") from None

    def _nonce(self, number: int) -> bytes:
        return self._prefix + number.to_bytes(8, "big")


class FrameWriter:
    """Writes one file.

    Args:
        write: Takes the file's bytes.
        data_key: 32 bytes to encrypt with; None for digests only.
    """

    def __init__(self, write: Callable[[bytes], object], data_key: bytes | None) -> None:
        import pyarrow as pa

        file_id = secrets.token_bytes(16)
        self._seal: Seal = Digest() if data_key is None else Gcm(data_key, file_id)
        self._codec = pa.Codec("zstd", compression_level=_ZSTD_LEVEL)
        self._header = _HEADER.pack(MAGIC, 0 if data_key is None else 1, _ZEROS, file_id)
        self.number = 0
        self._write = write
        self._hash = hashlib.sha256()
        self.num_bytes = 0
        self._emit(self._header)

    def frame(self, content: bytes, *, last: bool) -> None:
        """Write at most `FRAME_BYTES` of content; the last frame may be empty."""
        packed = self._codec.compress(content, asbytes=True)
        flags = _LAST if last else 0
        if len(packed) < len(content):
            content_stored, flags = packed, flags | _COMPRESSED
        else:
            content_stored = content
        bound = self._header + _BOUND.pack(self.number, len(content), flags)
        stored = self._seal.close(self.number, bound, content_stored)
        self._emit(_FRAME.pack(len(stored), len(content), flags) + stored)
        self.number += 1

    def write(self, content: bytes) -> None:
        """Write a whole content of any length."""
        starts = range(0, max(len(content), 1), FRAME_BYTES)
        for start in starts:
            self.frame(content[start : start + FRAME_BYTES], last=start == starts[-1])

    @property
    def sha256(self) -> str:
        """Hash of all that was written, hexadecimal."""
        return self._hash.hexdigest()

    def _emit(self, data: bytes) -> None:
        self._hash.update(data)
        self.num_bytes += len(data)
        self._write(data)


class _Stored(NamedTuple):
    """A frame as it lies in the file."""

    number: int
    flags: int
    content_length: int
    bound: bytes
    stored: bytes


def read_frames(source: Reader, data_key: bytes | None) -> Iterator[bytes]:
    """Yield the content of a file, each piece only after its seal was found whole.

    Who uses a piece has to be able to undo that: that the file ends too early shows only at its end.

    Args:
        source: The file.
        data_key: The backup's key; None if it is not encrypted.

    Raises:
        DamagedBackupError: The file is not what was written.
    """
    header = _exactly(source, _HEADER.size)
    magic, kind, zeros, file_id = _HEADER.unpack(header)
    if magic != MAGIC or zeros != _ZEROS or kind != (0 if data_key is None else 1):
        raise DamagedBackupError("the file does not begin as a backup of this kind does")
    seal: Seal = Digest() if data_key is None else Gcm(data_key, file_id)
    waiting: deque[Future[bytes]] = deque()
    with ThreadPoolExecutor(_OPENERS, thread_name_prefix="frames") as openers:
        for content in _contents(source, header, seal, openers):
            waiting.append(content)
            if len(waiting) == _IN_WORK:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _contents(
    source: Reader, header: bytes, seal: Seal, openers: ThreadPoolExecutor
) -> Iterator[Future[bytes]]:
    """Yield what each frame will turn out to hold; where the file breaks off is told in its turn, as the last one."""
    try:
        for frame in _stored_frames(source, header):
            yield openers.submit(_opened, seal, frame)
    except DamagedBackupError as error:
        broken: Future[bytes] = Future()
        broken.set_exception(error)
        yield broken


def _stored_frames(source: Reader, header: bytes) -> Iterator[_Stored]:
    """Yield frames as they are stored; whether their seals are whole is not known yet."""
    number, last = 0, False
    while not last:
        length, content_length, flags = _FRAME.unpack(_exactly(source, _FRAME.size))
        if content_length > MAX_FRAME_BYTES or not _TAG_BYTES <= length <= MAX_FRAME_BYTES + _TAG_BYTES:
            raise _damaged(number, "its length cannot be")
        bound = header + _BOUND.pack(number, content_length, flags)
        yield _Stored(number, flags, content_length, bound, _exactly(source, length))
        last = bool(flags & _LAST)
        number += 1
    if source.read(1):
        raise DamagedBackupError("there is more after the last frame")


def _opened(seal: Seal, frame: _Stored) -> bytes:
    import pyarrow as pa

    content = seal.open(frame.number, frame.bound, frame.stored)
    if frame.flags & _COMPRESSED:
        opened: bytes = pa.Codec("zstd").decompress(
            content, decompressed_size=frame.content_length, asbytes=True
        )
    else:
        opened = bytes(content)
    if len(opened) != frame.content_length:
        raise _damaged(frame.number, "its content has another length")
    return opened


class HashingReader:
    """Hashes what is read through it.

    Args:
        source: Where it comes from.
    """

    def __init__(self, source: Reader) -> None:
        self._source = source
        self._hash = hashlib.sha256()
        self.num_bytes = 0

    def read(self, size: int, /) -> bytes:
        """See `Reader.read`."""
        data = self._source.read(size)
        self._hash.update(data)
        self.num_bytes += len(data)
        return data

    def compare(self, sha256: str, num_bytes: int) -> None:
        """Compare what was read with what the manifest says.

        Raises:
            DamagedBackupError: It is another file.
        """
        if (self._hash.hexdigest(), self.num_bytes) != (sha256, num_bytes):
            raise DamagedBackupError("the file is another one than the signed manifest names (SHA-256)")


def _exactly(source: Reader, size: int) -> bytes:
    data = source.read(size)
    if len(data) == size:
        return data
    parts = [data]
    missing = size - len(data)
    while missing and (data := source.read(missing)):
        parts.append(data)
        missing -= len(data)
    if missing:
        raise DamagedBackupError("the file ends before its last frame: it was cut")
    return b"".join(parts)


def _damaged(number: int, why: str) -> DamagedBackupError:
    return DamagedBackupError(f"frame {number} is damaged: {why}")
