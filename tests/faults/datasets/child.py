"""Refreshes the dataset `sales`, or rolls it back, and kills itself (SIGKILL) at a given step.

`python -m tests.faults.datasets.child STEP refresh|rollback`. STEP is the number of the step, or 0 to go to the end; each is
told on standard output before it is done. Steps are the statements that change something: rows of the state, relations
of generations, the stable view, and the two commits.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import psycopg

from dteg.core.project import Project
from dteg.datasets import store
from dteg.datasets.refreshing import generations, publishing
from dteg.datasets.service import Datasets

_QUESTIONS = {
    "datasets",
    "slugs",
    "generations",
    "of_run",
    "being_refreshed",
    "data_as_of",
    "dependents",
    "status",
}


class Steps:
    """Counts steps, and ends the process at one of them."""

    def __init__(self, last: int) -> None:
        self.last, self.done = last, 0

    def take(self, name: str) -> None:
        self.done += 1
        print(name, flush=True)
        if self.done == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: Any, name: str, label: Callable[..., str]) -> None:
        work: Callable[..., Any] = getattr(owner, name)

        def told(*arguments: Any, **options: Any) -> Any:
            said = label(*arguments)
            if said:
                self.take(f"{said} before")
            found = work(*arguments, **options)
            if said:
                self.take(f"{said} after")
            return found

        setattr(owner, name, told)


def watch(steps: Steps) -> None:
    steps.around(store, "run", lambda _, query: "" if query in _QUESTIONS else f"state {query}")
    for name in ("build", "_detach", "_index", "drop"):
        steps.around(generations, name, lambda *_, name=name: name)
    for name in ("_swap", "_create", "_replace"):
        steps.around(publishing, name, lambda *_, name=name: name)
    commit = psycopg.Transaction._commit_gen

    def told(self: Any) -> Any:
        steps.take("commit before")
        found = yield from commit(self)
        steps.take("commit after")
        return found

    psycopg.Transaction._commit_gen = told  # type: ignore[method-assign]


if __name__ == "__main__":
    datasets = Datasets.of(Project.find())
    watch(Steps(int(sys.argv[1])))
    if sys.argv[2] == "refresh":
        datasets.refresh("sales")
    else:
        datasets.rollback("sales")
    print("done", flush=True)
