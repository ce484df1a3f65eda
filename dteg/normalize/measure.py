"""Dependencies measured in all rows of the file."""

from dataclasses import dataclass, field

from dteg.normalize.discovery import MAX_ERROR, MAX_GROUPS, Candidates, Columns
from dteg.normalize.flat import HASHES, TABLE, Flat, quoted

# Fewer rows than this share of the file that have a partner are no evidence.
MIN_SUPPORT = 0.2
# Of the values that differ, so many have to look like mistakes.
_MISTAKES = 0.5


@dataclass(frozen=True)
class Measured:
    """One determinant.

    Attributes:
        columns: The determinant.
        groups: Its different values; a null counts as one.
        support: Rows that share their value with another row.
        shared: Values that more than one row has.
        errors: By column that it fixes, the rows that differ from what their group mostly has.
    """

    columns: Columns
    groups: int
    support: int
    shared: int
    errors: dict[str, int] = field(default_factory=dict)

    @property
    def chances(self) -> int:
        """How often a row could have disagreed with one before it."""
        return self.support - self.shared


def measure(flat: Flat, candidates: Candidates) -> list[Measured]:
    """Measure the candidates; what does not hold in nearly all rows is left out."""
    found = []
    for columns in sorted({*candidates.exact, *candidates.almost}, key=lambda each: (len(each), each)):
        wanted = candidates.exact.get(columns, set()) | candidates.almost.get(columns, set())
        measured = _measure(flat, columns, [name for name in flat.columns if name in wanted])
        if measured is not None and measured.errors:
            found.append(measured)
    return found


def _measure(flat: Flat, columns: Columns, targets: list[str]) -> Measured | None:
    by = ", ".join(flat.hashes(list(columns)))
    differ = "".join(f", sum(d{number})" for number in range(len(targets)))
    each = "".join(
        f", (min({hashed}) <> max({hashed}))::INT AS d{number}"
        for number, hashed in enumerate(flat.hashes(targets))
    )
    groups, support, shared, *bad = flat.one(
        f"SELECT count(*), coalesce(sum(n) FILTER (n > 1), 0), count(*) FILTER (n > 1){differ} FROM "  # noqa: S608 - own names
        f"(SELECT count(*) AS n{each} FROM {HASHES} GROUP BY {by})"
    )
    if groups > MAX_GROUPS * flat.rows or support < MIN_SUPPORT * flat.rows:
        return None
    errors = {}
    for name, wrong_groups in zip(targets, bad, strict=True):
        # Without a value in the determinant there is no row to refer to.
        wrong = _without_determinant(flat, columns, name)
        if wrong_groups:
            differing = _disagreeing(flat, by, name)
            if differing is None:
                continue
            wrong += differing
        if wrong <= MAX_ERROR * flat.rows:
            errors[name] = wrong
    return Measured(columns, int(groups), int(support), int(shared), errors)


def _disagreeing(flat: Flat, by: str, name: str) -> int | None:
    """Return the rows that differ from what their group mostly has; None if that is not a matter of mistakes.

    A mistake is a value that is usual nowhere. If most of the differing values are usual in other groups, the
    determinant does not fix the column: a plane that was sold has two owners, and both are right.
    """
    (hashed,) = flat.hashes([name])
    wrong, odd = flat.one(
        f"WITH counted AS (SELECT {by}, {hashed} AS v, count(*) AS c FROM {HASHES} GROUP BY {by}, {hashed}), "  # noqa: S608 - own names
        f"usual AS (SELECT {by}, max_by(v, c) AS v FROM counted GROUP BY {by}), "
        f"differing AS (SELECT o.v, o.c FROM counted AS o JOIN usual AS u USING ({by}) WHERE o.v <> u.v) "
        "SELECT sum(c), sum(c) FILTER (WHERE v NOT IN (SELECT v FROM usual)) FROM differing"
    )
    return int(wrong) if (odd or 0) >= _MISTAKES * wrong else None


def _without_determinant(flat: Flat, columns: Columns, name: str) -> int:
    missing = " OR ".join(f"{quoted(column)} IS NULL" for column in columns)
    return int(flat.one(f"SELECT count({quoted(name)}) FROM {TABLE} WHERE {missing}")[0])  # noqa: S608 - quoted
