"""Runs one pipeline like `dteg run`, telling its phases on standard output so that a test can kill it in one.

child.py FILE

`DTEG_TEST_HOLD=phase` makes it wait `DTEG_TEST_HOLD_S` seconds at the first such phase, so that a fault there
cannot come too late.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

from components.loaders.postgres import publish
from components.loaders.postgres.session import PostgresSession
from dteg.core.errors import TransientError
from dteg.core.project import Project
from dteg.pipelines.listener import Listener
from dteg.pipelines.plan import load_pipeline
from dteg.pipelines.runner import new_run_id, run_pipeline

HOLD_VARIABLE = "DTEG_TEST_HOLD"
held: set[str] = set()


def say(phase: str) -> None:
    print(phase, flush=True)
    if phase == os.environ.get(HOLD_VARIABLE) and phase not in held:
        held.add(phase)
        time.sleep(float(os.environ[f"{HOLD_VARIABLE}_S"]))


class Phases(Listener):
    def stream_started(self, stream: str, target: str) -> None:
        say("start")

    def batch_loaded(self, stream: str, rows: int, num_bytes: int) -> None:
        say("copy")

    def bytes_relayed(self, stream: str, num_bytes: int) -> None:
        say("copy")

    def retrying(self, stream: str, attempt: int, delay_s: float, error: TransientError) -> None:
        say("retry")


def announce_publish() -> None:
    put_in_place, commit = publish.put_in_place, PostgresSession._commit

    def told_put_in_place(*arguments: Any, **options: Any) -> Any:
        say("publish")
        return put_in_place(*arguments, **options)

    def told_commit(session: PostgresSession) -> None:
        say("commit")
        commit(session)
        say("committed")

    publish.put_in_place = told_put_in_place  # type: ignore[assignment]
    PostgresSession._commit = told_commit  # type: ignore[method-assign]


if __name__ == "__main__":
    announce_publish()
    pipeline = load_pipeline(Path(sys.argv[1]), Project.find())
    run_pipeline(pipeline, run_id=new_run_id(), listener=Phases())
    say("done")
