"""Three-way merge of a component's copy: what both sides changed is marked, nothing of the user's is lost."""

import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path

Files = Mapping[str, bytes]
OURS, BASE, THEIRS = "yours", "base", "new"
MARKS = (b"<<<<<<< ", b">>>>>>> ")


@dataclass
class Merged:
    """The outcome.

    Attributes:
        write: New content by path.
        delete: Paths to delete.
        conflicts: What a person has to look at, by path.
    """

    write: dict[str, bytes] = field(default_factory=dict)
    delete: list[str] = field(default_factory=list)
    conflicts: dict[str, str] = field(default_factory=dict)


def merge_trees(base: Files, ours: Files, theirs: Files, git: str = "") -> Merged:
    """Merge two changed copies of a folder.

    Args:
        base: What both began with.
        ours: The user's copy; its changes win where only it changed.
        theirs: The new release.
        git: Program for `git merge-file`; "" to merge without it.
    """
    merged = Merged()
    for path in sorted({*base, *ours, *theirs}):
        before, mine, new = base.get(path), ours.get(path), theirs.get(path)
        if new in (before, mine):
            continue
        if mine == before:
            if new is None:
                merged.delete.append(path)
            else:
                merged.write[path] = new
        elif new is None:
            merged.conflicts[path] = "changed by you, removed in the new release; yours is kept"
        elif mine is None:
            merged.write[f"{path}.{THEIRS}"] = new
            merged.conflicts[path] = f"removed by you, changed in the new release; see {path}.{THEIRS}"
        else:
            _merge_file(path, (before or b"", mine, new), git, merged)
    return merged


def _merge_file(path: str, sides: tuple[bytes, bytes, bytes], git: str, merged: Merged) -> None:
    base, mine, new = sides
    if any(b"\x00" in side for side in sides):
        merged.write[f"{path}.{THEIRS}"] = new
        merged.conflicts[path] = f"no text, and changed on both sides; yours is kept, see {path}.{THEIRS}"
        return
    content, conflicts = merge_with_git(git, *sides) if git else merge_text(base, mine, new)
    if content != mine:
        merged.write[path] = content
    if conflicts:
        places = "one place" if conflicts == 1 else f"{conflicts} places"
        merged.conflicts[path] = f"changed on both sides in {places}; look for <<<<<<<"


def merge_with_git(git: str, base: bytes, ours: bytes, theirs: bytes) -> tuple[bytes, int]:
    """Merge one text with `git merge-file`; return it and the number of conflicts."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in (OURS, BASE, THEIRS)]
        for path, content in zip(paths, (ours, base, theirs), strict=True):
            path.write_bytes(content)
        labels = [word for name in (OURS, BASE, THEIRS) for word in ("-L", name)]
        done = subprocess.run(
            [git, "merge-file", "-p", "--diff3", *labels, *map(str, paths)],
            capture_output=True, check=False, timeout=60, cwd=folder,
        )  # fmt: skip
    if done.returncode < 0 or done.returncode > 127:
        return merge_text(base, ours, theirs)
    return done.stdout, done.returncode


def merge_text(base: bytes, ours: bytes, theirs: bytes) -> tuple[bytes, int]:
    """Merge one text by lines; return it and the number of conflicts.

    Source: Khanna, Kunal, Pierce, A Formal Investigation of Diff3 (2007).
    """
    lines = [side.splitlines(keepends=True) for side in (base, ours, theirs)]
    parts: list[bytes] = []
    conflicts = 0
    for stable, (old, mine, new) in _chunks(*lines):
        if stable or new in (mine, old):
            parts += mine
        elif old == mine:
            parts += new
        else:
            conflicts += 1
            parts += _marked(old, mine, new)
    return b"".join(parts), conflicts


def _marked(old: Sequence[bytes], mine: Sequence[bytes], new: Sequence[bytes]) -> list[bytes]:
    found = []
    for mark, label, side in ((b"<" * 7, OURS, mine), (b"|" * 7, BASE, old), (b"=" * 7, "", new)):
        head = mark + (b" " + label.encode() if label else b"")
        found += [head + b"\n", *side]
        if side and not side[-1].endswith(b"\n"):
            found.append(b"\n")
    return [*found, b">>>>>>> " + THEIRS.encode() + b"\n"]


_Sides = tuple[list[bytes], list[bytes], list[bytes]]


def _chunks(base: list[bytes], ours: list[bytes], theirs: list[bytes]) -> Iterator[tuple[bool, _Sides]]:
    """Cut three texts where all agree; yields whether a chunk is the same in all, and its lines in each."""
    mine, new = _matches(base, ours), _matches(base, theirs)
    common = [line for line in sorted(mine) if line in new]
    fixed = [(-1, -1, -1), *((line, mine[line], new[line]) for line in common)]
    fixed.append((len(base), len(ours), len(theirs)))
    for before, after in pairwise(fixed):
        between = [
            side[start + 1 : end]
            for side, start, end in zip((base, ours, theirs), before, after, strict=True)
        ]
        if any(between):
            yield False, (between[0], between[1], between[2])
        if after[0] < len(base):
            line = [base[after[0]]]
            yield True, (line, line, line)


def _matches(base: list[bytes], other: list[bytes]) -> dict[int, int]:
    blocks = SequenceMatcher(None, base, other, autojunk=False).get_matching_blocks()
    return {block.a + i: block.b + i for block in blocks for i in range(block.size)}
