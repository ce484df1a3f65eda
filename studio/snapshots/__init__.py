"""Numbers of datasets over time."""
