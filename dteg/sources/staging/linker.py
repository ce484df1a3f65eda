"""What the linkers of copied kinds share."""

import re
from collections.abc import Sequence

from dteg.sources.kinds import Link
from dteg.sources.models import Column, Relation, SourceTable
from dteg.sources.patterns import matches

_OTHERS = re.compile(r"\W+")


def table_name(wanted: str, written: str, default: str) -> str:
    """Return the name of a table: the wanted one, else made from what is written elsewhere, such as a file's name."""
    if wanted:
        return wanted
    stem = written.split(".", maxsplit=1)[0] or written
    return (_OTHERS.sub("_", stem).strip("_").lower() or default).encode()[:63].decode(errors="ignore")


def one_table(
    link: Link,
    name: str,
    columns: Sequence[Column],
    *,
    primary_key: Sequence[str] = (),
    rows: int | None = None,
) -> list[SourceTable]:
    """Return the one table of a source, if it is among those that are wanted."""
    if not matches(link.patterns, "", name):
        return []
    return [
        SourceTable(
            source=link.slug, name=name, relation=Relation(schema_=link.schema, name=name), columns=list(columns),
            primary_key=list(primary_key), row_estimate=rows,
        )
    ]  # fmt: skip
