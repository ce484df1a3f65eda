"""Members of a group that a test can kill: python -m tests.faults.topics.member TOPIC GROUP EFFECTS

Imports everything once, and forks a member for each line on standard input; tells its process id on standard output.
A member writes each message that it handles as a line into the file EFFECTS.

`DTEG_TEST_ACK_FIRST=1` breaks it on purpose: it acks what it has fetched before it handles it.
"""

import os
import sys
import threading
import time
from pathlib import Path

from dteg.core.project import Project
from dteg.topics.postgres import PostgresTopics
from dteg.topics.subscriber import Subscriber

LEASE_S = 1.0
BATCH = 20
HANDLING_S = 0.001


class AcksFirst(PostgresTopics):
    """What must not be: a message is acked when it is fetched."""

    def fetch(self, topic, group, **options):
        batch = super().fetch(topic, group, **options)
        super().ack(topic, group, [delivery.ack_id for delivery in batch])
        return batch


def work(topic: str, group: str, effects: Path) -> None:
    kind = AcksFirst if os.environ.get("DTEG_TEST_ACK_FIRST") else PostgresTopics
    out = os.open(effects, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def handle(delivery):
        time.sleep(HANDLING_S)
        os.write(out, f"{delivery.payload}\n".encode())

    topics = kind(Project.find())
    Subscriber(topics, topic, group, handle, batch=BATCH, lease_s=LEASE_S).run(threading.Event())


def main() -> None:
    topic, group, effects = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    for _ in sys.stdin:
        if (pid := os.fork()) == 0:
            work(topic, group, effects)
        print(pid, flush=True)
        os.waitpid(pid, 0)
        print("gone", flush=True)


main()
