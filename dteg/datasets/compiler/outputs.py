"""The columns of a result: named once each, and known to everything in a spec that speaks of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dteg.core.identifiers import MAX_IDENTIFIER_BYTES
from dteg.core.suggest import did_you_mean
from dteg.core.yaml import Path_
from dteg.datasets.catalogue import CatalogueTable
from dteg.datasets.compiler.nodes import exp
from dteg.datasets.compiler.scope import Problems, Scope
from dteg.datasets.compiler.terms import TEXT, Term, guarded, name_node, to_type
from dteg.datasets.spec import DatasetSpec, FreshCheck, Group, GroupColumn
from dteg.datasets.types import NUMBERS, TIMES, Family

MAX_OUTPUTS = 1_600


@dataclass(frozen=True)
class Output:
    """One column of a result."""

    name: str
    term: Term


def output_term(term: Term) -> Term:
    """Return a value as a column of its own.

    Values that mean something else in other databases are declared with a type of their own in the warehouse, which must not get into a result.
    They are guarded, too: mysql_fdw would let its server sort by `CAST(name AS text) COLLATE "C"` as by `name`.
    """
    if term.column is not None and not term.column.exact:
        is_text = term.family is Family.TEXT
        node = to_type(guarded(term), TEXT) if is_text else guarded(term)
        return Term(node, TEXT if is_text else term.type, term.nullable, term.size + 2, term.height + 2)
    if term.family is Family.NULL or (term.constant and term.family is Family.TEXT):
        return Term(to_type(term.node, TEXT), TEXT, term.nullable, term.size + 1, term.height + 1)
    return term


def select(outputs: Iterable[Output]) -> exp.Select:
    """Return a query of these columns, of nothing so far."""
    return exp.Select(
        expressions=[exp.Alias(this=output.term.node, alias=name_node(output.name)) for output in outputs]
    )


def every_column(tables: Mapping[str, CatalogueTable], scope: Scope) -> list[Output]:
    """Return all columns of all sources; names that several sources have begin with the alias."""
    seen: dict[str, int] = {}
    for table in tables.values():
        for name in table.columns:
            seen[name.lower()] = seen.get(name.lower(), 0) + 1
    outputs: list[Output] = []
    taken: set[str] = set()
    for alias, table in tables.items():
        for name in table.columns:
            wanted = f"{alias}_{name}" if seen[name.lower()] > 1 else name
            free = _free(wanted, taken)
            taken.add(free.lower())
            outputs.append(Output(free, output_term(scope.column(alias, name))))
    return outputs


def _free(name: str, taken: set[str]) -> str:
    number, wanted = 1, _cut(name, "")
    while wanted.lower() in taken:
        number += 1
        wanted = _cut(name, f"_{number}")
    return wanted


def _cut(name: str, end: str) -> str:
    return name.encode()[: MAX_IDENTIFIER_BYTES - len(end)].decode(errors="ignore") + end


def check_names(spec: DatasetSpec, problems: Problems) -> None:
    """Refuse names that are there twice; some programs cannot tell `Total` from `total`."""
    _check_repeated([(each.name, ("columns", n)) for n, each in enumerate(spec.columns)], problems)
    groups = [(group_name(each, spec), ("group_by", number)) for number, each in enumerate(spec.group_by)]
    measures = [(each.name, ("measures", number)) for number, each in enumerate(spec.measures)]
    _check_repeated([*groups, *measures], problems)


def group_name(group: Group, spec: DatasetSpec) -> str:
    """Return the name of a group in the result: a text `o.country` is called `country`."""
    if isinstance(group, GroupColumn):
        return group.name
    alias, dot, column = group.partition(".")
    return column if dot and alias in spec.sources and column else group


def _check_repeated(named: Iterable[tuple[str, Path_]], problems: Problems) -> None:
    seen: dict[str, str] = {}
    for name, path in named:
        first = seen.get(name.lower())
        seen.setdefault(name.lower(), name)
        if first == name:
            problems.add(path, f"the name {name!r} is there twice; choose another")
        elif first is not None:
            problems.add(
                path, f"{name!r} differs from {first!r} by capital letters only; choose another name"
            )


def check_uses(spec: DatasetSpec, outputs: Sequence[Output], problems: Problems) -> None:
    """Refuse names under cache, snapshot and checks that no column of the result has."""
    if problems.found:
        return  # which columns there are is not known
    types = {output.name: output.term for output in outputs}
    if len(outputs) > MAX_OUTPUTS:
        problems.add(
            (), f"the result has more than {MAX_OUTPUTS:,} columns; name those you need under columns"
        )
    for name, path in _uses(spec):
        if name not in types:
            near = did_you_mean(name, types) or f"there are: {', '.join(list(types)[:20])}"
            problems.add(path, f"the result has no column {name!r}; {near}")
    for number, check in enumerate(spec.checks):
        fresh = check.fresh.col if isinstance(check, FreshCheck) else ""
        if fresh in types and types[fresh].family not in TIMES:
            problems.add(
                ("checks", number, "fresh", "col"), f"{fresh} is {types[fresh].family.words}, not a time"
            )
    for number, name in enumerate(spec.snapshot.metrics if spec.snapshot else []):
        if name in types and types[name].family not in NUMBERS:
            problems.add(
                ("snapshot", "metrics", number), f"{name} is {types[name].family.words}; a metric is a number"
            )


def _uses(spec: DatasetSpec) -> Iterable[tuple[str, Path_]]:
    for number, name in enumerate(spec.cache.key):
        yield name, ("cache", "key", number)
    for number, index in enumerate(spec.cache.indexes):
        for place, name in enumerate(index):
            yield name, ("cache", "indexes", number, place)
    if spec.snapshot:
        for word, names in (("metrics", spec.snapshot.metrics), ("by", spec.snapshot.by)):
            for number, name in enumerate(names):
                yield name, ("snapshot", word, number)
    for number, check in enumerate(spec.checks):
        for word in ("unique", "not_null"):
            for place, name in enumerate(getattr(check, word, [])):
                yield name, ("checks", number, word, place)
        if isinstance(check, FreshCheck):
            yield check.fresh.col, ("checks", number, "fresh", "col")
