"""Snapshots of datasets: numbers remembered at fixed times, their trends and forecasts."""
