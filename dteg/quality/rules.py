"""The rules of a pipeline file, told apart by their `type`.

NULL: `format_check`, `range` and `accepted_values` pass over NULL, and `unique` passes over rows
with NULL in any of its columns, as a UNIQUE constraint does. Add a `null_check` where a value has
to be there.
"""

import hashlib
import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from dteg.core.config import ConfigModel
from dteg.core.durations import parse_duration
from dteg.core.errors import ConfigError
from dteg.core.identifiers import TableName, check_identifier
from dteg.quality.patterns import check_pattern

MAX_NAME = 63


def _column(name: str) -> str:
    try:
        return check_identifier(name, "column name")
    except ConfigError as error:
        raise ValueError(str(error)) from None


def _table(text: str) -> str:
    try:
        TableName.parse(text)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return text


def _no_nul(value: str) -> str:
    if "\x00" in value:
        raise ValueError("PostgreSQL's text holds no NUL character")
    return value


def _age(text: str) -> str:
    if not parse_duration(text):
        raise ValueError(f"{text!r} is no time at all; write more, such as 15m or 26h")
    return text


def _distinct(columns: list[str]) -> list[str]:
    if len(set(columns)) < len(columns):
        raise ValueError("a column is named twice")
    return columns


ColumnName: TypeAlias = Annotated[str, AfterValidator(_column)]
ColumnList: TypeAlias = Annotated[list[ColumnName], Field(min_length=1), AfterValidator(_distinct)]
TableText: TypeAlias = Annotated[str, AfterValidator(_table)]
Text: TypeAlias = Annotated[StrictStr, AfterValidator(_no_nul)]
Bound: TypeAlias = StrictInt | StrictFloat | Text
Value: TypeAlias = StrictBool | StrictInt | StrictFloat | Text
Fraction: TypeAlias = Annotated[float, Field(ge=0, le=1)]


