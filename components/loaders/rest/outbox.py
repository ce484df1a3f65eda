"""Records on their way out, in files, so that a killed load goes on without asking the source again.

    <stem>.outbox.jsonl   the records, one a line
    <stem>.outbox.json    the seal: all records are there, and the load will be sent
    <stem>.sent.jsonl     a line for each batch that the server took

Before it is sealed an outbox is worth nothing: the next load starts a new one. From then on it is
sent to the end, by this load or the next one.
"""

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import orjson

from dteg.connectors import DeadLetter

from .files import json_lines, read_json, replace_file


@dataclass(frozen=True)
class Seal:
    """All that is needed to send and publish a load later.

    Attributes:
        load_id: Identity of the load.
        target: URL it goes to.
        batch_rows: Records per batch.
        checkpoint: Position to save afterwards, as JSON.
        columns: SQL type by column to save afterwards.
        rows_read: Rows that reached the loader.
        bytes_read: Size of the batches in memory (bytes).
        letters: Records that were set aside before.
    """

    load_id: str
    target: str
    batch_rows: int
    checkpoint: dict[str, Any]
    columns: dict[str, str]
    rows_read: int
    bytes_read: int
    letters: list[DeadLetter]


@dataclass(frozen=True)
class SentBatch:
    """A batch that the server took.

    Attributes:
        written: Records that it took.
        letters: Records that it refused.
    """

    written: int
    letters: list[DeadLetter]


class Outbox:
    """The outbox of one stream."""

    def __init__(self, stem: Path) -> None:
        """Open nothing yet.

        Args:
            stem: Path whose name the files start with.
        """
        self._records = stem.with_name(f"{stem.name}.outbox.jsonl")
        self._seal = stem.with_name(f"{stem.name}.outbox.json")
        self._sent = stem.with_name(f"{stem.name}.sent.jsonl")
        self._writer: IO[bytes] | None = None

    def start(self) -> None:
        """Begin an empty outbox."""
        self.drop()
        self._writer = self._records.open("wb")

    def add(self, rows: list[bytes]) -> None:
        """Append records."""
        if self._writer is None:
            raise RuntimeError("start comes first")
        self._writer.writelines(row + b"\n" for row in rows)

    def seal(self, seal: Seal) -> None:
        """Decide that what is in the outbox will be sent."""
        if self._writer is None:
            raise RuntimeError("start comes first")
        self._writer.flush()
        os.fsync(self._writer.fileno())
        self._writer.close()
        self._writer = None
        replace_file(self._seal, orjson.dumps(asdict(seal), default=str))

    def sealed(self) -> Seal | None:
        """Return the seal of an outbox that was not sent to the end, if there is one."""
        data = read_json(self._seal)
        if data is None:
            return None
        return Seal(**{**data, "letters": [DeadLetter(**letter) for letter in data["letters"]]})

    def batches(self, rows: int) -> Iterator[list[bytes]]:
        """Yield the records in their order."""
        with self._records.open("rb") as handle:
            while batch := [line.rstrip(b"\n") for line in islice(handle, rows)]:
                yield batch

    def sent(self) -> list[SentBatch]:
        """Return what the server took, in the order of the batches; a half-written last line is dropped."""
        if not self._sent.exists():
            return []
        whole, _, half = self._sent.read_bytes().rpartition(b"\n")
        if half:
            replace_file(self._sent, whole + b"\n" if whole else b"")
        lines = [orjson.loads(line) for line in whole.splitlines()]
        return [
            SentBatch(line["written"], [DeadLetter(**each) for each in line["letters"]]) for line in lines
        ]

    def note(self, batch: SentBatch) -> None:
        """Remember that the server took the next batch."""
        with self._sent.open("ab") as handle:
            handle.write(json_lines([batch]))
            handle.flush()
            os.fsync(handle.fileno())

    def drop(self) -> None:
        """Forget everything, the seal first."""
        self.close()
        for path in (self._seal, self._sent, self._records):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Delete the records if they were not sealed."""
        if self._writer:
            self._writer.close()
            self._writer = None
            self._records.unlink(missing_ok=True)
