"""Gate: nothing in the component is dangerous, secret, undeclared or known to be weak."""

from collections.abc import Iterator
from typing import Any

from dteg.gates import advisories
from dteg.gates.patterns import is_test_file
from dteg.gates.report import Finding, GateResult, Severity, decide, undecided
from dteg.gates.runner import Limits, NoSandboxError
from dteg.gates.subject import Wheel
from dteg.manifest import MANIFEST_NAME, Manifest, Waiver

GATE = "security"

# Findings of bandit that say nothing about a component: see docs/concepts/gates.md.
_NOISE = {
    "B101": "assert narrows types",
    "B404": "importing subprocess; its use is looked at, and must be declared",
    "B403": "importing pickle; its use is looked at",
    "B405": "importing xml; its use is looked at",
    "B603": "subprocess without a shell; must be declared",
    "B607": "programs are found on PATH",
    "B311": "random numbers for jitter",
}
# Programs of tests run in the sandbox only: what is left there are secrets and attacks on what measures them.
_FINE_IN_TESTS = {"bandit"}
_LEVELS: dict[str, Severity] = {"HIGH": "high", "MEDIUM": "medium", "LOW": "low"}


def check(wheel: Wheel) -> GateResult:
    """Scan the files, compare capabilities, look the dependencies up."""
    try:
        outcome = wheel.run("scan", trusted=True, limits=Limits(wall_s=180, cpu_s=60))
    except NoSandboxError as error:
        return undecided(GATE, error.reason, error.remedy)
    answer = outcome.result()
    if answer is None:
        return undecided(GATE, f"the scanners {outcome.trouble()}", "read the log", log=outcome.log)
    manifest = wheel.manifest
    raw = [finding for each in answer["findings"] if (finding := _finding(each))]
    findings = list(waived(raw, manifest, wheel))
    findings += capability_findings(answer["capabilities"], manifest)
    dependencies, unknown = dependency_findings(wheel)
    findings += dependencies
    days = advisories.age_days(wheel.snapshot, wheel.today)
    if manifest.dependencies and days > advisories.OLD_DAYS:
        findings.append(_old_snapshot(wheel, days))
    metrics = {
        "files": float(answer["files"]),
        "advisories_age_days": float(days),
        "cpu_s": round(outcome.cpu_s, 2),
    }
    summary = f"{answer['files']} files scanned; advisories of {wheel.snapshot.day}"
    result = decide(GATE, findings, summary, metrics=metrics, log=outcome.log)
    if unknown and result.status == "passed":
        reason = f"nothing is known about {', '.join(unknown)}"
        return result.model_copy(update={"status": "unknown", "summary": reason})
    return result


def _finding(raw: dict[str, Any]) -> Finding | None:
    tool, rule, file, line = raw["tool"], raw["rule"], raw["file"], raw["line"]
    if tool == "secrets":
        rule_id = f"secret-{rule.lower().replace(' ', '-')}"
        if is_test_file(file) and rule in _FAKES_IN_TESTS:
            return None
        remedy = "take it out, and make it invalid: it was published"
        return Finding(
            rule=rule_id,
            severity="high",
            message=f"looks like a secret ({rule})",
            file=file,
            line=line,
            remedy=remedy,
        )
    if tool == "bandit" and rule != "unreadable-code" and (rule in _NOISE or is_test_file(file)):
        return None
    severity = _LEVELS.get(raw["severity"], "low")
    if raw["confidence"] == "LOW" and severity == "high":
        severity = "medium"
    if raw["confidence"] == "LOW" and raw["severity"] == "MEDIUM":
        severity = "low"
    remedy = (
        "do it another way"
        if severity == "high"
        else "do it another way, or explain it in waivers: of dteg.yaml"
    )
    return Finding(rule=rule, severity=severity, message=raw["message"], file=file, line=line, remedy=remedy)


# Tests of authentication need words that look like passwords; keys of real services have forms of their own.
_FAKES_IN_TESTS = frozenset(["Secret Keyword", "Basic Auth Credentials", "JSON Web Token", "Private Key"])


def waived(findings: list[Finding], manifest: Manifest, wheel: Wheel) -> Iterator[Finding]:
    """Yield findings; MEDIUM ones are lowered by a waiver that holds, and fail without one. HIGH stays."""
    used: set[int] = set()
    for finding in findings:
        waiver = next((each for each in manifest.waivers if _fits(each, finding)), None)
        if waiver is not None:
            used.add(id(waiver))
        if finding.severity != "medium":
            yield finding
        elif waiver is None:
            message = f"{finding.message} (MEDIUM, without waiver)"
            yield finding.model_copy(update={"severity": "high", "message": message})
        elif waiver.expires < wheel.today:
            message = f"{finding.message} (its waiver ended on {waiver.expires})"
            yield finding.model_copy(update={"severity": "high", "message": message})
        else:
            message = f"{finding.message} (waived until {waiver.expires}: {waiver.reason})"
            yield finding.model_copy(update={"severity": "low", "message": message})
    for waiver in manifest.waivers:
        if id(waiver) not in used:
            message = f"the waiver of {waiver.rule} in {waiver.file} fits no finding"
            yield Finding(
                rule="waiver-unused", severity="low", message=message, file=MANIFEST_NAME, remedy="remove it"
            )


