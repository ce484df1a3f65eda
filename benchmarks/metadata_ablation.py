"""What each part of the cache is worth to who asks: the tables that are found without it. Deterministic, no model.

A catalogue of 300 tables, whose questions are of three kinds: they name the table or say what it is about; they use a word
of the trade that stands in no schema, only in an example; they need a second table that only a join leads to.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from dteg.metadata.client.retrieval import Retrieval
from tests.unit.metadata_client.catalogue import AREAS, questions, tables

AT = 5
EACH = 300
# What people of the trade call a thing; no name and no description says so.
JARGON = {
    "orders": "turnover", "contracts": "renewals", "invoices": "receivables", "employees": "headcount", "visits": "footfall",
    "shipments": "throughput", "complaints": "churn", "budgets": "burn", "events": "incidence", "locations": "footprint",
}  # fmt: skip
# Things that refer to a table of codes, whose name and columns say nothing of what it is for.
CODED = ("orders", "shipments", "complaints", "contracts", "invoices")
_ASKED = (
    "how did {word} of {area} develop",
    "{area}: {word} by region and month",
    "where is {word} for {area} highest",
)
_JOINED = ("{area} {thing} by segment", "how many {area} {thing} for each class")
Question = tuple[str, tuple[str, ...]]


def figures() -> dict[str, dict[str, float]]:
    """Return for each part that is left out the recall of each kind of questions, and of all of them."""
    kinds: dict[str, Sequence[Question]] = {
        "names and meanings": [(text, (gold,)) for text, gold in questions()],
        "words of the trade": _trade(),
        "second table": _second(),
    }
    found = {}
    for name, retrieval in _retrievals():
        of_kind = {kind: recall(retrieval, asked) for kind, asked in kinds.items()}
        found[name] = of_kind | {"all": sum(of_kind.values()) / len(of_kind)}
    return found


def recall(retrieval: Retrieval, asked: Sequence[Question]) -> float:
    """Return the share of the tables of questions that are among the first ones."""
    shares = []
    for text, gold in asked:
        first = retrieval.tables(text)[:AT]
        shares.append(sum(each in first for each in gold) / len(gold))
    return sum(shares) / len(shares)


def _retrievals() -> list[tuple[str, Retrieval]]:
    entries, examples = catalogue(), _examples()
    plain = [{**each, "description": ""} for each in entries]
    apart = [{**each, "foreign_keys": []} for each in entries]
    return [
        ("everything", Retrieval(entries, examples)),
        ("without descriptions", Retrieval(plain, examples)),
        ("without examples", Retrieval(entries, [])),
        ("without joins", Retrieval(apart, examples)),
        ("schema only", Retrieval([{**each, "foreign_keys": []} for each in plain], [])),
    ]


def catalogue() -> list[Mapping[str, Any]]:
    """Return the tables; those of some things refer to a table of codes of their own."""
    found: list[Mapping[str, Any]] = []
    for table in tables():
        area, _, thing = table["table_id"].partition(".")[2].partition("_")
        if thing not in CODED:
            found.append(table)
            continue
        codes = _codes(area, thing)
        key = {"columns": ["id"], "ref_table": codes, "ref_columns": ["id"]}
        columns = [
            {"name": name, "type": "text", "mode": "NULLABLE", "description": ""} for name in ("id", "label")
        ]
        found += [
            {**table, "foreign_keys": [key]},
            {**table, "table_id": codes, "description": "", "columns": columns, "fingerprint_sha256": codes},
        ]
    return found


def _codes(area: str, thing: str) -> str:
    """Return the id of a table of codes: a number, as such tables are called."""
    return f"core.ref_{list(AREAS).index(area) * len(CODED) + CODED.index(thing):03d}"


def _examples() -> list[Mapping[str, Any]]:
    """Return an example for each table, in words of the trade; none of the questions has its wording."""
    return [
        {
            "question": f"What is the {word} in {area}?", "sql": f"SELECT count(*) FROM {area}.{area}_{thing}",
            "tables": [f"{area}.{area}_{thing}"],
        }
        for area in AREAS
        for thing, word in JARGON.items()
    ]  # fmt: skip


def _trade() -> list[Question]:
    chance = random.Random(11)  # noqa: S311 - no secret
    found: list[Question] = []
    for _ in range(EACH):
        area, thing = chance.choice(list(AREAS)), chance.choice(list(JARGON))
        text = chance.choice(_ASKED).format(word=JARGON[thing], area=area)
        found.append((text, (f"{area}.{area}_{thing}",)))
    return found


def _second() -> list[Question]:
    chance = random.Random(13)  # noqa: S311 - no secret
    found: list[Question] = []
    for _ in range(EACH):
        area, thing = chance.choice(list(AREAS)), chance.choice(CODED)
        text = chance.choice(_JOINED).format(area=area, thing=thing)
        found.append((text, (f"{area}.{area}_{thing}", _codes(area, thing))))
    return found
