"""Reads a ZIP file by strict rules: every byte of it has one meaning for every reader.

ZIP says the same things in several places (local headers, central directory, end record), and tools differ in which of
them they believe. Whoever makes the places disagree shows a scanner other files than an installer unpacks. So an
archive is taken only if the places agree, its parts lie one after the other without gaps, and nothing in it is optional:

    local header, data, local header, data, ..., central directory, end record

Source: APPNOTE.TXT 6.3.10 (PKWARE), sections 4.3 to 4.5.
"""

import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from dteg.packages.limits import (
    MAX_ENTRIES,
    MAX_PACKED_BYTES,
    MAX_RATIO,
    MAX_UNPACKED_BYTES,
    RATIO_MATTERS_BYTES,
)
from dteg.packages.names import clashes, name_problem
from dteg.packages.problems import PackageError, PackageProblem, shown

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_LOCAL_MARK, _CENTRAL_MARK, _END_MARK = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_ZIP64_MARKS = (b"PK\x06\x06", b"PK\x06\x07")
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _DESCRIPTOR, _STRONG, _MASKED = 0x0001, 0x0008, 0x0040, 0x2000
_HARMLESS = 0x0800 | 0x0006  # names are UTF-8; how hard the packer tried
_SEARCHED = _END.size + 65_535  # where readers look for the end record
_REBUILD = "build the package with dteg (dteg publish does)"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an archive, as the central directory and its local header agree on it.

    Attributes:
        name: Checked path with `/` between folders.
        size: Unpacked size (bytes).
        packed_size: Size in the archive (bytes).
        crc: CRC-32 of the content.
        method: 0 stored, 8 deflated.
        start: Where its data begins in the archive.
    """

    name: str
    size: int
    packed_size: int
    crc: int
    method: int
    start: int


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive whose structure is sound; contents are checked as they are read."""

    data: bytes
    entries: tuple[Entry, ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Check the structure of an archive.

        Raises:
            PackageError: One problem for each entry that breaks a rule, or one for the whole file.
        """
        if len(data) > MAX_PACKED_BYTES:
            raise _whole(
                "too-large", f"larger than {MAX_PACKED_BYTES:,} bytes", "leave out what is not needed"
            )
        return cls(data, tuple(_entries(data, _find_directory(data))))

    def read(self, entry: Entry) -> bytes:
        """Unpack one file.

        Raises:
            PackageError: The data is not what the headers say.
        """
        packed = self.data[entry.start : entry.start + entry.packed_size]
        content = packed if entry.method == _STORED else _inflate(packed, entry)
        if len(content) != entry.size or zlib.crc32(content) != entry.crc:
            raise PackageError(
                [_problem("content", "the data has not the size or CRC that is stated", entry.name)]
            )
        return content


@dataclass(frozen=True, slots=True)
class _Directory:
    offset: int
    count: int
    end: int


@dataclass(frozen=True, slots=True)
class _Header:
    """What the central directory says of one entry, beside what its local header must repeat (`shared`)."""

    raw_name: bytes
    made_by: int
    shared: tuple[int, ...]
    extra: int
    comment: int
    disk: int
    attributes: int
    offset: int

    @property
    def name(self) -> str:
        return self.raw_name.decode("utf-8", "surrogateescape")


def _whole(code: str, message: str, remedy: str = _REBUILD) -> PackageError:
    return PackageError([PackageProblem(code, message, remedy)])


def _problem(code: str, message: str, entry: str) -> PackageProblem:
    return PackageProblem(code, message, _REBUILD, entry)


def _find_directory(data: bytes) -> _Directory:
    """Find the one end record, at the very end, and check it."""
    place = data.rfind(_END_MARK)
    if place < 0 or len(data) - place < _END.size:
        raise _whole("not-a-zip", "not a ZIP file, or cut off")
    _, disk, first_disk, here, count, size, offset, comment = _END.unpack_from(data, place)
    after = len(data) - place - _END.size
    if comment and comment == after:
        raise _whole("comment", "the archive carries a comment")
    if after or comment:
        raise _whole("data-after", f"{after} bytes after the end of the archive")
    if (
        data[max(0, place - 20) :][:4] in _ZIP64_MARKS
        or 0xFFFFFFFF in (size, offset)
        or 0xFFFF in (here, count)
    ):
        raise _whole("zip64", "uses ZIP64, which no file of this size needs")
    if disk or first_disk or here != count:
        raise _whole("several-disks", "says that it spans several disks")
    _refuse_second_end(data, place)
    if offset + size != place:
        raise _whole("directory-place", "the central directory is not where the end record says")
    if not count:
        raise _whole("no-entries", "holds no files")
    if count > MAX_ENTRIES:
        raise _whole("too-many-entries", f"holds {count} files, more than {MAX_ENTRIES}", "leave some out")
    return _Directory(offset, count, place)


def _refuse_second_end(data: bytes, place: int) -> None:
    """Refuse another end record that a reader might take: near the end, or anywhere if it fits its place."""
    other = data.find(_END_MARK)
    while 0 <= other < place:
        fits = False
        if other + _END.size <= len(data):
            *_, size, offset, _ = _END.unpack_from(data, other)
            fits = offset + size == other
        if fits or len(data) - other <= _SEARCHED:
            message = "holds the mark of an archive's end (the bytes PK 05 06) in a file or between files"
            raise _whole("second-end", message, "leave out the file with these bytes, such as an archive")
        other = data.find(_END_MARK, other + 1)


def _entries(data: bytes, directory: _Directory) -> Iterator[Entry]:
    headers = list(_headers(data, directory))
    problems = [problem for header in headers for problem in _header_problems(header)]
    problems += clashes([header.name for header in headers])
    problems += _size_problems(data, headers)
    if not problems:
        problems += _layout_problems(data, headers, directory)
    if problems:
        raise PackageError(problems)
    for header in headers:
        _, _, method, _, _, crc, packed, size, name_length, _ = header.shared
        start = header.offset + _LOCAL.size + name_length
        yield Entry(header.name, size, packed, crc, method, start)


def _headers(data: bytes, directory: _Directory) -> Iterator[_Header]:
    place = directory.offset
    for _ in range(directory.count):
        if place + _CENTRAL.size > directory.end or data[place : place + 4] != _CENTRAL_MARK:
            raise _whole("directory", "the central directory is damaged or shorter than it says")
        (_, made_by, *shared, name, extra, comment, disk, _, attributes, offset) = _CENTRAL.unpack_from(
            data, place
        )
        raw_name = data[place + _CENTRAL.size : place + _CENTRAL.size + name]
        place += _CENTRAL.size + name + extra + comment
        if place > directory.end:
            raise _whole("directory", "an entry of the central directory reaches beyond its end")
        # A local header without extra fields repeats these, and nothing else is in it.
        yield _Header(raw_name, made_by, (*shared, name, 0), extra, comment, disk, attributes, offset)
    if place != directory.end:
        raise _whole("directory", f"{directory.end - place} bytes too many in the central directory")


def _header_problems(header: _Header) -> Iterator[PackageProblem]:
    name = header.name
    if problem := name_problem(name):
        yield problem
    version, flags, method, _, _, _, packed, size, _, _ = header.shared
    if flags & (_ENCRYPTED | _STRONG | _MASKED):
        yield _problem("encrypted", "is encrypted", name)
    elif flags & _DESCRIPTOR:
        yield _problem("data-descriptor", "says its size behind its data", name)
    elif flags & ~_HARMLESS:
        yield _problem("flags", f"has unknown flags ({flags:#06x})", name)
    if method not in (_STORED, _DEFLATED):
        yield _problem("compression", f"uses compression method {method}, not stored or deflated", name)
    elif method == _STORED and packed != size:
        yield _problem("stored-size", "is stored, but with two sizes", name)
    if version > 20 and not flags & (_ENCRYPTED | _STRONG):
        code = "zip64" if version >= 45 else "zip-version"
        yield _problem(code, f"needs version {version / 10:.1f} of ZIP, not 2.0", name)
    if header.extra:
        yield _problem("extra-field", "carries extra fields, which some readers obey and others skip", name)
    if header.comment:
        yield _problem("comment", "carries a comment", name)
    if header.disk:
        yield _problem("several-disks", "lies on another disk", name)
    yield from _mode_problems(header)


def _mode_problems(header: _Header) -> Iterator[PackageProblem]:
    mode, kind = header.attributes >> 16, stat.S_IFMT(header.attributes >> 16)
    if header.made_by >> 8 not in (0, 3):
        yield _problem("system", f"was made for system {header.made_by >> 8}, not Unix or FAT", header.name)
    if kind == stat.S_IFLNK:
        yield _problem("symlink", "is a symbolic link", header.name)
    elif kind not in (0, stat.S_IFREG) or header.attributes & 0x18:  # MS-DOS: folder, volume
        yield _problem("special-file", f"is no plain file (mode {mode:o})", header.name)
    if mode & 0o7000:
        yield _problem(
            "special-mode", f"has a set-user, set-group or sticky bit (mode {mode:o})", header.name
        )


def _size_problems(data: bytes, headers: list[_Header]) -> Iterator[PackageProblem]:
    sizes = [(header.name, header.shared[6], header.shared[7]) for header in headers]
    if (total := sum(size for *_, size in sizes)) > MAX_UNPACKED_BYTES:
        message = f"would be {total:,} bytes unpacked, more than {MAX_UNPACKED_BYTES:,}"
        yield PackageProblem("too-large-unpacked", message, "leave out what is not needed")
    if total > MAX_RATIO * len(data):
        message = f"unpacks to {total / len(data):.0f} times its size, more than {MAX_RATIO}"
        yield PackageProblem("ratio", message, "leave out what is not needed")
    for name, packed, size in sizes:
        if size > RATIO_MATTERS_BYTES and size > MAX_RATIO * packed:
            yield _problem("ratio", f"unpacks to more than {MAX_RATIO} times its size", name)


def _layout_problems(data: bytes, headers: list[_Header], directory: _Directory) -> Iterator[PackageProblem]:
    """Check that the files lie one after the other from the first byte to the central directory."""
    expected = 0
    for header in sorted(headers, key=lambda each: each.offset):
        if header.offset != expected:
            yield _misplaced(header, expected)
            return
        if problem := _local_problem(data, header, directory):
            yield problem
            return
        expected += _LOCAL.size + len(header.raw_name) + header.shared[6]
    if expected != directory.offset:
        code = "overlap" if expected > directory.offset else "data-between"
        yield PackageProblem(code, "the files do not end where the central directory begins", _REBUILD)


def _misplaced(header: _Header, expected: int) -> PackageProblem:
    if header.offset < expected:
        return _problem("overlap", "shares bytes with another entry", header.name)
    code = "data-between" if expected else "data-before"
    return _problem(code, f"{header.offset - expected} bytes before it belong to no entry", header.name)


def _local_problem(data: bytes, header: _Header, directory: _Directory) -> PackageProblem | None:
    start = header.offset
    if start + _LOCAL.size > directory.offset or data[start : start + 4] != _LOCAL_MARK:
        return _problem("local-header", "has no local header where the central directory says", header.name)
    _, *local = _LOCAL.unpack_from(data, start)
    name = data[start + _LOCAL.size : start + _LOCAL.size + local[8]]
    if name != header.raw_name:
        other = shown(name.decode("utf-8", "surrogateescape"))
        return _problem("local-name", f"is called '{other}' in its local header", header.name)
    if local[9]:
        return _problem("extra-field", "carries extra fields in its local header", header.name)
    if tuple(local) != header.shared:
        return _problem(
            "local-header", "the local header says other things than the central directory", header.name
        )
    return None


def _inflate(packed: bytes, entry: Entry) -> bytes:
    """Unpack DEFLATE, never making more than one byte beyond the size that was stated."""
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = unpacker.decompress(packed, entry.size + 1)
    except zlib.error:
        raise PackageError([_problem("content", "the compressed data is damaged", entry.name)]) from None
    if not unpacker.eof or unpacker.unused_data or unpacker.unconsumed_tail:
        message = "the compressed data does not end where its size says"
        raise PackageError([_problem("content", message, entry.name)])
    return content
