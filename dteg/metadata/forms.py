"""The form of a table, and its fingerprint."""

from collections.abc import Mapping
from typing import Any

from dteg.metadata.models import TableEntry, canonical_json, sha256


def described(values: Mapping[str, Any], definition: str = "") -> TableEntry:
    """Return a table with the fingerprint of its form: what a query could depend on, and nothing else.

    Args:
        values: Of the entry, but for the fingerprint.
        definition: SQL of a view.
    """
    entry = TableEntry.model_validate(dict(values))
    form = [
        entry.table_id, entry.kind, [[each.name, each.type, each.nullable] for each in entry.columns],
        entry.primary_key, sorted(entry.unique_keys),
        sorted([each.columns, each.ref_table, each.ref_columns] for each in entry.foreign_keys), definition,
    ]  # fmt: skip
    return entry.model_copy(update={"fingerprint_sha256": sha256(canonical_json(form))})
