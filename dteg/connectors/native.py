"""Bytes that go from a source to a target of the same engine without being decoded on the way."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

from dteg.connectors.base import LoadSession
from dteg.core.columns import AnySchema


@dataclass(frozen=True, slots=True)
class NativeFormat:
    """A format of bytes that both sides know.

    Attributes:
        engine: Whose it is, such as `postgresql`.
        wire: Its kind: binary, or text that the target parses with its own types.
        version: Version that both sides must share; 0 if any will do.
        options: How text is written, as pairs in words of the engine, such as `DELIMITER` and `;`; its usual way if empty.
    """

    engine: str
    wire: Literal["binary", "csv"]
    version: int = 0
    options: tuple[tuple[str, str], ...] = ()


class RowsNeededError(Exception):
    """The bytes hold something that only the path of batches can deal with; says what."""


class TypesNeededError(Exception):
    """The types of a guessed stream were wrong, or may be: it has to be described again from all of its values."""


class NativeSource(ABC):
    """One stream of an extractor, as bytes.

    Attributes:
        schema: Columns in the order of the bytes, with their SQL types.
        formats: Formats it can be read in, best first.
    """

    schema: AnySchema
    formats: tuple[NativeFormat, ...]

    @abstractmethod
    def read(self, format_: NativeFormat) -> AbstractContextManager[Iterator[bytes]]:
        """Read the stream; leaving the context ends the read, wherever it is.

        Raises:
            RowsNeededError: The stream has to be read as batches; at the latest before the last block ends.
            TypesNeededError: The stream was guessed, and its types are others; as late.
            TransientError: Reading may succeed later.
            PermanentError: It cannot succeed.
        """


class NativeLoadSession(LoadSession):
    """A load that can take bytes of its own engine instead of batches."""

    @abstractmethod
    def accept(self, source: NativeSource) -> NativeFormat | str:
        """Return the format to take the bytes of `source` in, or say why they cannot be taken; after `begin`."""

    @abstractmethod
    def write_bytes(self, block: bytes, format_: NativeFormat) -> None:
        """Take some bytes in an accepted format; nothing is visible to others yet.

        Raises:
            RowsNeededError: The target cannot read them; also from whatever is called later.
        """

    @abstractmethod
    def greatest(self, column: str) -> Any:
        """Return the greatest value of a column among the rows taken so far; None if there is none."""

    @abstractmethod
    def has_null_keys(self) -> bool:
        """Whether a row taken so far has a null in the primary key, and must be set aside."""
