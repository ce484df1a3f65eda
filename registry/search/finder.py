"""One search in the view of an index: what is found, in which order, with which facets."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tantivy import DocAddress, Order, Query

from dteg import __version__
from registry.search import index as columns
from registry.search.entries import Entry
from registry.search.index import View
from registry.search.models import FACETS, ListQuery, SearchQuery, Sort
from registry.search.quality import ELSEWHERE, SHARES, factor
from registry.search.queries import TextQuery, all_of, any_of, everything, text_query, without
from registry.search.ranges import holding
from registry.search.suggestions import did_you_mean
from registry.search.words import exact

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
_VERSIONED = ("dteg", "python")
# Values of a facet that are counted; there are fewer licences and categories than that.
_VALUES = 50
_DIFFERENT_RANGES = 2_000
_SEPARATOR = "|"
# With fewer results than this, those that have not all of the words are shown too, behind the others.
_ENOUGH = 5

Counts = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Result:
    """One page of what was found.

    Attributes:
        total: How many there are.
        entries: Those of the page, in order.
        facets: For each facet how many components have each value, beside the other filters.
        did_you_mean: The words as they may have been meant.
        explanations: For each entry, if they were asked for.
    """

    total: int
    entries: list[Entry]
    facets: Counts
    did_you_mean: str | None = None
    explanations: list[dict[str, Any]] = field(default_factory=list)


def find(view: View, wanted: ListQuery) -> Result:
    """Search. Takes well under a millisecond for 10,000 components, so it may run in the event loop.

    Args:
        view: Where.
        wanted: What.
    """
    searching = _Searching(view, wanted)
    return searching.run()


class _Searching:
    """The parts of one search."""

    def __init__(self, view: View, wanted: ListQuery) -> None:
        self.view, self.searcher, self.wanted = view, view.searcher, wanted
        self.q = wanted.q if isinstance(wanted, SearchQuery) else ""
        self.text: TextQuery | None = text_query(self.searcher, view.words, self.q)
        self.plain = self.text.all_words() if self.text else everything()
        self.filters = self._filters()

    def run(self) -> Result:
        nothing = bool(self.q.strip()) and self.text is None  # only signs: there can be no such word
        if nothing:
            return Result(0, [], self._counts(Query.empty_query()))
        total, hits = self._enough()
        numbers = self.searcher.fast_field_values("number", [address for _, address in hits])
        entries = [self.view.entries[int(number)] for number in numbers if number is not None]
        found = Result(total, entries, self._counts(self._base()), self._suggestion())
        if isinstance(self.wanted, SearchQuery) and self.wanted.explain:
            found.explanations.extend(self._explain(entries, [score for score, _ in hits]))
        return found

    def _base(self) -> Query:
        return self.text.exact_first(self.plain) if self.text else self.plain

    def _enough(self) -> tuple[int, list[tuple[float, DocAddress]]]:
        """Return the page; while there are few results, that of a query that wants fewer of the words."""
        filters = list(self.filters.values())
        if self.text is None:
            return self._page(all_of([self.plain, *filters]))
        best: tuple[int, list[tuple[float, DocAddress]]] = (0, [])
        for query, only_if_nothing in self.text.attempts():
            if best[0] >= _ENOUGH or (best[0] and only_if_nothing):
                break
            found = self._page(all_of([self.text.exact_first(query), *filters]))
            if found[0] > best[0]:
                best, self.plain = found, query
        return best

    def _page(self, query: Query) -> tuple[int, list[tuple[float, DocAddress]]]:
        wanted, searcher = self.wanted, self.searcher
        if wanted.sort is not Sort.RELEVANCE:
            order = Order.Asc if wanted.sort is Sort.NAME else Order.Desc
            by = columns.ORDERS[wanted.sort.value]
            found = searcher.search(query, wanted.limit, order_by_field=by, offset=wanted.offset, order=order)
            return _hits(found)
        environment = self._environment()
        if not environment:
            weight = columns.WEIGHT
            found = searcher.search(query, wanted.limit, offset=wanted.offset, weight_by_field=weight)
            return _hits(found)
        return self._page_in(query, environment)

    def _page_in(self, query: Query, environment: str) -> tuple[int, list[tuple[float, DocAddress]]]:
        """Rank by how proven components are in the environment of who asks: two lists, merged."""
        last = self.wanted.offset + self.wanted.limit
        proven = any_of("cell", [environment])
        here = self.searcher.search(all_of([query, proven]), last, weight_by_field=columns.WEIGHT_PROVEN)
        elsewhere = self.searcher.search(
            without(query, proven), last, weight_by_field=columns.WEIGHT_ELSEWHERE
        )
        hits = sorted([*here.hits, *elsewhere.hits], key=lambda hit: -hit[0])
        return _hits(here)[0] + _hits(elsewhere)[0], hits[self.wanted.offset : last]

    def _environment(self) -> str:
        wanted = self.wanted
        return f"{wanted.dteg}{_SEPARATOR}{wanted.python}" if wanted.dteg and wanted.python else ""

    def _filters(self) -> dict[str, Query]:
        found: dict[str, Query] = {}
        for facet in FACETS:
            value = getattr(self.wanted, facet)
            if value and facet in _VERSIONED:
                found[facet] = any_of(facet, holding(value, self._ranges(facet)))
            elif value:
                found[facet] = any_of(facet, value)
        return found

    def _ranges(self, facet: str) -> list[str]:
        found = self.searcher.terms_with_prefix(facet, "", limit=_DIFFERENT_RANGES)
        return [text for text, _ in found]

    def _counts(self, base: Query) -> Counts:
        """Count the values of each facet: beside the filters of the others, so that one can choose more values."""
        open_ones = [facet for facet in FACETS if facet not in self.filters]
        counted = self._count(all_of([base, *self.filters.values()]), open_ones)
        for facet in self.filters:
            others = [query for name, query in self.filters.items() if name != facet]
            counted |= self._count(all_of([base, *others]), [facet])
        return {facet: self._by_version(facet, counted[facet]) for facet in FACETS}

    def _count(self, query: Query, facets: Sequence[str]) -> Counts:
        if not facets:
            return {}
        size = {facet: _DIFFERENT_RANGES if facet in _VERSIONED else _VALUES for facet in facets}
        found = self.searcher.aggregate(
            query, {facet: {"terms": {"field": facet, "size": size[facet]}} for facet in facets}
        )
        return {
            facet: {bucket["key"]: bucket["doc_count"] for bucket in found.get(facet, {}).get("buckets", [])}
            for facet in facets
        }

    def _by_version(self, facet: str, counts: Mapping[str, int]) -> dict[str, int]:
        """Turn counts of ranges into counts of versions."""
        if facet not in _VERSIONED:
            return {value: count for value, count in counts.items() if value}
        versions = PYTHONS if facet == "python" else (__version__,)
        asked = getattr(self.wanted, facet)
        everyone = dict.fromkeys([*versions, *([asked] if asked else [])])
        return {
            version: count
            for version in everyone
            if (count := sum(counts[each] for each in holding(version, counts)))
        }

    def _suggestion(self) -> str | None:
        if self.text is None or not self.text.unknown:
            return None
        return did_you_mean(self.q, self.text.unknown, self.view.vocabulary)

    def _explain(self, entries: Sequence[Entry], scores: Sequence[float]) -> list[dict[str, Any]]:
        if self.text is None or self.wanted.sort is not Sort.RELEVANCE:
            return [self._explanation(entry, None) for entry in entries]
        best = self.searcher.search(self.plain, 1).hits
        texts = self._texts(entries)
        return [
            self._explanation(entry, texts.get(entry.id, 0.0) / (best[0][0] if best else 1.0))
            for entry in entries
        ]

    def _texts(self, entries: Sequence[Entry]) -> dict[str, float]:
        """Return the score of the text alone: the same search without exact names, for these entries."""
        query = all_of([self.plain, any_of("id", [entry.id for entry in entries])])
        hits = self.searcher.search(query, max(1, len(entries))).hits
        numbers = self.searcher.fast_field_values("number", [address for _, address in hits])
        return {
            self.view.entries[int(number)].id: score
            for number, (score, _) in zip(numbers, hits, strict=True)
            if number is not None
        }

    def _explanation(self, entry: Entry, text: float | None) -> dict[str, Any]:
        quality, environment = entry.quality, self._environment()
        proven = quality.proven
        if environment:
            proven = 1.0 if environment in entry.proven else ELSEWHERE if entry.proven else quality.proven
        total = quality.total(proven=proven)
        parts = {name: getattr(quality, name) for name in SHARES} | {"proven": proven, "total": total}
        known = 1.0 if text is None else text
        return {
            "text": round(known, 4),
            "exact": bool(self.q) and exact(self.q) in entry.exact_names,
            "verified": entry.verified,
            "quality": {name: round(part, 4) for name, part in parts.items()},
            "final": round(known * factor(total), 4),
        }


def _hits(found: Any) -> tuple[int, list[tuple[float, DocAddress]]]:
    """Return how many there are, and the page; the hints of the library lack `count`."""
    return int(found.count or 0), found.hits


def cache_key(wanted: ListQuery) -> str:
    """Return what two queries with the same answer have in common."""
    return json.dumps(wanted.model_dump(mode="json", exclude_defaults=True), sort_keys=True)
