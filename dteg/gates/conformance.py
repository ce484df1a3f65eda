"""Gate: the component keeps the contract of its kind, shown by tests that run here."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dteg.gates.patterns import is_test_file
from dteg.gates.report import Finding, GateResult, Severity, decide, undecided
from dteg.gates.runner import Limits, NoSandboxError
from dteg.gates.subject import Wheel
from dteg.manifest import MANIFEST_NAME

GATE = "conformance"
MIN_COVERAGE = 80.0
TEST_TIMEOUT_S = 60
MAX_SHOWN = 20
# What stays when `# pragma: no cover` does not count: lines that no test can or should reach.
EXCLUDED = (
    r"if TYPE_CHECKING:",
    r"raise NotImplementedError",
    r"@(typing\.)?overload",
    r"^\s*\.\.\.$",
    r"if __name__ ==",
)


def check(wheel: Wheel) -> GateResult:
    """Run the tests in the sandbox and read what they tell."""
    if wheel.manifest.form != "code":
        return decide(GATE, [], "no code, nothing to run", metrics={"coverage_percent": 100.0})
    if not wheel.tests:
        finding = _finding("no-tests", "there are no tests", "write test_*.py with contract_tests(...)")
        return decide(GATE, [finding], "")
    if absent := _not_installed(wheel):
        reason = f"{', '.join(absent)} is not in the environment of the gates, so the tests cannot run"
        return undecided(GATE, reason, "have the operator install it beside dteg, or do without it")
    limits = Limits(memory=(wheel.manifest.resources.memory_mb << 20) + SERVERS)
    try:
        outcome = wheel.run("conformance", sources=wheel.code, timeout_s=TEST_TIMEOUT_S, limits=limits)
    except NoSandboxError as error:
        return undecided(GATE, error.reason, error.remedy)
    metrics = {"peak_memory_mb": round(outcome.peak_memory / 1e6, 1), "cpu_s": round(outcome.cpu_s, 2)}
    answer = outcome.result()
    if answer is None:
        rule = "results-forged" if outcome.forged else "run-killed" if outcome.killed else "run-ended"
        finding = _finding(rule, f"the tests: {outcome.trouble()}", "read the log")
        return decide(GATE, [finding], "", log=outcome.log, metrics=metrics)
    return _judge(wheel, answer, metrics, outcome.log)


SERVERS = 1536 << 20
"""Memory of pytest and of servers that tests start (bytes), beyond what the manifest says for the component."""


def _judge(wheel: Wheel, answer: dict[str, Any], metrics: dict[str, float], log: str) -> GateResult:
    tests = answer["tests"]
    counts = {
        word: sum(each["outcome"] == word for each in tests.values())
        for word in ("passed", "failed", "skipped")
    }
    findings = [*_test_findings(tests), *_collection_findings(answer["problems"])]
    findings += _capability_findings(wheel, answer["used"])
    promises, skipped = _contract(wheel, tests, answer["promises"])
    findings += promises
    if not answer["tracing"]:
        message = "the measurement of coverage was switched off while the tests ran"
        findings.append(_finding("coverage-tampered", message, "leave sys.settrace and coverage alone"))
    coverage, missing = measure(wheel.folder, wheel.code, answer["executed"])
    if coverage < MIN_COVERAGE:
        message = f"the tests reach {coverage:.1f} % of the code, {MIN_COVERAGE:.0f} % are needed"
        file, lines = max(missing.items(), key=lambda each: len(each[1]), default=("", []))
        remedy = f"write tests for {file}, lines {', '.join(map(str, lines[:8]))}"
        findings.append(_finding("coverage-low", message, remedy, file, lines[0] if lines else None))
    metrics |= {
        "coverage_percent": round(coverage, 2),
        **{f"tests_{word}": float(n) for word, n in counts.items()},
    }
    summary = f"{counts['passed']} tests passed, {counts['skipped']} skipped, coverage {coverage:.1f} %"
    result = decide(GATE, findings, summary, metrics=metrics, log=log)
    if skipped and result.status == "passed":
        return undecided(GATE, f"the contract suite was skipped: {skipped}", "bring the server into the sandbox",
                         metrics=metrics, log=log)  # fmt: skip
    return result


def _test_findings(tests: dict[str, dict[str, Any]]) -> Iterator[Finding]:
    failed = {name: each for name, each in tests.items() if each["outcome"] == "failed"}
    for name, each in list(failed.items())[:MAX_SHOWN]:
        message = f"{name.rpartition('/')[2]}: {each.get('message', '').strip()[:600]}"
        file = each.get("file") or name.partition("::")[0].rpartition("/")[2]
        yield _finding("test-failed", message, "repair it", file, each.get("line"))
    if len(failed) > MAX_SHOWN:
        yield _finding("test-failed", f"and {len(failed) - MAX_SHOWN} more tests failed", "read the log")
    skipped = [each for each in tests.values() if each["outcome"] == "skipped"]
    if skipped:
        message = f"{len(skipped)} tests were skipped, such as: {skipped[0].get('message', '')[:200]}"
        yield _finding("test-skipped", message, "make them run in the sandbox", severity="low")


def _collection_findings(problems: list[dict[str, Any]]) -> Iterator[Finding]:
    for each in problems[:MAX_SHOWN]:
        if each["outcome"] == "failed":
            message = f"cannot be collected: {each['message'][-800:].strip()}"
            file = str(each["file"]).rpartition("/")[2]
            yield _finding("test-collection", message, "import the component relatively", file, each["line"])


def _contract(
    wheel: Wheel, tests: dict[str, dict[str, Any]], promises: dict[str, list[str]]
) -> tuple[list[Finding], str]:
    """Return findings about the contract suite, and why it was skipped if it was."""
    manifest = wheel.manifest
    name = manifest.entry_point.partition(":")[2]
    kept = set(promises.get(f"{manifest.package}.{manifest.entry_point}", ()))
    if absent := sorted(contract_promises(manifest.kind) - kept):
        skipped = next((one for one in tests.values() if one["outcome"] == "skipped"), None)
        if skipped is not None and not kept:
            return [], str(skipped.get("message", ""))[:300]
        if not kept:
            message = f"no test of the contract suite is about {name}"
            remedy = f"add Test{name} = contract_tests({name}, config=...) from dteg.testing.contract"
            return [_finding("contract-missing", message, remedy, wheel.tests[0])], ""
        # A failed test is told by itself already.
        shown = [each for each in absent if not _failed(tests, each)]
        if shown:
            message = f"the contract suite did not run whole: {', '.join(shown[:5])}"
            remedy = "do not deselect its tests; one that overrides a test calls super()"
            return [_finding("contract-incomplete", message, remedy, wheel.tests[0])], ""
    return [], ""


def _failed(tests: dict[str, dict[str, Any]], promise: str) -> bool:
    return any(name.endswith(f"::{promise}") and each["outcome"] == "failed" for name, each in tests.items())


def contract_promises(kind: str) -> set[str]:
    """Return the names of the tests that a component of a kind owes."""
    from dteg.testing.extractor_contract import ExtractorContract
    from dteg.testing.loader_contract import LoaderContract
    from dteg.testing.processor_contract import ProcessorContract
    from dteg.testing.transformer_contract import TransformerContract

    suite = {
        "extractor": ExtractorContract, "processor": ProcessorContract, "loader": LoaderContract,
        "transformer": TransformerContract,
    }[kind]  # fmt: skip
    return {name for name in dir(suite) if name.startswith("test_")}


def _capability_findings(wheel: Wheel, used: list[dict[str, Any]]) -> Iterator[Finding]:
    declared = wheel.manifest.capabilities.names()
    seen: set[str] = set()
    for each in used:
        if each["capability"] not in declared | seen and not is_test_file(str(each["file"])):
            seen.add(each["capability"])
            message = f"used {each['capability']} while its tests ran, which {MANIFEST_NAME} does not declare"
            remedy = f"declare capabilities: {{{each['capability']}: true}}"
            yield _finding(
                f"undeclared-{each['capability']}-used", message, remedy, each["file"], each["line"]
            )


def measure(
    folder: Path, code: list[str], executed: dict[str, list[int]]
) -> tuple[float, dict[str, list[int]]]:
    """Return the share of statements that ran (%), and the lines that did not.

    Which lines are statements is told here from the files, not by the run: only the lines that ran come from there.
    """
    from coverage.exceptions import CoverageException
    from coverage.parser import PythonParser

    statements = reached = 0
    missing: dict[str, list[int]] = {}
    for name in code:
        text = (folder / name).read_text(encoding="utf-8") or "\n"
        parser = PythonParser(text=text, exclude="|".join(EXCLUDED))
        try:
            parser.parse_source()
        except CoverageException:
            missing[name] = [1]
            statements += 1
            continue
        ran = parser.first_lines(executed.get(name, []))
        statements += len(parser.statements)
        reached += len(parser.statements & ran)
        if lost := sorted(parser.statements - ran):
            missing[name] = lost
    return (100.0 * reached / statements if statements else 100.0), missing


def _not_installed(wheel: Wheel) -> list[str]:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    absent = []
    for text in wheel.manifest.dependencies:
        requirement = Requirement(text)
        version = wheel.installed.get(canonicalize_name(requirement.name))
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            absent.append(str(requirement))
    return absent


def _finding(
    rule: str,
    message: str,
    remedy: str,
    file: str = "",
    line: int | None = None,
    *,
    severity: Severity = "error",
) -> Finding:
    return Finding(rule=rule, severity=severity, message=message, file=file, line=line, remedy=remedy)
