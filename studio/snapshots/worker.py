"""Forecasts after snapshots, while no Dagster makes them."""

import threading

from dteg.orchestrator.page import running_page
from dteg.snapshots.service import Snapshots
from studio.background import Worker

_LOOK_S = 30


class ForecastsWorker(Worker):
    """Forecasts each dataset with a new snapshot once a day.

    A thread of its own: the first forecast waits for its models to be loaded, and snapshots must not wait with it.
    """

    name = "forecasts"

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        while not stop.is_set():
            # Dagster has a schedule of its own for them.
            if running_page(self.services.project) is None:
                self.make_due(stop)
            for _ in range(_LOOK_S):
                if stop.wait(1.0):
                    return

    def make_due(self, stop: threading.Event) -> None:
        """Make what is due now."""
        snapshots: Snapshots = self.services.snapshots
        for dataset in snapshots.forecasts_due():
            if stop.is_set():
                return
            snapshots.forecast_by_clock(dataset)
