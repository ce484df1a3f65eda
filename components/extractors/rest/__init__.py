"""Read JSON records from a REST API."""
