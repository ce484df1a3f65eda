"""Dashboards: charts, numbers and texts on a grid, with filters for all of them."""
