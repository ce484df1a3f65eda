"""Dashboards over HTTP and in the browser."""
