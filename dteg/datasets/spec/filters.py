"""Filters of a dataset: conditions, and groups of them."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from dteg.core.config import UnderscoredModel
from dteg.core.schedules import TimezoneText
from dteg.core.yaml import Path_
from dteg.datasets.spec.values import Grain, Reference, RelativeText, Value, key_of

MAX_CONDITIONS = 200
MAX_VALUES = 1_000

Operator = Literal[
    "=", "!=", "<", "<=", ">", ">=", "in", "not_in", "between", "is_null", "not_null",
    "contains", "not_contains", "starts_with", "ends_with", "like", "not_like",
]  # fmt: skip


class Relative(UnderscoredModel):
    """A time that moves with the clock: `-90d`, or with `start_of` the start of the period it falls into."""

    relative: RelativeText = Field(
        description="Number and unit from now: s, m (minutes), h, d, w, mo, q, y, such as -90d or +2w."
    )
    start_of: Grain | None = Field(None, description="Go back to the start of this period.")
    timezone: TimezoneText = Field("UTC", description="Zone in which periods start.")


class ColumnValue(UnderscoredModel):
    """The value of another column."""

    col: Reference = Field(description="The other column.")


def _value_kind(value: Any) -> str:
    if isinstance(value, list):
        return "(list)"
    if isinstance(value, dict):
        return "(col)" if "col" in value else "(relative)"
    if isinstance(value, Relative):
        return "(relative)"
    return "(col)" if isinstance(value, ColumnValue) else "(value)"


FilterValue = Annotated[
    Annotated[Relative, Tag("(relative)")]
    | Annotated[ColumnValue, Tag("(col)")]
    | Annotated[list[Value], Field(max_length=MAX_VALUES), Tag("(list)")]
    | Annotated[Value, Tag("(value)")],
    Discriminator(_value_kind),
]


class Condition(UnderscoredModel):
    """One comparison."""

    col: Reference = Field(description="`alias.column`, or the name of a column of this dataset.")
    op: Operator = Field("=", description="How it is compared.")
    value: FilterValue | None = Field(
        None,
        description="A value, a list for in, not_in and between, {relative: -90d}, or {col: other column}.",
    )

    @model_validator(mode="after")
    def _fitting_value(self) -> "Condition":
        if self.op in ("is_null", "not_null"):
            if self.value is not None:
                raise ValueError(f"op: {self.op} takes no value")
        elif self.op in ("in", "not_in"):
            if not isinstance(self.value, list) or not self.value:
                raise ValueError(f"op: {self.op} takes a list of one or more values")
        elif self.op == "between":
            if not isinstance(self.value, list) or len(self.value) != 2:
                raise ValueError("op: between takes a list of two values, the least and the greatest")
        elif self.value is None:
            raise ValueError(f"op: {self.op} needs a value; for missing values write op: is_null")
        elif isinstance(self.value, list):
            raise ValueError(f"op: {self.op} takes one value; for a list write op: in")
        return self


class AllOf(UnderscoredModel):
    """All of them are true."""

    all_: list["Filter"] = Field(max_length=MAX_CONDITIONS, description="Conditions and groups.")


class AnyOf(UnderscoredModel):
    """At least one of them is true."""

    any_: list["Filter"] = Field(
        min_length=1, max_length=MAX_CONDITIONS, description="Conditions and groups."
    )


class NotOf(UnderscoredModel):
    """It is not true, or not known to be."""

    not_: "Filter" = Field(description="A condition or group.")


Filter = Annotated[
    Annotated[Condition, Tag("(col)")]
    | Annotated[AllOf, Tag("(all)")]
    | Annotated[AnyOf, Tag("(any)")]
    | Annotated[NotOf, Tag("(not)")],
    Discriminator(key_of("all", "any", "not", "col", fallback="col")),
]
"""A condition, or a group of them."""


def conditions(filter_: Any, path: Path_ = ()) -> Iterator[tuple[Condition, Path_]]:
    """Yield each condition of a filter with its path."""
    if isinstance(filter_, Condition):
        yield filter_, path
    elif isinstance(filter_, NotOf):
        yield from conditions(filter_.not_, (*path, "not"))
    elif isinstance(filter_, AllOf | AnyOf):
        word = "all" if isinstance(filter_, AllOf) else "any"
        members = filter_.all_ if isinstance(filter_, AllOf) else filter_.any_
        for number, member in enumerate(members):
            yield from conditions(member, (*path, word, number))
