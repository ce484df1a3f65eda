"""Archives written byte by byte, so that each of their places can lie; and wheels whose files can be changed."""

import hashlib
import struct
import zlib
from dataclasses import dataclass, field, replace
from typing import Any

from dteg.packages import metadata

LOCAL, CENTRAL, END = "<4s5H3L2H", "<4s6H3L5H2L", "<4s4H2LH"
FILE_MODE = 0o100644 << 16


@dataclass
class Item:
    """One entry; `local` and `central` are changes to what one of the two places says."""

    name: str | bytes
    content: bytes = b""
    method: int = 0
    flags: int = 0
    version: int = 20
    made_by: int = (3 << 8) | 20
    attributes: int = FILE_MODE
    comment: bytes = b""
    local_extra: bytes = b""
    central_extra: bytes = b""
    data: bytes | None = None
    before: bytes = b""
    local: dict[str, Any] = field(default_factory=dict)
    central: dict[str, Any] = field(default_factory=dict)

    def fields(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Return what a header says, with the changes."""
        raw = self.name if isinstance(self.name, bytes) else self.name.encode()
        known = {
            "version": self.version, "flags": self.flags, "method": self.method, "time": 0, "date": 0x21,
            "crc": zlib.crc32(self.content), "packed": len(self.packed()), "size": len(self.content), "name": raw,
        }  # fmt: skip
        return {**known, **changes}

    def packed(self) -> bytes:
        """Return the data as it stands in the archive."""
        if self.data is not None:
            return self.data
        if self.method != 8:
            return self.content
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return packer.compress(self.content) + packer.flush()


@dataclass
class Zip:
    """A whole archive; `end` are changes to the end record, by place."""

    items: list[Item]
    before: bytes = b""
    between: bytes = b""
    after: bytes = b""
    comment: bytes = b""
    before_end: bytes = b""
    end: dict[int, int] = field(default_factory=dict)
    order: list[int] | None = None

    def build(self) -> bytes:
        """Return the bytes."""
        data, offsets = bytearray(self.before), []
        for item in self.items:
            data += item.before
            offsets.append(len(data))
            data += _local(item) + item.packed()
        data += self.between
        directory = b"".join(
            _central(self.items[n], offsets[n]) for n in self.order or range(len(self.items))
        )
        count = len(self.order or self.items)
        fields = [0, 0, count, count, len(directory), len(data), len(self.comment)]
        for place, value in self.end.items():
            fields[place] = value
        return bytes(
            data
            + directory
            + self.before_end
            + struct.pack(END, b"PK\x05\x06", *fields)
            + self.comment
            + self.after
        )


def _local(item: Item) -> bytes:
    f = item.fields(item.local)
    head = struct.pack(
        LOCAL, f.get("mark", b"PK\x03\x04"), f["version"], f["flags"], f["method"], f["time"], f["date"], f["crc"],
        f["packed"], f["size"], len(f["name"]), len(item.local_extra),
    )  # fmt: skip
    return head + f["name"] + item.local_extra


def _central(item: Item, offset: int) -> bytes:
    f = item.fields(item.central)
    head = struct.pack(
        CENTRAL, f.get("mark", b"PK\x01\x02"), item.made_by, f["version"], f["flags"], f["method"], f["time"],
        f["date"], f["crc"], f["packed"], f["size"], f.get("name_length", len(f["name"])), len(item.central_extra),
        len(item.comment), f.get("disk", 0), 0, item.attributes, f.get("offset", offset),
    )  # fmt: skip
    return head + f["name"] + item.central_extra + item.comment


def items_of(files: dict[str, bytes], **all_items: Any) -> list[Item]:
    """Return an entry for each file."""
    return [Item(name, content, **all_items) for name, content in files.items()]


def with_record(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files of a wheel with a RECORD that fits them."""
    (record,) = [name for name in files if name.endswith(".dist-info/RECORD")]
    rest = {name: content for name, content in files.items() if name != record}
    return {**rest, record: metadata.render_record(rest, record)}


def changed(item: Item, **values: Any) -> Item:
    """Return a copy of an entry with other values."""
    return replace(item, **values)


def tree(folder: Any) -> dict[str, str]:
    """Return the hash of every file below a folder, links named as such."""
    return {
        str(path.relative_to(folder)): "link"
        if path.is_symlink()
        else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }
