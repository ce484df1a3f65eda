"""DESCRIPTION.

As it was made it reads a file of JSON lines, so that it runs at once: put your own system in the place of `_records`.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import pyarrow as pa
from pydantic import Field

from dteg.connectors import Batch, Capabilities, Checkpoint, ConnectorConfig, Extractor, Stream
from dteg.core.errors import InputError


class AcmeConfig(ConnectorConfig):
    """What to read."""

    path: str = Field(min_length=1, description="File of JSON lines, below the project folder or absolute.")
    columns: list[str] = Field(min_length=1, description="Keys of the records that become columns, as text.")
    batch_rows: int = Field(10_000, ge=1, le=1_000_000, description="Records that are handed on together.")


class AcmeExtractor(Extractor[AcmeConfig]):
    """One stream with a record for each line."""

    capabilities = Capabilities()

    @classmethod
    def stream_names(cls, config: AcmeConfig) -> list[str]:
        """Return the names of the streams from the config alone."""
        return ["records"]

    def check(self) -> None:
        """Read the first record, as proof that the source is there."""
        next(self._records(), None)

    def streams(self) -> Iterable[Stream]:
        """Describe the streams; may connect."""
        yield Stream("records", pa.schema([(name, pa.string()) for name in self.config.columns]))

    def read(self, stream: Stream, since: Checkpoint | None) -> Iterator[Batch]:
        """Yield all records in batches; what is no record is set aside with its place."""
        records = self._records()
        while rows := list(islice(records, self.config.batch_rows)):
            yield pa.RecordBatch.from_pylist(rows, schema=stream.schema)

    def _records(self) -> Iterator[dict[str, str | None]]:
        try:
            with (self.context.project.root / self.config.path).open(encoding="utf-8") as lines:
                for number, line in enumerate(lines, start=1):
                    if (record := self._record(line, number)) is not None:
                        yield record
        except (
            OSError,
            UnicodeDecodeError,
        ) as error:  # translate what your driver raises, and say what to do
            raise InputError(f"cannot be read: {error}", source=self.config.path) from error

    def _record(self, line: str, number: int) -> dict[str, str | None] | None:
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            place = f"{self.config.path} (row {number})"
            self.context.reject("not a JSON object", place, {"line": line.rstrip("\n")})
            return None
        return {name: _text(record.get(name)) for name in self.config.columns}


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)
