"""What can be done with dictionaries, wherever they are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from dteg.dictionaries.models import (
    Dictionary,
    DictionaryRows,
    DictionaryUpdate,
    History,
    ImportReport,
    NewDictionary,
    PutReport,
    Row,
)

DEFAULT_PAGE = 100


class DictionaryOperations(Protocol):
    """What can be done with dictionaries, here (`Dictionaries`) or over HTTP (`RemoteDictionaries`)."""

    def create(self, new: NewDictionary, who: str = "") -> Dictionary:
        """Make one."""
        ...

    def create_from_file(
        self, new: NewDictionary, path: Path, who: str = ""
    ) -> tuple[Dictionary, ImportReport]:
        """Make one with the rows of a file, or none at all."""
        ...

    def dictionaries(self) -> list[Dictionary]:
        """Return all by slug."""
        ...

    def get(self, slug: str) -> Dictionary:
        """Return one."""
        ...

    def update(self, slug: str, wanted: DictionaryUpdate) -> Dictionary:
        """Give it another title or more columns."""
        ...

    def rows(self, slug: str, limit: int = DEFAULT_PAGE, after: str = "", find: str = "") -> DictionaryRows:
        """Return rows in the order of their keys."""
        ...

    def put(
        self,
        slug: str,
        rows: Sequence[Row],
        who: str = "",
        since: int | None = None,
        *,
        delete: Sequence[Any] = (),
        must_be_new: Sequence[Any] = (),
    ) -> PutReport:
        """Insert and update rows."""
        ...

    def delete_rows(self, slug: str, keys: Sequence[Any], who: str = "", since: int | None = None) -> int:
        """Delete rows."""
        ...

    def import_file(
        self, slug: str, path: Path, replace: bool = False, who: str = "", preview: bool = False
    ) -> ImportReport:
        """Take the rows of a file."""
        ...

    def history(
        self, slug: str, limit: int = DEFAULT_PAGE, before: int | None = None, key: str = ""
    ) -> History:
        """Return changes, newest first."""
        ...

    def remove(self, slug: str) -> None:
        """Delete a dictionary that nothing uses."""
        ...
