"""What each column holds."""

import re
from dataclasses import dataclass

from dteg.normalize.flat import HASHES, TABLE, Flat, quoted
from dteg.normalize.models import ColumnProfile, Profile

_TOP = 5
_MAX_SHOWN = 40
# What names say about people. Values are looked at too: a name alone may say nothing.
_PII_NAMES = re.compile(
    r"(^|_)(e?mail|phone|mobile|tel|fax|ssn|passport|birth(day|date)?|dob|iban|card(_?number)?|tax_?id|first_?name|"
    r"last_?name|full_?name|surname|address|street)(_|$|[0-9])",
    re.IGNORECASE,
)
_PII_VALUES = {
    "email": r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
    "phone": r"^\+?[0-9][0-9 ()./-]{7,18}[0-9]$",
    "iban": r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{10,30}$",
}


@dataclass(frozen=True)
class Spread:
    """How the values of a column are spread.

    Attributes:
        distinct: Different values, null counted as one.
        purity: Chance that two rows have the same value: 1 for a constant.
    """

    distinct: int
    purity: float


def spreads(flat: Flat) -> dict[str, Spread]:
    """Return how each column's values are spread."""
    found = {}
    for name, hashed in zip(flat.columns, flat.hashes(flat.columns), strict=True):
        distinct, squares = flat.one(
            f"SELECT count(*), sum(c::DOUBLE * c) FROM (SELECT count(*) AS c FROM {HASHES} GROUP BY {hashed})"  # noqa: S608 - own names
        )
        found[name] = Spread(int(distinct), float(squares) / flat.rows**2)
    return found


def profile(flat: Flat, spread: dict[str, Spread]) -> Profile:
    """Describe all columns; values that may be about people are left out."""
    return Profile(rows=flat.rows, columns=[_column(flat, name, spread[name]) for name in flat.columns])


def _column(flat: Flat, name: str, spread: Spread) -> ColumnProfile:
    column = quoted(name)
    nulls, least, most = flat.one(
        f"SELECT count(*) - count({column}), min({column})::VARCHAR, max({column})::VARCHAR FROM {TABLE}"  # noqa: S608 - quoted
    )
    pii = _about_people(flat, name)
    top = [] if pii or spread.distinct > flat.rows // 2 else flat.connection.execute(
        f"SELECT {column}::VARCHAR, count(*) FROM {TABLE} WHERE {column} IS NOT NULL "  # noqa: S608 - quoted
        f"GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {_TOP}"
    ).fetchall()  # fmt: skip
    return ColumnProfile(
        name=name, type=flat.types[name], distinct=spread.distinct - bool(nulls), nulls=int(nulls),
        minimum=None if pii else _short(least), maximum=None if pii else _short(most),
        top=[(_short(value) or "", int(count)) for value, count in top], pii=pii,
    )  # fmt: skip


def _about_people(flat: Flat, name: str) -> str:
    if match := _PII_NAMES.search(name):
        return match[2].lower()
    if flat.types[name] != "VARCHAR":
        return ""
    column = quoted(name)
    for kind, pattern in _PII_VALUES.items():
        fits, values = flat.one(
            f"SELECT count(*) FILTER (WHERE regexp_matches(v, '{pattern}')), count(*) FROM "  # noqa: S608 - constants
            f"(SELECT {column} AS v FROM {TABLE} WHERE {column} IS NOT NULL LIMIT 200)"
        )
        if values and fits > 0.8 * values:
            return kind
    return ""


def _short(value: str | None) -> str | None:
    return value if value is None or len(value) <= _MAX_SHOWN else value[: _MAX_SHOWN - 3] + "..."
