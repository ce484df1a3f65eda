"""Rules to SQL: one query that reads the rows, one that groups them by their keys.

All rules on rows and the newest time of `data_freshness` share the first query; all `unique` rules
that no index proves share the second. Identifiers are quoted and values are bound; the only other
text from outside is the name of a column's type, which comes quoted from the catalogue.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TypeAlias

from psycopg import sql

from dteg.core.errors import DtegError
from dteg.core.identifiers import TableName
from dteg.core.secrets import MASK
from dteg.core.suggest import did_you_mean
from dteg.quality.catalogue import INTEGERS, NUMBERS, TIMES, Column, Relation
from dteg.quality.rules import (
    AcceptedValues,
    DataFreshness,
    FormatCheck,
    NullCheck,
    RangeCheck,
    Rule,
    Unique,
    as_number,
)

MeasuredRule: TypeAlias = NullCheck | FormatCheck | RangeCheck | AcceptedValues | DataFreshness
ConditionRule: TypeAlias = NullCheck | FormatCheck | RangeCheck | AcceptedValues

SAMPLE_ROWS = 5
SAMPLE_CHARS = 80
SAMPLE_COUNT = "count(*)"
# The types that are compared as text by code point: strings and enums.
TEXT_CATEGORIES = "SE"
_BIGINT = 2**63 - 1
# Beyond every integer column; keeps `1e999999999` from becoming a number of that many digits.
_BEYOND_BIGINT = Decimal(10) ** 20


class MisfitError(DtegError):
    """A rule does not fit the table's columns: change the rule or the table."""


@dataclass(frozen=True, slots=True)
class Query:
    """A piece of SQL with the values of its placeholders, in order."""

    text: sql.SQL | sql.Composed
    values: tuple[object, ...] = ()

    def __str__(self) -> str:
        """Render with placeholders, as a person would read it."""
        return self.text.as_string(None)


ROW_COUNT = Query(sql.SQL("count(*)"))


def _raw(text: str) -> sql.SQL:
    """Take text as SQL; a percent sign in it is no placeholder."""
    return sql.SQL(text.replace("%", "%%"))


def _sql(template: str, *parts: sql.Composable) -> sql.Composed:
    return sql.SQL(template).format(*parts)


def _identifier(*parts: str) -> sql.SQL:
    return _raw(sql.Identifier(*parts).as_string(None))


def _table(table: TableName) -> sql.SQL:
    return _identifier(table.schema, table.name)


def _join(template: str, separator: str, names: Iterable[str]) -> sql.Composed:
    return sql.SQL(separator).join(_sql(template, _identifier(name)) for name in names)


def check_columns(rule: Rule, relation: Relation) -> None:
    """Check that the columns of a rule exist and that their types suit it.

    Raises:
        MisfitError: It names the column.
    """
    for name in rule.checked_columns:
        if name not in relation.columns:
            hint = did_you_mean(name, relation.columns)
            raise MisfitError(f'there is no column "{name}"' + (f"; {hint}" if hint else ""))
    if isinstance(rule, DataFreshness) and relation.columns[rule.column].base not in TIMES:
        column = relation.columns[rule.column]
        raise MisfitError(
            f'data_freshness needs a date or timestamp, but column "{column.name}" is {column.sql_type}'
        )


def condition(rule: ConditionRule, relation: Relation) -> Query:
    """Return the SQL that is true for the failing rows of a rule.

    Raises:
        MisfitError: The type of the column does not suit the rule.
    """
    match rule:
        case NullCheck():
            return Query(_join("{} IS NULL", " OR ", rule.columns))
        case FormatCheck():
            return Query(_sql("{}::text !~ %s", _identifier(rule.column)), (rule.pattern,))
        case AcceptedValues():
            return _outside_list(rule, relation.columns[rule.column])
        case RangeCheck():
            return _outside_range(rule, relation.columns[rule.column])


def _outside_list(rule: AcceptedValues, column: Column) -> Query:
    name = _identifier(column.name)
    if column.base in INTEGERS:
        numbers = [_number(value, column, rule) for value in rule.values]
        if all(number == number.to_integral_value() and abs(number) <= _BIGINT for number in numbers):
            return Query(_sql("{} <> ALL(%s::bigint[])", name), (list(map(int, numbers)),))
        return Query(_sql("{} <> ALL(%s::numeric[])", name), (list(map(str, numbers)),))
    if column.base in NUMBERS:
        texts = [str(_number(value, column, rule)) for value in rule.values]
    else:
        texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in rule.values]
    if column.category in TEXT_CATEGORIES:
        return Query(_sql('{}::text COLLATE "C" <> ALL(%s::text[])', name), (texts,))
    return Query(_sql("{} <> ALL(%s::{}[])", name, _raw(column.cast)), (texts,))


def _outside_range(rule: RangeCheck, column: Column) -> Query:
    left: sql.Composable = _identifier(column.name)
    right: sql.Composable = _sql("%s::{}", _raw(column.cast))
    low, high = _bounds(rule, column)
    if column.base in INTEGERS:
        right = sql.SQL("%s")
    elif column.category == "S":
        left, right = _sql('{}::text COLLATE "C"', left), sql.SQL("%s::text")
    bounds = [(sign, bound) for sign, bound in (("<", low), (">", high)) if bound is not None]
    parts = [_sql("{} {} {}", left, sql.SQL(sign), right) for sign, _ in bounds]
    if high is None and column.base in NUMBERS - INTEGERS:
        # NaN is above every number, so that only an upper limit would find it.
        parts.append(_sql("{} = 'NaN'", left))
    return Query(sql.SQL(" OR ").join(parts), tuple(bound for _, bound in bounds))


