"""Datasets: rows of several databases, put together without SQL and served from a cache that is never half full."""

from dteg.datasets.models import Dataset, DatasetColumn, Dependency, Generation
from dteg.datasets.service import Datasets

__all__ = ["Dataset", "DatasetColumn", "Datasets", "Dependency", "Generation"]
