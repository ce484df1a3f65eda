"""The whole definition of a dataset."""

from typing import Any, Literal

from pydantic import Field, model_validator

from dteg.core.config import UnderscoredModel
from dteg.datasets.models import Slug
from dteg.datasets.spec.columns import Column
from dteg.datasets.spec.filters import Filter
from dteg.datasets.spec.measures import Group, Measure
from dteg.datasets.spec.sources import Join, TableRef
from dteg.datasets.spec.upkeep import Cache, Check, Snapshot
from dteg.datasets.spec.values import ColumnName, check_size
from dteg.tokens.visible import Role

MAX_SOURCES = 20
MAX_COLUMNS = 500


class Order(UnderscoredModel):
    """By what rows are sorted."""

    col: ColumnName = Field(description="A column of the result.")
    descending: bool = Field(False, description="Greatest first.")


class DatasetSpec(UnderscoredModel):
    """A dataset: sources, how they are joined, and what is made of them."""

    dataset: Slug = Field(description="Its name: small letters, digits and _, a letter first.")
    version: Literal[1] = Field(1, description="Version of this format.")
    title: str = Field("", max_length=200, description="Its name for people.")
    description: str = Field("", max_length=4_000, description="What it is for.")
    roles: list[Role] = Field([], max_length=20, description="Who sees it; empty: everybody who may read.")
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
