"""The generated files of a wheel, written from the manifest and compared with it: METADATA, WHEEL, RECORD, entry points.

Everything an installer acts on (requirements, entry points, Python version) must say what the manifest says, as the
manifest is what people see before they install.
"""

import base64
import configparser
import csv
import email.message
import email.parser
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dteg.manifest import Manifest
from dteg.packages.problems import PackageProblem

GENERATOR = "dteg"
COMPONENTS_GROUP = "dteg.components"
DAGSTER_GROUP = "dagster_dg_cli.registry_modules"
DAGSTER_MODULE = "for_dagster"
PURE_TAG = "py3-none-any"
_REBUILD = "build the package with dteg (dteg publish does)"
_MANIFEST = "put it right in dteg.yaml"
_SINGLE = {
    "metadata_version",
    "name",
    "version",
    "summary",
    "author",
    "license_expression",
    "requires_python",
}
_ALLOWED = _SINGLE | {"keywords", "project_urls", "requires_dist", "description", "description_content_type"}


def dist_info(manifest: Manifest) -> str:
    """Return the name of the `.dist-info` folder."""
    return f"{_stem(manifest)}.dist-info"


def wheel_name(manifest: Manifest, tag: str = PURE_TAG) -> str:
    """Return the file name of the wheel."""
    return f"{_stem(manifest)}-{tag}.whl"


def _stem(manifest: Manifest) -> str:
    return f"{manifest.distribution.replace('-', '_')}-{manifest.version}"


def requirements(manifest: Manifest) -> list[str]:
    """Return what pip must install with it: dteg itself first."""
    return [f"dteg{manifest.framework_versions}", *manifest.dependencies]


def entry_points(manifest: Manifest, *, dagster: bool) -> dict[str, dict[str, str]]:
    """Return entry points by group and name; `dagster`: whether it has a module for `dg list components`."""
    name = f"{manifest.namespace}.{manifest.slug}"
    groups = {COMPONENTS_GROUP: {name: manifest.package}}
    if dagster:
        groups[DAGSTER_GROUP] = {name: f"{manifest.package}.{DAGSTER_MODULE}"}
    return groups


def render_metadata(manifest: Manifest, readme: str) -> bytes:
    """Write METADATA with the README as description."""
    fields = [
        ("Metadata-Version", "2.4"),
        ("Name", manifest.distribution),
        ("Version", manifest.version),
        ("Summary", manifest.description),
        ("Author", manifest.author),
        ("License-Expression", manifest.licence),
        ("Keywords", ",".join(manifest.tags)),
        ("Project-URL", f"Homepage, {manifest.homepage}" if manifest.homepage else ""),
        ("Requires-Python", manifest.python_versions),
        *(("Requires-Dist", each) for each in requirements(manifest)),
        ("Description-Content-Type", "text/markdown"),
    ]
    # A line break inside a value would begin another field.
    lines = [f"{name}: {' '.join(value.split())}" for name, value in fields if value]
    return ("\n".join([*lines, "", ""]) + readme).encode()


def render_wheel(tag: str = PURE_TAG) -> bytes:
    """Write WHEEL."""
    pure = str(tag == PURE_TAG).lower()
    return f"Wheel-Version: 1.0\nGenerator: {GENERATOR}\nRoot-Is-Purelib: {pure}\nTag: {tag}\n".encode()


def render_entry_points(manifest: Manifest, *, dagster: bool) -> bytes:
    """Write entry_points.txt."""
    groups = entry_points(manifest, dagster=dagster)
    blocks = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in names.items())
        for group, names in groups.items()
    ]
    return "\n".join(blocks).encode()


def render_record(files: Mapping[str, bytes], record: str) -> bytes:
    """Write RECORD for `files`; `record` is its own path."""
    rows = [f"{name},sha256={record_hash(content)},{len(content)}\n" for name, content in files.items()]
    return "".join([*rows, f"{record},,\n"]).encode()


