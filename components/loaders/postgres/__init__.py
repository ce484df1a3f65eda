"""Loads into PostgreSQL."""
