"""Keys of the table of the rows."""

import re
from itertools import combinations

from dteg.normalize.flat import HASHES, TABLE, Flat, quoted
from dteg.normalize.models import ROW_ID
from dteg.normalize.naming import looks_like_key, may_be_key, separated
from dteg.normalize.profile import Spread

_MAX_KEY = 3
_MAX_TRIED = 60
# Of what is measured again and again, the time tells the rows apart, together with what is measured.
_LINES = re.compile(r"(.*_)?(line|item|pos|position|seq|sequence|row)(_?(no|nr|num|number|id))?")
_TIMES = ("DATE", "TIMESTAMP")
# Pairs of rows that would be equal if the columns had nothing to do with each other: below it, uniqueness is chance.
_EXPECTED = 3.0


def find_key(
    flat: Flat, spread: dict[str, Spread], columns: list[str], references: set[str]
) -> tuple[list[str], list[str]]:
    """Return the columns that no two rows share, and what a person should know of them.

    Args:
        flat: The file.
        spread: How its columns are spread.
        columns: Columns of the table.
        references: Those that refer to other tables; a key is likely made of them.

    Returns:
        The key, `[row_id]` where there is none; and notes.
    """
    named = [
        name for name in columns if may_be_key(name, flat.types[name]) and (looks_like_key(name) or name in references)
    ]  # fmt: skip
    whole = [
        name for name in columns if may_be_key(name, flat.types[name]) and spread[name].distinct == flat.rows
    ]
    times = [name for name in columns if flat.types[name].startswith(_TIMES)]
    for possible in (named, whole, [*times, *named]):
        if found := _key_among(flat, spread, possible, references):
            return found, []
    taken = {name.casefold() for name in flat.columns}
    surrogate = ROW_ID
    while surrogate in taken:
        surrogate += "_"
    return [surrogate], [f"no columns tell the rows apart: {surrogate} numbers them in the order of the file"]


def _key_among(flat: Flat, spread: dict[str, Spread], columns: list[str], references: set[str]) -> list[str]:
    """Return the fewest of some columns that no two rows share; none if there are none."""
    possible = [name for name in columns if not _has_nulls(flat, name)]
    for size in range(1, _MAX_KEY + 1):
        tried = list(combinations(possible, size))[:_MAX_TRIED]
        tried.sort(key=lambda names: -sum(_weight(name, references) for name in names))
        for names in tried:
            if _could_be(flat, spread, names) and is_unique(flat, names):
                return list(names)
    return []


def _weight(name: str, references: set[str]) -> int:
    """Return how much a column is worth in a key: the number of a line is made to tell lines apart."""
    return looks_like_key(name) + (name in references) + 2 * bool(_LINES.fullmatch(separated(name)))


def has_pair_key(flat: Flat, spread: dict[str, Spread], name: str, others: list[str]) -> bool:
    """Whether a column makes a key together with one other, and not by chance."""
    return any(
        may_be_key(other, flat.types[other])
        and _could_be(flat, spread, (name, other))
        and is_unique(flat, (name, other))
        for other in others[:_MAX_TRIED]
    )


def is_unique(flat: Flat, names: tuple[str, ...]) -> bool:
    """Whether no two rows have the same values in these columns."""
    by = ", ".join(flat.hashes(list(names)))
    (groups,) = flat.one(f"SELECT count(*) FROM (SELECT DISTINCT {by} FROM {HASHES})")  # noqa: S608 - own names
    return int(groups) == flat.rows


def _could_be(flat: Flat, spread: dict[str, Spread], names: tuple[str, ...]) -> bool:
    """Whether there are enough values for a key, and few enough for its uniqueness to mean something."""
    combined, equal = 1, flat.rows * (flat.rows - 1) / 2
    for name in names:
        combined *= spread[name].distinct
        equal *= spread[name].purity
    if combined < flat.rows:
        return False
    return len(names) == 1 or equal >= _EXPECTED


def _has_nulls(flat: Flat, name: str) -> bool:
    return bool(flat.one(f"SELECT count(*) - count({quoted(name)}) FROM {TABLE}")[0])  # noqa: S608 - quoted
