"""Removes a component, and the packages that only it needed."""

from collections.abc import Iterable
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from dteg.connectors.discovery import Components, discover, find
from dteg.core.errors import ConfigError, ConflictError
from dteg.core.places import write_whole
from dteg.core.project import Project
from dteg.core.yaml import read
from dteg.marketplace.dependencies import needs_of
from dteg.marketplace.environment import Environment, Installer
from dteg.marketplace.install import added_dependencies, write_added
from dteg.marketplace.lockfile import LOCK_NAME, Lock, LockedComponent, LockedDependency
from dteg.marketplace.references import parse_reference
from dteg.marketplace.transaction import Change, change

_STEPS = {"extract": "extractor", "process": "processor", "load": "loader", "transform": "transformer"}


@dataclass(frozen=True, slots=True)
class Removal:
    """What an uninstall does.

    Attributes:
        component: What goes.
        packages: The packages of the Python index that go with it.
        used_by: Pipelines that use it.
    """

    component: LockedComponent
    packages: tuple[str, ...]
    used_by: tuple[str, ...]


def plan_removal(component: LockedComponent, lock: Lock, project: Project, environment: Environment) -> Removal:  # fmt: skip
    """Say what removing a component would take away, and who needs it."""
    return Removal(
        component,
        tuple(sorted(_no_longer_needed(lock.without(component.id), environment))),
        tuple(pipelines_using(component, project)),
    )


def uninstall(
    removal: Removal, lock: Lock, project: Project, environment: Environment, installer: Installer,
    *, hold: int, force: bool = False,
) -> None:  # fmt: skip
    """Remove a component; call it within `locked`, after `recover`.

    Args:
        removal: What `plan_removal` said.
        lock: The lock before.
        project: Whose lock file is written.
        environment: What is changed.
        installer: uv or pip.
        hold: Descriptor of the lock on the environment.
        force: Remove it although pipelines use it.

    Raises:
        ConflictError: Pipelines use it.
    """
    component = removal.component
    if removal.used_by and not force:
        lines = "\n".join(f"  {each}" for each in removal.used_by)
        raise ConflictError(
            f"{component.id} is used by:\n{lines}\nchange these first, or remove it all the same with --force"
        )
    after = lock.without(component.id)
    text = after.with_dependencies(_still_locked(after, environment)).to_toml()
    name = distribution_of(component)
    there = [each for each in (name, *removal.packages) if each in environment.packages]
    if not there:
        write_whole(project.root / LOCK_NAME, text.encode())
        return
    namespace, _, slug = component.id.partition("/")
    folder = f"dteg_components/{namespace}/{slug.replace('-', '_')}"
    changes = [Change(each, folder if each == name else "") for each in there]
    change(
        environment,
        changes,
        project.root / LOCK_NAME,
        text,
        lambda: installer.uninstall(there, hold=hold),
    )
    write_added(environment, added_dependencies(environment) - set(removal.packages))


def distribution_of(component: LockedComponent) -> str:
    """Return the name of its Python package."""
    return f"dteg-{component.id.replace('/', '-')}"


def pipelines_using(component: LockedComponent, project: Project) -> Iterable[str]:
    """Return `file: step` for each use in the project's pipelines."""
    from dteg.pipelines.plan import pipeline_files

    found = discover(project)
    uses = []
    for path in pipeline_files(project):
        name = str(path.relative_to(project.root))
        try:
            document = read(path, name)
        except ConfigError as error:
            raise ConfigError(f"cannot tell whether a pipeline uses {component.id}: {error}") from None
        for where, kind, type_name in _types(document.value):
            if _is_meant(component, kind, type_name, found):
                uses.append(f"{name}:{document.lines.get(where, 1)}: {kind} {type_name}")
    return uses


def _types(
    value: object, path: tuple[str | int, ...] = ()
) -> Iterable[tuple[tuple[str | int, ...], str, str]]:
    """Yield place, kind and type of each step, wherever it stands in the file."""
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield from _types(each, (*path, number))
    elif isinstance(value, dict):
        for key, each in value.items():
            here = (*path, key)
            for place, step in _steps_at(here, each) if key in _STEPS else ():
                yield (*place, "type"), _STEPS[key], step
            yield from _types(each, here)


def _steps_at(path: tuple[str | int, ...], value: object) -> Iterable[tuple[tuple[str | int, ...], str]]:
    each_with_path = (
        [((*path, n), one) for n, one in enumerate(value)] if isinstance(value, list) else [(path, value)]
    )
    for place, step in each_with_path:
        if isinstance(step, dict) and isinstance(step.get("type"), str):
            yield place, step["type"]


def _is_meant(component: LockedComponent, kind: str, type_name: str, found: Components) -> bool:
    """Return whether a step is run by the installed package, and not by a copy or another component of that name."""
    if not component.id.endswith(f"-{kind}"):
        return False
    try:
        meant = find(kind, type_name, found)  # type: ignore[arg-type]
    except ConfigError:
        try:
            return parse_reference(type_name).means(component.id)
        except ConfigError:
            return False
    manifest = meant.manifest
    return f"{manifest.namespace}/{manifest.slug}" == component.id and meant.package == manifest.package


def _no_longer_needed(after: Lock, environment: Environment) -> set[str]:
    """Return the packages that dteg brought and that nothing needs any more, directly or through others."""
    candidates = {name for name in added_dependencies(environment) if name in environment.packages}
    wanted = [
        need.name for each in after.components.values() for need in needs_of(each.id, each.dependencies)
    ]
    wanted += [
        canonicalize_name(each.name)
        for package in environment.packages.values()
        if package.name not in candidates and not package.name.startswith("dteg-")
        for each in package.requires
    ]
    todo, needed = [name for name in wanted if name in candidates], set[str]()
    while todo:
        name = todo.pop()
        if name not in needed:
            needed.add(name)
            requires = environment.packages[name].requires
            todo += [n for each in requires if (n := canonicalize_name(each.name)) in candidates]
    return candidates - needed


def _still_locked(after: Lock, environment: Environment) -> list[LockedDependency]:
    """Return the locked packages that the remaining components reach."""
    todo = [need.name for each in after.components.values() for need in needs_of(each.id, each.dependencies)]
    reached: set[str] = set()
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            package = environment.packages.get(name)
            todo += [canonicalize_name(each.name) for each in package.requires] if package else []
    return [each for name, each in after.dependencies.items() if name in reached]
