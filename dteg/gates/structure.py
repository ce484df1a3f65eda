"""Gate: the package is what its manifest says."""

import platform
from collections.abc import Iterator
from typing import Any

from packaging.specifiers import SpecifierSet

from dteg.gates.report import Finding, GateResult, decide, undecided
from dteg.gates.runner import NoSandboxError
from dteg.gates.subject import Wheel
from dteg.manifest import CATEGORIES, MANIFEST_NAME, Manifest
from dteg.packages import PackageError

GATE = "structure"
_PLACEHOLDERS = frozenset(["todo", "tbd", "your name", "author", "example", "me"])


def refused(error: PackageError) -> GateResult:
    """Return the result for a wheel that was not even opened."""
    findings = [
        Finding(
            rule=f"package-{each.code}",
            severity="error",
            message=each.message,
            file=each.entry,
            remedy=each.remedy,
        )
        for each in error.problems
    ]
    return decide(GATE, findings, "the package breaks the rules")


def check(wheel: Wheel) -> GateResult:
    """Compare manifest, code and schema."""
    findings = list(manifest_findings(wheel.manifest, _dteg_version()))
    if wheel.manifest.form != "code":
        return decide(GATE, findings, f"{len(wheel.contents.files)} files, no code")
    try:
        outcome = wheel.inspection
    except NoSandboxError as error:
        result = decide(GATE, findings, "")
        if result.status == "failed":
            return result
        return undecided(
            GATE, f"the code could not be compared with the manifest: {error.reason}", error.remedy
        )
    answer = outcome.result()
    if answer is None:
        remedy = "importing the component must do nothing but define things"
        findings.append(_finding("import-failed", f"importing it: {outcome.trouble()}", remedy))
    else:
        findings += _code_findings(wheel, answer)
    return decide(
        GATE,
        findings,
        f"{len(wheel.contents.files)} files, one {wheel.manifest.kind}",
        log=outcome.log,
        metrics={"cpu_s": round(outcome.cpu_s, 2)},
    )


def manifest_findings(manifest: Manifest, dteg_version: str) -> Iterator[Finding]:
    """Yield what is wrong with a manifest beyond what its model checks."""
    if manifest.category not in CATEGORIES:
        message = f"category {manifest.category!r} does not exist"
        yield _finding("category", message, f"use one of {', '.join(CATEGORIES)}", MANIFEST_NAME)
    if manifest.author.strip().lower() in _PLACEHOLDERS:
        yield _finding("author", "author is still the placeholder", "name a person or team", MANIFEST_NAME)
    if manifest.form == "code" and not manifest.entry_point:
        yield _finding(
            "entry-point", "entry_point is missing", "write entry_point: module:Class", MANIFEST_NAME
        )
    if not _is_spdx(manifest.licence):
        remedy = "use an identifier of SPDX, such as Apache-2.0"
        yield _finding(
            "licence", f"licence {manifest.licence!r} is no SPDX expression", remedy, MANIFEST_NAME
        )
    if not SpecifierSet(manifest.framework_versions).contains(dteg_version, prereleases=True):
        message = f"framework_versions {manifest.framework_versions} leaves out this dteg, {dteg_version}"
        yield _finding(
            "framework-versions", message, "widen the range, or publish for another dteg", MANIFEST_NAME
        )
    python = platform.python_version()
    if not SpecifierSet(manifest.python_versions).contains(python, prereleases=True):
        message = f"python_versions {manifest.python_versions} leaves out this Python, {python}"
        yield _finding("python-versions", message, "widen the range, or use another Python", MANIFEST_NAME)
    if not manifest.tags:
        message = "no tags: people find it by its name only"
        yield _finding("tags", message, "add tags: [word, ...]", MANIFEST_NAME, "low")


def _code_findings(wheel: Wheel, answer: dict[str, Any]) -> Iterator[Finding]:
    module, _, name = wheel.manifest.entry_point.partition(":")
    if answer["error"]:
        yield _finding(
            "import-failed", answer["error"], "repair it, and declare what it imports", f"{module}.py"
        )
    elif not answer["is_kind"]:
        message = f"{name} is no {wheel.manifest.kind.capitalize()} of dteg"
        yield _finding(
            "entry-point-kind", message, "derive it from the base class of its kind", f"{module}.py"
        )
    elif answer["schema"] != wheel.contents.config_schema:
        remedy = "build the package again with dteg; do not edit dteg.schema.json"
        yield _finding("schema-differs", "is not the schema of the code's config", remedy, "dteg.schema.json")


def _finding(rule: str, message: str, remedy: str, file: str = "", severity: str = "error") -> Finding:
    fields = {"rule": rule, "severity": severity, "message": message, "file": file, "remedy": remedy}
    return Finding.model_validate(fields)


def _is_spdx(text: str) -> bool:
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    if text.startswith("LicenseRef-"):
        return True
    try:
        canonicalize_license_expression(text)
    except InvalidLicenseExpression:
        return False
    return True


def _dteg_version() -> str:
    from importlib.metadata import version

    return version("dteg")
