"""Checks of a generation before readers see it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from dteg.core.durations import parse_duration
from dteg.core.identifiers import TableName
from dteg.datasets.models import CheckResult

if TYPE_CHECKING:
    from dteg.datasets.spec import DatasetSpec

# A unique index in which nulls count as equal: its columns, and whatever holds them, are without repeats.
_UNIQUE = """
SELECT array_agg(a.attname::text)
FROM pg_index AS i
CROSS JOIN LATERAL unnest(i.indkey::smallint[]) AS k (attnum)
INNER JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = to_regclass(%s) AND i.indisunique AND i.indisvalid AND i.indnullsnotdistinct AND i.indpred IS NULL
GROUP BY i.indexrelid
"""

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Checked:
    """What is looked at.

    Attributes:
        relation: The generation.
        rows: Its number of rows.
        live_rows: That of the live generation; None if there is none.
    """

    relation: TableName
    rows: int
    live_rows: int | None


def check_names(spec: "DatasetSpec") -> list[tuple[str, bool]]:
    """Return the name of each check of a definition, in order, and whether it blocks. Opens no connection."""
    return [(name, bool(check.blocking)) for name, check in _named(spec)]


def run_checks(connection: Connection, spec: "DatasetSpec", subject: Checked) -> list[CheckResult]:
    """Run all checks that look at the rows; a check that cannot be run has failed.

    Args:
        connection: In a transaction as the builder.
        spec: The definition.
        subject: What is looked at.
    """
    found = []
    for name, check in _named(spec):
        kind = _kind(check)
        if kind == "joins":
            continue
        try:
            with connection.transaction():
                passed, message = _CHECKS[kind](connection, getattr(check, kind), subject)
        except psycopg.errors.QueryCanceled:
            raise
        except psycopg.Error as error:
            passed, message = False, f"cannot be checked: {error.diag.message_primary or error}"
        found.append(CheckResult(name=name, passed=passed, message=message, blocking=check.blocking))
    return found


def joins_check(spec: "DatasetSpec") -> tuple[str, bool] | None:
    """Return name and blocking of the check of joins, which looks at the sources; None if there is none."""
    for name, check in _named(spec):
        if _kind(check) == "joins":
            return name, bool(check.blocking)
    return None


def failed_sentence(results: Sequence[CheckResult]) -> str:
    """Return why a generation is not published; empty if no blocking check failed."""
    failed = [each for each in results if each.blocking and not each.passed]
    return "; ".join(f"check {each.name}: {each.message}" for each in failed)


def _named(spec: "DatasetSpec") -> Iterator[tuple[str, Any]]:
    """Yield the checks with names that differ."""
    seen: dict[str, int] = {}
    for check in spec.checks:
        name = _name(_kind(check), check)
        seen[name] = seen.get(name, 0) + 1
        yield (name if seen[name] == 1 else f"{name} ({seen[name]})"), check


def _kind(check: Any) -> str:
    names: list[str] = [name for name in type(check).model_fields if name != "blocking"]
    return names[0]


def _name(kind: str, check: Any) -> str:
    value = getattr(check, kind)
    if isinstance(value, list):
        return f"{kind}: {', '.join(value)}"
    if kind == "fresh":
        return f"{kind}: {value.col}"
    return kind if value is True else f"{kind}: {value}"


def _not_empty(_connection: Connection, _value: bool, subject: Checked) -> tuple[bool, str]:
    return subject.rows > 0, f"{subject.rows:,} rows" if subject.rows else "there are no rows"


def _min_rows(_connection: Connection, least: int, subject: Checked) -> tuple[bool, str]:
    return subject.rows >= least, f"{subject.rows:,} rows, at least {least:,} are wanted"


def _row_drop_max(_connection: Connection, text: str, subject: Checked) -> tuple[bool, str]:
    if not subject.live_rows:
        return True, "there are no rows before these to compare with"
    most = float(text.removesuffix("%"))
    drop = max(0.0, (1 - subject.rows / subject.live_rows) * 100)
    return (
        drop <= most,
        f"{subject.rows:,} rows after {subject.live_rows:,}: {drop:.1f} % fewer, {text} are allowed",
    )


def _unique(connection: Connection, columns: Sequence[str], subject: Checked) -> tuple[bool, str]:
    for (indexed,) in connection.execute(_UNIQUE, [subject.relation.sql]).fetchall():
        if set(indexed) <= set(columns):
            return True, "no row is there twice"
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    query = sql.SQL(
        "SELECT count(*), coalesce(sum(n), 0) FROM (SELECT count(*) AS n FROM {} GROUP BY {} HAVING count(*) > 1) AS r"
    )
    row = connection.execute(query.format(subject.relation.identifier, names)).fetchone()
    repeated, rows = row or (0, 0)
    return (
        not repeated,
        f"{repeated:,} values are shared by {rows:,} rows" if repeated else "no row is there twice",
    )


def _not_null(connection: Connection, columns: Sequence[str], subject: Checked) -> tuple[bool, str]:
    counts = sql.SQL(", ").join(
        sql.SQL("count(*) FILTER (WHERE {} IS NULL)").format(sql.Identifier(column)) for column in columns
    )
    row = connection.execute(
        sql.SQL("SELECT {} FROM {}").format(counts, subject.relation.identifier)
    ).fetchone()
    missing = [f"{count:,} in {column}" for column, count in zip(columns, row or (), strict=True) if count]
    return not missing, f"missing values: {', '.join(missing)}" if missing else "no value is missing"


def _fresh(connection: Connection, value: Any, subject: Checked) -> tuple[bool, str]:
    """Compare the newest time in a column with the clock of the warehouse; a date counts until its day ends."""
    column = sql.Identifier(value.col)
    query = sql.SQL(
        "SELECT max({0})::text, extract(epoch FROM now() - CASE WHEN pg_typeof(max({0}))::text = 'date' "
        "THEN max({0})::timestamptz + interval '1 day' ELSE max({0})::timestamptz END)::float8 FROM {1}"
    ).format(column, subject.relation.identifier)
    row = connection.execute(query).fetchone()
    newest, age_s = row or (None, None)
    if newest is None or age_s is None:
        return False, f"there is no time in {value.col}"
    allowed = parse_duration(value.max_age).total_seconds()
    return age_s <= allowed, f"the newest {value.col} is {newest}, at most {value.max_age} ago is allowed"


_CHECKS: dict[str, Any] = {
    "not_empty": _not_empty,
    "min_rows": _min_rows,
    "row_drop_max": _row_drop_max,
    "unique": _unique,
    "not_null": _not_null,
    "fresh": _fresh,
}
