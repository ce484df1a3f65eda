"""Casts columns to other types."""
