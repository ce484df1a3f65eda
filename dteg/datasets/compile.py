"""A dataset as one query: names looked up, types checked, nodes put together, and text written only at the end."""

from collections.abc import Sequence
from functools import partial

from pydantic import ConfigDict, Field, PrivateAttr

from dteg.core.config import ConfigModel
from dteg.core.errors import ConfigError, Problem
from dteg.core.yaml import Path_
from dteg.datasets.casting import cast_to
from dteg.datasets.catalogue import Catalogue, CatalogueTable
from dteg.datasets.filters import filter_term
from dteg.datasets.formulas import read_formula
from dteg.datasets.joining import JoinStep, join_node, plan_joins, repeated_by, table_node
from dteg.datasets.lookups import Lookups
from dteg.datasets.measuring import ADDING_UP, aggregate, group_term, period
from dteg.datasets.models import DatasetColumn, Dependency
from dteg.datasets.nodes import exp
from dteg.datasets.outputs import Output, check_names, check_uses, every_column, output_term, select
from dteg.datasets.scope import AlreadyToldError, Problems, ResultScope, Scope
from dteg.datasets.spec import (
    AggregateMeasure,
    Column,
    DatasetSource,
    DatasetSpec,
    FormulaColumn,
    FormulaMeasure,
    FromColumn,
    Group,
    GroupColumn,
    conditions,
)
from dteg.datasets.terms import EXACT, Term, TextCompare, collated, name_node
from dteg.datasets.types import Family, parse_type
from dteg.sources.models import Relation

RESULT = "result"
MAX_TOTAL_SIZE = 30_000


