"""Snapshots, trends and forecasts as people and programs see them: plain JSON, times in UTC."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from dteg.core.config import ConfigModel

Dims = dict[str, str | None]
"""Values that rows are kept apart by, as texts: `{"country": "KZ"}`; `{}` is all rows."""


class How(StrEnum):
    """How the rows of a dataset become one number."""

    SUM = "sum"
    MIN = "min"
    MAX = "max"
    COUNT = "count"
    MEAN = "mean"
    """The mean of several groups, because values of these cannot be added up, such as counts of different customers."""
    VALUE = "value"
    """The value of the one row that there is."""


class Metric(ConfigModel):
    """A number that is remembered."""

    name: str = Field(description="Column of the dataset, or `rows`.")
    how: How = Field(description="How rows become one number.")
    by: list[str] = Field([], description="Columns by whose values it is kept apart.")
    series: int = Field(0, description="Series there are so far.")


class Series(ConfigModel):
    """One metric for one choice of values."""

    dataset: str = Field(description="Slug of the dataset.")
    metric: str = Field(description="Name of the metric.")
    by: Dims = Field({}, description="The values; empty: all rows.")
    points: int = Field(0, description="Points that are kept.")
    first_slot: datetime | None = Field(None, description="Time of the first point.")
    last_slot: datetime | None = Field(None, description="Time of the last point.")
    last_value: float | None = Field(None, description="Value of the last point.")


class Point(ConfigModel):
    """A number at one time."""

    slot: datetime = Field(description="The planned time that it belongs to.")
    value: float = Field(description="The number.")
    stale: bool = Field(False, description="The rows were older than they should be; forecasts leave it out.")
    taken_at: datetime | None = Field(None, description="When it was taken.")
    data_as_of: datetime | None = Field(None, description="How old the rows were.")


class NewPoint(ConfigModel):
    """A number of the past that is added from elsewhere."""

    slot: datetime = Field(description="The time it belongs to; without zone: UTC.")
    value: float = Field(description="The number.")


class TakeOrder(ConfigModel):
    """What is to be remembered."""

    slot: datetime | None = Field(None, description="A time of the schedule; default: the last one.")
    force_rows: bool = Field(False, description="Keep whole rows, however many there are.")


class Taken(ConfigModel):
    """What was remembered of a dataset at one time."""

    dataset: str = Field(description="Slug of the dataset.")
    slot: datetime = Field(description="The planned time.")
    taken_at: datetime = Field(description="When it was taken.")
    data_as_of: datetime | None = Field(None, description="How old the rows were.")
    stale: bool = Field(False, description="Whether they were older than they should be.")
    generation: int | None = Field(None, description="Generation it was taken from.")
    points: int = Field(0, description="Points.")
    rows: int | None = Field(None, description="Whole rows that were kept; null if none were wanted.")
    problem: str = Field("", description="Why whole rows were not kept although they were wanted.")
    again: bool = Field(False, description="It had been taken before; nothing was written.")
    unusual: int = Field(0, description="Points far outside of what was expected.")


class RowSnapshot(ConfigModel):
    """Whole rows of one time."""

    dataset: str = Field(description="Slug of the dataset.")
    slot: datetime = Field(description="The planned time.")
    rows: int = Field(description="Rows.")
    relation: str = Field(description="Table that holds them; its column `snapshot_slot` is the time.")


class Change(ConfigModel):
    """The last value beside an earlier one."""

    slot: datetime = Field(description="Time of the earlier value.")
    value: float = Field(description="The earlier value.")
    delta: float = Field(description="Last value less the earlier one.")
    percent: float | None = Field(description="The same in percent of the earlier one; null if that is 0.")


class Anomaly(ConfigModel):
    """A value outside of what the values before it let expect."""

    slot: datetime = Field(description="When.")
    value: float = Field(description="The value.")
    expected: float = Field(description="What was expected one step before.")
    low: float = Field(description="Lower end of the 95 % interval.")
    high: float = Field(description="Upper end.")
    extreme: bool = Field(description="Outside of the 99.9 % interval, too; only these become alerts.")


class Direction(StrEnum):
    """Where a series goes."""

    RISING = "rising"
    FALLING = "falling"
    STEADY = "steady"
    """No trend that could not be chance."""
    UNKNOWN = "unknown"
    """Too few points to say."""


class Trend(ConfigModel):
    """What the points of a series say."""

    dataset: str = Field(description="Slug of the dataset.")
    metric: str = Field(description="Name of the metric.")
    by: Dims = Field({}, description="Which series.")
    points: int = Field(description="Points that were looked at.")
    words: str = Field(description="The same for people.")
    last: Point | None = Field(None, description="The last point.")
    previous: Change | None = Field(None, description="Beside the point before.")
    week: Change | None = Field(None, description="Beside the same time a week before.")
    year: Change | None = Field(None, description="Beside the same time a year before.")
    mean_7: float | None = Field(None, description="Mean of the last 7 points.")
    mean_28: float | None = Field(None, description="Mean of the last 28 points.")
    direction: Direction = Field(Direction.UNKNOWN, description="Where it goes, if p is below 0.05.")
    slope: float | None = Field(None, description="Change from one time to the next (Theil-Sen).")
    slope_per_day: float | None = Field(None, description="The same for a day.")
    p_value: float | None = Field(
        None,
        description="Chance of such a trend without one (Mann-Kendall, by season, for correlated values).",
    )
    volatility: float | None = Field(
        None, description="Standard deviation of changes from point to point, in units of the mean's size."
    )
    season: int = Field(1, description="Points of one period, such as 24 for hours; 1: none.")
    step_s: float | None = Field(None, description="Usual time between two points (s).")
    gaps: int = Field(0, description="Planned times without a point between the first and the last.")
    anomalies: list[Anomaly] = Field([], description="Unusual values, oldest first.")


class ForecastState(StrEnum):
    """Whether there is a forecast."""

    OK = "ok"
    NOT_ENOUGH_DATA = "not_enough_data"


class ForecastPoint(ConfigModel):
    """What is expected at one time."""

    slot: datetime = Field(description="When.")
    mean: float = Field(description="What is expected.")
    lo80: float = Field(description="Lower end of the 80 % band.")
    hi80: float = Field(description="Upper end of the 80 % band.")
    lo95: float = Field(description="Lower end of the 95 % band.")
    hi95: float = Field(description="Upper end of the 95 % band.")


class Forecast(ConfigModel):
    """What is expected of a series, and how far that can be trusted."""

    dataset: str = Field(description="Slug of the dataset.")
    metric: str = Field(description="Name of the metric.")
    by: Dims = Field({}, description="Which series.")
    state: ForecastState = Field(description="Whether there is one.")
    message: str = Field("", description="Why there is none, or what to know of it.")
    missing: int = Field(0, description="Points that are missing until there can be one.")
    made_at: datetime = Field(description="When it was made.")
    last_slot: datetime | None = Field(None, description="Last point it knows.")
    observations: int = Field(0, description="Points it was made from; filled gaps counted.")
    filled: int = Field(0, description="Gaps that were filled by what lies beside them.")
    horizon: int = Field(0, description="Times ahead.")
    season: int = Field(1, description="Points of one period; 1: none.")
    model: str = Field("", description="Name of the model.")
    mase: float | None = Field(
        None,
        description="Error in the rolling backtest, in units of the seasonal naive forecast's; below 1 is better.",
    )
    naive_mase: float | None = Field(
        None, description="The same of the seasonal naive forecast in that backtest."
    )
    coverage_80: float | None = Field(None, description="Share of the backtest inside the 80 % band.")
    windows: int = Field(0, description="Times the backtest looked back.")
    calibration: float = Field(
        1.0, description="Factor by which the backtest made the bands wider (1: as the model)."
    )
    points: list[ForecastPoint] = Field([], description="What is expected.")


class ForecastRunState(StrEnum):
    """What came of the forecasts of a dataset that were made by the clock."""

    MADE = "made"
    PLAIN = "plain"
    """Seasonal naive ones, as there is no environment with better models."""
    NOT_ENOUGH_DATA = "not_enough_data"
    FAILED = "failed"


class ForecastRun(ConfigModel):
    """The last forecasts of a dataset that were made by the clock."""

    dataset: str = Field(description="Slug of the dataset.")
    made_at: datetime = Field(description="When.")
    last_slot: datetime | None = Field(None, description="The newest snapshot then.")
    state: ForecastRunState = Field(description="What came of it.")
    series: int = Field(0, description="Series that have a forecast.")
    message: str = Field("", description="What to know of it, or why it failed.")


class ForecastOrder(ConfigModel):
    """What is to be forecast."""

    metric: str = Field(
        "", max_length=128, description="Name of the metric; empty: all series of the dataset."
    )
    by: Dims = Field({}, description="Which series.")
    horizon: int | None = Field(None, ge=1, le=200, description="Times ahead; default: by the schedule.")
    fresh: bool = Field(False, description="Make it anew, even if there is no new point.")


class Pruned(ConfigModel):
    """What was too old to be kept."""

    points: int = Field(0, description="Points.")
    takes: int = Field(0, description="Times that have no points any more.")
    forecasts: int = Field(0, description="Forecasts.")
    partitions: int = Field(0, description="Months of whole rows.")
    datasets: list[str] = Field([], description="Removed datasets whose history is gone now.")


def json_of(forecast: Forecast) -> dict[str, Any]:
    """Return what is stored of a forecast: all but what its series says."""
    return forecast.model_dump(mode="json", exclude={"dataset", "metric", "by"})
