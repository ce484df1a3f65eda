"""The rounds that are done, saved as they come: an interrupted run goes on where it was."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.cases import Case, Contestant
from benchmarks.environments import CACHE, PINNED
from benchmarks.measure import Measurement


@dataclass
class Outcome:
    """What one contestant did in one case.

    Attributes:
        contestant: Who.
        rounds: Measurements by the name of the round.
        equal: Whether the content was that of the source (of the limit's table, for a merge) in every round.
        problem: Why there is no result.
        path: Which way dteg took, in its own words.
        types: Types of the target's columns, where the tool chose them.
        replay_wrote: Rows that dteg wrote as the same merge ran again; None if not asked.
    """

    contestant: Contestant
    rounds: dict[str, Measurement] = field(default_factory=dict)
    equal: bool = True
    problem: str = ""
    path: str = ""
    types: dict[str, str] = field(default_factory=dict)
    replay_wrote: int | None = None

    @property
    def counts(self) -> bool:
        """Whether it may be quoted."""
        return bool(self.rounds) and self.equal and not self.problem


class Journal:
    """A file of lines, one for each round of a case.

    Args:
        rows: How many were asked for; each has a file of its own.
        resume: Go on with what is there; otherwise start with nothing.
    """

    def __init__(self, rows: int, *, resume: bool) -> None:
        self._path = CACHE / "rounds" / f"{rows}.jsonl"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._lines: list[dict[str, Any]] = []
        if resume and self._path.exists():
            self._lines = _whole_lines(self._path)
            # Rounds with other versions of the peers are not comparable.
            if self._lines and self._lines[0].get("pinned") != PINNED:
                self._lines = []
        if not self._lines:
            self._path.write_text("")
            self._add({"pinned": PINNED})

    def outcomes(self, case: Case) -> dict[str, Outcome]:
        """Return what is known of a case, by contestant."""
        found: dict[str, Outcome] = {}
        contestants = {each.name: each for each in case.contestants}
        for line in self._of(case):
            for name, saved in line["contestants"].items():
                if name in contestants:
                    outcome = found.setdefault(name, Outcome(contestants[name]))
                    if saved["measured"]:
                        outcome.rounds[line["round"]] = Measurement(**saved["measured"])
                    for key in ("equal", "problem", "path", "types", "replay_wrote"):
                        setattr(outcome, key, saved[key])
        return found

    def rounds(self, case: Case) -> set[str]:
        """Return the names of the rounds that are done."""
        return {line["round"] for line in self._of(case)}

    def seconds(self) -> float:
        """Return how long all saved rounds took, with preparation and checks."""
        return sum(float(line.get("seconds", 0)) for line in self._lines)

    def versions(self) -> dict[str, str]:
        """Return the versions of all that took part."""
        return {name: text for line in self._lines for name, text in line.get("versions", {}).items()}

    def add_versions(self, versions: Mapping[str, str]) -> None:
        self._add({"versions": dict(versions)})

    def add_round(self, case: Case, round_: str, outcomes: list[Outcome], seconds: float) -> None:
        """Save what a round gave."""
        contestants = {}
        for each in outcomes:
            measured = each.rounds.get(round_)
            contestants[each.contestant.name] = {
                "measured": asdict(measured) | {"output": ""} if measured else None,
                **{key: getattr(each, key) for key in ("equal", "problem", "path", "types", "replay_wrote")},
            }
        self._add({"case": case.name, "round": round_, "seconds": seconds, "contestants": contestants})

    def _of(self, case: Case) -> list[dict[str, Any]]:
        return [line for line in self._lines if line.get("case") == case.name]

    def _add(self, line: dict[str, Any]) -> None:
        self._lines.append(line)
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines, without a last one that a kill cut off, and cut it off in the file too."""
    lines: list[dict[str, Any]] = []
    kept = ""
    for text in path.read_text().splitlines(keepends=True):
        if not text.endswith("\n"):
            break
        lines.append(json.loads(text))
        kept += text
    path.write_text(kept)
    return lines
