"""What `make demo` runs: every pipeline of the project, its dbt models and its datasets, through Dagster, in one process.

Runs and events are kept in the project's Dagster home, where `make dev` shows them.
"""

import os
import shutil
import sys
import time
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from dteg.core.errors import DtegError, QualityGateError
from dteg.core.identifiers import TableName
from dteg.core.processes import start_time
from dteg.core.project import Project
from dteg.pipelines.plan import Pipeline, load_pipeline, pipeline_files
from orchestration.instance import prepare_home
from orchestration.screen import Screen

if TYPE_CHECKING:
    import dagster as dg

PROCESS_TAG = "dteg/process"
PIPELINE, DBT, DATASET = "pipeline", "dbt", "dataset"
ANSWER = TableName("marts", "carrier_punctuality")
ANSWER_SQL = """
select carrier_name, round(mean_arrival_delay_minutes::numeric, 1), share_late_15, flights
from marts.carrier_punctuality
where arrival_delay_rank <= 5
order by arrival_delay_rank, carrier_id
"""


@dataclass
class Stage:
    """One run of a job.

    Attributes:
        name: Name of the job.
        kind: What it runs: a pipeline, the dbt models, or a dataset.
        seconds: How long it took.
        tables: Tables it made: name -> rows, or None where they were not counted.
        passed: Checks that passed.
        failed: Failed checks: `table: check: message`, with whether each stops what comes after.
        errors: Why steps failed, in sentences.
    """

    name: str
    kind: str = PIPELINE
    seconds: float = 0.0
    tables: dict[str, int | None] = field(default_factory=dict)
    passed: int = 0
    failed: list[tuple[str, bool]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def succeeded(self) -> bool:
        """Whether what comes after it may run."""
        return not self.errors


def main() -> int:
    """Run the demo and return the exit code."""
    started = time.perf_counter()
    try:
        project = Project.find()
        (project.state_dir / "logs").mkdir(exist_ok=True)
        with Screen(project.state_dir / "logs" / "demo.log") as screen:
            return run(project, screen, started)
    except DtegError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def run(project: Project, screen: Screen, started: float) -> int:
    """Run everything, in order, until something fails."""
    with screen.working("Starting PostgreSQL" if project.uses_embedded_postgres else "Connecting"):
        url = project.warehouse_url()
    prepare_home(project)
    with screen.working("Loading Dagster"):
        import dagster as dg

        _definitions(PIPELINE)
        pipelines = in_order([load_pipeline(path, project) for path in pipeline_files(project)])
        instance = dg.DagsterInstance.get()
        end_dead_runs(instance)
    stages: list[Stage] = []
    with instance:
        for job, kind, what in _jobs(project, pipelines):
            with screen.working(what):
                stages.append(run_job(_definitions(kind), job, instance, kind))
            _tell(screen, stages[-1])
            if not stages[-1].succeeded:
                return report_failure(screen, stages[-1])
    report(screen, stages, url, time.perf_counter() - started)
    return 0


def _jobs(project: Project, pipelines: list[Pipeline]) -> list[tuple[str, str, str]]:
    """Return what is run, in order: the job, its kind, and what the screen says meanwhile."""
    from orchestration.lib.datasets import in_order as datasets_in_order

    return [
        *((each.name, PIPELINE, f"Running pipeline {each.name}") for each in pipelines),
        ("dbt_build", DBT, "Building dbt models and running their tests"),
        *((f"dataset__{slug}", DATASET, f"Building dataset {slug}") for slug in datasets_in_order(project)),
    ]


def _definitions(kind: str) -> "dg.Definitions":
    if kind == DBT:
        from orchestration import definitions_dbt

        return definitions_dbt.defs
    from orchestration import definitions

    return definitions.defs


def in_order(pipelines: list[Pipeline]) -> list[Pipeline]:
    """Return the pipelines so that each comes after those that load what it depends on."""
    by_table = {str(target): pipeline.name for pipeline in pipelines for target in pipeline.targets()}
    after = {
        pipeline.name: {by_table[table] for table in pipeline.spec.depends_on if table in by_table}
        - {pipeline.name}
        for pipeline in pipelines
    }
    by_name = {pipeline.name: pipeline for pipeline in pipelines}
    return [by_name[name] for name in TopologicalSorter(after).static_order()]


def run_job(defs: "dg.Definitions", name: str, instance: "dg.DagsterInstance", kind: str = PIPELINE) -> Stage:
    """Run one job in this process and collect what it tells."""
    started = time.perf_counter()
    tags = {PROCESS_TAG: f"{os.getpid()}:{start_time(os.getpid())}"}
    result = defs.resolve_job_def(name).execute_in_process(instance=instance, raise_on_error=False, tags=tags)
    stage = Stage(name.removeprefix("dataset__"), kind, time.perf_counter() - started)
    for event in result.all_events:
        if event.is_step_materialization:
            materialization = event.step_materialization_data.materialization
            rows = materialization.metadata.get("dagster/row_count")
            stage.tables[".".join(materialization.asset_key.path)] = rows.value if rows else None  # type: ignore[assignment]
        elif event.is_step_failure:
            stage.errors.append(_reason(event.step_failure_data))
    for check in result.get_asset_check_evaluations():
        if check.passed:
            stage.passed += 1
        else:
            text = f"{'.'.join(check.asset_key.path)}: {check.check_name}: {check.description or 'failed'}"
            stage.failed.append((text, check.severity.value == "ERROR"))
    if not result.success and not stage.errors:
        stage.errors.append("the run failed; its log tells why")
    return stage


def end_dead_runs(instance: "dg.DagsterInstance") -> int:
    """Close the runs of earlier demos whose process was killed, and return how many there were.

    Only a daemon would notice them, and none may be running: a dead run keeps its place in the pool of
    dbt, and the next one would wait for it without end.
    """
    import dagster as dg

    unfinished = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    dead = 0
    for run in instance.get_runs(dg.RunsFilter(statuses=unfinished)):
        pid, _, started = run.tags.get(PROCESS_TAG, "").partition(":")
        if pid and start_time(int(pid)) != started:
            instance.report_run_failed(run, "its process ended before it did")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            dead += 1
    return dead


def _reason(data: Any) -> str:
    if data.user_failure_data and data.user_failure_data.description:
        return str(data.user_failure_data.description)
    text = data.error.message.strip() if data.error else "the step failed"
    own = data.error is not None and data.error.cls_name.startswith("Dagster")
    return text.split(": ", 1)[-1] if own else text


def _tell(screen: Screen, stage: Stage) -> None:
    mark = "[green]done[/]" if stage.succeeded else "[red]FAILED[/]"
    count = f"{len(stage.tables):>2} table{'s' if len(stage.tables) != 1 else ' '}"
    screen.say(f"  {mark}  {stage.name:<12} {count}  checks: {told_checks([stage])}  {stage.seconds:.1f} s")
    for text, blocking in stage.failed:
        screen.say(f"        {'failed' if blocking else 'warning'}: {escape(text)}")


def told_checks(stages: list[Stage]) -> str:
    """Return how many checks passed, warn and failed."""
    severe = [blocking for stage in stages for _, blocking in stage.failed]
    parts = {"passed": sum(stage.passed for stage in stages), "failed": sum(severe)}
    warnings = len(severe) - sum(severe)
    told = [f"{count} {word}" for word, count in parts.items() if count or word == "passed"]
    return ", ".join([*told, *([f"{warnings} warning{'s' if warnings > 1 else ''}"] if warnings else [])])


def report_failure(screen: Screen, stage: Stage) -> int:
    """Say what failed and where to read more."""
    screen.say(f"\n[red]{stage.name} failed.[/] What comes after it did not run.")
    for error in stage.errors:
        screen.say(f"  {escape(error)}")
    screen.say(f"The whole log: {screen.log}")
    return 1


def report(screen: Screen, stages: list[Stage], url: str, seconds: float) -> None:
    """Print what was made, the answer to the demo's question, and what to type next."""
    from dteg.core.postgres import connect

    with connect(url) as connection:
        tables = Table(title="Tables", title_justify="left")
        tables.add_column("table")
        tables.add_column("rows", justify="right")
        tables.add_column("made by")
        for stage in stages:
            for name, rows in stage.tables.items():
                counted = count_rows(connection, name) if rows is None else rows
                tables.add_row(name, f"{counted:,}", stage.name)
        answer = connection.execute(ANSWER_SQL).fetchall()
    screen.say("", tables)
    by_kind = {
        word: [stage for stage in stages if stage.kind == kind]
        for word, kind in (("quality rules", PIPELINE), ("dbt tests", DBT), ("datasets", DATASET))
    }
    told = [f"{word} {told_checks(some)}" for word, some in by_kind.items() if some]
    screen.say(f"\nChecks: {'; '.join(told)}")
    screen.say(
        "Seconds: "
        + ", ".join(f"{stage.name} {stage.seconds:.1f}" for stage in stages)
        + f"; all {seconds:.1f}"
    )
    if not answer:
        raise QualityGateError(f"{ANSWER} is empty")
    question = Table(
        title="Which carriers arrive latest? (flights from New York City, 2013)", title_justify="left"
    )
    for name, justify in (
        ("carrier", "left"),
        ("mean delay (min)", "right"),
        ("15+ min late", "right"),
        ("flights", "right"),
    ):
        question.add_column(name, justify=justify)  # type: ignore[arg-type]
    for carrier, delay, late, flights in answer:
        question.add_row(str(carrier), f"{delay}", f"{late:.0%}", f"{flights:,}")
    screen.say("", question)
    _next_steps(screen, [stage.name for stage in stages if stage.kind == DATASET])


def count_rows(connection: Any, table: str) -> int:
    """Return the number of rows of a table or view."""
    from psycopg import sql

    name = TableName.parse(table)
    query = sql.SQL("select count(*) from {}").format(sql.Identifier(name.schema, name.name))
    return int(connection.execute(query).fetchone()[0])


def _next_steps(screen: Screen, datasets: list[str]) -> None:
    beside = Path(sys.executable).with_name("dteg")
    program = "dteg" if shutil.which("dteg") or not beside.exists() else os.path.relpath(beside)
    steps = {
        "make dev": "Dagster's page with these runs, the graph and the checks",
        f"{program} run flights": "one pipeline from the command line",
        f"{program} read {ANSWER}": "the rows behind the answer",
        **{f"{program} dataset rows {name}": "tables put together without SQL" for name in datasets[:1]},
        "make stop": "stop PostgreSQL",
    }
    screen.say("\nWhat to type next:")
    width = max(map(len, steps))
    for text, meaning in steps.items():
        screen.say(f"  {text:<{width}}  {meaning}")


if __name__ == "__main__":
    sys.exit(main())
