"""Looks into the wheel of a component without running it, and unpacks it if everything in it is allowed."""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from dteg.core.errors import ConfigError, EnvironmentProblemError
from dteg.core.yaml import parse, validate
from dteg.manifest import MANIFEST_NAME, Manifest
from dteg.packages import limits, metadata
from dteg.packages.archive import Archive
from dteg.packages.problems import PackageError, PackageProblem

SCHEMA_NAME = "dteg.schema.json"
README_NAME = "README.md"
INIT_NAME = "__init__.py"
_INFO_FILES = ("METADATA", "WHEEL", "RECORD", "entry_points.txt", MANIFEST_NAME)
_REBUILD = "build the package with dteg (dteg publish does)"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a package.

    Attributes:
        path: Where it is unpacked, with `/` between folders.
        size: Size (bytes).
        sha256: Hash, hexadecimal.
    """

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class WheelContents:
    """What a sound wheel holds.

    Attributes:
        filename: The name that belongs to its contents, whatever the file is called now.
        sha256: Hash of the wheel, hexadecimal.
        size: Size of the wheel (bytes).
        manifest: Its `dteg.yaml`.
        readme: Its README.md.
        config_schema: JSON Schema of its config.
        files: All its files, sorted by path.
    """

    filename: str
    sha256: str
    size: int
    manifest: Manifest
    readme: str
    config_schema: dict[str, Any]
    files: tuple[FileEntry, ...]


def inspect_wheel(path: Path) -> WheelContents:
    """Look into a wheel; nothing of it is written or run.

    A file that is called `*.whl` must have the name that belongs to its contents; any other name, such as that of an
    upload in progress, does not matter.

    Raises:
        PackageError: It breaks a rule; with all problems that can be told at once.
    """
    try:
        return _Opened(_read(path)).contents(path.name)
    except PackageError as error:
        raise PackageError(error.problems, source=path.name) from None


def unpack_wheel(path: Path, folder: Path) -> None:
    """Unpack a wheel into a new or empty folder, all of it or nothing.

    Raises:
        PackageError: It breaks a rule; nothing is written.
        EnvironmentProblemError: The folder is not empty or cannot be written; nothing is left in it.
    """
    try:
        wheel = _Opened(_read(path))
        allowed = {file.path for file in wheel.contents(path.name).files}
    except PackageError as error:
        raise PackageError(error.problems, source=path.name) from None
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise EnvironmentProblemError(f"{folder} is not an empty folder; choose another one")
    beside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        for name, content in wheel.files():
            if name in allowed:
                _write(beside / name, content)
        beside.replace(folder)  # over an empty folder, at once
    except OSError as error:
        raise EnvironmentProblemError(f"{folder} cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o644)
    with os.fdopen(handle, "wb") as file:
        file.write(content)


def _read(path: Path) -> bytes:
    """Read a file, but never more than one byte beyond what is allowed."""
    try:
        with path.open("rb") as file:
            return file.read(limits.MAX_PACKED_BYTES + 1)
    except OSError as error:
        remedy = "check the path"
        raise PackageError(
            [PackageProblem("unreadable", f"cannot be read: {error.strerror}", remedy)]
        ) from None


class _Opened:
    """One wheel in memory: its bytes are read once, so that what is checked is what is unpacked."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.archive = Archive.parse(data)
        self.entries = {entry.name: entry for entry in self.archive.entries}

    def files(self) -> Iterator[tuple[str, bytes]]:
        for name, entry in self.entries.items():
            yield name, self.archive.read(entry)

    def contents(self, filename: str) -> WheelContents:
        manifest, info = self._manifest()
        package = manifest.package.replace(".", "/")
        problems = list(metadata.manifest_problems(manifest, f"{info}/{MANIFEST_NAME}"))
        problems += layout_problems(list(self.entries), manifest, package, info)
        if problems:
            raise PackageError(problems)
        files, hashes = self._hashes()
        readme, schema = self._text(f"{package}/{README_NAME}"), self._schema(f"{package}/{SCHEMA_NAME}")
        name = metadata.wheel_name(manifest, metadata.wheel_tag(self._content(f"{info}/WHEEL")))
        problems += self._content_problems(manifest, package, info, readme)
        problems += metadata.record_problems(self._content(f"{info}/RECORD"), hashes, f"{info}/RECORD")
        if filename.endswith(".whl") and filename != name:
            problems.append(PackageProblem("filename", f"its contents belong to {name}", "rename the file"))
        if problems:
            raise PackageError(problems)
        digest = hashlib.sha256(self.data).hexdigest()
        return WheelContents(name, digest, len(self.data), manifest, readme, schema, files)

    def _manifest(self) -> tuple[Manifest, str]:
        """Return the manifest and the one `.dist-info` folder, which must carry its name."""
        folders = sorted(
            {name.split("/")[0] for name in self.entries if name.split("/")[0].endswith(".dist-info")}
        )
        if len(folders) != 1 or f"{folders[0]}/{MANIFEST_NAME}" not in self.entries:
            message = f"needs one .dist-info folder with {MANIFEST_NAME} in it, has {len(folders)} folders"
            raise PackageError([PackageProblem("dist-info", message, _REBUILD)])
        entry = f"{folders[0]}/{MANIFEST_NAME}"
        try:
            manifest = validate(parse(self._text(entry), entry), Manifest)
        except ConfigError as error:
            problems = [
                PackageProblem("manifest", str(each).removeprefix(f"{entry}:"), "repair dteg.yaml", entry)
                for each in error.problems
            ]
            raise PackageError(problems) from None
        if folders[0] != metadata.dist_info(manifest):
            message = f"must be called {metadata.dist_info(manifest)} by its manifest"
            raise PackageError([PackageProblem("dist-info", message, _REBUILD, folders[0])])
        return manifest, folders[0]

    def _hashes(self) -> tuple[tuple[FileEntry, ...], dict[str, tuple[str, int]]]:
        files, hashes = [], {}
        for name, content in self.files():
            files.append(FileEntry(name, len(content), hashlib.sha256(content).hexdigest()))
            hashes[name] = (metadata.record_hash(content), len(content))
        return tuple(sorted(files, key=lambda file: file.path)), hashes

    def _content_problems(
        self, manifest: Manifest, package: str, info: str, readme: str
    ) -> Iterator[PackageProblem]:
        if self._content(f"{package}/{MANIFEST_NAME}") != self._content(f"{info}/{MANIFEST_NAME}"):
            yield PackageProblem(
                "manifest-copy", "the two copies of dteg.yaml differ", _REBUILD, f"{package}/{MANIFEST_NAME}"
            )
        yield from metadata.metadata_problems(
            self._content(f"{info}/METADATA"), manifest, readme, f"{info}/METADATA"
        )
        native = manifest.capabilities.native
        yield from metadata.wheel_problems(
            self._content(f"{info}/WHEEL"), native=native, entry=f"{info}/WHEEL"
        )
        dagster = f"{package}/{metadata.DAGSTER_MODULE}.py" in self.entries
        yield from metadata.entry_point_problems(
            self._content(f"{info}/entry_points.txt"),
            manifest,
            dagster=dagster,
            entry=f"{info}/entry_points.txt",
        )
        if manifest.form != "code":
            yield from self._data_only_problems(package)

    def _data_only_problems(self, package: str) -> Iterator[PackageProblem]:
        """A component without code has none, but for an empty `__init__.py` and its tests."""
        for name in self.entries:
            file = PurePosixPath(name)
            is_test = file.name.startswith("test_") or file.name == "conftest.py"
            if (
                file.suffix == ".py"
                and not is_test
                and (file.name != INIT_NAME or self._content(name).strip())
            ):
                yield PackageProblem(
                    "code-in-data", "is code, but the form is not", "write form: code in dteg.yaml", name
                )

    def _schema(self, name: str) -> dict[str, Any]:
        remedy = "give the config model to the component's class, and build the package with dteg"
        if self.entries[name].size > limits.MAX_SCHEMA_BYTES:
            message = f"is larger than {limits.MAX_SCHEMA_BYTES:,} bytes"
            raise PackageError([PackageProblem("config-schema", message, remedy, name)])
        try:
            schema = json.loads(self._content(name))
        except (ValueError, RecursionError):
            raise PackageError([PackageProblem("config-schema", "is not JSON", remedy, name)]) from None
        if not isinstance(schema, dict) or schema.get("type") != "object":
            raise PackageError([PackageProblem("config-schema", "describes no object", remedy, name)])
        return schema

    def _text(self, name: str) -> str:
        try:
            return self._content(name).decode()
        except UnicodeDecodeError:
            raise PackageError(
                [PackageProblem("encoding", "is not UTF-8", "save it as UTF-8", name)]
            ) from None

    def _content(self, name: str) -> bytes:
        return self.archive.read(self.entries[name])