def _bounds(rule: RangeCheck, column: Column) -> tuple[int | str | None, int | str | None]:
    """Return the limits as they are bound: whole numbers for integer columns, otherwise text that is cast."""
    numbers = isinstance(rule.min if rule.max is None else rule.max, int | float)
    if column.base in NUMBERS:
        low, high = (
            None if bound is None else _number(bound, column, rule) for bound in (rule.min, rule.max)
        )
        if column.base in INTEGERS:
            # A whole limit means the same for whole numbers, and comparing with it costs no conversion.
            return _whole(low, ROUND_CEILING), _whole(high, ROUND_FLOOR)
    elif numbers and column.category != "N":
        raise MisfitError(
            f'column "{column.name}" is {column.sql_type}, which does not compare with numbers; '
            "write min and max as text, or choose a column of numbers"
        )
    return (None if rule.min is None else str(rule.min), None if rule.max is None else str(rule.max))


def _number(value: object, column: Column, rule: Rule) -> Decimal:
    number = as_number(value)
    if number is None:
        raise MisfitError(
            f'column "{column.name}" is {column.sql_type}, but {rule.type} has {value!r}, not a number'
        )
    return number


def _whole(bound: Decimal | None, rounding: str) -> int | None:
    if bound is None:
        return None
    return int(max(min(bound, _BEYOND_BIGINT), -_BEYOND_BIGINT).to_integral_value(rounding))


def measure(rule: MeasuredRule, relation: Relation) -> Query:
    """Return one aggregate: the number of failing rows, or for freshness [seconds since 1970, text].

    Raises:
        MisfitError: The type of the column does not suit the rule.
    """
    if isinstance(rule, DataFreshness):
        newest = _sql("max({0}) FILTER (WHERE isfinite({0}))", _identifier(rule.column))
        return Query(_sql("ARRAY[extract(epoch FROM {0})::text, ({0})::text]", newest))
    failing = condition(rule, relation)
    return Query(_sql("count(*) FILTER (WHERE {})", failing.text), failing.values)


def row_scan(table: TableName, measures: Sequence[Query]) -> Query:
    """Return the query that reads the rows once and gives each measure."""
    outputs = sql.SQL(", ").join(measure.text for measure in measures)
    values = tuple(value for measure in measures for value in measure.values)
    return Query(_sql("SELECT {} FROM {}", outputs, _table(table)), values)


def is_proven_unique(rule: Unique, relation: Relation) -> bool:
    """Whether an index keeps some of the rule's columns unique, and thereby all of them."""
    return any(key <= set(rule.columns) for key in relation.unique_keys)


def key_scan(table: TableName, keys: Sequence[frozenset[str]]) -> Query:
    """Return the query that reads the rows once and gives the number of duplicate rows for each key."""
    columns = sorted(frozenset().union(*keys))
    if len(keys) == 1:
        grouped = _sql(
            "SELECT count(*) AS n FROM {} WHERE {} GROUP BY {} HAVING count(*) > 1",
            _table(table),
            _join("{} IS NOT NULL", " AND ", columns),
            _join("{}", ", ", columns),
        )
        return Query(_sql("SELECT coalesce(sum(n - 1), 0) FROM ({}) AS keys", grouped))
    sets = sql.SQL(", ").join(_sql("({})", _join("{}", ", ", sorted(key))) for key in keys)
    grouped = _sql(
        "SELECT GROUPING({}) AS key, count(*) AS n FROM {} "
        "GROUP BY GROUPING SETS ({}) HAVING count(*) > 1 AND {}",
        _join("{}", ", ", columns),
        _table(table),
        sets,
        _join("(GROUPING({0}) = 1 OR {0} IS NOT NULL)", " AND ", columns),
    )
    # GROUPING is a number whose bits, the last column's lowest, are 1 for columns outside of the set.
    masks = [int("".join("01"[name not in key] for name in columns), 2) for key in keys]
    sums = sql.SQL(", ").join(
        _sql("coalesce(sum(n - 1) FILTER (WHERE key = {}), 0)", sql.SQL(str(mask))) for mask in masks
    )
    return Query(_sql("SELECT {} FROM ({}) AS keys", sums, grouped))


def sample(
    rule: ConditionRule | Unique, relation: Relation, masked: frozenset[str]
) -> tuple[list[str], Query]:
    """Return the names of the outputs and the query for a few offending rows, all values as text.

    Masked values do not leave the database; of them only NULL can be told.
    """
    if isinstance(rule, Unique):
        names = list(rule.columns)
        rest = Query(
            _sql(
                "{} GROUP BY {} HAVING count(*) > 1",
                _join("{} IS NOT NULL", " AND ", names),
                _join("{}", ", ", names),
            )
        )
    else:
        names = list(dict.fromkeys((*relation.primary_key, *rule.checked_columns)))
        rest = condition(rule, relation)
    outputs = [_shown(name, masked) for name in names]
    if isinstance(rule, Unique):
        names.append(SAMPLE_COUNT)
        outputs.append(_sql("count(*)::text"))
    text = _sql(
        "SELECT {} FROM {} WHERE {} LIMIT {}",
        sql.SQL(", ").join(outputs),
        _table(relation.table),
        rest.text,
        sql.SQL(str(SAMPLE_ROWS)),
    )
    return names, Query(text, rest.values)


def is_masked(name: str, masked: frozenset[str]) -> bool:
    """Whether a column's values are hidden; case is ignored, better one column too many."""
    return name.casefold() in {other.casefold() for other in masked}


def _shown(name: str, masked: frozenset[str]) -> sql.Composed:
    column = _identifier(name)
    if is_masked(name, masked):
        return _sql("CASE WHEN {} IS NOT NULL THEN {} END", column, sql.Literal(MASK))
    return _sql("left({}::text, {})", column, sql.SQL(str(SAMPLE_CHARS + 1)))
