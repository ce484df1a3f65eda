"""Delivers alerts beside the requests."""

import threading

from studio.background import Worker

# A round that finds nothing is one question to the warehouse.
_EVERY_S = 2.0


class AlertWorker(Worker):
    """Turns what happened into messages and sends them."""

    name = "alerts"

    def run(self, stop: threading.Event) -> None:
        """See `Worker.run`; when `alerts.yaml` is wrong this run ends, its error is logged, and the next looks again."""
        while not stop.is_set():
            self.services.alerts.deliver(stop=stop)
            for _ in range(int(_EVERY_S / 0.5)):
                if stop.wait(0.5):
                    return
