"""Which tables and which examples fit a question: BM25, without a model.

Source: Robertson & Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009); masked questions:
Gao et al., DAIL-SQL (arXiv 2308.15363).
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

_K1, _B = 1.2, 0.6
# How often a word counts that stands there.
_NAME, _COLUMN, _TEXT, _QUESTION = 4, 2, 1, 2
_VALUES = 1
# Share of the score of a table that goes to those it is joined to: with less, tables that share only a word with the
# question come before those that its answer needs (benchmarks/metadata_ablation.py).
_JOINED = 0.6
_MASKS = (
    (re.compile(r"'(?:[^']|'')*'|\"[^\"]*\""), " "),
    (re.compile(r"\b\d{4}-\d{2}(?:-\d{2})?(?:[T ]\d{2}:\d{2}(?::\d{2})?)?\b"), " date "),
    (re.compile(r"\b\d+(?:[.,]\d+)*\b"), " number "),
)
_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
# Chinese, Japanese and Korean: no spaces, or endings grown onto the word. Pairs of characters find both.
_EAST_ASIAN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_STOP_WORDS = (
    "a about all also an and any are as at be been by can could did do does each ever every few find for from get "
    "give had has have how i in into is it its last least less list many me month more most much my number of on or our "
    "per please show since tell than that the their them then there these they this those to today top us was we "
    "were what when where which while who whom whose why will with within would year you your date"
)
_STOP = frozenset(_STOP_WORDS.split())
# What people say, and what tables call it. Words of a question count in full, these a part of it.
_RELATED_WORDS = """
    revenue turnover income earnings earned made: order total amount invoice payment sales
    sold selling sell: order line quantity sales
    buy bought purchase purchased: order customer payment
    spend spent spending: order total amount payment expense cost
    client clients buyer buyers shopper shoppers: customer
    user users member members: customer visitor account
    staff people worker workers colleague colleagues headcount: employee person
    vacation holiday holidays absence absent sick off: leave absence
    pay paid earn wage wages: salary payment payroll
    deliver delivers delivery deliveries delivered shipping: shipment delivered expected
    late delayed overdue delay: due expected delivered shipment
    stock inventory available: stock inventory hand
    item items article articles goods: product item
    refund refunds refunded back: return refund
    complaint complaints issue issues problem problems: ticket support
    breakdown breakdowns break breaks outage outages broken failure failures: downtime incident failure
    ad ads advert adverts advertising marketing: ad campaign
    visit visits traffic website site: session visit page
    vendor vendors: supplier
    hire hired hires joined: employee hired
    rating ratings satisfied happy: score satisfaction rating
    tax: vat tax
    profit margin: cost price amount
