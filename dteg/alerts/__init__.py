"""Alerts: what happened, who is told of it, and whether they were."""

from dteg.alerts.models import Kind, Occurrence, Severity, State
from dteg.alerts.occurrences import report

__all__ = ["Kind", "Occurrence", "Severity", "State", "report"]
