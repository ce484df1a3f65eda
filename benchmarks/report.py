"""The results as JSON, as a table for people, as ratios for the README, and as a chart."""

import json
import os
import platform
import statistics
from html import escape
from pathlib import Path
from typing import Any

from benchmarks import summary, targets
from benchmarks.cases import CASES, Case
from benchmarks.journal import Outcome
from benchmarks.transfer import Run

RESULTS = summary.RESULTS
COLOURS = {"limit": "#9aa3ad", "dteg": "#2463eb", "peer": "#d0894a"}


def values(outcome: Outcome, metric: str) -> dict[str, float]:
    return {name: each.cpu_s if metric == "cpu" else each.wall_s for name, each in outcome.rounds.items()}


def ratio(over: Outcome, under: Outcome, metric: str) -> float | None:
    """Return the median over the rounds of one's value by the other's; None unless both may be quoted."""
    if not (over.counts and under.counts):
        return None
    above, below = values(over, metric), values(under, metric)
    pairs = [(above[name], below[name]) for name in above if name in below]
    return statistics.median(one / other for one, other in pairs) if pairs else None


def ratios(case: Case, outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """Return what dteg reached of the limit, and how many times a peer takes what dteg takes."""
    found = []
    for ours in (each for each in outcomes if each.contestant.role == "dteg"):
        for other in (each for each in outcomes if each.contestant.role != "dteg"):
            value = ratio(other, ours, case.metric)
            if value is not None:
                found.append(
                    {
                        "dteg": ours.contestant.name,
                        "other": other.contestant.name,
                        "role": other.contestant.role,
                        "metric": case.metric,
                        "ratio": round(value, 3),
                    }
                )
    return found


def machine() -> dict[str, Any]:
    """Describe the machine, without its name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    names = ("wall_s", "cpu_s", "rss_mb", "load")
    return {
        "role": outcome.contestant.role,
        "how": outcome.contestant.note,
        "equal_content": outcome.equal if outcome.rounds else None,
        "problem": outcome.problem,
        "path": outcome.path,
        "replay_wrote": outcome.replay_wrote,
        "types": outcome.types,
        "rounds": [
            {"round": round_, **{name: round(getattr(each, name), 3) for name in names}}
            for round_, each in outcome.rounds.items()
        ],
    }


def to_json(run: Run) -> dict[str, Any]:
    return {
        "rows": run.rows,
        "rounds": run.rounds,
        "machine": machine(),
        "versions": {"postgresql": run.postgres, **run.versions},
        "seconds": round(run.seconds),
        "cases": {
            name: {
                "title": CASES[name].title,
                "ratios": [
                    {**found, "target": targets.least(run.rows, name, found)}
                    for found in ratios(CASES[name], outcomes)
                ],
                "contestants": {each.contestant.name: _outcome(each) for each in outcomes},
            }
            for name, outcomes in run.cases.items()
        },
    }


def table(run: Run) -> str:
    """Return medians as text."""
    lines = [f"lineitem, {run.rows:,} rows, medians of {run.rounds} rounds; CPU and memory of the client"]
    for name, outcomes in run.cases.items():
        lines += ["", f"{CASES[name].title:<34} {'wall s':>8} {'CPU s':>8} {'peak MB':>8}  content"]
        for each in outcomes:
            lines.append(f"  {each.contestant.name:<14} " + _numbers(each))
            if each.replay_wrote is not None:
                lines.append(f"    the same delta again wrote {each.replay_wrote} rows")
        for found in ratios(CASES[name], outcomes):
            least = targets.least(run.rows, name, found)
            verdict = "" if least is None else f" (target {least:.2f}: {_met(found['ratio'] >= least)})"
            lines.append(f"  {_sentence(found)}{verdict}")
        lines += _memory(outcomes)
    return "\n".join(lines) + "\n"


def _met(reached: bool) -> str:
    return "met" if reached else "missed"


def _memory(outcomes: list[Outcome]) -> list[str]:
    lines = []
    for each in (each for each in outcomes if each.path and each.counts):
        peak, most = max(one.rss_mb for one in each.rounds.values()), targets.most_mb(each.path)
        lines.append(f"  {each.contestant.name}: peak {peak:.0f} MB (target {most}: {_met(peak <= most)})")
    return lines


def _numbers(outcome: Outcome) -> str:
    if outcome.problem or not outcome.rounds:
        return f"no result: {outcome.problem or 'not run'}"
    medians = [
        statistics.median(getattr(each, name) for each in outcome.rounds.values())
        for name in ("wall_s", "cpu_s", "rss_mb")
    ]
    content = "equal" if outcome.equal else "DIFFERS: not quoted"
    return f"{'':<17} {medians[0]:>8.2f} {medians[1]:>8.2f} {medians[2]:>8.0f}  {content}"


def _sentence(found: dict[str, Any]) -> str:
    if found["role"] == "limit":
        return f"{found['dteg']}: {found['ratio']:.2f} of the speed of {found['other']}"
    what = "CPU" if found["metric"] == "cpu" else "time"
    return f"{found['dteg']}: {found['other']} takes {found['ratio']:.2f} times the {what}"


def markdown(run: Run) -> str:
    """Return the table of ratios for the README; no seconds, since they do not travel."""
    lines = ["| case | beside | ratio |", "|---|---|---|"]
    for name, outcomes in run.cases.items():
        for found in ratios(CASES[name], outcomes):
            ours = found["dteg"].removeprefix("dteg").strip()
            title = CASES[name].title + (f", {ours}" if ours else "")
            what = "CPU" if found["metric"] == "cpu" else "time"
            unit = " of its speed" if found["role"] == "limit" else f" times the {what} of dteg"
            lines.append(f"| {title} | {found['other']} | {found['ratio']:.2f}{unit} |")
    return "\n".join(lines) + "\n"


def chart(run: Run) -> str:
    """Return bars of the medians as SVG; each case has its own scale."""
    parts: list[str] = []
    y = 30
    for name, outcomes in run.cases.items():
        case = CASES[name]
        shown = [
            (each, statistics.median(values(each, case.metric).values())) for each in outcomes if each.counts
        ]
        if not shown:
            continue
        unit = "CPU seconds" if case.metric == "cpu" else "seconds"
        parts.append(
            f'<text x="10" y="{y}" font-weight="bold">{escape(case.title)} ({unit}, less is better)</text>'
        )
        longest = max(value for _, value in shown)
        for each, value in shown:
            y += 22
            width = max(1.0, 420 * value / longest)
            parts.append(
                f'<text x="130" y="{y}" text-anchor="end">{escape(each.contestant.name)}</text>'
                f'<rect x="140" y="{y - 12}" width="{width:.1f}" height="15" fill="{COLOURS[each.contestant.role]}"/>'
                f'<text x="{146 + width:.1f}" y="{y}">{value:.2f}</text>'
            )
        y += 40
    style = 'font-family="sans-serif" font-size="13" fill="#1f2933"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="640" height="{y}" viewBox="0 0 640 {y}" {style}>\n'
        f'<rect width="640" height="{y}" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def write(run: Run) -> None:
    """Print the table and write everything to `results/`."""
    RESULTS.mkdir(exist_ok=True)
    name = f"transfer-{run.asked}"
    (RESULTS / f"{name}.json").write_text(json.dumps(to_json(run), indent=1) + "\n")
    (RESULTS / f"{name}.txt").write_text(table(run))
    (RESULTS / f"{name}.md").write_text(markdown(run))
    (RESULTS / f"{name}.svg").write_text(chart(run))
    print("\n" + table(run))
    summary.write()
