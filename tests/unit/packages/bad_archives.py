"""Archives that are bad whatever is in them: names, headers, layout, sizes, damage."""

import struct
from collections.abc import Callable, Iterator
from typing import Any

from tests.unit.packages.archives import FILE_MODE, Item, Zip, items_of
from tests.unit.packages.changes import CODE, INFO, INIT, PACKAGE, README, Case, Files, first_with, zip_with


def bad_archives() -> Iterator[Case]:
    """Yield all of them."""
    yield from _names()
    yield from _headers()
    yield from _layout()
    yield from _sizes()
    yield from _cut()


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
            yield (
                f"name {name[:60]!r}",
                code,
                zip_with(lambda items, name=name: items.append(Item(name, b"x"))),
            )
    raw = f"{PACKAGE}/x".encode() + b"\xff.py"
    yield "name that is not UTF-8", "name-characters", zip_with(lambda items: items.append(Item(raw, b"x")))
    for name in (CODE, README, f"{INFO}/METADATA", f"{INFO}/RECORD"):
        yield (
            f"{name} twice",
            "duplicate-name",
            zip_with(lambda items, name=name: items.append(Item(name, b"x"))),
        )
    yield (
        "a name three times",
        "duplicate-name",
        zip_with(lambda items: items.extend([Item(CODE), Item(CODE)])),
    )
    clashing = [CODE.upper(), f"{PACKAGE}/Numbers.py", f"{PACKAGE}/readme.MD", f"{INFO}/record", f"{PACKAGE}/\uff4eumbers.py",
                f"{PACKAGE}/number\u017f.py", PACKAGE.replace("s", "\u017f") + "/numbers.py"]  # fmt: skip
    for name in clashing:
        yield (
            f"{name} beside its twin",
            "clashing-name",
            zip_with(lambda items, name=name: items.append(Item(name, b"x"))),
        )
    for one, two in (
        ("ﬁle.py", "file.py"),
        ("straße.py", "strasse.py"),
        ("\u00e9.py", "e\u0301.py"),
        ("\u00c5.py", "\u212b.py"),
    ):
        pair = [Item(f"{PACKAGE}/{one}", b"1"), Item(f"{PACKAGE}/{two}", b"2")]
        yield f"{one!a} and {two!a}", "clashing-name", zip_with(lambda items, pair=pair: items.extend(pair))
    for name in (PACKAGE, "dteg_components", f"{CODE}/inside.py", f"{README}/x/y.md", PACKAGE.upper()):
        yield (
            f"{name} is file and folder",
            "file-is-folder",
            zip_with(lambda items, name=name: items.append(Item(name))),
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
        yield f"mode {mode:o}", code, zip_with(first_with(attributes=mode << 16))
    yield (
        "a link with a target",
        "symlink",
        zip_with(first_with(attributes=0o120777 << 16, content=b"/etc/passwd")),
    )
    yield "MS-DOS folder", "special-file", zip_with(first_with(attributes=FILE_MODE | 0x10))
    yield "MS-DOS volume", "special-file", zip_with(first_with(attributes=0x08))
    for system in (1, 2, 6, 7, 10, 11, 14, 19, 255):
        yield f"made on system {system}", "system", zip_with(first_with(made_by=system << 8 | 20))
    for flags in (0x0001, 0x0041, 0x0040, 0x2000, 0x2009, 0x0801):
        yield f"flags {flags:#x}", "encrypted", zip_with(first_with(flags=flags))
    for flags in (0x0008, 0x0808):
        yield f"flags {flags:#x}", "data-descriptor", zip_with(first_with(flags=flags))
    for flags in (0x0010, 0x0020, 0x0080, 0x0100, 0x1000, 0x4000, 0x8000):
        yield f"flags {flags:#x}", "flags", zip_with(first_with(flags=flags))
    for method in (1, 2, 5, 6, 7, 9, 10, 12, 14, 18, 19, 93, 94, 95, 96, 97, 98, 99, 65_535):
        yield f"method {method}", "compression", zip_with(first_with(method=method))
    for version, code in {
        45: "zip64",
        46: "zip64",
        51: "zip64",
        62: "zip64",
        21: "zip-version",
        25: "zip-version",
    }.items():
        yield f"version {version}", code, zip_with(first_with(version=version))
    for kind, extra in EXTRAS.items():
        yield (
            f"extra field in both places: {kind}",
            "extra-field",
            zip_with(first_with(local_extra=extra, central_extra=extra)),
        )
        yield (
            f"extra field in the directory: {kind}",
            "extra-field",
            zip_with(first_with(central_extra=extra)),
        )
        yield (
            f"extra field in the local header: {kind}",
            "extra-field",
            zip_with(first_with(local_extra=extra)),
        )
    yield "comment of an entry", "comment", zip_with(first_with(comment=b"hello"))
    yield "entry on another disk", "several-disks", zip_with(first_with(central={"disk": 1}))
    yield "entry on disk 65535", "several-disks", zip_with(first_with(central={"disk": 0xFFFF}))


def _layout() -> Iterator[Case]:
    def nothing(_: list[Item]) -> None:
        pass

    yield "a program before it", "data-before", zip_with(first_with(before=b"#!/bin/sh\n"))
    yield (
        "a program before it, offsets as without",
        "directory-place",
        zip_with(nothing, before=b"#!x\n", end={5: 1}),
    )
    yield "bytes before an entry", "data-between", zip_with(lambda items: setattr(items[3], "before", b"x"))
    yield "an entry of no directory", "data-between", zip_with(nothing, order=[0, 1, 2, *range(4, 12)])
    yield "bytes before the directory", "data-between", zip_with(nothing, between=b"hidden")
    yield "bytes after the directory", "directory-place", zip_with(nothing, before_end=b"hidden")
    for after in (b"\0", b"x" * 100, b"\n", b"PK", b"\0" * 70_000):
        yield f"{len(after)} bytes after it, {after[:1]!r}", "data-after", zip_with(nothing, after=after)
    yield "a comment", "comment", zip_with(nothing, comment=b"hello")
    yield "a long comment", "comment", zip_with(nothing, comment=b"x" * 65_535)
    yield "a comment that is shorter than it says", "data-after", zip_with(nothing, end={6: 5})
    yield (
        "a comment that is longer than it says",
        "data-after",
        zip_with(nothing, comment=b"hello", end={6: 2}),
    )
    for place, field in enumerate(("this disk", "first disk", "entries here", "entries", "size", "offset")):
        code = {0: "several-disks", 1: "several-disks", 2: "several-disks", 3: "several-disks"}.get(
            place, "directory-place"
        )
        yield f"end record: {field} is 7", code, zip_with(nothing, end={place: 7})
    for place in (2, 3):
        yield f"end record: 65535 in place {place}", "zip64", zip_with(nothing, end={place: 0xFFFF})
    for place in (4, 5):
        yield f"end record: 4294967295 in place {place}", "zip64", zip_with(nothing, end={place: 0xFFFFFFFF})
    yield "no entries", "no-entries", lambda _: Zip([]).build()
    yield "says no entries", "no-entries", zip_with(nothing, end={2: 0, 3: 0})
    yield "says fewer entries", "directory", zip_with(nothing, end={2: 3, 3: 3})
    yield "says more entries", "directory", zip_with(nothing, end={2: 40, 3: 40})
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    yield "ZIP64 locator", "zip64", zip_with(nothing, before_end=locator)
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, 46, 0)
    yield "ZIP64 end record and locator", "zip64", zip_with(nothing, before_end=record + locator)
    yield from _second_ends()
    yield from _disagreements()