def as_number(value: object) -> Decimal | None:
    """Return a number, or a text that holds a finite one, as it is written; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


class BaseRule(ConfigModel):
    """What all rules share."""

    name: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_]{1,63}$",
        description="Name of the check; made from type and columns if left out.",
    )
    severity: Literal["error", "warn"] = Field(
        "error", description="error stops what comes after, warn only tells."
    )
    table: TableText | None = Field(
        None, description="schema.table; needed only if the pipeline loads more than one table."
    )

    @property
    def checked_columns(self) -> tuple[str, ...]:
        """The columns of the table that the rule reads."""
        return ()


class RowRule(BaseRule):
    """A rule that counts failing rows."""

    max_failing: int = Field(0, ge=0, description="So many failing rows are still accepted.")
    max_failing_ratio: Fraction | None = Field(
        None, description="Or: so large a part of all rows (0 to 1) is still accepted."
    )

    @model_validator(mode="after")
    def _one_limit(self) -> "RowRule":
        if self.max_failing and self.max_failing_ratio is not None:
            raise ValueError("use either max_failing or max_failing_ratio, not both")
        return self


class _OneColumn(BaseRule):
    column: ColumnName = Field(description="Column that is checked.")

    @property
    def checked_columns(self) -> tuple[str, ...]:
        """The one column."""
        return (self.column,)


class _SeveralColumns(RowRule):
    columns: ColumnList = Field(description="Columns that are checked, at least one.")

    @property
    def checked_columns(self) -> tuple[str, ...]:
        """All listed columns."""
        return tuple(self.columns)


class NullCheck(_SeveralColumns):
    """No row has NULL in any of the columns. Empty text and NaN are not NULL."""

    type: Literal["null_check"] = Field("null_check", description="Values must be there.")


class FormatCheck(_OneColumn, RowRule):
    """Each value, written as text, contains a match of the pattern; NULL is passed over."""

    type: Literal["format_check"] = Field("format_check", description="Values must look like a pattern.")
    pattern: Annotated[str, AfterValidator(check_pattern)] = Field(
        description="Regular expression as PostgreSQL and RE2 share it; ^ and $ anchor it to the whole value."
    )


class RangeCheck(_OneColumn, RowRule):
    """Each value lies between `min` and `max`, both included; NULL is passed over.

    NaN is outside of every range. Infinite dates and numbers are ordered as in PostgreSQL. Text
    is ordered by code point.
    """

    type: Literal["range"] = Field("range", description="Values must lie between two limits.")
    min: Bound | None = Field(None, description="Least value: a number, or text for dates, times and text.")
    max: Bound | None = Field(None, description="Greatest value.")

    @model_validator(mode="after")
    def _limits(self) -> "RangeCheck":
        if self.min is None and self.max is None:
            raise ValueError("range needs min, max or both")
        if isinstance(self.min, str) == isinstance(self.max, str):
            low, high = (as_number(self.min), as_number(self.max))
            if low is not None and high is not None and low > high:
                raise ValueError(f"min {self.min} is greater than max {self.max}")
        elif self.min is not None and self.max is not None:
            raise ValueError("min and max are of different kinds; write two numbers or two texts")
        return self


class AcceptedValues(_OneColumn, RowRule):
    """Each value is one of the list; NULL is passed over."""

    type: Literal["accepted_values"] = Field("accepted_values", description="Values must be in a list.")
    values: list[Value] = Field(min_length=1, description="All values that may occur.")


class Unique(_SeveralColumns):
    """No two rows have the same values in the columns.

    It counts duplicate rows: those beyond the first of each key. Three equal rows are two.
    """

    type: Literal["unique"] = Field("unique", description="Rows must differ in these columns.")


class RecordCountMatch(BaseRule):
    """The table has as many rows as expected, as its source, or as another table."""

    type: Literal["record_count_match"] = Field(
        "record_count_match", description="Number of rows must match."
    )
    expected: int | None = Field(None, ge=0, description="This many rows.")
    against: TableText | None = Field(
        None, description="`source` (compared by runs that read all of it), or a schema.table."
    )
    tolerance: Fraction = Field(
        0.0, description="Accepted difference as a part of the expected number, 0 to 1."
    )
    tolerance_rows: int = Field(
        0, ge=0, description="Accepted difference in rows; the larger of both counts."
    )

    @model_validator(mode="after")
    def _one_side(self) -> "RecordCountMatch":
        if (self.expected is None) == (self.against is None):
            raise ValueError(
                "record_count_match needs either expected: number or against: source | schema.table"
            )
        return self


class DataFreshness(_OneColumn):
    """The greatest finite value of a time column is at most `max_age` old.

    Times without a zone are taken as UTC, dates as their midnight. A time in the future is fresh.
    """

    type: Literal["data_freshness"] = Field("data_freshness", description="The newest row must be recent.")
    max_age: Annotated[str, AfterValidator(_age)] = Field(description="Greatest age, such as `26h` or `7d`.")


class SchemaValidation(BaseRule):
    """The table has these columns with these types; a type without length accepts any length."""

    type: Literal["schema_validation"] = Field(
        "schema_validation", description="Columns must have these types."
    )
    columns: dict[ColumnName, Text] = Field(
        min_length=1, description="SQL type of each column, such as `bigint`."
    )
    allow_extra: bool = Field(True, description="Whether the table may have other columns too.")


Rule: TypeAlias = Annotated[
    NullCheck
    | FormatCheck
    | RangeCheck
    | AcceptedValues
    | Unique
    | RecordCountMatch
    | DataFreshness
    | SchemaValidation,
    Field(discriminator="type"),
]
"""Any rule, as it stands in a pipeline file."""


def check_names(rules: Iterable[Rule]) -> list[str]:
    """Return one name per rule: letters, digits and `_`, at most 63, no two alike.

    Given names come first; a name that is taken gets `_2`, `_3` and so on. The same list of rules
    always gives the same names, so that the history of a check stays with it.
    """
    rules = list(rules)
    taken = {rule.name for rule in rules if rule.name}
    used: set[str] = set()
    names = []
    for rule in rules:
        wanted = rule.name or _derived_name(rule)
        name, number = wanted, 1
        while name in used or (name in taken and name != rule.name):
            number += 1
            suffix = f"_{number}"
            name = wanted[: MAX_NAME - len(suffix)] + suffix
        used.add(name)
        names.append(name)
    return names


def _derived_name(rule: Rule) -> str:
    plain = "_".join((rule.type, *rule.checked_columns))
    name = re.sub(r"[^A-Za-z0-9_]+", "_", plain)
    if plain.isascii() and len(name) <= MAX_NAME:
        return name
    # Letters were lost: a digest keeps two columns apart whatever their order in the list.
    digest = hashlib.sha256(plain.encode()).hexdigest()[:8]
    return f"{name[: MAX_NAME - 9].rstrip('_')}_{digest}"
