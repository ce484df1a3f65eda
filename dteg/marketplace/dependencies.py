"""What components need from the Python index, resolved against everything that is installed.

The registry is no Python index for this: component wheels come from the registry only, their dependencies from the
usual index only, in two steps. A package there that is called like a component can so never be taken for one.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from dteg.core.errors import RegistryError
from dteg.marketplace.environment import Environment, Installed, Installer, InstallerError
from dteg.marketplace.lockfile import LockedDependency

COMPONENT_PREFIX = "dteg-"


class DependencyError(RegistryError):
    """Two components, or a component and an installed package, do not fit together: leave one out or change versions."""


@dataclass(frozen=True, slots=True)
class Need:
    """What one component needs.

    Attributes:
        by: Who, as messages name it.
        requirement: What.
    """

    by: str
    requirement: Requirement

    @property
    def name(self) -> str:
        """Normalised name of the package."""
        return canonicalize_name(self.requirement.name)

    def __str__(self) -> str:
        """Render as in messages."""
        return f"{self.by} wants {self.requirement.name}{self.requirement.specifier or ' (any version)'}"


def needs_of(who: str, dependencies: Iterable[str]) -> Iterator[Need]:
    """Yield what a component needs on this machine.

    Raises:
        DependencyError: It needs another component, which no Python index may provide.
    """
    for text in dependencies:
        need = Need(who, Requirement(text))
        if need.name == "dteg" or need.name.startswith(COMPONENT_PREFIX):
            raise DependencyError(
                f"{who} lists {text!r} as a dependency: components and dteg are never taken from the Python index; "
                "its author has to leave that out"
            )
        if need.requirement.marker is None or need.requirement.marker.evaluate({"extra": ""}):
            yield need


def resolve_dependencies(
    needs: list[Need], environment: Environment, installer: Installer
) -> tuple[list[LockedDependency], list[str]]:
    """Choose the packages that all components together need; changes nothing.

    Args:
        needs: Of all components that will be there, not only of the new ones.
        environment: What is installed.
        installer: Asks the index.

    Returns:
        The packages, and notes for the user.

    Raises:
        DependencyError: They do not fit together; the message names both sides.
    """
    if not needs:
        return [], []
    installed = environment.packages
    _refuse_conflicts(needs, installed)
    wanted = sorted({str(need.requirement) for need in needs})
    pins = [f"{each.name}=={each.version}" for each in installed.values() if _can_be_pinned(each)]
    try:
        return installer.compile(wanted, pins), []
    except InstallerError as pinned:
        try:
            return installer.compile(wanted, list(_limits(installed))), []
        except InstallerError as error:
            if (closure := _installed_closure(needs, installed)) is not None:
                note = "the Python index could not be asked: dependencies are locked without hashes"
                return closure, [note]
            who = ", ".join(sorted({need.by for need in needs}))
            raise DependencyError(f"the dependencies of {who} cannot be had:\n{error}") from pinned


def to_install(
    dependencies: Iterable[LockedDependency], installed: Mapping[str, Installed]
) -> list[LockedDependency]:
    """Return the packages that are missing, or there in another version.

    Raises:
        DependencyError: One of them is locked without hashes, so that it cannot be installed safely.
    """
    missing = [
        each
        for each in dependencies
        if each.name not in installed or not _same(installed[each.name].version, each.version)
    ]
    for each in missing:
        if not each.hashes:
            raise DependencyError(
                f"{each.name} {each.version} is locked without hashes; run dteg update where the Python index answers"
            )
    return missing


def _same(one: str, other: str) -> bool:
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other


def _can_be_pinned(package: Installed) -> bool:
    try:
        version = Version(package.version)
    except InvalidVersion:
        return False
    return version.local is None and package.name != "dteg" and not package.name.startswith(COMPONENT_PREFIX)


def _limits(installed: Mapping[str, Installed]) -> Iterator[str]:
    """Yield what installed packages need of each other, as far as it holds now.

    Not what components need: one of them may be about to be replaced, and all others are asked for anyway.
    """
    seen = set()
    for package in installed.values():
        if package.name.startswith(COMPONENT_PREFIX):
            continue
        for each in package.requires:
            have = installed.get(canonicalize_name(each.name))
            line = f"{each.name}{each.specifier}"
            if (
                have and each.specifier and not each.url and line not in seen
                and each.specifier.contains(have.version, prereleases=True)
            ):  # fmt: skip
                seen.add(line)
                yield line


def _refuse_conflicts(needs: list[Need], installed: Mapping[str, Installed]) -> None:
    """Name both sides where two requirements exclude each other; the index need not be asked for that."""
    names = {need.name for need in needs}
    others = [
        Need(f"{package.name} {package.version}", each)
        for package in installed.values()
        if not package.name.startswith(COMPONENT_PREFIX)
        for each in package.requires
        if canonicalize_name(each.name) in names and _holds(each, installed)
    ]
    problems = []
    for one, other in [*combinations(needs, 2), *((need, other) for need in needs for other in others)]:
        if one.name == other.name and excluded(one.requirement.specifier, other.requirement.specifier):
            problems.append(f"  {one}, {other}")
    if problems:
        lines = "\n".join(dict.fromkeys(problems))
        raise DependencyError(f"no version of a package fits both:\n{lines}\nnothing was changed")


def _holds(requirement: Requirement, installed: Mapping[str, Installed]) -> bool:
    have = installed.get(canonicalize_name(requirement.name))
    return have is not None and requirement.specifier.contains(have.version, prereleases=True)


def excluded(one: SpecifierSet, other: SpecifierSet) -> bool:
    """Return whether no version at all can satisfy both.

    Tries the versions at the edges of both ranges and right beside them: if two ranges overlap, one of these is in
    the overlap.
    """
    both = one & other
    edges = {Version("0"), Version("99999999")}
    for each in both:
        text = each.version.removesuffix(".*")
        if not re.fullmatch(r"[\w.!+]+", text):
            return False
        version = Version(text)
        release = [*version.release, 0, 0][:3]
        edges |= {version, Version(f"{text}.0.0.1") if version.pre is None else version}
        edges |= {Version(".".join(map(str, part))) for part in _beside(release)}
    return not any(both.contains(version, prereleases=True) for version in edges)


def _beside(release: list[int]) -> Iterator[list[int]]:
    for place, number in enumerate(release):
        yield [*release[:place], number + 1, *[0] * (len(release) - place - 1)]
        if number:
            yield [*release[:place], number - 1, *[99_999_999] * (len(release) - place - 1)]


def _installed_closure(
    needs: list[Need], installed: Mapping[str, Installed]
) -> list[LockedDependency] | None:
    """Return what is installed already of all that is needed; None if something is missing."""
    found: dict[str, LockedDependency] = {}
    todo = [need.requirement for need in needs]
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        if not _holds(requirement, installed):
            return None
        if name not in found:
            found[name] = LockedDependency(name, installed[name].version)
            todo += installed[name].requires
    return sorted(found.values(), key=lambda each: each.name)
