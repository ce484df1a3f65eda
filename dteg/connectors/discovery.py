"""Finds connectors by their manifests; imports one only when it is used.

Looked at, in this order: the project's `components/` folder, packages that declare an entry
point in the group `dteg.components`, and the connectors that come with dteg. The first one of
a kind and name wins, so a project can replace a connector by a copy of its own. `dteg://namespace/name`
means that of the namespace only, whatever else has the name.
"""

import hashlib
import importlib
import importlib.util
import sys
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from dteg.connectors.base import (
    Connector,
    ConnectorConfig,
    Context,
    Extractor,
    Loader,
    Processor,
    Transformer,
)
from dteg.core.errors import ConfigError, Problem
from dteg.core.project import Project
from dteg.core.suggest import did_you_mean
from dteg.manifest import MANIFEST_NAME, ComponentKind, Manifest, read_manifest

ENTRY_POINT_GROUP = "dteg.components"
_BASES: dict[str, type[Connector[Any]]] = {
    "extractor": Extractor,
    "processor": Processor,
    "loader": Loader,
    "transformer": Transformer,
}


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
        if folder := _installed_dir(entry):
            yield Component(read_manifest(folder / MANIFEST_NAME), folder, entry.value)


def _installed_dir(entry: EntryPoint) -> Path | None:
    """Return where an installed component lies, without running code of it or of a package above it."""
    if entry.dist:
        folder = Path(str(entry.dist.locate_file(entry.value.replace(".", "/"))))
        if (folder / MANIFEST_NAME).is_file():
            return folder
    return None if "." in entry.value else _package_dir(entry.value)


def _package_dir(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    locations = list(spec.submodule_search_locations or ()) if spec else []
    return Path(locations[0]) if locations else None


class Components(dict[tuple[ComponentKind, str], Component]):
    """Components by (kind, name), as a plain name means them; `everything` has those behind them too."""

    def __init__(self, everything: Iterable[Component] = ()) -> None:
        """Take components, the most wanted first."""
        super().__init__()
        self.everything = list(everything)
        for component in self.everything:
            self.setdefault((component.manifest.kind, component.manifest.name), component)


def discover(project: Project | None = None) -> Components:
    """Return all components by (kind, name), importing none of them."""
    own = _package_dir("components")
    sources: list[Iterator[Component]] = []
    if project and project.components_dir.is_dir() and project.components_dir != own:
        sources.append(_in_folder(project.components_dir))
    sources.append(_installed())
    if own:
        sources.append(_in_folder(own, "components"))
    return Components(component for source in sources for component in source)


def find(kind: ComponentKind, type_name: str, found: Components) -> Component:
    """Return the component that a pipeline calls `type: type_name`.

    Args:
        kind: What it must be.
        type_name: Its name, and `-extractor` may stand after it; or with a namespace: `dteg://namespace/name`.
        found: What `discover` returned.

    Raises:
        ConfigError: There is none; the message says the command that installs it.
    """
    reference = type_name.removeprefix("dteg://")
    namespace, slash, last = reference.rpartition("/")
    name = last.replace("-", "_")
    names = (name, name.removesuffix(f"_{kind}"))
    if slash:
        for each in found.everything:
            manifest = each.manifest
            if (manifest.namespace, manifest.kind) == (namespace, kind) and manifest.name in names:
                return each
    elif component := found.get((kind, names[0])) or found.get((kind, names[1])):
        return component
    raise ConfigError(f"no {kind} {type_name!r}; {_remedy(kind, type_name, found)}")


def _remedy(kind: ComponentKind, type_name: str, found: Components) -> str:
    reference = type_name.removeprefix("dteg://")
    # With its kind: an extractor and a loader may share a name.
    slug = reference.replace("_", "-").removesuffix(f"-{kind}") + f"-{kind}"
    install = f"install it with: dteg install marketplace://{slug}"
    if "/" in reference or reference != type_name:
        return install
    names = sorted(known for known_kind, known in found if known_kind == kind)
    names += ["dbt", "sql"] if kind == "transformer" else []
    if near := did_you_mean(reference.replace("-", "_"), names):
        return near
    return f"there are: {', '.join(names)}; if it is in the marketplace, {install}"
