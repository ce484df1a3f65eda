"""Carries out a plan: one change of the environment, checked at its end, undone if anything fails."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from dteg.core.places import write_whole
from dteg.core.project import Project
from dteg.marketplace.client import TamperedError
from dteg.marketplace.environment import Environment, Installer, InstallerError, WheelFile
from dteg.marketplace.lockfile import LOCK_NAME, LockedDependency
from dteg.marketplace.plan import Plan, Planned
from dteg.marketplace.transaction import Change, change
from dteg.marketplace.trust import Pins
from dteg.packages import WheelContents

_ADDED = "added.json"


def apply(
    plan: Plan, project: Project, environment: Environment, installer: Installer, pins: Pins, *, hold: int
) -> tuple[Planned, ...]:
    """Install what a plan says; call it within `locked`, after `recover`.

    Args:
        plan: What to do.
        project: Whose lock file is written.
        environment: What is changed.
        installer: uv or pip.
        pins: Keys to remember once all is done.
        hold: Descriptor of the lock on the environment.

    Returns:
        The components that were changed.

    Raises:
        InstallerError: uv or pip failed; nothing was changed.
        TamperedError: What lies in the environment afterwards is not what was verified; it was undone.
    """
    todo = [each for each in plan.components if not is_installed(each.contents, environment)]
    changes = [_change_of(each.contents) for each in todo] + [Change(each.name) for each in plan.missing]

    def work() -> None:
        if plan.missing:
            installer.install_dependencies(plan.missing, hold=hold)
        if todo:
            wheels = [
                WheelFile(each.contents.manifest.distribution, each.wheel, each.contents.sha256)
                for each in todo
            ]
            installer.install_wheels(wheels, hold=hold)
        environment.forget()
        _check(todo, plan.missing, environment)

    if changes:
        before = set(environment.packages)
        change(environment, changes, project.root / LOCK_NAME, plan.lock.to_toml(), work)
        _note_added(environment, {each.name for each in plan.missing} - before)
    else:
        write_whole(project.root / LOCK_NAME, plan.lock.to_toml().encode())
    pins.save()
    return tuple(todo)


def is_installed(contents: WheelContents, environment: Environment) -> bool:
    """Return whether exactly these files lie in the environment."""
    return not _differences(contents, environment)


def added_dependencies(environment: Environment) -> set[str]:
    """Return the packages that came only because a component needed them."""
    try:
        found = json.loads((environment.state_dir / _ADDED).read_bytes())
    except (OSError, ValueError):
        return set()
    return {str(each) for each in found}


def _note_added(environment: Environment, names: Iterable[str]) -> None:
    if new := set(names):
        write_added(environment, added_dependencies(environment) | new)


def write_added(environment: Environment, names: Iterable[str]) -> None:
    """Note which packages came only because a component needed them."""
    write_whole(environment.state_dir / _ADDED, json.dumps(sorted(names)).encode())


def _change_of(contents: WheelContents) -> Change:
    manifest = contents.manifest
    return Change(manifest.distribution, manifest.package.replace(".", "/"))


def _check(
    components: Sequence[Planned], dependencies: Sequence[LockedDependency], environment: Environment
) -> None:
    """Check that what lies in the environment is what was verified, byte for byte."""
    for each in components:
        if wrong := _differences(each.contents, environment):
            raise TamperedError(
                f"{each.release.id}: after installing, {', '.join(wrong[:3])} is not what was verified; it was undone"
            )
    packages = environment.packages
    for dependency in dependencies:
        if dependency.name not in packages:
            raise InstallerError(
                f"{dependency.name} was installed but cannot be found; the change was undone"
            )


def _differences(contents: WheelContents, environment: Environment) -> list[str]:
    wrong = []
    for file in contents.files:
        name = Path(file.path)
        if name.name == "RECORD" and name.parent.suffix == ".dist-info":
            continue  # the installer adds its own files to it
        try:
            data = (environment.site / name).read_bytes()
        except OSError:
            wrong.append(file.path)
            continue
        if len(data) != file.size or hashlib.sha256(data).hexdigest() != file.sha256:
            wrong.append(file.path)
    return wrong
