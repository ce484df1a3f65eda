"""Finds connectors by their manifests; imports one only when it is used.

Looked at, in this order: the project's `components/` folder, packages that declare an entry
point in the group `dteg.components`, and the connectors that come with dteg. The first one of
a kind and name wins, so a project can replace a connector by a copy of its own.
"""

import hashlib
import importlib
import importlib.util
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from dteg.connectors.base import Connector, ConnectorConfig, Context, Extractor, Loader, Processor
from dteg.core.errors import ConfigError, Problem
from dteg.core.project import Project
from dteg.core.suggest import did_you_mean
from dteg.manifest import MANIFEST_NAME, ComponentKind, Manifest, read_manifest

ENTRY_POINT_GROUP = "dteg.components"
_BASES: dict[str, type[Connector[Any]]] = {"extractor": Extractor, "processor": Processor, "loader": Loader}


@dataclass(frozen=True, slots=True)
class Component:
    """A connector that was found, not yet imported.

    Attributes:
        manifest: What it says about itself.
        folder: Where it lies.
        package: Dotted package of that folder, or "" when it is imported by its path.
    """

    manifest: Manifest
    folder: Path
    package: str = ""

    def load(self) -> type[Connector[Any]]:
        """Import the connector's class.

        Raises:
            ConfigError: The entry point does not exist or is not a connector of its kind.
        """
        module_name, class_name = self.manifest.entry_point.split(":")
        package = self.package or _package_by_path(self.manifest, self.folder)
        cls = getattr(importlib.import_module(f"{package}.{module_name}"), class_name, None)
        base = _BASES.get(self.manifest.kind, Connector)
        if not (isinstance(cls, type) and issubclass(cls, base)):
            raise ConfigError(
                [
                    Problem(
                        f"{self.manifest.entry_point} is not {base.__name__}",
                        file=str(self.folder / MANIFEST_NAME),
                    )
                ]
            )
        return cls

    @property
    def config_model(self) -> type[ConnectorConfig]:
        """The model of the connector's config."""
        return self.load().config_model

    def create(self, config: ConnectorConfig, context: Context) -> Connector[Any]:
        """Make the connector."""
        return self.load()(config, context)


def _package_by_path(manifest: Manifest, folder: Path) -> str:
    """Make a folder importable as a package of its own, whatever its name and place."""
    key = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[
        :8
    ]  # two projects may have the same names
    name = f"dteg_local_{manifest.kind}_{manifest.name}_{key}"
    if name not in sys.modules:
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    return name


def _in_folder(root: Path, package: str = "") -> Iterator[Component]:
    for path in sorted(root.glob(f"*/*/{MANIFEST_NAME}")):
        inner = ".".join((package, *path.parent.relative_to(root).parts)) if package else ""
        yield Component(read_manifest(path), path.parent, inner)


def _installed() -> Iterator[Component]:
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        if folder := _package_dir(entry.value):
            yield Component(read_manifest(folder / MANIFEST_NAME), folder, entry.value)


def _package_dir(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    locations = list(spec.submodule_search_locations or ()) if spec else []
    return Path(locations[0]) if locations else None


Components = Mapping[tuple[ComponentKind, str], Component]


def discover(project: Project | None = None) -> Components:
    """Return all components by (kind, name), importing none of them."""
    found: dict[tuple[ComponentKind, str], Component] = {}
    own = _package_dir("components")
    sources: list[Iterator[Component]] = []
    if project and project.components_dir.is_dir() and project.components_dir != own:
        sources.append(_in_folder(project.components_dir))
    sources.append(_installed())
    if own:
        sources.append(_in_folder(own, "components"))
    for source in sources:
        for component in source:
            found.setdefault((component.manifest.kind, component.manifest.name), component)
    return found


def find(kind: ComponentKind, type_name: str, found: Components) -> Component:
    """Return the component that a pipeline calls `type: type_name`.

    Args:
        kind: What it must be.
        type_name: Its name; `dteg://` and a namespace may stand before it, and `-extractor` after it.
        found: What `discover` returned.

    Raises:
        ConfigError: There is none; the message says the command that installs it.
    """
    name = type_name.removeprefix("dteg://").rsplit("/", 1)[-1].replace("-", "_")
    component = found.get((kind, name)) or found.get((kind, name.removesuffix(f"_{kind}")))
    if component:
        return component
    names = sorted(known for known_kind, known in found if known_kind == kind)
    if type_name.startswith("dteg://"):
        remedy = f"install it with: dteg install marketplace://{type_name.removeprefix('dteg://')}"
    else:
        remedy = did_you_mean(name, names) or f"there are: {', '.join(names)}"
    raise ConfigError(f"no {kind} {type_name!r}; {remedy}")
