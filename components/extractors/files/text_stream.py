"""A stream of UTF-8 bytes that are checked on the way, and that knows its line numbers."""

import codecs
from typing import BinaryIO

from dteg.core.errors import InputError

from .opening import reading

CHUNK_BYTES = 1 << 20
_BOM = codecs.BOM_UTF8


class TextStream:
    """A readable file object for parsers.

    The bytes it gives are valid UTF-8 whatever the file's encoding, without byte order mark and
    without NUL. Parsers may wrap what `read` raises, so the error is kept in `error` as well.

    Attributes:
        lines: Line breaks passed so far, if the stream is numbered.
        quotes: Quotes passed so far, if it is.
        error: What `read` raised.
    """

    closed = False

    def __init__(
        self, raw: BinaryIO, source: str, encoding: str, max_line_bytes: int, quote: bytes = b"",
        *, is_numbered: bool = True,
    ) -> None:  # fmt: skip
        self.lines = self.quotes = self.bytes_read = 0
        self._quote, self._is_numbered = quote, is_numbered
        self._raw = raw
        self._source = source
        self._is_utf8 = codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
        self._encoding = "utf-8" if self._is_utf8 else encoding
        self._decoder = codecs.getincrementaldecoder(self._encoding)()
        self._max_line_bytes = max_line_bytes
        self._line_bytes = 0
        self._buffer, self._at = b"", 0
        self._started = self._ended = False

    def readable(self) -> bool:
        """Return True: this is a file object for reading."""
        return True

    def close(self) -> None:
        """Leave the file to who opened it."""

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes and at least half of that, or what is left; b"" at the end.

        Half, because then the blocks of a file are handed on as they are, without a copy.

        Raises:
            InputError: Not in the encoding, a NUL character, a line that is too long, a truncated archive.
        """
        while not self._ended and (size < 0 or 2 * (len(self._buffer) - self._at) < size):
            self._fill()
        end = len(self._buffer) if size < 0 else self._at + size
        data = self._buffer[self._at : end]
        if end < len(self._buffer):
            self._at = end
        else:
            self._buffer, self._at = b"", 0
        return data

    def unread(self, data: bytes) -> None:
        """Give bytes back, to be read again."""
        self._buffer, self._at = data + self._buffer[self._at :], 0

    def _fill(self) -> None:
        with reading(self._source):
            chunk = self._raw.read(min(CHUNK_BYTES, self._max_line_bytes))
        self._ended = not chunk
        data = self._decode(chunk)
        if not self._started and data:
            self._started = True
            data = data.removeprefix(_BOM)
        self._check(data)
        if self._is_numbered:
            self.lines += line_breaks(data)
            self.quotes += data.count(self._quote) if self._quote else 0
        self._buffer, self._at = self._buffer[self._at :] + data, 0

    def _decode(self, chunk: bytes) -> bytes:
        state = self._decoder.getstate()
        if self._is_utf8 and not state[0] and chunk.isascii():
            return chunk
        try:
            text = self._decoder.decode(chunk, final=self._ended)
        except UnicodeDecodeError as error:
            raise self._undecodable(error, chunk, state) from None
        if not self._is_utf8:
            return self._encode(text)
        waiting = self._decoder.getstate()[0]
        data = state[0] + chunk
        return data[: len(data) - len(waiting)]

    def _encode(self, text: str) -> bytes:
        try:
            return text.encode()
        except UnicodeEncodeError as error:
            line = self.lines + line_breaks(text[: error.start].encode()) + 1
            raise InputError(
                "half of a surrogate pair, which is no text", source=self._source, line=line
            ) from None

    def _undecodable(self, error: UnicodeDecodeError, chunk: bytes, state: tuple[bytes, int]) -> InputError:
        """Find the line by decoding again what stands before the bad bytes."""
        self._decoder.setstate(state)
        good = self._decoder.decode(chunk[: max(0, error.start - len(state[0]))])
        bad = error.object[error.start : error.end][:4].hex(" ")
        message = f"bytes {bad} are not {self._encoding}; set `encoding` to what the file is written in"
        return InputError(message, source=self._source, line=self.lines + line_breaks(good.encode()) + 1)

    def _check(self, data: bytes) -> None:
        nul = data.find(b"\0")
        if nul >= 0:
            line = self.lines + line_breaks(data[:nul]) + 1
            raise InputError("NUL character; no text column can hold it", source=self._source, line=line)
        first = min((at for at in (data.find(b"\n"), data.find(b"\r")) if at >= 0), default=len(data))
        if self._line_bytes + first > self._max_line_bytes:
            message = f"the line is longer than {self._max_line_bytes} bytes; raise `max_line_bytes` if that is right"
            raise InputError(message, source=self._source, line=self.lines + 1)
        last = max(data.rfind(b"\n"), data.rfind(b"\r"))
        self._line_bytes = len(data) - last - 1 if last >= 0 else self._line_bytes + len(data)
        self.bytes_read += len(data)


def line_breaks(data: bytes) -> int:
    """Count line feeds, or carriage returns in files that have only those."""
    return data.count(b"\n") or data.count(b"\r")
