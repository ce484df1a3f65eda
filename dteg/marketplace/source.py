"""Where components come from: a registry, or a mirror of one."""

from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError

from dteg.core.errors import ConfigError, NotFoundError
from dteg.marketplace.client import NotARegistryError, Progress, RegistryClient, check_file
from dteg.marketplace.records import Component, Key, Record, Release
from dteg.marketplace.references import Reference, choose

MIRROR_INDEX = "dteg-mirror.json"
RecordT = TypeVar("RecordT", bound=Record)


class Source(Protocol):
    """What an install asks for. Nothing that it answers is believed without a signature but names and states."""

    origin: str
    """The registry whose signatures these are: what trust is remembered for."""

    def find(self, reference: Reference) -> str:
        """Return the component that is meant, as `namespace/slug`."""

    def component(self, component: str) -> Component:
        """Return what is known of a component."""

    def releases(self, component: str) -> list[Release]:
        """Return all releases that this dteg can read, in any order."""

    def attestations(self, release: Release) -> list[dict[str, Any]]:
        """Return the envelopes about a release."""

    def publisher_keys(self, namespace: str) -> list[Key]:
        """Return the keys of a namespace, also those that have ended."""

    def registry_keys(self) -> list[Key]:
        """Return the keys of the registry, also those that have ended."""

    def fetch(self, release: Release, target: Path, progress: Progress | None = None) -> None:
        """Put the wheel of a release, checked by its hash, at `target`."""


class RegistrySource:
    """A registry over HTTP."""

    def __init__(self, client: RegistryClient) -> None:
        """Take the client; who made it closes it."""
        self.client = client
        self.origin = client.url
        self._registry_keys: list[Key] | None = None

    def find(self, reference: Reference) -> str:
        """Return the component that is meant.

        Raises:
            NotFoundError: There is none.
            ConfigError: Several fit.
        """
        known: list[str] = []
        if reference.namespace:
            exact = f"{reference.namespace}/{reference.name}"
            try:
                return self.component(exact).id
            except NotFoundError:
                pass
        answer = self.client.get("/search", q=reference.name.replace("-", " "), limit=100)
        known += [str(each.get("id", "")) for each in _items(answer, self.client.url)]
        suggestion = answer.get("did_you_mean")
        if isinstance(suggestion, str):
            known.append(f"?/{suggestion}")
        return choose(reference, [each for each in known if "/" in each])

    def listed(self) -> list[str]:
        """Return all components that have a release to install."""
        found: list[str] = []
        while True:
            answer = self.client.get("/components", sort="name", limit=100, offset=str(len(found)))
            items = [read(Component, each).id for each in _items(answer, self.client.url)]
            found += items
            if not items:
                return found

    def component(self, component: str) -> Component:
        """Return what is known of a component."""
        return read(Component, self.client.get(f"/components/{component}"))

    def releases(self, component: str) -> list[Release]:
        """Return all releases that this dteg can read."""
        return readable(self.client.pages(f"/components/{component}/releases", limit=100), component)

    def attestations(self, release: Release) -> list[dict[str, Any]]:
        """Return the envelopes about a release."""
        path = f"/components/{release.component}/releases/{release.version}/attestations"
        return [each for each in _items(self.client.get(path), self.client.url) if isinstance(each, dict)]

    def publisher_keys(self, namespace: str) -> list[Key]:
        """Return the keys of a namespace."""
        return [read(Key, each) for each in self.client.get(f"/namespaces/{namespace}").get("keys", [])]

    def registry_keys(self) -> list[Key]:
        """Return the keys of the registry."""
        if self._registry_keys is None:
            answer = self.client.get("/keys")
            self._registry_keys = [read(Key, each) for each in _items(answer, self.client.url)]
        return self._registry_keys

    def fetch(self, release: Release, target: Path, progress: Progress | None = None) -> None:
        """Download the wheel of a release."""
        self.client.download(
            f"/files/{release.sha256}/{release.filename}",
            target, sha256=release.sha256, size=release.size, progress=progress,
        )  # fmt: skip


