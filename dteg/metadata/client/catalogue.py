"""One version of the cache in memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dteg.core.errors import NotFoundError
from dteg.metadata.client.documents import Frozen, TamperedError, fingerprint_of
from dteg.metadata.client.retrieval import Retrieval


@dataclass(frozen=True)
class Catalogue:
    """One version: its manifest and the documents of its tables, by their SHA-256.

    Attributes:
        manifest: The manifest.
        documents: The documents, in the order of the manifest.
    """

    manifest: Frozen
    documents: Mapping[str, Frozen]

    @cached_property
    def tables(self) -> Mapping[str, Frozen]:
        """The entries of the tables by their id."""
        found: dict[str, Frozen] = {}
        for document in self.documents.values():
            entry = document.get("schema")
            if not isinstance(entry, Frozen) or not isinstance(entry.get("columns"), tuple):
                raise TamperedError("a document of the cache has no schema with columns")
            found[str(entry.get("table_id"))] = entry
        return Frozen(found)

    @cached_property
    def examples(self) -> tuple[Frozen, ...]:
        """The examples that hold for the tables as they are in this version: no other is ever served."""
        found: dict[tuple[str, str], Frozen] = {}
        for document in self.documents.values():
            for each in document.get("examples") or ():
                if self._holds(each):
                    found.setdefault((each["question"], each["sql"]), each)
        return tuple(found.values())

    @cached_property
    def retrieval(self) -> Retrieval:
        """What finds tables and examples."""
        return Retrieval(list(self.tables.values()), self.examples)

    def table(self, name: str) -> Frozen:
        """Return the entry of a table.

        Args:
            name: Its id, or its name alone if only one has it.

        Raises:
            NotFoundError: There is none, or several.
        """
        if (entry := self.tables.get(name)) is not None:
            return entry
        found = [each for each in self.tables if each.rpartition(".")[2] == name]
        if len(found) == 1:
            return self.tables[found[0]]
        several = f"several tables are called so: {', '.join(sorted(found))}"
        raise NotFoundError(several if found else f"the metadata cache has no table {name}")

    def _holds(self, example: Mapping[str, Any]) -> bool:
        if not isinstance(example.get("question"), str) or not isinstance(example.get("sql"), str):
            return False
        if example.get("status", "valid") != "valid":
            return False
        told = example.get("schema_fingerprint")
        if not told:
            return True  # of the original form, which has none
        entries = [self.tables.get(each) for each in example.get("tables") or ()]
        known = [each for each in entries if each is not None and "fingerprint_sha256" in each]
        marks = [(each["table_id"], each["fingerprint_sha256"]) for each in known]
        return len(known) == len(entries) and bool(told == fingerprint_of(marks))
