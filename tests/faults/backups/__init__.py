"""Faults of backups and restores."""
