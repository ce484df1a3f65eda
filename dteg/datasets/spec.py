"""The file of a dataset: the only definition of its YAML and JSON.

A dataset is described, never written as SQL: every name is looked up in the catalogue, every value becomes a literal,
and a formula is a small language of its own (`dteg.datasets.formulas`). `dteg.datasets.compile` makes the query.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from dteg.core.errors import ConfigError, Problem
from dteg.core.schedules import TimezoneText
from dteg.core.yaml import Document, Path_, parse, read, validate
from dteg.datasets.models import Slug
from dteg.datasets.spec_checks import (
    ColumnName,
    FormulaText,
    Reference,
    RelativeText,
    SpecModel,
    TypeText,
    Value,
    check_size,
    key_of,
)
from dteg.datasets.upkeep import Cache, Check, FreshCheck, Keep, Snapshot

__all__ = [
    "FOLDER",
    "MAX_COLUMNS",
    "MAX_CONDITIONS",
    "MAX_SOURCES",
    "MAX_VALUES",
    "AggregateMeasure",
    "AllOf",
    "AnyOf",
    "Cache",
    "Check",
    "Column",
    "ColumnValue",
    "Condition",
    "DatasetSource",
    "DatasetSpec",
    "DictionarySource",
    "Expect",
    "Filter",
    "FilterValue",
    "FormulaColumn",
    "FormulaMeasure",
    "FreshCheck",
    "FromColumn",
    "Function",
    "Grain",
    "Group",
    "GroupColumn",
    "Join",
    "JoinType",
    "Keep",
    "Lookup",
    "LookupColumn",
    "Measure",
    "NotOf",
    "Operator",
    "Order",
    "Relative",
    "Snapshot",
    "SpecModel",
    "TableRef",
    "TableSource",
    "conditions",
    "dump_spec",
    "load_spec",
    "parse_spec",
    "placed",
    "spec_of",
]

FOLDER = "datasets"
MAX_SOURCES = 20
MAX_COLUMNS = 500
MAX_CONDITIONS = 200
MAX_VALUES = 1_000

Grain = Literal["minute", "hour", "day", "week", "month", "quarter", "year"]
JoinType = Literal["left", "inner", "right", "full"]
Expect = Literal["one_to_one", "one_to_many", "many_to_one", "many_to_many"]
Operator = Literal[
    "=", "!=", "<", "<=", ">", ">=", "in", "not_in", "between", "is_null", "not_null",
    "contains", "not_contains", "starts_with", "ends_with", "like", "not_like",
]  # fmt: skip
Function = Literal[
    "count", "count_distinct", "sum", "avg", "min", "max", "median", "stddev", "any_true", "all_true"
]


# --- What is read ------------------------------------------------------------------------------


class TableSource(SpecModel):
    """A table of a source."""

    source: Slug = Field(description="Slug of the source; `warehouse` for the warehouse's own tables.")
    schema_: str = Field(
        "", max_length=128, description="Schema of the table; empty where the source has none."
    )
    table: str = Field(min_length=1, max_length=128, description="The table.")

    def __str__(self) -> str:
        """Render as `source/schema.table`."""
        return f"{self.source}/{self.schema_}.{self.table}" if self.schema_ else f"{self.source}/{self.table}"


class DictionarySource(SpecModel):
    """A dictionary."""

    dictionary: Slug = Field(description="Slug of the dictionary.")

    def __str__(self) -> str:
        """Render as `dictionary slug`."""
        return f"dictionary {self.dictionary}"


class DatasetSource(SpecModel):
    """Another dataset, as it was last published."""

    dataset: Slug = Field(description="Slug of the dataset.")

    def __str__(self) -> str:
        """Render as `dataset slug`."""
        return f"dataset {self.dataset}"


TableRef = Annotated[
    Annotated[TableSource, Tag("(source)")]
    | Annotated[DictionarySource, Tag("(dictionary)")]
    | Annotated[DatasetSource, Tag("(dataset)")],
    Discriminator(key_of("source", "dictionary", "dataset", fallback="source")),
]
"""One of the three things that a dataset reads."""


class Join(SpecModel):
    """How rows of two sources belong together."""

    left: Slug = Field(description="Alias of one source.")
    right: Slug = Field(description="Alias of the other source.")
    type: JoinType = Field(
        "left",
        description="left keeps all rows of `left`, right those of `right`, full both, inner none without match.",
    )
    on: list[Annotated[list[Reference], Field(min_length=2, max_length=2)]] = Field(
        min_length=1, max_length=16, description="Pairs of columns that are equal: `[[c.id, o.customer_id]]`."
    )
    expect: Expect | None = Field(
        None, description="How many rows match, left to right; the preview and each refresh can check it."
    )

    @model_validator(mode="after")
    def _two_sources(self) -> "Join":
        if self.left == self.right:
            raise ValueError(
                f"{self.left} is joined with itself; give the table a second alias under sources"
            )
        return self


# --- Columns -----------------------------------------------------------------------------------


class Lookup(SpecModel):
    """A value of a dictionary."""

    dictionary: Slug = Field(description="Slug of the dictionary.")
    key: Reference = Field(description="Column whose value is looked up.")
    value: ColumnName = Field(description="Column of the dictionary that is wanted.")
    default: Value | None = Field(
        None, description="What stands for a key that the dictionary does not have."
    )


class _Output(SpecModel):
    """Something with a name that is worth showing."""

    name: ColumnName = Field(description="Name of the column.")
    title: str = Field("", max_length=200, description="Its name for people.")
    description: str = Field("", max_length=2_000, description="What it means.")


class FromColumn(_Output):
    """A column of a source."""

    from_: Reference = Field(description="`alias.column`, or the column alone if only one source has it.")
    type: TypeText | None = Field(None, description="Type to cast to, such as `decimal(12,2)`.")


class FormulaColumn(_Output):
    """A calculated column."""

    formula: FormulaText = Field(description="Such as `round(amount - cost, 2)`; may use columns above it.")
    type: TypeText | None = Field(None, description="Type to cast to.")


class LookupColumn(_Output):
    """A column that is looked up in a dictionary."""

    lookup: Lookup = Field(description="Where.")
    type: TypeText | None = Field(None, description="Type to cast to.")


Column = Annotated[
    Annotated[FromColumn, Tag("(from)")]
    | Annotated[FormulaColumn, Tag("(formula)")]
    | Annotated[LookupColumn, Tag("(lookup)")],
    Discriminator(key_of("from", "formula", "lookup", fallback="from")),
]

# --- Filters -----------------------------------------------------------------------------------


class Relative(SpecModel):
    """A time that moves with the clock: `-90d`, or with `start_of` the start of the period it falls into."""

    relative: RelativeText = Field(
        description="Number and unit from now: s, m (minutes), h, d, w, mo, q, y, such as -90d or +2w."
    )
    start_of: Grain | None = Field(None, description="Go back to the start of this period.")
    timezone: TimezoneText = Field("UTC", description="Zone in which periods start.")


class ColumnValue(SpecModel):
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


class Condition(SpecModel):
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


class AllOf(SpecModel):
    """All of them are true."""

    all_: list["Filter"] = Field(max_length=MAX_CONDITIONS, description="Conditions and groups.")


class AnyOf(SpecModel):
    """At least one of them is true."""

    any_: list["Filter"] = Field(
        min_length=1, max_length=MAX_CONDITIONS, description="Conditions and groups."
    )


class NotOf(SpecModel):
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

# --- Groups and measures -----------------------------------------------------------------------


class GroupColumn(_Output):
    """What rows are put together by."""

    from_: Reference = Field(description="`alias.column`, or the name of a column under `columns`.")
    grain: Grain | None = Field(None, description="Put times of the same period together.")
    timezone: TimezoneText = Field("UTC", description="Zone in which periods start.")


Group = Annotated[
    Annotated[GroupColumn, Tag("(mapping)")] | Annotated[Reference, Tag("(text)")],
    Discriminator(lambda value: "(text)" if isinstance(value, str) else "(mapping)"),
]


class AggregateMeasure(_Output):
    """One number for each group."""

    fn: Function = Field(description="How the values of a group become one.")
    of: Reference | None = Field(
        None, description="Column; may be left out for count, which then counts rows."
    )
    where: Filter | None = Field(None, description="Only rows for which this is true.")
    type: TypeText | None = Field(None, description="Type to cast to.")

    @model_validator(mode="after")
    def _needs_column(self) -> "AggregateMeasure":
        if self.of is None and self.fn != "count":
            raise ValueError(f"fn: {self.fn} needs of: a column")
        return self


class FormulaMeasure(_Output):
    """A number calculated from other measures: `revenue / buyers`."""

    formula: FormulaText = Field(description="May use groups, and measures above it.")
    type: TypeText | None = Field(None, description="Type to cast to.")


Measure = Annotated[
    Annotated[AggregateMeasure, Tag("(fn)")] | Annotated[FormulaMeasure, Tag("(formula)")],
    Discriminator(key_of("formula", "fn", fallback="fn")),
]


class Order(SpecModel):
    """By what rows are sorted."""

    col: ColumnName = Field(description="A column of the result.")
    descending: bool = Field(False, description="Greatest first.")


# --- The whole ---------------------------------------------------------------------------------


class DatasetSpec(SpecModel):
    """A dataset: sources, how they are joined, and what is made of them."""

    dataset: Slug = Field(description="Its name: small letters, digits and _, a letter first.")
    version: Literal[1] = Field(1, description="Version of this format.")
    title: str = Field("", max_length=200, description="Its name for people.")
    description: str = Field("", max_length=4_000, description="What it is for.")
    sources: dict[Slug, TableRef] = Field(
        min_length=1,
        max_length=MAX_SOURCES,
        description="Alias: table, dictionary or dataset. The first leads.",
    )
    joins: list[Join] = Field([], max_length=MAX_SOURCES, description="How the sources belong together.")
    columns: list[Column] = Field(
        [],
        max_length=MAX_COLUMNS,
        description="Columns of the result. With measures: only names that groups, measures and filters can use. "
        "Empty, without measures: every column of every source.",
    )
    filters: Filter | None = Field(None, description="Which rows.")
    group_by: list[Group] = Field([], max_length=32, description="What rows are put together by.")
    measures: list[Measure] = Field([], max_length=200, description="Numbers for each group.")
    having: Filter | None = Field(None, description="Which groups, by their measures.")
    order_by: list[Order] = Field([], max_length=16, description="By what rows are sorted.")
    limit: int | None = Field(None, ge=1, le=100_000_000, description="Rows at the most.")
    text_compare: Literal["exact", "ci"] = Field(
        "exact",
        description="Texts are equal if each character is (exact), or but for small and capital letters (ci): "
        "the same for every source.",
    )
    cache: Cache = Field(Cache(), description="When it is built anew.")
    snapshot: Snapshot | None = Field(None, description="What is remembered over time.")
    checks: list[Check] = Field([], max_length=50, description="What must be true before rows are published.")

    @property
    def grouped(self) -> bool:
        """Whether the result has a row for each group."""
        return bool(self.group_by or self.measures)

    @model_validator(mode="before")
    @classmethod
    def _small_enough(cls, value: Any) -> Any:
        check_size(value)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "DatasetSpec":
        if self.having is not None and not self.grouped:
            raise ValueError(
                "having needs measures or group_by; without them write the condition under filters"
            )
        return self


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


def load_spec(path: Path, name: str | None = None) -> DatasetSpec:
    """Read and check the file of a dataset; `name` is how messages call it.

    Raises:
        ConfigError: With file and line of each problem.
    """
    return spec_of(read(path, name))


def parse_spec(text: str, file: str = "") -> DatasetSpec:
    """Read and check the YAML text of a dataset.

    Raises:
        ConfigError: With the line of each problem.
    """
    return spec_of(parse(text, file))


def spec_of(value: Document | dict[str, Any]) -> DatasetSpec:
    """Check a parsed document, or plain JSON values, as a dataset.

    Raises:
        ConfigError: One problem for each thing that is wrong, with its path.
    """
    document = value if isinstance(value, Document) else Document(value, "", {})
    return validate(document, DatasetSpec)


def dump_spec(spec: DatasetSpec) -> dict[str, Any]:
    """Return the plain JSON values of a dataset: what was written, in the order of the format, without defaults."""
    values: dict[str, Any] = spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return values


def placed(error: ConfigError, document: Document) -> ConfigError:
    """Give the problems of an error their lines in a document."""
    return ConfigError([_placed(problem, document) for problem in error.problems])


def _placed(problem: Problem, document: Document) -> Problem:
    path: list[str | int] = []
    for part in problem.path.replace("[", ".[").split("."):
        if part.startswith("["):
            path.append(int(part[1:-1]))
        elif part:
            path.append(part)
    return document.problem(tuple(path), problem.message)
