"""Tells the alerts of caches that are about to expire."""

import threading

from dteg.metadata.expiry import ExpiryWatch
from dteg.metadata.service import Metadata
from studio.background import Worker

# Caches hold for hours; each look reads their manifests, which may lie in a bucket.
_EVERY_S = 300


class MetadataWorker(Worker):
    """Looks at the age of all caches."""

    name = "metadata"

    def run(self, stop: threading.Event) -> None:
        """See `Worker.run`."""
        watch = ExpiryWatch(Metadata.of(self.services.project))
        while not stop.is_set():
            watch.look()
            for _ in range(_EVERY_S):
                if stop.wait(1.0):
                    return
