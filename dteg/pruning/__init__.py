"""Removing old runs, events and ticks from Dagster's storage."""

from dteg.pruning.models import PruneOrder, PruneReport
from dteg.pruning.service import Pruning

__all__ = ["PruneOrder", "PruneReport", "Pruning"]
