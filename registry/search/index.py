"""The index of one process: tantivy in memory, and what was indexed.

Changes are applied by one thread at a time; searches go on meanwhile on the view from before and take the new one when
it is complete.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from tantivy import (
    DocAddress,
    Document,
    Filter,
    Index,
    Query,
    Schema,
    SchemaBuilder,
    Searcher,
    TextAnalyzer,
    TextAnalyzerBuilder,
    Tokenizer,
)

from registry.search.entries import Entry
from registry.search.facets import FacetSets, FacetWriter, bits_of
from registry.search.models import FACETS
from registry.search.quality import ELSEWHERE, factor
from registry.search.words import exact, words_of

# Least that tantivy takes for one thread; an index of 10,000 components needs a fifth.
_HEAP_BYTES = 15_000_000
# Rebuild when so many entries were replaced, and more than there are: they still take memory.
_REPLACED_MIN = 1_000
_TIE_BITS: Final = 32
_TIE_STEP: Final = 1e-4 / 2**32
WEIGHT, WEIGHT_PROVEN, WEIGHT_ELSEWHERE = "weight", "weight_proven", "weight_elsewhere"
ORDERS = {"quality": "by_quality", "downloads": "by_downloads", "rating": "by_rating", "updated": "by_updated", "name": "by_name"}  # fmt: skip


def stored_weight(quality: float, tie: int) -> float:
    """Return what makes tantivy multiply a score with `2 x factor(quality)`: it takes log2(2 + value).

    The tie-breaker is far below what a text's score can differ by. tantivy's scores have 24 bits, so it tells apart a
    few hundred components of one text and one quality, no more.
    """
    return float(2 ** (2 * factor(quality)) - 2 + tie * _TIE_STEP)


# What words stand for is kept for so many of them: a few kB each.
_GROUPS_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class Group:
    """What may stand for one word of a query.

    Attributes:
        query: Finds it.
        entries: Numbers of the entries that it finds, as bits.
    """

    query: Query
    entries: int


class Groups:
    """The groups of words that were asked for last; people use few words in many combinations."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[object, ...], Group] = OrderedDict()

    def get(self, key: tuple[object, ...], make: Callable[[], Group]) -> Group:
        """Return the group of a key, making it if it is not there."""
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = make()
            if len(self._kept) > _GROUPS_KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return found


@dataclass(frozen=True, slots=True)
class View:
    """What one search sees, from begin to end.

    Attributes:
        searcher: A snapshot of the index.
        entries: By the number that the index keeps; only ever appended to.
        facets: Which entries have which values.
        vocabulary: Words of names and tags, for suggestions, with the number of components that have them.
        words: All words, likewise.
        generation: Changes with each change of the index.
        groups: What words stand for in it.
    """

    searcher: Searcher
    entries: list[Entry]
    facets: FacetSets
    vocabulary: dict[str, int]
    words: dict[str, int]
    generation: int
    groups: Groups

    def group(self, query: Query) -> Group:
        """Return a query with all that it finds."""
        every = max(1, self.facets.everyone.bit_count())
        hits = self.searcher.search(Query.const_score_query(query, 1.0), every, count=False).hits
        return Group(query, bits_of(self.numbers([address for _, address in hits]), len(self.entries)))

    def numbers(self, addresses: list[DocAddress]) -> list[int]:
        """Return the numbers of the entries at some places of the index."""
        found = self.searcher.fast_field_values("number", addresses)
        return [int(number) for number in found if number is not None]