def _second_ends() -> Iterator[Case]:
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0, 0, 0, 0, 0)
    yield (
        "a second end record in a file",
        "second-end",
        zip_with(lambda items: items.append(Item(f"{PACKAGE}/x.txt", end))),
    )
    yield (
        "the mark of one in a file",
        "second-end",
        zip_with(lambda items: items.append(Item(f"{PACKAGE}/x.txt", end[:4]))),
    )
    yield (
        "an archive in a file",
        "second-end",
        zip_with(lambda items: items.append(Item(f"{PACKAGE}/x.txt", Zip([Item("a", b"b")]).build()))),
    )

    def far_away(items: list[Item]) -> None:
        at = 30 + len(items[0].name)
        fits = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, at, 0, 0)
        items[0].content = fits
        items.append(Item(f"{PACKAGE}/long.txt", b"x" * 200_000))

    yield "one far from the end that fits its place", "second-end", zip_with(far_away)
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
    yield (
        "local name differs",
        "local-name",
        zip_with(first_with(local={"name": f"{PACKAGE}/evil.py".encode()})),
    )
    yield "local name leads out", "local-name", zip_with(first_with(local={"name": b"../../../x.py"}))
    yield "local name is empty", "local-name", zip_with(first_with(local={"name": b""}))
    yield "local name ends in NUL", "local-name", zip_with(first_with(local={"name": INIT.encode() + b"\0"}))
    for key, value in {
        "version": 10, "flags": 0x0800, "method": 8, "time": 1, "date": 1, "crc": 1, "packed": 1, "size": 1,
    }.items():  # fmt: skip
        yield f"local {key} differs", "local-header", zip_with(first_with(local={key: value}))
    for key in ("packed", "size", "crc"):
        code = "local-header" if key == "crc" else "stored-size"
        yield f"central {key} differs", code, zip_with(first_with(central={key: 1}))
    yield "local flags say encrypted", "local-header", zip_with(first_with(local={"flags": 1}))
    yield (
        "local sizes are ZIP64",
        "local-header",
        zip_with(first_with(local={"packed": 0xFFFFFFFF, "size": 0xFFFFFFFF})),
    )
    yield "no local mark", "local-header", zip_with(first_with(local={"mark": b"PK\x03\x05"}))
    yield "no central mark", "directory", zip_with(first_with(central={"mark": b"PK\x01\x03"}))
    yield (
        "central name beyond the directory",
        "directory",
        zip_with(lambda items: items[-1].central.update(name_length=9_000)),
    )
    yield "two entries share their data", "overlap", zip_with(lambda items: items[1].central.update(offset=0))
    yield "an entry inside another", "overlap", zip_with(lambda items: items[1].central.update(offset=40))
    yield (
        "an offset beyond the file",
        "data-between",
        zip_with(lambda items: items[-1].central.update(offset=9_999_999)),
    )
    yield "an entry that lies in the directory", "overlap", zip_with(_last_reaches_into_the_directory)
    yield (
        "both sizes reach too far",
        "overlap",
        zip_with(
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

    yield "2012 entries", "too-many-entries", zip_with(many)
    yield (
        "packed more than 10 MB",
        "too-large",
        zip_with(lambda items: items.append(Item(f"{PACKAGE}/b.txt", b"x" * 10_000_001))),
    )
    yield "a bomb of 49 MB", "ratio", zip_with(packed(b"\0" * 49_000_000))
    yield "a bomb of 51 MB", "too-large-unpacked", zip_with(packed(b"\0" * 51_000_000))
    lie = {"size": 1_000}
    yield (
        "a bomb that says 1000 bytes",
        "content",
        zip_with(packed(b"\0" * 49_000_000, local=lie, central=lie)),
    )
    lie_large = {"size": 60_000_000}
    yield (
        "says 60 MB, holds little",
        "too-large-unpacked",
        zip_with(packed(b"x", local=lie_large, central=lie_large)),
    )
    parts = [Item(f"{PACKAGE}/b{n}.txt", b"\0" * 900_000, method=8) for n in range(20)]
    yield "a bomb in 20 small parts", "ratio", zip_with(lambda items: items.extend(parts))
    huge = {"packed": 0xFFFFFFFF, "size": 0xFFFFFFFF}
    yield "ZIP64 sizes", "too-large-unpacked", zip_with(first_with(local=huge, central=huge))


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
        yield f"compressed data: {what}", "content", zip_with(lambda items, item=item: items.append(item))
    yield "another CRC", "content", zip_with(first_with(local={"crc": 1}, central={"crc": 1}))
    yield (
        "another content than the CRC",
        "content",
        zip_with(lambda items: setattr(items[4], "data", b"x" * len(items[4].content))),
    )


def _share(data: bytes, part: float) -> bytes:
    return data[: int(len(data) * part)]
