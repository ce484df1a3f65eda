"""Known weaknesses of third-party packages, from a snapshot with a date; what it does not cover is unknown.

Shipped is a selection of the PyPA advisory database (`snapshot.json`, see its `source` and `licence`). An operator points
`DTEG_GATES_ADVISORIES` to a folder with a newer and complete one: OSV records as JSON or YAML files at any depth, as OSV's
export for PyPI and the PyPA database have them.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from dteg.core.errors import ConfigError

VARIABLE = "DTEG_GATES_ADVISORIES"
SHIPPED = Path(__file__).parent / "snapshot.json"
OLD_DAYS = 30


@dataclass(frozen=True, slots=True)
class Advisory:
    """One weakness of one package.

    Attributes:
        id: Such as `PYSEC-2024-1`.
        aliases: Other ids.
        ranges: (introduced, fixed) pairs; None in place of `fixed`: not repaired.
        versions: Versions that are named one by one.
        last_affected: Ends of ranges that are affected themselves, by the start.
    """

    id: str
    aliases: tuple[str, ...]
    ranges: tuple[tuple[str, str | None], ...]
    versions: frozenset[str]
    last_affected: tuple[tuple[str, str], ...] = ()

    def affects(self, version: Version) -> bool:
        """Whether a version has the weakness."""
        if any(_equal(version, each) for each in self.versions):
            return True
        for introduced, fixed in self.ranges:
            if version >= _version(introduced) and (fixed is None or version < _version(fixed)):
                return True
        return any(_version(start) <= version <= _version(end) for start, end in self.last_affected)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that is known at one day.

    Attributes:
        day: Day of the newest change in it.
        source: Where it comes from.
        covers: Normalised names it can speak of; None for all of PyPI.
        advisories: By normalised name.
        digest: Hash of its content, hexadecimal.
    """

    day: date
    source: str
    covers: frozenset[str] | None
    advisories: dict[str, tuple[Advisory, ...]]
    digest: str

    def knows(self, name: str) -> bool:
        """Whether silence about a package means something."""
        return self.covers is None or canonicalize_name(name) in self.covers

    def of(self, name: str, version: str) -> list[Advisory]:
        """Return what is known against one version."""
        return [
            each
            for each in self.advisories.get(canonicalize_name(name), ())
            if each.affects(_version(version))
        ]

    def has_safe_version(self, name: str, wanted: SpecifierSet) -> bool:
        """Whether a requirement lets a version in that has no known weakness.

        Versions are those that the advisories and the requirement name, since there is no list of all versions here.
        """
        known = self.advisories.get(canonicalize_name(name), ())
        named = {fixed for each in known for _, fixed in each.ranges if fixed}
        named |= {clause.version.removesuffix(".*") for clause in wanted}
        candidates = [Version(each) for each in named if _is_version(each)]
        # Beyond every version that is named somewhere: what an unlimited requirement lets in.
        candidates.append(Version("999999"))
        admitted = [each for each in candidates if wanted.contains(each, prereleases=True)]
        return any(not any(one.affects(each) for one in known) for each in admitted)


