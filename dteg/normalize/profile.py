"""What each column holds."""

import re
from dataclasses import dataclass

from dteg.metadata.people import about_people
from dteg.normalize.flat import HASHES, TABLE, Flat, quoted
from dteg.normalize.models import ColumnProfile, Profile

_TOP = 5
_MAX_SHOWN = 40
_LOOKED_AT = 200
_DATES = {
    "2026-01-31": r"\d{4}-\d{1,2}-\d{1,2}", "2026/01/31": r"\d{4}/\d{1,2}/\d{1,2}", "31.01.2026": r"\d{1,2}\.\d{1,2}\.\d{4}",
    "01/31/2026": r"\d{1,2}/\d{1,2}/\d{4}", "31-01-2026": r"\d{1,2}-\d{1,2}-\d{4}",
}  # fmt: skip
_MOSTLY = 0.9


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
    texts = _texts(flat, name)
    pii = about_people(name, texts) or ""
    top = [] if pii or spread.distinct > flat.rows // 2 else flat.connection.execute(
        f"SELECT {column}::VARCHAR, count(*) FROM {TABLE} WHERE {column} IS NOT NULL "  # noqa: S608 - quoted
        f"GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {_TOP}"
    ).fetchall()  # fmt: skip
    return ColumnProfile(
        name=name, type=flat.types[name], distinct=spread.distinct - bool(nulls), nulls=int(nulls),
        minimum=None if pii else _short(least), maximum=None if pii else _short(most),
        top=[(_short(value) or "", int(count)) for value, count in top], pii=pii, problems=_problems(flat, name, int(nulls), texts),
    )  # fmt: skip


def _texts(flat: Flat, name: str) -> list[str]:
    """Return some values of a column of texts."""
    if flat.types[name] != "VARCHAR":
        return []
    column = quoted(name)
    rows = flat.connection.execute(
        f"SELECT {column} FROM {TABLE} WHERE {column} IS NOT NULL LIMIT {_LOOKED_AT}"  # noqa: S608 - quoted
    ).fetchall()
    return [str(value) for (value,) in rows]


def _problems(flat: Flat, name: str, nulls: int, texts: list[str]) -> list[str]:
    """Return what somebody should mend in a column."""
    if nulls == flat.rows:
        return ["always empty"]
    # All rows are looked at only where some values are dates.
    if not any(re.match(form, text) for text in texts for form in _DATES.values()):
        return []
    counted = ", ".join(
        f"count(*) FILTER (regexp_full_match(v, '{form}([ T].*)?'))" for form in _DATES.values()
    )
    counts = flat.one(f"SELECT {counted} FROM (SELECT {quoted(name)} AS v FROM {TABLE})")  # noqa: S608 - quoted
    forms = [shown for shown, count in zip(_DATES, counts, strict=True) if count]
    if len(forms) < 2 or sum(counts) < _MOSTLY * (flat.rows - nulls):
        return []
    return [f"dates in {len(forms)} forms ({', '.join(forms)}) stay texts"]


def _short(value: str | None) -> str | None:
    return value if value is None or len(value) <= _MAX_SHOWN else value[: _MAX_SHOWN - 3] + "..."
