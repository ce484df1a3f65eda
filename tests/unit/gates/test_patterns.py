import pytest

from dteg.gates.patterns import RULES_FOLDER, is_test_file, scan_code, scan_text


def rules(text, name="thing.py"):
    return {each["rule"] for each in scan_code(name, text.encode())[0]}


def used(text):
    return {each["capability"] for each in scan_code("thing.py", text.encode())[1]}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("from base64 import b64decode as d\nexec(d('x'))", "dteg-exec-decoded"),
        ("from os import environ\ndict(environ)", "dteg-env-dump"),
        ("import os\nos.environ.copy()", "dteg-env-dump"),
        ("import sys\nsys.settrace(None)", "dteg-tampering"),
        ("from sys import settrace", "dteg-tampering"),
        ("def f(g): return g.f_globals", "dteg-object-tricks"),
        ("import setuptools\nsetuptools.setup(cmdclass={})", "dteg-install-hook"),
        ("import importlib\nimportlib.import_module(name)", "dteg-dynamic-import"),
        ("import pandas\npandas.read_pickle('x')", "dteg-pickle"),
        ("def f(:", "unreadable-code"),
        ("\x00", "unreadable-code"),
        ("X = '" + "\\x90" * 300 + "'", "dteg-long-encoded-text"),
    ],
)
def test_found(text, rule):
    assert rule in rules(text)


@pytest.mark.parametrize(
    "text",
    [
        "import re\nre.compile('x')",
        "import importlib\nimportlib.import_module('json')",
        "import os\nos.environ['HOME']",
        "import socket\nsocket.create_connection(('127.0.0.1', 1))",
        "getattr(thing, name)",
        "model.compile()",
        "TEXT = 'a sentence with blanks ' * 100",
    ],
)
def test_not_found(text):
    assert rules(text) == set()


@pytest.mark.parametrize(
    ("text", "capability"),
    [
        ("import httpx", {"network"}),
        ("from dteg.connectors.http import HttpClient", {"network"}),
        ("from pathlib import Path\nPath('x').open()", {"filesystem"}),
        ("import os\nos.fork()", {"subprocess"}),
        ("import ctypes.util", {"native"}),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import socket", set()),
        ("import pyarrow as pa\nsession.open(plan)", set()),
        ("import httpxtra", set()),
    ],
)
def test_capabilities(text, capability):
    assert used(text) == capability


def test_tests_use_what_they_like():
    findings, capabilities = scan_code("test_thing.py", b"import socket, pickle\npickle.loads(b'')")
    assert (findings, capabilities) == ([], [])
    assert is_test_file("tests/data.py")
    assert is_test_file("conftest.py")
    assert not is_test_file("testing.py")


def test_deep_code_is_refused_and_does_not_end_the_scanner():
    findings, _ = scan_code("thing.py", b"(" * 50_000 + b")" * 50_000)
    assert findings[0]["rule"] == "unreadable-code"


def test_line_of_a_text_rule():
    (found,) = scan_text("data.txt", b"one\ntwo\nstratum+tcp://x\n")
    assert (found["rule"], found["line"], found["severity"]) == ("dteg-crypto-miner", 3, "HIGH")


def test_every_text_rule_says_what_it_is():
    text = (RULES_FOLDER / "component.yar").read_text()
    assert text.count("rule dteg_") == text.count("description =") == text.count("severity =") >= 12
