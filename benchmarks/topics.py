"""How many messages go through a topic: `python -m benchmarks.topics [--messages 100000] [--nats]`.

Publishers and subscribers are processes of their own, at work at the same time, against a server that waits for the
disk. A message counts when its ack is stored. Every case checks that each message came exactly as often as it should.
"""

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dteg.topics import NewMessage, Topics

RESULTS = Path(__file__).parent / "results" / "topics.json"
TARGET = 5_000
PAYLOAD_BYTES = 200


@dataclass(frozen=True)
class Case:
    """What is measured.

    Attributes:
        name: What it is called.
        publishers: Processes that publish.
        groups: Groups that each get all messages.
        members: Processes of each group.
        batch: Messages in one publish, and at most in one fetch.
        share: Of the wanted number of messages; slow cases take fewer.
    """

    name: str
    publishers: int = 1
    groups: int = 1
    members: int = 1
    batch: int = 500
    share: float = 1.0


CASES = (
    Case("1 publisher, 1 subscriber, batches of 500"),
    Case("2 publishers, 2 members of a group, batches of 100", publishers=2, members=2, batch=100),
    Case("1 publisher, 2 groups, batches of 500", groups=2),
    Case("4 publishers, one message at a time", publishers=4, batch=1, share=0.1),
)


def publish(topic: str, number: int, count: int, batch: int) -> None:
    """Publish `count` messages as publisher `number`."""
    topics = Topics.of(_project())
    filler = "x" * PAYLOAD_BYTES
    for at in range(0, count, batch):
        made = [
            NewMessage.make(f"{number}:{n}:{time.time()}:{filler}"[:PAYLOAD_BYTES])
            for n in range(at, min(at + batch, count))
        ]
        topics.publish_many(topic, made)


def subscribe(topic: str, group: str, batch: int, total: int, out: str) -> None:
    """Fetch and ack until the group has all; write what came, and the ages of messages (s)."""
    topics = Topics.of(_project())
    offsets: list[int] = []
    ages: list[float] = []
    last = time.time()
    while True:
        found = topics.fetch(topic, group, limit=max(batch, 100), wait_s=1)
        if found:
            now = time.time()
            ages.append(now - float(found[0].payload.split(":")[2]))
            topics.ack(topic, group, [each.ack_id for each in found])
            offsets += [each.offset for each in found]
            last = time.time()
        else:
            state = next(each for each in topics.groups(topic) if each.name == group)
            if state.next_offset >= total and not state.in_flight and not state.retrying:
                break
    Path(out).write_text(json.dumps({"offsets": offsets, "ages": ages, "last": last}))


def run(case: Case, messages: int, folder: Path) -> dict[str, Any]:
    """Measure one case."""
    each = max(1, int(messages * case.share / case.publishers))
    total = each * case.publishers
    topics = Topics.of(_project())
    topics.ensure("bench")
    for number in range(case.groups):
        topics.subscribe("bench", f"g{number}")
    wanted = [
        (f"g{group}", folder / f"{group}-{member}")
        for group in range(case.groups)
        for member in range(case.members)
    ]
    outs = [out for _, out in wanted]
    members = [_child("subscribe", "bench", group, case.batch, total, out) for group, out in wanted]
    began = time.time()
    publishers = [_child("publish", "bench", number, each, case.batch) for number in range(case.publishers)]
    for child in publishers:
        if child.wait() != 0:
            sys.exit("a publisher failed")
    published_s = time.time() - began
    for child in members:
        if child.wait() != 0:
            sys.exit("a subscriber failed")
    told = [json.loads(out.read_text()) for out in outs]
    seen = sorted(offset for one in told for offset in one["offsets"])
    if seen != sorted(list(range(total)) * case.groups):
        sys.exit(f"{case.name}: {len(seen)} messages came, {len(set(seen))} different, of {total}")
    seconds = max(one["last"] for one in told) - began
    ages = [age for one in told for age in one["ages"]]
    for out in outs:
        out.unlink()
    topics.delete("bench")
    topics.close()
    return {
        "case": case.name, "messages": total, "seconds": round(seconds, 2),
        "published_s": round(total / published_s), "consumed_s": round(total * case.groups / seconds),
        "through_s": round(total / seconds), "median_age_ms": round(statistics.median(ages) * 1000),
    }  # fmt: skip


@contextlib.contextmanager
def server(kind: str) -> Iterator[dict[str, str]]:
    """Start a server and yield what children find in their environment."""
    if kind == "nats":
        from dteg.testing.nats import nats_server

        with nats_server() as url:
            yield {"DTEG_TOPICS_URL": url}
        return
    from dteg.core.embedded import EmbeddedPostgres

    with tempfile.TemporaryDirectory(prefix="dteg-bench-") as folder:
        files = EmbeddedPostgres.at(Path(folder))
        try:
            yield {"DTEG_POSTGRES_URL": files.start(), "DTEG_TOPICS_URL": ""}
        finally:
            files.remove()


def main() -> None:
    """Measure all cases, print a table and write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.topics", description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--nats", action="store_true", help="also on a NATS server")
    arguments = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory() as name:
        os.environ["DTEG_HOME"] = name
        for kind in ("postgres", *(("nats",) if arguments.nats else ())):
            with server(kind) as environment:
                os.environ.update(environment)
                for case in CASES:
                    rounds = [run(case, arguments.messages, Path(name)) for _ in range(arguments.rounds)]
                    rounds.sort(key=lambda one: one["through_s"])
                    lines.append(
                        {
                            "adapter": kind,
                            **rounds[len(rounds) // 2],
                            "rounds": [one["through_s"] for one in rounds],
                        }
                    )
                    print(f"{kind:<9} {case.name:<52} {lines[-1]['through_s']:>7,} messages/s through, published "
                          f"{lines[-1]['published_s']:,}/s, median age {lines[-1]['median_age_ms']} ms")  # fmt: skip
    print(f"target: {TARGET:,} messages/s published and consumed, {PAYLOAD_BYTES} bytes each")
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "load": os.getloadavg()[0]}
    RESULTS.write_text(json.dumps({"machine": machine, "target": TARGET, "lines": lines}, indent=2) + "\n")


def _child(what: str, *arguments: object) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "benchmarks.topics", what, *map(str, arguments)])


def _project() -> Any:
    from dteg.core.project import Project

    return Project.find()


if __name__ == "__main__":
    if sys.argv[1:2] == ["publish"]:
        publish(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
    elif sys.argv[1:2] == ["subscribe"]:
        subscribe(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), sys.argv[6])
    else:
        main()
