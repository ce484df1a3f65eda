"""A table taken away, but only when nothing needs it."""

from collections.abc import Sequence

from psycopg import errors as pg_errors
from psycopg import sql

from dteg.core.control import session
from dteg.core.errors import ConfigError, ConflictError
from dteg.core.identifiers import TableName
from dteg.core.project import Project
from dteg.tables.catalogue import QUERIES, Connection, Relation, look_up, measure
from dteg.tables.models import SYSTEM_SCHEMAS, DeletedTable, Use

LOCK_TIMEOUT_MS = 10_000
_MAX_SHOWN = 20


def uses_of(project: Project, table: TableName) -> list[Use]:
    """Return what needs a table: objects of the database first, then pipelines, models and datasets.

    Raises:
        NotFoundError: There is no such table.
    """
    with session(project) as connection:
        return _uses(project, connection, look_up(connection, table))


def delete_table(project: Project, table: TableName) -> DeletedTable:
    """Drop a table or view.

    Raises:
        NotFoundError: There is none.
        ConfigError: It belongs to the database or to dteg.
        ConflictError: Something needs it, or somebody works with it; the message lists what.
    """
    if table.schema in SYSTEM_SCHEMAS or table.schema.startswith("pg_"):
        raise ConfigError(f"{table} belongs to the database or to dteg, and is not deleted here")
    with session(project) as connection:
        relation = look_up(connection, table)
        if uses := _uses(project, connection, relation):
            raise ConflictError(f"{table} is needed; nothing was deleted\n{listed(uses)}")
        _, rows, is_exact = measure(connection, relation)
        _drop(connection, relation)
    return DeletedTable(table=str(table), kind=relation.kind, rows=rows if is_exact else None)


def listed(uses: Sequence[Use]) -> str:
    """Return uses as lines for people."""
    lines = [
        f"  {use.kind} {use.name}" + (f" ({use.file})" if use.file else "") + f": {use.why}" for use in uses
    ]
    more = len(lines) - _MAX_SHOWN
    return "\n".join([*lines[:_MAX_SHOWN], *([f"  and {more} more"] if more > 0 else [])])


def _uses(project: Project, connection: Connection, relation: Relation) -> list[Use]:
    from dteg.schema_changes.impact import uses_of as uses_in_project

    rows = connection.execute(QUERIES["uses"].encode(), {"oid": relation.oid}).fetchall()
    inside = [Use(kind=kind, name=name, why=why) for kind, name, why in rows]
    outside = uses_in_project(project, relation.name)
    return inside + [Use(kind=each.kind, name=each.name, file=each.file, why=each.why) for each in outside]


def _drop(connection: Connection, relation: Relation) -> None:
    """Drop without CASCADE, so that the database has the last word about what needs it."""
    has_checkpoints = connection.execute(QUERIES["has_checkpoints"].encode()).fetchone()
    try:
        with connection.transaction():
            connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(LOCK_TIMEOUT_MS)))
            connection.execute(sql.SQL("DROP {} {} RESTRICT").format(relation.drop, relation.identifier))
            if has_checkpoints and has_checkpoints[0]:
                connection.execute(QUERIES["forget"].encode(), {"table": str(relation.name)})
    except pg_errors.DependentObjectsStillExist as error:
        detail = error.diag.message_detail or ""
        raise ConflictError(f"{relation.name} is needed; nothing was deleted\n{detail}") from None
    except pg_errors.LockNotAvailable:
        raise ConflictError(
            f"{relation.name} is in use right now, such as by a load; try again when that is done"
        ) from None
