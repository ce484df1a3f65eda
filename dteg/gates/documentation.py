"""Gate: who finds the component can use it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dteg.gates.report import Finding, GateResult, Severity, decide, undecided
from dteg.gates.runner import NoSandboxError
from dteg.gates.subject import Wheel
from dteg.manifest import DOCUMENTATION_SECTIONS, MANIFEST_NAME, Manifest

GATE = "documentation"
README = "README.md"
MIN_WORDS = {"overview": 8, "configuration": 5, "example": 3, "troubleshooting": 5}
MIN_DESCRIPTION_WORDS = 4
_EMPTY_WORDS = re.compile(r"\b(todo|tbd|fixme|lorem ipsum|coming soon|fill in)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a README, its subsections included."""

    title: str
    line: int
    text: str


def check(wheel: Wheel) -> GateResult:
    """Read the README as a newcomer would."""
    readme, manifest = wheel.contents.readme, wheel.manifest
    sections = sections_of(readme)
    findings = [*_section_findings(sections), *_key_findings(sections, wheel.contents.config_schema)]
    findings += [*_description_findings(manifest), *_change_findings(manifest, readme)]
    findings += [
        _finding("example-invalid", f"the example is not valid: {each.problem}", "repair it", each.line)
        for each in wheel.examples
        if each.problem
    ]
    configs = [(line, config) for each in wheel.examples for line, config in each.configs]
    if not configs:
        message = f"no YAML block shows a step with type: {manifest.name}"
        findings.append(_finding("example-missing", message, "add one under Example, marked ```yaml"))
    metrics = {"words": float(len(readme.split())), "examples": float(len(configs))}
    summary = f"{len(readme.split())} words, {len(configs)} examples"
    result = decide(GATE, findings, summary, metrics=metrics)
    if manifest.form != "code" or not configs:
        return result
    try:
        answer = wheel.inspection.result()
    except NoSandboxError as error:
        if result.status == "failed":
            return result
        return undecided(
            GATE, f"the examples were not checked against the code: {error.reason}", error.remedy
        )
    if answer is None or answer["error"]:
        message = "the examples cannot be checked: the component cannot be imported"
        findings.append(_finding("example-unchecked", message, "see the gate structure"))
    else:
        for (line, _), problem in zip(configs, answer["examples"], strict=True):
            if problem:
                findings.append(
                    _finding("example-config", f"the example's config: {problem}", "repair it", line)
                )
    return decide(GATE, findings, summary, metrics=metrics)


def sections_of(markdown: str) -> list[Section]:
    """Split a README at its headings; a section includes its subsections."""
    lines = markdown.splitlines()
    heads: list[tuple[int, int, str]] = []
    in_code = False
    for number, line in enumerate(lines, 1):
        in_code ^= line.lstrip().startswith("```")
        match = None if in_code else re.match(r"^(#{1,6})\s+(.*)", line)
        if match:
            heads.append((number, len(match[1]), match[2].strip().lower()))
    found = []
    for place, (number, level, title) in enumerate(heads):
        end = next((other for other, depth, _ in heads[place + 1 :] if depth <= level), len(lines) + 1)
        found.append(Section(title, number, "\n".join(lines[number : end - 1])))
    return found


def _section_findings(sections: list[Section]) -> Iterator[Finding]:
    for name in DOCUMENTATION_SECTIONS:
        fitting = [each for each in sections if name in each.title]
        if not fitting:
            yield _finding("section-missing", f"no heading {name.capitalize()!r}", "write that part")
            continue
        words = sum(len(each.text.split()) for each in fitting)
        if words < MIN_WORDS[name]:
            message = f"the part {name!r} has {words} words, at least {MIN_WORDS[name]} are needed"
            yield _finding("section-short", message, "say more", fitting[0].line)
    for section in sections:
        for number, line in enumerate(section.text.splitlines(), section.line + 1):
            if match := _EMPTY_WORDS.search(line):
                yield _finding("placeholder", f"still says {match[0]!r}", "write what is meant", number)
                return


def _key_findings(sections: list[Section], schema: dict[str, Any]) -> Iterator[Finding]:
    """Yield keys of the config that the part about configuration does not name, or the code does not describe."""
    parts = [each for each in sections if "configuration" in each.title]
    text = "\n".join(each.text for each in parts)
    line = parts[0].line if parts else None
    for key in schema.get("properties", {}):
        if parts and not _names(text, key):
            message = f"the configuration part does not name {key}"
            yield _finding("key-undocumented", message, "add it to the table", line)
    for owner, definition in {"": schema, **schema.get("$defs", {})}.items():
        for key, field in definition.get("properties", {}).items():
            if not field.get("description"):
                name = f"{owner}.{key}" if owner else key
                message = f"the field {name} has no description: forms and pages show it"
                yield _finding(
                    "key-undescribed", message, "write Field(description=...)", file="dteg.schema.json"
                )
            if owner and parts and not _names(text, key):
                message = f"the configuration part does not name {key} of {owner}"
                yield _finding("inner-key-undocumented", message, "add it", line, severity="low")


def _names(text: str, key: str) -> bool:
    return bool(re.search(rf"(?<![\w]){re.escape(key)}(?![\w])", text))


def _description_findings(manifest: Manifest) -> Iterator[Finding]:
    text = manifest.description
    if len(text.split()) < MIN_DESCRIPTION_WORDS or _EMPTY_WORDS.search(text):
        message = f"the description {text!r} does not say what it does"
        yield _finding(
            "description", message, "write one sentence for the list of components", file=MANIFEST_NAME
        )
    elif not text.rstrip().endswith((".", "!")) or not text[0].isupper():
        message = "the description is no sentence"
        remedy = "begin with a capital and end with a full stop"
        yield _finding("description-form", message, remedy, file=MANIFEST_NAME, severity="low")


def _change_findings(manifest: Manifest, readme: str) -> Iterator[Finding]:
    if manifest.breaking_changes and not any("change" in each.title for each in sections_of(readme)):
        message = "breaking_changes are declared, but README.md has no part about changes"
        yield _finding("changelog-missing", message, "add a heading Changes that says what to do")


def _finding(
    rule: str,
    message: str,
    remedy: str,
    line: int | None = None,
    *,
    file: str = README,
    severity: Severity = "error",
) -> Finding:
    return Finding(rule=rule, severity=severity, message=message, file=file, line=line, remedy=remedy)
