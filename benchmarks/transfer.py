"""Rounds of cases: all contestants in turn, the order reversed in every other round, ratios within a round."""

import functools
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import data, verify
from benchmarks.cases import CASES, Case, Contestant, Context, write_pipelines
from benchmarks.environments import Environment, UnavailableError, environment
from benchmarks.journal import Journal, Outcome
from benchmarks.measure import Measurement, measure
from benchmarks.server import Server, running

# Environments of the peers that have rounds of their own.
SLOW = frozenset(("pandas", "tap", "target"))
# Up to seven targets, the source, indexes, and the CSV; and the write-ahead log.
BYTES_PER_ROW = 2_500
LEAST_FREE = 4 << 30


@dataclass(frozen=True)
class Wanted:
    """What to measure.

    Attributes:
        cases: These cases.
        rows: About so many rows.
        rounds: Of each case, with the peers that are not slow.
        peers: Environments of the peers that take part.
        slow_rounds: Further rounds of limit, dteg and the slow peers only.
        slow_cases: Cases in which the slow peers take part.
        resume: Keep the rounds that an earlier run saved.
    """

    cases: Sequence[Case]
    rows: int
    rounds: int
    peers: Sequence[str]
    slow_rounds: int = 0
    slow_cases: Sequence[str] = ()
    resume: bool = False

    def plan(self, case: Case) -> list[str]:
        """Return the names of the rounds of a case; the slow ones come last."""
        slow = self.slow_rounds if case.name in self.slow_cases and set(self.peers) & SLOW else 0
        return [str(number + 1) for number in range(self.rounds)] + [
            f"slow {number + 1}" for number in range(slow)
        ]

    def takes_part(self, contestant: Contestant, round_: str) -> bool:
        """Say whether a contestant is measured in a round: limit and dteg in each, so that ratios have both."""
        if not set(contestant.needs) <= set(self.peers):
            return False
        is_slow = bool(set(contestant.needs) & SLOW)
        return contestant.role != "peer" or is_slow == round_.startswith("slow")


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


@dataclass
class _Progress:
    """Says how far the run is; rounds differ, so the rest is estimated from those of the same case first."""

    plans: dict[str, list[str]]
    done: dict[str, list[float]] = field(default_factory=dict)

    def show(self, case: Case, round_: str, outcomes: Sequence[Outcome], seconds: float) -> None:
        """Print a round and what is left."""
        self.plans[case.name].remove(round_)
        self.done.setdefault(case.name, []).append(seconds)
        walls = [
            f"{each.contestant.name} {each.rounds[round_].wall_s:.2f}"
            for each in outcomes
            if round_ in each.rounds
        ]
        problems = [f"{each.contestant.name}: {each.problem}" for each in outcomes if each.problem]
        mean = statistics.mean(each for case_ in self.done.values() for each in case_)
        left = sum(
            len(plan) * statistics.mean(self.done.get(name, [mean])) for name, plan in self.plans.items()
        )
        rounds = sum(map(len, self.plans.values()))
        print(
            f"{case.name}, round {round_}: {', '.join(walls)} s; {rounds} rounds left, about {left / 60:.0f} min",
            *(f"  no result: {text}" for text in problems), sep="\n", flush=True,
        )  # fmt: skip


def run(wanted: Wanted) -> Run:
    """Measure; a peer that cannot be had or fails is reported and left out.

    Raises:
        UnavailableError: The data cannot be made, or the disk is too small.
    """
    journal = Journal(wanted.rows, resume=wanted.resume)
    environments, problems = _environments(wanted.peers)
    journal.add_versions(
        {name: text for each in environments.values() for name, text in each.versions.items()}
    )
    csv = data.generate(wanted.rows, environments["data"])
    plans = {
        case.name: [each for each in wanted.plan(case) if each not in journal.rounds(case)]
        for case in wanted.cases
    }
    progress = _Progress(plans)
    with running() as server, tempfile.TemporaryDirectory(prefix="dteg-bench-") as folder:
        _check_space(Path(folder), wanted.rows)
        print(f"{sum(map(len, plans.values()))} rounds to measure", flush=True)
        result = Run(wanted.rows, data.fill_source(server, csv), wanted.rounds, postgres=_version(server))
        bench = _Bench(
            wanted, journal, progress, problems, verify.digest(server, "source", "lineitem"), result.rows
        )
        for case in wanted.cases:
            if plans[case.name]:
                bench.measure(case, Context(server, Path(folder) / case.name, csv, environments))
        result.versions = journal.versions()
        result.cases = {
            name: [known[each.name] for each in case.contestants if each.name in known]
            for name, case in CASES.items()
            if (known := journal.outcomes(case))
        }
        result.seconds = journal.seconds()
    return result


