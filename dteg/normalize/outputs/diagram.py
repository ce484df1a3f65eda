"""The tables as an entity relationship diagram of Mermaid."""

import re

from dteg.normalize.flat import Flat
from dteg.normalize.models import Plan
from dteg.normalize.outputs.ddl import column_types

_WORD = re.compile(r"[^A-Za-z0-9_\u00c0-\uffff]")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = frozenset({
    "title", "style", "class", "classdef", "direction", "one", "many", "only", "zero", "to", "optionally", "u", "erdiagram",
})  # fmt: skip


def mermaid(flat: Flat, plan: Plan) -> str:
    """Return the diagram: a box for each table, a line for each foreign key."""
    lines = ["erDiagram"]
    for table in plan.tables:
        lines += [
            f"    {_entity(reference.table)} ||--o{{ {_entity(table.name)} : {_label(reference.columns)}"
            for reference in table.references
        ]
    for table in plan.tables:
        lines.append(f"    {_entity(table.name)} {{")
        foreign = {name for reference in table.references for name in reference.columns}
        for name, type_ in column_types(flat, plan, table).items():
            marks = [
                mark for mark, is_so in (("PK", name in table.primary_key), ("FK", name in foreign)) if is_so
            ]
            lines.append(f"        {_WORD.sub('_', type_)} {_attribute(name, marks)}")
        lines.append("    }")
    return "\n".join(lines) + "\n"


def _entity(name: str) -> str:
    """Return the name of a table: in quotes if it could be a word of Mermaid's."""
    return name if _PLAIN.fullmatch(name) and name not in _RESERVED else _label([name])


def _attribute(name: str, marks: list[str]) -> str:
    """Return a column: its name as Mermaid can read it, its marks, and the name as it is if that differs."""
    word = _WORD.sub("_", name)
    word = f"_{word}" if word[:1].isdigit() or word.upper() in ("PK", "FK", "UK", "") else word
    told = [word, ", ".join(marks), _label([name]) if word != name else ""]
    return " ".join(part for part in told if part)


def _label(columns: list[str]) -> str:
    return '"' + ", ".join(columns).replace('"', "'") + '"'
