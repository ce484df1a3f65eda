"""Makes the wheel of a component: the same bytes for the same folder, on every machine and at any time."""

import contextlib
import importlib
import json
import re
import secrets
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from dteg.connectors.discovery import Component
from dteg.core.errors import ConfigError, DtegError, EnvironmentProblemError, Problem
from dteg.core.secrets import redact
from dteg.core.yaml import parse, read, validate
from dteg.manifest import MANIFEST_NAME, NAMESPACE_PATTERN, Manifest
from dteg.packages import metadata
from dteg.packages.contents import INIT_NAME, README_NAME, SCHEMA_NAME, inspect_wheel
from dteg.packages.limits import MAX_ENTRIES, MAX_UNPACKED_BYTES, NATIVE_SUFFIXES
from dteg.packages.problems import PackageError, PackageProblem

# Earliest time that ZIP knows. Dates of files differ from checkout to checkout.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_LEFT_OUT = re.compile(r"\..*|__pycache__|.*\.py[co]|.*~")
_NO_CONFIG = {"additionalProperties": False, "properties": {}, "title": "Config", "type": "object"}


def build_wheel(folder: Path, *, namespace: str, out: Path) -> Path:
    """Build the wheel of a component and check it by the rules of the registry.

    Imports the component, to write down the JSON Schema of its config. Hidden files and compiled Python are left out.

    Args:
        folder: The component's folder, with dteg.yaml in it.
        namespace: Whose it will be in the marketplace; dteg.yaml may leave it out but not name another one.
        out: Folder for the wheel; is made if it is not there.

    Returns:
        Path of the wheel.

    Raises:
        ConfigError: dteg.yaml or the code is not valid.
        PackageError: The folder holds something that the registry refuses.
        EnvironmentProblemError: `out` cannot be written.
    """
    text, manifest = manifest_in(folder, namespace)
    files = _package_files(folder, manifest)
    files[MANIFEST_NAME] = text.encode()
    files[SCHEMA_NAME] = _json(config_schema(folder, manifest))
    files.setdefault(INIT_NAME, b"")
    if manifest.form == "code":
        files.setdefault(f"{metadata.DAGSTER_MODULE}.py", _dagster_module(manifest))
    tag = _tag(files)
    content = _wheel_files(manifest, files, tag)
    try:
        return _write_checked(content, out, metadata.wheel_name(manifest, tag))
    except PackageError as error:
        package = manifest.package.replace(".", "/")
        problems = [replace(each, entry=each.entry.removeprefix(f"{package}/")) for each in error.problems]
        raise PackageError(problems, source=str(folder)) from None


def manifest_in(folder: Path, namespace: str) -> tuple[str, Manifest]:
    """Return the text and the model of a folder's dteg.yaml, with the namespace written into both.

    Raises:
        ConfigError: It is not valid, or names another namespace.
    """
    path = folder / MANIFEST_NAME
    document = read(path)
    manifest = validate(document, Manifest)
    if not re.fullmatch(NAMESPACE_PATTERN, namespace):
        raise ConfigError(
            f"{namespace!r} is no namespace; use 2 to 39 small letters and digits, a letter first"
        )
    text = path.read_text(encoding="utf-8-sig")
    if manifest.namespace == namespace:
        return text, manifest
    if "namespace" in document.value:
        message = f"is {manifest.namespace!r}, but the package is built for {namespace!r}; make them one"
        raise ConfigError([document.problem(("namespace",), message)])
    lines = text.splitlines(keepends=True)
    first = min(document.lines[(key,)] for key in document.value) - 1
    text = "".join([*lines[:first], f"namespace: {namespace}\n", *lines[first:]])
    try:
        manifest = validate(parse(text, str(path)), Manifest)
    except ConfigError:  # such as a manifest in braces
        message = f"write the line `namespace: {namespace}` into it"
        raise ConfigError([Problem(message, file=str(path))]) from None
    return text, manifest