"""
_RELATED = 0.35
# Of a table and its copy the copy comes later, unless the question asks for it.
_COPIES = re.compile(
    r"(?:^|[._])(stg|staging|archive|archived|backup|bak|tmp|temp|old|copy|20\d\d)(?=[._]|$)"
)
_COPY = 0.7
_ENDINGS = ("ingly", "edly", "ments", "ment", "ations", "ation", "ings", "ing", "ers", "ies", "ied", "es", "ed", "er", "ly", "s", "y", "e")  # fmt: skip


def masked(question: str) -> str:
    """Return a question without its values: dates, numbers, and what stands in quotes."""
    for pattern, instead in _MASKS:
        question = pattern.sub(instead, question)
    return question


def words(text: str) -> list[str]:
    """Return the stems of the words of a text or of a name, without those that say nothing."""
    found = []
    for word in _WORD.findall(_CAMEL.sub(" ", text)):
        lower = word.lower()
        if _EAST_ASIAN.search(lower):
            found += [lower[at : at + 2] for at in range(max(1, len(lower) - 1))]
        elif lower not in _STOP and not (lower.isdigit() and len(lower) > 1):
            found.append(_stem(lower))
    return found


@lru_cache(maxsize=20_000)
def _stem(word: str) -> str:
    # Twice: ordered and orders are both what order is.
    return _shorter(_shorter(word))


def _shorter(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word.removesuffix(ending)
            # shipped, planning
            return word[:-1] if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiousl" else word
    return word


class Index:
    """Documents that can be searched for words.

    Args:
        documents: The words of each, with how often each counts.
    """

    def __init__(self, documents: Sequence[Mapping[str, float]]) -> None:
        self._postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
        lengths = [sum(each.values()) for each in documents]
        mean = sum(lengths) / len(lengths) if lengths else 1.0
        for number, document in enumerate(documents):
            norm = _K1 * (1 - _B + _B * lengths[number] / (mean or 1.0))
            for word, count in document.items():
                self._postings[word].append((number, count * (_K1 + 1) / (count + norm)))
        self._size = len(documents)

    def scores(self, question: Mapping[str, float]) -> dict[int, float]:
        """Return the score of each document that has any of the words.

        Args:
            question: Words, with how much each counts.
        """
        found: dict[int, float] = defaultdict(float)
        for word, share in question.items():
            postings = self._postings.get(word, ())
            weight = share * math.log(1 + (self._size - len(postings) + 0.5) / (len(postings) + 0.5))
            for number, part in postings:
                found[number] += weight * part
        return found


class Retrieval:
    """Finds tables and examples.

    Args:
        tables: The entries of all tables.
        examples: Questions with their SQL.
    """

    def __init__(self, tables: Sequence[Mapping[str, Any]], examples: Sequence[Mapping[str, Any]]) -> None:
        self._tables, self._examples = tables, examples
        self._ids = [str(each["table_id"]) for each in tables]
        self._questions = Index([Counter(words(masked(str(each["question"])))) for each in examples])
        asked: dict[str, Counter[str]] = defaultdict(Counter)
        for example in examples:
            for table in example.get("tables") or ():
                asked[table].update(words(masked(str(example["question"]))))
        self._index = Index([_document(each, asked.get(each["table_id"], {})) for each in tables])
        self._joins = self._joined()

    def tables(self, question: str) -> list[str]:
        """Return the ids of all tables, the one that fits best first; those that do not fit at all come last."""
        asked = words(masked(question))
        said = dict.fromkeys((other for word in asked for other in _related().get(word, ())), _RELATED)
        found = self._index.scores(said | dict.fromkeys(asked, 1.0))
        scores = {
            self._ids[number]: score * (_COPY if _is_copy(self._ids[number], asked) else 1.0)
            for number, score in found.items()
        }
        # What is joined to a good table is often needed with it, though the question does not name it.
        # By the best of its neighbours alone: else a table that all others refer to would fit every question.
        near: dict[str, float] = {}
        for table, score in scores.items():
            for other in self._joins.get(table, ()):
                near[other] = max(near.get(other, 0.0), _JOINED * score / len(self._joins[table]))
        raised = {each: scores.get(each, 0.0) + near.get(each, 0.0) for each in {*scores, *near}}
        popular = {
            str(each["table_id"]): (-(each.get("popularity") or 0), -(each.get("row_count") or 0))
            for each in self._tables
        }
        return sorted(
            self._ids, key=lambda each: (-raised.get(each, 0.0), _is_copy(each, asked), popular[each], each)
        )

    def examples(self, question: str, k: int) -> list[Mapping[str, Any]]:
        """Return the examples whose questions are like this one, best first; of those with the same form one."""
        scores = self._questions.scores(dict.fromkeys(words(masked(question)), 1.0))
        plain = " ".join(question.lower().split())
        for number, example in enumerate(self._examples):
            if " ".join(str(example["question"]).lower().split()) == plain:
                scores[number] = math.inf
        found: list[Mapping[str, Any]] = []
        seen: set[str] = set()
        for number in sorted(scores, key=lambda each: (-scores[each], each)):
            form = str(self._examples[number].get("sql_skeleton") or self._examples[number]["sql"])
            if form not in seen:
                seen.add(form)
                found.append(self._examples[number])
            if len(found) >= k:
                break
        return found

    def _joined(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = defaultdict(set)
        known = set(self._ids)
        for table in self._tables:
            for key in table.get("foreign_keys") or ():
                if (other := str(key.get("ref_table"))) in known and other != table["table_id"]:
                    found[str(table["table_id"])].add(other)
                    found[other].add(str(table["table_id"]))
        return found


@lru_cache(maxsize=1)
def _related() -> Mapping[str, tuple[str, ...]]:
    """Return what tables may call a word, by its stem."""
    found: dict[str, tuple[str, ...]] = {}
    for line in _RELATED_WORDS.strip().splitlines():
        said, _, called = line.partition(":")
        for word in said.split():
            found[_stem(word)] = tuple(map(_stem, called.split()))
    return found


def _is_copy(table_id: str, asked: Sequence[str]) -> bool:
    match = _COPIES.search(table_id.lower())
    return match is not None and match[1] not in asked


def _document(table: Mapping[str, Any], asked: Mapping[str, int]) -> dict[str, float]:
    """Return the words of a table, and how often each counts."""
    found: dict[str, float] = defaultdict(float)

    def add(text: Any, weight: float) -> None:
        for word in words(str(text or "")):
            found[word] += weight

    add(str(table["table_id"]).rpartition(".")[2], _NAME)
    add(str(table["table_id"]).rpartition(".")[0], _TEXT)
    add(table.get("description"), _COLUMN)
    for text in (*(table.get("tags") or ()), table.get("owner")):
        add(text, _TEXT)
    for metric in table.get("metrics") or ():
        add(f"{metric.get('name')} {metric.get('label')} {metric.get('description')}", _TEXT)
    for column in table.get("columns") or ():
        add(column.get("name"), _COLUMN)
        add(column.get("description"), _TEXT)
        for text in (*(column.get("synonyms") or ()), column.get("unit")):
            add(text, _TEXT)
        for value in column.get("top_values") or ():
            add(value.get("value"), _VALUES)
    for word, count in asked.items():
        found[word] += _QUESTION * min(count, 3)
    return found
