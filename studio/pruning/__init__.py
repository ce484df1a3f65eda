"""Removing old runs, events and ticks from Dagster's storage."""
