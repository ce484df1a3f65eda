"""The tables as an entity relationship diagram of Mermaid."""

import re

from dteg.normalize.flat import Flat
from dteg.normalize.models import Plan
from dteg.normalize.outputs.ddl import column_types

_WORD = re.compile(r"[^A-Za-z0-9_]")


def mermaid(flat: Flat, plan: Plan) -> str:
    """Return the diagram: a box for each table, a line for each foreign key."""
    lines = ["erDiagram"]
    for table in plan.tables:
        lines += [
            f"    {_word(reference.table)} ||--o{{ {_word(table.name)} : {_label(reference.columns)}"
            for reference in table.references
        ]
    for table in plan.tables:
        lines.append(f"    {_word(table.name)} {{")
        foreign = {name for reference in table.references for name in reference.columns}
        for name, type_ in column_types(flat, plan, table).items():
            marks = [
                mark for mark, is_so in (("PK", name in table.primary_key), ("FK", name in foreign)) if is_so
            ]
            lines.append(f"        {_word(type_)} {_word(name)} {', '.join(marks)}".rstrip())
        lines.append("    }")
    return "\n".join(lines) + "\n"


def _word(text: str) -> str:
    return _WORD.sub("_", text) or "_"


def _label(columns: list[str]) -> str:
    return '"' + ", ".join(columns).replace('"', "'") + '"'
