"""Types as datasets know them: families that say what may be compared, calculated and cast."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from dteg.core.suggest import did_you_mean

if TYPE_CHECKING:  # not at run time: a definition is checked in Dagster's light location, too
    from dteg.datasets.compiler.nodes import exp


class Family(StrEnum):
    """What can be done with a value."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    FLOAT = "float"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    """Without time zone; read as UTC."""
    TIMESTAMPTZ = "timestamptz"
    TIME = "time"
    INTERVAL = "interval"
    UUID = "uuid"
    JSON = "json"
    OTHER = "other"
    """Can be shown, counted and cast to text."""
    NULL = "null"
    """The word null: fits everything."""

    @property
    def words(self) -> str:
        """Its name in a sentence."""
        return _WORDS.get(self, f"a {self}")


_WORDS = {
    Family.INTEGER: "a whole number",
    Family.DECIMAL: "a number",
    Family.FLOAT: "a number",
    Family.BOOLEAN: "true or false",
    Family.TIMESTAMPTZ: "a time",
    Family.TIMESTAMP: "a time",
    Family.TIME: "a time of day",
    Family.INTERVAL: "a length of time",
    Family.OTHER: "of a special type",
    Family.NULL: "null",
}
NUMBERS = frozenset([Family.INTEGER, Family.DECIMAL, Family.FLOAT])
TIMES = frozenset([Family.DATE, Family.TIMESTAMP, Family.TIMESTAMPTZ])


@dataclass(frozen=True, slots=True)
class SqlType:
    """A type of PostgreSQL.

    Attributes:
        sql: As PostgreSQL writes it, such as `numeric(12,2)`.
        family: What can be done with it.
    """

    sql: str
    family: Family


_BY_NAME = {
    "text": Family.TEXT, "character varying": Family.TEXT, "varchar": Family.TEXT, "character": Family.TEXT,
    "char": Family.TEXT, "bpchar": Family.TEXT, "name": Family.TEXT, "citext": Family.TEXT,
    "smallint": Family.INTEGER, "integer": Family.INTEGER, "bigint": Family.INTEGER, "int": Family.INTEGER,
    "int2": Family.INTEGER, "int4": Family.INTEGER, "int8": Family.INTEGER,
    "numeric": Family.DECIMAL, "decimal": Family.DECIMAL,
    "real": Family.FLOAT, "double precision": Family.FLOAT, "float4": Family.FLOAT, "float8": Family.FLOAT,
    "boolean": Family.BOOLEAN, "bool": Family.BOOLEAN, "date": Family.DATE,
    "timestamp": Family.TIMESTAMP, "timestamp without time zone": Family.TIMESTAMP,
    "timestamptz": Family.TIMESTAMPTZ, "timestamp with time zone": Family.TIMESTAMPTZ,
    "time": Family.TIME, "time without time zone": Family.TIME, "interval": Family.INTERVAL,
    "uuid": Family.UUID, "json": Family.JSON, "jsonb": Family.JSON,
}  # fmt: skip
_MODIFIER = re.compile(r"\s*\(\s*[0-9, ]+\s*\)")


def type_of(text: str) -> SqlType:
    """Return the type that PostgreSQL calls `text`; one that is not known here is of the family `other`."""
    name = _MODIFIER.sub("", text).strip().lower()
    return SqlType(text, _BY_NAME.get(name, Family.OTHER))


# What a spec or a formula may cast to: its word, PostgreSQL's word, sqlglot's.
_CASTS = {
    "text": ("text", "TEXT"),
    "integer": ("integer", "INT"),
    "bigint": ("bigint", "BIGINT"),
    "decimal": ("numeric", "DECIMAL"),
    "numeric": ("numeric", "DECIMAL"),
    "double": ("double precision", "DOUBLE"),
    "boolean": ("boolean", "BOOLEAN"),
    "date": ("date", "DATE"),
    "timestamp": ("timestamp without time zone", "TIMESTAMP"),
    "timestamptz": ("timestamp with time zone", "TIMESTAMPTZ"),
    "uuid": ("uuid", "UUID"),
}
CAST_TYPES = tuple(_CASTS)
MAX_PRECISION = 100
_CAST_FORM = re.compile(r"([a-z]+)(?:\(\s*([0-9]{1,3})\s*(?:,\s*([0-9]{1,3})\s*)?\))?")


@dataclass(frozen=True, slots=True)
class CastType:
    """A type that a user may cast to.

    Attributes:
        type: What comes out.
        numbers: Digits in all and behind the point of `decimal(12,2)`; empty else.
    """

    type: SqlType
    word: str
    numbers: tuple[int, ...] = ()

    def node(self) -> "exp.DataType":
        """Return it as a node of a query."""
        from dteg.datasets.compiler.nodes import exp

        parameters = [exp.DataTypeParam(this=exp.Literal.number(number)) for number in self.numbers]
        return exp.DataType(this=exp.DataType.Type[_CASTS[self.word][1]], expressions=parameters)


def parse_type(text: str) -> CastType:
    """Read a type such as `integer` or `decimal(12,2)`.

    Raises:
        ValueError: It is none of `CAST_TYPES`.
    """
    match = _CAST_FORM.fullmatch(text.strip().lower())
    if match is None or match[1] not in _CASTS:
        near = did_you_mean(text.strip().lower().split("(")[0], _CASTS)
        raise ValueError(f"unknown type {text[:40]!r}; {near or 'there are: ' + ', '.join(_CASTS)}")
    word, numbers = match[1], tuple(int(each) for each in match.groups()[1:] if each is not None)
    if numbers and word not in ("decimal", "numeric"):
        raise ValueError(f"{word} takes no numbers in brackets")
    if numbers and not 1 <= numbers[0] <= MAX_PRECISION:
        raise ValueError(f"decimal has 1 to {MAX_PRECISION} digits")
    if len(numbers) == 2 and numbers[1] > numbers[0]:
        raise ValueError("decimal cannot have more digits behind the point than in all")
    sql = _CASTS[word][0]
    if numbers:
        sql += f"({numbers[0]},{numbers[1] if len(numbers) == 2 else 0})"
    return CastType(type_of(sql), word, numbers)


def can_cast(source: Family, target: Family) -> bool:
    """Whether a cast makes sense at all; a single value may still not fit."""
    if source == target or Family.TEXT in (source, target) or source is Family.NULL:
        return True
    if source in NUMBERS and target in NUMBERS:
        return True
    if source in TIMES and target in TIMES:
        return True
    return {source, target} == {Family.BOOLEAN, Family.INTEGER}


def comparable(left: Family, right: Family) -> bool:
    """Whether values of two families can be equal or in order, as people see it."""
    if Family.NULL in (left, right):
        return True
    if left in (Family.JSON, Family.OTHER) or right in (Family.JSON, Family.OTHER):
        return False
    return left == right or (left in NUMBERS and right in NUMBERS) or (left in TIMES and right in TIMES)
