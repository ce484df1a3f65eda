"""Which paths a package may hold: such as mean the same file on every system, and none outside its folder."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from dteg.packages.limits import MAX_NAME_CHARACTERS, MAX_NAME_DEPTH
from dteg.packages.problems import PackageProblem

_PLAIN = re.compile(r"[A-Za-z0-9_.+-]+")
_DRIVE = re.compile(r"^[A-Za-z]:")
# Windows takes these for devices, whatever suffix follows.
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))]
)
_RENAME = "rename the file"
_BELOW = "use a path below the package's folder"

Finding = tuple[str, str, str]


def name_problem(name: str) -> PackageProblem | None:
    """Return what is wrong with one path, None if nothing is.

    Refused rather than repaired: two tools might repair the same name differently.
    """
    for code, message, remedy in _findings(name):
        return PackageProblem(code, message, remedy, name)
    return None


def _findings(name: str) -> Iterator[Finding]:
    if not name:
        yield "empty-name", "an entry without a name", "build the package with dteg"
    if "\x00" in name:
        yield "nul-in-name", "the name holds a NUL character", _RENAME
    if name.startswith(("/", "\\")):
        yield "absolute-path", "an absolute path", _BELOW
    if _DRIVE.match(name):
        yield "drive-path", "a path with a drive", _BELOW
    if "\\" in name:
        yield "backslash", "a backslash in a path", "use / between folders"
    if name.endswith("/"):
        yield "directory-entry", "an entry for a folder", "leave it out: files make their folders"
    yield from _part_findings(name, name.split("/"))


def _part_findings(name: str, parts: Sequence[str]) -> Iterator[Finding]:
    if ".." in parts:
        yield "parent-path", "a path that leads out of its folder (..)", _BELOW
    if "." in parts or "" in parts:
        yield "unclean-path", "a path with an empty part or a single dot", _RENAME
    if len(name) > MAX_NAME_CHARACTERS or len(parts) > MAX_NAME_DEPTH:
        limit = f"{MAX_NAME_CHARACTERS} characters or {MAX_NAME_DEPTH} parts"
        yield "long-name", f"a path of more than {limit}", "use a shorter path"
    for part in parts:
        if not _PLAIN.fullmatch(part):
            yield "name-characters", "a name with other characters than A-Z a-z 0-9 _ . + -", _RENAME
        if part.startswith(".") or part.endswith("."):
            yield "dotted-name", "a hidden name, or one that ends with a dot", _RENAME
        if part.split(".")[0].lower() in _DEVICES:
            yield "device-name", f"{part.split('.')[0]} is a device on Windows", _RENAME


def clashes(names: Sequence[str]) -> Iterator[PackageProblem]:
    """Yield names that some system takes for one and the same file, and files that are folders of others."""
    files: dict[str, str] = {}
    for name in names:
        key = _folded(name)
        if key not in files:
            files[key] = name
        elif files[key] == name:
            yield PackageProblem("duplicate-name", "stands twice in the package", "keep one of them", name)
        else:
            message = f"is the same file as {files[key]} where case and Unicode forms do not count"
            yield PackageProblem("clashing-name", message, "rename one of them", name)
    for key, name in files.items():
        parts = key.split("/")
        above = ("/".join(parts[:end]) for end in range(1, len(parts)))
        if file := next((files[folder] for folder in above if folder in files), None):
            message = f"lies in a folder that is also a file ({file})"
            yield PackageProblem("file-is-folder", message, "rename one of them", name)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
