"""Random flips, cuts and swaps in the files of a backup: all are refused, encrypted or not, and never by a crash.

How the test was seen to fail: with frames whose number is not sealed with them (if encrypted, not in their nonce
either), swapped and dropped ones reach the reader of the dump, which crashes; with files that are not compared with the
manifest's SHA-256, those of another plain backup pass; with the signature not looked at, some flips in the manifest do.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dteg.backups import creation, frames
from dteg.backups.errors import DamagedBackupError
from dteg.backups.models import NewBackup
from dteg.backups.progress import silent
from dteg.backups.restoration import Opened, verify
from dteg.backups.service import Backups
from dteg.core.errors import ConfigError, DtegError, NotFoundError
from dteg.core.project import Project
from tests.faults.conftest import FULL
from tests.faults.loads import Figures

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]
POINTS = 1000 if FULL else 100
FRAME_BYTES = 65_536
FILES = ("data", "contents", "manifest.json")
# What a damaged backup may be called; a key id or an id in the manifest may be what was hit.
REFUSALS = (DamagedBackupError, NotFoundError, ConfigError)


@pytest.fixture
def small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (frames, creation):
        monkeypatch.setattr(module, "FRAME_BYTES", FRAME_BYTES)


def look(backups: Backups, uri: str, backup_id: str) -> int:
    """Read a backup whole, without the warehouse; return its rows."""
    opened: Opened = backups._open(backup_id, uri, "")
    return verify(opened, silent).rows


def flip(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]


def cut(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content))
    end = rng.choice([len(content), min(len(content), start + rng.randrange(1, 2000))])
    return content[:start] + content[end:]


def extend(content: bytes, rng: random.Random) -> bytes:
    return content + rng.randbytes(rng.randrange(1, 100))


def swap_frames(content: bytes, rng: random.Random) -> bytes:
    places = list(frames_of(content))
    one, other = sorted(rng.sample(range(len(places)), 2))
    parts = [content[start:end] for start, end in places]
    parts[one], parts[other] = parts[other], parts[one]
    return content[: places[0][0]] + b"".join(parts)


def drop_frame(content: bytes, rng: random.Random) -> bytes:
    start, end = rng.choice(list(frames_of(content)))
    return content[:start] + content[end:]


def frames_of(content: bytes) -> Iterator[tuple[int, int]]:
    at = 28
    while at < len(content):
        end = at + 9 + int.from_bytes(content[at : at + 4], "big")
        yield at, end
        at = end


@pytest.mark.parametrize("encrypt", [False, True], ids=["plain", "encrypted"])
def test_every_damage_is_refused(
    *, encrypt: bool, project: Project, backups: Backups, items: str, rng: random.Random, small_frames: None,
    figures: Callable[..., Figures],
) -> None:  # fmt: skip
    line = figures(f"damage, {'encrypted' if encrypt else 'plain'} backup", rows=8000)
    order = NewBackup.model_validate({"database": items, "encrypt": encrypt})
    backup, twin = backups.create(order), backups.create(order)
    folder, other = (project.root / "backups" / each.id for each in (backup, twin))
    good = {name: (folder / name).read_bytes() for name in FILES}
    assert len(list(frames_of(good["data"]))) > 5
    assert look(backups, "", backup.id) == 8000
    kinds: Counter[str] = Counter()
    for _ in range(POINTS // 2):
        name, kind, bad = damaged(good, other, rng)
        if bad == good[name]:
            continue
        (folder / name).write_bytes(bad)
        kinds[kind] += 1
        line.points += 1
        with pytest.raises(REFUSALS):  # a damage that was not seen fails here, a crash as well
            look(backups, "", backup.id)
        line.landed += 1
        (folder / name).write_bytes(good[name])
    assert look(backups, "", backup.id) == 8000
    assert line.points > POINTS * 0.4
    line.note = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))


def damaged(good: dict[str, bytes], other: Path, rng: random.Random) -> tuple[str, str, bytes]:
    """Return which file was damaged, how, and what it is now."""
    kind = rng.choice(
        ["flip", "flip", "cut", "extend", "swap frames", "drop frame", "file of another backup"]
    )
    name = rng.choice(FILES)
    if kind in ("swap frames", "drop frame"):
        name = "data"
    work = {"flip": flip, "cut": cut, "extend": extend, "swap frames": swap_frames, "drop frame": drop_frame}
    if kind in work:
        return name, kind, work[kind](good[name], rng)
    return name, kind, (other / name).read_bytes()


def test_a_missing_file_is_refused(project: Project, backups: Backups, items: str) -> None:
    backup = backups.create(NewBackup.model_validate({"database": items}))
    for name in FILES:
        path = project.root / "backups" / backup.id / name
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(DtegError):
            look(backups, "", backup.id)
        path.write_bytes(content)
    assert look(backups, "", backup.id) == 8000
