"""Makes a bad package of a good wheel by one change."""

from collections.abc import Callable
from typing import Any

from tests.unit.packages.archives import Item, Zip, items_of, with_record

PACKAGE = "dteg_components/streaming/numbers_extractor"
INFO = "dteg_streaming_numbers_extractor-1.0.0.dist-info"
README, MANIFEST, SCHEMA = f"{PACKAGE}/README.md", f"{PACKAGE}/dteg.yaml", f"{PACKAGE}/dteg.schema.json"
CODE, INIT = f"{PACKAGE}/numbers.py", f"{PACKAGE}/__init__.py"
Files = dict[str, bytes]
Case = tuple[str, str, Callable[[Files], bytes]]
"""What it is, the expected code, and the function that makes it of the files of a good wheel."""


def zip_with(change: Callable[[list[Item]], Any], **whole: Any) -> Callable[[Files], bytes]:
    """Make an archive whose entries were changed in place."""

    def make(files: Files) -> bytes:
        items = items_of(files)
        change(items)
        return Zip(items, **whole).build()

    return make


def wheel_with(change: Callable[[Files], Any]) -> Callable[[Files], bytes]:
    """Make a wheel whose files were changed in place, with a RECORD that fits: only the change is wrong."""

    def make(files: Files) -> bytes:
        files = dict(files)
        change(files)
        return Zip(items_of(with_record(files))).build()

    return make


def first_with(**values: Any) -> Callable[[list[Item]], None]:
    def change(items: list[Item]) -> None:
        for key, value in values.items():
            setattr(items[0], key, value)

    return change
