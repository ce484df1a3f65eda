"""Pruning as the command line and the studio call it: a process of the Dagster app does it."""

from typing import Self

from dteg.core.project import Project
from dteg.orchestrator.program import ask, has_storage
from dteg.pruning.models import PruneOrder, PruneReport


class Pruning:
    """Dagster's storage of a project.

    Args:
        project: Whose Dagster.
    """

    def __init__(self, project: Project) -> None:
        self.project = project

    @classmethod
    def of(cls, project: Project) -> Self:
        """Return that of a project."""
        return cls(project)

    def prune(self, order: PruneOrder) -> PruneReport:
        """Remove what is old. Works beside a running Dagster.

        Raises:
            MissingExtraError: Dagster is not installed.
            DtegError: The storage cannot be read or is of an unknown kind.
        """
        if not has_storage(self.project):
            return _nothing(order)
        return PruneReport.model_validate(
            ask(self.project, "prune", timeout_s=None, older_than=order.older_than, dry_run=order.dry_run)
        )


def _nothing(order: PruneOrder) -> PruneReport:
    """Return the report of a project in which Dagster has kept nothing yet."""
    from dteg.core.clock import utc_now
    from dteg.core.durations import parse_duration

    return PruneReport(
        dry_run=order.dry_run, before=utc_now() - parse_duration(order.older_than), runs=0, runs_kept=0, events=0,
        checks=0, ticks=0, evaluations=0, bytes_before=0, bytes_after=0, seconds=0,
    )  # fmt: skip
