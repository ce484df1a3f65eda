import os
import shutil
import subprocess
import sys
import textwrap

import pytest

from dteg.gates import Job, Limits, NoSandboxError, Sandbox


@pytest.fixture(scope="session")
def sandbox():
    try:
        return Sandbox.create()
    except NoSandboxError as error:
        if os.environ.get("CI") == "true" and shutil.which("bwrap"):
            raise
        pytest.skip(f"NOTHING OF THE SANDBOX IS TESTED: {error}")


@pytest.fixture
def attack(sandbox, tmp_path):
    """Runs a program as the module of a component, as an import by the gates would."""

    def attack(code, **limits):
        package = tmp_path / "site" / "dteg_components" / "evil" / "attack"
        package.mkdir(parents=True, exist_ok=True)
        (package / "attack.py").write_text(code)
        given = {
            "package": "dteg_components.evil.attack",
            "entry_point": "attack:Attack",
            "kind": "processor",
            "examples": [],
        }
        return sandbox.run(
            Job("inspection", tmp_path / "site", given, limits=Limits(**{"wall_s": 20, **limits}))
        )

    return attack


@pytest.fixture
def outside():
    """Runs the same program without the sandbox."""

    def outside(code):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return done.stdout + done.stderr

    return outside
