"""Components as wheels: build one, look into one without running it, unpack one safely.

A wheel is refused before a byte of it is written anywhere: see `archive` for the rules about ZIP, `names` for those
about names, `contents` for those about wheels. The same code runs at the author's, in the registry and at the user's.
"""

from dteg.packages.build import build_wheel
from dteg.packages.contents import FileEntry, WheelContents, inspect_wheel, unpack_wheel
from dteg.packages.limits import MAX_ENTRIES, MAX_PACKED_BYTES, MAX_RATIO, MAX_UNPACKED_BYTES
from dteg.packages.problems import PackageError, PackageProblem

__all__ = [
    "MAX_ENTRIES",
    "MAX_PACKED_BYTES",
    "MAX_RATIO",
    "MAX_UNPACKED_BYTES",
    "FileEntry",
    "PackageError",
    "PackageProblem",
    "WheelContents",
    "build_wheel",
    "inspect_wheel",
    "unpack_wheel",
]
