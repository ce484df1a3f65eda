"""Compare the columns of a table with expected types."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import sql

from dteg.quality.catalogue import Relation
from dteg.quality.compiler import Query
from dteg.quality.rules import SchemaValidation
from dteg.quality.session import Refusal, Session

_LENGTH = re.compile(r"\(([0-9, -]*)\)")

# The server reads the expected type, so that `int8`, `bigint` and `BIGINT` are the same.
_TYPES = sql.SQL(
    "SELECT format_type(to_regtype(kind), -1) "
    "FROM unnest(%s::text[]) WITH ORDINALITY AS t (kind, n) ORDER BY n"
)
_ACTUAL = sql.SQL(
    "SELECT attname, format_type(atttypid, -1) FROM pg_attribute "
    "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"
)


@dataclass(frozen=True, slots=True)
class SchemaFault:
    """A column that is missing, of another type, or too many.

    Attributes:
        column: Its name.
        expected: Type in the rule; None if the column should not be there.
        found: Type in the table; None if the column is not there.
    """

    column: str
    expected: str | None
    found: str | None

    def __str__(self) -> str:
        """Say what is wrong."""
        if self.found is None:
            return f"column {self.column} is missing"
        if self.expected is None:
            return f"column {self.column} was not expected"
        return f"column {self.column} is {self.found}, not {self.expected}"

    def to_json(self) -> dict[str, str | None]:
        """Return the attributes."""
        return {"column": self.column, "expected": self.expected, "found": self.found}


def schema_faults(
    session: Session, rule: SchemaValidation, relation: Relation
) -> list[SchemaFault] | Refusal:
    """Compare with the catalogue; no row is read."""
    expected = session.ask(Query(_TYPES, (list(rule.columns.values()),)))
    actual = session.ask(Query(_ACTUAL, (relation.table.sql,)))
    if isinstance(expected, Refusal):
        return expected
    if isinstance(actual, Refusal):
        return actual
    kinds = dict(zip(rule.columns, (kind for (kind,) in expected), strict=True))
    unknown = next((name for name, kind in kinds.items() if kind is None), None)
    if unknown is not None:
        return Refusal(f'column {unknown}: there is no type "{rule.columns[unknown]}"')
    faults = _faults(rule, relation, kinds, dict(actual))
    if not rule.allow_extra:
        extra = [column for name, column in relation.columns.items() if name not in rule.columns]
        faults += [SchemaFault(column.name, None, column.sql_type) for column in extra]
    return faults


def _faults(
    rule: SchemaValidation, relation: Relation, kinds: Mapping[str, str], actual: Mapping[str, str]
) -> list[SchemaFault]:
    faults = []
    for name, wanted in rule.columns.items():
        column = relation.columns.get(name)
        if column is None:
            faults.append(SchemaFault(name, wanted, None))
        elif kinds[name] != actual.get(name) or not _same_length(wanted, column.sql_type):
            faults.append(SchemaFault(name, wanted, column.sql_type))
    return faults


def _same_length(wanted: str, found: str) -> bool:
    """Whether `varchar(10)` has the length it should; one that is not given may be any."""
    length = _LENGTH.search(wanted)
    # float(24) is another name of real, which has no length.
    if length is None or wanted.strip().lower().startswith("float"):
        return True
    other = _LENGTH.search(found)
    return other is not None and _numbers(length[1]) == _numbers(other[1])


def _numbers(text: str) -> list[int]:
    numbers = [int(part) for part in text.split(",") if part.strip()]
    return numbers[:1] if numbers[1:] == [0] else numbers  # numeric(15) is numeric(15,0)
