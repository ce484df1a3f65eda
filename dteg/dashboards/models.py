"""What a dashboard is: tiles on a grid of twelve columns, filters, and who sees it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from dteg.charts.models import RESERVED, ColumnName, Filter, Op, Slug
from dteg.core.config import ConfigModel
from dteg.core.durations import DurationText, parse_duration
from dteg.core.errors import ConfigError
from dteg.tokens.visible import Role

COLUMNS = 12
MAX_TILES = 40
PERIODS = ("24h", "7d", "30d", "90d", "365d")
_SHORTEST_REFRESH_S = 10
_RANGE = ".."


class Tile(ConfigModel):
    """One field of the grid: exactly one of `chart` and `text`."""

    chart: Slug | None = Field(None, description="Chart.")
    text: str | None = Field(None, min_length=1, max_length=5_000, description="Text in Markdown.")
    title: str = Field("", max_length=120, description="Title; default: that of the chart.")
    x: int = Field(ge=0, lt=COLUMNS, description="Column of its left edge, from 0.")
    y: int = Field(ge=0, le=199, description="Row of its upper edge, from 0.")
    w: int = Field(ge=1, le=COLUMNS, description="Width in columns.")
    h: int = Field(ge=1, le=20, description="Height in rows.")

    @model_validator(mode="after")
    def _fits(self) -> "Tile":
        if (self.chart is None) is (self.text is None):
            raise ValueError("give either chart or text")
        if self.x + self.w > COLUMNS:
            raise ValueError(f"it ends in column {self.x + self.w}, and there are {COLUMNS}")
        return self

    def overlaps(self, other: "Tile") -> bool:
        """Return whether two tiles share a place."""
        apart = self.x >= other.x + other.w or other.x >= self.x + self.w
        return not apart and self.y < other.y + other.h and other.y < self.y + self.h


class DashboardFilter(ConfigModel):
    """A field above the grid; it applies to every chart whose dataset has the column."""

    field: ColumnName = Field(description="Column.")
    title: str = Field("", max_length=120, description="Title; default: the column's name.")
    type: Literal["choice", "range", "period", "text"] = Field(
        "choice",
        description="Some of its values; from and to; the last days until now; or a part of a text.",
    )
    default: list[Annotated[str, Field(max_length=200)]] = Field(
        [], max_length=50, description="What is chosen at first: values; from and to; or a span such as 30d."
    )

    @model_validator(mode="after")
    def _fits(self) -> "DashboardFilter":
        self.conditions(self.default)
        return self

    def conditions(self, values: Sequence[str]) -> list[Filter]:
        """Return what the values that somebody chose ask for.

        Raises:
            ValueError: They are none of this filter.
        """
        values = [value for value in values if value]
        if not values:
            return []
        if self.type == "choice":
            return [Filter(field=self.field, op=Op.IN, value=list(values))]
        if self.type == "text":
            return [Filter(field=self.field, op=Op.CONTAINS, value=values[0])]
        if self.type == "period":
            return [Filter(field=self.field, op=Op.LAST, value=values[0])]
        low, high = (values[0].split(_RANGE, 1) if _RANGE in values[0] else [*values, ""])[:2]
        bounds = ((Op.GE, low.strip()), (Op.LE, high.strip()))
        return [Filter(field=self.field, op=op, value=value) for op, value in bounds if value]


class DashboardSpec(ConfigModel):
    """One dashboard, as it is stored and as `dashboards/*.yaml` says it."""

    dashboard: Slug = Field(description="Slug: how addresses name it.")
    version: Literal[1] = Field(1, description="Version of this form.")
    title: str = Field(min_length=1, max_length=120, description="Title.")
    description: str = Field("", max_length=1_000, description="What it is for.")
    refresh: DurationText | None = Field(
        None, description="How often an open page asks for new data, such as 5m."
    )
    filters: list[DashboardFilter] = Field([], max_length=10, description="Fields above the grid.")
    tiles: list[Tile] = Field([], max_length=MAX_TILES, description="What is on the grid.")
    roles: list[Role] = Field([], max_length=20, description="Who sees it; empty: everybody who may read.")

    @model_validator(mode="after")
    def _fits(self) -> "DashboardSpec":
        if self.dashboard in RESERVED:
            raise ValueError(f"{self.dashboard!r} is a word of the program; choose another slug")
        if self.refresh is not None and parse_duration(self.refresh).total_seconds() < _SHORTEST_REFRESH_S:
            raise ValueError(f"refresh: at least {_SHORTEST_REFRESH_S}s")
        for number, tile in enumerate(self.tiles):
            for place, other in enumerate(self.tiles[:number]):
                if tile.overlaps(other):
                    raise ValueError(f"tiles {place + 1} and {number + 1} lie on each other")
        return self

    @property
    def charts(self) -> list[str]:
        """The charts it shows, each once, by name."""
        return sorted({tile.chart for tile in self.tiles if tile.chart is not None})

    @property
    def refresh_s(self) -> int:
        """Seconds after which an open page asks for new data; 0: never."""
        return int(parse_duration(self.refresh).total_seconds()) if self.refresh else 0


class Dashboard(ConfigModel):
    """A stored dashboard."""

    spec: DashboardSpec = Field(description="What it is.")
    created_at: datetime = Field(description="When it was made, UTC.")
    updated_at: datetime = Field(description="When it was changed last, UTC.")
    updated_by: str = Field("", description="Who changed it last.")

    @property
    def slug(self) -> str:
        """How addresses name it."""
        return self.spec.dashboard

    @property
    def title(self) -> str:
        """Its title."""
        return self.spec.title


class Imported(ConfigModel):
    """What an import wrote."""

    dashboards: list[str] = Field(description="Dashboards.")
    charts: list[str] = Field(description="Charts.")
    missing: list[str] = Field([], description="What the charts need and this project does not have yet.")


class ImportOrder(ConfigModel):
    """A text to import."""

    text: str = Field(min_length=1, max_length=1_000_000, description="YAML, as export writes it.")


def chosen(spec: DashboardSpec, values: Mapping[str, Sequence[str]]) -> list[Filter]:
    """Return the conditions that somebody chose, and the defaults of the filters that they left alone.

    Args:
        spec: The dashboard.
        values: By `f` and the number of the filter: `{"f0": ["DE", "FR"], "f1": ["2026-01-01.."]}`. A filter that is
            there with nothing in it is none, so that a default can be taken away.

    Raises:
        ConfigError: A value is none of its filter.
    """
    found: list[Filter] = []
    for number, each in enumerate(spec.filters):
        given = values.get(f"f{number}")
        try:
            found += each.conditions(each.default if given is None else given)
        except ValueError as error:
            raise ConfigError(f"the filter {each.title or each.field!r} does not fit: {error}") from None
    return found


def settled(tiles: Sequence[Tile]) -> list[Tile]:
    """Return tiles that do not lie on each other: those that are further down or later in the list give way."""
    order = sorted(range(len(tiles)), key=lambda number: (tiles[number].y, tiles[number].x, number))
    placed: dict[int, Tile] = {}
    for number in order:
        tile = tiles[number]
        while any(tile.overlaps(other) for other in placed.values()):
            tile = tile.model_copy(update={"y": tile.y + 1})
        placed[number] = tile
    return [placed[number] for number in range(len(tiles))]
