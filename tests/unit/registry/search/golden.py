"""The golden queries: a corpus of known systems, what people would want for each query, and how near the search comes."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from registry.search.entries import Entry
from registry.search.quality import Quality

FOLDER = Path(__file__).parent
KINDS = {"e": ("extractor",), "l": ("loader",), "b": ("extractor", "loader")}
SENTENCES = {
    "extractor": (
        "Reads {title} incrementally, with retries and checkpoints.",
        "Brings rows from {title} into your warehouse.",
        "Full and incremental reads of {title}.",
    ),
    "loader": (
        "Writes batches to {title}, exactly once.",
        "Loads rows into {title} in parallel.",
        "Puts streams into {title} with schema changes.",
    ),
}
# What is worth one grade less than it would otherwise be.
LOW_QUALITY = 0.4


@dataclass(frozen=True)
class Query:
    """One query of the golden set."""

    q: str
    grades: dict[str, int]
    exact: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()

    def grade(self, entry: Entry) -> int:
        """Return what a person would give: 3 what was meant, 0 nothing of the sort."""
        if self.kind and entry.kind not in self.kind:
            return 0
        found = next((grade for pattern, grade in self.grades.items() if fnmatchcase(entry.id, pattern)), 0)
        poor = entry.quality.total() < LOW_QUALITY
        return max(0, found - 1) if poor else found


def ndcg(grades: Sequence[int], all_grades: Sequence[int], k: int = 10) -> float:
    """Return the normalised discounted cumulative gain of the first k results.

    Source: Järvelin & Kekäläinen, ACM TOIS 20 (2002), with gains 2^grade - 1.
    """
    ideal = _gain(sorted(all_grades, reverse=True)[:k])
    return _gain(grades[:k]) / ideal if ideal else 1.0


def _gain(grades: Sequence[int]) -> float:
    return sum((2**grade - 1) / math.log2(place + 2) for place, grade in enumerate(grades))


@dataclass
class Judgement:
    """How near a search comes: `mean`, the same by query, and the queries whose exact name did not stand first."""

    by_query: dict[str, float] = field(default_factory=dict)
    not_first: list[str] = field(default_factory=list)

    @property
    def mean(self) -> float:
        return sum(self.by_query.values()) / len(self.by_query)


def judge(search: Callable[[Query], Sequence[Entry]]) -> Judgement:
    """Ask all golden queries; `search` returns the first ten for one."""
    judgement = Judgement()
    for query in queries():
        found = list(search(query))
        label = " ".join([query.q, *query.kind])
        judgement.by_query[label] = ndcg(
            [query.grade(each) for each in found], [query.grade(each) for each in corpus()]
        )
        if set(query.exact) != {each.id for each in found[: len(query.exact)]}:
            judgement.not_first.append(label)
    return judgement


@cache
def queries() -> tuple[Query, ...]:
    """Return the golden queries."""
    read = yaml.safe_load((FOLDER / "golden.yaml").read_text())
    return tuple(
        Query(str(each["q"]), each["grades"], tuple(each.get("exact", ())), tuple(each.get("kind", ())))
        for each in read["queries"]
    )


@cache
def corpus() -> tuple[Entry, ...]:
    """Return the components that are searched: the same ones each time."""
    read = yaml.safe_load((FOLDER / "corpus.yaml").read_text())
    entries: list[Entry] = []
    for name, (title, category, kinds, tags) in read["systems"].items():
        for kind in KINDS[kinds]:
            entries += _of_system(str(name), title, category, kind, tags)
    for name, (category, kind, summary, tags) in read["processors"].items():
        entries.append(make_entry("dteg", str(name), kind, category, summary, tags, 0.8, verified=True))
    for name, kind, category, summary, tags, quality in read["lookalikes"]:
        entries.append(make_entry("hobby", name, kind, category, summary, tags, quality))
    return tuple(entries)


def _of_system(name: str, title: str, category: str, kind: str, tags: list[str]) -> list[Entry]:
    """Return the component of `dteg`, and for many systems those of others: a good one, a poor one."""
    number = _number(name, kind)
    sentences = SENTENCES[kind]
    found = [
        make_entry(
            "dteg", name, kind, category, sentences[number % 3].format(title=title), tags, 0.85, verified=True
        )
    ]
    if number % 3 == 0:
        text = f"Another {kind} for {title}. {sentences[(number + 1) % 3].format(title=title)}"
        found.append(make_entry("acme", name, kind, category, text, tags, 0.6))
    if number % 2 == 0:
        text = f"{title} {title} {title}. {sentences[(number + 2) % 3].format(title=title)}"
        found.append(make_entry("copycat", name, kind, category, text, [*tags, name.replace("_", "-")], 0.15))
    return found


def make_entry(  # noqa: PLR0917 - a row of the corpus
    namespace: str, name: str, kind: str, category: str, summary: str, tags: Sequence[str], quality: float,
    *, verified: bool = False, **more: Any,
) -> Entry:  # fmt: skip
    """Return a component with a quality of about so much."""
    slug = f"{name.replace('_', '-')}-{kind}"
    parts = Quality(quality, quality, quality, quality, quality)
    given = {
        "id": f"{namespace}/{slug}", "slug": slug, "name": name, "kind": kind, "category": category, "summary": summary,
        "tags": tuple(tags), "licence": "Apache-2.0", "capabilities": ("network",), "framework_versions": ">=0.1,<1",
        "python_versions": ">=3.11", "price": "free", "tier": "listed", "verified": verified, "quality": parts,
        "body": b'{"id":"%s/%s"}' % (namespace.encode(), slug.encode()),
    }  # fmt: skip
    return Entry(**{**given, **more})


def _number(*parts: str) -> int:
    return int.from_bytes(hashlib.blake2b("|".join(parts).encode(), digest_size=4).digest())
