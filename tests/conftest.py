"""Fixtures for all tests: a project in a temporary folder, and a PostgreSQL server for the session."""

pytest_plugins = ["dteg.testing.fixtures"]
