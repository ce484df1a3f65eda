"""What becomes of groups of rows: what they are put together by, and numbers for each."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from dteg.core.schedules import TimezoneText
from dteg.datasets.spec.filters import Filter
from dteg.datasets.spec.values import FormulaText, Grain, OutputModel, Reference, TypeText, key_of

Function = Literal[
    "count", "count_distinct", "sum", "avg", "min", "max", "median", "stddev", "any_true", "all_true"
]


class GroupColumn(OutputModel):
    """What rows are put together by."""

    from_: Reference = Field(description="`alias.column`, or the name of a column under `columns`.")
    grain: Grain | None = Field(None, description="Put times of the same period together.")
    timezone: TimezoneText = Field("UTC", description="Zone in which periods start.")


Group = Annotated[
    Annotated[GroupColumn, Tag("(mapping)")] | Annotated[Reference, Tag("(text)")],
    Discriminator(lambda value: "(text)" if isinstance(value, str) else "(mapping)"),
]


class AggregateMeasure(OutputModel):
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


class FormulaMeasure(OutputModel):
    """A number calculated from other measures: `revenue / buyers`."""

    formula: FormulaText = Field(description="May use groups, and measures above it.")
    type: TypeText | None = Field(None, description="Type to cast to.")


Measure = Annotated[
    Annotated[AggregateMeasure, Tag("(fn)")] | Annotated[FormulaMeasure, Tag("(formula)")],
    Discriminator(key_of("formula", "fn", fallback="fn")),
]
