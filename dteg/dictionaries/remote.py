"""Dictionaries of a studio, over HTTP: the same methods as `Dictionaries`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dteg.core.errors import InputError
from dteg.dictionaries.models import (
    DEFAULT_PAGE,
    Dictionary,
    DictionaryRows,
    DictionaryUpdate,
    History,
    ImportReport,
    NewDictionary,
    PutReport,
    Row,
)
from dteg.studio_client import StudioClient, quoted


class RemoteDictionaries:
    """The dictionaries of a studio, which knows by the token who changes them.

    Args:
        client: Talks with it.
    """

    def __init__(self, client: StudioClient) -> None:
        self._client = client

    def create(self, new: NewDictionary, who: str = "") -> Dictionary:
        """Make an empty dictionary."""
        return Dictionary.model_validate(self._client.post("/dictionaries", new.model_dump(mode="json")))

    def create_from_file(
        self, new: NewDictionary, path: Path, who: str = ""
    ) -> tuple[Dictionary, ImportReport]:
        """Make a dictionary with the rows of a file; if these cannot be taken it is removed again."""
        self.create(new)
        try:
            report = self.import_file(new.slug, path)
            if not report.applied:
                lines = "\n".join(str(problem) for problem in report.problems[:20])
                raise InputError(f"nothing was changed:\n{lines}", source=report.file)
        except BaseException:
            self.remove(new.slug)
            raise
        return self.get(new.slug), report

    def dictionaries(self) -> list[Dictionary]:
        """Return all dictionaries by slug."""
        return [Dictionary.model_validate(each) for each in self._client.items("/dictionaries")]

    def get(self, slug: str) -> Dictionary:
        """Return one dictionary."""
        return Dictionary.model_validate(self._client.get(_path(slug)))

    def update(self, slug: str, wanted: DictionaryUpdate) -> Dictionary:
        """Give it another title or more columns."""
        return Dictionary.model_validate(self._client.put(_path(slug), wanted.model_dump(mode="json")))

    def rows(self, slug: str, limit: int = DEFAULT_PAGE, after: str = "", find: str = "") -> DictionaryRows:
        """Return rows in the order of their keys."""
        found = self._client.get(f"{_path(slug)}/rows", limit=limit, after=after, find=find)
        return DictionaryRows.model_validate(found)

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
        body = {
            "rows": list(rows), "since": since, "delete": list(delete), "must_be_new": list(must_be_new)
        }  # fmt: skip
        return PutReport.model_validate(self._client.put(f"{_path(slug)}/rows", body))

    def delete_rows(self, slug: str, keys: Sequence[Any], who: str = "", since: int | None = None) -> int:
        """Delete rows by key."""
        body = {"keys": list(keys), "since": since}
        return int(self._client.post(f"{_path(slug)}/rows/delete", body)["deleted"])

    def import_file(
        self, slug: str, path: Path, replace: bool = False, who: str = "", preview: bool = False
    ) -> ImportReport:
        """Send a file and have its rows taken."""
        if not path.is_file():
            raise InputError("there is no such file", source=str(path))
        query = {"name": path.name, "replace": replace or None, "preview": preview or None}
        return ImportReport.model_validate(self._client.upload(f"{_path(slug)}/import", path, **query))

    def history(
        self, slug: str, limit: int = DEFAULT_PAGE, before: int | None = None, key: str = ""
    ) -> History:
        """Return changes, newest first."""
        found = self._client.get(f"{_path(slug)}/history", limit=limit, before=before, key=key)
        return History.model_validate(found)

    def remove(self, slug: str) -> None:
        """Delete a dictionary that nothing uses."""
        self._client.delete(_path(slug))


def _path(slug: str) -> str:
    return f"/dictionaries/{quoted(slug)}"
