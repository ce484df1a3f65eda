"""What happens when the columns that arrive are not the columns that are there.

    difference             evolve               freeze     quarantine
    new column             added to the table   refused    rows with a value there are set aside
    column missing         NULL in new rows     refused    refused
    arrives narrower       cast, nothing lost   the same   the same
    arrives wider          the table widens     refused    rows that do not fit are set aside
    arrives as another     rows that do not fit are set aside in all but freeze, which refuses

A row set aside counts towards `max_bad_rows`, which is 0 unless the pipeline says otherwise: so a
changed type is never loaded in part by surprise.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dteg.connectors.base import SchemaPolicy
from dteg.core.columns import AnySchema, Columns, sql_type
from dteg.core.errors import SchemaDriftError
from dteg.core.sql_types import canonical


@dataclass(frozen=True)
class SchemaChange:
    """How to bring a target and a stream together.

    Attributes:
        schema: What batches must look like for the loader, with the target's exact types; columns for columns.
        add: Columns to add: name -> SQL type.
        widen: Columns to alter: name -> new SQL type.
        unknown: Incoming columns the target does not get; rows with a value in them are set aside.
        missing: Target columns that no longer arrive.
    """

    schema: AnySchema
    add: Mapping[str, str] = field(default_factory=dict)
    widen: Mapping[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def notes(self) -> list[str]:
        """Say each difference in a sentence."""
        notes = [f"column {name} added as {type_}" for name, type_ in self.add.items()]
        notes += [f"column {name} widened to {type_}" for name, type_ in self.widen.items()]
        notes += [f"column {name} no longer arrives: NULL in new rows" for name in self.missing]
        return notes + [f"column {name} is unknown: its rows are set aside" for name in self.unknown]


def reconcile(
    existing: Mapping[str, str], incoming: AnySchema, policy: SchemaPolicy, target: str
) -> SchemaChange:
    """Compare a table with a stream.

    Args:
        existing: The table's columns: name -> SQL type (see `canonical`), without the ones dteg adds itself.
        incoming: The stream's schema.
        policy: What may be done.
        target: The table's name, for messages.

    Raises:
        SchemaDriftError: They differ in a way the policy does not allow.
    """
    types: dict[str, str] = {}
    add: dict[str, str] = {}
    widen: dict[str, str] = {}
    unknown: list[str] = []
    drift: list[str] = []
    for column in incoming:
        arriving = canonical(sql_type(column))
        if column.name not in existing:
            if policy == "evolve":
                add[column.name] = arriving
                types[column.name] = arriving
            elif policy == "quarantine":
                unknown.append(column.name)
            else:
                drift.append(f"new column {column.name} ({arriving})")
            continue
        there = existing[column.name]
        if fits(arriving, there):
            types[column.name] = there
        elif policy == "evolve" and (wider := wider_type(there, arriving)):
            widen[column.name] = wider
            types[column.name] = wider
        elif policy == "freeze":
            drift.append(f"column {column.name} arrives as {arriving}, the table has {there}")
        else:
            types[column.name] = there
    missing = tuple(name for name in existing if name not in incoming.names)
    if missing and policy != "evolve":
        drift.append(f"missing column(s) {', '.join(missing)}")
    if drift:
        raise SchemaDriftError(
            f"{target} does not fit what arrives (schema_policy: {policy}): {'; '.join(drift)}. "
            "Change the table, the source, or use schema_policy: evolve"
        )
    return SchemaChange(_retyped(incoming, types), add, widen, tuple(unknown), missing)


def _retyped(incoming: AnySchema, types: Mapping[str, str]) -> AnySchema:
    if isinstance(incoming, Columns):
        return Columns(types)
    from dteg.core.types import with_sql_types

    return with_sql_types(incoming, types)


_INTEGERS = {"smallint": 5, "integer": 10, "bigint": 19}
"""Decimal digits of each integer type, in order."""
_NUMERIC = re.compile(r"^numeric\((\d+),(\d+)\)$")
_VARCHAR = re.compile(r"^varchar\((\d+)\)$")


def fits(arriving: str, there: str) -> bool:
    """Whether every value of SQL type `arriving` can be kept in `there` without a change."""
    if there == arriving:
        return True
    if there in ("text", "varchar"):
        return arriving != "bytea"  # whose bytes need not be a text
    if arriving in _INTEGERS:
        if there in _INTEGERS:
            return _INTEGERS[arriving] <= _INTEGERS[there]
        return (
            there == "numeric"
            or (there == "double precision" and arriving != "bigint")
            or _digits(there) >= _INTEGERS[arriving]
        )
    if there == "numeric":
        return bool(_NUMERIC.match(arriving)) or arriving in ("double precision", "real")
    if there == "double precision":
        return arriving == "real"
    if (a := _NUMERIC.match(arriving)) and (t := _NUMERIC.match(there)):
        whole = int(a[1]) - int(a[2]) <= int(t[1]) - int(t[2])
        return whole and int(a[2]) <= int(t[2])
    if (a := _VARCHAR.match(arriving)) and (t := _VARCHAR.match(there)):
        return int(a[1]) <= int(t[1])
    return (arriving, there) in {("date", "timestamp"), ("json", "jsonb")}


def _digits(type_name: str) -> int:
    match = _NUMERIC.match(type_name)
    return int(match[1]) - int(match[2]) if match else 0


def wider_type(there: str, arriving: str) -> str | None:
    """Return a type that keeps the values of both, if PostgreSQL can alter the column to it without loss."""
    is_text = [name == "text" or name.startswith("varchar") for name in (there, arriving)]
    if is_text[1] and not is_text[0]:
        return None  # a number that turned into a text is a fault more often than a wish
    if fits(there, arriving):
        return arriving
    if (t := _NUMERIC.match(there)) and (a := _NUMERIC.match(arriving)):
        scale = max(int(t[2]), int(a[2]))
        return f"numeric({max(int(t[1]) - int(t[2]), int(a[1]) - int(a[2])) + scale},{scale})"
    numbers = {*_INTEGERS, "real", "double precision", "numeric"}
    is_number = [name in numbers or bool(_NUMERIC.match(name)) for name in (there, arriving)]
    if all(is_number):
        # bigint and double precision keep each other's values only in numeric.
        return "numeric"
    return None
