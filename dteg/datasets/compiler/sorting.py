"""The order of a result, and its first rows."""

from dteg.core.errors import ConfigError
from dteg.datasets.compiler.nodes import exp
from dteg.datasets.compiler.outputs import Output, select
from dteg.datasets.compiler.scope import ResultScope
from dteg.datasets.compiler.terms import collated
from dteg.datasets.compiler.work import RESULT, Work, around
from dteg.datasets.types import Family


def sorted_and_cut(work: Work, query: exp.Select, outputs: list[Output]) -> exp.Select:
    """Sort and cut a result, by its own columns."""
    spec = work.spec
    if not spec.order_by and spec.limit is None:
        return query
    scope = ResultScope(RESULT)
    for output in outputs:
        scope.add(output.name, output.term)
    if spec.order_by:
        if any(table.foreign for table in work.tables.values()):
            # mysql_fdw fails to sort by what it does not know, when there is a limit.
            query.set("offset", exp.Offset(expression=exp.Literal.number(0)))
        query = around(query, select([Output(name, term) for name, term in scope.terms.items()]))
    if ordered := _ordered(work, scope):
        query.set("order", exp.Order(expressions=ordered))
    if spec.limit is not None:
        query.set("limit", exp.Limit(expression=exp.Literal.number(spec.limit)))
    return query


def _ordered(work: Work, scope: ResultScope) -> list[exp.Ordered]:
    found = []
    for number, order in enumerate(work.spec.order_by):
        with work.problems.at("order_by", number, "col"):
            term = scope.column("", order.col)
            if term.family in (Family.JSON, Family.OTHER):
                raise ConfigError(f"{order.col} is of the type {term.type.sql}, which has no order")
            node = collated(term.node) if term.family is Family.TEXT else term.node
            # Missing values last, both ways: nobody looks for them at the top.
            found.append(exp.Ordered(this=node, desc=order.descending, nulls_first=False))
    return found
