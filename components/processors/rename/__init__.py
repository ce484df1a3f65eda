"""Renames columns."""
