"""Copies of tables that are too old are made anew, just before somebody reads them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from dteg.core.control import session
from dteg.core.durations import parse_duration
from dteg.core.errors import TransientError
from dteg.core.postgres import connect, translated
from dteg.core.project import Project
from dteg.sources import store
from dteg.sources.definitions import Definitions
from dteg.sources.kinds import kind_of
from dteg.sources.models import Source, SourceTable

DEFAULT_AGE = "15m"


def copy_again(
    project: Project,
    definitions: Definitions,
    source: Source,
    tables: Sequence[SourceTable],
    deadline_s: float,
) -> list[str]:
    """Copy those tables of a copied source whose copy is older than its `max_stage_age`; see `Sources.restage`."""
    age = parse_duration(str(source.options.get("max_stage_age", DEFAULT_AGE)))
    old = [table for table in tables if _is_old(table, age)]
    if not old:
        return []
    at = datetime.now(UTC)
    with (
        session(project, "sources") as own,
        translated("sources"),
        connect(project.warehouse_url(), component="sources") as connection,
    ):
        link = definitions.link(own, source)
        connection.execute(f"SET statement_timeout = {int(deadline_s * 1000)}".encode())
        linker = kind_of(source.kind).linker(source.mode)
        problems = linker.link_tables(link, connection, old, lambda *_: None)
        failed = {problem.table: problem.message for problem in problems if not problem.columns}
        for table in old:
            if table.full_name not in failed:
                store.staged(own, source.slug, table, at)
        if failed:
            name, message = next(iter(failed.items()))
            store.failed(own, source.slug, message)
            raise TransientError(f"{source.slug}: {name} cannot be copied: {message}", component="sources")
        store.succeeded(own, source.slug)
    return [table.full_name for table in old]


def _is_old(table: SourceTable, age: timedelta) -> bool:
    return table.staged_at is None or datetime.now(UTC) - table.staged_at > age
