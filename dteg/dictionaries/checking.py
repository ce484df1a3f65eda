"""Rows checked against the columns of a dictionary, all of them, so that every problem is told at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dteg.core.errors import ConfigError, Problem
from dteg.core.suggest import did_you_mean
from dteg.dictionaries.models import Dictionary, Row, RowProblem
from dteg.dictionaries.values import check_key, parse

MAX_PROBLEMS = 100


@dataclass
class Checked:
    """What became of rows.

    Attributes:
        columns: The columns that they have, the key first.
        rows: Values as PostgreSQL reads them, in the order of `columns`; only whole if there is no problem.
        problems: The first `MAX_PROBLEMS` things that are wrong.
        problem_count: How many there are in all.
    """

    columns: list[str]
    rows: list[list[str | None]] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)
    problem_count: int = 0

    def note(self, problem: RowProblem) -> None:
        """Note what is wrong."""
        self.problem_count += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)


def check_columns(dictionary: Dictionary, names: Sequence[str]) -> list[RowProblem]:
    """Say which names of columns cannot be taken."""
    known = dictionary.types
    problems = [
        RowProblem(
            column=name,
            message="the dictionary has no such column; "
            + (did_you_mean(name, known) or f"there are: {', '.join(known)}"),
        )
        for name in names
        if name not in known
    ]
    if dictionary.key not in names:
        problems.append(
            RowProblem(column=dictionary.key, message="the column of the key is missing; each row needs it")
        )
    return problems


def check_rows(dictionary: Dictionary, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Checked:
    """Check rows that have the same columns; none repeats the key of another.

    Args:
        dictionary: What they are for.
        columns: The columns that they have; the key is among them, and none is unknown.
        rows: Values by column.
    """
    names = [dictionary.key, *(name for name in columns if name != dictionary.key)]
    types = dictionary.types
    checked = Checked(names)
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        shown = str(row.get(dictionary.key) or "")[:100]
        values: list[str | None] = []
        for name in names:
            try:
                value = parse(row.get(name), types[name])
                if name == dictionary.key:
                    value = check_key(value)
                    if (first := seen.setdefault(value, number)) != number:
                        raise ValueError(f"the same key as in row {first}; keep one of the two")
                values.append(value)
            except ValueError as error:
                checked.note(RowProblem(row=number, column=name, key=shown, message=str(error)))
        if not checked.problems:
            checked.rows.append(values)
    return checked


def check_put(dictionary: Dictionary, rows: Sequence[Row]) -> list[Checked]:
    """Check rows that may name different columns, those with the same ones together.

    Raises:
        ConfigError: Values cannot be taken.
    """
    groups: dict[tuple[str, ...], list[tuple[int, Mapping[str, Any]]]] = {}
    for number, row in enumerate(rows, start=1):
        groups.setdefault(tuple(row), []).append((number, row))
    checked, problems = [], []
    seen: dict[str, int] = {}
    for names, members in groups.items():
        first = members[0][0]
        if wrong := check_columns(dictionary, names):
            problems += [each.model_copy(update={"row": first}) for each in wrong]
            continue
        group = check_rows(dictionary, names, [row for _, row in members])
        problems += [
            each.model_copy(update={"row": members[(each.row or 1) - 1][0]}) for each in group.problems
        ]
        for (number, _), values in zip(members, group.rows, strict=False):
            if (before := seen.setdefault(str(values[0]), number)) != number:
                problems.append(
                    RowProblem(row=number, column=dictionary.key, message=f"the same key as in row {before}")
                )
        checked.append(group)
    if problems:
        raise ConfigError(
            [Problem(each.message, path=f"rows[{(each.row or 1) - 1}].{each.column}") for each in problems]
        )
    return checked


def check_header(names: Mapping[str, str]) -> list[RowProblem]:
    """Say which columns of a file are for the same one of the dictionary.

    Args:
        names: Column of the dictionary by column of the file.
    """
    found = list(names.values())
    return [
        RowProblem(
            column=name,
            message=f"two columns of the file are for it: {', '.join(repr(key) for key in names if names[key] == name)}",
        )
        for name in dict.fromkeys(found)
        if found.count(name) > 1
    ]
