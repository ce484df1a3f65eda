"""Every target beside what was measured at one and at six million rows: `results/transfer.md`."""

import json
from pathlib import Path
from typing import Any

from benchmarks import targets
from benchmarks.targets import Target

RESULTS = Path(__file__).parent / "results"
SIZES = {"1M": 1_000_000, "6M": 6_000_000}
CASES = ("copy", "csv", "merge", "parquet")
Results = dict[str, dict[str, Any]]


def write() -> None:
    """Write the summary and print it; without results at one or six million rows it says so."""
    text = markdown(_results())
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "transfer.md").write_text(text)
    print(text)


def _results() -> Results:
    paths = {size: RESULTS / f"transfer-{rows}.json" for size, rows in SIZES.items()}
    return {size: json.loads(path.read_text()) for size, path in paths.items() if path.exists()}


def markdown(results: Results) -> str:
    """Return the tables: ratios, then memory, what a replayed merge wrote, and where it was measured."""
    lines = [f"Not measured at {size} rows yet." for size in SIZES if size not in results]
    lines += ["", "| case | dteg | beside | target | 1M | 6M | | why |", "|---|---|---|---|---|---|---|---|"]
    lines += [_ratio_line(results, target) for target in targets.TARGETS]
    lines += ["", "| case | dteg | peak MB, target | 1M | 6M | 6M / 1M | least peer, MB | | why |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    for case in CASES:
        for name in _ways(results, case):
            lines.append(_memory_line(results, case, name))
    for size, result in results.items():
        lines += ["", f"Replay of a merge, {size}: {_replay(result)}."]
    lines += [line for size, result in results.items() for line in ("", _about(size, result))]
    return "\n".join(lines).strip() + "\n"


def _ratio_line(results: Results, target: Target) -> str:
    cells, missed, absent = [], False, ""
    for size, rows in SIZES.items():
        found = _ratio(results.get(size), target)
        if found is None:
            problem = _contestant(results.get(size), target.case, target.beside).get("problem", "")
            absent = absent or problem
            cells.append("could not run" if problem else "-")
            continue
        least = target.at(rows) or 0.0
        missed = missed or found < least
        cells.append(f"{found:.2f}" + ("" if found >= least else " (missed)"))
    asked = f"{target.least:.2f}" + (f", {target.large:.2f} at 6M" if target.large else "")
    measured = any(cell not in ("-", "could not run") for cell in cells)
    verdict = "no ratio" if not measured else "missed" if missed else "met"
    why = (target.why if missed else "") or absent
    return f"| {target.case} | {_way(target.dteg)} | {target.beside} | {asked} | {' | '.join(cells)} | {verdict} | {_cell(why)} |"


def _memory_line(results: Results, case: str, name: str) -> str:
    peaks = {size: _peak(_contestant(results.get(size), case, name)) for size in SIZES}
    path = next((one for each in results.values() if (one := _contestant(each, case, name).get("path"))), "")
    least, missed = targets.most_mb(path), []
    for size, peak in peaks.items():
        if peak is not None and peak > least:
            missed.append(f"{size} over {least} MB")
    growth = None
    if peaks["1M"] and peaks["6M"]:
        growth = peaks["6M"] / peaks["1M"]
        if growth > targets.GROWTH:
            missed.append(f"grows over {targets.GROWTH}")
    peers = {}
    for size, result in results.items():
        found = _least_peer(result, case)
        if found:
            peers[size] = found
            if (peaks[size] or 0) >= found[1]:
                missed.append(f"{size} not below {found[0]}")
    cells = [
        case, _way(name), str(least), *("-" if peak is None else f"{peak:.0f}" for peak in peaks.values()),
        "-" if growth is None else f"{growth:.2f}",
        ", ".join(f"{peer} {peak:.0f} ({size})" for size, (peer, peak) in peers.items()) or "-",
        "missed: " + "; ".join(missed) if missed else "met",
        _cell(targets.MEMORY_WHY.get((case, name), "")) if missed else "",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _ratio(result: dict[str, Any] | None, target: Target) -> float | None:
    for found in (result or {}).get("cases", {}).get(target.case, {}).get("ratios", []):
        if (found["dteg"], found["other"]) == (target.dteg, target.beside):
            return float(found["ratio"])
    return None


def _contestants(result: dict[str, Any] | None, case: str) -> dict[str, Any]:
    return dict((result or {}).get("cases", {}).get(case, {}).get("contestants", {}))


def _contestant(result: dict[str, Any] | None, case: str, name: str) -> dict[str, Any]:
    return dict(_contestants(result, case).get(name, {}))


def _ways(results: Results, case: str) -> list[str]:
    ways = [
        name
        for result in results.values()
        for name, each in _contestants(result, case).items()
        if each["role"] == "dteg"
    ]
    return list(dict.fromkeys(ways))


def _peak(contestant: dict[str, Any]) -> float | None:
    """Return the greatest memory of a contestant that counts (MB)."""
    if not contestant or contestant["problem"] or not contestant["equal_content"]:
        return None
    return max(float(each["rss_mb"]) for each in contestant["rounds"])


def _least_peer(result: dict[str, Any], case: str) -> tuple[str, float] | None:
    peers = [
        (peak, name)
        for name, each in _contestants(result, case).items()
        if each["role"] == "peer" and (peak := _peak(each)) is not None
    ]
    return min(peers)[::-1] if peers else None


def _replay(result: dict[str, Any]) -> str:
    wrote = _contestant(result, "merge", "dteg").get("replay_wrote")
    return "not measured" if wrote is None else f"{wrote} rows written ({'missed' if wrote else 'met'})"


def _about(size: str, result: dict[str, Any]) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in result["machine"].items())
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return f"{size}: {result['rows']:,} rows, {result['rounds']} rounds. {machine}. {versions}."


def _way(name: str) -> str:
    return name.removeprefix("dteg").strip() or "as it is"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
