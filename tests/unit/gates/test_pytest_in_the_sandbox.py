"""How pytest is started in the sandbox, tried out here."""

import os
import subprocess
import sys

from dteg.gates.inside.testing import FOUND_PLUGINS, pytest_arguments

PROGRAM = """
import sys
import hypothesis
import pytest
from hypothesis import given, strategies


def test_packages_are_not_compiled_again(pytestconfig):
    assert "assertion" not in type(hypothesis.__loader__).__module__
    assert "assertion" in type(sys.modules[__name__].__loader__).__module__  # this file is, for its asserts
    for name in {plugins!r}:
        assert pytestconfig.pluginmanager.has_plugin(name), name
    assert pytestconfig.getoption("timeout") == 7


@given(strategies.integers())
def test_properties_run(n):
    assert n == n


@pytest.mark.anyio
async def test_coroutines_run(anyio_backend):
    assert anyio_backend
"""


def test_plugins_are_there_and_packages_are_not_compiled_again(tmp_path):
    (tmp_path / "test_it.py").write_text(PROGRAM.format(plugins=FOUND_PLUGINS))
    arguments = [each.replace("/component", str(tmp_path)) for each in pytest_arguments(tmp_path, 7)]
    arguments[-1] = f"--basetemp={tmp_path / 'scratch'}"
    done = subprocess.run(
        [sys.executable, "-B", "-m", "pytest", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
