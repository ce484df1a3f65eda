"""What is known while a dataset is compiled: its tables, what names mean, and what is wrong so far."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from dteg.core.errors import ConfigError
from dteg.core.yaml import Path_
from dteg.datasets.catalogue import Catalogue, CatalogueTable
from dteg.datasets.compiler.casting import cast_to
from dteg.datasets.compiler.filters import References, filter_term
from dteg.datasets.compiler.joining import JoinStep, join_node, table_node
from dteg.datasets.compiler.lookups import Lookups
from dteg.datasets.compiler.nodes import exp
from dteg.datasets.compiler.scope import AlreadyToldError, Problems, Scope
from dteg.datasets.compiler.terms import EXACT, Term, TextCompare, name_node
from dteg.datasets.spec import DatasetSource, DatasetSpec, Filter
from dteg.datasets.types import parse_type

RESULT = "result"
"""What a query calls the one within it."""


@dataclass
class Work:
    """One compilation.

    Attributes:
        spec: The definition.
        mode: How it compares texts.
        tables: What it reads, by alias; what could not be looked up is missing.
        scope: What names mean.
        lookups: Values of dictionaries that it has needed so far.
        problems: What is wrong.
        warnings: What may not be meant so.
        steps: Its joins in the order in which they are carried out.
    """

    spec: DatasetSpec
    mode: TextCompare
    tables: Mapping[str, CatalogueTable]
    scope: Scope
    lookups: Lookups
    problems: Problems
    warnings: Problems
    steps: list[JoinStep] = field(default_factory=list)

    @classmethod
    def begin(cls, spec: DatasetSpec, catalogue: Catalogue) -> "Work":
        """Look the sources of a definition up."""
        problems, warnings = Problems(), Problems()
        tables = {}
        for alias, reference in spec.sources.items():
            with problems.at("sources", alias):
                table = catalogue.table(reference)
                if not table.columns:
                    raise ConfigError(f"{reference} has no columns that can be read")
                tables[alias] = table
                if table.warning:
                    warnings.add(("sources", alias), table.warning)
        _refuse_circle(spec, catalogue, problems)
        mode = text_mode(spec, catalogue)
        scope = Scope(tables, frozenset(spec.sources) - set(tables))
        return cls(spec, mode, tables, scope, Lookups(catalogue, mode), problems, warnings)

    def located(self, path: Path_, make: "partial[Term]") -> Term:
        """Call something; its error gets its place in the spec."""
        found: list[Term] = []
        with self.problems.at(*path):
            found.append(make())
        if not found:
            raise AlreadyToldError
        return found[0]

    def typed(self, path: Path_, term: Term, type_: str | None) -> Term:
        """Cast a value to the type at a path, if one is written there."""
        return self.located(path, partial(cast_to, term, parse_type(type_))) if type_ else term

    def condition(self, filter_: Filter, names: References, path: Path_) -> Term | None:
        """Return the condition at a path; None if it is wrong."""
        return filter_term(filter_, names, self.mode, self.problems, path)

    def read(self, query: exp.Select, where: Term | None) -> exp.Select:
        """Add to a query what it reads, joined, and its filter."""
        first = next(iter(self.spec.sources))
        if first in self.tables:
            query.set("from_", exp.From(this=table_node(first, self.tables[first])))
        joins = [join_node(step, self.tables, self.mode) for step in self.steps]
        used = {column.table for column in query.find_all(exp.Column)}
        if where is not None:
            used |= {column.table for column in where.node.find_all(exp.Column)}
        query.set("joins", joins + self.lookups.joins(used))
        if where is not None:
            query.set("where", exp.Where(this=where.node))
        return query


def text_mode(spec: DatasetSpec, catalogue: Catalogue) -> TextCompare:
    """Return how a dataset compares texts."""
    return TextCompare(ci=True, collation=catalogue.letters()) if spec.text_compare == "ci" else EXACT


def around(query: exp.Select, outer: exp.Select) -> exp.Select:
    """Put a query into another one, which reads its result."""
    outer.set("from_", exp.From(this=exp.Subquery(this=query, alias=exp.TableAlias(this=name_node(RESULT)))))
    return outer


def _refuse_circle(spec: DatasetSpec, catalogue: Catalogue, problems: Problems) -> None:
    """Refuse a dataset that would read itself, by however many others."""
    for alias, reference in spec.sources.items():
        if not isinstance(reference, DatasetSource):
            continue
        if way := _way_to(spec.dataset, reference.dataset, catalogue):
            problems.add(
                ("sources", alias, "dataset"),
                f"{spec.dataset} would read itself: {' -> '.join([spec.dataset, *way])}",
            )


def _way_to(name: str, start: str, catalogue: Catalogue) -> Sequence[str]:
    """Return the datasets from `start` to `name`, each reading the next; none if there is no way."""
    before: dict[str, str] = {start: ""}
    waiting = [start]
    while waiting:
        here = waiting.pop()
        if here == name:
            way = [here]
            while before[way[0]]:
                way.insert(0, before[way[0]])
            return way
        for following in catalogue.dataset_uses(here):
            if following not in before:
                before[following] = here
                waiting.append(following)
    return []
