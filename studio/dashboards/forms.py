"""The form of a dashboard: from what people chose to a dashboard, and back."""

from collections.abc import Iterator, Mapping
from typing import Any

from dteg.charts.models import Chart, ChartType
from dteg.dashboards.models import COLUMNS, DashboardSpec, Tile, settled

FILTERS = 10
FILTER_TYPES = (
    ("choice", "choose values"), ("period", "last days"), ("range", "from and to"), ("text", "contains"),
)  # fmt: skip
# Width and height of a new tile.
_SIZES = {ChartType.NUMBER: (3, 2), ChartType.TABLE: (6, 4), ChartType.MAP: (6, 5), ChartType.PIE: (4, 4)}
_USUAL = (6, 4)
_TEXT = (12, 1)


def values_of(form: Mapping[str, str], before: DashboardSpec, charts: Mapping[str, Chart]) -> dict[str, Any]:
    """Return what a form says as the values of a `DashboardSpec`.

    Args:
        form: Its texts.
        before: The dashboard as it is: what tiles hold is not in the form, only where they are.
        charts: Charts that may be put on it.
    """
    tiles = settled(list(_tiles(form, before)))
    added = _added(form, charts, max((tile.y + tile.h for tile in tiles), default=0))
    return {
        "dashboard": before.dashboard, "title": form.get("title", ""), "description": form.get("description", ""),
        "refresh": form.get("refresh") or None, "roles": form.get("roles", "").replace(",", " ").split(),
        "filters": list(_filters(form)), "tiles": [*tiles, *added],
    }  # fmt: skip


def _tiles(form: Mapping[str, str], before: DashboardSpec) -> Iterator[Tile]:
    for number, tile in enumerate(before.tiles):
        if form.get(f"t{number}_gone") or form.get("do") == f"remove{number}":
            continue
        place = {
            key: _whole(form.get(f"t{number}_{key}"), getattr(tile, key)) for key in ("x", "y", "w", "h")
        }
        place["w"] = min(max(place["w"], 1), COLUMNS)
        place["x"] = min(max(place["x"], 0), COLUMNS - place["w"])
        place["h"], place["y"] = min(max(place["h"], 1), 20), min(max(place["y"], 0), 180)
        text = form.get(f"t{number}_text") or tile.text
        title = form.get(f"t{number}_title", tile.title)[:120]
        yield tile.model_copy(
            update={**place, "title": title, "text": text if tile.text is not None else None}
        )


def _added(form: Mapping[str, str], charts: Mapping[str, Chart], below: int) -> list[dict[str, Any]]:
    do = form.get("do")
    if do == "add_text" and form.get("add_text"):
        return [{"text": form["add_text"], "x": 0, "y": below, "w": _TEXT[0], "h": _TEXT[1]}]
    chart = charts.get(form.get("add_chart", "")) if do == "add_chart" else None
    if chart is None:
        return []
    width, height = _SIZES.get(chart.spec.type, _USUAL)
    return [{"chart": chart.slug, "x": 0, "y": below, "w": width, "h": height}]


def _filters(form: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for number in range(FILTERS):
        if not (name := form.get(f"filter{number}")):
            continue
        kind = form.get(f"filter{number}_type", "choice")
        text = form.get(f"filter{number}_default", "")
        parts = [part.strip() for part in text.split(",")] if kind == "choice" else [text]
        yield {
            "field": name, "type": kind, "title": form.get(f"filter{number}_title", ""),
            "default": [part for part in parts if part],
        }  # fmt: skip


def form_of(spec: DashboardSpec) -> dict[str, str]:
    """Return what the form of a dashboard shows."""
    form = {
        "title": spec.title, "description": spec.description, "refresh": spec.refresh or "",
        "roles": " ".join(spec.roles),
    }  # fmt: skip
    for number, each in enumerate(spec.filters):
        form |= {
            f"filter{number}": each.field, f"filter{number}_type": each.type, f"filter{number}_title": each.title,
            f"filter{number}_default": ", ".join(each.default),
        }  # fmt: skip
    return form


def filter_rows(form: Mapping[str, str]) -> int:
    """Return how many rows of filters are shown: those that say something, and one more."""
    used = [number for number in range(FILTERS) if form.get(f"filter{number}")]
    return min(FILTERS, max(used, default=-1) + 2)


def _whole(text: str | None, default: int) -> int:
    return int(text) if text and text.lstrip("-").isdecimal() and len(text) < 6 else default
