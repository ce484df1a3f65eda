"""The demo's runs, on small pipelines."""

import io
import subprocess
import sys

import dagster as dg
import pytest
from rich.console import Console

from dteg.core.errors import PermanentError
from orchestration import demo

pytestmark = pytest.mark.integration


class Paper:
    """A screen that keeps what is printed."""

    log = "demo.log"

    def __init__(self):
        self.console = Console(file=io.StringIO(), width=200)

    def say(self, *things):
        self.console.print(*things)

    @property
    def text(self):
        return self.console.file.getvalue()


def test_stage_collects_tables_and_checks(folder, instance, warehouse):
    folder.pipeline(
        "events",
        loader="postgres",
        rows="[{id: 1}, {id: 9}]",
        extra="""
        quality: {validation_rules: [{type: unique, columns: [id]}, {type: range, column: id, max: 5, severity: warn}]}
        """,
    )
    stage = demo.run_job(folder.definitions(), "events", instance)
    assert stage.succeeded
    assert stage.tables == {"raw.events": 2}
    assert demo.told_checks([stage]) == "1 passed, 1 warning"
    assert "1 of 2 rows" in stage.failed[0][0]


def test_failure_is_told_in_the_words_of_the_error(folder, instance):
    folder.pipeline("events")
    folder.source.errors[:] = [PermanentError("no column matches [a-z]{2}")]
    stage = demo.run_job(folder.definitions(), "events", instance)
    assert not stage.succeeded
    paper = Paper()
    assert demo.report_failure(paper, stage) == 1
    assert "  no column matches [a-z]{2}\n" in paper.text  # not read as markup
    assert "Traceback" not in paper.text


def test_refused_data_is_told_without_names_of_classes(folder, instance, warehouse):
    folder.pipeline(
        "events", loader="postgres", rows="[{id: 1}, {id: 1}]",
        extra="quality: {validation_rules: [{type: unique, columns: [id]}]}",
    )  # fmt: skip
    stage = demo.run_job(folder.definitions(), "events", instance)
    assert stage.errors == ["1 blocking asset check failed with ERROR severity:\nraw/events: unique_id"]


def test_run_of_a_killed_demo_does_not_hold_up_the_next(instance):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    dead = instance.create_run_for_job(
        dg.job(name="dead")(lambda: None),
        status=dg.DagsterRunStatus.STARTED,
        tags={demo.PROCESS_TAG: f"{gone.pid}:1"},
    )
    alive = instance.create_run_for_job(
        dg.job(name="alive")(lambda: None), status=dg.DagsterRunStatus.STARTED
    )
    assert demo.end_dead_runs(instance) == 1
    assert instance.get_run_by_id(dead.run_id).status == dg.DagsterRunStatus.FAILURE
    assert instance.get_run_by_id(alive.run_id).status == dg.DagsterRunStatus.STARTED
