"""`dteg test`: does a component keep its promises, and would the registry list it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from dteg.testing.component_tests import ComponentTests

MAX_FAILURES = 20


def run_tests(
    component: Annotated[str, typer.Argument(help="Name, or folder such as `.`.")],
    gates: Annotated[bool, typer.Option("--gates", help="Run every gate of the registry.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print what pytest says.")] = False,
) -> int:
    """Run the tests of a component, or with --gates all that the registry asks of it before it lists it."""
    from dteg.packages.locate import locate_component

    folder = locate_component(component)
    if gates:
        return _run_gates(folder, as_json)
    from dteg.testing.component_tests import run_component_tests

    result = run_component_tests(folder)
    if as_json:
        typer.echo(json.dumps(_tests_json(result), indent=2))
    else:
        _print_tests(result, verbose)
    return 0 if result.ok else 1


def _tests_json(result: "ComponentTests") -> dict[str, Any]:
    return {
        "component": result.manifest.slug,
        "version": result.manifest.version,
        "ok": result.ok,
        "passed": result.passed,
        "failed": result.failed,
        "skipped": result.skipped,
        "coverage": round(result.coverage, 1),
        "missing": result.missing,
        "failures": [
            {"test": each.test, "file": each.file, "line": each.line, "message": each.message}
            for each in result.failures
        ],
    }


def _print_tests(result: "ComponentTests", verbose: bool) -> None:
    from dteg.testing.component_tests import MIN_COVERAGE

    if verbose:
        typer.echo(result.output)
    for failure in result.failures[:MAX_FAILURES]:
        typer.echo(f"FAILED {failure}")
    if len(result.failures) > MAX_FAILURES:
        typer.echo(f"... and {len(result.failures) - MAX_FAILURES} more")
    counts = [f"{result.passed} passed"]
    counts += [
        f"{count} {word}" for count, word in ((result.failed, "failed"), (result.skipped, "skipped")) if count
    ]
    typer.echo(f"{result.manifest.slug} {result.manifest.version}: {', '.join(counts)}")
    typer.echo(f"coverage {result.coverage:.0f} % (at least {MIN_COVERAGE:.0f} % is needed)")
    if result.coverage < MIN_COVERAGE:
        for file, lines in result.missing.items():
            typer.echo(f"  {file}: no test reaches line {_ranges(lines)}")
    if not result.ok:
        typer.echo("not ready: repair what is named above, then run it again")


def _ranges(lines: list[int]) -> str:
    """Return `3-5, 9` for 3, 4, 5, 9."""
    spans: list[list[int]] = []
    for line in sorted(lines):
        if spans and line == spans[-1][1] + 1:
            spans[-1][1] = line
        else:
            spans.append([line, line])
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in spans)


def _run_gates(folder: Path, as_json: bool) -> int:
    import tempfile

    from dteg.gates import run_gates
    from dteg.manifest import MANIFEST_NAME, read_manifest
    from dteg.packages import build_wheel

    namespace = read_manifest(folder / MANIFEST_NAME).namespace or "local"
    with tempfile.TemporaryDirectory(prefix="dteg-test-") as scratch:
        wheel = build_wheel(folder, namespace=namespace, out=Path(scratch))
        report = run_gates(wheel, listener=(lambda _: None) if as_json else _print_gate)
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    else:
        verdict = "would be listed" if report.passed else "would not be listed"
        typer.echo(f"{report.component} {report.version}: {verdict}, score {report.score:.0f} of 100")
    return 0 if report.passed else 1


def _print_gate(result: Any) -> None:
    typer.echo(f"{result.status:<8} {result.gate:<14} {result.summary} ({result.duration_s:.1f} s)")
    for finding in result.findings:
        place = f"{finding.file}:{finding.line}" if finding.line else finding.file
        where = f"{place}: " if place else ""
        typer.echo(f"  {where}{finding.message}; {finding.remedy} [{finding.rule}]")
