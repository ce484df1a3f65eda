"""Sources for which there is no driver here: the foreign data wrapper itself reads what the server says of its tables.

That happens through foreign tables over queries, in a transaction that is rolled back.
"""

import asyncio
import time
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import psycopg
from psycopg import sql

from dteg.core.control import session
from dteg.core.errors import TransientError
from dteg.core.postgres import translated
from dteg.sources.fdw import Connection, FdwLinker, options_sql, require_extension
from dteg.sources.hello import lives
from dteg.sources.kinds import PROBE_TIMEOUT_S, Link
from dteg.sources.models import Column, Probe, Relation, SourceTable
from dteg.sources.patterns import matches
from dteg.sources.relations import local_names

_TIMEOUT_S = 60
_LOOK = "src__look"  # no slug begins with _
_COLUMNS = (
    ("table_schema", "text"), ("table_name", "text"), ("column_name", "text"), ("data_type", "text"),
    ("length", "integer"), ("number_precision", "integer"), ("number_scale", "integer"), ("nullable", "text"),
)  # fmt: skip
_KEYS = (("table_schema", "text"), ("table_name", "text"), ("key_name", "text"), ("is_primary", "text"),
         ("column_name", "text"))  # fmt: skip


class RemoteColumn(NamedTuple):
    """A column as the source describes it."""

    schema: str
    table: str
    name: str
    data_type: str
    length: int | None
    precision: int | None
    scale: int | None
    nullable: str


class DescribedLinker(FdwLinker):
    """Links tables that the wrapper itself describes."""

    columns_query: ClassVar[str]
    """Query of the source for the columns of all tables in order, with the names of `RemoteColumn`."""
    keys_query: ClassVar[str]
    """Query of the source for the columns of unique keys in order."""

    @abstractmethod
    def query_options(self, query: str) -> dict[str, str]:
        """Return the options of a foreign table over a query."""

    @abstractmethod
    def column(self, found: RemoteColumn) -> tuple[Column, str]:
        """Return what a column becomes, and what is wrong with it."""

    def probe(self, link: Link, timeout_s: float = PROBE_TIMEOUT_S) -> Probe:
        """Ask for a sign of life; whether it lets us in is seen when tables are read."""
        began = time.monotonic()
        server = self.server(link)
        problem = asyncio.run(lives(self.protocol, server.host, server.port, timeout_s))
        return Probe(ok=not problem, ms=round((time.monotonic() - began) * 1000), message=problem)

    def introspect(self, link: Link) -> list[SourceTable]:
        """Let the wrapper read the source's catalogue."""
        if problem := self.probe(link).message:
            raise TransientError(f"{self.server(link).shown} does not answer: {problem}", component="sources")
        with session(link.project) as connection, translated("sources"):
            require_extension(connection, self.extension, self.packages)
            connection.execute(f"SET statement_timeout = {_TIMEOUT_S * 1000}".encode())
            with connection.transaction(force_rollback=True):
                connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(_LOOK)))
                self._make_server(link, connection)
                columns = [
                    RemoteColumn(*row) for row in self._read(link, connection, self.columns_query, _COLUMNS)
                ]
                keys = self._read(link, connection, self.keys_query, _KEYS)
        return self.tables(link, columns, keys)

    def tables(self, link: Link, columns: Sequence[RemoteColumn], keys: Sequence[Any]) -> list[SourceTable]:
        """Return the tables that are meant, made of what the source said."""
        by_table: dict[tuple[str, str], list[RemoteColumn]] = defaultdict(list)
        for column in columns:
            if matches(link.patterns, column.schema, column.table):
                by_table[column.schema, column.table].append(column)
        by_key: dict[tuple[str, str], dict[tuple[bool, str], list[str]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for schema, table, key, is_primary, column in keys:
            by_key[schema, table][is_primary == "Y", key].append(column)
        names = local_names(by_table)
        return [
            self._table(link, name, names[name], by_table[name], by_key[name]) for name in sorted(by_table)
        ]

    def _table(
        self,
        link: Link,
        name: tuple[str, str],
        local: str,
        columns: Sequence[RemoteColumn],
        keys: dict[tuple[bool, str], list[str]],
    ) -> SourceTable:
        mapped = [self.column(column) for column in columns]
        primary = [names for (is_primary, _), names in keys.items() if is_primary]
        return SourceTable(
            source=link.slug, schema_=name[0], name=name[1], relation=Relation(schema_=link.schema, name=local),
            columns=[column for column, _ in mapped if column.type], primary_key=primary[0] if primary else [],
            unique_keys=[names for (is_primary, _), names in keys.items() if not is_primary],
            problem="; ".join(f"{column.name}: {problem}" for column, problem in mapped if problem),
        )  # fmt: skip

    def _read(
        self, link: Link, connection: Connection, query: str, columns: Sequence[tuple[str, str]]
    ) -> list[Any]:
        """Read a query of the source through a foreign table that is gone with the transaction."""
        table = sql.Identifier(_LOOK, f"look_{len(columns)}")
        declared = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(type_)) for name, type_ in columns
        )
        try:
            connection.execute(
                sql.SQL("CREATE FOREIGN TABLE {} ({}) SERVER {} {}").format(
                    table, declared, sql.Identifier(link.schema), options_sql(self.query_options(query))
                )
            )
            return connection.execute(sql.SQL("SELECT * FROM {}").format(table)).fetchall()
        except psycopg.OperationalError as error:
            raise TransientError(str(error.diag.message_primary or error), component="sources") from None
