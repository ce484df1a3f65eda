"""Charts: stored as a few plain words, drawn as Vega-Lite in browsers and as PNG or SVG on the server."""

from dteg.charts.layers import GeoLayers
from dteg.charts.models import Chart, ChartSpec, Drawing
from dteg.charts.service import Charts

__all__ = ["Chart", "ChartSpec", "Charts", "Drawing", "GeoLayers"]
