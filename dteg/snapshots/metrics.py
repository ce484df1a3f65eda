"""Which numbers of a dataset are remembered, and the query that works them out.

A dataset has a row for each group, a metric one number for each choice of `by`. Sums, counts, least and greatest values
can be put together over groups. Other values cannot: customers counted in two groups may be the same ones. Where `by`
leaves several groups together the metric is then their mean, and says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from dteg.core.errors import ConfigError, Problem
from dteg.core.identifiers import TableName
from dteg.core.suggest import did_you_mean
from dteg.datasets.models import DatasetColumn
from dteg.datasets.spec import AggregateMeasure, DatasetSpec
from dteg.snapshots.models import How

ROWS = "rows"
# A series for each customer would be a copy of the table: whole rows are for that.
MAX_SERIES = 5_000
_NUMBERS = ("smallint", "integer", "bigint", "numeric", "decimal", "real", "double precision", "float")
_ADDITIVE = {"sum": How.SUM, "count": How.SUM, "min": How.MIN, "max": How.MAX}
_SQL = {How.SUM: "sum", How.MIN: "min", How.MAX: "max", How.MEAN: "avg", How.VALUE: "max"}


@dataclass(frozen=True, slots=True)
class MetricPlan:
    """One metric of a query.

    Attributes:
        name: Column, or `rows`.
        how: How rows become one number for each choice of `by`.
        total: Whether there is a number over all rows too.
    """

    name: str
    how: How
    total: bool


@dataclass(frozen=True, slots=True)
class SnapshotPlan:
    """What one snapshot of a dataset works out.

    Attributes:
        metrics: The numbers.
        by: Columns they are kept apart by.
    """

    metrics: tuple[MetricPlan, ...]
    by: tuple[str, ...]

    def query(self, relation: TableName) -> sql.Composed:
        """Return the query: a row of texts for `by`, whether it is the total, and a number for each metric."""
        names: list[sql.Composable] = [sql.Identifier(name) for name in self.by]
        total = sql.SQL("grouping({})::int = {}").format(_list(names), sql.Literal(2 ** len(names) - 1))
        shown: list[sql.Composable] = [sql.SQL("{}::text").format(name) for name in names]
        shown.append(total if names else sql.SQL("true"))
        shown += [self._number(metric) for metric in self.metrics]
        query = sql.SQL("SELECT {} FROM {}").format(_list(shown), relation.identifier)
        if names:
            query += sql.SQL(" GROUP BY GROUPING SETS (({}), ()) LIMIT {}").format(
                _list(names), sql.Literal(MAX_SERIES + 2)
            )
        return query

    @staticmethod
    def _number(metric: MetricPlan) -> sql.Composable:
        if metric.how is How.COUNT:
            return sql.SQL("count(*)::float8")
        return sql.SQL(f"{_SQL[metric.how]}({{}})::float8").format(sql.Identifier(metric.name))


def plan_of(spec: DatasetSpec, columns: Sequence[DatasetColumn]) -> SnapshotPlan:
    """Return what a dataset's snapshots work out.

    Args:
        spec: The definition.
        columns: Columns of the rows that are there.

    Raises:
        ConfigError: It has no `snapshot`, or that names columns that are not there or are no numbers.
    """
    if spec.snapshot is None:
        raise ConfigError(
            f'dataset {spec.dataset} remembers nothing: add `snapshot: {{schedule: "0 * * * *"}}` to its definition'
        )
    types = {column.name: column.type for column in columns}
    # Of all measures those that are numbers: the latest date is none.
    all_ = [each.name for each in spec.measures if types.get(each.name, "").startswith(_NUMBERS)]
    wanted = spec.snapshot.metrics or all_
    by = list(dict.fromkeys(spec.snapshot.by))
    problems = [_missing("by", n, name, types) for n, name in enumerate(by) if name not in types]
    for number, name in enumerate(wanted):
        if name not in types:
            if name != ROWS:
                problems.append(_missing("metrics", number, name, types))
        elif not types[name].startswith(_NUMBERS):
            problems.append(
                Problem(f"{name} is {types[name]}, not a number", path=f"snapshot.metrics[{number}]")
            )
    if problems:
        raise ConfigError(problems)
    whole = set(group_names(spec)) <= set(by)
    plans = [_plan(spec, name, whole=whole) for name in dict.fromkeys(wanted) if name in types]
    if ROWS not in types:
        plans.append(MetricPlan(ROWS, How.COUNT, total=True))
    return SnapshotPlan(tuple(plans), tuple(by))


def group_names(spec: DatasetSpec) -> list[str]:
    """Return the columns that a dataset's rows are grouped by, as they are called in its result."""
    return [each.rsplit(".", 1)[-1] if isinstance(each, str) else each.name for each in spec.group_by]


def _plan(spec: DatasetSpec, name: str, *, whole: bool) -> MetricPlan:
    """Return how a column becomes one number; `whole` if each choice of `by` has one row."""
    if not spec.grouped:
        return MetricPlan(name, How.SUM, total=True)
    measure = next((each for each in spec.measures if each.name == name), None)
    how = _ADDITIVE.get(measure.fn) if isinstance(measure, AggregateMeasure) else None
    if how is not None:
        return MetricPlan(name, how, total=True)
    # Without groups the total is the one row itself.
    return MetricPlan(name, How.VALUE if whole else How.MEAN, total=not spec.group_by)


def _missing(where: str, number: int, name: str, types: dict[str, str]) -> Problem:
    hint = did_you_mean(name, types)
    return Problem(
        f"the dataset has no column {name!r}; {hint or 'it has ' + ', '.join(types)}",
        path=f"snapshot.{where}[{number}]",
    )


def _list(parts: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)
