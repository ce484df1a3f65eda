"""Datasets: rows of several databases, put together without SQL and served from a cache that is never half full."""
