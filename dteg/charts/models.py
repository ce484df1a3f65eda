"""What a chart is: which data, which columns, which form."""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from dteg.charts.extras import check_extras
from dteg.core.config import ConfigModel
from dteg.core.durations import DurationText
from dteg.tokens.visible import Role

SLUG = r"^[a-z][a-z0-9_]{0,40}$"

MAX_ROWS = 5_000
"""Most rows that a chart is drawn of: more can neither be read nor sent quickly."""

RESERVED = frozenset({"new", "preview", "apply", "import", "export", "choose", "areas"})
"""Words that addresses have of their own below /charts and /dashboards."""

Slug = Annotated[str, Field(pattern=SLUG)]
ColumnName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[^\x00]+$")]
Scalar = str | bool | int | float


class ChartType(StrEnum):
    """The form of a chart."""

    LINE = "line"
    BAR = "bar"
    AREA = "area"
    POINT = "point"
    PIE = "pie"
    HEATMAP = "heatmap"
    TABLE = "table"
    NUMBER = "number"
    FORECAST = "forecast"
    MAP = "map"


class Fn(StrEnum):
    """How the values of a group become one."""

    COUNT = "count"
    COUNT_DISTINCT = "count_distinct"
    SUM = "sum"
    AVG = "avg"
    MEDIAN = "median"
    MIN = "min"
    MAX = "max"
    VALUE = "value"
    """As they are, one mark for each row."""


class Grain(StrEnum):
    """Spans of time that make a group."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


class NumberFormat(StrEnum):
    """How numbers are written."""

    PLAIN = "plain"
    INTEGER = "integer"
    DECIMAL = "decimal"
    PERCENT = "percent"
    COMPACT = "compact"


class Op(StrEnum):
    """What a filter asks."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    IN = "in"
    NOT_IN = "not_in"
    CONTAINS = "contains"
    IS_NULL = "is_null"
    NOT_NULL = "not_null"
    LAST = "last"
    """A time within the span that ends now, such as `30d`."""


class DataSource(ConfigModel):
    """Where a chart's data comes from: a dataset, or the history of one of its metrics."""

    dataset: Slug = Field(description="Dataset.")
    metric: ColumnName | None = Field(
        None, description="Metric of its snapshots: the chart shows its history."
    )
    by: dict[ColumnName, str | None] = Field(
        {}, max_length=10, description="Which series of the metric; empty: the one of all rows."
    )
    each: bool = Field(False, description="Each series of the metric in a colour of its own.")


class Dimension(ConfigModel):
    """A column that makes groups."""

    field: ColumnName = Field(description="Column.")
    grain: Grain | None = Field(None, description="Span of time, for a column of times.")
    title: str = Field("", max_length=120, description="Title; default: the column's name.")


class Measure(ConfigModel):
    """A number for each group."""

    fn: Fn = Field(Fn.SUM, description="How the values of a group become one.")
    field: ColumnName | None = Field(None, description="Column; only `count` needs none.")
    title: str = Field("", max_length=120, description="Title; default: what is counted.")
    format: NumberFormat = Field(NumberFormat.PLAIN, description="How it is written.")
    unit: str = Field("", max_length=20, description="Unit, written behind the number.")

    @model_validator(mode="after")
    def _has_field(self) -> "Measure":
        if self.field is None and self.fn is not Fn.COUNT:
            raise ValueError(f"{self.fn.value} needs a field")
        return self


class Filter(ConfigModel):
    """A condition on one column."""

    field: ColumnName = Field(description="Column.")
    op: Op = Field(Op.EQ, description="What is asked.")
    value: Scalar | list[Scalar] | None = Field(None, description="Value; a list for in and not_in.")

    @model_validator(mode="after")
    def _fits(self) -> "Filter":
        if self.op in (Op.IS_NULL, Op.NOT_NULL):
            if self.value is not None:
                raise ValueError(f"{self.op.value} takes no value")
        elif self.op in (Op.IN, Op.NOT_IN):
            if not isinstance(self.value, list) or not 1 <= len(self.value) <= 1_000:
                raise ValueError(f"{self.op.value} takes a list of 1 to 1,000 values")
        elif self.value is None or isinstance(self.value, list):
            raise ValueError(f"{self.op.value} takes one value")
        if self.op is Op.LAST:
            _checked_span(str(self.value))
        if any(len(str(each)) > 1_000 or "\x00" in str(each) for each in _listed(self.value)):
            raise ValueError("a value has at most 1,000 characters, and no NUL")
        return self


