"""How tables may belong together: by foreign keys, by names and types, and by values that they share."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, Literal

import psycopg
from pydantic import Field

from dteg.core.config import ConfigModel
from dteg.core.errors import DtegError
from dteg.core.project import Project
from dteg.datasets.catalogue import CatalogueColumn, CatalogueTable, LiveCatalogue, Ref
from dteg.datasets.compiler import to_sql
from dteg.datasets.compiler.joining import table_node
from dteg.datasets.compiler.nodes import exp
from dteg.datasets.compiler.terms import EXACT, boxed, call, column_term, key_node, name_node
from dteg.datasets.session import reading_session
from dteg.datasets.spec import Expect
from dteg.datasets.types import Family, comparable
from dteg.tokens.visible import EVERYTHING, Visible

SAMPLE = 200
MAX_SAMPLED = 12
MAX_SUGGESTIONS = 30
SAMPLE_TIMEOUT_S = 2
SUGGEST_TIMEOUT_S = 15
LEAST_OVERLAP = 0.2
_SURE = 0.7
_KEYS = frozenset([Family.INTEGER, Family.TEXT, Family.UUID, Family.DECIMAL])
# Columns of these names are in every table and join none of them.
_COMMON = frozenset(
    [
        "name",
        "title",
        "status",
        "state",
        "type",
        "kind",
        "description",
        "created_at",
        "updated_at",
        "amount",
        "value",
    ]
)


class JoinSuggestion(ConfigModel):
    """How two tables may belong together."""

    left: str = Field(description="Alias of one table.")
    right: str = Field(description="Alias of the other.")
    on: list[list[str]] = Field(description="Pairs of `alias.column`.")
    expect: Expect = Field(description="How many rows match, left to right, as far as keys tell.")
    why: str = Field(description="Why it is suggested, for people.")
    score: float = Field(description="How sure it is, from 0 to 1.")


class _Candidate(ConfigModel):
    """A pair of tables and columns that may belong together."""

    left: str
    right: str
    pairs: list[tuple[str, str]]
    why: str
    score: float
    needs: Literal["nothing", "sample"] = "nothing"


def suggest_joins(
    project: Project,
    tables: Mapping[str, Ref] | Sequence[Ref],
    *,
    sees: Visible = EVERYTHING,
) -> list[JoinSuggestion]:
    """Return how tables may belong together, best first: by foreign keys, names and types, and values they share.

    Args:
        project: Whose.
        tables: Table by alias; without aliases they are called `t1`, `t2` and so on.
        sees: What who asks may see.

    Raises:
        DtegError: One of the tables is not there.
    """
    named = (
        dict(tables) if isinstance(tables, Mapping) else {f"t{n}": each for n, each in enumerate(tables, 1)}
    )
    catalogue = LiveCatalogue(project, sees)
    known = {alias: catalogue.table(reference) for alias, reference in named.items()}
    candidates = candidates_of(known)
    if any(each.needs == "sample" for each in candidates):
        candidates = _sampled(project, known, candidates)
    candidates.sort(key=lambda each: (-each.score, each.left, each.right))
    return [_suggestion(each, known) for each in _without_ids(candidates)[:MAX_SUGGESTIONS]]


def _without_ids(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """Leave out `a.id = b.id` where something better joins both: numbers of their own always overlap."""
    joined = {(each.left, each.right) for each in candidates if each.score >= _SURE}
    own = [("id", "id")]
    return [each for each in candidates if each.pairs != own or (each.left, each.right) not in joined]


def candidates_of(tables: Mapping[str, CatalogueTable]) -> list[_Candidate]:
    """Return what names, types and keys suggest, each pair of columns once, the surest reason for each."""
    found: dict[tuple[str, str, str], _Candidate] = {}
    for left, right in combinations(tables, 2):
        for candidate in (*_by_foreign_key(left, right, tables), *_by_columns(left, right, tables)):
            key = (left, right, str(sorted(candidate.pairs)))
            if key not in found or found[key].score < candidate.score:
                found[key] = candidate
    return list(found.values())


def _by_foreign_key(left: str, right: str, tables: Mapping[str, CatalogueTable]) -> Iterator[_Candidate]:
    for holder, target in ((left, right), (right, left)):
        source, other = tables[holder], tables[target]
        same_source = source.dependency.source == other.dependency.source != ""
        for key in source.foreign_keys if same_source else ():
            if (key.schema_, key.table) != (other.schema, other.name):
                continue
            pairs = list(zip(key.columns, key.ref_columns, strict=False))
            if not all(a in source.columns and b in other.columns for a, b in pairs):
                continue
            turned = pairs if holder == left else [(b, a) for a, b in pairs]
            yield _Candidate(left=left, right=right, pairs=turned, why="foreign key", score=1.0)


def _by_columns(left: str, right: str, tables: Mapping[str, CatalogueTable]) -> Iterator[_Candidate]:
    for a in tables[left].columns.values():
        for b in tables[right].columns.values():
            if not _may_be_keys(a, b):
                continue
            keyed = tables[left].is_unique([a.name]) or tables[right].is_unique([b.name])
            why, score = _names_say(a.name, b.name, tables[left], tables[right])
            if not why and not (keyed and a.name.lower() not in _COMMON and b.name.lower() not in _COMMON):
                continue
            yield _Candidate(
                left=left,
                right=right,
                pairs=[(a.name, b.name)],
                why=why,
                score=score + (0.15 if keyed and why else 0.0),
                needs="sample",
            )


def _may_be_keys(a: CatalogueColumn, b: CatalogueColumn) -> bool:
    families = (a.type.family, b.type.family)
    return all(family in _KEYS for family in families) and comparable(*families)


def _names_say(a: str, b: str, left: CatalogueTable, right: CatalogueTable) -> tuple[str, float]:
    """Return why two names may mean the same, and how much that says."""
    if _refers(a, right, b) or _refers(b, left, a):
        return f"{a if _refers(a, right, b) else b} is named after the other table", 0.7
    if a.lower() == b.lower() and a.lower() not in _COMMON:
        # An `id` of its own is in every table.
        return ("same name and type", 0.2) if a.lower() == "id" else ("same name and type", 0.6)
    return "", 0.0


def _refers(name: str, table: CatalogueTable, column: str) -> bool:
    """Whether `customer_id` means the column `id` of the table `customers`."""
    match = re.fullmatch(r"(.+?)_?(id|code|key|no|number)", name.lower())
    if match is None or not match[1]:
        return False
    stem = match[1].rstrip("_")
    words = {table.name.lower(), table.name.lower().rstrip("s"), re.sub(r"ies$", "y", table.name.lower())}
    return stem in words and column.lower() in (match[2], name.lower())


def _sampled(
    project: Project, tables: Mapping[str, CatalogueTable], candidates: list[_Candidate]
) -> list[_Candidate]:
    """Compare values where only a name speaks for a pair; a source that does not answer is not asked again."""
    ordered = sorted(candidates, key=lambda each: -each.score)
    asked = [each for each in ordered if each.needs == "sample"][:MAX_SAMPLED]
    rest = [each for each in ordered if each not in asked and each.why]
    try:
        with reading_session(
            project, [each.dependency for each in tables.values()], SUGGEST_TIMEOUT_S
        ) as connection:
            connection.execute(f"SET LOCAL statement_timeout = '{SAMPLE_TIMEOUT_S}s'".encode())
            return [*rest, *(each for one in asked if (each := _judged(connection, tables, one)))]
    except DtegError:
        return [*rest, *(each for each in asked if each.why)]


def _judged(
    connection: psycopg.Connection[Any], tables: Mapping[str, CatalogueTable], candidate: _Candidate
) -> _Candidate | None:
    try:
        with connection.transaction():
            row = connection.execute(to_sql(_overlap(tables, candidate)).encode()).fetchone()
    except psycopg.Error:
        return candidate if candidate.why else None
    sampled, matched = row or (0, 0)
    if not sampled:
        return candidate if candidate.why else None
    share = matched / sampled
    if share < LEAST_OVERLAP:
        return None
    told = f"{share:.0%} of {sampled} sampled values are in both"
    why = f"{candidate.why}; {told}" if candidate.why else told
    score = min(0.97, candidate.score + 0.25 * share) if candidate.why else 0.5 * share
    return candidate.model_copy(update={"why": why, "score": round(score, 2)})


def _overlap(tables: Mapping[str, CatalogueTable], candidate: _Candidate) -> exp.Select:
    """Return the query of how many values of a sample of one side the other side has.

    The side with a key is asked, so that the values of the other one are looked up in it.
    """
    (left_name, right_name) = candidate.pairs[0]
    sides = [(candidate.left, left_name), (candidate.right, right_name)]
    if tables[candidate.left].is_unique([left_name]):
        sides.reverse()
    (sampled, sampled_name), (asked, asked_name) = sides
    value = key_node(column_term(sampled, tables[sampled].columns[sampled_name], nullable=True), EXACT)
    inner = exp.Select(expressions=[exp.Alias(this=value, alias=name_node("value"))])
    inner.set("from_", exp.From(this=table_node(sampled, tables[sampled])))
    node = column_term(sampled, tables[sampled].columns[sampled_name], nullable=True).node
    inner.set("where", exp.Where(this=exp.Not(this=exp.Is(this=node, expression=exp.Null()))))
    inner.set("limit", exp.Limit(expression=exp.Literal.number(SAMPLE)))
    of_sample = exp.Column(this=name_node("value"), table=name_node("sampled values"))
    other = key_node(column_term(asked, tables[asked].columns[asked_name], nullable=True), EXACT)
    there = exp.Select(expressions=[other])
    there.set("from_", exp.From(this=table_node(asked, tables[asked])))
    is_there = boxed(exp.In(this=of_sample, query=exp.Subquery(this=there)))
    counted = exp.Filter(this=call("count", exp.Star()), expression=exp.Where(this=is_there))
    query = exp.Select(expressions=[call("count", exp.Star()), counted])
    alias = exp.TableAlias(this=name_node("sampled values"))
    query.set("from_", exp.From(this=exp.Subquery(this=inner, alias=alias)))
    return query


def _suggestion(candidate: _Candidate, tables: Mapping[str, CatalogueTable]) -> JoinSuggestion:
    left, right = tables[candidate.left], tables[candidate.right]
    words = [
        "one" if table.is_unique([pair[side] for pair in candidate.pairs]) else "many"
        for side, table in enumerate((left, right))
    ]
    expect: Expect = f"{words[0]}_to_{words[1]}"  # type: ignore[assignment]
    return JoinSuggestion(
        left=candidate.left,
        right=candidate.right,
        on=[[f"{candidate.left}.{a}", f"{candidate.right}.{b}"] for a, b in candidate.pairs],
        expect=expect,
        why=candidate.why,
        score=candidate.score,
    )
