"""Copies an installed component into the project to change it, and brings later releases into that copy."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dteg.core.errors import ConfigError, ConflictError
from dteg.core.places import write_whole
from dteg.core.project import Project
from dteg.marketplace.lockfile import Lock, LockedComponent, read_lock, write_lock
from dteg.marketplace.merge import MARKS, Merged, merge_trees
from dteg.packages import WheelContents, unpack_wheel

BASE_NAME = ".ejected.lock"
"""Beside the copy: which release it was made from. Hidden, so it is not packed when the copy is published."""
_MADE_BY_BUILD = ("dteg.schema.json", "for_dagster.py")


@dataclass(frozen=True, slots=True)
class Ejected:
    """A copy of a component in a project.

    Attributes:
        folder: Where it lies.
        base: The release that it was made from.
        registry: Where that came from.
    """

    folder: Path
    base: LockedComponent
    registry: str


def eject(project: Project, locked: LockedComponent, registry: str, wheel: Path, contents: WheelContents) -> Ejected:  # fmt: skip
    """Copy a component's code to `components/<kind>s/<name>`.

    Args:
        project: Where to.
        locked: What is installed.
        registry: Where it came from.
        wheel: Its verified wheel.
        contents: What is in it.

    Raises:
        ConflictError: The folder is there already.
    """
    manifest = contents.manifest
    folder = project.components_dir / f"{manifest.kind}s" / manifest.name
    if folder.exists():
        raise ConflictError(f"{folder.relative_to(project.root)} is there already; move it away first")
    for name, content in component_files(wheel, contents, project.state_dir).items():
        write_whole(folder / name, content)
    ejected = Ejected(folder, locked, registry)
    _write_base(ejected)
    return ejected


def ejected_components(project: Project) -> Iterator[Ejected]:
    """Yield the copies in a project."""
    for path in sorted(project.components_dir.glob(f"*/*/{BASE_NAME}")):
        lock = read_lock(path)
        if len(lock.components) != 1:
            raise ConfigError(f"{path} is damaged; restore it from your repository")
        (base,) = lock.components.values()
        yield Ejected(path.parent, base, lock.registry)


def merge_release(
    ejected: Ejected, new: LockedComponent, base_files: dict[str, bytes], new_files: dict[str, bytes], git: str
) -> Merged:  # fmt: skip
    """Bring a release into a copy; what both sides changed is marked in the files and told.

    Raises:
        ConflictError: Marks of an earlier merge are still in the copy.
    """
    ours = {
        path.relative_to(ejected.folder).as_posix(): path.read_bytes()
        for path in sorted(ejected.folder.rglob("*"))
        if path.is_file() and not _is_left_out(path.relative_to(ejected.folder))
    }
    open_marks = [name for name, content in ours.items() if _has_marks(content)]
    if open_marks:
        raise ConflictError(
            f"{ejected.folder}: conflicts of the last update are still open in {', '.join(open_marks)}; "
            "choose between the marks <<<<<<< and >>>>>>> first"
        )
    merged = merge_trees(base_files, ours, new_files, git)
    for name, content in merged.write.items():
        write_whole(ejected.folder / name, content)
    for name in merged.delete:
        (ejected.folder / name).unlink(missing_ok=True)
    _write_base(Ejected(ejected.folder, new, ejected.registry))
    return merged


def component_files(wheel: Path, contents: WheelContents, scratch: Path) -> dict[str, bytes]:
    """Return the files that an author wrote, without what the build adds.

    Args:
        wheel: A verified wheel.
        contents: What is in it.
        scratch: A folder to unpack in.
    """
    folder = scratch / f"unpacked-{contents.sha256[:16]}"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        unpack_wheel(wheel, folder)
        root = folder / contents.manifest.package.replace(".", "/")
        found = {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for name in _MADE_BY_BUILD:
        found.pop(name, None)
    if not found.get("__init__.py", b"x"):  # the build adds an empty one where there is none
        del found["__init__.py"]
    return found


def _write_base(ejected: Ejected) -> None:
    lock = Lock(ejected.registry, {ejected.base.id: ejected.base})
    write_lock(ejected.folder / BASE_NAME, lock.to_toml())


def _is_left_out(path: Path) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in path.parts)


def _has_marks(content: bytes) -> bool:
    return all(any(line.startswith(mark) for line in content.splitlines()) for mark in MARKS)
