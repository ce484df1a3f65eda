"""Whether people find what they mean: 72 queries, judged by hand, over 408 components.

The last test takes away one idea after the other and shows that the judgement notices.
"""

import pytest
from tantivy import Query

from registry.search import finder, quality, queries
from registry.search.finder import find
from registry.search.index import SearchIndex
from registry.search.models import SearchQuery
from tests.unit.registry.search import golden

pytestmark = pytest.mark.unit
LEAST = 0.90
# What each idea is worth: without it the mean falls by at least this much, or exact names stand elsewhere.
LEAST_LOSS = 0.01


def judged():
    """Build an index as a worker does, and ask all queries."""
    index = SearchIndex()
    index.rebuild(golden.corpus())
    view = index.view
    return golden.judge(
        lambda query: find(view, SearchQuery(q=query.q, kind=list(query.kind), limit=10)).entries
    )


@pytest.fixture(scope="module")
def judgement():
    return judged()


def test_the_set_is_large_enough():
    assert len(golden.queries()) >= 60
    assert len(golden.corpus()) >= 300
    for query in golden.queries():
        assert any(query.grade(entry) == 3 for entry in golden.corpus()), f"nothing is right for {query.q!r}"


def test_people_find_what_they_mean(judgement):
    worst = sorted(judgement.by_query.items(), key=lambda pair: pair[1])[:5]
    print(f"nDCG@10 = {judgement.mean:.4f} over {len(judgement.by_query)} queries; worst: {worst}")
    assert judgement.mean >= LEAST, worst
    assert worst[0][1] >= 0.5, worst


def test_exact_names_stand_first_always(judgement):
    assert judgement.not_first == []
    assert sum(bool(query.exact) for query in golden.queries()) >= 25


def test_ndcg_is_what_the_paper_says():
    assert golden.ndcg([3, 2, 0], [3, 2, 0]) == 1.0
    assert golden.ndcg([0, 0, 0], [3, 2, 0]) == 0.0
    # Gains are 1 and 7, the second one divided by the logarithm of 3 to the base 2.
    assert golden.ndcg([1, 3], [3, 1]) == pytest.approx(5.41651 / 7.63093, abs=1e-4)


def quality_ignored(monkeypatch):
    monkeypatch.setattr("registry.search.index.factor", lambda _: 1.0)


def no_typing_errors(monkeypatch):
    monkeypatch.setattr(queries, "_FUZZY", {})


def no_prefixes(monkeypatch):
    fuzzy = queries._fuzzy
    monkeypatch.setattr(
        queries, "_fuzzy", lambda *given, prefix=False: Query.empty_query() if prefix else fuzzy(*given)
    )


def no_synonyms(monkeypatch):
    monkeypatch.setattr(queries, "SYNONYMS", {})


def kinds_are_plain_words(monkeypatch):
    monkeypatch.setattr(queries, "KINDS", {})
    monkeypatch.setattr("registry.search.words.KINDS", {})


def all_words_or_nothing(monkeypatch):
    monkeypatch.setattr(queries.TextQuery, "attempts", lambda self: iter([(None, False)]))


def exact_names_like_others(monkeypatch):
    monkeypatch.setattr(queries, "EXACT", 0.0)
    monkeypatch.setattr(queries, "EXACT_VERIFIED", 0.0)


@pytest.mark.parametrize(
    "without",
    [
        quality_ignored, no_typing_errors, no_prefixes, no_synonyms, kinds_are_plain_words, all_words_or_nothing,
        exact_names_like_others,
    ],
    ids=lambda idea: idea.__name__,
)  # fmt: skip
def test_each_idea_is_noticed_when_it_is_gone(without, judgement, monkeypatch):
    without(monkeypatch)
    poorer = judged()
    print(f"{without.__name__}: {judgement.mean:.4f} -> {poorer.mean:.4f}, not first: {poorer.not_first}")
    assert poorer.mean <= judgement.mean - LEAST_LOSS or poorer.not_first


def test_the_formula_of_the_facts_is_what_ranks():
    """`final = text x (0.5 + 0.5 x quality)`: two components with one text differ by their factors only."""
    good = golden.make_entry("aa", "kafka", "extractor", "messaging", "Reads topics.", ["x"], 0.9)
    poor = golden.make_entry("bb", "kafka", "extractor", "messaging", "Reads topics.", ["x"], 0.1)
    index = SearchIndex()
    index.rebuild([poor, good])
    found = find(index.view, SearchQuery(q="topics", explain=True))
    assert [entry.id for entry in found.entries] == [good.id, poor.id]
    first, second = found.explanations
    assert first["final"] == pytest.approx(quality.factor(0.9), abs=1e-3)
    assert second["final"] == pytest.approx(quality.factor(0.1), abs=1e-3)
    searching = finder._Searching(index.view, SearchQuery(q="topics"))
    scores = [score for score, _ in searching._page(searching._base())]
    assert scores[0] / scores[1] == pytest.approx(quality.factor(0.9) / quality.factor(0.1), rel=1e-3)
