"""First normal form: lists in values and repeated groups of columns become rows of a table."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from dteg.normalize.flat import TABLE, Flat, quoted
from dteg.normalize.models import ListSplit, Plan, PlannedTable, Reference
from dteg.normalize.naming import plain, plural, separated, shared_word, unique

Splitting = Literal["sure", "all", "none"]
POSITION = "position"
# Between the items of a list and hardly ever within one; a comma may as well belong to a name or an address.
_SURE = ("; ", ";", " | ", "|")
_UNSURE = (", ", ",")
# `phone1`, `phone_2`, and with what it is of behind the number: `item1_sku`.
_MEMBER = re.compile(r"^(?P<base>.*?[^\W0-9_])[ _-]?(?P<number>[0-9]{1,2})(?:[ _-](?P<part>[^\W0-9_].*))?$")
# Numbered, and yet no list: the lines of an address are one value, and a questionnaire asks other things each time.
_NO_LISTS = re.compile(r"(^|_)(address|addr|address_line|street|line|q|question|answer)$")
_NUMBERS = ("FLOAT", "DOUBLE", "DECIMAL", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
Members = dict[str, list[str]]
# Types of a column that hold all values of others as they are.
_WIDER = {frozenset({"BIGINT", "DOUBLE"}): "DOUBLE", frozenset({"BIGINT", "VARCHAR"}): "VARCHAR"}
_MIN_SHARE = 0.3
# Of rows that have a second item; more that lack the first one are no list.
_MAX_HOLES = 0.1
_MAX_ITEM = 60
# More words than this in an item, on the average: what is separated are sentences.
_MAX_WORDS = 2


@dataclass(frozen=True)
class Repeated:
    """Columns that hold the same thing several times, such as `item1, qty1, item2, qty2`.

    Attributes:
        name: What they hold: what their table is called after.
        members: By column of the new table, the columns in the order of their positions.
    """

    name: str
    members: Members

    @property
    def places(self) -> list[tuple[str, ...]]:
        """The columns of each position."""
        return list(zip(*self.members.values(), strict=True))

    @property
    def columns(self) -> list[str]:
        """All of them."""
        return [name for names in self.members.values() for name in names]

    @property
    def shown(self) -> str:
        """The first and the last column."""
        return f"{self.places[0][0]} to {self.places[-1][-1]}"


def found_groups(flat: Flat, splitting: Splitting) -> tuple[list[Repeated], list[str]]:
    """Return the repeated groups that become tables, and what a person should know of the others.

    Args:
        flat: The file.
        splitting: See `split_lists`.
    """
    found = [] if splitting == "none" else repeated_groups(flat.types, flat.columns)
    found = [part for group in found for part in _alike(flat, group)]
    whys = [_why_no_list(flat, group) if splitting == "sure" else "" for group in found]
    notes = [
        f"{group.shown} stay columns: {why}; --lists all makes rows of them"
        for group, why in zip(found, whys, strict=True)
        if why
    ]
    return [group for group, why in zip(found, whys, strict=True) if not why], notes


def split_lists(flat: Flat, plan: Plan, groups: Sequence[Repeated], splitting: Splitting = "sure") -> Plan:
    """Return the plan with a table for each list and each repeated group.

    Args:
        flat: The file.
        plan: Its tables.
        groups: Repeated groups, see `found_groups`.
        splitting: `sure`: what can be nothing else; `all`: lists with commas and all numbered columns too; `none`: nothing.
    """
    if splitting == "none":
        return plan
    taken = {table.name for table in plan.tables}
    tables, children, lists, notes = [], [], [], list(plan.notes)
    for table in plan.tables:
        fixed = {*table.primary_key, *(name for each in table.references for name in each.columns)}
        free = [name for name in table.columns if name not in fixed]
        moved: set[str] = set()
        for group in groups:
            if set(group.columns) <= set(free):
                lists.append(_split_of(table, group, None, taken))
                moved |= set(group.columns)
        for name in free:
            if name not in moved and (separator := separator_of(flat, name, splitting)):
                lists.append(_split_of(table, Repeated(name, {name: [name]}), separator, taken))
                moved.add(name)
        children += [_child(table, split) for split in lists if split.owner == table.name]
        kept = [name for name in table.columns if name not in moved]
        tables.append(table.model_copy(update={"columns": kept}))
    notes += [
        f"{'lists in' if each.separator else 'columns'} {_listed(each)} became rows of {each.table}"
        for each in lists
    ]
    return plan.model_copy(update={"tables": [*tables, *children], "lists": lists, "notes": notes})


def _listed(split: ListSplit) -> str:
    return ", ".join(
        names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}" for names in split.members.values()
    )


def level_types(flat: Flat) -> None:
    """Give the columns of each repeated group one type: `price2` may hold whole numbers by chance, or nothing at all."""
    for group in repeated_groups(dict.fromkeys(flat.types, ""), flat.columns):
        for names in group.members.values():
            empty = {
                name
                for name in names
                if not flat.one(f"SELECT count({quoted(name)}) FROM {TABLE}")[0]  # noqa: S608 - quoted
            }
            types = {flat.types[name] for name in names if name not in empty}
            wider = types.pop() if len(types) == 1 else _WIDER.get(frozenset(types), "")
            for name in names if wider else ():
                if flat.types[name] != wider:
                    flat.change_type(name, wider)


def repeated_groups(types: Mapping[str, str], names: Sequence[str]) -> list[Repeated]:
    """Return the repeated groups among columns: those with the same positions and types belong together.

    Args:
        types: Of the columns.
        names: The columns.
    """
    found: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
    for name in names:
        if match := _MEMBER.match(name):
            found[match["base"], match["part"] or ""][int(match["number"])] = name
    heads = {base for base, part in found if part}
    together: dict[tuple[str, int], Members] = defaultdict(dict)
    for (base, part), numbered in found.items():
        numbers, first = sorted(numbered), min(numbered)
        same_type = len({types[name] for name in numbered.values()}) == 1
        if (
            len(numbers) > 1
            and same_type
            and first < 2
            and numbers == list(range(first, first + len(numbers)))
        ):
            head = base if base in heads else ""
            together[head, len(numbers)][part or base] = [numbered[number] for number in numbers]
    return [Repeated(head or _called(members), members) for (head, _), members in together.items()]


def _alike(flat: Flat, group: Repeated) -> list[Repeated]:
    """Return the columns of a group that are filled in the same rows: a second phone has nothing to do with a second item."""
    parts: list[Members] = []
    for name, columns in group.members.items():
        for part in parts:
            pairs = zip(next(iter(part.values())), columns, strict=True)
            odd = [f"({quoted(one)} IS NULL) <> ({quoted(other)} IS NULL)" for one, other in pairs]
            (apart,) = flat.one(f"SELECT count(*) FILTER ({' OR '.join(odd)}) FROM {TABLE}")  # noqa: S608 - quoted
            if apart <= _MAX_HOLES * flat.rows:
                part[name] = columns
                break
        else:
            parts.append({name: columns})
    return [group] if len(parts) == 1 else [Repeated(_called(members), members) for members in parts]


def _called(members: Members) -> str:
    return shared_word(list(members)) or next(iter(members))


def _why_no_list(flat: Flat, group: Repeated) -> str:
    """Return why numbered columns are no list of something; "" if they are."""
    first = _MEMBER.match(group.places[0][0])
    if first and not first["part"] and any(_NO_LISTS.search(separated(name)) for name in group.members):
        return "their name says that they belong together"
    filled = [f"({' OR '.join(f'{quoted(name)} IS NOT NULL' for name in place)})" for place in group.places]
    holes = " OR ".join(f"({later} AND NOT {before})" for before, later in pairwise(filled))
    second, whole, odd = flat.one(
        f"SELECT count(*) FILTER ({filled[1]}), count(*) FILTER ({' AND '.join(filled)}), count(*) FILTER ({holes}) "  # noqa: S608 - quoted
        f"FROM {TABLE}"
    )
    if not second:
        return "the later ones are always empty"
    measures = all(flat.types[name].startswith(_NUMBERS) for place in group.places for name in place)
    if measures and whole == flat.rows:
        return "each row has a number in all of them"
    return "later ones are filled where earlier ones are empty" if odd > _MAX_HOLES * second else ""


def separator_of(flat: Flat, name: str, splitting: Splitting = "sure") -> str | None:
    """Return what separates the items of the lists in a column; None if it holds none."""
    if flat.types[name] != "VARCHAR":
        return None
    for separator in _likely(flat, name):
        found = _items_of(flat, name, separator)
        if found["longest"] > _MAX_ITEM:
            continue
        repeated = found["different"] <= 0.9 * found["items"]
        if separator in _SURE:
            is_list = repeated or found["words"] <= _MAX_WORDS * found["items"]
        else:
            is_list = _is_choice(found) or (splitting == "all" and repeated)
        if is_list:
            return separator
    return None


def _likely(flat: Flat, name: str) -> list[str]:
    """Return the separators that enough of the different values hold, surer ones first."""
    possible = _SURE + _UNSURE
    counted = ", ".join(f"count(*) FILTER (contains(v, '{each}'))" for each in possible)
    values, *holding = flat.one(
        f"SELECT count(v), {counted} FROM (SELECT DISTINCT {quoted(name)} AS v FROM {TABLE})"  # noqa: S608 - quoted
    )
    return [each for each, count in zip(possible, holding, strict=True) if 0 < count >= _MIN_SHARE * values]


def _items_of(flat: Flat, name: str, separator: str) -> dict[str, int]:
    """Count what the different values of a column hold if a separator separates items."""
    cursor = flat.connection.execute(
        f"WITH lists AS (SELECT string_split(v, $1) AS i FROM (SELECT DISTINCT {quoted(name)} AS v FROM {TABLE}) "  # noqa: S608 - quoted, bound
        "WHERE v IS NOT NULL), items AS (SELECT unnest(i) AS j, unnest(range(len(i))) AS place FROM lists) "
        "SELECT (SELECT count(DISTINCT len(i)) FROM lists) AS lengths, count(*) AS items, count(DISTINCT j) AS different, "
        "coalesce(max(len(j)), 0) AS longest, coalesce(sum(len(string_split(j, ' '))), 0) AS words, "
        "(SELECT count(*) FROM (SELECT j FROM items GROUP BY j HAVING count(DISTINCT place) > 1)) AS moving FROM items",
        [separator],
    )
    row = cursor.fetchone() or ()
    return {column[0]: int(value) for column, value in zip(cursor.description or (), row, strict=True)}


def _is_choice(found: dict[str, int]) -> bool:
    """Whether lists with commas are answers ticked among a few: each now first, now later, and now more, now less."""
    few = 3 <= found["different"] <= found["items"] / 2
    return few and found["lengths"] > 1 and found["moving"] >= found["different"] / 2


def _split_of(table: PlannedTable, group: Repeated, separator: str | None, taken: set[str]) -> ListSplit:
    reserved = {*(name.casefold() for name in table.primary_key), POSITION}
    named = {
        unique(plain(base) if plain(base) not in reserved else f"{plain(base)}_value", reserved): names
        for base, names in group.members.items()
    }
    word = separated(group.name)
    # A question is no word that has a plural.
    called = word if word.count("_") > 2 else plural(word)
    name = unique(plain(f"{table.name}_{called}"), taken)
    return ListSplit(table=name, owner=table.name, name=word, separator=separator, members=named)


def _child(table: PlannedTable, split: ListSplit) -> PlannedTable:
    key = table.primary_key
    position = POSITION if POSITION not in (name.casefold() for name in key) else f"{POSITION}_"
    return PlannedTable(
        name=split.table, columns=[*key, position, *split.members], primary_key=[*key, position],
        references=[Reference(columns=key, table=table.name)],
    )  # fmt: skip
