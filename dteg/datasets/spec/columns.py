"""Columns of a dataset: taken from a source, calculated, or looked up."""

from typing import Annotated

from pydantic import Discriminator, Field, Tag

from dteg.core.config import UnderscoredModel
from dteg.datasets.models import Slug
from dteg.datasets.spec.values import (
    ColumnName,
    FormulaText,
    OutputModel,
    Reference,
    TypeText,
    Value,
    key_of,
)


class Lookup(UnderscoredModel):
    """A value of a dictionary."""

    dictionary: Slug = Field(description="Slug of the dictionary.")
    key: Reference = Field(description="Column whose value is looked up.")
    value: ColumnName = Field(description="Column of the dictionary that is wanted.")
    default: Value | None = Field(
        None, description="What stands for a key that the dictionary does not have."
    )


class FromColumn(OutputModel):
    """A column of a source."""

    from_: Reference = Field(description="`alias.column`, or the column alone if only one source has it.")
    type: TypeText | None = Field(None, description="Type to cast to, such as `decimal(12,2)`.")


class FormulaColumn(OutputModel):
    """A calculated column."""

    formula: FormulaText = Field(description="Such as `round(amount - cost, 2)`; may use columns above it.")
    type: TypeText | None = Field(None, description="Type to cast to.")


class LookupColumn(OutputModel):
    """A column that is looked up in a dictionary."""

    lookup: Lookup = Field(description="Where.")
    type: TypeText | None = Field(None, description="Type to cast to.")


Column = Annotated[
    Annotated[FromColumn, Tag("(from)")]
    | Annotated[FormulaColumn, Tag("(formula)")]
    | Annotated[LookupColumn, Tag("(lookup)")],
    Discriminator(key_of("from", "formula", "lookup", fallback="from")),
]
