"""What every file format does."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet

import pyarrow as pa

from dteg.connectors.native import NativeSource
from dteg.core.batch import Batch
from dteg.core.errors import InputError
from dteg.core.types import sql_field

from .config import FilesConfig, RejectRow
from .inference import Inference
from .locations import SourceFile

BATCH_ROWS = 65_536
BATCH_BYTES = 8 << 20


class Format(ABC):
    """Reads files of one format.

    Attributes:
        is_guess: The last schema was guessed from the first blocks, and there are more.
    """

    is_guess = False

    def __init__(self, config: FilesConfig, reject: RejectRow) -> None:
        self.config = config
        self.reject = reject
        self.declared = {name: sql_field(name, type_) for name, type_ in config.columns.items()}

    @abstractmethod
    def schema(self, files: list[SourceFile]) -> pa.Schema:
        """Return one schema that holds the records of all files."""

    def guess(self, files: list[SourceFile]) -> pa.Schema:
        """Return the schema, or a guess that is proven by reading what `native` offers; sets `is_guess` if it is one."""
        return self.schema(files)

    def native(
        self, files: list[SourceFile], schema: pa.Schema, on_end: Callable[[SourceFile], None]
    ) -> NativeSource | None:
        """Offer files as the bytes they are, after `schema`; None where rows are needed.

        Args:
            files: Those that are wanted.
            schema: What `schema` returned.
            on_end: Called with each file that was read to its end.
        """
        return None

    @abstractmethod
    def read(self, file: SourceFile, schema: pa.Schema) -> Iterator[Batch]:
        """Yield the records of a file; set aside those that do not fit `schema`."""


class InferredFormat(Format):
    """A format that does not say its types, so that all values are looked at first.

    Attributes:
        inference: What the last `schema` came from.
        proven: Inferred columns whose values a database reads as we do.
    """

    inference: Inference
    proven: AbstractSet[str] = frozenset()

    def schema(self, files: list[SourceFile]) -> pa.Schema:
        """Return the declared types and the narrowest ones that hold all other values."""
        inference = self.inference = Inference(self.declared)
        for file in files:
            self.observe(file, inference)
        if unknown := inference.unknown_columns:
            message = f"`columns` names {unknown[0]!r}, which no file has"
            raise InputError(message, source=self.config.path)
        self.proven = inference.proven_columns
        return inference.schema()

    @abstractmethod
    def observe(self, file: SourceFile, inference: Inference) -> None:
        """Add the columns of a file, and the kinds of their values, to `inference`."""


def check_header(names: list[str], source: str, line: int) -> None:
    """Refuse a header in which a name is missing or stands twice.

    Raises:
        InputError: Names the column.
    """
    seen = set()
    for position, name in enumerate(names, start=1):
        if not name.strip():
            raise InputError(f"column {position} has no name in the header", source=source, line=line)
        if name in seen:
            raise InputError(f"the column name {name!r} stands twice in the header", source=source, line=line)
        seen.add(name)
