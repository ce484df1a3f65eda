"""What there is to make datasets of: tables of sources, dictionaries and other datasets, with their columns and keys."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import psycopg
from psycopg import sql

from dteg.core.control import session
from dteg.core.errors import NotFoundError, PermanentError
from dteg.core.project import Project
from dteg.core.suggest import did_you_mean
from dteg.datasets.models import VIEW_SCHEMA, Dependency
from dteg.datasets.spec import DatasetSource, DictionarySource, TableSource
from dteg.datasets.types import Family, SqlType, type_of
from dteg.datasets.visible import hidden
from dteg.sources.models import Column, ForeignKey, Kind, Mode, Relation, Source, SourceTable
from dteg.tokens.visible import EVERYTHING, Visible

# `lower` of a database with the locale C knows ASCII only, and each server has other locales. The embedded server lists
# collations of ICU, but is built without it: so each is tried.
_UNICODE = ("pg_c_utf8", "C.utf8", "C.UTF-8", "und-x-icu")
_KNOWN = """
SELECT collname FROM pg_collation
WHERE collname = ANY(%s) AND collnamespace = 'pg_catalog'::regnamespace
    AND collencoding IN (-1, (SELECT encoding FROM pg_database WHERE datname = current_database()))
"""

Ref = TableSource | DictionarySource | DatasetSource


@dataclass(frozen=True)
class CatalogueColumn:
    """One column.

    Attributes:
        name: Its name in the warehouse.
        type: Its type in the warehouse.
        nullable: Whether it may hold nulls.
        exact: Whether its database compares it as this one does; else it may be declared with a domain here, which no
            foreign data wrapper sends anything about away.
        foreign: Whether its database is no PostgreSQL, so that it would calculate in another way.
        description: What its source says about it.
    """

    name: str
    type: SqlType
    nullable: bool = True
    exact: bool = True
    foreign: bool = False
    description: str = ""


@dataclass(frozen=True)
class CatalogueTable:
    """One thing that can be read, wherever it comes from.

    Attributes:
        relation: Where it is in the warehouse.
        columns: Its columns by name, in order.
        keys: Sets of columns without repeats, the primary key first.
        foreign_keys: References to tables of the same source.
        dependency: How it is called among the dependencies of a dataset.
        server: What is equal for tables that one remote database could join by itself; empty for local ones.
        schema: Schema in its source.
        name: Name in its source.
        row_estimate: Rows, if somebody has an idea.
        warning: Something that a reader should know, such as a dataset without rows.
    """

    relation: Relation
    columns: Mapping[str, CatalogueColumn]
    keys: Sequence[frozenset[str]] = ()
    foreign_keys: Sequence[ForeignKey] = ()
    dependency: Dependency = field(default_factory=lambda: Dependency(kind="source_table", name=""))
    server: str = ""
    schema: str = ""
    name: str = ""
    row_estimate: int | None = None
    warning: str = ""

    def is_unique(self, columns: Sequence[str]) -> bool:
        """Whether no two rows can have the same values in these columns."""
        return any(key <= set(columns) for key in self.keys)

    @property
    def foreign(self) -> bool:
        """Whether its database is no PostgreSQL."""
        return any(column.foreign for column in self.columns.values())

    @property
    def primary_key(self) -> frozenset[str]:
        """The columns of the first key; empty if there is none."""
        return self.keys[0] if self.keys else frozenset()


class Catalogue(Protocol):
    """Where the compiler looks names up."""

    def table(self, ref: Ref) -> CatalogueTable:
        """Return what a reference names.

        Raises:
            DtegError: There is no such thing, or it cannot be read; the message says a near name.
        """
        ...

    def dataset_uses(self, slug: str) -> Sequence[str]:
        """Return the datasets that a dataset reads; none if there is no such dataset."""
        ...

    def letters(self) -> str:
        """Return the collation of the warehouse that knows small and capital letters of all languages; "" if none."""
        ...


class MemoryCatalogue:
    """A catalogue of what is put into it.

    Args:
        tables: Table by its reference as text: `shop/public.orders`, `dictionary colours`, `dataset sales`.
        uses: Datasets that a dataset reads.
        letters: What `letters` returns.
    """

    def __init__(
        self,
        tables: Mapping[str, CatalogueTable],
        uses: Mapping[str, Sequence[str]] | None = None,
        letters: str = "",
    ) -> None:
        self._tables, self._uses, self._letters = dict(tables), dict(uses or {}), letters

    def table(self, ref: Ref) -> CatalogueTable:
        """Return a table that was put in."""
        if (found := self._tables.get(str(ref))) is None:
            near = did_you_mean(str(ref), self._tables)
            raise NotFoundError(f"there is no {ref}; {near or 'look at the sources'}")
        return found

    def dataset_uses(self, slug: str) -> Sequence[str]:
        """Return what was put in."""
        return self._uses.get(slug, ())

    def letters(self) -> str:
        """Return what was put in."""
        return self._letters


class LiveCatalogue:
    """The sources, dictionaries and datasets of a project; remembers what it has looked up.

    Args:
        project: Whose.
        sees: What who asks may see; other datasets are not found.
    """

    def __init__(self, project: Project, sees: Visible = EVERYTHING) -> None:
        self._project, self._sees = project, sees
        self._tables: dict[str, CatalogueTable] = {}
        self._sources: dict[str, Source] = {}
        self._letters: str | None = None

    def table(self, ref: Ref) -> CatalogueTable:
        """Return what a reference names.

        Raises:
            NotFoundError: There is no such thing.
            PermanentError: It cannot be read in the warehouse.
        """
        known = str(ref)
        if known not in self._tables:
            if isinstance(ref, TableSource):
                self._tables[known] = self._source_table(ref)
            elif isinstance(ref, DictionarySource):
                self._tables[known] = self._dictionary(ref.dictionary)
            else:
                self._tables[known] = self._dataset(ref.dataset)
        return self._tables[known]

    def dataset_uses(self, slug: str) -> Sequence[str]:
        """Return the datasets that a saved dataset reads."""
        from dteg.datasets.service import Datasets

        try:
            dataset = Datasets.of(self._project).get(slug)
        except NotFoundError:
            return ()
        return [each.name for each in dataset.depends_on if each.kind == "dataset"]

    def letters(self) -> str:
        """Return a collation of Unicode, if the warehouse has one."""
        if self._letters is None:
            with session(self._project) as connection:
                self._letters = unicode_collation(connection)
        return self._letters

    def _source_table(self, ref: TableSource) -> CatalogueTable:
        from dteg.sources.service import Sources

        sources = Sources.of(self._project)
        if ref.source not in self._sources:
            self._sources[ref.source] = sources.get(ref.source)
        name = f"{ref.schema_}.{ref.table}" if ref.schema_ else ref.table
        table = sources.table(ref.source, name)
        if table.relation.schema_ == VIEW_SCHEMA and table.relation.name in hidden(self._project, self._sees):
            raise NotFoundError(f"there is no {ref}; look at the sources")
        if not table.linked:
            raise PermanentError(
                f"{ref.source}/{table.full_name} cannot be read: {table.problem or 'it is not linked'};"
                f" try: dteg source refresh {ref.source}"
            )
        return from_source(self._sources[ref.source], table)

    def _dictionary(self, slug: str) -> CatalogueTable:
        from dteg.dictionaries.service import Dictionaries

        dictionaries = Dictionaries.of(self._project)
        dictionary = dictionaries.get(slug)
        relation = dictionaries.relation(slug)
        columns = [
            CatalogueColumn(
                each.name, type_of(each.type), each.name != dictionary.key, description=each.description
            )
            for each in dictionary.columns
        ]
        return CatalogueTable(
            Relation(schema_=relation.schema, name=relation.name),
            {each.name: each for each in columns},
            keys=[frozenset([dictionary.key])],
            dependency=Dependency(kind="dictionary", name=slug),
            name=slug,
            row_estimate=dictionary.rows,
        )

    def _dataset(self, slug: str) -> CatalogueTable:
        from dteg.datasets.service import Datasets

        dataset = Datasets.of(self._project).get(slug, self._sees)
        described = dataset.seen_columns
        key = dataset.spec.get("cache", {}).get("key", [])
        return CatalogueTable(
            Relation(schema_=VIEW_SCHEMA, name=slug),
            {each.name: CatalogueColumn(each.name, type_of(each.type), each.nullable) for each in described},
            keys=[frozenset(key)] if key else [],
            dependency=Dependency(kind="dataset", name=slug),
            name=slug,
            row_estimate=dataset.live.rows if dataset.live else None,
            warning=""
            if dataset.live
            else f"dataset {slug} has no rows yet; refresh it first: dteg dataset refresh {slug}",
        )


def unicode_collation(connection: psycopg.Connection[Any]) -> str:
    """Return a collation that knows the letters of all languages; "" if the server has none.

    Args:
        connection: In autocommit mode.
    """
    known = {row[0] for row in connection.execute(_KNOWN, [list(_UNICODE)]).fetchall()}
    for name in _UNICODE:
        if name not in known:
            continue
        query = sql.SQL("SELECT lower('\u00c4\u0416' COLLATE {})").format(sql.Identifier(name))
        try:
            row = connection.execute(query).fetchone()
        except psycopg.Error:
            continue
        if row and row[0] == "\u00e4\u0436":
            return name
    return ""


def from_source(source: Source, table: SourceTable) -> CatalogueTable:
    """Return a table of a source as the compiler sees it."""
    remote = source.mode is Mode.FDW
    columns = [
        CatalogueColumn(
            each.name,
            type_of(each.type),
            each.nullable,
            not each.exact and compares_exactly(source.kind if remote else Kind.WAREHOUSE, each),
            remote and source.kind is not Kind.POSTGRES,
            each.description,
        )
        for each in table.columns
        if each.type
    ]
    keys = [frozenset(key) for key in (table.primary_key, *table.unique_keys) if key]
    names = {each.name for each in columns}
    return CatalogueTable(
        table.relation,
        {each.name: each for each in columns},
        keys=[key for key in keys if key <= names],
        foreign_keys=table.foreign_keys,
        dependency=Dependency(kind="source_table", name=f"{source.slug}/{table.full_name}"),
        server=source.slug if remote else "",
        schema=table.schema_,
        name=table.name,
        row_estimate=table.row_estimate,
    )


_PLAIN = re.compile(r"(text|character varying|varchar)( ?\([0-9]+\))?")


def compares_exactly(kind: Kind, column: Column) -> bool:
    """Say whether the database of a column compares its values as this one does; texts are what databases differ in.

    Only PostgreSQL's own plain types are known to: an enum or citext of a remote PostgreSQL is a text in the warehouse,
    but not there, and MySQL and MariaDB follow the collation of the column.
    """
    if type_of(column.type).family is not Family.TEXT:
        return True
    if kind is Kind.POSTGRES:
        return bool(_PLAIN.fullmatch(column.remote_type.strip().lower()))
    return kind is Kind.WAREHOUSE and bool(_PLAIN.fullmatch(column.type))