class Compare(ConfigModel):
    """What a number is compared with: the span before the last one of the data."""

    field: ColumnName = Field(description="Column of times.")
    period: DurationText = Field(description="Length of the span, such as 30d.")


class MapOptions(ConfigModel):
    """Which areas a map colours."""

    layer: Slug = Field(description="Geo layer.")
    key: Annotated[str, Field(min_length=1, max_length=100)] = Field(
        description="Property of its features that equals the values of x."
    )


class ForecastOptions(ConfigModel):
    """What a forecast shows."""

    bands: list[Literal[80, 95]] = Field([80, 95], max_length=2, description="Bands, in percent.")
    history: int = Field(365, ge=2, le=MAX_ROWS, description="Points of the past, at most.")


_NEEDS_X = {ChartType.LINE, ChartType.BAR, ChartType.AREA, ChartType.POINT, ChartType.PIE, ChartType.HEATMAP, ChartType.MAP}  # fmt: skip
_ONE_MEASURE = {ChartType.PIE, ChartType.HEATMAP, ChartType.NUMBER, ChartType.MAP}
_OF_METRICS = {ChartType.LINE, ChartType.BAR, ChartType.AREA, ChartType.POINT, ChartType.NUMBER, ChartType.TABLE, ChartType.FORECAST}  # fmt: skip


class ChartSpec(ConfigModel):
    """One chart, as it is stored and as `charts/*.yaml` says it."""

    chart: Slug = Field(description="Slug: how other things name it.")
    version: Literal[1] = Field(1, description="Version of this form.")
    title: str = Field(min_length=1, max_length=120, description="Title.")
    description: str = Field(
        "", max_length=1_000, description="What it says, for those who do not see it too."
    )
    source: DataSource = Field(description="Where the data comes from.")
    type: ChartType = Field(description="Form.")
    x: Dimension | None = Field(None, description="Groups along x; slices of a pie; areas of a map.")
    y: list[Measure] = Field([], max_length=6, description="Numbers.")
    color: Dimension | None = Field(None, description="Groups by colour; the other axis of a heatmap.")
    fields: list[ColumnName] = Field([], max_length=30, description="Columns of a table without numbers.")
    filters: list[Filter] = Field([], max_length=20, description="Conditions, all of which hold.")
    sort: Literal["x", "-x", "y", "-y"] | None = Field(None, description="Order; `-` is descending.")
    top: int | None = Field(
        None,
        ge=1,
        le=1_000,
        description="Only the groups of x with the largest y; rows of a table without groups.",
    )
    stack: Literal["zero", "normalize", "none"] = Field(
        "zero", description="How colours share a bar or area."
    )
    compare: Compare | None = Field(None, description="What a number is compared with.")
    map: MapOptions | None = Field(None, description="Areas of a map.")
    forecast: ForecastOptions | None = Field(None, description="What a forecast shows.")
    vega_lite: Annotated[dict[str, Any], AfterValidator(check_extras)] = Field(
        {}, description="More of Vega-Lite: looks only; see the guide for what is allowed."
    )
    roles: list[Role] = Field([], max_length=20, description="Who sees it; empty: everybody who may read.")

    @model_validator(mode="after")
    def _fits(self) -> "ChartSpec":
        if problem := next(_problems(self), None):
            raise ValueError(problem)
        return self


def _problems(spec: ChartSpec) -> Iterator[str]:
    kind, metric = spec.type, spec.source.metric is not None
    if spec.chart in RESERVED:
        yield f"{spec.chart!r} is a word of the program; choose another slug"
    if kind is ChartType.FORECAST and not metric:
        yield "a forecast needs a metric: source: {dataset: ..., metric: ...}"
    if metric and kind not in _OF_METRICS:
        yield f"a metric is shown as {', '.join(sorted(_OF_METRICS))}, not as {kind.value}"
    if not metric and (spec.source.by or spec.source.each):
        yield "source.by and source.each choose series of a metric, and there is no metric"
    if spec.source.each and (spec.source.by or kind in (ChartType.NUMBER, ChartType.FORECAST)):
        yield "source.each is for lines, areas, bars, points and tables, and without source.by"
    if metric and (spec.x or spec.y or spec.color or spec.fields or spec.filters):
        yield "the history of a metric has its own x and y: leave x, y, color, fields and filters out"
    if not metric:
        yield from _problems_of_dataset(spec)
    if (kind is ChartType.MAP) is not (spec.map is not None):
        yield "a map, and only a map, needs map: {layer: ..., key: ...}"
    if spec.forecast is not None and kind is not ChartType.FORECAST:
        yield "forecast: belongs to charts of the type forecast"
    if spec.compare is not None and (kind is not ChartType.NUMBER or metric):
        yield "compare: belongs to a number of a dataset"


