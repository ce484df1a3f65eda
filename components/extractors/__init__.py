"""Connectors that read."""
