"""Which components have which value of each facet: sets of numbers of entries, as the bits of an integer.

To count the values of all facets beside any query takes a few operations on 1,250 bytes each for 10,000 components,
where an aggregation looks at every hit.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from registry.search.entries import Entry
from registry.search.models import FACETS
from registry.search.ranges import holding

VERSIONED: Final = ("dteg", "python")
# Anybody may ask for any version: more of them than these are worked out again each time.
_VERSIONS_KEPT = 256
_By = Mapping[str, Mapping[str, int]]


def bits_of(numbers: Iterable[int], size: int) -> int:
    """Return the set of these numbers.

    Args:
        numbers: Each below `size`.
        size: How many numbers there are.
    """
    found = bytearray(size // 8 + 1)
    for number in numbers:
        found[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(found, "little")


def at_least(sets: Iterable[int], least: int) -> int:
    """Return the numbers that are in so many of the sets; for none everything, as -1."""
    reached = [-1] + [0] * least
    for each in sets:
        for count in range(least, 0, -1):
            reached[count] |= reached[count - 1] & each
    return reached[least]


class FacetSets:
    """The sets of one view of the index; they do not change.

    Args:
        by_facet: For each facet the numbers of the entries that have a value.
        everyone: The numbers of all entries.
    """

    def __init__(self, by_facet: _By, everyone: int) -> None:
        self.everyone = everyone
        self._by_facet = by_facet
        self._versions: dict[tuple[str, str], int] = {}

    def any_of(self, facet: str, values: Iterable[str]) -> int:
        """Return the entries that have one of the values."""
        found, sets = 0, self._by_facet[facet]
        for value in values:
            found |= sets.get(value, 0)
        return found

    def ranges(self, facet: str, version: str) -> list[str]:
        """Return the ranges of a facet of versions that hold a version."""
        return holding(version, self._by_facet[facet])

    def works_with(self, facet: str, version: str) -> int:
        """Return the entries that work with a version."""
        found = self._versions.get((facet, version))
        if found is None:
            if len(self._versions) >= _VERSIONS_KEPT:
                self._versions.clear()
            found = self._versions[facet, version] = self.any_of(facet, self.ranges(facet, version))
        return found

    def counts(self, facet: str, within: int, most: int) -> dict[str, int]:
        """Return how many of some entries have each value, the most frequent first.

        Args:
            facet: Which facet.
            within: The entries.
            most: How many values at most.
        """
        pairs = [
            (value, count)
            for value, its in self._by_facet[facet].items()
            if value and (count := (its & within).bit_count())
        ]
        pairs.sort(key=lambda pair: (-pair[1], pair[0]))
        return dict(pairs[:most])


class FacetWriter:
    """The sets while entries come and go. For the thread that changes the index."""

    def __init__(self) -> None:
        self._everyone = 0
        self._by_facet: dict[str, dict[str, int]] = {facet: {} for facet in FACETS}

    def add(self, entry: Entry, number: int) -> None:
        """Take an entry in."""
        bit = 1 << number
        self._everyone |= bit
        for facet, values in entry.facets().items():
            sets = self._by_facet[facet]
            for value in values:
                sets[value] = sets.get(value, 0) | bit

    def remove(self, entry: Entry, number: int) -> None:
        """Take an entry out."""
        bit = 1 << number
        self._everyone &= ~bit
        for facet, values in entry.facets().items():
            sets = self._by_facet[facet]
            for value in set(values):
                sets[value] &= ~bit
                if not sets[value]:
                    del sets[value]

    def publish(self) -> FacetSets:
        """Return the sets as they are now."""
        return FacetSets(
            {facet: MappingProxyType(dict(sets)) for facet, sets in self._by_facet.items()}, self._everyone
        )