class SearchIndex:
    """Components that can be found, of one process."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._generation = 0
        self._start_afresh()

    @property
    def view(self) -> View:
        """What a search may look at now."""
        return self._view

    @property
    def size(self) -> int:
        """How many components can be found."""
        return len(self._numbers)

    @property
    def schema(self) -> Schema:
        """The schema, to build queries with."""
        return SCHEMA

    def entries(self) -> list[Entry]:
        """Return the components that can be found, the oldest change first. For the thread that changes it."""
        return [self._entries[number] for number in sorted(self._numbers.values())]

    def rebuild(self, entries: Iterable[Entry]) -> None:
        """Put these in place of everything. Blocks; call it in a thread."""
        self._start_afresh(publish=False)
        self.apply(entries, ())

    def apply(self, entries: Iterable[Entry], gone: Iterable[str]) -> None:
        """Put these in, in place of what they were, and take out what is gone. Blocks; call it in a thread.

        Args:
            entries: New or changed.
            gone: Ids of components that must not be found any more.
        """
        writer = self._writer
        for identifier in gone:
            self._take_out(identifier)
        for entry in entries:
            self._take_out(entry.id)
            number = len(self._entries)
            self._entries.append(entry)
            self._numbers[entry.id] = number
            self._facets.add(entry, number)
            writer.add_document(_document(entry, number))
            self._vocabulary.update(suggested_words(entry))
            self._words.update(all_words(entry))
        writer.commit()
        self._index.reload()
        self._publish()
        if len(self._entries) > max(_REPLACED_MIN, 3 * len(self._numbers)):
            self.rebuild(self.entries())

    def _take_out(self, identifier: str) -> None:
        number = self._numbers.pop(identifier, None)
        if number is None:
            return
        self._writer.delete_documents_by_term("id", identifier)
        self._facets.remove(self._entries[number], number)
        self._vocabulary.subtract(suggested_words(self._entries[number]))
        self._words.subtract(all_words(self._entries[number]))

    def _start_afresh(self, *, publish: bool = True) -> None:
        self._index = Index(SCHEMA)
        self._index.register_tokenizer("words", WORDS)
        self._index.register_tokenizer("stems", STEMS)
        self._writer = self._index.writer(_HEAP_BYTES, 1)
        self._entries: list[Entry] = []
        self._numbers = {}
        self._facets = FacetWriter()
        self._vocabulary: Counter[str] = Counter()
        self._words: Counter[str] = Counter()
        if publish:
            self._publish()

    def _publish(self) -> None:
        self._generation += 1
        # Copies of what is counted: the event loop may look through them while this thread changes them.
        self._vocabulary, self._words = +self._vocabulary, +self._words
        self._view = View(
            self._index.searcher(), self._entries, self._facets.publish(), dict(self._vocabulary), dict(self._words),
            self._generation, Groups(),
        )  # fmt: skip


def suggested_words(entry: Entry) -> set[str]:
    """Return the words that a suggestion may hold."""
    return {
        word
        for text in (entry.name, *entry.tags)
        for word in words_of(text)
        if len(word) > 2 and not word.isdecimal()
    }


def all_words(entry: Entry) -> set[str]:
    """Return the words that it is found by."""
    return {
        word
        for text in (entry.name, *entry.tags, entry.summary, entry.namespace, entry.category)
        for word in words_of(text)
    } | {exact(entry.name)}


def _analyzer(*filters: Filter) -> TextAnalyzer:
    builder = TextAnalyzerBuilder(Tokenizer.whitespace())
    for each in filters:
        builder = builder.filter(each)
    return builder.build()


# Texts come as words that `words_of` has found already, so that index and query cannot differ.
WORDS = _analyzer()
STEMS = _analyzer(Filter.stemmer("english"))


def _schema() -> Schema:
    builder = SchemaBuilder()
    for name in ("name", "namespace"):
        builder.add_text_field(name, tokenizer_name="words", index_option="freq")
    for name in ("tags", "summary"):
        builder.add_text_field(name, tokenizer_name="stems", index_option="freq")
    for name in ("id", "joined", "exact", "exact_verified", "cell"):
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    for name in FACETS:
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic", fast=True)
    builder.add_text_field(ORDERS["name"], tokenizer_name="raw", index_option="basic", fast=True)
    for name in ("by_quality", "by_downloads", "by_rating", "by_updated", "number"):
        builder.add_unsigned_field(name, fast=True)
    for name in (WEIGHT, WEIGHT_PROVEN, WEIGHT_ELSEWHERE):
        builder.add_float_field(name, fast=True)
    return builder.build()


SCHEMA = _schema()


def _document(entry: Entry, number: int) -> Document:
    document = Document()
    for field, text in (("name", entry.name), ("namespace", entry.namespace), ("summary", entry.summary)):
        document.add_text(field, " ".join(words_of(text)))
    document.add_text("tags", " ".join(words_of(" ".join((*entry.tags, entry.category)))))
    document.add_text("id", entry.id)
    document.add_text("joined", exact(entry.name))
    for name in entry.exact_names:
        document.add_text("exact", name)
        if entry.verified:
            document.add_text("exact_verified", name)
    for environment in entry.proven:
        document.add_text("cell", environment)
    for facet, values in entry.facets().items():
        for value in values:
            document.add_text(facet, value)
    _add_orders(document, entry, number)
    return document


def _add_orders(document: Document, entry: Entry, number: int) -> None:
    tie, quality = entry.tie, entry.quality
    document.add_unsigned("number", number)
    document.add_text(ORDERS["name"], f"{entry.name} {entry.id}")
    for field, value in (
        ("by_quality", round(quality.total() * 1_000_000)),
        ("by_downloads", entry.downloads),
        ("by_rating", round(entry.rating * 1_000)),
        ("by_updated", entry.updated_s),
    ):
        document.add_unsigned(field, (max(0, value) << _TIE_BITS) + tie)
    elsewhere = ELSEWHERE if entry.proven else quality.proven
    for field, total in (
        (WEIGHT, quality.total()),
        (WEIGHT_PROVEN, quality.total(proven=1.0)),
        (WEIGHT_ELSEWHERE, quality.total(proven=elsewhere)),
    ):
        document.add_float(field, stored_weight(total, tie))
