"""Copies components for places without a way to the registry: a folder that any web server, or none, can serve.

    dteg-mirror.json              origin, time, keys of the registry and of publishers, names of components
    components/<ns>/<slug>.json   a component with its releases and their signatures
    files/<sha256>/<filename>     the wheels
    simple/<package>/index.html   the same for pip and uv

Signatures are copied with the files, and checked before and again by whoever installs from it: a mirror need not be
trusted.
"""

import html
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from dteg.core.errors import ConfigError, EnvironmentProblemError
from dteg.core.places import write_whole
from dteg.marketplace.client import TamperedError, check_file
from dteg.marketplace.records import Release
from dteg.marketplace.source import MIRROR_INDEX, Source
from dteg.marketplace.trust import Pins, prove

MIRROR_VERSION = 1


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What a mirror run did.

    Attributes:
        components: How many components are in it.
        releases: How many releases.
        copied: How many files were new.
        bytes: Size of all files.
    """

    components: int
    releases: int
    copied: int
    bytes: int


def make_mirror(
    source: Source, folder: Path, components: Sequence[str], now: datetime,
    watch: Callable[[str, int, int], None] = lambda name, done, count: None,
) -> Mirrored:  # fmt: skip
    """Copy components with all their installable releases into a folder; what is there already is kept.

    Args:
        source: Where from.
        folder: Where to; it is made if it is not there.
        components: Which, as `namespace/slug`.
        now: The time, noted in the mirror.
        watch: Told of each release: its id, its number, and how many there are.

    Raises:
        ConfigError: The folder holds something else.
        SignatureError: A signature does not hold: nothing of that component is listed.
        TamperedError: A file is not the one that was published.
    """
    _prepare(folder)
    pins = Pins.load(source.origin)
    known = {name: source.releases(name) for name in components}
    wanted = [each for releases in known.values() for each in releases if each.state in ("listed", "yanked")]
    attestations: dict[str, dict[str, list[dict[str, Any]]]] = {name: {} for name in components}
    copied = 0
    for number, release in enumerate(wanted, 1):
        watch(release.id, number, len(wanted))
        prove(source, release, pins)
        copied += _copy(source, release, folder)
        attestations[release.component][release.version] = source.attestations(release)
    for name, releases in known.items():
        part = {
            "component": source.component(name).model_dump(mode="json"),
            "releases": [each.model_dump(mode="json") for each in releases if each in wanted],
            "attestations": attestations[name],
        }
        _write(folder / "components" / f"{name}.json", part)
        _write_simple(folder, [each for each in releases if each in wanted])
    _write_index(source, folder, known, now)
    return Mirrored(len(known), len(wanted), copied, sum(each.size for each in wanted))


def _prepare(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MIRROR_INDEX).is_file():
        raise ConfigError(f"{folder} holds something else than a mirror; choose an empty folder")
    free = shutil.disk_usage(folder if folder.is_dir() else folder.absolute().parent).free
    if free < 50_000_000:
        raise EnvironmentProblemError(f"less than 50 MB are free at {folder}; choose another folder")


def _copy(source: Source, release: Release, folder: Path) -> int:
    target = folder / "files" / release.sha256 / release.filename
    try:
        check_file(target, release.filename, sha256=release.sha256, size=release.size)
    except (FileNotFoundError, TamperedError):
        source.fetch(release, target)
        return 1
    return 0


def _write_index(source: Source, folder: Path, components: Iterable[str], now: datetime) -> None:
    """Write the index last: a mirror that was broken off shows what it showed before."""
    before: dict[str, Any] = {}
    if (folder / MIRROR_INDEX).is_file():
        before = json.loads((folder / MIRROR_INDEX).read_bytes())
        if before.get("origin") != source.origin:
            raise ConfigError(
                f"{folder} mirrors {before.get('origin')}, not {source.origin}; choose another folder"
            )
    names = sorted({*before.get("components", ()), *components})
    namespaces = sorted({name.partition("/")[0] for name in components})
    keys = {ns: [key.model_dump(mode="json") for key in source.publisher_keys(ns)] for ns in namespaces}
    _write(
        folder / MIRROR_INDEX,
        {
            "mirror_version": MIRROR_VERSION,
            "origin": source.origin,
            "at": now.isoformat(),
            "components": names,
            "namespaces": {**before.get("namespaces", {}), **keys},
            "keys": [key.model_dump(mode="json") for key in source.registry_keys()],
        },
    )
    packages = sorted(each.name for each in (folder / "simple").iterdir() if each.is_dir())
    links = "".join(f'<a href="{name}/">{name}</a><br>\n' for name in packages)
    _write_page(folder / "simple" / "index.html", "Packages", links)


def _write_simple(folder: Path, releases: Sequence[Release]) -> None:
    """Write the page of a package as PEP 503 has it."""
    lines = []
    for release in releases:
        yanked = f' data-yanked="{html.escape(release.reason)}"' if release.state == "yanked" else ""
        python = html.escape(release.manifest.python_versions)
        href = f"../../files/{release.sha256}/{release.filename}#sha256={release.sha256}"
        lines.append(f'<a href="{href}" data-requires-python="{python}"{yanked}>{release.filename}</a><br>\n')
    if releases:
        name = canonicalize_name(releases[0].manifest.distribution)
        _write_page(folder / "simple" / name / "index.html", name, "".join(lines))


def _write_page(path: Path, title: str, body: str) -> None:
    head = f'<meta name="pypi:repository-version" content="1.0"><title>{title}</title>'
    write_whole(path, f"<!DOCTYPE html>\n<html><head>{head}</head><body>\n{body}</body></html>\n".encode())


def _write(path: Path, value: object) -> None:
    write_whole(path, json.dumps(value, indent=1).encode())
