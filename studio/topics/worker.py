"""Work on topics beside the requests: offsets for what nobody reads, retention, and alerts on dead letters."""

import threading
import time

from dteg.alerts import Kind, Occurrence, Severity, State, report
from dteg.topics.models import Topic
from studio.background import Worker
from studio.services import Services

_LOOK_S = 5
_PRUNE_S = 60.0


class TopicsWorker(Worker):
    """Gives offsets, deletes what retention no longer keeps, and reports dead letters.

    Args:
        services: Those of the studio.
    """

    name = "topics"

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._dead: dict[str, int] = {}

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        topics = self.services.topics
        # On NATS, what joined transactions of the warehouse waits there.
        relay = getattr(topics, "relay", None)
        pruned_at = 0.0
        while not stop.is_set():
            # Whoever looks at a topic gives offsets to what waits.
            self._report([topics.topic(topic.name) for topic in topics.topics()])
            if time.monotonic() - pruned_at >= _PRUNE_S:
                topics.prune()
                pruned_at = time.monotonic()
            for _ in range(_LOOK_S):
                if relay is not None:
                    relay()
                if stop.wait(1.0):
                    return

    def _report(self, topics: list[Topic]) -> None:
        """Report topics with new dead letters, and those that have none any more."""
        found = []
        for topic in topics:
            before = self._dead.get(topic.name)
            self._dead[topic.name] = topic.dead_letters
            if topic.dead_letters > (before or 0) or (not topic.dead_letters and before != 0):
                found.append(_occurrence(topic))
        if found:
            report(self.services.project, *found)


def _occurrence(topic: Topic) -> Occurrence:
    return Occurrence(
        kind=Kind.TOPIC, subject=topic.name, message=f"topic {topic.name} has {topic.dead_letters:,} dead letters",
        state=State.FIRING if topic.dead_letters else State.RESOLVED, severity=Severity.ERROR,
        details={"dead_letters": topic.dead_letters, "messages": topic.messages},
    )  # fmt: skip
