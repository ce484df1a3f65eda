"""Writes files: CSV, JSON lines and Parquet."""
