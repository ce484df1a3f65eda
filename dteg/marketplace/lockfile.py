"""`dteg.lock`: exactly what was installed, so that the same can be installed again, or refused."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from dteg.core.errors import ConfigError
from dteg.core.places import write_whole
from dteg.marketplace.records import COMPONENT_PATTERN, VERSION_PATTERN, Sha256

LOCK_NAME = "dteg.lock"
LOCK_VERSION = 1
_NOTICE = ("Written by dteg install, update and uninstall: commit it, do not edit it.",)
_Id = Annotated[str, Field(pattern=COMPONENT_PATTERN)]
_Digest = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
_Hash = Annotated[str, Field(pattern=r"^sha(256:[0-9a-f]{64}|384:[0-9a-f]{96}|512:[0-9a-f]{128})$")]


@checked(frozen=True, config={"extra": "forbid"})
class LockedComponent:
    """One installed component.

    Attributes:
        id: `namespace/slug`.
        range: Versions that were asked for; "" for any.
        version: The one that was chosen.
        filename: Name of its wheel.
        sha256: Hash of its wheel.
        size: Size of its wheel (bytes).
        trust: `attested`, `signed` or `none`.
        key_id: Key of the publisher.
        registry_key_id: Key of the registry.
        signature: Digest of the publisher's envelope.
        attestation: Digest of the registry's envelope.
        capabilities: What it needs from the machine.
        dependencies: What it needs from the Python index.
    """

    id: _Id
    version: Annotated[str, Field(pattern=VERSION_PATTERN)]
    filename: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,250}\.whl$")]
    sha256: Sha256
    size: Annotated[int, Field(ge=0)]
    trust: Annotated[str, Field(pattern=r"^(attested|signed|none)$")]
    key_id: _Digest = ""
    registry_key_id: _Digest = ""
    signature: _Digest = ""
    attestation: _Digest = ""
    range: str = ""
    capabilities: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()


@checked(frozen=True, config={"extra": "forbid"})
class LockedDependency:
    """One package of the Python index.

    Attributes:
        name: Normalised.
        version: The one that was chosen.
        hashes: Of all its files; empty if the index could not be asked, then only what is installed already counts.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.!+]{1,60}$")]
    hashes: tuple[_Hash, ...] = ()


@dataclass(frozen=True)
class Lock:
    """What is in the file.

    Attributes:
        registry: Where it came from.
        components: By id.
        dependencies: By name.
    """

    registry: str = ""
    components: Mapping[str, LockedComponent] = field(default_factory=dict)
    dependencies: Mapping[str, LockedDependency] = field(default_factory=dict)

    def with_components(self, new: Iterable[LockedComponent]) -> "Lock":
        """Return a lock in which these take the place of older ones."""
        return replace(self, components={**self.components, **{each.id: each for each in new}})

    def without(self, component: str) -> "Lock":
        """Return a lock without a component."""
        return replace(self, components={k: v for k, v in self.components.items() if k != component})

    def with_dependencies(self, dependencies: Iterable[LockedDependency]) -> "Lock":
        """Return a lock with these dependencies and no others."""
        return replace(self, dependencies={each.name: each for each in dependencies})

    def to_toml(self) -> str:
        """Render the file."""
        import tomlkit

        document = tomlkit.document()
        for line in _NOTICE:
            document.add(tomlkit.comment(line))
        document.add("version", tomlkit.item(LOCK_VERSION))
        document.add("registry", tomlkit.item(self.registry))
        for key, entries in (("component", self.components), ("dependency", self.dependencies)):
            tables = tomlkit.aot()
            for name in sorted(entries):
                tables.append(_table(entries[name]))
            if entries:
                document.append(key, tables)
        return tomlkit.dumps(document)


def _table(entry: LockedComponent | LockedDependency) -> Any:
    import tomlkit

    table = tomlkit.table()
    for key in entry.__dataclass_fields__:
        value = getattr(entry, key)
        if isinstance(value, tuple):
            if value:
                table.add(key, tomlkit.item(list(value)).multiline(len(value) > 1))
        elif value != "":
            table.add(key, value)
    return table


def read_lock(path: Path) -> Lock:
    """Read a lock file; one that is not there is empty.

    Raises:
        ConfigError: It is damaged, or of a newer version.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Lock()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}; restore it from your repository") from None
    if found.get("version") != LOCK_VERSION:
        raise ConfigError(f"{path} is of version {found.get('version')!r}; this dteg reads {LOCK_VERSION}")
    try:
        components = TypeAdapter(list[LockedComponent]).validate_python(found.get("component", []))
        dependencies = TypeAdapter(list[LockedDependency]).validate_python(found.get("dependency", []))
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise ConfigError(f"{path} is damaged ({place}); restore it from your repository") from None
    return Lock(
        str(found.get("registry", "")),
        {each.id: each for each in components},
        {each.name: each for each in dependencies},
    )


def write_lock(path: Path, text: str) -> None:
    """Write the rendered file, at once or not at all."""
    write_whole(path, text.encode())
