"""Follows the databases that are listened to for as long as the studio runs."""

import threading

from dteg.schema_changes.listener import Listener
from studio.background import Worker


class SchemaChangesWorker(Worker):
    """Runs the listener; it gets over restarts of the server by itself."""

    name = "schema changes"

    def run(self, stop: threading.Event) -> None:
        """See `Worker.run`."""
        Listener(self.services.project).run(stop)
