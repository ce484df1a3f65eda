"""Rows for charts: read as the role that sees datasets and nothing else, within seconds, and never written."""

import contextlib
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

import psycopg
from psycopg import errors as pg_errors
from psycopg import sql

from dteg.charts.models import MAX_ROWS, ChartData, ChartSpec, ChartType, DataColumn, Filter, Grain
from dteg.charts.numbers import with_delta
from dteg.charts.query import SCHEMA, Query, Table, TableColumn, number_query, query_of
from dteg.core.control import session
from dteg.core.durations import describe_duration, parse_duration
from dteg.core.errors import ConfigError, NotFoundError, TransientError
from dteg.core.project import Project
from dteg.core.secrets import redact
from dteg.sources.roles import READER, ensure_roles

TIMEOUT_S = 15
MAX_CHOICES = 200
_LOCK_TIMEOUT = "2s"
_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute AS a
WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
# What a value of a filter can be wrong in.
_BAD_VALUES = (pg_errors.DataError, pg_errors.InvalidTextRepresentation, pg_errors.CannotCoerce)


@contextlib.contextmanager
def reader(project: Project) -> Iterator[psycopg.Connection[Any]]:
    """Lend a read-only transaction of the role that may read datasets only.

    Raises:
        TransientError: A statement takes longer than `TIMEOUT_S`.
    """
    with session(project) as connection:
        ensure_roles(connection)
        with connection.transaction():
            connection.execute("SET TRANSACTION READ ONLY")
            connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(READER)))
            connection.execute(
                sql.SQL("SET LOCAL statement_timeout = {}").format(sql.Literal(f"{TIMEOUT_S}s"))
            )
            connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(_LOCK_TIMEOUT)))
            connection.execute("SET LOCAL search_path = pg_catalog")
            try:
                yield connection
            except pg_errors.QueryCanceled:
                raise TransientError(
                    f"the data could not be read within {TIMEOUT_S} s; group it in the dataset, or filter it",
                    component="charts",
                ) from None


def table_of(connection: psycopg.Connection[Any], dataset: str) -> Table:
    """Return the columns of a dataset.

    Raises:
        NotFoundError: There is nothing to read under this name.
    """
    rows = connection.execute(_COLUMNS, [f'{SCHEMA}."{dataset}"']).fetchall()
    if not rows:
        raise NotFoundError(
            f"there is no dataset {dataset!r} with data; see: dteg dataset list, dteg dataset refresh {dataset}"
        )
    return Table(dataset, [TableColumn(name, type_) for name, type_ in rows])


def read_dataset(project: Project, spec: ChartSpec, filters: Sequence[Filter] = ()) -> ChartData:
    """Return the rows of a chart of a dataset.

    Raises:
        ConfigError: A column is not there, or a value does not fit its column.
        NotFoundError: There is no such dataset.
        TransientError: It takes too long.
    """
    with reader(project) as connection:
        table = table_of(connection, spec.source.dataset)
        if spec.type is ChartType.NUMBER:
            return _number(connection, spec, table, filters)
        query = query_of(spec, table, filters)
        return _data(query, _run(connection, query))


def check_columns(project: Project, spec: ChartSpec) -> None:
    """Look at what a chart asks for without reading rows; a dataset that is not there yet is no fault.

    Raises:
        ConfigError: A column is not there or does not fit.
    """
    with reader(project) as connection:
        try:
            table = table_of(connection, spec.source.dataset)
        except NotFoundError:
            return
        if spec.compare is not None:
            number_query(spec.y[0], spec.compare, spec, table)
        query_of(spec, table)


def columns_of(project: Project, dataset: str) -> list[TableColumn]:
    """Return the columns of a dataset; none if it has no data yet."""
    with reader(project) as connection:
        try:
            return table_of(connection, dataset).all()
        except NotFoundError:
            return []


def datasets_with_data(project: Project) -> list[str]:
    """Return the datasets that can be read now, by name."""
    with reader(project) as connection:
        rows = connection.execute(
            "SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE n.nspname = 'ds' AND c.relkind IN ('v', 'm', 'r', 'p', 'f') ORDER BY 1"
        ).fetchall()
    return [row[0] for row in rows]


