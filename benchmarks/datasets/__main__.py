"""Measures datasets over several databases: `python -m benchmarks.datasets`, or `make bench BENCH_ARGS=datasets`.

A hub as a project has it (embedded, waits for the disk), a PostgreSQL and a MariaDB server on 127.0.0.1 with a million rows
each, and for MariaDB a hub of Debian's PostgreSQL 15 with mysql_fdw. Servers are stopped and frozen (SIGSTOP) while
refreshes and readers are at work. `--parts join,readers` runs some; the results of the others stay, if they were measured
on the same machine with the same versions and sizes. `--quick` runs everything small, to see that it works; its figures
mean nothing and are not kept. Forecasts have a measurement of their own: `python -m benchmarks.forecasts`.
"""

import argparse
import contextlib
import signal
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.datasets import cases, faults, outcomes, report, types
from benchmarks.datasets.worlds import (
    World,
    embedded_hub,
    fill_hub,
    fill_mariadb,
    fill_postgres,
    project_of,
)
from benchmarks.registry.cases import Case
from benchmarks.summary import RESULTS
from dteg.core.errors import DtegError, EnvironmentProblemError
from dteg.testing.mariadb import mariadb_process
from dteg.testing.postgres15 import debian_postgres, tcp_postgres

ON_POSTGRES = (
    "link", "compile", "join", "readers", "frozen_postgres", "stopped", "snapshot", "dashboard", "round_trip",
)  # fmt: skip
ON_MARIADB = ("types", "frozen_mariadb", "stopped")
PARTS = tuple(dict.fromkeys((*ON_POSTGRES, *ON_MARIADB)))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.datasets",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="of each large table (default 1000000)")
    parser.add_argument("--rounds", type=int, default=3, help="of what is repeated (default 3)")
    parser.add_argument(
        "--parts", type=lambda text: text.split(","), default=list(PARTS), help=f"of {','.join(PARTS)}"
    )
    parser.add_argument("--results", type=Path, help="folder of the results")
    parser.add_argument("--quick", action="store_true", help="all of it small")
    found = parser.parse_args(arguments)
    if unknown := set(found.parts) - set(PARTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if found.quick:
        found.rows, found.rounds = 20_000, 1
    elif found.results is None:
        found.results = RESULTS
    return found


def main(arguments: list[str] | None = None) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    wanted = parse(arguments)
    about = {"rows": wanted.rows, "rounds": wanted.rounds}
    found: dict[str, Case | str] = {}
    if set(wanted.parts) & set(ON_POSTGRES):
        found |= _whole(on_postgres, wanted, ON_POSTGRES)
    if set(wanted.parts) & set(ON_MARIADB):
        second = _whole(on_mariadb, wanted, ON_MARIADB)
        found |= _joined(found, second)
    report.write(found, about, wanted.results, PARTS)


def _whole(
    work: Callable[[argparse.Namespace], dict[str, Case | str]],
    wanted: argparse.Namespace,
    parts: tuple[str, ...],
) -> dict[str, Case | str]:
    try:
        return work(wanted)
    except EnvironmentProblemError as error:
        return {name: str(error) for name in parts if name in wanted.parts}


def _joined(first: dict[str, Case | str], second: dict[str, Case | str]) -> dict[str, Case | str]:
    """Put together what both worlds say of one case."""
    found = dict(second)
    for name, case in second.items():
        before = first.get(name)
        if isinstance(before, Case) and isinstance(case, Case):
            served = min(before.figures["served"], case.figures["served"])
            found[name] = Case(
                {**before.figures, **case.figures, "served": served}, before.notes + case.notes
            )
        elif isinstance(before, Case):
            found[name] = Case(before.figures, [*before.notes, f"MariaDB could not run: {case}"])
    return found


def on_postgres(wanted: argparse.Namespace) -> dict[str, Case | str]:
    """Measure with PostgreSQL as the source."""
    with embedded_hub() as hub, tcp_postgres() as remote, project_of(hub) as project:
        world = World(project, hub, wanted.rows)
        print(f"filling two servers with {wanted.rows:,} rows each", flush=True)
        fill_hub(hub, wanted.rows)
        fill_postgres(remote.url, wanted.rows)
        world.add_shop("postgres", remote.url, mode="fdw", tables=["public.*"])
        work: dict[str, Callable[[], Case]] = {
            "link": lambda: cases.link(world, remote.url),
            "compile": lambda: cases.compiling(world),
            "join": lambda: cases.join(world, remote.url, wanted.rounds),
            "readers": lambda: faults.readers(world, remote),
            "frozen_postgres": lambda: faults.frozen_within(world, remote.url),
            "stopped": lambda: _stopped(world, remote, "postgres_s", wanted.rounds),
            "snapshot": lambda: outcomes.snapshot(world, wanted.rounds),
            "dashboard": lambda: outcomes.dashboard(world, wanted.rounds),
            "round_trip": lambda: outcomes.round_trip(world),
        }
        return {name: _tried(name, each) for name, each in work.items() if name in wanted.parts}


def on_mariadb(wanted: argparse.Namespace) -> dict[str, Case | str]:
    """Measure with MariaDB as the source, on a hub that has mysql_fdw."""
    import pymysql

    with contextlib.ExitStack() as stack:
        hub = stack.enter_context(debian_postgres()).url
        remote = stack.enter_context(mariadb_process())
        project = stack.enter_context(project_of(hub))
        world = World(project, hub, wanted.rows, schema="")
        print(f"filling MariaDB and its hub with {wanted.rows:,} rows each", flush=True)
        fill_hub(hub, wanted.rows)
        parts = urlsplit(remote.url)
        with (
            contextlib.closing(
                pymysql.connect(
                    host=parts.hostname, port=parts.port or 0, user=parts.username, password=parts.password or "",
                    autocommit=True,
                )
            ) as connection,
            connection.cursor() as cursor,
        ):  # fmt: skip
            cursor.execute("CREATE DATABASE shop CHARACTER SET utf8mb4")
            cursor.execute("USE shop")
            fill_mariadb(cursor, wanted.rows)
            types.make(cursor)
            world.add_shop("mysql", remote.url.removesuffix("/mysql") + "/shop", mode="fdw")
            every_type = (
                _tried("types", lambda: types.types(world, cursor)) if "types" in wanted.parts else None
            )
        work: dict[str, Callable[[], Case]] = {
            "frozen_mariadb": lambda: faults.frozen_within(world, remote.url),
            "stopped": lambda: _stopped(world, remote, "mariadb_s", wanted.rounds),
        }
        found = {"types": every_type} if every_type is not None else {}
        return found | {name: _tried(name, each) for name, each in work.items() if name in wanted.parts}


def _stopped(world: World, remote: Any, name: str, rounds: int) -> Case:
    seconds, served = faults.stopped(world, remote, rounds)
    return Case({name: round(seconds, 3), "served": int(served)})


def _tried(name: str, work: Callable[[], Case]) -> Case | str:
    """Run one case; what goes wrong in it must not cost the results of the others."""
    print(f"{name} ...", flush=True)
    try:
        case = work()
    except (DtegError, SystemExit) as error:
        print(f"{name}: {error}", flush=True)
        return str(error)
    except Exception as error:  # noqa: BLE001 - told in full here, in a line in the table
        traceback.print_exc()
        return f"{type(error).__name__}: {error}"
    print(f"{name}: {case.figures}", flush=True)
    return case


if __name__ == "__main__":
    main()
