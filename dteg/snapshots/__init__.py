"""Snapshots of datasets: numbers remembered at fixed times, their trends and forecasts."""

from dteg.snapshots.models import Forecast, Metric, Point, Series, Taken, Trend
from dteg.snapshots.service import Snapshots

__all__ = ["Forecast", "Metric", "Point", "Series", "Snapshots", "Taken", "Trend"]
