"""A marketplace in memory, for tests: real wheels and real signatures, no server."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dteg.core.errors import NotFoundError
from dteg.marketplace.client import Progress, check_file
from dteg.marketplace.records import Component, Key, Release
from dteg.marketplace.references import Reference, choose
from dteg.packages import WheelContents, inspect_wheel
from dteg.signing import GATES, PUBLISH, SigningKey, statement

ORIGIN = "https://registry.test"
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


class MemoryMarketplace:
    """Implements `dteg.marketplace.source.Source`.

    Attributes:
        origin: What trust is remembered for.
        publisher: Key of every namespace, until a test sets another one.
        registry: Key of the registry.
    """

    def __init__(self, origin: str = ORIGIN) -> None:
        """Begin without components."""
        self.origin = origin
        self.publisher = SigningKey.generate()
        self.registry = SigningKey.generate()
        self._releases: dict[str, dict[str, Release]] = {}
        self._envelopes: dict[str, list[dict[str, Any]]] = {}
        self._wheels: dict[str, Path] = {}
        self._keys: dict[str, dict[str, Key]] = {}
        self._registry_keys: dict[str, Key] = {}

    def publish(
        self, wheel: Path, *, signed: bool = True, attested: bool = True, passed: bool = True, **release: Any
    ) -> Release:
        """List a wheel.

        Args:
            wheel: The file; it must stay where it is.
            signed: Whether its publisher has signed it.
            attested: Whether the registry has.
            passed: What the registry says of the gates.
            release: Other fields of the release, such as `state` or `changelog`.
        """
        contents = inspect_wheel(wheel)
        manifest = contents.manifest
        component = f"{manifest.namespace}/{manifest.slug}"
        there = self._releases.setdefault(component, {})
        fields = {
            "component": component, "version": manifest.version, "state": "listed", "filename": contents.filename,
            "sha256": contents.sha256, "size": contents.size, "manifest": manifest.model_dump(mode="json"),
            "published_at": FIRST + timedelta(days=len(there)), **release,
        }  # fmt: skip
        made = Release.model_validate(fields)
        there[manifest.version] = made
        self._wheels[contents.sha256] = wheel
        self._envelopes[made.id] = list(self._sign(contents, made, signed, attested, passed))
        return made

    def change(self, release: Release, **fields: Any) -> Release:
        """Say something else of a release, such as another state, from now on."""
        changed = release.model_copy(update=fields)
        self._releases[release.component][release.version] = changed
        return changed

    def set_envelopes(self, release: Release, envelopes: Iterable[Mapping[str, Any]]) -> None:
        """Show other signatures from now on."""
        self._envelopes[release.id] = [dict(each) for each in envelopes]

    def set_wheel(self, release: Release, wheel: Path) -> None:
        """Send another file from now on."""
        self._wheels[release.sha256] = wheel

    def end_key(self, namespace: str, key: SigningKey, at: datetime) -> None:
        """Revoke a publisher's key."""
        ended = self._keys[namespace][key.key_id].model_copy(update={"to_at": at})
        self._keys[namespace][key.key_id] = ended

    def _sign(
        self, contents: WheelContents, release: Release, signed: bool, attested: bool, passed: bool
    ) -> Iterable[dict[str, Any]]:
        said = {"component": release.component, "version": release.version}
        namespace = release.component.partition("/")[0]
        if signed:
            key = Key(key_id=self.publisher.key_id, public_key=self.publisher.public)
            self._keys.setdefault(namespace, {})[key.key_id] = key
            yield self.publisher.sign(statement(contents.filename, contents.sha256, PUBLISH, said))
        if attested:
            key = Key(key_id=self.registry.key_id, public_key=self.registry.public)
            self._registry_keys[key.key_id] = key
            more = {**said, "passed": passed}
            yield self.registry.sign(statement(contents.filename, contents.sha256, GATES, more))

    # --- Source -----------------------------------------------------------------------------------------

    def find(self, reference: Reference) -> str:
        """Return the component that is meant."""
        return choose(reference, self._releases)

    def component(self, component: str) -> Component:
        """Return what is known of a component."""
        if component not in self._releases:
            raise NotFoundError(f"there is no component {component}")
        manifest = next(iter(self._releases[component].values())).manifest
        return Component(id=component, name=manifest.name, kind=manifest.kind, summary=manifest.description)

    def releases(self, component: str) -> list[Release]:
        """Return all releases."""
        return list(self._releases.get(component, {}).values())

    def attestations(self, release: Release) -> list[dict[str, Any]]:
        """Return the envelopes about a release, as they come out of JSON."""
        found: list[dict[str, Any]] = json.loads(json.dumps(self._envelopes.get(release.id, [])))
        return found

    def publisher_keys(self, namespace: str) -> list[Key]:
        """Return the keys of a namespace."""
        return list(self._keys.get(namespace, {}).values())

    def registry_keys(self) -> list[Key]:
        """Return the keys of the registry."""
        return list(self._registry_keys.values())

    def fetch(self, release: Release, target: Path, progress: Progress | None = None) -> None:
        """Copy the wheel of a release, checked."""
        data = self._wheels[release.sha256].read_bytes()
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        try:
            check_file(target, release.filename, sha256=release.sha256, size=release.size)
        except BaseException:
            target.unlink()
            raise
        if progress:
            progress(len(data), release.size)
