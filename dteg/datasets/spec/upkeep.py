"""The keys of a dataset that say when its rows are built anew, what is remembered of them, and what must be true."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from dteg.core.config import UnderscoredModel
from dteg.core.durations import DurationText
from dteg.core.schedules import CronText, TimezoneText
from dteg.datasets.spec.values import ColumnName, KeepText, PercentText, key_of


class Cache(UnderscoredModel):
    """When rows are built anew, and how many copies are kept."""

    schedule: CronText | None = Field(
        None, description="Cron expression with five fields; none: by hand only."
    )
    timezone: TimezoneText = Field("UTC", description="Time zone of the schedule.")
    max_age: DurationText | None = Field(None, description="Age from which rows are called stale: `1h`.")
    keep_generations: int = Field(2, ge=1, le=20, description="Copies that are kept, the live one counted.")
    key: list[ColumnName] = Field(
        [], max_length=16, description="Columns that identify a row; gets a unique index."
    )
    indexes: list[Annotated[list[ColumnName], Field(min_length=1, max_length=16)]] = Field(
        [], max_length=10, description="Further indexes, for columns that readers filter by."
    )
    deadline: DurationText = Field("10m", description="Longest time of a refresh.")
    build_memory_mb: int = Field(
        256, ge=16, le=65_536, description="Memory of one sort or hash of a refresh (MB)."
    )


class Keep(UnderscoredModel):
    """How long points are kept."""

    raw: KeepText = Field("90d", description="Each point.")
    daily: KeepText = Field("3y", description="The last point of each day.")


class Snapshot(UnderscoredModel):
    """What is remembered of each state."""

    schedule: CronText = Field(description="Cron expression with five fields.")
    timezone: TimezoneText = Field("UTC", description="Time zone of the schedule.")
    metrics: list[ColumnName] = Field(
        [], max_length=100, description="Columns of numbers; default: all measures."
    )
    by: list[ColumnName] = Field(
        [], max_length=16, description="Columns by whose values metrics are kept apart."
    )
    rows: bool = Field(False, description="Keep whole rows, too.")
    keep: Keep = Field(Keep(), description="How long.")


class _Check(UnderscoredModel):
    blocking: bool = Field(True, description="Whether rows that fail are not published.")


class NotEmptyCheck(_Check):
    """There are rows."""

    not_empty: Literal[True] = Field(description="Always true.")


class MinRowsCheck(_Check):
    """There are enough rows."""

    min_rows: int = Field(ge=1, description="The least number of rows.")


class RowDropCheck(_Check):
    """There are not many fewer rows than before."""

    row_drop_max: PercentText = Field(description="Such as `30%` of the live rows.")


class UniqueCheck(_Check):
    """No two rows have the same values."""

    unique: list[ColumnName] = Field(min_length=1, max_length=16, description="Columns.")


class NotNullCheck(_Check):
    """No value is missing."""

    not_null: list[ColumnName] = Field(min_length=1, max_length=100, description="Columns.")


class Fresh(UnderscoredModel):
    """How new the newest row has to be."""

    col: ColumnName = Field(description="Column of dates or times.")
    max_age: DurationText = Field(description="Such as `26h`.")


class FreshCheck(_Check):
    """The newest row is new enough."""

    fresh: Fresh = Field(description="By which column, and how new.")


class JoinsCheck(_Check):
    """Joins match as they are expected to (`expect`)."""

    joins: Literal[True] = Field(description="Always true.")


Check = Annotated[
    Annotated[NotEmptyCheck, Tag("(not_empty)")]
    | Annotated[MinRowsCheck, Tag("(min_rows)")]
    | Annotated[RowDropCheck, Tag("(row_drop_max)")]
    | Annotated[UniqueCheck, Tag("(unique)")]
    | Annotated[NotNullCheck, Tag("(not_null)")]
    | Annotated[FreshCheck, Tag("(fresh)")]
    | Annotated[JoinsCheck, Tag("(joins)")],
    Discriminator(
        key_of(
            "not_empty",
            "min_rows",
            "row_drop_max",
            "unique",
            "not_null",
            "fresh",
            "joins",
            fallback="not_empty",
        )
    ),
]
