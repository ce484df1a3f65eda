"""Totals and facets come from sets of bits: they must be what the index itself counts, also after changes."""

import random

import pytest

from registry.search.facets import VERSIONED, FacetWriter, at_least, bits_of
from registry.search.finder import _Searching, find
from registry.search.index import Group, Groups, SearchIndex, View
from registry.search.models import FACETS, SearchQuery
from registry.search.queries import all_of, everything
from registry.search.ranges import holding
from tests.unit.registry.search import golden

pytestmark = pytest.mark.unit
ASKED = 250


@pytest.fixture(scope="module")
def view() -> View:
    """An index after a first load, changes, removals and additions."""
    entries, index = golden.corpus(), SearchIndex()
    index.rebuild(entries[:300])
    index.apply(entries[200:350], [entry.id for entry in entries[:40]])
    index.apply([*entries[30:60], *entries[350:]], [entry.id for entry in entries[220:230]])
    assert index.size == len(entries) - 30 - 10
    return index.view


def questions() -> list[SearchQuery]:
    """Return queries with words, typing errors, filters and both."""
    draw, entries = random.Random(5), golden.corpus()
    texts = [query.q for query in golden.queries()]
    found = []
    for _ in range(ASKED):
        entry = draw.choice(entries)
        text = draw.choice(
            ["", draw.choice(texts), entry.name, f"{entry.name} {draw.choice(texts)}", "...", "zzzzq"]
        )
        if text and draw.random() < 0.2:
            at = draw.randrange(len(text))
            text = text[:at] + text[at + 1 :]
        filters = {
            "kind": [entry.kind], "category": [entry.category], "licence": ["MIT", entry.licence or "MIT"],
            "capability": ["network"], "tier": [entry.tier], "price": ["free"], "dteg": "0.1.0", "python": "3.12",
        }  # fmt: skip
        chosen = draw.sample(list(filters), draw.choice((0, 0, 1, 1, 2, 3)))
        found.append(SearchQuery(q=text, limit=100, **{name: filters[name] for name in chosen}))
    return found


def aggregated(view: View, query, facet: str) -> dict[str, int]:
    """Return how many of what a query finds have each value, as the index counts it."""
    found = view.searcher.aggregate(query, {facet: {"terms": {"field": facet, "size": 1_000}}})
    return {each["key"]: each["doc_count"] for each in found.get(facet, {}).get("buckets", []) if each["key"]}


def test_totals_and_facets_are_what_the_index_counts(view):
    several = 0
    for wanted in questions():
        result = find(view, wanted)
        searching = _Searching(view, wanted)
        if wanted.q.strip() and searching.text is None:
            assert (result.total, result.entries) == (0, [])
            continue
        searching.run()
        filters = {name: each.query for name, each in searching.filters.items()}
        whole = all_of([searching._base(), *filters.values()])
        assert result.total == view.searcher.search(whole, 1).count, wanted
        assert len(result.entries) == min(wanted.limit, result.total)
        several += result.total > 1
        for facet in FACETS:
            others = [query for name, query in filters.items() if name != facet]
            counted = aggregated(view, all_of([searching._base(), *others]), facet)
            if facet not in VERSIONED:
                assert result.facets[facet] == counted, (wanted, facet)
                continue
            for version, count in result.facets[facet].items():
                assert count == sum(counted[each] for each in holding(version, counted)), (wanted, facet)
    assert several > ASKED / 3


def test_the_most_frequent_values_come_first_and_equals_by_name():
    writer = FacetWriter()
    for number, entry in enumerate(golden.corpus()):
        writer.add(entry, number)
    sets = writer.publish()
    counts = sets.counts("category", sets.everyone, 50)
    assert list(counts.items()) == sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    assert list(sets.counts("category", sets.everyone, 2)) == list(counts)[:2]


def test_what_is_taken_out_leaves_nothing():
    writer, entries = FacetWriter(), golden.corpus()[:20]
    for number, entry in enumerate(entries):
        writer.add(entry, number)
    before = writer.publish()
    for number, entry in enumerate(entries):
        writer.remove(entry, number)
    after = writer.publish()
    assert (after.everyone, [after.counts(facet, -1, 50) for facet in FACETS]) == (0, [{} for _ in FACETS])
    assert before.everyone == 2**20 - 1, "a view that somebody has does not change"
    assert sum(before.counts("kind", before.everyone, 50).values()) == 20


@pytest.mark.parametrize(
    ("least", "numbers"), [(1, {0, 1, 2, 3}), (2, {1, 2}), (3, {2}), (4, set())]
)  # fmt: skip
def test_what_is_in_so_many_of_the_sets(least, numbers):
    sets = [bits_of(each, 9) for each in ([0, 1, 2], [2, 1], [2, 3])]
    assert at_least(sets, least) == bits_of(numbers, 9)


def test_groups_do_not_grow_without_end(monkeypatch):
    monkeypatch.setattr("registry.search.index._GROUPS_KEPT", 3)
    groups, made = Groups(), []
    for key in (1, 2, 3, 1, 4, 1, 2):
        groups.get((key,), lambda key=key: made.append(key) or Group(everything(), key))
    assert made == [1, 2, 3, 4, 2], "what was asked for longest ago goes first"