def config_schema(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """Return the JSON Schema of a component's config, from its config model.

    Raises:
        ConfigError: The code cannot be imported, or has no such class.
    """
    if manifest.form != "code":
        return _NO_CONFIG
    if not manifest.entry_point:
        message = "this key is required: entry_point: module:Class"
        raise ConfigError([Problem(message, file=str(folder / MANIFEST_NAME))])
    importlib.invalidate_caches()
    try:
        return Component(manifest, folder).config_model.model_json_schema()
    except DtegError:
        raise
    except (Exception, SystemExit) as error:
        message = f"cannot be imported: {type(error).__name__}: {redact(str(error))}"
        module, _, _ = manifest.entry_point.partition(":")
        raise ConfigError([Problem(message, file=str(folder / f"{module}.py"))]) from error


def _package_files(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    size = 0
    for path in _walk(folder):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not path.is_file():
            raise _refused("symlink", "is a link or no plain file", "replace it by the file itself", name)
        size += path.stat().st_size
        if size > MAX_UNPACKED_BYTES or len(files) >= MAX_ENTRIES:
            limit = f"more than {MAX_ENTRIES} files or {MAX_UNPACKED_BYTES:,} bytes"
            raise _refused("too-large-unpacked", limit, "leave out what is not needed", name)
        files[name] = path.read_bytes()
    if README_NAME not in files:
        message = f"{manifest.name} has no {README_NAME}; write one: what it does, configuration, example, troubleshooting"
        raise ConfigError([Problem(message, file=str(folder))])
    try:
        files[README_NAME].decode()
    except UnicodeDecodeError:
        raise _refused("encoding", "is not UTF-8", "save it as UTF-8", README_NAME) from None
    return files


def _refused(code: str, message: str, remedy: str, name: str) -> PackageError:
    return PackageError([PackageProblem(code, message, remedy, name)])


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir(), key=lambda each: each.name):
        if _LEFT_OUT.fullmatch(path.name):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)
        else:
            yield path


def _dagster_module(manifest: Manifest) -> bytes:
    """Write the module that `dg list components` imports; nothing else does, so Dagster stays optional."""
    class_name = manifest.entry_point.split(":")[1]
    tags = ["dteg", manifest.kind, *manifest.tags]
    return f'''"""Shows the component to Dagster's `dg`. Made by dteg from dteg.yaml; nothing else imports it."""

import dagster
import orchestration.lib


class {class_name}(orchestration.lib.PipelineComponent):
    __doc__ = {f"{manifest.description} In pipelines: dteg://{manifest.namespace}/{manifest.slug}"!r}

    @classmethod
    def get_spec(cls):
        """Say what it is, for lists of component types."""
        return dagster.ComponentTypeSpec(
            description={manifest.description!r},
            tags={tags!r},
        )
'''.encode()


def _tag(files: dict[str, bytes]) -> str:
    if not any(Path(name).suffix in NATIVE_SUFFIXES for name in files):
        return metadata.PURE_TAG
    from packaging.tags import sys_tags

    return str(next(sys_tags()))


def _wheel_files(manifest: Manifest, files: dict[str, bytes], tag: str) -> dict[str, bytes]:
    package, info = manifest.package.replace(".", "/"), metadata.dist_info(manifest)
    dagster = f"{metadata.DAGSTER_MODULE}.py" in files
    content = {f"{package}/{name}": files[name] for name in sorted(files)}
    content[f"{info}/METADATA"] = metadata.render_metadata(manifest, files[README_NAME].decode())
    content[f"{info}/WHEEL"] = metadata.render_wheel(tag)
    content[f"{info}/{MANIFEST_NAME}"] = files[MANIFEST_NAME]
    content[f"{info}/entry_points.txt"] = metadata.render_entry_points(manifest, dagster=dagster)
    return {**content, f"{info}/RECORD": metadata.render_record(content, f"{info}/RECORD")}


def _write_checked(files: dict[str, bytes], out: Path, name: str) -> Path:
    """Write the wheel, look into it as a registry would, and only then give it its name."""
    beside = out / f".{name}.{secrets.token_hex(4)}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        # Stored, not deflated: builds of zlib differ in what they make of the same bytes.
        with zipfile.ZipFile(beside, "x", zipfile.ZIP_STORED) as archive:
            for path, content in files.items():
                info = zipfile.ZipInfo(path, _EPOCH)
                info.create_system = 3
                info.external_attr = 0o100644 << 16
                archive.writestr(info, content)
        inspect_wheel(beside)
        beside.replace(out / name)
    except OSError as error:
        raise EnvironmentProblemError(f"{out} cannot be written: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()
    return out / name


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False) + "\n").encode()
