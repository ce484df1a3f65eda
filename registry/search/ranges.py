"""Which ranges of versions hold a version: there are few different ranges, and each is read once."""

from collections.abc import Iterable
from functools import lru_cache

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version


def holding(version: str, ranges: Iterable[str]) -> list[str]:
    """Return the ranges that hold a version."""
    return [each for each in ranges if _holds(each, version)]


@lru_cache(maxsize=20_000)
def _holds(text: str, version: str) -> bool:
    try:
        return SpecifierSet(text).contains(Version(version), prereleases=True)
    except InvalidSpecifier:  # refused before it was published; never a reason to fail a search
        return False