def record_hash(content: bytes) -> str:
    """Return the SHA-256 as RECORD writes it."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def metadata_problems(
    content: bytes, manifest: Manifest, readme: str, entry: str
) -> Iterator[PackageProblem]:
    """Yield where METADATA says other things than the manifest and the README."""
    from packaging.metadata import parse_email

    raw, unknown = parse_email(content)
    fields: dict[str, Any] = dict(raw)
    for name in sorted({*unknown, *(set(fields) - _ALLOWED)}):
        message = f"has the field {name!r}, which a component does not need, or has it twice"
        yield PackageProblem("metadata-field", message, _REBUILD, entry)
    expected = {"name": manifest.distribution, "version": manifest.version}
    for name, value in expected.items():
        if fields.get(name) != value:
            message = f"{name.capitalize()} is {fields.get(name)!r}, dteg.yaml makes it {value!r}"
            yield PackageProblem(f"metadata-{name}", message, _REBUILD, entry)
    if _specifiers(fields.get("requires_python", "")) != _specifiers(manifest.python_versions):
        message = f"Requires-Python is not python_versions of dteg.yaml ({manifest.python_versions})"
        yield PackageProblem("metadata-requires-python", message, _REBUILD, entry)
    if _requirement_set(fields.get("requires_dist", [])) != _requirement_set(requirements(manifest)):
        message = f"Requires-Dist is not what dteg.yaml says ({', '.join(requirements(manifest))})"
        yield PackageProblem("metadata-requires-dist", message, _REBUILD, entry)
    if _lines(fields.get("description", "")) != _lines(readme):
        yield PackageProblem("metadata-description", "the description is not README.md", _REBUILD, entry)


def manifest_problems(manifest: Manifest, entry: str) -> Iterator[PackageProblem]:
    """Yield what the manifest's own patterns cannot see: names, ranges, requirements and licence that tools refuse."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
    from packaging.utils import canonicalize_name

    from dteg.core.errors import ConfigError
    from dteg.versions import parse_version

    def problem(code: str, message: str) -> PackageProblem:
        return PackageProblem(code, message, _MANIFEST, entry)

    if not manifest.namespace:
        yield problem("manifest", "has no namespace")
    if canonicalize_name(manifest.distribution) != manifest.distribution:
        yield problem("component-name", f"{manifest.name!r} has two underscores together, or one at its end")
    try:
        parse_version(manifest.version)
    except ConfigError as error:
        yield problem("manifest", str(error))
    for key, text in (("framework_versions", "dteg" + manifest.framework_versions),
                      ("python_versions", "python" + manifest.python_versions),
                      *(("dependencies", each) for each in manifest.dependencies)):  # fmt: skip
        if _requirement(text) is None:
            yield problem("requirement", f"{key}: {text!r} is not a requirement that pip reads")
    try:
        canonicalize_license_expression(manifest.licence)
    except InvalidLicenseExpression:
        yield problem(
            "licence", f"{manifest.licence!r} is not an SPDX expression such as Apache-2.0 or LicenseRef-Ours"
        )


def wheel_problems(content: bytes, *, native: bool, entry: str) -> Iterator[PackageProblem]:
    """Yield what is wrong with WHEEL."""
    message = _headers(content)
    tags = message.get_all("Tag") or []
    if message.get_all("Wheel-Version") != ["1.0"]:
        yield PackageProblem("wheel-version", "Wheel-Version is not 1.0", _REBUILD, entry)
    if message.get_all("Root-Is-Purelib") not in (["true"], ["false"] if native else ["true"]):
        yield PackageProblem("wheel-purelib", "Root-Is-Purelib is not true", _REBUILD, entry)
    if len(tags) != 1 or (tags != [PURE_TAG] and not (native and _is_tag(tags[0]))):
        remedy = "a wheel for one platform needs the capability native"
        yield PackageProblem(
            "wheel-tag", f"Tag is {', '.join(map(str, tags)) or 'missing'}, not {PURE_TAG}", remedy, entry
        )


