"""Values that are looked up in dictionaries: left joins that never repeat a row."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from dteg.core.errors import ConfigError
from dteg.core.suggest import did_you_mean
from dteg.datasets.catalogue import Catalogue, CatalogueTable
from dteg.datasets.compiler.casting import casted_literal
from dteg.datasets.compiler.comparing import compare
from dteg.datasets.compiler.joining import table_node
from dteg.datasets.compiler.makers.choices import unified
from dteg.datasets.compiler.nodes import exp
from dteg.datasets.compiler.scope import Scope
from dteg.datasets.compiler.terms import (
    Term,
    TextCompare,
    built,
    call,
    collated,
    column_term,
    key_node,
    name_node,
)
from dteg.datasets.spec import DictionarySource, Lookup
from dteg.datasets.types import Family


@dataclass(frozen=True)
class _Joined:
    """One dictionary that is joined by one key."""

    alias: str
    table: CatalogueTable
    node: exp.Join


class Lookups:
    """The dictionaries that the columns of one dataset look into, each joined once for each key."""

    def __init__(self, catalogue: Catalogue, mode: TextCompare) -> None:
        """Start without any."""
        self._catalogue, self._mode = catalogue, mode
        self._joined: dict[tuple[str, str], _Joined] = {}

    def term(self, lookup: Lookup, scope: Scope) -> Term:
        """Return the value that is looked up.

        Raises:
            ConfigError: There is no such column, or the key is of another type.
            NotFoundError: There is no such dictionary.
        """
        joined = self._join(lookup, scope)
        columns = joined.table.columns
        if lookup.value not in columns:
            near = did_you_mean(lookup.value, columns) or f"there are: {', '.join(columns)}"
            raise ConfigError(f"the dictionary {lookup.dictionary} has no column {lookup.value!r}; {near}")
        # Null for a key that the dictionary does not have, whatever its column says.
        found = column_term(joined.alias, columns[lookup.value], nullable=True)
        found = Term(found.node, found.type, column=found.column)
        if lookup.default is None:
            return found
        default = casted_literal(lookup.default, found.type)
        nodes, type_ = unified([found, default], "value and default")
        if type_.family is not found.family:
            raise ConfigError(
                f"the default is {default.family.words}; {lookup.value} is {found.family.words}"
            )
        return built(call("coalesce", *nodes), type_, [found, default], nullable=False)

    def joins(self, used: AbstractSet[str]) -> list[exp.Join]:
        """Return the joins whose columns are used by the query, to follow those of the sources."""
        return [each.node for each in self._joined.values() if each.alias in used]

    def tables(self) -> list[CatalogueTable]:
        """Return the dictionaries."""
        return [each.table for each in self._joined.values()]

    def _join(self, lookup: Lookup, scope: Scope) -> _Joined:
        key = scope.reference(lookup.key)
        table = self._catalogue.table(DictionarySource(dictionary=lookup.dictionary))
        known = (lookup.dictionary, key.node.sql("postgres", identify=True))
        if known not in self._joined:
            # With a space: no alias of a user has one.
            alias = f"lookup {len(self._joined) + 1}"
            self._joined[known] = _Joined(alias, table, self._node(alias, table, key))
        return self._joined[known]

    def _node(self, alias: str, table: CatalogueTable, key: Term) -> exp.Join:
        column = table.columns[next(iter(table.primary_key))]
        inner = column_term(alias, column, nullable=False)
        if key.family is not Family.TEXT and inner.family is Family.TEXT:
            raise ConfigError(
                f"the key of the dictionary is a text, and this column is {key.family.words}; look up a column"
                " with the formula text(...)"
            )
        on = compare("=", key, inner, self._mode).node
        if self._mode.ci and inner.family is Family.TEXT:
            return exp.Join(this=self._once(alias, table, inner), on=on, side="LEFT")
        return exp.Join(this=table_node(alias, table), on=on, side="LEFT")

    def _once(self, alias: str, table: CatalogueTable, inner: Term) -> exp.Subquery:
        """Return one row of those whose keys differ by small and capital letters only, always the same one."""
        key = key_node(inner, self._mode)
        query = exp.Select(
            expressions=[exp.Column(this=name_node(name), table=name_node(alias)) for name in table.columns],
            distinct=exp.Distinct(on=exp.Tuple(expressions=[key])),
        )
        query.set("from_", exp.From(this=table_node(alias, table)))
        order = [exp.Ordered(this=node, nulls_first=False) for node in (key, collated(inner.node))]
        query.set("order", exp.Order(expressions=order))
        return exp.Subquery(this=query, alias=exp.TableAlias(this=name_node(alias)))
