"""What would change: versions, changelog, breaking changes, capabilities and trust, for people and as JSON."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dteg.core.errors import ConfigError
from dteg.marketplace.environment import Installed
from dteg.marketplace.plan import Plan, Planned
from dteg.versions import Version, parse_version

_HEADING = re.compile(r"^#{1,4}\s*\[?v?(?P<version>\d+\.\d+\.\d+(rc\d+)?)\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Difference:
    """What one component's change means.

    Attributes:
        component: `namespace/slug`.
        before: Version that is there; "" if it is new.
        after: Version that comes.
        changelog: What its authors wrote about the versions between.
        breaking: What users must change, as (version, text).
        added: Capabilities that it did not want before.
        removed: Capabilities that it no longer wants.
        trust: Level before and after.
        losses: In what it is trusted less.
        notes: What else the user should know.
        proven: Whether it was tested with this dteg and Python.
    """

    component: str
    before: str
    after: str
    changelog: str
    breaking: tuple[tuple[str, str], ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    trust: tuple[str, str]
    losses: tuple[str, ...]
    notes: tuple[str, ...]
    proven: bool

    def to_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "component": self.component, "from": self.before or None, "to": self.after, "changelog": self.changelog,
            "breaking_changes": [{"version": version, "change": text} for version, text in self.breaking],
            "capabilities_added": list(self.added), "capabilities_removed": list(self.removed),
            "trust_before": self.trust[0] or None, "trust": self.trust[1], "losses": list(self.losses),
            "notes": list(self.notes), "proven": self.proven,
        }  # fmt: skip

    def lines(self) -> Iterator[str]:
        """Yield it for people."""
        versions = f"{self.before} -> {self.after}" if self.before else self.after
        if self.before == self.after:
            versions = f"{self.after} (as before)"
        yield f"{self.component} {versions}, {self.trust[1]}, {'proven here' if self.proven else 'not proven here'}"
        for version, text in self.breaking:
            yield f"  breaking in {version}: {text}"
        for name in self.added:
            yield f"  {'new capability' if self.before else 'capability'}: {name}"
        for name in self.removed:
            yield f"  no longer wants: {name}"
        for each in self.losses:
            yield f"  trusted less: {each} (needs --accept-downgrade)"
        for each in self.notes:
            yield f"  note: {each}"
        for line in self.changelog.splitlines():
            yield f"  | {line}" if line.strip() else "  |"


def difference(planned: Planned) -> Difference:
    """Return what the change of one component means."""
    before, manifest = planned.before, planned.contents.manifest
    after = parse_version(planned.release.version)
    start = parse_version(before.version) if before else None
    now, then = set(manifest.capabilities.names()), set(before.capabilities) if before else set()
    return Difference(
        component=planned.release.component,
        before=before.version if before else "",
        after=planned.release.version,
        changelog=changelog_between(planned.release.changelog, start, after) if start else "",
        breaking=tuple(
            (each.version, each.change)
            for each in manifest.breaking_changes
            if start and start < parse_version(each.version) <= after
        ),
        added=tuple(sorted(now - then)),
        removed=tuple(sorted(then - now)),
        trust=(before.trust if before else "", planned.proof.level),
        losses=planned.losses,
        notes=planned.notes,
        proven=planned.proven,
    )


def changelog_between(text: str, start: Version | None, end: Version) -> str:
    """Return the sections of a changelog about versions after `start` up to `end`.

    Sections begin with a heading that names a version, as Keep a Changelog has it.
    """
    marks = list(_HEADING.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    found = []
    for mark, stop in zip(marks, ends, strict=False):  # without a mark there is an end all the same
        try:
            version = parse_version(mark["version"])
        except ConfigError:
            continue
        if (start is None or version > start) and version <= end:
            found.append(text[mark.start() : stop].strip())
    return "\n\n".join(found)


def plan_json(plan: Plan, installed: Mapping[str, Installed]) -> dict[str, Any]:
    """Return a plan for programs."""
    return {
        "components": [difference(each).to_json() for each in plan.components],
        "dependencies": [
            {"name": each.name, "from": _version(installed, each.name), "to": each.version}
            for each in plan.missing
        ],
        "notes": list(plan.notes),
    }


def plan_lines(plan: Plan, installed: Mapping[str, Installed]) -> Iterator[str]:
    """Yield a plan for people."""
    for planned in plan.components:
        yield from difference(planned).lines()
    for each in plan.missing:
        before = _version(installed, each.name)
        yield f"  with {each.name} {f'{before} -> ' if before else ''}{each.version}"
    for note in plan.notes:
        yield f"note: {note}"


def _version(installed: Mapping[str, Installed], name: str) -> str | None:
    return installed[name].version if name in installed else None