def _fits(waiver: Waiver, finding: Finding) -> bool:
    return waiver.rule == finding.rule and waiver.file == finding.file


def capability_findings(used: list[dict[str, Any]], manifest: Manifest) -> Iterator[Finding]:
    """Yield the first use of each capability that is not declared, and declared ones that nothing uses."""
    declared = manifest.capabilities.names()
    seen: set[str] = set()
    for each in used:
        capability = each["capability"]
        if capability in seen:
            continue
        seen.add(capability)
        if capability not in declared:
            message = f"uses {capability} ({each['what']}), which {MANIFEST_NAME} does not declare"
            remedy = f"declare capabilities: {{{capability}: true}}, or do without"
            yield Finding(
                rule=f"undeclared-{capability}", severity="high", message=message, file=each["file"],
                line=each["line"], remedy=remedy,
            )  # fmt: skip
    for capability in sorted(declared - seen - {"native"}):
        message = f"declares {capability}, but no use of it was found"
        remedy = "declare only what is needed: users see it"
        yield Finding(
            rule="capability-unused", severity="low", message=message, file=MANIFEST_NAME, remedy=remedy
        )


def dependency_findings(wheel: Wheel) -> tuple[list[Finding], list[str]]:
    """Return findings about third-party dependencies, and the names of those that nothing is known about."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    findings: list[Finding] = []
    unknown: list[str] = []
    for text in wheel.manifest.dependencies:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        if not wheel.snapshot.knows(name):
            unknown.append(name)
            findings.append(_unknown_dependency(name, wheel))
            continue
        findings += _known_weaknesses(wheel, name, requirement)
        for below in sorted(_below(name, requirement.extras) - {name}):
            if not wheel.snapshot.knows(below):
                unknown.append(below)
                findings.append(_unknown_dependency(below, wheel, needed_by=name))
            elif version := wheel.installed.get(below):
                findings += [_weakness(below, version, each) for each in wheel.snapshot.of(below, version)]
    return findings, unknown


def _known_weaknesses(wheel: Wheel, name: str, requirement: Any) -> Iterator[Finding]:
    version = wheel.installed.get(name)
    if version and requirement.specifier.contains(version, prereleases=True):
        for each in wheel.snapshot.of(name, version):
            yield _weakness(name, version, each)
    if not wheel.snapshot.has_safe_version(name, requirement.specifier):
        for each in wheel.snapshot.advisories[name][:3]:
            message = f"{requirement} lets in only versions with known weaknesses, such as {_names(each)}"
            remedy = "raise the range above " + ", ".join(fixed for _, fixed in each.ranges if fixed)
            yield Finding(
                rule="dependency-advisory",
                severity="high",
                message=message,
                file=MANIFEST_NAME,
                remedy=remedy,
            )
            return


def _weakness(name: str, version: str, advisory: advisories.Advisory) -> Finding:
    fixed = ", ".join(each for _, each in advisory.ranges if each) or "none yet"
    message = f"{name} {version} has a known weakness: {_names(advisory)}"
    remedy = f"require a repaired version ({fixed})"
    return Finding(
        rule="dependency-advisory", severity="high", message=message, file=MANIFEST_NAME, remedy=remedy
    )


def _names(advisory: advisories.Advisory) -> str:
    cve = next((each for each in advisory.aliases if each.startswith("CVE-")), "")
    return f"{advisory.id} ({cve})" if cve else advisory.id


def _unknown_dependency(name: str, wheel: Wheel, needed_by: str = "") -> Finding:
    via = f", which {needed_by} needs," if needed_by else ""
    message = f"the advisories of {wheel.snapshot.day} say nothing about {name}{via} so it counts as unknown"
    remedy = (
        f"do without it, or have the operator set {advisories.VARIABLE} to a complete copy of OSV's records"
    )
    return Finding(
        rule="dependency-unknown", severity="medium", message=message, file=MANIFEST_NAME, remedy=remedy
    )


def _old_snapshot(wheel: Wheel, days: int) -> Finding:
    message = f"the advisories are {days} days old ({wheel.snapshot.day}); newer weaknesses are not seen"
    remedy = f"the operator sets {advisories.VARIABLE} to a newer copy"
    return Finding(rule="advisories-old", severity="low", message=message, remedy=remedy)


def _below(name: str, extras: set[str]) -> set[str]:
    """Return all that an installed package needs, by normalised name; only the name itself if it is not installed."""
    import importlib.metadata

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found: set[str] = set()
    waiting = [(name, frozenset(extras))]
    while waiting:
        current, wanted = waiting.pop()
        if current in found and not wanted:
            continue
        found.add(current)
        try:
            texts = importlib.metadata.requires(current) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for text in texts:
            requirement = Requirement(text)
            names = wanted or {""}
            if requirement.marker is None or any(
                requirement.marker.evaluate({"extra": each}) for each in names
            ):
                below = canonicalize_name(requirement.name)
                if below not in found:
                    waiting.append((below, frozenset(requirement.extras)))
    return found
