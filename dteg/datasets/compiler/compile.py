"""A dataset as one query: names looked up, types checked, nodes put together, and text written only at the end."""

from collections.abc import Sequence
from functools import partial

from dteg.datasets.catalogue import Catalogue
from dteg.datasets.compiler.compiled import Compiled
from dteg.datasets.compiler.formulas import read_formula
from dteg.datasets.compiler.grouping import grouped
from dteg.datasets.compiler.joining import plan_joins
from dteg.datasets.compiler.nodes import exp
from dteg.datasets.compiler.outputs import (
    Output,
    check_names,
    check_uses,
    every_column,
    output_term,
    select,
)
from dteg.datasets.compiler.sorting import sorted_and_cut
from dteg.datasets.compiler.terms import Term
from dteg.datasets.compiler.work import Work
from dteg.datasets.spec import Column, DatasetSpec, FormulaColumn, FromColumn, conditions

MAX_TOTAL_SIZE = 30_000


def compile_dataset(spec: DatasetSpec, catalogue: Catalogue) -> Compiled:
    """Make the query of a dataset. Nothing is run.

    Raises:
        ConfigError: It does not fit its sources; each problem says where in the definition, with near names.
    """
    work = Work.begin(spec, catalogue)
    check_names(spec, work.problems)
    if not work.scope.missing:
        work.steps = plan_joins(spec, work.tables, work.scope, work.problems)
    _define_columns(work)
    where = _filter(work)
    query, outputs = grouped(work, where) if spec.grouped else _plain(work, where)
    query = sorted_and_cut(work, query, outputs)
    _check_size(work, outputs)
    check_uses(spec, outputs, work.problems)
    work.problems.raise_any()
    return Compiled.of(work, query, outputs)


def _define_columns(work: Work) -> None:
    for number, column in enumerate(work.spec.columns):
        before = len(work.problems.found)
        with work.problems.at("columns", number):
            work.scope.define(column.name, _column(work, column, number))
        if column.name not in work.scope.defined or len(work.problems.found) > before:
            work.scope.failed.add(column.name)


def _column(work: Work, column: Column, number: int) -> Term:
    path = ("columns", number)
    if isinstance(column, FromColumn):
        term = work.located((*path, "from"), partial(work.scope.reference, column.from_))
    elif isinstance(column, FormulaColumn):
        term = work.located((*path, "formula"), partial(read_formula, column.formula, work.scope, work.mode))
    else:
        term = work.located((*path, "lookup"), partial(work.lookups.term, column.lookup, work.scope))
    return work.typed((*path, "type"), term, column.type)


def _filter(work: Work) -> Term | None:
    if work.spec.filters is None:
        return None
    _warn_of_lost_rows(work)
    return work.condition(work.spec.filters, work.scope, ("filters",))


def _warn_of_lost_rows(work: Work) -> None:
    """Say that a filter on the optional side of a join leaves out the rows that the join keeps."""
    for condition, path in conditions(work.spec.filters, ("filters",)):
        alias = condition.col.partition(".")[0]
        if alias in work.scope.outer and condition.op != "is_null" and not {"any", "not"} & set(path):
            work.warnings.add(
                path,
                f"rows without a match in {alias} are left out by this filter, although the join keeps them; "
                "join with type: inner if that is meant, or allow missing values in an any group",
            )


def _plain(work: Work, where: Term | None) -> tuple[exp.Select, list[Output]]:
    """Return the query of a dataset with a row for each row, and its columns."""
    if work.spec.columns:
        outputs = [Output(name, output_term(term)) for name, term in work.scope.defined.items()]
    else:
        outputs = every_column(work.tables, work.scope)
    return work.read(select(outputs), where), outputs


def _check_size(work: Work, outputs: Sequence[Output]) -> None:
    if sum(output.term.size for output in outputs) > MAX_TOTAL_SIZE:
        work.problems.add(
            (), f"the columns come to more than {MAX_TOTAL_SIZE:,} parts; make fewer or simpler ones"
        )
