"""What is typed becomes words and nothing else; what is near a known word is suggested."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.search.entries import Entry
from registry.search.finder import find
from registry.search.index import SearchIndex
from registry.search.models import MAX_QUERY, ListQuery, SearchQuery, Sort
from registry.search.ranges import holding
from registry.search.suggestions import did_you_mean
from registry.search.words import exact, hints_of, query_words, words_of
from tests.unit.registry.search import golden

pytestmark = pytest.mark.unit
# What means something in tantivy's, Lucene's, MongoDB's and SQL's languages.
SIGNS = "+-&|!(){}[]^\"~*?:\\/<>=,;$.%_'`@# \t\n\x00"


@pytest.fixture(scope="module")
def view():
    index = SearchIndex()
    index.rebuild(golden.corpus())
    return index.view


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Kafka", ["kafka"]),
        ("  kafka   KAFKA ", ["kafka"]),
        ("Café Müller", ["cafe", "muller"]),
        ("kafka_connect-logs", ["kafka", "connect", "logs"]),
        ("dteg://dteg/kafka-extractor", ["dteg", "kafka", "extractor"]),
        ("marketplace://kafka", ["kafka"]),
        ("load the data into s3", ["load", "s3"]),
        ("the data", ["the", "data"]),
        ("SQL Server", ["mssql"]),
        ("\uff2b\uff21\uff26\uff2b\uff21", ["kafka"]),
        ("\u00ab\u2014\u2026", []),
        ("", []),
    ],
)
def test_words(text, words):
    assert query_words(text) == words


@pytest.mark.parametrize(
    "text",
    [
        "Google Sheets",
        "google_sheets",
        "google-sheets",
        "GOOGLESHEETS",
        "dteg://google-sheets@^1.2",
        " google  sheets ",
    ],
)
def test_names_are_the_same_without_case_and_separators(text):
    assert exact(text) == "googlesheets"


def test_a_namespace_before_a_slash_is_a_hint():
    assert "acme" in hints_of("acme/kafka")
    assert "acme" not in hints_of("acme kafka")


def test_a_query_has_at_most_twelve_words_of_forty_letters():
    assert len(query_words(" ".join(f"word{n}" for n in range(50)))) == 12
    assert [len(word) for word in words_of("x" * 100)] == [40]


@settings(max_examples=400, deadline=None)
@given(st.text(max_size=MAX_QUERY) | st.text(alphabet=SIGNS + "kafkaORAND", max_size=60))
def test_no_text_breaks_a_search(view, text):
    found = find(view, SearchQuery(q=text, explain=True))
    assert 0 <= len(found.entries) <= 20 <= max(20, found.total)
    assert len(found.explanations) == len(found.entries)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=SIGNS, max_size=30), st.text(alphabet=SIGNS, max_size=30))
def test_signs_around_a_word_change_nothing(view, before, after):
    """There is no query language: `name:`, `*`, `-`, `/.../` and quotes are only what separates words."""
    plain = find(view, SearchQuery(q="mysql"))
    signs = before.replace("/", "").replace("@", "") + " mysql " + after.replace("/", "").replace("@", "")
    assert [entry.id for entry in find(view, SearchQuery(q=signs)).entries] == [
        entry.id for entry in plain.entries
    ]


@pytest.mark.parametrize(
    "text", ["*", "kind:loader", "name:*", "NOT kafka", "-kafka", "id:[a TO z]", "kafka OR 1=1", "/.*/"]
)
def test_operators_are_words(view, text):
    """An operator that worked would find everything, or everything but kafka."""
    assert find(view, SearchQuery(q=text)).total < len(golden.corpus()) * 0.7


def test_filters_hold_and_facets_count_beside_them(view):
    every = find(view, ListQuery(limit=100))
    assert every.total == len(golden.corpus())
    assert sum(every.facets["kind"].values()) == every.total
    some = find(view, ListQuery(kind=["processor"], category=["ai", "quality"], limit=100))
    assert {entry.kind for entry in some.entries} == {"processor"}
    assert {entry.category for entry in some.entries} == {"ai", "quality"}
    assert some.total == len(some.entries)
    # One can see what another kind would give, with the category kept.
    assert some.facets["kind"]["processor"] == some.total
    assert some.facets["kind"]["extractor"] == sum(
        entry.kind == "extractor" and entry.category in ("ai", "quality") for entry in golden.corpus()
    )


def test_versions_are_compared_with_ranges():
    assert holding("3.12", [">=3.11", ">=3.13", "<3.12", "==3.12.*"]) == [">=3.11", "==3.12.*"]
    assert holding("0.2.0rc1", [">=0.1,<1", ">=0.2"]) == [">=0.1,<1"]
    new = golden.make_entry("aa", "new", "loader", "files", "Writes.", [], 0.5, framework_versions=">=2,<3")
    old = golden.make_entry(
        "aa", "old", "loader", "files", "Writes.", [], 0.5, python_versions=">=3.11,<3.13"
    )
    index = SearchIndex()
    index.rebuild([new, old])
    assert _ids(index, dteg="0.1.0") == [old.id]
    assert _ids(index, dteg="2.1.0") == [new.id]
    assert _ids(index, python="3.13") == [new.id]
    assert find(index.view, ListQuery(dteg="2.1.0")).facets["dteg"] == {"0.1.0": 1, "2.1.0": 1}
    assert find(index.view, ListQuery()).facets["python"]["3.11"] == 2
    assert find(index.view, ListQuery()).facets["python"]["3.13"] == 1


def test_what_is_proven_where_one_works_stands_first():
    cells = {"here": ("0.1.0|3.12",), "there": ("0.1.0|3.11",)}
    entries = [
        golden.make_entry("aa", name, "loader", "files", "Writes.", [], 0.5, proven=cells[name])
        for name in cells
    ]
    index = SearchIndex()
    index.rebuild(entries)
    assert _ids(index, dteg="0.1.0", python="3.12")[0] == "aa/here-loader"
    assert _ids(index, dteg="0.1.0", python="3.11")[0] == "aa/there-loader"
    assert len(_ids(index, dteg="0.1.0", python="3.11")) == 2


def test_orders():
    entries = [
        golden.make_entry(
            "aa", name, "loader", "files", "Writes.", [], quality, downloads=down, rating=stars, updated_s=at
        )
        for name, quality, down, stars, at in (
            ("b", 0.2, 5, 4.5, 30),
            ("a", 0.9, 1, 3.0, 20),
            ("c", 0.5, 9, 4.0, 10),
        )
    ]
    index = SearchIndex()
    index.rebuild(entries)
    expected = {
        "quality": "acb",
        "downloads": "cba",
        "rating": "bca",
        "updated": "bac",
        "name": "abc",
        "relevance": "acb",
    }
    for sort, order in expected.items():
        assert _ids(index, sort=Sort(sort)) == [f"aa/{name}-loader" for name in order], sort


@pytest.mark.parametrize("sort", Sort)
def test_pages_hold_each_component_once_and_the_same_in_every_process(sort):
    """All of one text and one quality: only the tie-breaker tells them apart."""
    count = 30 if sort is Sort.RELEVANCE else 300  # a score has room for few
    entries = [
        golden.make_entry("aa", f"same{n}", "loader", "files", "Writes rows.", [], 0.5) for n in range(count)
    ]
    first, second = SearchIndex(), SearchIndex()
    first.rebuild(entries)
    second.rebuild(reversed(entries))
    pages = [
        [
            entry.id
            for offset in range(0, count, count // 3)
            for entry in find(
                index.view, SearchQuery(q="rows", limit=count // 3, offset=offset, sort=sort)
            ).entries
        ]
        for index in (first, second)
    ]
    assert len(set(pages[0])) == count
    assert pages[0] == pages[1]


def test_suggestions():
    known = {"kafka": 5, "postgres": 9, "postgress": 1, "shopify": 2}
    assert did_you_mean("kafak sink", ["kafak"], known) == "kafka sink"
    assert did_you_mean("shoppifi", ["shoppifi"], known) == "shopify"
    assert did_you_mean("xqzzw", ["xqzzw"], known) is None
    assert did_you_mean("s4", ["s4"], known) is None


def test_changes_replace_and_removals_remove():
    index = SearchIndex()
    entry = golden.make_entry("aa", "kafka", "loader", "files", "Writes rows.", ["old"], 0.5)
    index.rebuild([entry])
    before = index.view
    changed = golden.make_entry("aa", "kafka", "loader", "files", "Sends.", ["new"], 0.5)
    index.apply([changed], [])
    assert find(index.view, SearchQuery(q="sends")).entries == [changed]
    assert find(index.view, SearchQuery(q="rows")).total == 0
    assert "old" not in index.view.words
    assert find(before, SearchQuery(q="rows")).entries == [entry], (
        "a search that runs sees what it began with"
    )
    index.apply([], ["aa/kafka-loader"])
    assert find(index.view, ListQuery()).total == 0
    assert index.size == 0
    index.apply([], ["aa/never-was"])
    assert index.size == 0


def test_replaced_entries_do_not_pile_up():
    index = SearchIndex()
    entry = golden.make_entry("aa", "kafka", "loader", "files", "Writes rows.", [], 0.5)
    for _ in range(5):
        index.apply([entry] * 300, [])
    assert len(index.view.entries) <= 1_000
    assert find(index.view, SearchQuery(q="kafka")).entries == [entry]


def _ids(index: SearchIndex, **wanted) -> list[str]:
    found: list[Entry] = find(index.view, ListQuery(**wanted)).entries
    return [entry.id for entry in found]