class Compiled(ConfigModel):
    """The query of a dataset."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    sql: str = Field(description="One SELECT, without values to bind.")
    columns: list[DatasetColumn] = Field(description="Columns of the result, in order.")
    relations: list[Relation] = Field(description="What it reads in the warehouse.")
    depends_on: list[Dependency] = Field(description="The same, as people name it.")
    warnings: list[Problem] = Field(
        [], description="What may not be meant so; `path` says where in the definition."
    )

    _steps: list[JoinStep] = PrivateAttr([])
    _tables: dict[str, CatalogueTable] = PrivateAttr({})
    _mode: TextCompare = PrivateAttr(EXACT)

    @property
    def joins(self) -> list[JoinStep]:
        """The joins in the order in which they are carried out."""
        return self._steps

    @property
    def mode(self) -> TextCompare:
        """How it compares texts."""
        return self._mode

    @property
    def tables(self) -> dict[str, CatalogueTable]:
        """The sources by alias."""
        return self._tables


def compile_dataset(spec: DatasetSpec, catalogue: Catalogue) -> Compiled:
    """Make the query of a dataset. Nothing is run.

    Raises:
        ConfigError: It does not fit its sources; each problem says where in the definition, with near names.
    """
    return _Compiler(spec, catalogue).compiled()


def text_mode(spec: DatasetSpec, catalogue: Catalogue) -> TextCompare:
    """Return how a dataset compares texts."""
    return TextCompare(ci=True, collation=catalogue.letters()) if spec.text_compare == "ci" else EXACT


def to_sql(node: exp.Expression) -> str:
    """Write a query as text; each name quoted, nothing that is not part of the query."""
    return node.sql("postgres", identify=True, comments=False, pretty=True)


class _Compiler:
    def __init__(self, spec: DatasetSpec, catalogue: Catalogue) -> None:
        self._spec, self._catalogue = spec, catalogue
        self._mode = text_mode(spec, catalogue)
        self._problems = Problems()
        self._warnings = Problems()
        self._tables = self._look_up()
        self._scope = Scope(self._tables, frozenset(spec.sources) - set(self._tables))
        self._lookups = Lookups(catalogue, self._mode)
        self._steps: list[JoinStep] = []

    def compiled(self) -> Compiled:
        spec = self._spec
        self._refuse_circle()
        check_names(spec, self._problems)
        if not self._scope.missing:
            self._steps = plan_joins(spec, self._tables, self._scope, self._problems)
        self._define_columns()
        where = self._filter()
        query, outputs = self._grouped(where) if spec.grouped else self._plain(where)
        query, outputs = self._sorted(query, outputs)
        self._check_size(outputs)
        check_uses(spec, outputs, self._problems)
        self._problems.raise_any()
        return self._result(query, outputs)

    # Sources

    def _look_up(self) -> dict[str, CatalogueTable]:
        tables = {}
        for alias, reference in self._spec.sources.items():
            with self._problems.at("sources", alias):
                table = self._catalogue.table(reference)
                if not table.columns:
                    raise ConfigError(f"{reference} has no columns that can be read")
                tables[alias] = table
                if table.warning:
                    self._warnings.add(("sources", alias), table.warning)
        return tables

    def _refuse_circle(self) -> None:
        """Refuse a dataset that would read itself, by however many others."""
        name = self._spec.dataset
        for alias, reference in self._spec.sources.items():
            if not isinstance(reference, DatasetSource):
                continue
            if way := _way_to(name, reference.dataset, self._catalogue):
                self._problems.add(
                    ("sources", alias, "dataset"), f"{name} would read itself: {' -> '.join([name, *way])}"
                )

    # Columns

    def _define_columns(self) -> None:
        for number, column in enumerate(self._spec.columns):
            before = len(self._problems.found)
            with self._problems.at("columns", number):
                self._scope.define(column.name, self._column(column, number))
            if column.name not in self._scope.defined or len(self._problems.found) > before:
                self._scope.failed.add(column.name)

    def _column(self, column: Column, number: int) -> Term:
        path = ("columns", number)
        if isinstance(column, FromColumn):
            term = self._located((*path, "from"), partial(self._scope.reference, column.from_))
        elif isinstance(column, FormulaColumn):
            term = self._located(
                (*path, "formula"), partial(read_formula, column.formula, self._scope, self._mode)
            )
        else:
            term = self._located((*path, "lookup"), partial(self._lookups.term, column.lookup, self._scope))
        return self._located((*path, "type"), partial(_typed, term, column.type))

    def _located(self, path: Path_, make: "partial[Term]") -> Term:
        """Call something; its error gets its place in the spec."""
        found: list[Term] = []
        with self._problems.at(*path):
            found.append(make())
        if not found:
            raise AlreadyToldError
        return found[0]

    # Rows

    def _filter(self) -> Term | None:
        if self._spec.filters is None:
            return None
        self._warn_of_lost_rows()
        return filter_term(self._spec.filters, self._scope, self._mode, self._problems, ("filters",))

    def _warn_of_lost_rows(self) -> None:
        """Say that a filter on the optional side of a join leaves out the rows that the join keeps."""
        for condition, path in conditions(self._spec.filters, ("filters",)):
            alias = condition.col.partition(".")[0]
            if alias in self._scope.outer and condition.op != "is_null" and not {"any", "not"} & set(path):
                self._warnings.add(
                    path,
                    f"rows without a match in {alias} are left out by this filter, although the join keeps them; "
                    "join with type: inner if that is meant, or allow missing values in an any group",
                )

    def _from(self, query: exp.Select, where: Term | None) -> exp.Select:
        """Add to a query what it reads, joined, and its filter."""
        first = next(iter(self._spec.sources))
        if first in self._tables:
            query.set("from_", exp.From(this=table_node(first, self._tables[first])))
        joins = [join_node(step, self._tables, self._mode) for step in self._steps]
        used = {column.table for column in query.find_all(exp.Column)}
        if where is not None:
            used |= {column.table for column in where.node.find_all(exp.Column)}
        query.set("joins", joins + self._lookups.joins(used))
        if where is not None:
            query.set("where", exp.Where(this=where.node))
        return query

    def _plain(self, where: Term | None) -> tuple[exp.Select, list[Output]]:
        if self._spec.columns:
            outputs = [Output(name, output_term(term)) for name, term in self._scope.defined.items()]
        else:
            outputs = every_column(self._tables, self._scope)
        return self._from(select(outputs), where), outputs

    # Groups

    def _grouped(self, where: Term | None) -> tuple[exp.Select, list[Output]]:
        outputs: list[Output] = []
        keys: list[exp.Expression] = []
        scope = ResultScope(RESULT)
        for number, group in enumerate(self._spec.group_by):
            with self._problems.at("group_by", number):
                name = group_name(group, self._spec)
                scope.failed.add(name)
                made = group_term(self._group_value(group, number), self._mode)
                keys.append(made.key)
                outputs.append(Output(name, made.shown))
                scope.add(name, made.shown)
        inner = [*outputs, *self._aggregates(scope)]
        outer, shown = self._calculated(scope, inner)
        query = select(inner or shown)
        if keys:
            query.set("group", exp.Group(expressions=keys))
        query = self._from(query, where)
        having = self._having(scope)
        if outer or having is not None:
            query = _around(query, select(shown))
            if having is not None:
                query.set("where", exp.Where(this=having.node))
        return query, shown

    def _group_value(self, group: Group, number: int) -> Term:
        if isinstance(group, str):
            return self._scope.reference(group)
        term = self._located(("group_by", number, "from"), partial(self._scope.reference, group.from_))
        return self._located(("group_by", number, "grain"), partial(period, term, group))

    def _aggregates(self, scope: ResultScope) -> list[Output]:
        found = []
        for number, measure in enumerate(self._spec.measures):
            if not isinstance(measure, AggregateMeasure):
                continue
            scope.failed.add(measure.name)
            with self._problems.at("measures", number):
                term = self._aggregate(measure, number)
                found.append(Output(measure.name, term))
                scope.add(measure.name, term)
        return found

    def _aggregate(self, measure: AggregateMeasure, number: int) -> Term:
        path = ("measures", number)
        of = None
        if measure.of is not None:
            of = self._located((*path, "of"), partial(self._scope.reference, measure.of))
            self._warn_of_repeats(measure, of, number)
        where = None
        if measure.where is not None:
            where = filter_term(measure.where, self._scope, self._mode, self._problems, (*path, "where"))
        term = self._located((*path, "fn"), partial(aggregate, measure, of, where, self._mode))
        return self._located((*path, "type"), partial(_typed, term, measure.type))

    def _calculated(self, scope: ResultScope, inner: Sequence[Output]) -> tuple[bool, list[Output]]:
        """Return whether measures are calculated from others, and the columns of the result in the spec's order."""
        known = {output.name for output in inner}
        groups = [
            each.name for each in inner if each.name not in {measure.name for measure in self._spec.measures}
        ]
        shown = [Output(name, scope.terms[name]) for name in groups]
        calculated = False
        for number, measure in enumerate(self._spec.measures):
            if isinstance(measure, FormulaMeasure):
                calculated = True
                with self._problems.at("measures", number):
                    term = self._formula_measure(measure, number, scope)
                    shown.append(Output(measure.name, output_term(term)))
                    scope.terms[measure.name] = term
                scope.failed.add(measure.name)
            elif measure.name in known:
                shown.append(Output(measure.name, scope.terms[measure.name]))
        return calculated, shown

    def _formula_measure(self, measure: FormulaMeasure, number: int, scope: ResultScope) -> Term:
        path = ("measures", number)
        term = self._located((*path, "formula"), partial(read_formula, measure.formula, scope, self._mode))
        return self._located((*path, "type"), partial(_typed, term, measure.type))

    def _having(self, scope: ResultScope) -> Term | None:
        if self._spec.having is None:
            return None
        return filter_term(self._spec.having, scope, self._mode, self._problems, ("having",))

    # The whole

    def _sorted(self, query: exp.Select, outputs: list[Output]) -> tuple[exp.Select, list[Output]]:
        """Sort and cut the result, by its own columns."""
        spec = self._spec
        if not spec.order_by and spec.limit is None:
            return query, outputs
        scope = ResultScope(RESULT)
        for output in outputs:
            scope.add(output.name, output.term)
        if spec.order_by:
            if any(table.foreign for table in self._tables.values()):
                # mysql_fdw fails to sort by what it does not know, when there is a limit.
                query.set("offset", exp.Offset(expression=exp.Literal.number(0)))
            query = _around(query, select([Output(name, term) for name, term in scope.terms.items()]))
        ordered = []
        for number, order in enumerate(spec.order_by):
            with self._problems.at("order_by", number, "col"):
                term = scope.column("", order.col)
                if term.family in (Family.JSON, Family.OTHER):
                    raise ConfigError(f"{order.col} is of the type {term.type.sql}, which has no order")
                node = collated(term.node) if term.family is Family.TEXT else term.node
                # Missing values last, both ways: nobody looks for them at the top.
                ordered.append(exp.Ordered(this=node, desc=order.descending, nulls_first=False))
        if ordered:
            query.set("order", exp.Order(expressions=ordered))
        if spec.limit is not None:
            query.set("limit", exp.Limit(expression=exp.Literal.number(spec.limit)))
        return query, outputs

    def _check_size(self, outputs: Sequence[Output]) -> None:
        total = sum(output.term.size for output in outputs)
        if total > MAX_TOTAL_SIZE:
            self._problems.add(
                (), f"the columns come to more than {MAX_TOTAL_SIZE:,} parts; make fewer or simpler ones"
            )

    def _warn_of_repeats(self, measure: AggregateMeasure, of: Term, number: int) -> None:
        """Say that a sum counts rows several times, as far as the spec itself tells."""
        if measure.fn not in ADDING_UP or not of.aliases:
            return
        told = []
        for alias in sorted(of.aliases):
            sure = [step for step, _, repeats in repeated_by(alias, self._steps) if repeats]
            if not sure:
                return
            told.append((alias, sure[0]))
        alias, step = told[0]
        self._warnings.add(
            ("measures", number),
            f"{measure.name} adds up values of {alias}, and joins[{step.number}] has several rows for one of {alias}: "
            "values are counted several times. Sum up the other side first, in a dataset of its own, and join that",
        )

    def _result(self, query: exp.Select, outputs: Sequence[Output]) -> Compiled:
        tables = [*self._tables.values(), *self._lookups.tables()]
        relations = {str(table.relation): table.relation for table in tables}
        dependencies = {(table.dependency.kind, table.dependency.name): table.dependency for table in tables}
        compiled = Compiled(
            sql=to_sql(query),
            columns=[
                DatasetColumn(name=each.name, type=each.term.type.sql, nullable=each.term.nullable)
                for each in outputs
            ],
            relations=list(relations.values()),
            depends_on=list(dependencies.values()),
            warnings=self._warnings.found,
        )
        compiled._steps = self._steps  # noqa: SLF001 - of its own module
        compiled._tables = dict(self._tables)  # noqa: SLF001
        compiled._mode = self._mode  # noqa: SLF001
        return compiled


def group_name(group: Group, spec: DatasetSpec) -> str:
    """Return the name of a group in the result: a text `o.country` is called `country`."""
    if isinstance(group, GroupColumn):
        return group.name
    alias, dot, column = group.partition(".")
    return column if dot and alias in spec.sources and column else group


def _typed(term: Term, type_: str | None) -> Term:
    return cast_to(term, parse_type(type_)) if type_ else term


def _around(query: exp.Select, outer: exp.Select) -> exp.Select:
    """Put a query into another one, which reads its result."""
    outer.set("from_", exp.From(this=exp.Subquery(this=query, alias=exp.TableAlias(this=name_node(RESULT)))))
    return outer


def _way_to(name: str, start: str, catalogue: Catalogue) -> list[str]:
    """Return the datasets from `start` to `name`, each reading the next; none if there is no way."""
    before: dict[str, str] = {start: ""}
    waiting = [start]
    while waiting:
        here = waiting.pop()
        if here == name:
            way = [here]
            while before[way[0]]:
                way.insert(0, before[way[0]])
            return way
        for following in catalogue.dataset_uses(here):
            if following not in before:
                before[following] = here
                waiting.append(following)
    return []
