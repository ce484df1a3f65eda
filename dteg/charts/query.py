"""A chart of a dataset as one query on its stable view: names quoted, values bound, groups made in SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from dteg.charts.models import (
    MAX_ROWS,
    ChartSpec,
    ChartType,
    Compare,
    DataColumn,
    Dimension,
    Filter,
    Fn,
    Grain,
    Measure,
    Op,
)
from dteg.core.durations import parse_duration
from dteg.core.errors import ConfigError
from dteg.core.suggest import did_you_mean

SCHEMA = "ds"
NOTHING = "(none)"
"""What a group without a value is called."""
_NUMBERS = ("smallint", "integer", "bigint", "numeric", "real", "double precision", "money")
_TIMES = ("date", "timestamp without time zone", "timestamp with time zone")
_NUMERIC_FNS = {Fn.SUM, Fn.AVG, Fn.MEDIAN, Fn.MIN, Fn.MAX, Fn.VALUE}
_COMPARED = {Op.EQ: "=", Op.NE: "<>", Op.LT: "<", Op.LE: "<=", Op.GT: ">", Op.GE: ">="}
_TITLES = {Fn.AVG: "average {}", Fn.MEDIAN: "median {}", Fn.MIN: "smallest {}", Fn.MAX: "largest {}",
           Fn.COUNT_DISTINCT: "different {}", Fn.COUNT: "{} given", Fn.SUM: "{}", Fn.VALUE: "{}"}  # fmt: skip

Params = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a dataset.

    Attributes:
        name: Its name.
        type: PostgreSQL's type.
    """

    name: str
    type: str

    @property
    def kind(self) -> str:
        """`time`, `number` or `text`."""
        plain = self.type.partition("(")[0].strip()
        if self.type.startswith(_TIMES) and "[]" not in self.type:
            return "time"
        return "number" if plain in _NUMBERS and "[]" not in self.type else "text"


@dataclass(frozen=True, slots=True)
class Query:
    """A query and what it returns.

    Attributes:
        sql: The statement.
        params: Its values.
        columns: What its columns are, in order.
        newest_first: Whether the rows come backwards, so that a limit keeps the newest.
    """

    sql: sql.Composed
    params: Params
    columns: list[DataColumn]
    newest_first: bool = False


class Table:
    """The columns of a dataset, and expressions of them.

    Args:
        dataset: Its slug, checked by its pattern.
        columns: Its columns.
    """

    def __init__(self, dataset: str, columns: Sequence[TableColumn]) -> None:
        self.dataset = dataset
        self._columns: Mapping[str, TableColumn] = {each.name: each for each in columns}
        self.relation = sql.SQL("{}.{}").format(sql.Identifier(SCHEMA), sql.Identifier(dataset))

    def __contains__(self, name: str) -> bool:
        """Return whether there is a column of this name."""
        return name in self._columns

    def column(self, name: str) -> TableColumn:
        """Return a column.

        Raises:
            ConfigError: There is none of this name.
        """
        if name not in self._columns:
            near = did_you_mean(name, self._columns) or f"it has: {', '.join(self._columns)}"
            raise ConfigError(f"the dataset {self.dataset!r} has no column {name!r}; {near}")
        return self._columns[name]

    def all(self) -> list[TableColumn]:
        """Return all columns."""
        return list(self._columns.values())


def query_of(spec: ChartSpec, table: Table, filters: Sequence[Filter] = ()) -> Query:
    """Return the query of a chart.

    Args:
        spec: A chart of a dataset.
        table: The columns of that dataset.
        filters: Conditions beside the chart's own; those on columns that are not there are left out.

    Raises:
        ConfigError: A column is not there or has the wrong type; it says which.
    """
    params: Params = {}
    where = where_of([*spec.filters, *(each for each in filters if each.field in table)], table, params)
    if spec.type is ChartType.TABLE and not spec.y and spec.x is None:
        return _plain_rows(spec, table, where, params)
    return _groups(spec, table, where, params)


def number_query(
    measure: Measure, compare: Compare, spec: ChartSpec, table: Table, filters: Sequence[Filter] = ()
) -> Query:
    """Return the query of a number and of the same in the span before; spans end with the newest time in the data."""
    params: Params = {"span": parse_duration(compare.period).total_seconds()}
    where = where_of([*spec.filters, *(each for each in filters if each.field in table)], table, params)
    if table.column(compare.field).kind != "time":
        raise ConfigError(f"compare.field: {compare.field!r} holds no times")
    at = sql.Identifier(compare.field)
    value = _measure(measure, table)
    statement = sql.SQL(
        "WITH chosen AS (SELECT * FROM {relation} {where}),"
        " newest AS (SELECT max({at})::timestamptz AS at FROM chosen)"
        " SELECT {value} FILTER (WHERE {at} > newest.at - make_interval(secs => %(span)s)),"
        " {value} FILTER (WHERE {at} <= newest.at - make_interval(secs => %(span)s)"
        " AND {at} > newest.at - make_interval(secs => 2 * %(span)s)) FROM chosen CROSS JOIN newest"
    ).format(relation=table.relation, where=where, at=at, value=value)
    before = _measure_column(measure, "y0")
    return Query(statement, params, [before, before.model_copy(update={"key": "before", "title": "before"})])


