"""What a gate gets: the wheel, looked into and unpacked, and the means to run it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from dteg.gates.advisories import Snapshot
from dteg.gates.examples import Example, examples_in
from dteg.gates.patterns import is_test_file
from dteg.gates.runner import Job, Limits, Outcome, Runner
from dteg.manifest import Manifest
from dteg.packages import WheelContents
from dteg.packages.metadata import DAGSTER_MODULE

GENERATED = f"{DAGSTER_MODULE}.py"
"""Made by `build_wheel` for Dagster's `dg`; nobody imports it elsewhere, so no test reaches it."""


@dataclass
class Wheel:
    """One wheel under test.

    Attributes:
        contents: What `inspect_wheel` found.
        site: Folder it was unpacked into.
        runner: Runs programs of `dteg.gates.inside`.
        snapshot: Advisories.
        today: For expiry of waivers.
        installed: Versions of what the sandbox has, by normalised name.
        reference: Factors on the floors of the performance gate, by kind.
    """

    contents: WheelContents
    site: Path
    runner: Runner
    snapshot: Snapshot
    today: date
    installed: Mapping[str, str] = field(default_factory=dict)
    reference: Mapping[str, float] = field(default_factory=dict)

    @property
    def manifest(self) -> Manifest:
        """Its `dteg.yaml`."""
        return self.contents.manifest

    @property
    def folder(self) -> Path:
        """The unpacked component."""
        return self.site / self.manifest.package.replace(".", "/")

    @cached_property
    def code(self) -> list[str]:
        """Python files of the component, tests and generated ones left out, as paths inside it."""
        names = (path.relative_to(self.folder).as_posix() for path in sorted(self.folder.rglob("*.py")))
        return [name for name in names if not is_test_file(name) and name != GENERATED]

    @cached_property
    def tests(self) -> list[str]:
        """Its files with tests."""
        names = (path.relative_to(self.folder).as_posix() for path in sorted(self.folder.rglob("test_*.py")))
        return list(names)

    @cached_property
    def examples(self) -> list[Example]:
        """The YAML blocks of its README."""
        return examples_in(self.contents.readme, self.manifest)

    @cached_property
    def inspection(self) -> Outcome:
        """The answer of `inside.inspection`, asked for once.

        Raises:
            NoSandboxError: There is no sandbox.
        """
        manifest = self.manifest
        configs = [config for example in self.examples for _, config in example.configs]
        return self.run(
            "inspection", entry_point=manifest.entry_point, kind=manifest.kind, examples=configs,
            limits=Limits(wall_s=60, cpu_s=30),
        )  # fmt: skip

    def run(
        self, module: str, *, trusted: bool = False, limits: Limits | None = None, **parameters: Any
    ) -> Outcome:
        """Run a program of `dteg.gates.inside` over the component.

        Raises:
            NoSandboxError: It runs code of the component, and there is no sandbox.
        """
        given = {"package": self.manifest.package, **parameters}
        return self.runner.run(Job(module, self.site, given, trusted, limits or Limits()))