def _check_space(folder: Path, rows: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < (needed := rows * BYTES_PER_ROW + LEAST_FREE):
        raise UnavailableError(
            f"{needed >> 30} GiB of disk are needed for {rows:,} rows, {free >> 30} GiB are free; "
            "set TMPDIR to a folder on a larger disk, or take fewer --rows"
        )


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


@dataclass
class _Bench:
    """Measures the rounds of cases that are not in the journal yet."""

    wanted: Wanted
    journal: Journal
    progress: _Progress
    problems: dict[str, str]
    source: verify.Digest
    rows: int

    def measure(self, case: Case, context: Context) -> None:
        plan = list(self.progress.plans[case.name])
        outcomes = self._outcomes(case, plan)
        write_pipelines(case, context.folder)
        (context.folder / "lineitem.csv").symlink_to(context.csv)
        if case.keeps_target:
            print(f"{case.name}: first loads", flush=True)
            _each(outcomes, lambda outcome: _first_load(outcome.contestant, context))
        for number, round_ in enumerate(plan):
            started = time.perf_counter()
            if case.keeps_target:
                data.make_delta(context.server, number, self.rows)
            present = [each for each in outcomes if self.wanted.takes_part(each.contestant, round_)]
            order = present if number % 2 == 0 else present[::-1]
            _each(order, functools.partial(_once, case, context, round_))
            _verify(case, present, context, self.source)
            seconds = time.perf_counter() - started
            self.journal.add_round(case, round_, present, seconds)
            self.progress.show(case, round_, present, seconds)
        for outcome in outcomes:
            context.server.execute("target", f"DROP SCHEMA IF EXISTS {outcome.contestant.schema} CASCADE")
        context.server.execute("target", "DROP TABLE IF EXISTS bench_parquet")
        shutil.rmtree(context.folder)

    def _outcomes(self, case: Case, plan: Sequence[str]) -> list[Outcome]:
        known = self.journal.outcomes(case)
        return [
            known.get(each.name)
            or Outcome(
                each, problem=next((self.problems[name] for name in each.needs if name in self.problems), "")
            )
            for each in case.contestants
            if any(self.wanted.takes_part(each, round_) for round_ in plan)
        ]


def _each(outcomes: Sequence[Outcome], step: Callable[[Outcome], None]) -> None:
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


def _once(case: Case, context: Context, round_: str, outcome: Outcome) -> None:
    contestant = outcome.contestant
    if not case.keeps_target:
        _empty_target(contestant, context)
    for database in ("source", "target"):
        context.server.execute(database, "CHECKPOINT")
    done = measure(contestant.command(context), _env(contestant, context))
    outcome.rounds[round_] = done
    if contestant.role == "dteg":
        outcome.path = dteg_stream(done)["path"]
    if contestant.role == "dteg" and case.keeps_target:
        table = f"{contestant.schema}.lineitem"
        before = verify.versions_of_rows(context.server, table)
        again = measure(contestant.command(context), _env(contestant, context))
        wrote = int(dteg_stream(again)["load"]["rows_written"])
        untouched = verify.versions_of_rows(context.server, table) == before
        outcome.replay_wrote = max(outcome.replay_wrote or 0, wrote, 0 if untouched else 1)


def dteg_stream(done: Measurement) -> dict[str, Any]:
    """Return what `dteg run --json` says about its only stream."""
    return dict(json.loads(done.output)["streams"][0])


def _verify(case: Case, outcomes: Sequence[Outcome], context: Context, source: verify.Digest) -> None:
    server = context.server
    expected = verify.digest(server, "target", "bench_psql.lineitem") if case.keeps_target else source

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