def _problems_of_dataset(spec: ChartSpec) -> Iterator[str]:
    kind = spec.type
    if kind in _NEEDS_X and spec.x is None:
        yield f"a chart of the type {kind.value} needs x"
    if kind is not ChartType.TABLE and not spec.y:
        yield f"a chart of the type {kind.value} needs y"
    if kind is ChartType.HEATMAP and spec.color is None:
        yield "a heatmap needs color: the other axis"
    if kind in _ONE_MEASURE and len(spec.y) > 1:
        yield f"a chart of the type {kind.value} has one number"
    if len(spec.y) > 1 and spec.color is not None and kind is not ChartType.TABLE:
        yield "give either several numbers or color"
    if spec.fields and (kind is not ChartType.TABLE or spec.y or spec.x):
        yield "fields: belongs to a table without x and y"
    if any(each.fn is Fn.VALUE for each in spec.y):
        if kind not in (ChartType.POINT, ChartType.LINE):
            yield "the function value is for points and lines"
        if any(each.fn is not Fn.VALUE for each in spec.y) or spec.top or (spec.x and spec.x.grain):
            yield "the function value shows rows as they are: without grain, top and other functions"
    if spec.top and spec.x is None and kind is not ChartType.TABLE:
        yield "top needs x"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _checked_span(text: str) -> None:
    from dteg.core.durations import parse_duration

    parse_duration(text)


class DataColumn(ConfigModel):
    """A column of a chart's data."""

    key: str = Field(description="Key in the rows.")
    name: str = Field(description="Column of the dataset, or what was computed.")
    title: str = Field(description="Title.")
    kind: Literal["time", "number", "text"] = Field(description="What its values are.")
    format: NumberFormat = Field(NumberFormat.PLAIN, description="How numbers are written.")
    unit: str = Field("", description="Unit.")
    grain: Grain | None = Field(None, description="Span of time that each value stands for.")


class NumberValue(ConfigModel):
    """One number, and the one before it."""

    value: float | None = Field(description="The number; none without data.")
    before: float | None = Field(None, description="The same of the span or point before.")
    text: str = Field(description="As it is written.")
    delta_text: str = Field("", description="How far it went, as it is written.")
    direction: Literal["up", "down", "same", ""] = Field("", description="Which way it went.")
    since: str = Field("", description="What it is compared with.")


class Freshness(ConfigModel):
    """How old the data of a dataset is."""

    dataset: str = Field(description="Dataset.")
    data_as_of: datetime | None = Field(None, description="When it was taken, UTC; none if unknown.")
    age_s: float | None = Field(None, description="Seconds since then.")
    stale: bool = Field(False, description="Whether it is older than it may be.")
    problem: str = Field("", description="Why it was not refreshed.")


class ChartData(ConfigModel):
    """The rows of a chart."""

    columns: list[DataColumn] = Field(description="Columns.")
    rows: list[dict[str, Any]] = Field(description="Rows; times are ISO 8601 in UTC.")
    more: bool = Field(False, description=f"Whether there are more than {MAX_ROWS} rows.")
    number: NumberValue | None = Field(None, description="Of a number.")
    note: str = Field(
        "", description="What is to be known of the data, such as a forecast that is not there."
    )


class Drawing(ConfigModel):
    """All that is needed to draw a chart."""

    chart: str = Field(description="Slug.")
    title: str = Field(description="Title.")
    description: str = Field(description="What it says, for those who do not see it.")
    type: ChartType = Field(description="Form.")
    spec: dict[str, Any] = Field(
        description="Vega-Lite, whose data is named `rows`; empty for a table and a number."
    )
    rows: list[dict[str, Any]] = Field(description="What is drawn; of a map its features.")
    data: ChartData = Field(description="The data as a table.")
    themes: dict[str, dict[str, Any]] = Field({}, description="Vega-Lite's config for light and dark pages.")
    freshness: Freshness = Field(description="How old the data is.")


class Chart(ConfigModel):
    """A stored chart."""

    spec: ChartSpec = Field(description="What it is.")
    created_at: datetime = Field(description="When it was made, UTC.")
    updated_at: datetime = Field(description="When it was changed last, UTC.")
    updated_by: str = Field("", description="Who changed it last.")

    @property
    def slug(self) -> str:
        """How other things name it."""
        return self.spec.chart

    @property
    def title(self) -> str:
        """Its title."""
        return self.spec.title
