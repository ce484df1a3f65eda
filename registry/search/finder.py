"""One search in the view of an index: what is found, in which order, with which facets."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tantivy import DocAddress, Order, Query

from dteg import __version__
from registry.search import index as columns
from registry.search.entries import Entry
from registry.search.facets import VERSIONED
from registry.search.index import View
from registry.search.models import FACETS, ListQuery, SearchQuery, Sort
from registry.search.quality import ELSEWHERE, SHARES, factor
from registry.search.queries import TextQuery, all_of, any_of, everything, text_query, without
from registry.search.suggestions import did_you_mean
from registry.search.words import exact

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# Values of a facet that are shown; there are fewer licences and categories than that.
_VALUES = 50
_SEPARATOR = "|"
# With fewer results than this, those that have not all of the words are shown too, behind the others.
_ENOUGH = 5

Hits = list[tuple[float, DocAddress]]
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


@dataclass(frozen=True, slots=True)
class _Filter:
    """One filter: as a query, which the ranking needs, and as what it lets through."""

    query: Query
    entries: int


class _Searching:
    """The parts of one search. How many there are comes from sets of bits; tantivy is asked for the page only."""

    def __init__(self, view: View, wanted: ListQuery) -> None:
        self.view, self.searcher, self.wanted = view, view.searcher, wanted
        self.q = wanted.q if isinstance(wanted, SearchQuery) else ""
        self.text: TextQuery | None = text_query(view, self.q)
        self.plain = self.text.wanting(None) if self.text else everything()
        self.filters = self._filters()
        self.allowed = view.facets.everyone
        for each in self.filters.values():
            self.allowed &= each.entries

    def run(self) -> Result:
        nothing = bool(self.q.strip()) and self.text is None  # only signs: there can be no such word
        if nothing:
            return Result(0, [], self._counts(0))
        matching = self._enough() if self.text else self.view.facets.everyone
        total = (matching & self.allowed).bit_count()
        hits: Hits = []
        if total > self.wanted.offset:
            queries = [each.query for each in self.filters.values()]
            hits = self._page(all_of([self._base(), *queries]))
        numbers = self.view.numbers([address for _, address in hits])
        entries = [self.view.entries[number] for number in numbers]
        found = Result(total, entries, self._counts(matching), self._suggestion())
        if isinstance(self.wanted, SearchQuery) and self.wanted.explain:
            found.explanations.extend(self._explain(entries, [score for score, _ in hits]))
        return found

    def _base(self) -> Query:
        return self.text.exact_first(self.plain) if self.text else self.plain

    def _enough(self) -> int:
        """Choose how many of the words are wanted: fewer while there are few results; return what has them."""
        assert self.text is not None
        best, most, chosen = 0, 0, None
        for least, only_if_nothing in self.text.attempts():
            if most >= _ENOUGH or (most and only_if_nothing):
                break
            matching = self.text.entries(least)
            total = (matching & self.allowed).bit_count()
            if total > most or least is None:
                best, most, chosen = matching, total, least
        if chosen is not None:
            self.plain = self.text.wanting(chosen)
        return best

    def _page(self, query: Query) -> Hits:
        wanted, searcher = self.wanted, self.searcher
        if wanted.sort is not Sort.RELEVANCE:
            order = Order.Asc if wanted.sort is Sort.NAME else Order.Desc
            by = columns.ORDERS[wanted.sort.value]
            return searcher.search(
                query, wanted.limit, count=False, order_by_field=by, offset=wanted.offset, order=order
            ).hits
        environment = self._environment()
        if environment:
            return self._page_in(query, environment)
        weight = columns.WEIGHT
        return searcher.search(
            query, wanted.limit, count=False, offset=wanted.offset, weight_by_field=weight
        ).hits

    def _page_in(self, query: Query, environment: str) -> Hits:
        """Rank by how proven components are in the environment of who asks: two lists, merged."""
        last = self.wanted.offset + self.wanted.limit
        proven = any_of("cell", [environment])
        here = self.searcher.search(
            all_of([query, proven]), last, count=False, weight_by_field=columns.WEIGHT_PROVEN
        )
        elsewhere = self.searcher.search(
            without(query, proven), last, count=False, weight_by_field=columns.WEIGHT_ELSEWHERE
        )
        hits = sorted([*here.hits, *elsewhere.hits], key=lambda hit: -hit[0])
        return hits[self.wanted.offset : last]

    def _environment(self) -> str:
        wanted = self.wanted
        return f"{wanted.dteg}{_SEPARATOR}{wanted.python}" if wanted.dteg and wanted.python else ""

    def _filters(self) -> dict[str, _Filter]:
        found: dict[str, _Filter] = {}
        facets = self.view.facets
        for facet in FACETS:
            value = getattr(self.wanted, facet)
            if value and facet in VERSIONED:
                ranges = facets.ranges(facet, value)
                found[facet] = _Filter(any_of(facet, ranges), facets.works_with(facet, value))
            elif value:
                found[facet] = _Filter(any_of(facet, value), facets.any_of(facet, value))
        return found

    def _counts(self, matching: int) -> Counts:
        """Count the values of each facet: beside the filters of the others, so that one can choose more values."""
        within = matching & self.allowed
        return {facet: self._count(facet, self._beside(facet, matching, within)) for facet in FACETS}

    def _beside(self, facet: str, matching: int, within: int) -> int:
        """Return what is found with all filters but that of a facet."""
        if facet not in self.filters:
            return within
        found = matching & self.view.facets.everyone
        for name, each in self.filters.items():
            if name != facet:
                found &= each.entries
        return found

    def _count(self, facet: str, within: int) -> dict[str, int]:
        facets = self.view.facets
        if facet not in VERSIONED:
            return facets.counts(facet, within, _VALUES)
        versions = PYTHONS if facet == "python" else (__version__,)
        asked = getattr(self.wanted, facet)
        everyone = dict.fromkeys([*versions, *([asked] if asked else [])])
        return {
            version: count
            for version in everyone
            if (count := (facets.works_with(facet, version) & within).bit_count())
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
        numbers = self.view.numbers([address for _, address in hits])
        return {self.view.entries[number].id: score for number, (score, _) in zip(numbers, hits, strict=True)}

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


def cache_key(wanted: ListQuery) -> str:
    """Return what two queries with the same answer have in common."""
    # Fields come in the order of the model, whatever the order of the question.
    return wanted.model_dump_json(exclude_defaults=True)
