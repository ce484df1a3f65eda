"""A marketplace with two people in it, made of programs: who makes components, and who uses them."""

import contextlib
import json
import shutil
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser

from dteg.core.document_server import find_program
from dteg.core.errors import EnvironmentProblemError
from dteg.gates import NoSandboxError, Sandbox
from dteg.testing.browser import requests_elsewhere
from registry.trial import RegistryProcess, Workplace

NAMESPACE = "tidytown"
GATES = ("structure", "security", "conformance", "documentation", "performance")


def require_programs():
    """Skip, loudly, where the gates cannot pass."""
    try:
        find_program()
        Sandbox.create()
    except (EnvironmentProblemError, NoSandboxError) as error:
        pytest.skip(f"THE JOURNEY THROUGH THE MARKETPLACE IS NOT TESTED: {error}")


class Maker(Workplace):
    """Who makes and publishes components."""

    def join(self, market: RegistryProcess, login: str = "ann", namespace: str = NAMESPACE) -> "Maker":
        """Get an account, a namespace and a key."""
        self.log_in(login, market.make_account(login))
        self.run("namespace", "create", namespace)
        self.run("key", "create", namespace)
        return self

    def create(self, name: str, description: str = "Trims blanks at both ends of texts") -> Path:
        """Make a processor, and return its folder."""
        self.run(
            "create", "processor", name, "--namespace", NAMESPACE, "--author", "Ann", "--description", description
        )  # fmt: skip
        return self.project / "components" / "processors" / name

    def change(self, folder: Path, **manifest: object) -> None:
        """Change keys of the manifest."""
        path = folder / "dteg.yaml"
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **manifest}))


class User(Workplace):
    """Who installs and runs components."""

    def pipeline(self, reference: str) -> None:
        """Write a pipeline that tidies names, and its input."""
        steps = [
            {"extract": {"type": "files", "config": {"path": "data/people.csv"}}},
            {"process": {"type": reference, "config": {"columns": ["name"]}}},
            {"load": {"type": "files", "config": {"path": "out/people.csv"}, "write": "replace"}},
        ]
        self.write(
            {
                "pipelines/people.yaml": yaml.safe_dump({"pipeline": {"name": "people", "steps": steps}}),
                "data/people.csv": 'id,name\n1,"  Ada "\n2,"Bob  "\n',
            }
        )

    def rows(self) -> str:
        """Run the pipeline from the beginning, and return what it wrote."""
        shutil.rmtree(self.project / "out", ignore_errors=True)
        self.run("run", "people")
        return (self.project / "out" / "people.csv").read_text()

    def state(self) -> dict[str, bytes]:
        """Return all that an install may change: the lock file, and every file of the environment."""
        found = {
            str(path.relative_to(self.site)): path.read_bytes()
            for path in sorted(self.site.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }
        lock = self.project / "dteg.lock"
        return {**found, "dteg.lock": lock.read_bytes() if lock.exists() else b""}

    def installed(self) -> dict[str, str]:
        """Return version by component."""
        return {
            each["component"]: each["version"]
            for each in json.loads(self.run("list", "--json").out)
            if each["state"] == "installed"
        }


@contextlib.contextmanager
def browser_page(chromium: Browser, url: str):
    """Yield a page of a browser, in which failed requests, errors of scripts and requests to others fail the test."""
    context = chromium.new_context(base_url=url, viewport={"width": 1280, "height": 900})
    context.set_default_timeout(20_000)
    elsewhere = requests_elsewhere(context)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda told: wrong.append(told.text) if told.type == "error" else None)
    page.on(
        "response",
        lambda answer: wrong.append(f"{answer.status} {answer.url}") if answer.status >= 500 else None,
    )
    yield page
    context.close()
    assert wrong == []
    assert elsewhere == []
