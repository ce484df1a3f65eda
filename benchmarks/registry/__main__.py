"""Measures a full registry: `python -m benchmarks.registry`, or `make bench-registry BENCH_ARGS="--minutes 2"`.

Every case runs against one registry with 10,000 components and 50,000 releases, two workers, and a document server that
waits for the disk; only `golden`, `install` and `gate` do not need it. `--parts search,install` runs some; the results
of the others stay, if they were measured on the same machine with the same versions and sizes. `--quick` runs everything
small, to see that it works; its figures mean nothing and are not kept.
"""

import argparse
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.registry import cases, components, report
from benchmarks.registry.cases import Case, Load
from benchmarks.registry.corpus import Corpus
from benchmarks.registry.running import Registry, running
from benchmarks.summary import RESULTS
from dteg.signing import SigningKey

LOADS = ("start", "index", "unchanged", "search", "memory", "mixed", "burst")
PARTS = ("golden", *LOADS, "install", "gate")
_INSTALLS = 7
FILES = 400


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.registry",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--components", type=int, default=10_000, help="default 10000")
    parser.add_argument("--versions", type=int, default=50_000, help="releases in all (default 50000)")
    parser.add_argument("--workers", type=int, default=2, help="processes of the registry (default 2)")
    parser.add_argument(
        "--seconds", type=float, default=15, help="of each case that is run alone (default 15)"
    )
    parser.add_argument("--minutes", type=float, default=10, help="of the mixed load (default 10)")
    parser.add_argument("--memory-minutes", type=float, default=2, help="of the memory run (default 2)")
    parser.add_argument(
        "--rate", type=float, default=600, help="requests a second of the mixed load (default 600)"
    )
    parser.add_argument(
        "--parts", type=lambda text: text.split(","), default=list(PARTS), help=f"of {','.join(PARTS)}"
    )
    parser.add_argument("--results", type=Path, help="folder of the results")
    parser.add_argument("--quick", action="store_true", help="all of it small")
    found = parser.parse_args(arguments)
    if unknown := set(found.parts) - set(PARTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if found.quick:
        found.components, found.versions, found.seconds = 200, 600, 1
        found.minutes, found.memory_minutes, found.rate = 0.05, 0.1, 60
    elif found.results is None:
        found.results = RESULTS
    return found


def main(arguments: list[str] | None = None) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    wanted = parse(arguments)
    about = {"components": wanted.components, "releases": wanted.versions, "workers": wanted.workers}
    report.write(measure(wanted), about, wanted.results, PARTS)


def measure(wanted: argparse.Namespace) -> dict[str, Case | str]:
    """Run the cases in their order; one that cannot run is a text that says why."""
    found: dict[str, Case | str] = {}
    alone = {
        "golden": golden,
        "install": lambda: components.install(1 if wanted.quick else _INSTALLS),
        "gate": lambda: components.gate(quick=wanted.quick),
    }
    for name, work in alone.items():
        if name in wanted.parts:
            found[name] = _tried(name, work)
    if set(wanted.parts) & set(LOADS):
        key = SigningKey.generate()
        corpus = Corpus(wanted.components, wanted.versions)
        files = min(FILES, wanted.components)
        print(
            f"filling a registry with {wanted.components:,} components and {wanted.versions:,} releases",
            flush=True,
        )
        with (
            tempfile.TemporaryDirectory(prefix="dteg-bench-wheels-") as folder,
            running(corpus, files, workers=wanted.workers, key=key.public) as registry,
        ):
            load = Load(registry, corpus, files)
            for name, work in _on(registry, load, wanted, Path(folder), key).items():
                if name in wanted.parts:
                    found[name] = _tried(name, work)
    return {name: found[name] for name in PARTS if name in found}


def _on(
    registry: Registry, load: Load, wanted: argparse.Namespace, folder: Path, key: SigningKey
) -> dict[str, Callable[[], Case]]:
    def start() -> Case:
        memory = registry.memory_mb()
        load.prepare()
        return Case(
            {"start_s": round(registry.start_s, 2), "seed_s": round(registry.seed_s, 1), "memory_mb": memory,
             "memory_max_mb": max(memory)},
            ["from the start of the program to the first answer: the first worker reads all, others load what it read"],
        )  # fmt: skip

    def alone(kind: str, connections: int) -> Callable[[], Case]:
        return lambda: cases.alone(load, kind, connections=connections, seconds=wanted.seconds)

    if "start" not in wanted.parts:
        load.prepare()
    return {
        "start": start,
        "index": alone("index", 32),
        "unchanged": alone("unchanged", 32),
        "search": alone("search", 16),
        "memory": lambda: cases.memory_growth(
            load, seconds=60 * wanted.memory_minutes, per_second=min(400.0, wanted.rate)
        ),
        "mixed": lambda: cases.mixed(
            load, per_second=wanted.rate, seconds=60 * wanted.minutes, folder=folder, key=key
        ),
        "burst": lambda: cases.publish_burst(registry, folder=folder, key=key),
    }


def _tried(name: str, work: Callable[[], Case]) -> Case | str:
    print(f"{name} ...", flush=True)
    try:
        case = work()
    except Exception as error:  # noqa: BLE001 - the other cases still have to run
        print(f"  could not run: {type(error).__name__}: {error}", flush=True)
        return f"{type(error).__name__}: {error}"
    print(f"  {case.figures}", flush=True)
    return case


def golden() -> Case:
    """Ask the golden queries of the tests."""
    from registry.search.finder import find
    from registry.search.index import SearchIndex
    from registry.search.models import SearchQuery
    from tests.unit.registry.search import golden as judged

    index = SearchIndex()
    index.rebuild(judged.corpus())
    found = judged.judge(
        lambda query: (
            find(
                index.view, SearchQuery.model_validate({"q": query.q, "kind": query.kind, "limit": 10})
            ).entries
        )
    )
    exact = [query for query in judged.queries() if query.exact]
    return Case(
        {
            "queries": len(found.by_query), "components": len(judged.corpus()), "ndcg_at_10": round(found.mean, 4),
            "exact_first_percent": round(100 * (1 - len(found.not_first) / len(exact)), 1),
        }
    )  # fmt: skip


if __name__ == "__main__":
    main()
