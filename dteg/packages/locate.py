"""Finds the folder of a component that a person names: by a path, by its name, or by its name and kind."""

from pathlib import Path

from dteg.connectors.discovery import Component, discover
from dteg.core.errors import ConfigError, EnvironmentProblemError
from dteg.core.project import Project
from dteg.core.suggest import did_you_mean
from dteg.manifest import MANIFEST_NAME


def locate_component(name_or_path: str) -> Path:
    """Return the folder of a component.

    Args:
        name_or_path: A folder with dteg.yaml in it, such as `.`; or a name, such as `kafka` or `kafka-extractor`, of a
            component of the project, of an installed one or of one that comes with dteg.

    Raises:
        ConfigError: There is none, or there are several.
    """
    path = Path(name_or_path)
    if (path / MANIFEST_NAME).is_file():
        return path.resolve()
    if path.is_dir() and ("/" in name_or_path or name_or_path in (".", "..")):
        raise ConfigError(f"there is no {MANIFEST_NAME} in {path.resolve()}; name a component or its folder")
    found = list(discover(_project()).values())
    wanted = name_or_path.replace("_", "-")
    matching = [
        each for each in found if wanted in (each.manifest.name.replace("_", "-"), each.manifest.slug)
    ]
    if len(matching) == 1:
        return matching[0].folder
    if matching:
        raise ConfigError(f"there are several components {name_or_path!r}; say which: {_slugs(matching)}")
    near = did_you_mean(wanted, [each.manifest.slug for each in found]) or f"there are: {_slugs(found)}"
    raise ConfigError(f"there is no component {name_or_path!r}; {near}")


def _slugs(components: list[Component]) -> str:
    return ", ".join(sorted(each.manifest.slug for each in components))


def _project() -> Project | None:
    try:
        return Project.find()
    except EnvironmentProblemError:
        return None
