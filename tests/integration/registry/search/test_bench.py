"""The measurement itself works: everything small, with no word about times."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow]
ROOT = Path(__file__).parents[4]
# The gates have tests of their own, and need a sandbox.
PARTS = "golden,start,index,unchanged,search,memory,mixed,burst"


@pytest.mark.timeout(960)
def test_all_cases_run_on_a_small_registry(mongodb_url, tmp_path):
    """`mongodb_url` skips loudly where there is no server to start."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.registry", "--quick", "--parts", PARTS, "--results", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "registry.json").read_text())
    problems = {name: case["problem"] for name, case in found["cases"].items() if "problem" in case}
    assert problems == {}, done.stdout[-3000:]
    figures = {name: case["figures"] for name, case in found["cases"].items()}
    assert list(figures) == PARTS.split(",")
    for name in ("index", "unchanged", "search"):
        assert figures[name]["requests"] > 0
        assert figures[name]["wrong"] == 0, name
    assert figures["mixed"]["errors_5xx"] == 0
    assert figures["mixed"]["wrong"] == 0, figures["mixed"]
    assert set(figures["mixed"]) >= {"index", "index unchanged", "download", "search", "page"}
    assert (figures["burst"]["accepted"], figures["burst"]["taken"]) == (20, 180)
    assert figures["golden"]["exact_first_percent"] == 100
    table = (tmp_path / "registry.md").read_text()
    assert "| golden queries, nDCG@10 | at least 0.9 |" in table
    assert "127.0.0.1" not in table
