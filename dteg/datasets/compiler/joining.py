"""Joins of sources: in which order, on what, and which side is repeated."""

from collections.abc import Mapping
from dataclasses import dataclass

from dteg.core.errors import ConfigError
from dteg.core.suggest import did_you_mean
from dteg.datasets.catalogue import CatalogueTable
from dteg.datasets.compiler.comparing import compare
from dteg.datasets.compiler.nodes import exp
from dteg.datasets.compiler.scope import Problems, Scope
from dteg.datasets.compiler.terms import EXACT, TextCompare, column_term, key_node, name_node
from dteg.datasets.spec import DatasetSpec, Expect, Join, JoinType

_MIRRORED: dict[JoinType, JoinType] = {"left": "right", "right": "left", "inner": "inner", "full": "full"}


@dataclass(frozen=True)
class JoinStep:
    """One join as it is carried out.

    Attributes:
        number: Its place in the spec.
        left: Alias that the spec calls left.
        right: Alias that the spec calls right.
        pairs: Columns that are equal, left and right.
        joined: The alias that comes in with it.
        type: How rows of the aliases before (left) and of `joined` (right) are kept.
        expect: What the spec says of matches, left to right.
        left_unique: Whether keys say that no two rows of `left` have the same values.
        right_unique: Likewise for `right`.
    """

    number: int
    left: str
    right: str
    pairs: tuple[tuple[str, str], ...]
    joined: str
    type: JoinType
    expect: Expect | None
    left_unique: bool
    right_unique: bool

    def repeats(self, alias: str) -> bool | None:
        """Whether a row of one side may match several of the other; None if nobody knows."""
        unique = self.right_unique if alias == self.left else self.left_unique
        if unique:
            return False
        if self.expect is None:
            return None
        return self.expect.split("_to_")[1 if alias == self.left else 0] == "many"


def plan_joins(
    spec: DatasetSpec, tables: Mapping[str, CatalogueTable], scope: Scope, problems: Problems
) -> list[JoinStep]:
    """Put joins into an order in which each brings in one more source, beginning with the first source."""
    steps: list[JoinStep] = []
    order = list(spec.sources)
    present = {order[0]}
    waiting = []
    for number, join in enumerate(spec.joins):
        with problems.at("joins", number):
            _check_aliases(join, order)
            waiting.append((number, join))
    while chosen := next(((n, j) for n, j in waiting if (j.left in present) != (j.right in present)), None):
        waiting.remove(chosen)
        number, join = chosen
        joined = join.right if join.left in present else join.left
        if step := _step(number, join, joined, tables, (scope, problems)):
            steps.append(step)
            _mark_outer(scope, step, present)
        present.add(joined)
    for number, join in waiting:
        circle = join.left in present
        problems.add(
            ("joins", number),
            "these sources are joined already; put all pairs of columns into one join, or give a table a second alias"
            if circle
            else f"neither {join.left} nor {join.right} is joined with {order[0]}",
        )
    if not waiting:
        for alias in order:
            if alias not in present and not any(alias in (j.left, j.right) for j in spec.joins):
                problems.add(("sources", alias), f"{alias} is not joined with {order[0]}; add it under joins")
    return steps


def _check_aliases(join: Join, known: list[str]) -> None:
    for alias in (join.left, join.right):
        if alias not in known:
            near = did_you_mean(alias, known) or f"there are: {', '.join(known)}"
            raise ConfigError(f"there is no source {alias!r}; {near}")


def _step(
    number: int, join: Join, joined: str, tables: Mapping[str, CatalogueTable], names: tuple[Scope, Problems]
) -> JoinStep | None:
    scope, problems = names
    pairs: list[tuple[str, str]] = []
    for place, pair in enumerate(join.on):
        with problems.at("joins", number, "on", place):
            pairs.append(_pair(join, pair, scope))
    if len(pairs) < len(join.on):
        return None
    return JoinStep(
        number,
        join.left,
        join.right,
        tuple(pairs),
        joined,
        join.type if joined == join.right else _MIRRORED[join.type],
        join.expect,
        tables[join.left].is_unique([left for left, _ in pairs]),
        tables[join.right].is_unique([right for _, right in pairs]),
    )


def _pair(join: Join, pair: list[str], scope: Scope) -> tuple[str, str]:
    """Return the columns of left and right, whichever is written first."""
    found = {}
    for text in pair:
        alias, column = scope.source_column(text)
        found[alias] = column
    if set(found) != {join.left, join.right}:
        raise ConfigError(
            f"a pair has one column of {join.left} and one of {join.right}; here are {', '.join(pair)}"
        )
    left, right = found[join.left], found[join.right]
    compare("=", column_term("l", left, nullable=True), column_term("r", right, nullable=True), EXACT)
    return left.name, right.name


def _mark_outer(scope: Scope, step: JoinStep, present: set[str]) -> None:
    """Note whose columns are missing in rows without a match."""
    if step.type in ("left", "full"):
        scope.outer.add(step.joined)
    if step.type in ("right", "full"):
        scope.outer |= present


def join_node(step: JoinStep, tables: Mapping[str, CatalogueTable], mode: TextCompare) -> exp.Join:
    """Return a join as a part of a query."""
    conditions = []
    sent_away = False
    for left_name, right_name in step.pairs:
        left = column_term(step.left, tables[step.left].columns[left_name], nullable=True)
        right = column_term(step.right, tables[step.right].columns[right_name], nullable=True)
        conditions.append(compare("=", left, right, mode).node)
        sent_away |= left.family is right.family and all(
            key_node(each, mode) is each.node for each in (left, right)
        )
    on = conditions[0]
    for condition in conditions[1:]:
        on = exp.And(this=on, expression=condition)
    words = {"side": step.type.upper()} if step.type != "inner" else {"kind": "INNER"}
    this: exp.Expression = table_node(step.joined, tables[step.joined])
    same_server = tables[step.left].server == tables[step.right].server != ""
    if same_server and tables[step.joined].foreign and not sent_away:
        # mysql_fdw would let its server join each row with each, and leave the condition to us.
        this = fenced(this, step.joined)
    return exp.Join(this=this, on=on, **words)


def fenced(table: exp.Expression, alias: str) -> exp.Subquery:
    """Return a table behind a subquery that PostgreSQL does not merge with the rest of the query."""
    query = exp.Select(expressions=[exp.Star()])
    query.set("from_", exp.From(this=table))
    query.set("offset", exp.Offset(expression=exp.Literal.number(0)))
    return exp.Subquery(this=query, alias=exp.TableAlias(this=name_node(alias)))


def table_node(alias: str, table: CatalogueTable) -> exp.Table:
    """Return a table with its alias."""
    return exp.Table(
        this=name_node(table.relation.name),
        db=name_node(table.relation.schema_),
        alias=exp.TableAlias(this=name_node(alias)),
    )


def repeated_by(alias: str, steps: list[JoinStep]) -> list[tuple[JoinStep, str, bool | None]]:
    """Return the joins that may repeat rows of a source: the join, the side they are seen from, and whether it is sure."""
    found: list[tuple[JoinStep, str, bool | None]] = []
    seen, waiting = {alias}, [alias]
    while waiting:
        here = waiting.pop()
        for step in steps:
            if here not in (step.left, step.right):
                continue
            other = step.right if here == step.left else step.left
            if other in seen:
                continue
            seen.add(other)
            waiting.append(other)
            if (repeats := step.repeats(here)) is not False:
                found.append((step, here, repeats))
    return found
