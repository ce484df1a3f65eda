"""Dashboards: charts, numbers and texts on a grid, with filters for all of them."""

from dteg.dashboards.models import Dashboard, DashboardSpec, Tile
from dteg.dashboards.service import Dashboards

__all__ = ["Dashboard", "DashboardSpec", "Dashboards", "Tile"]
