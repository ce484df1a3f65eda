"""Texts and values of a dataset's file, checked one by one."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from dteg.core.config import UnderscoredModel
from dteg.core.durations import parse_duration
from dteg.core.identifiers import MAX_IDENTIFIER_BYTES

MAX_DEPTH = 24
MAX_NODES = 20_000
MAX_FORMULA_CHARACTERS = 2_000
MAX_TEXT_CHARACTERS = 4_000
MAX_DIGITS = 100
Grain = Literal["minute", "hour", "day", "week", "month", "quarter", "year"]
# PostgreSQL keeps these names for itself in every table.
SYSTEM_COLUMNS = frozenset(["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"])
RELATIVE = re.compile(r"([+-]?)([0-9]{1,5})(s|m|h|d|w|mo|q|y)")
_PERCENT = re.compile(r"[0-9]{1,3}(\.[0-9]{1,4})?%")
_YEARS = re.compile(r"([0-9]{1,4})y")


def _printable(value: str, what: str) -> str:
    # Surrogates cannot be sent to a database at all; the rest of these would be invisible in a name.
    odd = next((each for each in value if not each.isprintable()), None)
    if odd is not None:
        raise ValueError(f"{what} must not hold the character U+{ord(odd):04X}")
    return value


def _column_name(value: str) -> str:
    _printable(value, "a name")
    if value != value.strip():
        raise ValueError("a name must not begin or end with a space")
    if len(value.encode()) > MAX_IDENTIFIER_BYTES:
        raise ValueError(f"a name has at most {MAX_IDENTIFIER_BYTES} bytes")
    if value.lower() in SYSTEM_COLUMNS:
        raise ValueError(f"{value!r} is a name that PostgreSQL keeps for itself; choose another")
    return value


def _text(value: Any) -> Any:
    if isinstance(value, str):
        if len(value) > MAX_TEXT_CHARACTERS:
            raise ValueError(f"a text has at most {MAX_TEXT_CHARACTERS:,} characters")
        if "\0" in value or any("\ud800" <= each <= "\udfff" for each in value):
            raise ValueError("a text must not hold NUL or half a character")
    if (
        isinstance(value, int)
        and len(str(abs(value)) if abs(value) < 10**MAX_DIGITS else "9" * 200) > MAX_DIGITS
    ):
        raise ValueError(f"a number has at most {MAX_DIGITS} digits")
    return value


def _formula(value: str) -> str:
    if not value.strip():
        raise ValueError("the formula is empty")
    return value


def _percent(value: str) -> str:
    if not _PERCENT.fullmatch(value) or float(value[:-1]) > 100:
        raise ValueError(f"{value!r} is not a percentage from 0% to 100%, such as 30%")
    return value


def _relative(value: str) -> str:
    if not RELATIVE.fullmatch(value):
        raise ValueError(
            f"{value!r} is not a time from now; write a number and s, m, h, d, w, mo, q or y, such as -90d or -12mo"
        )
    return value


def _type(value: str) -> str:
    from dteg.datasets.types import parse_type

    parse_type(value)
    return value


def keep_duration(value: str) -> timedelta:
    """Read a duration such as `90d` or `3y` (365 days each).

    Raises:
        ValueError: It is none.
    """
    if match := _YEARS.fullmatch(value):
        return timedelta(days=365 * int(match[1]))
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ValueError(f"{error}; or years, such as 3y") from None


def _keep(value: str) -> str:
    keep_duration(value)
    return value


ColumnName = Annotated[str, Field(min_length=1, max_length=63), AfterValidator(_column_name)]
Reference = Annotated[
    str, Field(min_length=1, max_length=200), AfterValidator(lambda value: _printable(value, "a name"))
]
FormulaText = Annotated[str, Field(min_length=1, max_length=MAX_FORMULA_CHARACTERS), AfterValidator(_formula)]
PercentText = Annotated[str, AfterValidator(_percent)]
RelativeText = Annotated[str, AfterValidator(_relative)]
TypeText = Annotated[str, Field(max_length=40), AfterValidator(_type)]
KeepText = Annotated[str, AfterValidator(_keep)]
Value = Annotated[StrictBool | StrictInt | StrictFloat | StrictStr, AfterValidator(_text)]


class OutputModel(UnderscoredModel):
    """Something with a name that is worth showing."""

    name: ColumnName = Field(description="Name of the column.")
    title: str = Field("", max_length=200, description="Its name for people.")
    description: str = Field("", max_length=2_000, description="What it means.")


def key_of(*keys: str, fallback: str) -> Callable[[Any], str]:
    """Return what tells the members of a union apart: the first of `keys` that a mapping or model has.

    Tags are in brackets: pydantic puts them into the place of an error, where they must not look like keys.
    """

    def chosen(value: Any) -> str:
        has = value if isinstance(value, dict) else getattr(type(value), "model_fields", {})
        return f"({next((key for key in keys if key in has or f'{key}_' in has), fallback)})"

    return chosen


def check_size(value: Any) -> None:
    """Refuse what is nested too deeply or has too many parts, before anything looks into it.

    Raises:
        ValueError: It is.
    """
    level, depth, nodes = [value], 0, 0
    while level:
        nodes += len(level)
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        if nodes > MAX_NODES:
            raise ValueError(f"more than {MAX_NODES:,} keys and values")
        following: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                following += each.values()
            elif isinstance(each, list | tuple):
                following += each
        level, depth = following, depth + 1
