"""Runs the measurements: `python -m benchmarks [startup|transfer|full|summary]`; the first two without a word.

`full` is the run to judge by: one million rows with all peers, six million without the slow ones, and the summary.
The words topics, backups, tables, datasets, forecasts, normalize and metadata have options of their own: `python -m benchmarks topics --help`.
"""

import argparse
import runpy
import signal
import sys
from dataclasses import replace

from benchmarks import report, startup, summary, transfer
from benchmarks.cases import CASES
from benchmarks.environments import PARTS, PINNED, UnavailableError

OTHERS = ("topics", "backups", "tables", "datasets", "forecasts", "normalize", "metadata")
SLOW = ("pandas", "singer")
ALL_PEERS = [name for name in PINNED if name not in ("data", "tap", "target")] + list(PARTS)
SLOW_ROUNDS = 3


def words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "what", nargs="?", choices=("startup", "transfer", "full", "summary", *OTHERS), help="only this"
    )
    parser.add_argument("--rows", type=int, default=200_000, help="rows of lineitem (default 200000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each case (default 3)")
    parser.add_argument("--cases", type=words, default=list(CASES), help=f"of {','.join(CASES)}")
    parser.add_argument(
        "--peers",
        type=words,
        default=[name for name in ALL_PEERS if name not in SLOW],
        help=f"of {','.join(ALL_PEERS)}, or all (default: all but the slow {','.join(SLOW)})",
    )
    parser.add_argument(
        "--slow-rounds", type=int, default=SLOW_ROUNDS,
        help=f"rounds of the slow peers beside limit and dteg, after the others (default {SLOW_ROUNDS})",
    )  # fmt: skip
    parser.add_argument(
        "--slow-cases", type=words, default=["copy"], help="cases of the slow peers (default copy)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="keep the rounds that a run with as many rows saved"
    )
    arguments = parser.parse_args()
    if arguments.peers == ["all"]:
        arguments.peers = ALL_PEERS
    for names, known in (
        (arguments.peers, ALL_PEERS),
        (arguments.cases, CASES),
        (arguments.slow_cases, CASES),
    ):
        if unknown := set(names) - set(known):
            parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return arguments


def runs(arguments: argparse.Namespace) -> list[transfer.Wanted]:
    """Return what to measure, one run for each number of rows."""

    def parts(peers: list[str]) -> list[str]:
        return [part for name in peers for part in PARTS.get(name, (name,))]

    wanted = transfer.Wanted(
        [CASES[name] for name in arguments.cases], arguments.rows, arguments.rounds, parts(arguments.peers),
        arguments.slow_rounds, arguments.slow_cases, arguments.resume,
    )  # fmt: skip
    if arguments.what != "full":
        return [wanted]
    fast = [name for name in ALL_PEERS if name not in SLOW]
    return [
        replace(wanted, rows=1_000_000, peers=parts(ALL_PEERS)),
        replace(wanted, rows=6_000_000, peers=parts(fast)),
    ]


def main() -> None:
    # A kill ends like Ctrl-C: the server and its files go too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if sys.argv[1:2] and sys.argv[1] in OTHERS:
        module = f"benchmarks.{sys.argv.pop(1)}"
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        return
    arguments = parse()
    if arguments.what == "summary":
        summary.write()
        return
    if arguments.what in (None, "startup"):
        startup.main()
    if arguments.what == "startup":
        return
    try:
        for wanted in runs(arguments):
            report.write(transfer.run(wanted))
    except UnavailableError as error:
        sys.exit(f"no measurement: {error}")


main()
