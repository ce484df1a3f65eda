"""Bad packages, each with the code it must be refused with; made of a good wheel by one change.

The corpus is made, not stored: a case says what is wrong with it, and a good wheel of today is what it starts from.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Any

from dteg.packages import metadata
from tests.unit.packages.archives import FILE_MODE, Item, Zip, items_of, with_record

PACKAGE = "dteg_components/streaming/numbers_extractor"
INFO = "dteg_streaming_numbers_extractor-1.0.0.dist-info"
README, MANIFEST, SCHEMA = f"{PACKAGE}/README.md", f"{PACKAGE}/dteg.yaml", f"{PACKAGE}/dteg.schema.json"
CODE, INIT = f"{PACKAGE}/numbers.py", f"{PACKAGE}/__init__.py"

Files = dict[str, bytes]
Case = tuple[str, str, Callable[[Files], bytes]]
"""What it is, the expected code, and the function that makes it of the files of a good wheel."""


def cases() -> list[Case]:
    """Return all of them."""
    return [
        *_names(),
        *_headers(),
        *_layout(),
        *_sizes(),
        *_cut(),
        *_wheels(),
        *_manifests(),
        *_metadata(),
        *_records(),
    ]


def _zip(change: Callable[[list[Item]], Any], **whole: Any) -> Callable[[Files], bytes]:
    """Make an archive whose entries were changed in place."""

    def make(files: Files) -> bytes:
        items = items_of(files)
        change(items)
        return Zip(items, **whole).build()

    return make


def _wheel(change: Callable[[Files], Any]) -> Callable[[Files], bytes]:
    """Make a wheel whose files were changed in place, with a RECORD that fits: only the change is wrong."""

    def make(files: Files) -> bytes:
        files = dict(files)
        change(files)
        return Zip(items_of(with_record(files))).build()

    return make


def _first(**values: Any) -> Callable[[list[Item]], None]:
    def change(items: list[Item]) -> None:
        for key, value in values.items():
            setattr(items[0], key, value)

    return change


BAD_NAMES = {
    "absolute-path": ["/etc/passwd", "//host/share/x.py", "/", "\\windows\\x.py", "\\\\host\\share\\x.py"],
    "drive-path": ["C:/x.py", "c:\\x.py", "C:x.py", "z:/../x.py"],
    "backslash": [f"{PACKAGE}\\x.py", "..\\..\\x.py", f"{PACKAGE}/..\\x.py"],
    "parent-path": ["../x.py", f"{PACKAGE}/../../../x.py", f"{PACKAGE}/..", "..", "a/../../x.py", f"{PACKAGE}/../x.py"],
    "unclean-path": ["./x.py", f"{PACKAGE}//x.py", f"{PACKAGE}/./x.py", "."],
    "directory-entry": [f"{PACKAGE}/", "x/", f"{PACKAGE}/sub/"],
    "empty-name": [""],
    "nul-in-name": [f"{PACKAGE}/x.py\x00.txt", "\x00", f"{PACKAGE}/x\x00y.py"],
    "name-characters": [
        f"{PACKAGE}/a b.py", f"{PACKAGE}/ä.py", f"{PACKAGE}/x\n.py", f"{PACKAGE}/x\x1b[31m.py", f"{PACKAGE}/~x.py",
        f"{PACKAGE}/x:y.py", f"{PACKAGE}/x*.py", f"{PACKAGE}/x?.py", f"{PACKAGE}/a|b.py", f"{PACKAGE}/$HOME.py",
        f"{PACKAGE}/\u202ecod.py", f"{PACKAGE}/x\u200b.py", f"{PACKAGE}/\uff0e\uff0e.py", f"{PACKAGE}/x\x7f.py",
        f"{PACKAGE}/\u2024\u2024/x.py", f"{PACKAGE}/x;rm.py", f"{PACKAGE}/<x>.py", f"{PACKAGE}/'x'.py",
    ],
    "dotted-name": [f"{PACKAGE}/.hidden.py", f"{PACKAGE}/.git/config", f"{PACKAGE}/x.", f"{PACKAGE}/.../x.py", ".x"],
    "device-name": [
        f"{PACKAGE}/con.py", f"{PACKAGE}/NUL", f"{PACKAGE}/aux/x.py", f"{PACKAGE}/com1.txt", f"{PACKAGE}/LPT9.md",
        f"{PACKAGE}/prn.tar.txt",
    ],
    "long-name": [f"{PACKAGE}/{'x' * 200}.py", "/".join(["a"] * 13) + "/x.py", f"{PACKAGE}/{'y/' * 90}x.py"],
}  # fmt: skip


def _names() -> Iterator[Case]:
    for code, names in BAD_NAMES.items():
        for name in names:
            yield f"name {name[:60]!r}", code, _zip(lambda items, name=name: items.append(Item(name, b"x")))
    raw = f"{PACKAGE}/x".encode() + b"\xff.py"
    yield "name that is not UTF-8", "name-characters", _zip(lambda items: items.append(Item(raw, b"x")))
    for name in (CODE, README, f"{INFO}/METADATA", f"{INFO}/RECORD"):
        yield f"{name} twice", "duplicate-name", _zip(lambda items, name=name: items.append(Item(name, b"x")))
    yield "a name three times", "duplicate-name", _zip(lambda items: items.extend([Item(CODE), Item(CODE)]))
    clashing = [CODE.upper(), f"{PACKAGE}/Numbers.py", f"{PACKAGE}/readme.MD", f"{INFO}/record", f"{PACKAGE}/\uff4eumbers.py",
                f"{PACKAGE}/number\u017f.py", PACKAGE.replace("s", "\u017f") + "/numbers.py"]  # fmt: skip
    for name in clashing:
        yield (
            f"{name} beside its twin",
            "clashing-name",
            _zip(lambda items, name=name: items.append(Item(name, b"x"))),
        )
    for one, two in (
        ("ﬁle.py", "file.py"),
        ("straße.py", "strasse.py"),
        ("\u00e9.py", "e\u0301.py"),
        ("\u00c5.py", "\u212b.py"),
    ):
        pair = [Item(f"{PACKAGE}/{one}", b"1"), Item(f"{PACKAGE}/{two}", b"2")]
        yield f"{one!a} and {two!a}", "clashing-name", _zip(lambda items, pair=pair: items.extend(pair))
    for name in (PACKAGE, "dteg_components", f"{CODE}/inside.py", f"{README}/x/y.md", PACKAGE.upper()):
        yield (
            f"{name} is file and folder",
            "file-is-folder",
            _zip(lambda items, name=name: items.append(Item(name))),
        )


def _extra(kind: int, content: bytes) -> bytes:
    return struct.pack("<HH", kind, len(content)) + content


EXTRAS = {
    "ZIP64": _extra(0x0001, b"\0" * 16),
    "Unicode path": _extra(0x7075, b"\x01\0\0\0\0../x.py"),
    "Unicode comment": _extra(0x6375, b"\x01\0\0\0\0x"),
    "AES": _extra(0x9901, b"\x02\0AE\x03\x08\0"),
    "times": _extra(0x5455, b"\x03\0\0\0\0\0\0\0\0"),
    "Unix owner": _extra(0x7875, b"\x01\x04\0\0\0\0\x04\0\0\0\0"),
    "NTFS": _extra(0x000A, b"\0" * 32),
    "ASi Unix link": _extra(0x756E, b"\0" * 14),
    "unknown": _extra(0xBEEF, b"x"),
    "cut off": b"\x01",
    "length beyond the end": struct.pack("<HH", 1, 60_000),
}


def _headers() -> Iterator[Case]:
    for mode, code in {
        0o120777: "symlink", 0o120000: "symlink", 0o040755: "special-file", 0o020644: "special-file",
        0o060644: "special-file", 0o010644: "special-file", 0o140644: "special-file", 0o104755: "special-mode",
        0o102755: "special-mode", 0o101755: "special-mode", 0o107777: "special-mode", 0o004755: "special-mode",
        0o170000: "special-file",
    }.items():  # fmt: skip
        yield f"mode {mode:o}", code, _zip(_first(attributes=mode << 16))
    yield "a link with a target", "symlink", _zip(_first(attributes=0o120777 << 16, content=b"/etc/passwd"))
    yield "MS-DOS folder", "special-file", _zip(_first(attributes=FILE_MODE | 0x10))
    yield "MS-DOS volume", "special-file", _zip(_first(attributes=0x08))
    for system in (1, 2, 6, 7, 10, 11, 14, 19, 255):
        yield f"made on system {system}", "system", _zip(_first(made_by=system << 8 | 20))
    for flags in (0x0001, 0x0041, 0x0040, 0x2000, 0x2009, 0x0801):
        yield f"flags {flags:#x}", "encrypted", _zip(_first(flags=flags))
    for flags in (0x0008, 0x0808):
        yield f"flags {flags:#x}", "data-descriptor", _zip(_first(flags=flags))
    for flags in (0x0010, 0x0020, 0x0080, 0x0100, 0x1000, 0x4000, 0x8000):
        yield f"flags {flags:#x}", "flags", _zip(_first(flags=flags))
    for method in (1, 2, 5, 6, 7, 9, 10, 12, 14, 18, 19, 93, 94, 95, 96, 97, 98, 99, 65_535):
        yield f"method {method}", "compression", _zip(_first(method=method))
    for version, code in {
        45: "zip64",
        46: "zip64",
        51: "zip64",
        62: "zip64",
        21: "zip-version",
        25: "zip-version",
    }.items():
        yield f"version {version}", code, _zip(_first(version=version))
    for kind, extra in EXTRAS.items():
        yield (
            f"extra field in both places: {kind}",
            "extra-field",
            _zip(_first(local_extra=extra, central_extra=extra)),
        )
        yield f"extra field in the directory: {kind}", "extra-field", _zip(_first(central_extra=extra))
        yield f"extra field in the local header: {kind}", "extra-field", _zip(_first(local_extra=extra))
    yield "comment of an entry", "comment", _zip(_first(comment=b"hello"))
    yield "entry on another disk", "several-disks", _zip(_first(central={"disk": 1}))
    yield "entry on disk 65535", "several-disks", _zip(_first(central={"disk": 0xFFFF}))


def _layout() -> Iterator[Case]:
    def nothing(_: list[Item]) -> None:
        pass

    yield "a program before it", "data-before", _zip(_first(before=b"#!/bin/sh\n"))
    yield (
        "a program before it, offsets as without",
        "directory-place",
        _zip(nothing, before=b"#!x\n", end={5: 1}),
    )
    yield "bytes before an entry", "data-between", _zip(lambda items: setattr(items[3], "before", b"x"))
    yield "an entry of no directory", "data-between", _zip(nothing, order=[0, 1, 2, *range(4, 12)])
    yield "bytes before the directory", "data-between", _zip(nothing, between=b"hidden")
    yield "bytes after the directory", "directory-place", _zip(nothing, before_end=b"hidden")
    for after in (b"\0", b"x" * 100, b"\n", b"PK", b"\0" * 70_000):
        yield f"{len(after)} bytes after it, {after[:1]!r}", "data-after", _zip(nothing, after=after)
    yield "a comment", "comment", _zip(nothing, comment=b"hello")
    yield "a long comment", "comment", _zip(nothing, comment=b"x" * 65_535)
    yield "a comment that is shorter than it says", "data-after", _zip(nothing, end={6: 5})
    yield "a comment that is longer than it says", "data-after", _zip(nothing, comment=b"hello", end={6: 2})
    for place, field in enumerate(("this disk", "first disk", "entries here", "entries", "size", "offset")):
        code = {0: "several-disks", 1: "several-disks", 2: "several-disks", 3: "several-disks"}.get(
            place, "directory-place"
        )
        yield f"end record: {field} is 7", code, _zip(nothing, end={place: 7})
    for place in (2, 3):
        yield f"end record: 65535 in place {place}", "zip64", _zip(nothing, end={place: 0xFFFF})
    for place in (4, 5):
        yield f"end record: 4294967295 in place {place}", "zip64", _zip(nothing, end={place: 0xFFFFFFFF})
    yield "no entries", "no-entries", lambda _: Zip([]).build()
    yield "says no entries", "no-entries", _zip(nothing, end={2: 0, 3: 0})
    yield "says fewer entries", "directory", _zip(nothing, end={2: 3, 3: 3})
    yield "says more entries", "directory", _zip(nothing, end={2: 40, 3: 40})
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    yield "ZIP64 locator", "zip64", _zip(nothing, before_end=locator)
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, 46, 0)
    yield "ZIP64 end record and locator", "zip64", _zip(nothing, before_end=record + locator)
    yield from _second_ends()
    yield from _disagreements()


def _second_ends() -> Iterator[Case]:
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0, 0, 0, 0, 0)
    yield (
        "a second end record in a file",
        "second-end",
        _zip(lambda items: items.append(Item(f"{PACKAGE}/x.txt", end))),
    )
    yield (
        "the mark of one in a file",
        "second-end",
        _zip(lambda items: items.append(Item(f"{PACKAGE}/x.txt", end[:4]))),
    )
    yield (
        "an archive in a file",
        "second-end",
        _zip(lambda items: items.append(Item(f"{PACKAGE}/x.txt", Zip([Item("a", b"b")]).build()))),
    )

    def far_away(items: list[Item]) -> None:
        at = 30 + len(items[0].name)
        fits = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, at, 0, 0)
        items[0].content = fits
        items.append(Item(f"{PACKAGE}/long.txt", b"x" * 200_000))

    yield "one far from the end that fits its place", "second-end", _zip(far_away)
    yield "two archives one after the other", "data-before", _twice


def _twice(files: Files) -> bytes:
    first = Zip(items_of(files)).build()
    # The second half alone is sound for a reader that believes its own offsets; the first half is another wheel.
    padded = first.replace(b"PK\x05\x06", b"PK\x05\x07")
    items = items_of(files)
    items[0].before = padded
    return Zip(items).build()


def _disagreements() -> Iterator[Case]:
    """The local header and the central directory say different things."""
    yield "local name differs", "local-name", _zip(_first(local={"name": f"{PACKAGE}/evil.py".encode()}))
    yield "local name leads out", "local-name", _zip(_first(local={"name": b"../../../x.py"}))
    yield "local name is empty", "local-name", _zip(_first(local={"name": b""}))
    yield "local name ends in NUL", "local-name", _zip(_first(local={"name": INIT.encode() + b"\0"}))
    for key, value in {
        "version": 10, "flags": 0x0800, "method": 8, "time": 1, "date": 1, "crc": 1, "packed": 1, "size": 1,
    }.items():  # fmt: skip
        yield f"local {key} differs", "local-header", _zip(_first(local={key: value}))
    for key in ("packed", "size", "crc"):
        code = "local-header" if key == "crc" else "stored-size"
        yield f"central {key} differs", code, _zip(_first(central={key: 1}))
    yield "local flags say encrypted", "local-header", _zip(_first(local={"flags": 1}))
    yield (
        "local sizes are ZIP64",
        "local-header",
        _zip(_first(local={"packed": 0xFFFFFFFF, "size": 0xFFFFFFFF})),
    )
    yield "no local mark", "local-header", _zip(_first(local={"mark": b"PK\x03\x05"}))
    yield "no central mark", "directory", _zip(_first(central={"mark": b"PK\x01\x03"}))
    yield (
        "central name beyond the directory",
        "directory",
        _zip(lambda items: items[-1].central.update(name_length=9_000)),
    )
    yield "two entries share their data", "overlap", _zip(lambda items: items[1].central.update(offset=0))
    yield "an entry inside another", "overlap", _zip(lambda items: items[1].central.update(offset=40))
    yield (
        "an offset beyond the file",
        "data-between",
        _zip(lambda items: items[-1].central.update(offset=9_999_999)),
    )
    yield "an entry that lies in the directory", "overlap", _zip(_last_reaches_into_the_directory)
    yield (
        "both sizes reach too far",
        "overlap",
        _zip(
            lambda items: [
                place.update(packed=90_000, size=90_000) for place in (items[0].local, items[0].central)
            ]
        ),
    )


def _last_reaches_into_the_directory(items: list[Item]) -> None:
    size = len(items[-1].content) + 50
    items[-1].local = items[-1].central = {"packed": size, "size": size}


def _sizes() -> Iterator[Case]:
    def many(items: list[Item]) -> None:
        items.extend(Item(f"{PACKAGE}/data/n{number}.txt") for number in range(2_000))

    def packed(content: bytes, **values: Any) -> Callable[[list[Item]], None]:
        return lambda items: items.append(Item(f"{PACKAGE}/big.txt", content, method=8, **values))

    yield "2012 entries", "too-many-entries", _zip(many)
    yield (
        "packed more than 10 MB",
        "too-large",
        _zip(lambda items: items.append(Item(f"{PACKAGE}/b.txt", b"x" * 10_000_001))),
    )
    yield "a bomb of 49 MB", "ratio", _zip(packed(b"\0" * 49_000_000))
    yield "a bomb of 51 MB", "too-large-unpacked", _zip(packed(b"\0" * 51_000_000))
    lie = {"size": 1_000}
    yield "a bomb that says 1000 bytes", "content", _zip(packed(b"\0" * 49_000_000, local=lie, central=lie))
    lie_large = {"size": 60_000_000}
    yield (
        "says 60 MB, holds little",
        "too-large-unpacked",
        _zip(packed(b"x", local=lie_large, central=lie_large)),
    )
    parts = [Item(f"{PACKAGE}/b{n}.txt", b"\0" * 900_000, method=8) for n in range(20)]
    yield "a bomb in 20 small parts", "ratio", _zip(lambda items: items.extend(parts))
    huge = {"packed": 0xFFFFFFFF, "size": 0xFFFFFFFF}
    yield "ZIP64 sizes", "too-large-unpacked", _zip(_first(local=huge, central=huge))


def _cut() -> Iterator[Case]:
    yield "empty file", "not-a-zip", lambda _: b""
    yield "one byte", "not-a-zip", lambda _: b"P"
    yield "text", "not-a-zip", lambda _: b"this is no archive, but long enough to be one"
    yield "a tar archive", "not-a-zip", lambda _: b"numbers.py" + b"\0" * 1_000
    yield "a gzip file", "not-a-zip", lambda _: b"\x1f\x8b\x08" + b"\0" * 60
    yield "end mark only", "not-a-zip", lambda _: b"PK\x05\x06"
    for part in (0.1, 0.5, 0.9, 0.999):
        yield (
            f"cut at {part:.1%}",
            "not-a-zip",
            lambda files, part=part: _share(Zip(items_of(files)).build(), part),
        )
    yield "without its first byte", "directory-place", lambda files: Zip(items_of(files)).build()[1:]
    damaged = {
        "no DEFLATE": b"\xff\xff\xff\xff", "empty": b"", "cut": b"x\x9c", "a block too many": b"\x03\x00\x03\x00",
        "more than it says": b"\x01\x05\x00\xfa\xffhello",
    }  # fmt: skip
    for what, data in damaged.items():
        item = Item(f"{PACKAGE}/x.txt", b"hell", method=8, data=data)
        yield f"compressed data: {what}", "content", _zip(lambda items, item=item: items.append(item))
    yield "another CRC", "content", _zip(_first(local={"crc": 1}, central={"crc": 1}))
    yield (
        "another content than the CRC",
        "content",
        _zip(lambda items: setattr(items[4], "data", b"x" * len(items[4].content))),
    )


def _share(data: bytes, part: float) -> bytes:
    return data[: int(len(data) * part)]


def _add(name: str, content: bytes = b"x\n") -> Callable[[Files], bytes]:
    return _wheel(lambda files: files.update({name: content}))


def _wheels() -> Iterator[Case]:
    outside = [
        "x.py", "sitecustomize.py", "usercustomize.py", "dteg/__init__.py", "dteg_components/__init__.py",
        "dteg_components/streaming/__init__.py", "dteg_components/streaming/numbers_extractor.py",
        "dteg_components/streaming/other_extractor/x.py", "dteg_components/dteg/files_extractor/files.py",
        "dteg_components/streaming/numbers_extractor_x/x.py", "components/x.py", "pip/__init__.py",
        "registry/x.py", "numbers.egg-info/PKG-INFO", "__pycache__/x.txt",
    ]  # fmt: skip
    for name in outside:
        yield f"file at {name}", "outside-package", _add(name)
    for name in ("x.pth", f"{PACKAGE}/x.pth", "distutils-precedence.pth", f"{INFO}/x.pth"):
        yield f"path file {name}", "pth-file", _add(name, b"import os\n")
    for name in ("scripts/run", "purelib/x.py", "platlib/x.py", "data/etc/x.cfg", "headers/x.txt"):
        yield f".data/{name}", "data-folder", _add(f"dteg_streaming_numbers_extractor-1.0.0.data/{name}")
    for name in ("entry_points.json", "direct_url.json", "INSTALLER", "REQUESTED", "RECORD.jws", "RECORD.p7s", "sboms/x.json",
                 "top_level.txt", "licenses/LICENSE"):  # fmt: skip
        yield f"dist-info/{name}", "info-file", _add(f"{INFO}/{name}")
    for name in (
        "fast.so",
        "fast.pyd",
        "fast.dylib",
        "fast.dll",
        "libx.so.1",
        "fast.cpython-311-x86_64-linux-gnu.so",
    ):
        yield f"compiled {name}", "native", _add(f"{PACKAGE}/{name}", b"\x7fELF")
    for name in ("x.pyc", "x.pyo", "x.exe", "x.sh", "x.bat", "x.ps1", "x.js", "x.jar", "x.zip", "x.whl", "x.tar.gz", "x.pkl",
                 "x.pickle", "x.db", "x.bin", "x.ipynb", "x.c", "x.pyx", "Makefile", "run", "x.PY", "x.h5"):  # fmt: skip
        yield f"file kind {name}", "file-kind", _add(f"{PACKAGE}/{name}")
    for name in (
        README,
        MANIFEST,
        SCHEMA,
        INIT,
        CODE,
        f"{INFO}/METADATA",
        f"{INFO}/WHEEL",
        f"{INFO}/entry_points.txt",
    ):
        yield f"without {name}", "missing-file", _wheel(lambda files, name=name: files.pop(name))
    yield "without RECORD", "missing-file", _zip(lambda items: items.pop())
    yield (
        "without the manifest in dist-info",
        "dist-info",
        _wheel(lambda files: files.pop(f"{INFO}/dteg.yaml")),
    )
    yield "without dist-info", "dist-info", _zip(_only_package)
    second = "other-1.0.0.dist-info/METADATA"
    yield "two dist-info folders", "dist-info", _add(second)
    for name in ("dteg_streaming_numbers_extractor-1.0.1.dist-info", "Dteg_streaming_numbers_extractor-1.0.0.dist-info",
                 "numbers-1.0.0.dist-info", "dteg-streaming-numbers-extractor-1.0.0.dist-info"):  # fmt: skip
        yield (
            f"dist-info called {name}",
            "dist-info",
            _wheel(lambda files, name=name: _rename_info(files, name)),
        )
    for content in (
        b"",
        b"[]",
        b"{",
        b"null",
        b'{"type": "array"}',
        b"[" * 100_000,
        b'{"a": 1}',
        b'"x"',
        b"\xff",
    ):
        yield f"schema {content[:20]!r}", "config-schema", _add(SCHEMA, content)
    yield (
        "schema of 600 KB",
        "config-schema",
        _add(SCHEMA, b'{"type": "object", "x": "' + b"x" * 600_000 + b'"}'),
    )
    yield "README that is not UTF-8", "encoding", _add(README, b"\xff")


def _only_package(items: list[Item]) -> None:
    items[:] = [item for item in items if str(item.name).startswith(PACKAGE)]


def _rename_info(files: Files, name: str) -> None:
    for old in [each for each in files if each.startswith(INFO)]:
        files[old.replace(INFO, name)] = files.pop(old)


def _with_manifest(text: bytes) -> Callable[[Files], bytes]:
    return _wheel(lambda files: files.update({MANIFEST: text, f"{INFO}/dteg.yaml": text}))


def _edited(old: bytes, new: bytes) -> Callable[[Files], bytes]:
    def make(files: Files) -> bytes:
        assert old in files[MANIFEST], (old, files[MANIFEST])
        return _with_manifest(files[MANIFEST].replace(old, new))(files)

    return make


# Each is in a manifest that is good otherwise, so that only the trick can be the reason.
YAML_TRICKS: dict[str, tuple[bytes, bytes]] = {
    "an anchor": (b"author: dteg tests", b"author: &x dteg tests"),
    "an alias": (b"author: dteg tests", b"homepage: &x ''\nauthor: *x"),
    "an anchor at a key": (b"author: dteg tests", b"&x author: dteg tests"),
    "an alias as a key": (b"author: dteg tests", b"*x : dteg tests\nauthor: me"),
    "a merge key": (b"author: dteg tests", b"<<: {author: me}"),
    "a tag": (b"author: dteg tests", b"author: !!python/object/apply:os.system [id]"),
    "a tag of its own": (b"author: dteg tests", b"author: !env HOME"),
    "a tag at a key": (b"author: dteg tests", b"!!python/name:os.system author: me"),
    "a binary value": (b"author: dteg tests", b"author: !!binary bWU="),
    "a mapping as a key": (b"author: dteg tests", b"author: me\n? {a: b}\n: c"),
    "a second document": (b"author: dteg tests", b"author: dteg tests\n---\nauthor: me"),
    "a key twice": (b"author: dteg tests", b"author: dteg tests\nauthor: me"),
    "1 MB of comment": (b"author: dteg tests", b"author: dteg tests\n# " + b"x" * 1_000_000),
    "a NUL": (b"author: dteg tests", b"author: dteg\x00tests"),
    "40 levels": (b"tags: []", b"tags: " + b"[" * 40 + b"]" * 40),
    "20000 levels": (b"tags: []", b"tags: " + b"[" * 20_000 + b"]" * 20_000),
    "a number of 41 digits": (
        b"author: dteg tests",
        b"author: dteg tests\nresources: {memory_mb: " + b"1" * 41 + b"}",
    ),
}


def _manifests() -> Iterator[Case]:
    for what, text in {"empty": b"", "a list": b"- a\n", "not YAML": b"a: [", "a text": b"text"}.items():
        yield f"manifest is {what}", "manifest", _with_manifest(text)
    for what, (old, new) in YAML_TRICKS.items():
        yield f"manifest with {what}", "manifest", _edited(old, new)
    yield "manifest is not UTF-8", "encoding", _with_manifest(b"name: \xff\n")
    edits: dict[str, tuple[bytes, bytes]] = {
        "unknown key": (b"kind: extractor", b"kind: extractor\nsetup: x"),
        "no name": (b"name: numbers", b""),
        "name with a slash": (b"name: numbers", b"name: ../numbers"),
        "version with four numbers": (b"version: 1.0.0", b"version: 1.0.0.0"),
        "version of semver only": (b"version: 1.0.0", b"version: 1.0.0-rc.1"),
        "version of PEP 440 only": (b"version: 1.0.0", b"version: 1.0.0.post1"),
        "version with an epoch": (b"version: 1.0.0", b"version: 1!1.0.0"),
        "version with a local part": (b"version: 1.0.0", b"version: 1.0.0+x"),
        "other kind": (b"kind: extractor", b"kind: virus"),
        "future format": (b"kind: extractor", b"kind: extractor\nmanifest_version: 2"),
        "entry point with dots": (b"entry_point: numbers:", b"entry_point: os.path:"),
        "requirement with an address": (
            b"dependencies: []",
            b'dependencies: ["x @ https://x.invalid/x.whl"]',
        ),
        "no namespace": (b"namespace: streaming", b"namespace: ''"),
        "namespace with a hyphen": (b"namespace: streaming", b"namespace: stream-ing"),
    }
    for what, (old, new) in edits.items():
        code = "manifest" if what != "no namespace" else "dist-info"
        yield f"manifest: {what}", code, _edited(old, new)
    yield "manifest: another version", "dist-info", _edited(b"version: 1.0.0", b"version: 1.0.1")
    yield "manifest: another namespace", "dist-info", _edited(b"namespace: streaming", b"namespace: dteg")
    yield "manifest: no entry point", "manifest", _edited(b"entry_point: numbers:NumbersExtractor", b"")
    yield (
        "manifest: module that is not there",
        "missing-file",
        _edited(b"entry_point: numbers:", b"entry_point: other:"),
    )
    yield "manifest: licence", "licence", _edited(b"licence: Apache-2.0", b"licence: do what you want")
    for bad in (b"x>=1.*", b"x~=1", b'x; python == "3"', b'x; nonsense == "3"'):
        yield (
            f"manifest: requirement {bad!r}",
            "requirement",
            _edited(b"dependencies: []", b"dependencies: ['" + bad + b"']"),
        )
    yield (
        "manifest: framework_versions",
        "requirement",
        _edited(b"framework_versions: '>=0.1,<1'", b"framework_versions: '~=1'"),
    )
    yield (
        "manifest: data only, with code",
        "code-in-data",
        _edited(b"kind: extractor", b"kind: extractor\nform: declarative"),
    )
    yield (
        "manifest: template, with code",
        "code-in-data",
        _edited(b"kind: extractor", b"kind: extractor\nform: template"),
    )
    yield (
        "manifest: the copies differ",
        "manifest-copy",
        _wheel(lambda files: files.update({MANIFEST: files[MANIFEST] + b"# more\n"})),
    )


def _replaced(name: str, old: bytes, new: bytes) -> Callable[[Files], bytes]:
    def make(files: Files) -> bytes:
        assert old in files[name], (old, files[name])
        return _wheel(lambda copy: copy.update({name: files[name].replace(old, new, 1)}))(files)

    return make


def _metadata() -> Iterator[Case]:
    meta, wheel, entry = f"{INFO}/METADATA", f"{INFO}/WHEEL", f"{INFO}/entry_points.txt"
    first = b"Metadata-Version: 2.4\n"
    for what, code, old, new in [
        ("another name", "metadata-name", b"numbers-extractor", b"other-extractor"),
        ("a name that pip would fold", "metadata-name", b"dteg-streaming-numbers", b"Dteg_streaming_numbers"),
        ("no name", "metadata-name", b"Name: dteg-streaming-numbers-extractor\n", b""),
        ("another version", "metadata-version", b"Version: 1.0.0", b"Version: 1.0.1"),
        ("a version pip takes for the same", "metadata-version", b"Version: 1.0.0", b"Version: 1.0"),
        ("another Python", "metadata-requires-python", b"Requires-Python: >=3.11", b"Requires-Python: >=3.8"),
        ("no Python", "metadata-requires-python", b"Requires-Python: >=3.11\n", b""),
        ("a hidden requirement", "metadata-requires-dist", first, first + b"Requires-Dist: evil\n"),
        (
            "a requirement from an address",
            "metadata-requires-dist",
            first,
            first + b"Requires-Dist: x @ https://x.invalid\n",
        ),
        (
            "a requirement for some",
            "metadata-requires-dist",
            first,
            first + b"Requires-Dist: evil; extra == 'x'\n",
        ),
        ("any dteg", "metadata-requires-dist", b"Requires-Dist: dteg>=0.1,<1", b"Requires-Dist: dteg"),
        ("no dteg", "metadata-requires-dist", b"Requires-Dist: dteg>=0.1,<1\n", b""),
        ("extras", "metadata-field", first, first + b"Provides-Extra: x\n"),
        ("another project's name", "metadata-field", first, first + b"Provides-Dist: dteg\n"),
        ("takes the place of another", "metadata-field", first, first + b"Obsoletes-Dist: dteg\n"),
        ("an unknown field", "metadata-field", first, first + b"X-Run: rm\n"),
        ("dynamic fields", "metadata-field", first, first + b"Dynamic: Requires-Dist\n"),
        ("two names", "metadata-field", first, first + b"Name: other\n"),
        ("another description", "metadata-description", b"## Overview", b"## Look at that"),
    ]:
        yield f"METADATA: {what}", code, _replaced(meta, old, new)
    for what, code, old, new in [
        ("version 2", "wheel-version", b"Wheel-Version: 1.0", b"Wheel-Version: 2.0"),
        ("no version", "wheel-version", b"Wheel-Version: 1.0\n", b""),
        ("not pure", "wheel-purelib", b"Root-Is-Purelib: true", b"Root-Is-Purelib: false"),
        ("another tag", "wheel-tag", b"py3-none-any", b"cp311-cp311-linux_x86_64"),
        ("no tag", "wheel-tag", b"Tag: py3-none-any\n", b""),
        ("two tags", "wheel-tag", b"Tag: py3-none-any\n", b"Tag: py3-none-any\nTag: py2-none-any\n"),
        ("a tag that leads out", "wheel-tag", b"py3-none-any", b"../../x"),
    ]:
        yield f"WHEEL: {what}", code, _replaced(wheel, old, new)
    console = b"\n[console_scripts]\npip = dteg_components.streaming.numbers_extractor:x\n"
    gui = console.replace(b"console", b"gui")
    for what, code, content in [
        ("a program", "scripts", b"%b" + console), ("a program with a window", "scripts", b"%b" + gui),
        ("a plugin of pytest", "entry-points", b"%b\n[pytest11]\nx = os\n"), ("nothing", "entry-points", b""),
        ("not readable", "entry-points", b"x"), ("a group twice", "entry-points", b"%b%b"),
        ("another component", "entry-points", b"[dteg.components]\ndteg.files-extractor = os\n"),
        ("not UTF-8", "entry-points", b"\xff"), ("defaults", "entry-points", b"[DEFAULT]\nx = y\n%b"),
    ]:  # fmt: skip
        yield (
            f"entry points: {what}",
            code,
            _wheel(
                lambda files, content=content: files.update({entry: content.replace(b"%b", files[entry])})
            ),
        )
    other = {entry: b"[dteg.components]\nstreaming.numbers-extractor = os\n"}
    yield "entry points: another package", "entry-points", _wheel(lambda files: files.update(other))


def _records() -> Iterator[Case]:
    name = f"{INFO}/RECORD"

    def edit(change: Callable[[list[bytes]], Any]) -> Callable[[Files], bytes]:
        def make(files: Files) -> bytes:
            lines = files[name].splitlines(keepends=True)
            change(lines)
            return Zip(items_of({**files, name: b"".join(lines)})).build()

        return make

    yield "RECORD: a file left out", "record-missing", edit(lambda lines: lines.pop(0))
    yield "RECORD: itself left out", "record-missing", edit(lambda lines: lines.pop())
    yield "RECORD: empty", "record-missing", edit(lambda lines: lines.clear())
    yield "RECORD: a file too many", "record-extra", edit(lambda lines: lines.append(b"x.py,,\n"))
    yield (
        "RECORD: a path that leads out",
        "record-extra",
        edit(lambda lines: lines.append(b"../../bin/x,,\n")),
    )
    yield "RECORD: an absolute path", "record-extra", edit(lambda lines: lines.append(b"/etc/passwd,,\n"))
    yield "RECORD: a line twice", "record-twice", edit(lambda lines: lines.append(lines[0]))
    yield "RECORD: two columns", "record", edit(lambda lines: lines.append(b"x,y\n"))
    yield "RECORD: an open quote", "record", edit(lambda lines: lines.append(b'"x,y,z\n'))
    yield "RECORD: not UTF-8", "record", edit(lambda lines: lines.append(b"\xff,,\n"))
    wrong = metadata.record_hash(b"other").encode()
    for what, row in {
        "without hash": b"%b,,\n", "with another hash": b"%b,sha256=" + wrong + b",1\n",
        "with md5": b"%b,md5=AAAAAAAAAAAAAAAAAAAAAA,1\n", "with padding": b"%b,sha256=" + wrong + b"=,1\n",
    }.items():  # fmt: skip
        yield (
            f"RECORD: a line {what}",
            "record-hash",
            edit(lambda lines, row=row: lines.__setitem__(0, row.replace(b"%b", lines[0].split(b",")[0]))),
        )
    yield (
        "RECORD: another size",
        "record-hash",
        edit(lambda lines: lines.__setitem__(0, lines[0].rpartition(b",")[0] + b",7\n")),
    )
    yield (
        "RECORD: a hash of its own",
        "record-hash",
        edit(lambda lines: lines.__setitem__(-1, f"{name},sha256={wrong.decode()},1\n".encode())),
    )
    for victim in (CODE, README, f"{PACKAGE}/test_numbers.py", f"{INFO}/METADATA"):
        yield (
            f"changed after it was built: {victim}",
            "record-hash",
            (lambda files, victim=victim: Zip(items_of({**files, victim: files[victim] + b"\n"})).build()),
        )
