"""A dataset with groups and measures: the query of the groups, and one around it for what is calculated from them."""

from functools import partial

from dteg.datasets.compiler.formulas import read_formula
from dteg.datasets.compiler.joining import repeated_by
from dteg.datasets.compiler.measuring import ADDING_UP, aggregate, group_term, period
from dteg.datasets.compiler.nodes import exp
from dteg.datasets.compiler.outputs import Output, group_name, output_term, select
from dteg.datasets.compiler.scope import ResultScope
from dteg.datasets.compiler.terms import Term
from dteg.datasets.compiler.work import RESULT, Work, around
from dteg.datasets.spec import AggregateMeasure, FormulaMeasure, Group


def grouped(work: Work, where: Term | None) -> tuple[exp.Select, list[Output]]:
    """Return the query of a dataset whose rows are groups, and its columns."""
    return _Groups(work).query(where)


class _Groups:
    def __init__(self, work: Work) -> None:
        self._work, self._spec = work, work.spec
        self._scope = ResultScope(RESULT)

    def query(self, where: Term | None) -> tuple[exp.Select, list[Output]]:
        keys, groups = self._keys()
        inner = [*groups, *self._aggregates()]
        calculated, shown = self._calculated(inner)
        query = select(inner or shown)
        if keys:
            query.set("group", exp.Group(expressions=keys))
        query = self._work.read(query, where)
        having = self._having()
        if calculated or having is not None:
            query = around(query, select(shown))
            if having is not None:
                query.set("where", exp.Where(this=having.node))
        return query, shown

    def _keys(self) -> tuple[list[exp.Expression], list[Output]]:
        """Return what rows are put together by, and what is shown for each group."""
        keys: list[exp.Expression] = []
        shown: list[Output] = []
        for number, group in enumerate(self._spec.group_by):
            with self._work.problems.at("group_by", number):
                name = group_name(group, self._spec)
                self._scope.failed.add(name)
                made = group_term(self._group_value(group, number), self._work.mode)
                keys.append(made.key)
                shown.append(Output(name, made.shown))
                self._scope.add(name, made.shown)
        return keys, shown

    def _group_value(self, group: Group, number: int) -> Term:
        reference, located = self._work.scope.reference, self._work.located
        if isinstance(group, str):
            return reference(group)
        term = located(("group_by", number, "from"), partial(reference, group.from_))
        return located(("group_by", number, "grain"), partial(period, term, group))

    def _aggregates(self) -> list[Output]:
        found = []
        for number, measure in enumerate(self._spec.measures):
            if not isinstance(measure, AggregateMeasure):
                continue
            self._scope.failed.add(measure.name)
            with self._work.problems.at("measures", number):
                term = self._aggregate(measure, number)
                found.append(Output(measure.name, term))
                self._scope.add(measure.name, term)
        return found

    def _aggregate(self, measure: AggregateMeasure, number: int) -> Term:
        work, path = self._work, ("measures", number)
        of = None
        if measure.of is not None:
            of = work.located((*path, "of"), partial(work.scope.reference, measure.of))
            self._warn_of_repeats(measure, of, number)
        where = None
        if measure.where is not None:
            where = work.condition(measure.where, work.scope, (*path, "where"))
        term = work.located((*path, "fn"), partial(aggregate, measure, of, where, work.mode))
        return work.typed((*path, "type"), term, measure.type)

    def _calculated(self, inner: list[Output]) -> tuple[bool, list[Output]]:
        """Return whether measures are calculated from others, and the columns of the result in the spec's order."""
        known = {output.name for output in inner}
        measures = {measure.name for measure in self._spec.measures}
        shown = [
            Output(each.name, self._scope.terms[each.name]) for each in inner if each.name not in measures
        ]
        calculated = False
        for number, measure in enumerate(self._spec.measures):
            if isinstance(measure, FormulaMeasure):
                calculated = True
                with self._work.problems.at("measures", number):
                    term = self._formula(measure, number)
                    shown.append(Output(measure.name, output_term(term)))
                    self._scope.terms[measure.name] = term
                self._scope.failed.add(measure.name)
            elif measure.name in known:
                shown.append(Output(measure.name, self._scope.terms[measure.name]))
        return calculated, shown

    def _formula(self, measure: FormulaMeasure, number: int) -> Term:
        path = ("measures", number)
        make = partial(read_formula, measure.formula, self._scope, self._work.mode)
        return self._work.typed((*path, "type"), self._work.located((*path, "formula"), make), measure.type)

    def _having(self) -> Term | None:
        if self._spec.having is None:
            return None
        return self._work.condition(self._spec.having, self._scope, ("having",))

    def _warn_of_repeats(self, measure: AggregateMeasure, of: Term, number: int) -> None:
        """Say that a sum counts rows several times, as far as the spec itself tells."""
        if measure.fn not in ADDING_UP or not of.aliases:
            return
        told = []
        for alias in sorted(of.aliases):
            sure = [step for step, _, repeats in repeated_by(alias, self._work.steps) if repeats]
            if not sure:
                return
            told.append((alias, sure[0]))
        alias, step = told[0]
        self._work.warnings.add(
            ("measures", number),
            f"{measure.name} adds up values of {alias}, and joins[{step.number}] has several rows for one of {alias}: "
            "values are counted several times. Sum up the other side first, in a dataset of its own, and join that",
        )