def where_of(filters: Sequence[Filter], table: Table, params: Params) -> sql.Composable:
    """Return `WHERE ...` of conditions that all hold, and put their values into `params`."""
    conditions = [_condition(each, table, params, f"f{number}") for number, each in enumerate(filters)]
    if not conditions:
        return sql.SQL("")
    return sql.SQL("WHERE ") + sql.SQL(" AND ").join(conditions)


def _condition(each: Filter, table: Table, params: Params, key: str) -> sql.Composable:
    column = table.column(each.field)
    name = sql.Identifier(each.field)
    if each.op is Op.IS_NULL:
        return sql.SQL("{} IS NULL").format(name)
    if each.op is Op.NOT_NULL:
        return sql.SQL("{} IS NOT NULL").format(name)
    if each.op is Op.LAST:
        if column.kind != "time":
            raise ConfigError(f"the filter `last` is for times, and {each.field!r} holds none")
        params[key] = parse_duration(str(each.value)).total_seconds()
        return sql.SQL("{} > now() - make_interval(secs => {})").format(name, sql.Placeholder(key))
    if each.op is Op.CONTAINS:
        params[key] = str(each.value)
        return sql.SQL("position(lower({}) IN lower({}::text)) > 0").format(sql.Placeholder(key), name)
    # The text of a value, bound as the type of the column: what does not fit is refused by the server.
    type_ = sql.SQL(_safe_type(column))
    if each.op in (Op.IN, Op.NOT_IN):
        assert isinstance(each.value, list)  # the model has checked it
        params[key] = [_text(value) for value in each.value]
        inside = sql.SQL("{} = ANY({}::text[]::{}[])").format(name, sql.Placeholder(key), type_)
        return inside if each.op is Op.IN else sql.SQL("NOT coalesce({}, false)").format(inside)
    params[key] = _text(each.value)
    operator = sql.SQL(_COMPARED[each.op])
    return sql.SQL("{} {} {}::text::{}").format(name, operator, sql.Placeholder(key), type_)


def _safe_type(column: TableColumn) -> Any:
    """Return the type of a column to cast to: as the catalogue says it, for types that hold one plain value."""
    plain = column.type.partition("(")[0].strip()
    if plain in (*_NUMBERS, *_TIMES, "boolean", "uuid"):
        return plain
    return "timestamptz" if column.type.startswith("timestamp") and column.type.endswith("with time zone") else (
        "timestamp" if column.type.startswith("timestamp") else "text"
    )  # fmt: skip


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain_rows(spec: ChartSpec, table: Table, where: sql.Composable, params: Params) -> Query:
    columns = [table.column(name) for name in spec.fields] if spec.fields else table.all()
    shown = [
        DataColumn(key=f"c{number}", name=each.name, title=each.name, kind=each.kind)  # type: ignore[arg-type]
        for number, each in enumerate(columns)
    ]
    names = sql.SQL(", ").join(sql.Identifier(each.name) for each in columns)
    order = _plain_order(spec, columns)
    limit = spec.top or MAX_ROWS + 1
    statement = sql.SQL("SELECT {} FROM {} {} {} LIMIT {}").format(
        names, table.relation, where, order, sql.Literal(limit)
    )
    return Query(statement, params, shown)


def _plain_order(spec: ChartSpec, columns: Sequence[TableColumn]) -> sql.Composable:
    # In a table without groups x is its first column and y its last one.
    if spec.sort is None:
        return sql.SQL("")
    column = columns[0 if spec.sort.endswith("x") else -1]
    way = sql.SQL("DESC NULLS LAST" if spec.sort.startswith("-") else "ASC NULLS LAST")
    return sql.SQL("ORDER BY {} {}").format(sql.Identifier(column.name), way)


def _groups(spec: ChartSpec, table: Table, where: sql.Composable, params: Params) -> Query:
    parts: list[sql.Composable] = []
    columns: list[DataColumn] = []
    for key, dimension in (("x", spec.x), ("c", spec.color)):
        if dimension is not None:
            as_number = key == "x" and spec.type is ChartType.POINT
            expression, column = _dimension(dimension, table, key, as_number=as_number)
            parts.append(sql.SQL("{} AS {}").format(expression, sql.Identifier(key)))
            columns.append(column)
    groups = len(parts)
    for number, measure in enumerate(spec.y):
        column = _measure_column(measure, f"y{number}")
        parts.append(sql.SQL("{} AS {}").format(_measure(measure, table), sql.Identifier(column.key)))
        columns.append(column)
    raw = any(each.fn is Fn.VALUE for each in spec.y)
    grouped = sql.SQL("" if raw or not groups else f"GROUP BY {', '.join(str(n + 1) for n in range(groups))}")
    base = sql.SQL("SELECT {} FROM {} {} {}").format(
        sql.SQL(", ").join(parts), table.relation, where, grouped
    )
    newest_first = bool(columns) and columns[0].kind == "time" and spec.sort in (None, "x")
    statement = _ordered(spec, base, columns, newest_first=newest_first)
    return Query(statement, params, columns, newest_first)


