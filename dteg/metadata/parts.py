"""What is in documents (JSON, VARIANT): the names of their parts, which a query needs, and none of their values."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from dteg.metadata.models import ColumnEntry, TableEntry
from dteg.metadata.people import about_people, value_about_people

# Documents of a table that are looked at, and how long one may be (characters).
DOCUMENTS = 200
MAX_CHARACTERS = 20_000
_MAX_DEPTH = 3
_MAX_PARTS = 50
# A key that few documents have may be a value in the place of a name.
_SHARE = 0.1
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_KINDS = {str: "string", bool: "boolean", int: "number", float: "number", dict: "object", list: "array"}
Path = tuple[str, ...]


def parts_of(column: ColumnEntry, documents: Iterable[Any], separator: str) -> list[ColumnEntry]:
    """Return the parts of a column of documents: `payload:city`, `payload:address.street`.

    Args:
        column: The column.
        documents: Some of its values, as texts or taken apart.
        separator: Stands between the column and its parts.
    """
    seen: Counter[Path] = Counter()
    kinds: dict[Path, set[str]] = {}
    total = 0
    for document in documents:
        found = _parsed(document)
        if not isinstance(found, dict):
            continue
        total += 1
        for path, value in _walked(found):
            seen[path] += 1
            if value is not None:
                kinds.setdefault(path, set()).add(_KINDS.get(type(value), "string"))
    usual = [path for path, count in seen.items() if count >= max(1, _SHARE * total)]
    return [
        _part(column, f"{column.name}{separator}{'.'.join(path)}", sorted(kinds.get(path, ())))
        for path in sorted(usual)[:_MAX_PARTS]
    ]


def known_parts(column: ColumnEntry, before: TableEntry) -> list[ColumnEntry]:
    """Return the parts of a column that were found before."""
    return [
        ColumnEntry(name=old.name, type=old.type, pii=old.pii)
        for old in before.columns
        if old.name.startswith((f"{column.name}.", f"{column.name}:"))
        and old.type.startswith(f"{column.type} (")
    ]


def with_parts(entry: TableEntry, parts: Mapping[str, Sequence[ColumnEntry]]) -> TableEntry:
    """Return a table with the parts of its documents, each behind its column."""
    columns = [each for column in entry.columns for each in (column, *parts.get(column.name, ()))]
    return entry.model_copy(update={"columns": columns})


def _part(column: ColumnEntry, name: str, kinds: Sequence[str]) -> ColumnEntry:
    kind = kinds[0] if len(kinds) == 1 else "any"
    return ColumnEntry(name=name, type=f"{column.type} ({kind})", pii=about_people(name, []))


def _walked(document: Mapping[str, Any], before: Path = ()) -> Iterator[tuple[Path, Any]]:
    for name, value in document.items():
        # What has another form would need quotes, and may be a value: an address, a date.
        if not _PLAIN.fullmatch(name) or value_about_people(name):
            continue
        path = (*before, name)
        yield path, value
        if isinstance(value, dict) and len(path) < _MAX_DEPTH:
            yield from _walked(value, path)


def _parsed(document: Any) -> Any:
    if not isinstance(document, str):
        return document
    try:
        return json.loads(document)
    except (ValueError, RecursionError):
        return None
