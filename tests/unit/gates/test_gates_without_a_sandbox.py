"""What can be told without running anything, and that nothing passes which could not be told."""

import json
from datetime import date

import pytest

from dteg.core.errors import ConfigError
from dteg.gates import Job, Limits, NoSandbox, NoSandboxError, run_gates
from dteg.gates.conformance import contract_promises, measure
from dteg.gates.documentation import sections_of
from dteg.gates.examples import examples_in
from dteg.gates.pipes import Pipes
from dteg.gates.structure import manifest_findings
from dteg.manifest import Manifest
from tests.factories import make_wheel


def manifest(**values):
    given = {
        "name": "numbers", "namespace": "streaming", "version": "1.0.0", "kind": "processor", "author": "us",
        "entry_point": "numbers:Numbers", "description": "Counts what comes by.", "category": "processors", "tags": ["x"],
    }  # fmt: skip
    return Manifest.model_validate({**given, **values})


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"category": "kitchen"}, "category"),
        ({"author": "TODO"}, "author"),
        ({"licence": "mine"}, "licence"),
        ({"framework_versions": ">=9"}, "framework-versions"),
        ({"python_versions": "<3"}, "python-versions"),
        ({"tags": []}, "tags"),
        ({"entry_point": ""}, "entry-point"),
    ],
)
def test_manifest(values, rule):
    assert [each.rule for each in manifest_findings(manifest(**values), "0.1.0")] == [rule]


def test_good_manifest():
    assert list(manifest_findings(manifest(), "0.1.0")) == []


def test_nothing_passes_without_a_sandbox(tmp_path):
    runner = NoSandbox("no bwrap here")
    report = run_gates(make_wheel(tmp_path, kind="processor"), runner=runner, today=date(2026, 1, 1))
    status = {each.gate: each.status for each in report.results}
    assert status == {
        "structure": "unknown", "security": "passed", "conformance": "unknown", "documentation": "unknown",
        "performance": "unknown",
    }  # fmt: skip
    assert not report.passed
    assert report.environment["sandbox"] == "none: no bwrap here"
    for result in report.results:
        if result.status == "unknown":
            assert "no bwrap here" in result.findings[0].message
            assert "bubblewrap" in result.findings[0].remedy


def test_no_sandbox_refuses_code_of_the_component(tmp_path):
    with pytest.raises(NoSandboxError, match="bubblewrap"):
        NoSandbox("none").run(Job("conformance", tmp_path))


def test_some_gates_are_not_all(tmp_path):
    report = run_gates(make_wheel(tmp_path), runner=NoSandbox("none"), gates=["security"])
    assert [each.status for each in report.results] == ["passed"]
    assert not report.passed


def test_unknown_gate(tmp_path):
    with pytest.raises(ConfigError, match="no gate beauty"):
        run_gates(tmp_path / "x.whl", runner=NoSandbox("none"), gates=["beauty"])


def test_sections_include_their_subsections_and_skip_code():
    found = sections_of("# a\nx\n## b\ny\n```\n# no\n```\n## c\nz\n")
    assert [(each.title, each.line) for each in found] == [("a", 1), ("b", 3), ("c", 8)]
    assert "z" in found[0].text
    assert "# no" in found[1].text


def test_examples():
    readme = """
```yaml
pipeline:
  name: p
  extract: {type: files, config: {path: a.csv}}
  process: [{type: numbers, config: {columns: [a]}}, {type: rename}]
  load: {type: postgres, config: {table: raw.a}}
```
```yaml
- process: {type: dteg://streaming/numbers-processor, config: {columns: [b]}}
```
```yaml
- process: {typ: numbers}
```
```python
not: yaml: at: all
```
"""
    found = examples_in(readme, manifest())
    assert [[config for _, config in each.configs] for each in found] == [
        [{"columns": ["a"]}],
        [{"columns": ["b"]}],
        [],
    ]
    assert [bool(each.problem) for each in found] == [False, False, True]
    assert found[2].line == 13


def test_coverage_is_counted_here_from_the_files(tmp_path):
    (tmp_path / "a.py").write_text(
        "x = 1\n\n\ndef f():\n    return 1\n\n\ndef g():  # pragma: no cover\n    return 2\n"
    )
    (tmp_path / "b.py").write_text("")
    (tmp_path / "c.py").write_text("def f(:")
    percent, missing = measure(tmp_path, ["a.py", "b.py"], {"a.py": [1, 4, 5, 8, 7777]})
    assert (percent, missing) == (80.0, {"a.py": [9]})
    assert measure(tmp_path, ["c.py"], {"c.py": [1]})[0] == 0.0
    assert measure(tmp_path, ["a.py"], {})[0] == 0.0


@pytest.mark.parametrize("kind", ["extractor", "processor", "loader", "transformer"])
def test_contract_promises(kind):
    assert len(contract_promises(kind)) >= 14
    assert "test_close_may_be_called_twice" in contract_promises(kind)


def test_pipes_take_only_what_has_the_nonce():
    pipes = Pipes({"nonce": "n" * 32}, Limits())
    good = json.dumps({"kind": "result"})
    pipes._results += f"{'n' * 32}{good}\n".encode()
    assert (pipes.messages, pipes.forged) == (({"kind": "result"},), False)
    for line in (good, "x" + "n" * 32 + good, "n" * 32 + "[1]", "n" * 32 + "{", ""):
        pipes._results[:] = f"{'n' * 32}{good}\n{line}\n".encode()
        assert pipes.forged, line