def wheel_tag(content: bytes) -> str:
    """Return the tag that WHEEL states."""
    return str(_headers(content).get("Tag", PURE_TAG))


def entry_point_problems(
    content: bytes, manifest: Manifest, *, dagster: bool, entry: str
) -> Iterator[PackageProblem]:
    """Yield where entry_points.txt differs from what the manifest makes it, programs above all."""
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, default_section="")
    parser.optionxform = str  # type: ignore[assignment,method-assign] # names keep their case
    try:
        parser.read_string(content.decode())
        found = {group: dict(parser.items(group)) for group in parser.sections()}
    except (configparser.Error, UnicodeDecodeError):
        yield PackageProblem("entry-points", "cannot be read", _REBUILD, entry)
        return
    for group in found.keys() & {"console_scripts", "gui_scripts"}:
        message = f"installs programs ({', '.join(found[group])})"
        yield PackageProblem("scripts", message, "leave them out: components bring no programs", entry)
    if found != entry_points(manifest, dagster=dagster) and not found.keys() & {
        "console_scripts",
        "gui_scripts",
    }:
        yield PackageProblem("entry-points", "are not those that dteg.yaml makes", _REBUILD, entry)


def record_problems(
    content: bytes, files: Mapping[str, tuple[str, int]], entry: str
) -> Iterator[PackageProblem]:
    """Yield where RECORD and the files differ.

    Args:
        content: RECORD.
        files: Hash (as RECORD writes it) and size by path; with RECORD itself.
        entry: Path of RECORD.
    """
    try:
        rows = list(csv.reader(io.StringIO(content.decode()), strict=True))
    except (csv.Error, UnicodeDecodeError):
        yield PackageProblem("record", "cannot be read", _REBUILD, entry)
        return
    seen: set[str] = set()
    for row in rows:
        yield from _record_row_problems(row, files, seen, entry)
    for name in sorted(files.keys() - seen):
        yield PackageProblem("record-missing", "is not listed in RECORD", _REBUILD, name)


def _record_row_problems(
    row: list[str], files: Mapping[str, tuple[str, int]], seen: set[str], entry: str
) -> Iterator[PackageProblem]:
    if len(row) != 3:
        yield PackageProblem("record", f"has a line of {len(row)} columns, not 3", _REBUILD, entry)
        return
    name, stated_hash, stated_size = row
    if name in seen:
        yield PackageProblem("record-twice", "is listed twice in RECORD", _REBUILD, name)
    elif name not in files:
        yield PackageProblem("record-extra", "is listed in RECORD but is not there", _REBUILD, name)
    elif (stated_hash, stated_size) != _expected_row(name, files[name], entry):
        yield PackageProblem("record-hash", "is not what RECORD says by SHA-256 and size", _REBUILD, name)
    seen.add(name)


def _expected_row(name: str, known: tuple[str, int], record: str) -> tuple[str, str]:
    return ("", "") if name == record else (f"sha256={known[0]}", str(known[1]))


def _headers(content: bytes) -> email.message.Message:
    return email.parser.Parser().parsestr(content.decode("utf-8", "replace"))


def _is_tag(text: str) -> bool:
    return len(text.split("-")) == 3 and all(
        part.replace("_", "a").replace(".", "a").isalnum() for part in text.split("-")
    )


def _specifiers(text: str) -> object:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        return None


def _requirement(text: str) -> str | None:
    """Return a requirement in its one spelling; None if it is none, or names an address."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return None
    if requirement.url:
        return None
    requirement.name = canonicalize_name(requirement.name)
    return str(requirement)


def _requirement_set(texts: Iterable[str]) -> list[str]:
    return sorted(_requirement(each) or f"? {each}" for each in texts)


def _lines(text: str) -> list[str]:
    return text.strip().splitlines()