class MirrorSource:
    """A folder that `dteg mirror` wrote: on this machine, or behind any web server.

    Args:
        url: `file:///folder`, or the address of the web server.
        client: For a web server.
    """

    def __init__(self, url: str, client: RegistryClient | None = None) -> None:
        self._folder = Path(url.removeprefix("file://")) if url.startswith("file:") else None
        self._client = client
        self._url = url
        index = self._read(MIRROR_INDEX)
        if not isinstance(index, dict) or index.get("mirror_version") != 1:
            raise ConfigError(f"{url}: {MIRROR_INDEX} is not of a version that this dteg reads")
        self.origin = str(index.get("origin", url))
        self._index = index

    def find(self, reference: Reference) -> str:
        """Return the component that is meant."""
        return choose(reference, self._index["components"], f"the mirror {self._url}")

    def component(self, component: str) -> Component:
        """Return what is known of a component."""
        return read(Component, self._part(component)["component"])

    def releases(self, component: str) -> list[Release]:
        """Return all releases in the mirror."""
        return readable(self._part(component)["releases"], component)

    def attestations(self, release: Release) -> list[dict[str, Any]]:
        """Return the envelopes about a release."""
        found = self._part(release.component)["attestations"].get(release.version, [])
        return [each for each in found if isinstance(each, dict)]

    def publisher_keys(self, namespace: str) -> list[Key]:
        """Return the keys of a namespace."""
        return [read(Key, each) for each in self._index["namespaces"].get(namespace, [])]

    def registry_keys(self) -> list[Key]:
        """Return the keys of the registry."""
        return [read(Key, each) for each in self._index["keys"]]

    def fetch(self, release: Release, target: Path, progress: Progress | None = None) -> None:
        """Copy the wheel of a release."""
        path = f"files/{release.sha256}/{release.filename}"
        if self._client:
            self._client.download(
                f"/{path}", target, sha256=release.sha256, size=release.size, progress=progress
            )
            return
        assert self._folder is not None
        from dteg.core.places import write_whole

        try:
            data = (self._folder / path).read_bytes()
        except OSError as error:
            raise NotFoundError(f"{self._folder / path} cannot be read: {error.strerror}") from None
        write_whole(target, data)
        try:
            check_file(target, release.filename, sha256=release.sha256, size=release.size)
        except BaseException:
            target.unlink()
            raise

    def _part(self, component: str) -> Any:
        if component not in self._index["components"]:
            raise NotFoundError(f"there is no component {component} in the mirror {self._url}")
        return self._read(f"components/{component}.json")

    def _read(self, path: str) -> Any:
        import json

        if self._client:
            return self._client.raw(f"/{path}")
        assert self._folder is not None
        try:
            return json.loads((self._folder / path).read_bytes())
        except OSError as error:
            hint = "; is this a folder that dteg mirror wrote?" if path == MIRROR_INDEX else ""
            raise NotFoundError(f"{self._folder / path} cannot be read: {error.strerror}{hint}") from None
        except ValueError:
            raise ConfigError(f"{self._folder / path} is not JSON; make the mirror again") from None


def open_source(url: str, client: RegistryClient | None) -> Source:
    """Return the source behind a URL: a mirror if it is a folder, or if a web server has one there.

    Args:
        url: A checked URL.
        client: A client for it; None for a folder.
    """
    if client is None:
        return MirrorSource(url)
    source = RegistrySource(client)
    try:
        source.registry_keys()  # needed in any case, and only a registry has them
    except NotARegistryError as error:
        try:
            return MirrorSource(url, client)
        except (NotARegistryError, NotFoundError):
            raise error from None
    return source


def read(model: type[RecordT], value: Any) -> RecordT:
    """Read one record of an answer.

    Raises:
        NotARegistryError: It is not as expected.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise NotARegistryError(
            f"the registry sends a {model.__name__.lower()} that cannot be read ({place}); is it a newer one?"
        ) from None


def readable(values: Any, component: str) -> list[Release]:
    """Return the releases that can be read; those of newer formats need a newer dteg and are left out."""
    found = []
    for value in values:
        try:
            release = Release.model_validate(value)
        except ValidationError:
            continue
        if release.component == component:
            found.append(release)
    return found


def _items(answer: Any, url: str) -> list[Any]:
    if not isinstance(answer, dict) or not isinstance(answer.get("items"), list):
        raise NotARegistryError(f"{url} answers, but not as a dteg registry does")
    items: list[Any] = answer["items"]
    return items
