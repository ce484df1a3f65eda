"""Runs the measurements: `python -m benchmarks [startup|transfer]`; both without a word."""

import argparse
import sys

from benchmarks import report, startup, transfer
from benchmarks.cases import CASES
from benchmarks.environments import PARTS, PINNED, UnavailableError

SLOW = ("pandas", "singer")
ALL_PEERS = [name for name in PINNED if name not in ("data", "tap", "target")] + list(PARTS)


def words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("startup", "transfer"), help="only this")
    parser.add_argument("--rows", type=int, default=200_000, help="rows of lineitem (default 200000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each case (default 3)")
    parser.add_argument("--cases", type=words, default=list(CASES), help=f"of {','.join(CASES)}")
    parser.add_argument(
        "--peers",
        type=words,
        default=[name for name in ALL_PEERS if name not in SLOW],
        help=f"of {','.join(ALL_PEERS)}, or all (default: all but the slow {','.join(SLOW)})",
    )
    arguments = parser.parse_args()
    peers = ALL_PEERS if arguments.peers == ["all"] else arguments.peers
    for name, known in ((peers, ALL_PEERS), (arguments.cases, CASES)):
        if unknown := set(name) - set(known):
            parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if arguments.what != "transfer":
        startup.main()
    if arguments.what != "startup":
        cases = [CASES[name] for name in arguments.cases]
        names = [part for name in peers for part in PARTS.get(name, (name,))]
        try:
            report.write(transfer.run(cases, arguments.rows, arguments.rounds, names))
        except UnavailableError as error:
            sys.exit(f"no measurement: {error}")


main()
