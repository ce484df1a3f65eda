"""What `make demo-registry` says when it cannot end well; the demo itself takes minutes and is run by hand."""

import io

import pytest
from rich.console import Console

from dteg.core.errors import EnvironmentProblemError
from dteg.manifest import Manifest
from registry import demo


@pytest.fixture
def tale():
    tale = demo.Tale()
    tale.console = Console(file=io.StringIO(), width=80)
    return tale


def published(**release):
    manifest = Manifest(
        name="timestamp_converter", version="0.1.0", kind="processor", entry_point="a:A", author="me",
        description="Made for one test.", category="other",
    )  # fmt: skip
    return demo.Published(manifest, release, 1.5, "failed   security  a shell is started")


def test_a_connector_that_is_not_listed_fails_the_demo_and_is_told(tale):
    assert demo.report_refused(tale, [published(state="rejected")]) == 1
    said = tale.console.file.getvalue()
    assert "timestamp-converter-processor is not listed" in said
    assert "a shell is started" in said


def test_the_table_fits_a_narrow_terminal(tale):
    gates = dict.fromkeys(demo.REQUIRED_GATES, "passed") | {"performance": "unknown"}
    tale.say(demo.table_of([published(state="listed", gates=gates, score=97.6), published()]))
    said = tale.console.file.getvalue()
    assert "✓✓✓✓?" in said
    assert "98" in said
    assert "not sent" in said
    assert "…" not in said


def test_without_a_sandbox_it_says_so_before_it_begins(monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "find_program", lambda: tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentProblemError, match="without it nothing can be listed"):
        demo.check_machine()


def test_every_connector_of_the_checkout_is_published():
    folders = {path.parent for path in demo.COMPONENTS.rglob("*.py") if not path.name.startswith("__")}
    assert {path.parent for path in demo.COMPONENTS.glob("*/*/dteg.yaml")} == folders
