"""Tables of a source are looked at and made readable in the warehouse."""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, runtime_checkable

import psycopg
from psycopg import sql

from dteg.core.errors import ConflictError
from dteg.core.project import Project
from dteg.core.queries import first_value
from dteg.sources.fdw import FdwLinker
from dteg.sources.kinds import Link, Linker
from dteg.sources.models import Mode, Progress, SourceTable, TableProblem, schema_hash
from dteg.sources.reaching import Reaching
from dteg.sources.relations import sweep
from dteg.sources.roles import ensure_roles, open_schema

LINK_DEADLINE_S = 60.0
# Statistics of what is far away help the planner, but nobody waits for them.
ANALYZE_BUDGET_S = 0.8
_DOMAINS = """
SELECT t.typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = %s AND t.typtype = 'd'
"""

Connection = psycopg.Connection[Any]


@runtime_checkable
class NeedsSettings(Protocol):
    """A linker whose tables are read rightly only with some settings of the session."""

    def session_settings(self, link: Link, connection: Connection) -> dict[str, str]:
        """Return them."""
        ...


@dataclass
class Linked:
    """What became of linking.

    Attributes:
        tables: As they are now.
        problems: What cannot be read.
        relayed: Whether they are reached through the relay.
        settings: What sessions need that read them.
    """

    tables: list[SourceTable]
    problems: list[TableProblem]
    relayed: bool
    settings: dict[str, str] = field(default_factory=dict)


class Linking:
    """Links the sources of one project.

    Args:
        project: Whose.
        reaching: How the warehouse reaches them.
    """

    def __init__(self, project: Project, reaching: Reaching) -> None:
        self._project = project
        self._reaching = reaching

    def link(self, connection: Connection, link: Link, linker: Linker, on_progress: Progress) -> Linked:
        """Look at a source and make its tables readable; what is as it was is left alone.

        Raises:
            DtegError: It cannot be linked at all; everything is as before.
        """
        ensure_roles(connection)
        open_schema(connection, link.schema)
        routed = self._reaching.routed(link, connection)
        on_progress("looking", 0, 0)
        with self._reaching.deadline([link.slug] if routed.address else [], LINK_DEADLINE_S):
            found = self.looked_at(routed, linker)
            problems = [
                TableProblem(table=table.full_name, message=table.problem, columns=_touched(table))
                for table in found
                if table.problem
            ]
            at = datetime.now(UTC)
            problems += linker.link_tables(routed, connection, found, on_progress)
            settings = linker.session_settings(link, connection) if isinstance(linker, NeedsSettings) else {}
            tables = _with_results(connection, found, problems, at if link.mode is Mode.STAGED else None)
            sweep(connection, link.schema, [table for table in tables if table.linked])
            if isinstance(linker, FdwLinker) and linker.analyzed:
                _analyze(connection, tables)
        return Linked(tables, problems, relayed=routed.address is not None, settings=settings)

    def looked_at(self, link: Link, linker: Linker) -> list[SourceTable]:
        """Return the tables of a source with their hashes."""
        at = datetime.now(UTC)
        return [
            table.model_copy(update={"introspected_at": at, "schema_hash": schema_hash(table)})
            for table in linker.introspect(link)
        ]

    def renew_access(self, connection: Connection, link: Link, linker: Linker) -> None:
        """Give the foreign server the address of the relay and its passwords again, without asking the source."""
        open_schema(connection, link.schema)
        self._reaching.open(connection, link)
        if isinstance(linker, FdwLinker):
            linker.make_mappings(link, connection)

    def unlink(self, connection: Connection, link: Link, linker: Linker) -> None:
        """Drop all that was made for a source.

        Raises:
            ConflictError: Something reads its tables.
        """
        schema = sql.Identifier(link.schema)
        with connection.transaction():
            if left := sweep(connection, link.schema):
                raise ConflictError(f"tables of source {link.slug} are still read: {', '.join(left[:10])}")
            linker.unlink(link, connection)
            for (name,) in connection.execute(_DOMAINS, [link.schema]).fetchall():
                connection.execute(sql.SQL("DROP DOMAIN {}").format(sql.Identifier(link.schema, name)))
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {}").format(schema))
        self._reaching.forget(link.slug)


def _touched(table: SourceTable) -> list[str]:
    """Return the columns that a problem is about: those it names. None means the whole table."""
    if not table.columns:
        return []
    named = [part.partition(": ")[0] for part in table.problem.split("; ")]
    known = {column.name for column in table.columns}
    return [name for name in named if name in known or " " not in name] or sorted(known)


def _with_results(
    connection: Connection,
    found: Sequence[SourceTable],
    problems: Sequence[TableProblem],
    copied_at: datetime | None,
) -> list[SourceTable]:
    """Return the tables with whether they can be read, and why not; of a copy that failed, the one before may be there."""
    whole = {problem.table: problem.message for problem in problems if not problem.columns}
    tables = []
    for table in found:
        failed = table.full_name in whole
        there = _is_there(connection, table) if failed and copied_at else not failed
        changes = {
            "linked": bool(table.columns) and there,
            "problem": whole.get(table.full_name, table.problem),
            "staged_at": None if failed else copied_at,
        }
        tables.append(table.model_copy(update=changes))
    return tables


def _is_there(connection: Connection, table: SourceTable) -> bool:
    return bool(first_value(connection, "SELECT to_regclass(%s) IS NOT NULL", [table.relation.sql]))


def _analyze(connection: Connection, tables: Sequence[SourceTable]) -> None:
    """Take samples of the tables for the planner, the largest first, as far as the time reaches."""
    end = time.monotonic() + ANALYZE_BUDGET_S
    try:
        for table in sorted(tables, key=lambda each: -(each.row_estimate or 0)):
            left_ms = int((end - time.monotonic()) * 1000)
            if left_ms <= 0:
                break
            if table.linked:
                connection.execute(f"SET statement_timeout = {left_ms}".encode())
                with contextlib.suppress(psycopg.Error):
                    connection.execute(sql.SQL("ANALYZE {}").format(table.relation.identifier))
    finally:
        connection.execute("RESET statement_timeout")
