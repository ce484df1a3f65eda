"""The first rows of a dataset before it is saved, with its query, its plan, and what may not be meant so."""

import time
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.types.string import TextLoader
from pydantic import Field

from dteg.core.config import ConfigModel
from dteg.core.errors import ConfigError, Problem
from dteg.core.project import Project
from dteg.datasets.catalogue import LiveCatalogue
from dteg.datasets.compiler import (
    ADDING_UP,
    Compiled,
    Expectation,
    all_expectations,
    compile_dataset,
    repeated_by,
)
from dteg.datasets.models import DatasetColumn
from dteg.datasets.preview.plan import explain
from dteg.datasets.session import reading_session
from dteg.datasets.spec import AggregateMeasure, DatasetSpec
from dteg.tables.read import plain
from dteg.tokens.visible import EVERYTHING, Visible

if TYPE_CHECKING:
    from dteg.datasets.compiler import JoinStep

ROWS = 50
MAX_ROWS = 1_000
TIMEOUT_S = 30
COUNT_TIMEOUT_S = 5
# Python has no infinite dates, none before the year 1, no 24:00 and no months in an interval.
_AS_TEXT = ("date", "timestamp", "timestamptz", "time", "timetz", "interval")

Connection = psycopg.Connection[Any]


class Preview(ConfigModel):
    """What a dataset would be."""

    columns: list[DatasetColumn] = Field(description="Columns of each row.")
    rows: list[list[Any]] = Field(description="The first rows: exact numbers and times as texts.")
    more: bool = Field(description="Whether there are more rows.")
    sql: str = Field(description="The query.")
    plan: list[str] = Field(description="What the warehouse does for it, in words.")
    plan_cost: float = Field(description="Its estimate of the work, in units of its own.")
    rows_estimate: int = Field(description="Its estimate of all rows.")
    warnings: list[Problem] = Field(
        [], description="What may not be meant so; `path` says where in the definition."
    )
    elapsed_ms: int = Field(description="How long the rows took (ms).")


def preview(project: Project, spec: DatasetSpec, rows: int = ROWS, sees: Visible = EVERYTHING) -> Preview:
    """Compile a dataset, explain its query, read its first rows, and count whether joins repeat rows.

    Args:
        project: Whose.
        spec: The dataset.
        rows: How many rows, 1 to 1 000.
        sees: What who asks may see.

    Raises:
        ConfigError: It does not fit its sources, or the warehouse does not take it.
        TransientError: It took too long, or a source does not answer.
    """
    if not 1 <= rows <= MAX_ROWS:
        raise ConfigError(f"a preview has 1 to {MAX_ROWS:,} rows")
    compiled = compile_dataset(spec, LiveCatalogue(project, sees))
    if missing := [
        Problem(table.warning, path=f"sources.{alias}")
        for alias, table in compiled.tables.items()
        if table.warning
    ]:
        raise ConfigError(missing)
    with reading_session(project, compiled.depends_on, TIMEOUT_S) as connection:
        plan = explain(connection, compiled.sql)
        started = time.monotonic()
        found = _rows(connection, compiled.sql, rows + 1)
        elapsed_ms = round((time.monotonic() - started) * 1000)
        warnings = [*compiled.warnings, *_repeats(connection, spec, compiled)]
    return Preview(
        columns=compiled.columns,
        rows=[[plain(value) for value in row] for row in found[:rows]],
        more=len(found) > rows,
        sql=compiled.sql,
        plan=plan.lines,
        plan_cost=plan.cost,
        rows_estimate=plan.rows,
        warnings=warnings,
        elapsed_ms=elapsed_ms,
    )


def _rows(connection: Connection, sql: str, limit: int) -> list[tuple[Any, ...]]:
    with connection.transaction(), connection.cursor() as cursor:
        for name in _AS_TEXT:
            cursor.adapters.register_loader(name, TextLoader)
        cursor.execute("SELECT set_config('intervalstyle', 'postgres', true)")
        statement = f"SELECT * FROM (\n{sql}\n) AS preview LIMIT {limit:d}"  # noqa: S608 - the compiler's own text
        return cursor.execute(statement.encode()).fetchall()


# --- Joins that repeat rows --------------------------------------------------------------------


def _repeats(connection: Connection, spec: DatasetSpec, compiled: Compiled) -> list[Problem]:
    """Count at the sources whether joins match as expected; a join that is not as people think doubles sums silently."""
    found = []
    for each in all_expectations(compiled):
        if each.expect is None and not _matters(each, spec, compiled):
            continue
        count = _count(connection, each)
        if count is None:
            message = (
                f"whether rows of {each.alias} repeat others could not be counted within {COUNT_TIMEOUT_S} s"
            )
            found.append(Problem(message, path=each.where))
        elif count:
            found.append(Problem(_told(each, count, spec), path=each.where))
    return found


def _matters(each: Expectation, spec: DatasetSpec, compiled: Compiled) -> bool:
    """Whether repeats that nobody spoke of would change a number: always in a plain result, where rows are seen."""
    if not spec.grouped:
        return any(step.number == each.number and step.joined == each.alias for step in compiled.joins)
    return bool(_measures(each, spec, compiled.joins))


def _measures(each: Expectation, spec: DatasetSpec, steps: "list[JoinStep]") -> list[str]:
    """Return the measures that would count values several times if `each` has repeats."""
    names = []
    for measure in spec.measures:
        if not isinstance(measure, AggregateMeasure) or measure.fn not in ADDING_UP or measure.of is None:
            continue
        alias = measure.of.partition(".")[0]
        for step, seen_from, _ in repeated_by(alias, steps):
            other = step.right if seen_from == step.left else step.left
            if step.number == each.number and other == each.alias:
                names.append(measure.name)
    return names


def _count(connection: Connection, each: Expectation) -> int | None:
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL statement_timeout = '{COUNT_TIMEOUT_S}s'".encode())
            row = connection.execute(each.sql.encode()).fetchone()
    except psycopg.Error:
        if connection.closed:
            raise
        return None  # it took too long, or its source did not answer: the rows are there all the same
    return int(row[0]) if row else 0


def _told(each: Expectation, count: int, spec: DatasetSpec) -> str:
    columns = ", ".join(f"{each.alias}.{name}" for name in each.columns)
    values = "1 value of" if count == 1 else f"{count:,} values of"
    there = "is" if count == 1 else "are"
    rest = (
        "sums and counts over the other table count its rows several times"
        if spec.grouped
        else "rows of the other table are repeated"
    )
    if each.expect:
        return (
            f"expect: {each.expect} does not hold: {values} {columns} {there} there several times, so {rest}"
        )
    return f"{values} {columns} {there} there several times, so {rest}; say what you expect of the join"
