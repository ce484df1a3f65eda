"""dteg: data pipelines, database operations and analytics for a data team."""

__all__ = ["__version__"]

__version__ = "0.1.0"
