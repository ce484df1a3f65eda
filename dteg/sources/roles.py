"""The two roles of the warehouse: one builds datasets out of everything that may be read, one reads the results.

Neither can log in. Statements that people have described run as `dteg_builder` (`SET LOCAL ROLE`), which is no
superuser: it reads sources, dictionaries and the tables of the warehouse, and makes relations in `ds_cache` and `ds`
only. It has no right to write anything else, nor to the tables in `_dteg`.
"""

import contextlib
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors as pg_errors
from psycopg import sql

from dteg.core.errors import EnvironmentProblemError
from dteg.core.queries import first_value, load_queries

BUILDER = "dteg_builder"
READER = "dteg_reader"
SCHEMAS = ("ds_cache", "ds", "dict")
_QUERIES = load_queries(Path(__file__).with_name("roles.sql"))
_MAKE = "CREATE ROLE {} NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT"
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('dteg roles', 0))"

Connection = psycopg.Connection[Any]


def ensure_roles(connection: Connection) -> None:
    """Make the roles and the schemas of datasets, and let the builder read what has come since the last call.

    Cheap when nothing is missing: one query. Safe to call by several processes at once.

    Args:
        connection: To the warehouse, as its user; in autocommit mode or not.

    Raises:
        EnvironmentProblemError: The warehouse's user may not do it; with the statements for who may.
    """
    if not _missing(connection):
        return
    try:
        with connection.transaction():
            connection.execute(_LOCK)
            _make_roles(connection)
            _make_schemas(connection)
            for (statement,) in connection.execute(_QUERIES["grants"].encode()).fetchall():
                connection.execute(statement.encode())
    except pg_errors.InsufficientPrivilege as error:
        raise _not_allowed(connection, error) from None


def open_schema(connection: Connection, schema: str) -> None:
    """Make a schema of a source, if need be, and let the builder, and nobody else, read what is and will be in it.

    Args:
        connection: To the warehouse, as its user, who makes the relations; `ensure_roles` was called.
        schema: Such as `src_shop`.
    """
    values = {"schema": sql.Identifier(schema), "builder": sql.Identifier(BUILDER)}
    for statement in (
        "CREATE SCHEMA IF NOT EXISTS {schema}",
        "GRANT USAGE ON SCHEMA {schema} TO {builder}",
        "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {builder}",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {builder}",
    ):
        connection.execute(sql.SQL(statement).format(**values))


def _missing(connection: Connection) -> bool:
    return bool(first_value(connection, _QUERIES["missing"]))


def _make_roles(connection: Connection) -> None:
    for role in (BUILDER, READER):
        name = sql.Identifier(role)
        is_superuser = first_value(connection, "SELECT rolsuper FROM pg_roles WHERE rolname = %s", [role])
        if is_superuser:
            raise EnvironmentProblemError(
                f"the role {role} is a superuser; it must not be: ALTER ROLE {role} NOSUPERUSER"
            )
        if is_superuser is None:
            taken = (pg_errors.DuplicateObject, pg_errors.UniqueViolation)  # roles are of the server: another
            with contextlib.suppress(*taken), connection.transaction():  # database's session was faster
                connection.execute(sql.SQL(_MAKE).format(name))
        if not first_value(connection, "SELECT pg_has_role(current_user, %s, 'USAGE')", [role]):
            connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(name))


def _make_schemas(connection: Connection) -> None:
    for schema in SCHEMAS:
        if first_value(connection, "SELECT to_regnamespace(%s) IS NULL", [schema]):
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    connection.execute(_QUERIES["rights"].encode())


def _not_allowed(connection: Connection, error: psycopg.Error) -> EnvironmentProblemError:
    user = connection.info.user
    database = connection.info.dbname
    statements = [
        *(f"CREATE ROLE {role} NOLOGIN" for role in (BUILDER, READER)),
        f'GRANT {BUILDER}, {READER} TO "{user}"',
        f'GRANT CREATE ON DATABASE "{database}" TO "{user}"',
    ]
    return EnvironmentProblemError(
        f"the user {user} may not prepare the warehouse for datasets ({error.diag.message_primary}); let a superuser"
        f" run: {'; '.join(statements)}"
    )
