"""One load into a file."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

import orjson
import pyarrow as pa

from dteg.connectors.base import Checkpoint, DeadLetter, LoadPlan, LoadResult, LoadSession
from dteg.core.batch import Batch, Schema
from dteg.core.errors import PermanentError, QualityGateError, SchemaDriftError

from .config import FilesLoaderConfig
from .publication import LoadState, Places, Publication
from .writers import Writer, open_writer


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Translate the errors of the file system."""
    try:
        yield
    except OSError as error:
        raise PermanentError(
            f"{path}: cannot be written: {error.strerror or error}", component="files"
        ) from error


class FilesLoadSession(LoadSession):
    """Holds the target's lock from start to `close`."""

    def __init__(self, config: FilesLoaderConfig, plan: LoadPlan, places: Places, lock: Path) -> None:
        self._config = config
        self._plan = plan
        self._replaces = plan.disposition == "replace" or plan.full_refresh
        self._places = places
        self._publication = Publication(places)
        self._columns: dict[str, str] = {}
        self._rows = self._bytes = self._rejected = 0
        self._data: BinaryIO | None = None
        self._letters: BinaryIO | None = None
        self._writer: Writer | None = None
        self._lock: BinaryIO | None = None
        with writing(places.base):
            places.base.parent.mkdir(parents=True, exist_ok=True)
            lock.parent.mkdir(parents=True, exist_ok=True)
            self._lock = lock.open("wb")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            try:
                self._publication.recover()
            except BaseException:
                self._lock.close()
                raise

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The position of the last published load."""
        state = self._publication.state
        return Checkpoint.from_json(state.checkpoint) if state else None

    @property
    def committed(self) -> LoadResult | None:
        """The result of an earlier load with this load id."""
        if not self._places.final(self._plan.load_id).exists():
            return None
        state = self._publication.state
        if state and state.load_id == self._plan.load_id:
            return _result(state, already_loaded=True)
        return LoadResult(already_loaded=True) if self._config.is_folder else None

    def begin(self, schema: Schema) -> Schema:
        """Open the partial file.

        Raises:
            SchemaDriftError: The columns differ from those of the last load, and the policy is `freeze`.
        """
        self._columns = {column.name: str(column.type) for column in schema}
        state = self._publication.state
        if self._plan.schema_policy == "freeze" and state and state.columns != self._columns:
            changed = sorted(set(state.columns.items()) ^ set(self._columns.items()))
            names = ", ".join(dict.fromkeys(name for name, _ in changed))
            raise SchemaDriftError(f"{self._places.base}: columns changed: {names}", component="files")
        with writing(self._places.base):
            self._data = self._places.partial(self._plan.load_id).open("wb")
            self._writer = open_writer(self._data, schema, self._config)
        return schema

    def write(self, batch: Batch) -> None:
        """Write the batch into the partial file."""
        assert self._writer, "begin comes before write"
        with writing(self._places.base):
            self._writer.write(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes

    def reject(self, letters: list[DeadLetter]) -> None:
        """Write dead letters into their partial file.

        Raises:
            QualityGateError: More of them than the plan allows.
        """
        self._rejected += len(letters)
        if self._rejected > self._plan.max_bad_rows:
            first = letters[0]
            raise QualityGateError(
                f"{self._plan.stream}: more bad rows than max_bad_rows: {self._plan.max_bad_rows} allows; "
                f"the next is {first.position}: {first.reason}",
                failed=["max_bad_rows"],
            )
        about = {"pipeline": self._plan.pipeline, "stream": self._plan.stream, "load_id": self._plan.load_id}
        with writing(self._places.dead_letters):
            file = self._open_letters()
            for letter in letters:
                file.write(
                    orjson.dumps(about | asdict(letter), default=str, option=orjson.OPT_APPEND_NEWLINE)
                )

    def _open_letters(self) -> BinaryIO:
        """Open the file that will replace the dead letters; an append keeps those of earlier loads."""
        if self._letters is None:
            self._letters = self._places.partial_dead_letters(self._plan.load_id).open("wb")
            if not self._replaces and self._places.dead_letters.exists():
                with self._places.dead_letters.open("rb") as earlier:
                    shutil.copyfileobj(earlier, self._letters)
        return self._letters

    def publish(self, checkpoint: Checkpoint) -> LoadResult:
        """Close the partial files and rename them; see `publication`."""
        assert self._writer is not None, "begin comes before publish"
        assert self._data is not None
        before = self._publication.state
        already = before.total_rows if before and not self._replaces else 0
        state = LoadState(
            load_id=self._plan.load_id,
            checkpoint=checkpoint.to_json(),
            columns=self._columns,
            replaces=self._replaces,
            rows_read=self._rows,
            rows_written=self._rows,
            rows_rejected=self._rejected,
            bytes_read=self._bytes,
            total_rows=already + self._rows,
        )
        with writing(self._places.base):
            self._writer.finish()
            self._writer = None
            for file in (self._data, self._open_letters()):
                file.flush()
                os.fsync(file.fileno())
                file.close()
            self._publication.publish(state)
        return _result(state)

    def close(self) -> None:
        """Remove partial files and let the next load in."""
        if self._lock is None:
            return
        try:
            if self._writer:
                # Only to free what it holds; the partial file is thrown away.
                with suppress(OSError, pa.ArrowException):
                    self._writer.finish()
            for file in (self._data, self._letters):
                if file:
                    file.close()
            with writing(self._places.base):
                self._publication.recover()
        finally:
            self._lock.close()
            self._lock = None


def _result(state: LoadState, *, already_loaded: bool = False) -> LoadResult:
    return LoadResult(
        rows_read=state.rows_read,
        rows_written=state.rows_written,
        rows_rejected=state.rows_rejected,
        bytes_read=state.bytes_read,
        total_rows=state.total_rows,
        already_loaded=already_loaded,
    )
