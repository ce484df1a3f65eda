"""Rounds of cases: all contestants in turn, the order reversed in every other round, ratios within a round."""

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import data, verify
from benchmarks.cases import Case, Contestant, Context, write_pipelines
from benchmarks.environments import Environment, UnavailableError, environment
from benchmarks.measure import Measurement, measure
from benchmarks.server import Server, running


@dataclass
class Outcome:
    """What one contestant did in one case.

    Attributes:
        contestant: Who.
        rounds: One measurement for each round.
        equal: Whether the content was that of the source (of the limit's table, for a merge) in every round.
        problem: Why there is no result.
        path: Which way dteg took, in its own words.
        types: Types of the target's columns, where the tool chose them.
        replay_wrote: Rows that dteg wrote as the same merge ran again; None if not asked.
    """

    contestant: Contestant
    rounds: list[Measurement] = field(default_factory=list)
    equal: bool = True
    problem: str = ""
    path: str = ""
    types: dict[str, str] = field(default_factory=dict)
    replay_wrote: int | None = None

    @property
    def counts(self) -> bool:
        """Whether it may be quoted."""
        return bool(self.rounds) and self.equal and not self.problem


@dataclass
class Run:
    """All that was measured, on how many rows, and how many were asked for."""

    asked: int
    rows: int
    rounds: int
    seconds: float = 0.0
    postgres: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    cases: dict[str, list[Outcome]] = field(default_factory=dict)


def run(cases: Sequence[Case], rows: int, rounds: int, peers: Sequence[str]) -> Run:
    """Measure; a peer that cannot be had or fails is reported and left out."""
    started = time.perf_counter()
    environments, problems = _environments(peers)
    csv = data.generate(rows, environments["data"])
    with running() as server, tempfile.TemporaryDirectory(prefix="dteg-bench-") as folder:
        result = Run(rows, data.fill_source(server, csv), rounds, postgres=_version(server))
        for each in environments.values():
            result.versions |= each.versions
        for case in cases:
            context = Context(server, Path(folder) / case.name, csv, environments)
            result.cases[case.name] = _case(case, context, rounds, peers, problems)
        result.seconds = time.perf_counter() - started
    return result


def _environments(peers: Sequence[str]) -> tuple[dict[str, Environment], dict[str, str]]:
    made = {"data": environment("data")}
    problems: dict[str, str] = {}
    for name in peers:
        try:
            made[name] = environment(name)
        except UnavailableError as error:
            problems[name] = str(error)
    return made, problems


def _version(server: Server) -> str:
    return str(server.row("source", "SHOW server_version")[0])


def _case(
    case: Case, context: Context, rounds: int, peers: Sequence[str], problems: dict[str, str]
) -> list[Outcome]:
    outcomes = [
        Outcome(each, problem=next((problems[name] for name in each.needs if name in problems), ""))
        for each in case.contestants
        if set(each.needs) <= set(peers)
    ]
    write_pipelines(case, context.folder)
    (context.folder / "lineitem.csv").symlink_to(context.csv)
    if case.keeps_target:
        _each(outcomes, lambda outcome: _first_load(outcome.contestant, context))
    for round_ in range(rounds):
        if case.keeps_target:
            data.make_delta(context.server, round_)
        order = outcomes if round_ % 2 == 0 else outcomes[::-1]
        _each(order, lambda outcome: _once(case, outcome, context))
        _verify(case, outcomes, context)
        _show(case, outcomes, round_)
    for outcome in outcomes:
        context.server.execute("target", f"DROP SCHEMA IF EXISTS {outcome.contestant.schema} CASCADE")
    return outcomes


def _each(outcomes: Sequence[Outcome], step) -> None:
    for outcome in outcomes:
        if not outcome.problem:
            try:
                step(outcome)
            except UnavailableError as error:
                outcome.problem = str(error)


def _env(contestant: Contestant, context: Context) -> dict[str, str]:
    return {
        **context.server.environment(),
        "BENCH_SCHEMA": contestant.schema,
        "BENCH_FOLDER": str(context.folder),
        "BENCH_CSV": str(context.csv),
        "DTEG_HOME": str(context.folder),
        # Sling takes connections from the environment, and asks for TLS unless told.
        "SLING_SOURCE": context.server.url("source") + "?sslmode=disable",
        "SLING_TARGET": context.server.url("target") + "?sslmode=disable",
        "SLING_HOME_DIR": str(context.folder / "sling"),
        "SLING_DISABLE_TELEMETRY": "true",
    }


def _empty_target(contestant: Contestant, context: Context) -> None:
    schema = contestant.schema
    context.server.execute("target", f"DROP SCHEMA IF EXISTS {schema} CASCADE", f"CREATE SCHEMA {schema}")
    if contestant.make_table:
        context.server.execute("target", f"CREATE TABLE {schema}.lineitem ({data.DDL})")


def _first_load(contestant: Contestant, context: Context) -> None:
    _empty_target(contestant, context)
    if contestant.before:
        measure(contestant.before(context), _env(contestant, context))
        context.server.execute("target", f"VACUUM ANALYZE {contestant.schema}.lineitem")


def _once(case: Case, outcome: Outcome, context: Context) -> None:
    contestant = outcome.contestant
    if not case.keeps_target:
        _empty_target(contestant, context)
    for database in ("source", "target"):
        context.server.execute(database, "CHECKPOINT")
    done = measure(contestant.command(context), _env(contestant, context))
    outcome.rounds.append(done)
    if contestant.role == "dteg":
        outcome.path = dteg_stream(done)["path"]
    if contestant.role == "dteg" and case.keeps_target:
        table = f"{contestant.schema}.lineitem"
        before = verify.versions_of_rows(context.server, table)
        again = measure(contestant.command(context), _env(contestant, context))
        wrote = int(dteg_stream(again)["load"]["rows_written"])
        untouched = verify.versions_of_rows(context.server, table) == before
        outcome.replay_wrote = max(outcome.replay_wrote or 0, wrote, 0 if untouched else 1)


def dteg_stream(done: Measurement) -> dict:
    """Return what `dteg run --json` says about its only stream."""
    return json.loads(done.output)["streams"][0]


def _verify(case: Case, outcomes: Sequence[Outcome], context: Context) -> None:
    server = context.server
    if case.keeps_target:
        expected = verify.digest(server, "target", "bench_psql.lineitem")
    else:
        expected = verify.digest(server, "source", "lineitem")

    def check(outcome: Outcome) -> None:
        contestant = outcome.contestant
        try:
            if case.name == "parquet":
                path = context.folder / "out" / contestant.name
                found = verify.parquet_digest(server, path if path.is_dir() else path.with_suffix(".parquet"))
            else:
                found = verify.digest(server, "target", f"{contestant.schema}.lineitem", contestant.renamed)
                outcome.types = verify.types(server, contestant.schema)
        except Exception as error:  # a target that cannot be read is not equal
            raise UnavailableError(f"its target cannot be read: {str(error).splitlines()[0]}") from error
        outcome.equal = outcome.equal and found == expected

    _each(outcomes, check)


def _show(case: Case, outcomes: Sequence[Outcome], round_: int) -> None:
    done = [f"{each.contestant.name} {each.rounds[-1].wall_s:.2f}" for each in outcomes if each.rounds]
    print(f"{case.name}, round {round_ + 1}: {', '.join(done)} s", flush=True)