def _ordered(
    spec: ChartSpec, base: sql.Composed, columns: list[DataColumn], *, newest_first: bool
) -> sql.Composed:
    """Put the rows in order, with the groups of x as a whole, and keep the largest ones if that is asked."""
    limit = sql.Literal(MAX_ROWS + 1)
    keys = sql.SQL(", ").join(sql.SQL("base.{}").format(sql.Identifier(each.key)) for each in columns)
    if spec.x is None or not spec.y:
        return sql.SQL("WITH base AS ({}) SELECT {} FROM base LIMIT {}").format(base, keys, limit)
    top = sql.SQL("ORDER BY total DESC NULLS LAST, x LIMIT {}").format(sql.Literal(spec.top)) if spec.top else sql.SQL("")  # fmt: skip
    order = sql.SQL(_order(spec, columns, newest_first=newest_first))
    return sql.SQL(
        "WITH base AS ({base}), ranked AS (SELECT x, sum(y0) AS total FROM base GROUP BY x {top})"
        " SELECT {keys} FROM base JOIN ranked ON base.x IS NOT DISTINCT FROM ranked.x {order} LIMIT {limit}"
        if spec.top
        else "WITH base AS ({base}), ranked AS (SELECT x, sum(y0) AS total FROM base GROUP BY x)"
        " SELECT {keys} FROM base JOIN ranked USING (x) {order} LIMIT {limit}"
    ).format(base=base, top=top, keys=keys, order=order, limit=limit)


def _order(spec: ChartSpec, columns: list[DataColumn], *, newest_first: bool) -> Any:
    last = ", base.c" if spec.color is not None else ""
    if newest_first:
        return f"ORDER BY base.x DESC NULLS LAST{last}"
    sort = spec.sort
    if sort is None:
        by_size = columns[0].kind == "text" and spec.type in (ChartType.BAR, ChartType.PIE, ChartType.TABLE)
        sort = "-y" if by_size else "x"
    way = "DESC NULLS LAST" if sort.startswith("-") else "ASC NULLS LAST"
    what = "base.x" if sort.endswith("x") else "ranked.total"
    return f"ORDER BY {what} {way}, base.x{last}"


def _dimension(
    dimension: Dimension, table: Table, key: str, *, as_number: bool
) -> tuple[sql.Composable, DataColumn]:
    column = table.column(dimension.field)
    name = sql.Identifier(dimension.field)
    title = dimension.title or dimension.field.replace("_", " ")
    shape: dict[str, Any] = {"key": key, "name": dimension.field, "title": title}
    if dimension.grain is not None:
        if column.kind != "time":
            raise ConfigError(
                f"{dimension.field!r} holds no times, so it has no grain {dimension.grain.value!r}"
            )
        return _truncated(name, column, dimension.grain), DataColumn(
            kind="time", grain=dimension.grain, **shape
        )
    if column.kind == "time":
        # A date stands for its whole day.
        grain = Grain.DAY if column.type == "date" else None
        return name, DataColumn(kind="time", grain=grain, **shape)
    if as_number and column.kind == "number":
        return sql.SQL("{}::double precision").format(name), DataColumn(kind="number", **shape)
    text = sql.SQL("coalesce({}::text, {})").format(name, sql.Literal(NOTHING))
    return text, DataColumn(kind="text", **shape)


def _truncated(name: sql.Identifier, column: TableColumn, grain: Grain) -> sql.Composable:
    # Our words are date_trunc's own; the session's zone is UTC.
    cast = sql.SQL("{}::timestamp").format(name) if column.type == "date" else name
    return sql.SQL("date_trunc({}, {})").format(sql.Literal(grain.value), cast)


def _measure(measure: Measure, table: Table) -> sql.Composable:
    if measure.field is None:
        return sql.SQL("count(*)")
    column = table.column(measure.field)
    if measure.fn in _NUMERIC_FNS and column.kind != "number":
        raise ConfigError(f"{measure.fn.value} needs numbers, and {measure.field!r} is {column.type}")
    name = sql.Identifier(measure.field)
    if measure.fn is Fn.COUNT_DISTINCT:
        return sql.SQL("count(DISTINCT {})").format(name)
    if measure.fn is Fn.VALUE:
        return sql.SQL("{}::double precision").format(name)
    if measure.fn is Fn.MEDIAN:
        return sql.SQL("percentile_cont(0.5) WITHIN GROUP (ORDER BY {}::double precision)").format(name)
    # The sum of a numeric column is exact; what is drawn of it is made a double by whoever reads the rows.
    return sql.SQL("{}({})").format(sql.SQL(measure.fn.value), name)


def _measure_column(measure: Measure, key: str) -> DataColumn:
    name = measure.field or "rows"
    title = measure.title or (_TITLES[measure.fn].format(name.replace("_", " ")) if measure.field else "rows")
    return DataColumn(
        key=key, name=f"{measure.fn.value}({measure.field or '*'})", title=title, kind="number",
        format=measure.format, unit=measure.unit,
    )  # fmt: skip