def choices_of(project: Project, dataset: str, field: str) -> list[str]:
    """Return the different values of a column, the most frequent ones if there are many, sorted."""
    with reader(project) as connection:
        table = table_of(connection, dataset)
        name = sql.Identifier(table.column(field).name)
        rows = connection.execute(
            sql.SQL(
                "SELECT {name}::text FROM {table} WHERE {name} IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC LIMIT {most}"
            ).format(name=name, table=table.relation, most=sql.Literal(MAX_CHOICES))
        ).fetchall()
    return sorted(row[0] for row in rows)


def _run(connection: psycopg.Connection[Any], query: Query) -> list[tuple[Any, ...]]:
    try:
        return connection.execute(query.sql, query.params).fetchall()
    except _BAD_VALUES as error:
        raise ConfigError(
            f"a filter does not fit its column: {redact(error.diag.message_primary or '')}"
        ) from None


def _data(query: Query, rows: list[tuple[Any, ...]]) -> ChartData:
    more = len(rows) > MAX_ROWS
    rows = rows[:MAX_ROWS]
    if query.newest_first:
        rows.reverse()
    plain = [
        {column.key: plain_value(value, column) for column, value in zip(query.columns, row, strict=True)}
        for row in rows
    ]
    return ChartData(columns=query.columns, rows=plain, more=more)


def _number(
    connection: psycopg.Connection[Any], spec: ChartSpec, table: Table, filters: Sequence[Filter]
) -> ChartData:
    measure = spec.y[0]
    before: float | None = None
    if spec.compare is not None:
        query = number_query(measure, spec.compare, spec, table, filters)
        row = _run(connection, query)[0]
        before = as_float(row[1])
    else:
        query = query_of(spec, table, filters)
        rows = _run(connection, query)
        row = rows[0] if rows else (None,)
    since = f"against the {_span(spec.compare.period)} before" if spec.compare else ""
    number = with_delta(as_float(row[0]), before, measure.format, measure.unit, since)
    columns = query.columns[: 2 if spec.compare else 1]
    shown = {columns[0].key: number.value} | ({"before": before} if spec.compare else {})
    return ChartData(columns=columns, rows=[shown], number=number)


def _span(text: str) -> str:
    """Return the span of a comparison as people say it: 30 days."""
    return describe_duration(parse_duration(text)).replace(".0 ", " ")


def plain_value(value: Any, column: DataColumn) -> Any:
    """Return a value as JSON: numbers as floats where they are drawn, times in ISO 8601 with Z."""
    if value is None:
        return None
    if column.kind == "number":
        return as_float(value)
    if column.kind == "time":
        return time_text(value)
    return value if isinstance(value, str | bool) else str(value)


def as_float(value: Any) -> float | int | None:
    """Return a number that JSON can hold; what is infinite or no number is none."""
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, str):  # money comes as a text
        value = value.replace(",", "").lstrip("$")
    number = float(value)
    return number if number - number == 0 else None


def time_text(value: Any) -> str:
    """Return a time in UTC; a plain date is its midnight. What is endless, such as `infinity`, is told as it is."""
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00:00Z"
    return str(value)


_LABELS = {
    Grain.HOUR: "%Y-%m-%d %H:%M",
    Grain.DAY: "%Y-%m-%d",
    Grain.WEEK: "%Y-%m-%d",
    Grain.MONTH: "%b %Y",
    Grain.YEAR: "%Y",
}


def time_label(text: str | None, grain: Grain | None) -> str:
    """Return how people read a time of the rows: `Mar 2026` for a month, `Q1 2026` for a quarter."""
    if text is None:
        return ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    if grain is Grain.QUARTER:
        return f"Q{(moment.month + 2) // 3} {moment.year}"
    return moment.strftime(_LABELS.get(grain, "%Y-%m-%d %H:%M") if grain else "%Y-%m-%d %H:%M")
