"""What a dataset reads: tables, dictionaries and other datasets, and how their rows belong together."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from dteg.core.config import UnderscoredModel
from dteg.datasets.models import Slug
from dteg.datasets.spec.values import Reference, key_of

JoinType = Literal["left", "inner", "right", "full"]
Expect = Literal["one_to_one", "one_to_many", "many_to_one", "many_to_many"]


class TableSource(UnderscoredModel):
    """A table of a source."""

    source: Slug = Field(description="Slug of the source; `warehouse` for the warehouse's own tables.")
    schema_: str = Field(
        "", max_length=128, description="Schema of the table; empty where the source has none."
    )
    table: str = Field(min_length=1, max_length=128, description="The table.")

    def __str__(self) -> str:
        """Render as `source/schema.table`."""
        return f"{self.source}/{self.schema_}.{self.table}" if self.schema_ else f"{self.source}/{self.table}"


class DictionarySource(UnderscoredModel):
    """A dictionary."""

    dictionary: Slug = Field(description="Slug of the dictionary.")

    def __str__(self) -> str:
        """Render as `dictionary slug`."""
        return f"dictionary {self.dictionary}"


class DatasetSource(UnderscoredModel):
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


class Join(UnderscoredModel):
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
