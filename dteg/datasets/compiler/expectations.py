"""What to count to know whether joins match as a dataset expects."""

from pydantic import Field

from dteg.core.config import ConfigModel
from dteg.datasets.catalogue import Catalogue, CatalogueTable
from dteg.datasets.compiler.compile import compile_dataset
from dteg.datasets.compiler.compiled import Compiled, to_sql
from dteg.datasets.compiler.joining import JoinStep, table_node
from dteg.datasets.compiler.nodes import exp
from dteg.datasets.compiler.terms import TextCompare, call, column_term, key_node, name_node
from dteg.datasets.spec import DatasetSpec, Expect


class Expectation(ConfigModel):
    """One side of a join whose values should be there once."""

    number: int = Field(description="Place of the join under `joins`.")
    where: str = Field(description="The same as a path.")
    expect: Expect | None = Field(description="What the definition expects; null if nothing.")
    alias: str = Field(description="Source whose values may be there several times.")
    columns: list[str] = Field(description="Its columns.")
    sql: str = Field(description="Query of the number of values that are there several times.")


def expectations(spec: DatasetSpec, catalogue: Catalogue) -> list[Expectation]:
    """Return what to count to know whether joins match as the definition expects; nothing for what keys prove.

    Raises:
        ConfigError: The definition does not fit its sources.
    """
    compiled = compile_dataset(spec, catalogue)
    return [each for each in all_expectations(compiled) if each.expect]


def all_expectations(compiled: Compiled) -> list[Expectation]:
    """Return both sides of each join that no key proves to be without repeats, where that is expected or not known."""
    found = []
    for step in compiled.joins:
        left_word, right_word = step.expect.split("_to_") if step.expect else ("one", "one")
        sides = (
            (step.left, [left for left, _ in step.pairs], left_word, step.left_unique),
            (step.right, [right for _, right in step.pairs], right_word, step.right_unique),
        )
        for alias, names, word, proven in sides:
            if word == "one" and not proven:
                found.append(_expectation(step, alias, names, compiled.tables[alias], compiled.mode))
    return found


def _expectation(
    step: JoinStep, alias: str, names: list[str], table: CatalogueTable, mode: TextCompare
) -> Expectation:
    terms = [column_term(alias, table.columns[name], nullable=True) for name in names]
    keys = [key_node(term, mode) for term in terms]
    inner = exp.Select(expressions=[exp.Alias(this=exp.Literal.number(1), alias=name_node("one"))])
    inner.set("from_", exp.From(this=table_node(alias, table)))
    known: exp.Expression = exp.true()
    for term in terms:
        there = exp.Not(this=exp.Is(this=term.node, expression=exp.Null()))
        known = there if isinstance(known, exp.Boolean) else exp.And(this=known, expression=there)
    inner.set("where", exp.Where(this=known))
    inner.set("group", exp.Group(expressions=keys))
    several = exp.GT(this=call("count", exp.Star()), expression=exp.Literal.number(1))
    inner.set("having", exp.Having(this=several))
    return Expectation(
        number=step.number,
        where=f"joins[{step.number}]",
        expect=step.expect,
        alias=alias,
        columns=names,
        sql=to_sql(_counted(inner)),
    )


def _counted(inner: exp.Select) -> exp.Select:
    query = exp.Select(expressions=[call("count", exp.Star())])
    alias = exp.TableAlias(this=name_node("repeated"))
    query.set("from_", exp.From(this=exp.Subquery(this=inner, alias=alias)))
    return query
