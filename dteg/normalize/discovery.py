"""Which dependencies may hold: searched in a sample, and only guesses until they were measured in all rows.

Source: HyFD (Papenbrock, Naumann, SIGMOD 2016) and PFDTane of Desbordante. Without that library a search of
our own. Determinants have one or two columns, three on demand: more find chance rather than things.
"""

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from dteg.core.errors import EnvironmentProblemError
from dteg.normalize.flat import HASHES, Flat

SAMPLE_ROWS = 50_000
SMALL_SAMPLE_ROWS = 10_000
MAX_DETERMINANT = 2
# Of the search of our own: it asks a question for each three columns.
_MOST_FOR_THREE = 20
TIME_LIMIT_S = 60.0
# A dependency that holds in fewer rows than this is none.
MAX_ERROR = 0.02
_SAMPLE = "sampled"
# A determinant with nearly as many values as there are rows is a key, and makes no table of its own.
MAX_GROUPS = 0.9

Columns = tuple[str, ...]


@dataclass
class Candidates:
    """What may hold.

    Attributes:
        exact: By determinant, the columns that it fixed in the whole sample.
        almost: The same for those that it fixed in nearly all rows.
        notes: What a person should know of the search.
    """

    exact: dict[Columns, set[str]] = field(default_factory=lambda: defaultdict(set))
    almost: dict[Columns, set[str]] = field(default_factory=lambda: defaultdict(set))
    notes: list[str] = field(default_factory=list)


def find_candidates(
    flat: Flat, usable: list[str], time_limit_s: float = TIME_LIMIT_S, most: int = MAX_DETERMINANT
) -> Candidates:
    """Search in a sample of the rows.

    Args:
        flat: The file, with its hashes.
        usable: Columns that may take part: those with more than one value.
        time_limit_s: After it, a smaller search is made, and said so.
        most: Columns that a determinant may have.
    """
    found = Candidates()
    if len(usable) < 2:
        return found
    rows = _sample(flat, usable, SAMPLE_ROWS)
    if rows < flat.rows:
        found.notes.append(f"dependencies were searched in {rows:,} rows and measured in all {flat.rows:,}")
    if importlib.util.find_spec("desbordante") is None:
        _search_here(flat, usable, found, most)
        return found
    answer = _search(flat, usable, found, time_limit_s, most)
    for kind, into in (("exact", found.exact), ("almost", found.almost)):
        for determinant, dependent in answer[kind]:
            if determinant:
                into[tuple(usable[number] for number in determinant)].add(usable[dependent])
    return found


def _search(
    flat: Flat, usable: list[str], found: Candidates, time_limit_s: float, most: int
) -> dict[str, list[tuple[list[int], int]]]:
    """Return what the library finds: with as many columns as wanted, and if that takes too long with single ones."""
    try:
        return _run_worker(flat, most, time_limit_s)
    except subprocess.TimeoutExpired:
        found.notes.append(
            f"the search took longer than {time_limit_s:.0f} s: only single columns were tried as determinants"
        )
    _sample(flat, usable, SMALL_SAMPLE_ROWS)
    try:
        return _run_worker(flat, 1, time_limit_s)
    except subprocess.TimeoutExpired:
        found.notes.append("that took too long too: nothing was found")
        return {"exact": [], "almost": []}


def _sample(flat: Flat, usable: list[str], most: int) -> int:
    """Make the table of sampled hashes, always the same rows of the same file; return their number."""
    every = -(-flat.rows // most)
    picked = ", ".join(flat.hashes(usable))
    flat.connection.execute(
        f"CREATE OR REPLACE TABLE {_SAMPLE} AS SELECT {picked} FROM {HASHES}"  # noqa: S608 - names of our own
        + (f" WHERE hash(rowid) % {every} = 0" if every > 1 else "")
    )
    return int(flat.one(f"SELECT count(*) FROM {_SAMPLE}")[0])  # noqa: S608 - a constant


def _run_worker(flat: Flat, max_lhs: int, time_limit_s: float) -> dict[str, list[tuple[list[int], int]]]:
    with tempfile.TemporaryDirectory(prefix="dteg-") as folder:
        path = Path(folder) / "sample.csv"
        flat.connection.execute(f"COPY {_SAMPLE} TO '{path}' (HEADER false)")
        done = subprocess.run(
            [sys.executable, "-m", "dteg.normalize.discovery_worker", str(path), str(max_lhs), str(MAX_ERROR)],
            capture_output=True, text=True, timeout=time_limit_s, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise EnvironmentProblemError(f"the search for dependencies ended with {done.returncode}: {last}")
    answer: dict[str, list[tuple[list[int], int]]] = json.loads(done.stdout)
    return answer


def search_here(flat: Flat, usable: list[str]) -> Candidates:
    """Search for single columns that fix others, without the library: in few columns it takes no time."""
    found = Candidates()
    _sample(flat, usable, SAMPLE_ROWS)
    _search_here(flat, usable, found, 1)
    return found


def _search_here(flat: Flat, usable: list[str], found: Candidates, most: int) -> None:
    """Compare numbers of groups: X fixes A if there are as many values of (X, A) as of X."""
    columns = dict(zip(usable, flat.hashes(usable), strict=True))
    rows = int(flat.one(f"SELECT count(*) FROM {_SAMPLE}")[0])  # noqa: S608 - a constant
    if most > MAX_DETERMINANT and len(usable) > _MOST_FOR_THREE:
        found.notes.append(
            f"determinants of three columns were not looked for: more than {_MOST_FOR_THREE} columns"
        )
        most = MAX_DETERMINANT
    for size in range(1, most + 1):
        for determinant in combinations(usable, size):
            parts = [part for less in range(1, size) for part in combinations(determinant, less)]
            fixed = set().union(*(found.exact.get(part, set()) for part in parts))
            targets = [name for name in usable if name not in fixed and name not in determinant]
            if not targets or fixed & set(determinant):
                continue
            groups, bad = _agreement(
                flat, [columns[name] for name in determinant], [columns[name] for name in targets]
            )
            if groups > MAX_GROUPS * rows:
                continue
            found.exact[determinant].update(
                name for name, wrong in zip(targets, bad, strict=True) if not wrong
            )
            if size == 1:
                found.almost[determinant].update(
                    name for name, wrong in zip(targets, bad, strict=True) if wrong <= MAX_ERROR * rows
                )
    found.exact = defaultdict(set, {key: value for key, value in found.exact.items() if value})


def _agreement(flat: Flat, determinant: list[str], targets: list[str]) -> tuple[int, list[int]]:
    """Return the groups, and for each target the rows that differ from what their group mostly has."""
    by = ", ".join(determinant)
    groups = int(flat.one(f"SELECT count(*) FROM (SELECT DISTINCT {by} FROM {_SAMPLE})")[0])  # noqa: S608 - own names
    wrong = [
        int(flat.one(
            f"SELECT coalesce(sum(n - most), 0) FROM (SELECT sum(c) AS n, max(c) AS most FROM "  # noqa: S608 - own names
            f"(SELECT {by}, count(*) AS c FROM {_SAMPLE} GROUP BY {by}, {target}) GROUP BY {by})"
        )[0])
        for target in targets
    ]  # fmt: skip
    return groups, wrong
