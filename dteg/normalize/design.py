"""Chooses which dependencies become tables.

Every column but those of determinants goes to the determinant with the fewest values that fixes it: that is the
synthesis of third normal form (Bernstein, 1976) over the dependencies that are worth a table. What holds by
chance, by arithmetic or without saving anything is refused, with the reason.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dteg.normalize.discovery import Columns
from dteg.normalize.flat import Flat
from dteg.normalize.keys import find_key, has_pair_key
from dteg.normalize.measure import Measured
from dteg.normalize.models import Choice, Dependency, Form, Plan, PlannedTable, Reference, Refused
from dteg.normalize.naming import looks_like_key, may_be_key, plain, table_name, unique
from dteg.normalize.profile import Spread

# A dependency needs this much surprise (bits) to be none of chance, and more where the name gives no hint.
BITS_OF_KEY = 4.0
BITS_OF_OTHER = 20.0
# What a determinant that does not look like a key must save, of all values of the file.
WORTH = 0.01
_ROOT: Columns = ()


@dataclass
class Determinant:
    """One that may become a table.

    Attributes:
        measured: What was measured.
        synonyms: Others that name the same thing.
        fixes: Columns that it fixes, with the rows that differ.
        id: Its name within the analysis.
    """

    measured: Measured
    id: str
    synonyms: list[Columns] = field(default_factory=list)
    fixes: dict[str, int] = field(default_factory=dict)

    @property
    def columns(self) -> Columns:
        """Its columns."""
        return self.measured.columns


class Design:
    """One way from the measured dependencies to tables.

    Args:
        flat: The file.
        spread: How its columns are spread.
        measured: The dependencies.
        form: Which form.
        choice: What somebody chose.
        together: Columns that stay together, and in no key.
    """

    def __init__(
        self, flat: Flat, spread: dict[str, Spread], measured: list[Measured], form: Form = "3NF",
        choice: Choice | None = None, *, together: Sequence[Sequence[str]] = (),
    ) -> None:  # fmt: skip
        self.together = together
        self.flat, self.spread, self.form = flat, spread, form
        self.choice = choice or Choice()
        self._chosen_keys = {tuple(key) for key in self.choice.keys.values()}
        self.refused: list[Refused] = []
        self.all = {f"fd{number}": each for number, each in enumerate(measured, 1)}
        self.determinants = self._merged()

    # --- which -------------------------------------------------------------------------------------

    def _merged(self) -> dict[Columns, Determinant]:
        """Return one determinant for each thing: of several that fix each other the one that names it best."""
        ids = {each.columns: id_ for id_, each in self.all.items()}
        left = {each.columns: each for each in self.all.values()}
        merged = {}
        for columns in sorted(left, key=self._rank):
            if columns not in left:
                continue
            best = left.pop(columns)
            same = [other for other in left if self._same(best, left[other])]
            fixes = dict(best.errors)
            for other in same:
                for name, wrong in left.pop(other).errors.items():
                    fixes.setdefault(name, wrong)
            fixes = {name: wrong for name, wrong in fixes.items() if name not in columns}
            merged[columns] = Determinant(best, ids[columns], same, fixes)
        return {each.columns: each for each in merged.values() if self._plausible(each)}

    def _rank(self, columns: Columns) -> tuple[object, ...]:
        """Order: chosen ones, then single columns that look like keys, then those further left."""
        likely = sum(
            2 if looks_like_key(name) else may_be_key(name, self.flat.types[name]) for name in columns
        )
        return (columns not in self._chosen_keys, len(columns), -likely / len(columns), self._place(columns))

    def _place(self, columns: Iterable[str]) -> int:
        return min(self.flat.columns.index(name) for name in columns)

    def _same(self, one: Measured, other: Measured) -> bool:
        """Whether two determinants fix each other, but for a few rows."""
        return all(name in one.errors for name in other.columns if name not in one.columns) and all(
            name in other.errors for name in one.columns if name not in other.columns
        )

    def _plausible(self, each: Determinant) -> bool:
        if self._is_chosen(each):
            return True
        wrong = [name for name in each.columns if not may_be_key(name, self.flat.types[name])]
        if wrong and each.columns not in self._chosen_keys:
            self._refuse(each, f"{wrong[0]} is a measure or a part of a date, and names no thing")
            return False
        return True

    def _refuse(self, each: Determinant, why: str) -> None:
        self.refused.append(Refused(dependency=self._dependency(each, list(each.fixes)), why=why))

    def _dependency(self, each: Determinant, fixed: list[str]) -> Dependency:
        wrong = max((each.fixes[name] for name in fixed), default=0)
        return Dependency(
            id=each.id, determinant=list(each.columns), dependent=fixed, groups=each.measured.groups,
            support=each.measured.support, error=min(1.0, wrong / self.flat.rows),
        )  # fmt: skip

    # --- where -------------------------------------------------------------------------------------

    def plan(self) -> Plan:
        """Return the tables."""
        if self.choice.accepted is not None:
            for columns, each in list(self.determinants.items()):
                if each.id not in self.choice.accepted:
                    self._refuse(self.determinants.pop(columns), "it was not chosen")
        while True:
            owners = self._owners()
            worst = self._worst(owners)
            if worst is None:
                return self._tables(owners)
            columns, why = worst
            self._refuse(self.determinants.pop(columns), why)

    def _owners(self) -> dict[str, Columns]:
        """Return the determinant that each column belongs to."""
        owners: dict[str, Columns] = {}
        for name in self.flat.columns:
            fixing = [
                each
                for each in self.determinants.values()
                if name in each.fixes and self._surprises(each, name)
            ]
            fixing = [each for each in fixing if not self._circular(each, name, owners)]
            if fixing:
                owners[name] = min(
                    fixing,
                    key=lambda each: (each.measured.groups, len(each.columns), self._rank(each.columns)),
                ).columns
        for names in self.together:
            if len({owners.get(name) for name in names}) > 1:
                owners = {name: owner for name, owner in owners.items() if name not in names}
        return owners

    def _circular(self, each: Determinant, name: str, owners: dict[str, Columns]) -> bool:
        """Whether a column of the determinant itself belongs, over others, to the column's own table."""
        seen, at = set(), each.columns
        while at and at not in seen:
            seen.add(at)
            if name in at:
                return True
            at = owners.get(at[0], _ROOT)
        return False

    def _surprises(self, each: Determinant, name: str) -> bool:
        """Whether it would be a wonder if the column were fixed by chance."""
        bits = each.measured.chances * -math.log2(max(self.spread[name].purity, 1e-12))
        likely = all(looks_like_key(column) or column in self._single for column in each.columns)
        return bits >= (BITS_OF_KEY if likely else BITS_OF_OTHER)

    @property
    def _single(self) -> set[str]:
        return {columns[0] for columns in self.determinants if len(columns) == 1}

    def _home(self, columns: Columns, owners: dict[str, Columns]) -> Columns | None:
        """Return the table that refers to a determinant: the one with all its columns; None if they are apart."""
        homes = {owners.get(name, _ROOT) for name in columns}
        return homes.pop() if len(homes) == 1 else None

    def _worst(self, owners: dict[str, Columns]) -> tuple[Columns, str] | None:
        """Return a determinant that makes no good table, and why; the least useful first."""
        found: list[tuple[float, Columns, str]] = []
        for columns, each in self.determinants.items():
            own = [name for name, owner in owners.items() if owner == columns]
            home = self._home(columns, owners)
            if home is None:
                found.append((-math.inf, columns, "its columns belong to different tables"))
                continue
            rows = self.determinants[home].measured.groups if home else self.flat.rows
            saved = rows * len(own) - each.measured.groups * (len(own) + len(columns))
            share = saved / (self.flat.rows * len(self.flat.columns))
            why = self._why_not(each, own, rows, share)
            if not why and home == _ROOT and self._keeps_a_key(each, own, owners):
                why = f"{own[0]} belongs to a key, and third normal form keeps it there; --bcnf splits it"
            if why:
                found.append((share, columns, why))
        if not found:
            return None
        _, columns, why = min(found)
        return columns, why

    def _why_not(self, each: Determinant, own: list[str], rows: int, share: float) -> str:
        """Return why a table is not worth it; empty if it is."""
        if not own:
            return "what it fixes belongs to a smaller table"
        if self._is_chosen(each):
            return ""
        if share <= 0:
            return "a table of its own would be larger than what it saves"
        likely = all(looks_like_key(name) for name in each.columns)
        if not likely and share < WORTH:
            return f"a table of its own would save {share:.2%} of all values, less than {WORTH:.0%}"
        if not likely and not self._evident(each, own, rows):
            return f"too few of the {rows:,} rows repeat it to tell it from chance"
        return ""

    def _is_chosen(self, each: Determinant) -> bool:
        return self.choice.accepted is not None and each.id in self.choice.accepted

    def _evident(self, each: Determinant, own: list[str], rows: int) -> bool:
        chances = rows - each.measured.groups
        return any(
            chances * -math.log2(max(self.spread[name].purity, 1e-12)) >= BITS_OF_OTHER for name in own
        )

    def _keeps_a_key(self, each: Determinant, own: list[str], owners: dict[str, Columns]) -> bool:
        """Whether the one column that it fixes is part of a key of the rows, which the table would take apart."""
        if self.form == "BCNF" or len(own) != 1 or self._is_chosen(each) or tuple(own) in each.synonyms:
            return False
        stays = [
            name
            for name in self.flat.columns
            if name not in owners and name not in each.columns and name != own[0]
        ]
        return has_pair_key(self.flat, self.spread, own[0], stays)

    # --- tables ------------------------------------------------------------------------------------

    def _tables(self, owners: dict[str, Columns]) -> Plan:
        taken: set[str] = set()
        order = sorted(self.determinants, key=self._place)
        names: dict[Columns, str] = {}
        for columns in order:
            wished = self.choice.names.get(self.determinants[columns].id)
            names[columns] = unique(
                plain(wished) if wished else table_name(list(columns), _own(columns, owners)), taken
            )
        name = plain(self.choice.names.get("root") or self.flat.name)
        # A file `orders` that holds the lines of orders: the orders keep the name.
        names[_ROOT] = unique(f"{name}_rows" if name in taken else name, taken)
        references: dict[Columns, list[Reference]] = {owner: [] for owner in names}
        for columns in order:
            home = self._home(columns, owners)
            assert home is not None
            references[home].append(Reference(columns=list(columns), table=names[columns]))
        rest = [name for name in self.flat.columns if name not in owners]
        repeated = {name for names in self.together for name in names}
        own = [name for name in rest if name not in repeated]
        key, notes = find_key(self.flat, self.spread, own, {name for each in order for name in each})
        columns_of_root = [*(name for name in key if name not in rest), *rest]
        tables = [PlannedTable(
            name=names[_ROOT], columns=columns_of_root, primary_key=key, references=references[_ROOT], rows=self.flat.rows,
        )]  # fmt: skip
        used = []
        for columns in order:
            own = _own(columns, owners)
            used.append(self._dependency(self.determinants[columns], own))
            tables.append(PlannedTable(
                name=names[columns], columns=[*columns, *own], primary_key=list(columns),
                references=references[columns], dependencies=[used[-1].id], rows=self.determinants[columns].measured.groups,
            ))  # fmt: skip
        return Plan(tables=tables, form=self.form, used=used, refused=self.refused, notes=notes)


def _own(columns: Columns, owners: dict[str, Columns]) -> list[str]:
    """Return the columns that belong to a determinant."""
    return [name for name, owner in owners.items() if owner == columns]
