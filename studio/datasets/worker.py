"""Refreshes and snapshots by the clock while no Dagster does them, and alerts on rows that grow old."""

import logging
import threading
import time
from dataclasses import dataclass, field

from dteg.core.errors import ConflictError, DtegError, NotFoundError
from dteg.datasets.models import Due
from dteg.datasets.refreshing.telling import freshness
from dteg.datasets.service import Datasets
from dteg.orchestrator.page import running_page
from studio.background import Worker
from studio.services import Services

_LOOK_S = 10
_SWEEP_S = 300.0
_CHECK_S = 60.0
AT_ONCE = 2
# A process that has not begun its work by then never does.
_BEGIN_S = 120.0
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Begun:
    """A refresh that was begun here.

    Attributes:
        run_id: Its name.
        at: When, on the clock that never goes back.
    """

    run_id: str
    at: float = field(default_factory=time.monotonic)

    def goes_on(self, datasets: Datasets) -> bool:
        """Whether it has not ended."""
        found = datasets.run(self.run_id)
        if found is None:
            return time.monotonic() - self.at < _BEGIN_S
        return not found.status.ended


class DatasetsWorker(Worker):
    """Starts what is due. Whoever claims a time does its work, so that two clocks never do it twice.

    Args:
        services: Those of the studio.
    """

    name = "datasets"

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._late: dict[str, bool] = {}
        self._running: dict[str, _Begun] = {}

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        datasets: Datasets = self.services.datasets
        swept_at = checked_at = -_SWEEP_S
        while not stop.is_set():
            if time.monotonic() - swept_at > _SWEEP_S:
                datasets.sweep()
                swept_at = time.monotonic()
            if time.monotonic() - checked_at > _CHECK_S:
                # Sources and the warehouse's own tables change without asking.
                datasets.recheck()
                checked_at = time.monotonic()
            self._report_age(datasets)
            # Dagster has schedules of its own for the same times.
            if running_page(self.services.project) is None:
                self.start_due(datasets)
            for _ in range(_LOOK_S):
                if stop.wait(1.0):
                    return

    def start_due(self, datasets: Datasets) -> None:
        """Begin what is due now."""
        self._running = {slug: begun for slug, begun in self._running.items() if begun.goes_on(datasets)}
        for due in datasets.due():
            try:
                if due.what == "snapshot":
                    self._take(datasets, due)
                else:
                    self._begin(datasets, due)
            except (ConflictError, NotFoundError) as error:  # somebody was faster, or removed it
                _LOG.info("%s of %s at %s: %s", due.what, due.slug, due.slot, error)

    def _begin(self, datasets: Datasets, due: Due) -> None:
        """Begin a refresh, if there is room; a time that is not claimed is due again at the next look."""
        if len(self._running) >= AT_ONCE or datasets.get(due.slug).building is not None:
            return
        if datasets.claim(due, "studio"):
            run_id = f"studio-{due.slug}-{due.slot:%Y%m%dT%H%M%SZ}"
            self._running[due.slug] = _Begun(datasets.start(due.slug, run_id))

    def _take(self, datasets: Datasets, due: Due) -> None:
        """Take a snapshot; it is an aggregate over rows in the warehouse, and short."""
        from dteg.snapshots.service import Snapshots

        if not datasets.claim(due, "studio"):
            return
        try:
            Snapshots.of(self.services.project).take(due.slug, due.slot)
        except DtegError as error:
            _LOG.warning("snapshot of %s at %s: %s", due.slug, due.slot, error)

    def _report_age(self, datasets: Datasets) -> None:
        """Tell the alerts once when rows have become too old, and once when they no longer are."""
        from dteg.alerts.occurrences import report

        for dataset in datasets.datasets():
            found = freshness(dataset)
            if found is not None and self._late.get(dataset.slug, False) is not dataset.stale:
                report(self.services.project, found)
            self._late[dataset.slug] = dataset.stale