def load(place: str | Path | None = None) -> Snapshot:
    """Read a snapshot.

    Args:
        place: File made by `select`, or a folder of OSV records; by default what `DTEG_GATES_ADVISORIES` names, else
            the shipped one.

    Raises:
        ConfigError: It cannot be read, or holds no record.
    """
    path = Path(place or os.environ.get(VARIABLE) or SHIPPED)
    try:
        if path.is_dir():
            return _from_records(list(_records(path)), f"OSV records of the operator ({path.name})", None)
        data = json.loads(path.read_text(encoding="utf-8"))
        covers = None if data["covers"] == "*" else frozenset(map(canonicalize_name, data["covers"]))
        return _from_records(data["records"], data["source"], covers, data["date"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"advisories: {path} cannot be read: {error}; set {VARIABLE} to a folder of OSV records"
        ) from error


def select(folder: Path, names: Iterable[str]) -> dict[str, Any]:
    """Return the content of a snapshot file: what the records of a folder say about some packages."""
    wanted = sorted({canonicalize_name(name) for name in names})
    records, newest = [], ""
    for record in _records(folder):
        newest = max(newest, str(record.get("modified", "")))
        affected = [each for each in record.get("affected", ()) if _package(each) in wanted]
        if affected and not record.get("withdrawn"):
            records.append(_short(record, affected))
    return {
        "date": newest[:10],
        "covers": wanted,
        "records": sorted(records, key=lambda each: str(each["id"])),
    }


def _short(record: dict[str, Any], affected: list[dict[str, Any]]) -> dict[str, Any]:
    kept = []
    for each in affected:
        ranges = [one for one in each.get("ranges", ()) if one.get("type") == "ECOSYSTEM"]
        short: dict[str, Any] = {"package": {"name": each["package"]["name"], "ecosystem": "PyPI"}}
        short |= (
            {"ranges": [{"type": "ECOSYSTEM", "events": one["events"]} for one in ranges]} if ranges else {}
        )
        kept.append(short if ranges else {**short, "versions": each.get("versions", [])})
    return {"id": record["id"], "aliases": record.get("aliases", []), "affected": kept}


def _records(folder: Path) -> Iterator[dict[str, Any]]:
    import yaml

    for path in sorted(folder.rglob("*")):
        if path.suffix == ".json":
            record = json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix in (".yaml", ".yml"):
            record = yaml.load(path.read_text(encoding="utf-8"), Loader=_loader())  # noqa: S506 - a safe loader
        else:
            continue
        if isinstance(record, dict) and "affected" in record and "id" in record:
            yield record


def _loader() -> Any:
    """Return YAML's safe loader, the one in C where there is one: tens of thousands of files."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _from_records(
    records: list[dict[str, Any]], source: str, covers: frozenset[str] | None, day: str = ""
) -> Snapshot:
    if not records:
        raise ValueError("it holds no record")
    found: dict[str, list[Advisory]] = {}
    for record in records:
        if record.get("withdrawn"):
            continue
        for affected in record["affected"]:
            if name := _package(affected):
                found.setdefault(name, []).append(_advisory(record, affected))
    newest = day or max(str(record.get("modified", ""))[:10] for record in records)
    content = json.dumps(records, sort_keys=True, default=str).encode()
    return Snapshot(
        date.fromisoformat(newest), source, covers, {name: tuple(each) for name, each in found.items()},
        hashlib.sha256(content).hexdigest(),
    )  # fmt: skip


def _package(affected: dict[str, Any]) -> str:
    package = affected.get("package", {})
    return canonicalize_name(package["name"]) if package.get("ecosystem") == "PyPI" else ""


def _advisory(record: dict[str, Any], affected: dict[str, Any]) -> Advisory:
    ranges: list[tuple[str, str | None]] = []
    ends: list[tuple[str, str]] = []
    for each in affected.get("ranges", ()):
        if each.get("type") not in ("ECOSYSTEM", "SEMVER"):
            continue
        start: str | None = None
        for event in each["events"]:
            if "introduced" in event:
                if start is not None:
                    ranges.append((start, None))
                start = str(event["introduced"])
            elif start is not None and "fixed" in event:
                ranges.append((start, str(event["fixed"])))
                start = None
            elif start is not None and "last_affected" in event:
                ends.append((start, str(event["last_affected"])))
                start = None
        if start is not None:
            ranges.append((start, None))
    return Advisory(
        str(record["id"]), tuple(map(str, record.get("aliases", ()))), tuple(ranges),
        frozenset(map(str, affected.get("versions", ()))), tuple(ends),
    )  # fmt: skip


def age_days(snapshot: Snapshot, today: date | None = None) -> int:
    """Return how old a snapshot is (days)."""
    return ((today or datetime.now(UTC).date()) - snapshot.day).days


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def _equal(version: Version, text: str) -> bool:
    return _is_version(text) and Version(text) == version