def layout_problems(
    names: list[str], manifest: Manifest, package: str, info: str
) -> Iterator[PackageProblem]:
    """Yield files that may not lie where they do, and those that are missing.

    Args:
        names: All paths.
        manifest: For capabilities, form and entry point.
        package: Folder of the component's package.
        info: The `.dist-info` folder.
    """
    present = set(names)
    needed = [f"{package}/{name}" for name in (INIT_NAME, MANIFEST_NAME, README_NAME, SCHEMA_NAME)]
    for name in [*needed, *(f"{info}/{file}" for file in _INFO_FILES)]:
        if name not in present:
            yield PackageProblem("missing-file", "is missing", _add(name), name)
    for name in names:
        if name.startswith(f"{package}/"):
            yield from _kind_problems(name, native=manifest.capabilities.native)
        elif name not in {f"{info}/{file}" for file in _INFO_FILES}:
            yield _outside(name, package)
    if manifest.form == "code":
        yield from _entry_point_file(present, manifest, package)


def _add(name: str) -> str:
    return "write one" if name.endswith(README_NAME) else _REBUILD


def _entry_point_file(present: set[str], manifest: Manifest, package: str) -> Iterator[PackageProblem]:
    module, _, _ = manifest.entry_point.partition(":")
    if not module:
        yield PackageProblem(
            "manifest", "has no entry_point", "write entry_point: module:Class", MANIFEST_NAME
        )
    elif f"{package}/{module}.py" not in present and f"{package}/{module}/{INIT_NAME}" not in present:
        message = f"has no module {module!r}, which entry_point names"
        yield PackageProblem("missing-file", message, "put it right in dteg.yaml", MANIFEST_NAME)


