"""First normal form: lists in values and repeated groups of columns become rows of a table."""

import re
from collections import defaultdict
from typing import Literal

from dteg.normalize.flat import TABLE, Flat, quoted
from dteg.normalize.models import ListSplit, Plan, PlannedTable, Reference
from dteg.normalize.naming import plain, plural, unique

Splitting = Literal["sure", "all", "none"]
POSITION = "position"
# Between the items of a list and hardly ever within one; a comma may as well belong to a name or an address.
_SURE = ("; ", ";", " | ", "|")
_UNSURE = (", ", ",")
_MEMBER = re.compile(r"^(?P<base>.*?[^0-9_])_?(?P<number>[0-9]{1,2})$")
Members = dict[str, list[str]]
_MIN_SHARE = 0.3
_MAX_ITEM = 60


def split_lists(flat: Flat, plan: Plan, splitting: Splitting = "sure") -> Plan:
    """Return the plan with a table for each list and each repeated group.

    Args:
        flat: The file.
        plan: Its tables.
        splitting: `sure`: what can be nothing else; `all`: lists with commas too; `none`: nothing.
    """
    if splitting == "none":
        return plan
    taken = {table.name for table in plan.tables}
    tables, children, lists = [], [], []
    for table in plan.tables:
        found = _lists_of(flat, table, splitting)
        for separator, members in found:
            split = _split_of(table, members, separator, taken)
            lists.append(split)
            children.append(_child(table, split))
        moved = {name for _, members in found for names in members.values() for name in names}
        tables.append(
            table.model_copy(update={"columns": [name for name in table.columns if name not in moved]})
        )
    notes = [
        f"{'lists in' if each.separator else 'columns'} {', '.join(each.sources)} became rows of {each.table}"
        for each in lists
    ]
    return plan.model_copy(
        update={"tables": [*tables, *children], "lists": lists, "notes": [*plan.notes, *notes]}
    )


def _lists_of(flat: Flat, table: PlannedTable, splitting: Splitting) -> list[tuple[str | None, Members]]:
    """Return the groups and lists of a table: the separator of a list, and the columns by what they are called."""
    fixed = {*table.primary_key, *(name for each in table.references for name in each.columns)}
    free = [name for name in table.columns if name not in fixed]
    groups = _groups(flat, free)
    grouped = {name for members in groups for names in members.values() for name in names}
    found: list[tuple[str | None, Members]] = [(None, members) for members in groups]
    single = [name for name in free if name not in grouped]
    separators = {name: separator_of(flat, name, splitting) for name in single}
    return [*found, *((separator, {name: [name]}) for name, separator in separators.items() if separator)]


def separator_of(flat: Flat, name: str, splitting: Splitting = "sure") -> str | None:
    """Return what separates the items of the lists in a column; None if it holds none."""
    if flat.types[name] != "VARCHAR":
        return None
    column = quoted(name)
    for separator in _SURE + (_UNSURE if splitting == "all" else ()):
        values, lists, items, different, longest = flat.connection.execute(
            f"SELECT count(*), count(*) FILTER (len(i) > 1), sum(len(i)), (SELECT count(DISTINCT j) FROM "  # noqa: S608 - quoted, bound
            f"(SELECT unnest(string_split(v, $1)) AS j FROM (SELECT DISTINCT {column} AS v FROM {TABLE}))), "
            f"max(list_max(list_transform(i, lambda x: len(x)))) FROM (SELECT string_split({column}, $1) AS i FROM "
            f"(SELECT DISTINCT {column} FROM {TABLE} WHERE {column} IS NOT NULL))",
            [separator],
        ).fetchone() or (0, 0, 0, 0, 0)
        repeated = items and different <= 0.9 * items
        if (
            values
            and lists >= _MIN_SHARE * values
            and longest <= _MAX_ITEM
            and (repeated or separator in _SURE)
        ):
            return separator
    return None


def _groups(flat: Flat, names: list[str]) -> list[Members]:
    """Return the repeated groups: those with the same positions belong together (`item1, qty1, item2, qty2`)."""
    members: dict[str, dict[int, str]] = defaultdict(dict)
    for name in names:
        if match := _MEMBER.match(name):
            members[match["base"]][int(match["number"])] = name
    together: dict[int, Members] = defaultdict(dict)
    for base, numbered in members.items():
        count = len(numbered)
        same_type = len({flat.types[name] for name in numbered.values()}) == 1
        if count > 1 and same_type and sorted(numbered) == list(range(1, count + 1)):
            together[count][base] = [numbered[number] for number in sorted(numbered)]
    return list(together.values())


def _split_of(table: PlannedTable, members: Members, separator: str | None, taken: set[str]) -> ListSplit:
    reserved = {*(name.casefold() for name in table.primary_key), POSITION}
    named = {
        plain(base) if plain(base) not in reserved else f"{plain(base)}_value": names
        for base, names in members.items()
    }
    name = unique(plain(f"{table.name}_{plural(next(iter(members)))}"), taken)
    return ListSplit(table=name, owner=table.name, separator=separator, members=named)


def _child(table: PlannedTable, split: ListSplit) -> PlannedTable:
    key = table.primary_key
    position = POSITION if POSITION not in (name.casefold() for name in key) else f"{POSITION}_"
    return PlannedTable(
        name=split.table, columns=[*key, position, *split.members], primary_key=[*key, position],
        references=[Reference(columns=key, table=table.name)],
    )  # fmt: skip
