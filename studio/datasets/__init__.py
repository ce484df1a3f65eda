"""Datasets: REST, pages, and refreshes by the clock."""
