"""From words to tantivy's queries. They are built term by term and never parsed, so a word can be nothing but a word."""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

from tantivy import Occur, Query, Searcher

from registry.search.facets import at_least
from registry.search.index import SCHEMA, STEMS, Group, View
from registry.search.words import KINDS, SYNONYMS, exact, hints_of, query_words

# Far above every score of text, times two and more: nothing else can get between these and the rest.
EXACT = 10_000.0
EXACT_VERIFIED = 30_000.0
# What a match in a field weighs. Names decide; a summary of 200 characters mentions much.
_BOOSTS = {"name": 10.0, "joined": 10.0, "tags": 4.0, "summary": 1.5, "namespace": 1.5}
_SYNONYM = 0.8
# A word that nobody uses may have a stem in common with another by chance; being near a name counts more.
_UNKNOWN = 0.3
_PREFIX = 16.0
_FUZZY = {"name": 16.0, "joined": 14.0, "tags": 5.0, "summary": 2.0}
_KIND = 25.0
# A second field that has the word too adds this share of its score.
_TIE_BREAKER = 0.1
_FUZZY_FROM_LETTERS = 4
_FUZZY_DISTANCE = 1
_PREFIX_FROM_LETTERS = 3
_STEMMED = frozenset({"tags", "summary"})


@dataclass(frozen=True, slots=True)
class TextQuery:
    """A query by words.

    Attributes:
        content: For each word that says what it is about, what may stand for it.
        hints: For each word that only says of which kind or whose.
        boost: What lifts exact names.
        unknown: Words that no component has.
    """

    content: tuple[Group, ...]
    hints: tuple[Group, ...]
    boost: Query
    unknown: tuple[str, ...]

    def wanting(self, least: int | None) -> Query:
        """Return the query that wants so many words of content; hints then only decide the order. None: every word."""
        if least is None:
            return all_of([each.query for each in (*self.content, *self.hints)])
        content = Query.boolean_query([(Occur.Should, each.query) for each in self.content], least)
        return Query.boolean_query(
            [(Occur.Must, content), *((Occur.Should, each.query) for each in self.hints)]
        )

    def entries(self, least: int | None) -> int:
        """Return what this query finds: numbers of entries, as bits."""
        if least is None:
            groups = (*self.content, *self.hints)
            return at_least((each.entries for each in groups), len(groups))
        return at_least((each.entries for each in self.content), least)

    def exact_first(self, query: Query) -> Query:
        """Return the query with exact names first."""
        return Query.boolean_query([(Occur.Must, query), (Occur.Should, self.boost)])

    def attempts(self) -> Iterator[tuple[int | None, bool]]:
        """Yield how many words are wanted, fewer each time, and whether the one before has to have found nothing."""
        yield None, False
        count = len(self.content)
        start = count if self.hints else count - 1
        for least in range(start, 0, -1):
            yield least, least < (count + 1) // 2


def text_query(view: View, text: str) -> TextQuery | None:
    """Return the query of a text; None if there is no word in it.

    Args:
        view: Where.
        text: What was typed.
    """
    words = query_words(text)
    if not words:
        return None
    hints = hints_of(text)
    known = [_known(view.words, word) for word in words]
    pairs = _pairs(view.searcher, words)
    last = len(words) - 1
    groups = [
        _group(view, word, known=known[at], last=at == last, whole=tuple(pairs.get(at, ())))
        for at, word in enumerate(words)
    ]
    return TextQuery(
        tuple(group for group, word in zip(groups, words, strict=True) if word not in hints),
        tuple(group for group, word in zip(groups, words, strict=True) if word in hints),
        _boost(exact(text)),
        tuple(word for word, is_known in zip(words, known, strict=True) if not is_known),
    )


def any_of(field: str, values: Sequence[str]) -> Query:
    """Return the query for one of the values; it adds nothing to the score."""
    return Query.const_score_query(Query.term_set_query(SCHEMA, field, list(values)), 0.0)


def all_of(queries: Sequence[Query]) -> Query:
    """Return the query for what matches all."""
    if len(queries) == 1:
        return queries[0]
    return Query.boolean_query([(Occur.Must, each) for each in queries])


def without(query: Query, excluded: Query) -> Query:
    """Return the query for what matches the one and not the other."""
    return Query.boolean_query([(Occur.Must, query), (Occur.MustNot, excluded)])


def everything() -> Query:
    """Return the query that matches all components alike."""
    return Query.const_score_query(Query.all_query(), 1.0)


def _boost(name: str) -> Query:
    return Query.disjunction_max_query(
        [
            Query.const_score_query(_term("exact", name), EXACT),
            Query.const_score_query(_term("exact_verified", name), EXACT_VERIFIED),
        ]
    )


def _group(view: View, word: str, *, known: bool, last: bool, whole: tuple[str, ...]) -> Group:
    """Return what may stand for a word, and what that finds."""
    prefix = len(word) >= _PREFIX_FROM_LETTERS or (last and len(word) > 1)
    key = (word, known, prefix, whole)
    return view.groups.get(key, lambda: view.group(_standing_for(word, known, prefix, whole)))


def _standing_for(word: str, known: bool, prefix: bool, whole: Sequence[str]) -> Query:
    """Return what may stand for a word: itself, its synonyms, longer names, and names with one typing error."""
    found = _fields(word, 1.0 if known else _UNKNOWN)
    for other in SYNONYMS.get(word, ()):
        found += _fields(other, _SYNONYM)
    for joined in whole:
        found += _fields(joined, 1.0)
    if word in KINDS:
        found.append(Query.const_score_query(_term("kind", KINDS[word]), _KIND))
    if prefix:
        found += [_fuzzy(field, word, 0, _PREFIX, prefix=True) for field in ("name", "joined")]
    if not known and len(word) >= _FUZZY_FROM_LETTERS:
        found += [_fuzzy(field, word, _FUZZY_DISTANCE, boost) for field, boost in _FUZZY.items()]
    return Query.disjunction_max_query(found, _TIE_BREAKER)


def _fields(word: str, share: float) -> list[Query]:
    return [
        Query.boost_query(_term(field, _stem(word) if field in _STEMMED else word), boost * share)
        for field, boost in _BOOSTS.items()
    ]


def _fuzzy(field: str, word: str, distance: int, boost: float, *, prefix: bool = False) -> Query:
    text = _stem(word) if field in _STEMMED else word
    query = Query.fuzzy_term_query(SCHEMA, field, text, distance, True, prefix)
    return Query.boost_query(query, boost)


def _pairs(searcher: Searcher, words: Sequence[str]) -> dict[int, list[str]]:
    """Return by place of a word the names that it makes with its neighbour: `big query` is `bigquery`."""
    found: dict[int, list[str]] = {}
    for at in range(len(words) - 1):
        joined = words[at] + words[at + 1]
        if any(searcher.doc_freq(field, joined) for field in ("name", "joined")):
            found.setdefault(at, []).append(joined)
            found.setdefault(at + 1, []).append(joined)
    return found


def _known(vocabulary: Container[str], word: str) -> bool:
    return word in KINDS or any(each in vocabulary for each in (word, *SYNONYMS.get(word, ())))


def _stem(word: str) -> str:
    stems = STEMS.analyze(word)
    return stems[0] if stems else word


def _term(field: str, value: str) -> Query:
    return Query.term_query(SCHEMA, field, value, "basic" if field in _UNRANKED else "freq")


_UNRANKED = frozenset({"joined", "exact", "exact_verified", "kind"})
