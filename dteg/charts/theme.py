"""How charts look, on light and on dark pages; pictures are light."""

from typing import Any

FONT = "Inter, system-ui, Segoe UI, Roboto, sans-serif"
# Ten colours that differ in lightness too, so that people who mix up red and green can tell them apart.
LIGHT = [
    "#0e7a68",
    "#e08a1e",
    "#3a6fc4",
    "#c2477f",
    "#7d5fc0",
    "#6a9e2f",
    "#b8402f",
    "#2aa5c0",
    "#8a6d3b",
    "#6b7580",
]
DARK = [
    "#56cdb5",
    "#f2b25c",
    "#83b1f5",
    "#f08db4",
    "#bda6f2",
    "#a9d36f",
    "#f08a78",
    "#7ad3e6",
    "#d1b07a",
    "#a9b2bb",
]


def theme(*, dark: bool = False) -> dict[str, Any]:
    """Return Vega-Lite's config."""
    ink, quiet, line = ("#e9ecee", "#a0a9b3", "#2b3238") if dark else ("#15191e", "#56606b", "#e0e3e7")
    colours = DARK if dark else LIGHT
    first = colours[0]
    text = {"labelFont": FONT, "titleFont": FONT, "labelColor": quiet, "titleColor": quiet}
    return {
        "background": "transparent" if dark else "#ffffff",
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            **text, "gridColor": line, "domainColor": line, "tickColor": line, "labelFontSize": 11, "titleFontSize": 11,
            "titleFontWeight": 500, "labelLimit": 140, "titlePadding": 8,
        },
        "axisX": {"grid": False, "labelOverlap": True},
        "axisY": {"domain": False, "ticks": False, "tickCount": 5},
        "legend": {**text, "titleFontWeight": 500, "labelFontSize": 11, "titleFontSize": 11, "symbolType": "circle"},
        "title": {"color": ink, "font": FONT, "fontSize": 14, "fontWeight": 600, "anchor": "start"},
        "text": {"color": ink, "font": FONT},
        "range": {
            "category": colours,
            "heatmap": ["#27433d", "#2c7466", "#56cdb5", "#d8f6ee"] if dark else ["#d3eae4", "#8fcabd", "#0e7a68", "#06352d"],
            "ramp": ["#1d2f2b", "#56cdb5"] if dark else ["#dff0eb", "#0a5347"],
        },
        "bar": {"color": first, "cornerRadiusEnd": 2},
        "line": {"color": first, "strokeWidth": 2},
        "area": {"color": first, "fillOpacity": 0.25},
        "point": {"color": first, "filled": True, "size": 36, "opacity": 0.75},
        "rect": {"color": first},
        "geoshape": {"stroke": "#0f1315" if dark else "#7d8f89", "strokeWidth": 0.5},
    }  # fmt: skip


def themes() -> dict[str, dict[str, Any]]:
    """Return the looks of pages: without a background of their own."""
    return {"light": {**theme(), "background": "transparent"}, "dark": theme(dark=True)}
