"""Dagster from outside: its web server while it runs, its storage while it does not. Nothing here imports it."""