def _outside(name: str, package: str) -> PackageProblem:
    first = name.split("/", maxsplit=1)[0]
    if name.endswith(".pth"):
        return PackageProblem("pth-file", "runs code at each start of Python", "leave it out", name)
    if first.endswith(".data"):
        return PackageProblem("data-folder", "is installed outside the package", "leave it out", name)
    if first.endswith(".dist-info"):
        return PackageProblem("info-file", "does not belong into the .dist-info folder", "leave it out", name)
    return PackageProblem("outside-package", f"lies outside {package}/", "move it there", name)


def _kind_problems(name: str, *, native: bool) -> Iterator[PackageProblem]:
    file = PurePosixPath(name)
    if file.suffix == ".pth":
        yield PackageProblem("pth-file", "runs code at each start of Python", "leave it out", name)
    elif file.suffix in limits.NATIVE_SUFFIXES or ".so." in file.name:
        if not native:
            remedy = "declare capabilities: {native: true} in dteg.yaml, or leave it out"
            yield PackageProblem("native", "is compiled code", remedy, name)
    elif (
        file.suffix not in limits.CODE_SUFFIXES | limits.DATA_SUFFIXES and file.name not in limits.PLAIN_NAMES
    ):
        yield PackageProblem(
            "file-kind", f"files like *{file.suffix or file.name} are not taken", "leave it out", name
        )
