"""The two code locations of this repository, as Dagster's own programs load them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dteg.core.project import Project

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
PROGRAM = """
import json, sys, warnings
warnings.simplefilter("ignore")
from orchestration.definitions import defs
graph = defs.get_repository_def().asset_graph
print(json.dumps({
    "heavy": sorted({name.split(".")[0] for name in sys.modules} & {"dbt", "dagster_dbt", "sqlglot", "sqlalchemy", "httpx"}),
    "keys": sorted(key.to_user_string() for key in graph.get_all_asset_keys()),
}))
"""


@pytest.fixture
def project(tmp_path):
    """A copy of what Dagster reads of this repository, with state of its own."""
    for name in ("pipelines", "datasets", "dbt_project"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("target", "logs"))
    for name in ("workspace.yaml", "dagster.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    return Project(tmp_path)


def run_in(project, *command):
    # A warehouse that is only named: loading a location must not reach for it.
    known = {
        "DTEG_HOME": str(project.root),
        "DTEG_POSTGRES_URL": "postgresql://nobody@127.0.0.1:9/dteg",
        "DAGSTER_HOME": str(project.state_dir),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "NO_COLOR": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", *command] if command[0] != "-c" else [sys.executable, *command],
        cwd=project.root, env={**os.environ, **known}, capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_pipelines_load_without_dbt_and_without_a_warehouse(project):
    loaded = json.loads(run_in(project, "-c", PROGRAM).splitlines()[-1])
    assert loaded["heavy"] == []
    assert "raw/flights" in loaded["keys"]
    assert "ds/daily_delays" in loaded["keys"]
    assert not [key for key in loaded["keys"] if key.startswith("dteg_config/")]


@pytest.mark.slow
def test_both_locations_are_valid_for_dagster(project):
    told = run_in(project, "dagster", "definitions", "validate", "-w", "workspace.yaml")
    assert "Validation successful for code location dteg." in told
    assert "Validation successful for code location dteg_dbt." in told


@pytest.mark.slow
def test_dg_lists_our_component_types():
    done = subprocess.run(
        [sys.executable, "-c", "from dagster_dg_cli.cli import main; main()", "list", "components", "--json"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT) + os.pathsep + os.environ.get("PYTHONPATH", "")},
        capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    types = {each["key"]: each for each in json.loads(done.stdout)["items"]}
    for name in ("PipelinesFolder", "PipelineComponent"):
        assert "pipeline" in types[f"orchestration.lib.{name}"]["summary"]
