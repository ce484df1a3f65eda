"""Fixtures for all tests, those beside the connectors included: an empty project and PostgreSQL."""

pytest_plugins = ["dteg.testing.fixtures"]
