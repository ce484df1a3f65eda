"""Foreign tables: what all foreign data wrappers have in common.

`IMPORT FOREIGN SCHEMA` imports nothing at all if one column of one table has a type it does not know, so the tables
are generated from our own introspection, and one that cannot be made leaves the others alone.

Types whose comparison means something else in the source than here (texts of MySQL compare without case) are declared
through a domain: an expression over it is never sent to the source, so its result does not depend on the plan.
"""

import contextlib
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

import psycopg
from psycopg import errors as pg_errors
from psycopg import sql

from dteg.core.control import session
from dteg.core.errors import ConfigError, EnvironmentProblemError
from dteg.core.identifiers import MAX_IDENTIFIER_BYTES
from dteg.core.postgres import error_for_state
from dteg.core.queries import first_value
from dteg.core.secrets import redact
from dteg.sources.kinds import Link, kind_of
from dteg.sources.models import Column, Probe, Progress, SourceTable, TableProblem
from dteg.sources.relations import retire, sweep
from dteg.sources.roles import BUILDER
from dteg.sources.urls import ServerUrl, parse_url

Connection = psycopg.Connection[Any]
EXACT = "exact_"
TRUNCATE_TRIGGERS = 160_000
# A wrapper keeps the rows that it has fetched at a time in memory.
MAX_FETCHED_BYTES = 64 << 20
_TYPE = re.compile(r'[a-z0-9_ "]+(?:\([0-9, -]+\))?[a-z ]*(?:\[\])?')
_READ_ONLY = "source_is_read_only"
_EXISTING = """
SELECT c.relname, s.srvname, coalesce(t.ftoptions, '{}'),
    (SELECT json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
        coalesce(a.attfdwoptions, '{}')) ORDER BY a.attnum)
     FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
FROM pg_class c JOIN pg_foreign_table t ON t.ftrelid = c.oid JOIN pg_foreign_server s ON s.oid = t.ftserver
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s
"""
_SERVER = """
SELECT f.fdwname, coalesce(s.srvoptions, '{}') FROM pg_foreign_server s
JOIN pg_foreign_data_wrapper f ON f.oid = s.srvfdw WHERE s.srvname = %s
"""


class FdwLinker(ABC):
    """Links tables by a foreign data wrapper; a kind says what its options and types are."""

    extension: ClassVar[str]
    """The extension, whose wrapper has the same name."""
    packages: ClassVar[str]
    """What to install for it, for people."""
    protocol: ClassVar[str]
    """How the server is asked whether it lives."""
    user_option: ClassVar[str] = "username"
    """What the wrapper calls the user of a mapping."""
    host_option: ClassVar[str] = "host"
    """What it calls the host of a server."""
    guarded: ClassVar[bool] = True
    """Whether triggers have to keep people from writing, as the wrapper has no such option."""
    analyzed: ClassVar[bool] = False
    """Whether samples of the tables are taken after they are linked."""

    # --- what a kind says --------------------------------------------------------------------------

    def server(self, link: Link) -> ServerUrl:
        """Return where the source is.

        Raises:
            ConfigError: The URL is wrong.
        """
        kind = kind_of(link.kind)
        return parse_url(link.url, kind.schemes, kind.url, urlsplit(kind.url).port or 0)

    @abstractmethod
    def server_options(self, link: Link) -> dict[str, str]:
        """Return the other options of the foreign server."""

    def address_options(self, link: Link) -> dict[str, str]:
        """Return those of the server's options that say where it is: at `link.address` if there is one."""
        server = self.server(link)
        host, port = link.address or (server.host, server.port)
        return {self.host_option: host, "port": str(port)}

    def mapping_options(self, link: Link, *, is_superuser: bool) -> dict[str, str]:
        """Return the options of the user mappings: who we are there."""
        server = self.server(link)
        return {self.user_option: server.user, "password": server.password}

    @abstractmethod
    def table_options(self, link: Link, table: SourceTable) -> dict[str, str]:
        """Return the options of one foreign table."""

    def column_options(self, column: Column) -> dict[str, str]:
        """Return the options of one column."""
        return {}

    @abstractmethod
    def probe(self, link: Link, timeout_s: float = 2.0) -> Probe:
        """See `Linker`."""

    @abstractmethod
    def introspect(self, link: Link) -> list[SourceTable]:
        """See `Linker`."""

    # --- what is the same for all ------------------------------------------------------------------

    def check(self, link: Link) -> None:
        """Refuse a wrong URL, or a warehouse without the wrapper."""
        self.server(link)
        with session(link.project) as connection:
            require_extension(connection, self.extension, self.packages)

    def link_tables(
        self, link: Link, connection: Connection, tables: Sequence[SourceTable], on_progress: Progress
    ) -> list[TableProblem]:
        """Make the server, the mappings and the tables in one transaction; see `Linker`."""
        usable = [table for table in tables if table.columns]
        with connection.transaction():
            self._make_server(link, connection)
            self._make_domains(link, connection, usable)
            existing = _existing(connection, link.schema)
            changed = []
            for table in usable:
                server, options, columns = self._form(link, table)
                before = existing.get(table.relation.name)
                if before and (before[0], before[2]) == (server, columns):
                    self._change_options(connection, table, before[1], options)
                else:
                    retire(connection, table.relation)
                    changed.append(table)
            problems = self._make_tables(link, connection, changed, on_progress)
            failed = {problem.table for problem in problems}
            sweep(connection, link.schema, [table for table in usable if table.full_name not in failed])
        return problems

    def unlink(self, link: Link, connection: Connection) -> None:
        """Drop the server with its mappings, and the domains; see `Linker`."""
        connection.execute(sql.SQL("DROP SERVER IF EXISTS {} CASCADE").format(sql.Identifier(link.schema)))

    def ddl(self, link: Link, table: SourceTable, version: int) -> sql.Composed:
        """Return the statements that make one foreign table.

        Args:
            link: The source.
            table: The table.
            version: Of the warehouse, such as 150018: before 16 no trigger keeps a foreign table from TRUNCATE.
        """
        columns = sql.SQL(", ").join(self._column(link, column) for column in table.columns)
        parts = [
            sql.SQL("CREATE FOREIGN TABLE {} ({}) SERVER {} {}").format(
                table.relation.identifier,
                columns,
                sql.Identifier(link.schema),
                options_sql(self.table_options(link, table)),
            )
        ]
        if table.description:
            parts.append(
                sql.SQL("COMMENT ON FOREIGN TABLE {} IS {}").format(
                    table.relation.identifier, sql.Literal(table.description)
                )
            )
        if self.guarded:
            guard = "CREATE TRIGGER {} BEFORE INSERT OR UPDATE OR DELETE{} ON {} EXECUTE FUNCTION _dteg.{}()"
            name = sql.Identifier(_READ_ONLY)
            more = sql.SQL(" OR TRUNCATE" if version >= TRUNCATE_TRIGGERS else "")
            parts.append(sql.SQL(guard).format(name, more, table.relation.identifier, name))
        return sql.SQL("; ").join(parts)

    def _column(self, link: Link, column: Column) -> sql.Composed:
        return sql.SQL("{} {}{}{}").format(
            sql.Identifier(column.name), self._type(link, column), options_sql(self.column_options(column), " "),
            sql.SQL("" if column.nullable else " NOT NULL"),
        )  # fmt: skip

    def _type(self, link: Link, column: Column) -> sql.Composable:
        if column.exact:
            return sql.Identifier(link.schema, domain_name(column.type))
        return type_sql(column.type)

    def _form(self, link: Link, table: SourceTable) -> Any:
        """Return what `_existing` says of a table that is as it should be."""
        columns = [
            [
                column.name,
                f"{link.schema}.{domain_name(column.type)}" if column.exact else column.type,
                not column.nullable,
                _as_stored(self.column_options(column)),
            ]
            for column in table.columns
        ]
        return link.schema, sorted(_as_stored(self.table_options(link, table))), columns

    def _change_options(
        self, connection: Connection, table: SourceTable, before: Sequence[str], after: Sequence[str]
    ) -> None:
        """Change the options of a table that is otherwise as it should be: what reads it need not notice."""
        if changes := option_changes(_as_options(before), _as_options(after)):
            statement = sql.SQL("ALTER FOREIGN TABLE {} OPTIONS ({})").format(
                table.relation.identifier, changes
            )
            connection.execute(statement)

    def _make_server(self, link: Link, connection: Connection) -> None:
        require_extension(connection, self.extension, self.packages)
        options = {**self.server_options(link), **self.address_options(link)}
        name = sql.Identifier(link.schema)
        row = connection.execute(_SERVER, [link.schema]).fetchone()
        if row is None:
            statement = sql.SQL("CREATE SERVER {} FOREIGN DATA WRAPPER {} {}").format(
                name, sql.Identifier(self.extension), options_sql(options)
            )
            connection.execute(statement)
        elif row[0] != self.extension:
            raise ConfigError(
                f"source {link.slug} was of another kind; remove it first: dteg source remove {link.slug}"
            )
        else:
            change_server(connection, link.schema, _as_options(row[1]), options)
        self.make_mappings(link, connection)

    def make_mappings(self, link: Link, connection: Connection) -> None:
        """Make or renew who we are at the source, for the warehouse's user and for the builder; nobody else gets in."""
        name = sql.Identifier(link.schema)
        is_superuser = connection.info.parameter_status("is_superuser") == "on"
        options = options_sql(self.mapping_options(link, is_superuser=is_superuser))
        for role in (sql.SQL("CURRENT_USER"), sql.Identifier(BUILDER)):
            connection.execute(sql.SQL("DROP USER MAPPING IF EXISTS FOR {} SERVER {}").format(role, name))
            connection.execute(sql.SQL("CREATE USER MAPPING FOR {} SERVER {} {}").format(role, name, options))

    def _make_domains(self, link: Link, connection: Connection, tables: Sequence[SourceTable]) -> None:
        needed = {column.type for table in tables for column in table.columns if column.exact}
        for base in sorted(needed):
            name = domain_name(base)
            if first_value(connection, "SELECT to_regtype(%s) IS NULL", [f'"{link.schema}"."{name}"']):
                statement = sql.SQL("CREATE DOMAIN {} AS {}").format(
                    sql.Identifier(link.schema, name), type_sql(base)
                )
                connection.execute(statement)

    def _make_tables(
        self, link: Link, connection: Connection, tables: Sequence[SourceTable], on_progress: Progress
    ) -> list[TableProblem]:
        """Make all tables at once, or one by one if that fails."""
        version = connection.info.server_version
        with contextlib.suppress(psycopg.Error), connection.transaction():
            if tables:
                connection.execute(sql.SQL("; ").join(self.ddl(link, table, version) for table in tables))
            on_progress("linked", len(tables), len(tables))
            return []
        problems = []
        for number, table in enumerate(tables):
            try:
                with connection.transaction():
                    connection.execute(self.ddl(link, table, version))
            except psycopg.Error as error:
                message = redact(error.diag.message_primary or str(error))
                problems.append(TableProblem(table=table.full_name, message=message))
            on_progress(f"linked {table.full_name}", number + 1, len(tables))
        return problems


def options_sql(options: Mapping[str, str], before: str = "") -> sql.Composable:
    """Return `OPTIONS (...)` with all values as literals, or nothing if there are none."""
    if not options:
        return sql.SQL("")
    pairs = (
        sql.SQL("{} {}").format(sql.Identifier(name), sql.Literal(value)) for name, value in options.items()
    )
    start = sql.SQL(" OPTIONS (" if before else "OPTIONS (")
    return start + sql.SQL(", ").join(pairs) + sql.SQL(")")


def change_server(
    connection: Connection, name: str, before: Mapping[str, str], after: Mapping[str, str]
) -> None:
    """Bring the options of a server from what they are to what they should be."""
    if changes := option_changes(before, after):
        connection.execute(sql.SQL("ALTER SERVER {} OPTIONS ({})").format(sql.Identifier(name), changes))


def option_changes(before: Mapping[str, str], after: Mapping[str, str]) -> sql.Composed | None:
    """Return what stands in ALTER ... OPTIONS () to bring options from what they are to what they should be."""
    changes: list[sql.Composable] = []
    for option, value in after.items():
        if before.get(option) != value:
            word = sql.SQL("SET" if option in before else "ADD")
            changes.append(sql.SQL("{} {} {}").format(word, sql.Identifier(option), sql.Literal(value)))
    changes += [sql.SQL("DROP {}").format(sql.Identifier(option)) for option in before if option not in after]
    return sql.SQL(", ").join(changes) if changes else None


def fewer_at_a_time(fetch_size: int, row_bytes: int | None) -> dict[str, str]:
    """Return the option of a table whose rows are so wide that the usual number of them would fill the memory.

    Args:
        fetch_size: The usual number of rows at a time.
        row_bytes: Bytes of a row on average, if that is known.
    """
    rows = fetch_size
    # In steps of ten, so that the option does not change whenever the estimate does.
    while rows >= 10 and rows * (row_bytes or 0) > MAX_FETCHED_BYTES:
        rows //= 10
    return {} if rows == fetch_size else {"fetch_size": str(rows)}


def server_options(connection: Connection, name: str) -> dict[str, str]:
    """Return the options of a server; empty if there is none."""
    row = connection.execute(_SERVER, [name]).fetchone()
    return _as_options(row[1]) if row else {}


def type_sql(text: str) -> sql.Composable:
    """Return the name of a type as SQL.

    Raises:
        ConfigError: It is not just a name; the text comes from another server, which may be anybody's.
    """
    if not _TYPE.fullmatch(text):
        raise ConfigError(f"{text!r} is no type of a column")
    return sql.SQL(text)


def domain_name(base: str) -> str:
    """Return the name of the domain over a type, such as `exact_text`."""
    letters = "".join(letter if letter.isalnum() else "_" for letter in base).strip("_")
    return f"{EXACT}{letters}"[:MAX_IDENTIFIER_BYTES]


def require_extension(connection: Connection, extension: str, packages: str) -> None:
    """Have an extension in the warehouse.

    Raises:
        EnvironmentProblemError: The server does not have it, or the warehouse's user may not create it.
    """
    row = connection.execute(
        "SELECT installed_version FROM pg_available_extensions WHERE name = %s", [extension]
    ).fetchone()
    if row is None:
        raise EnvironmentProblemError(
            f"this warehouse does not have {extension}; install it on its server ({packages}), or copy the tables"
            " instead, where the kind can be copied: --mode staged"
        )
    if row[0] is not None:
        return
    try:
        with connection.transaction():
            connection.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(extension)))
    except pg_errors.InsufficientPrivilege:
        raise EnvironmentProblemError(
            f"the user {connection.info.user} may not create the extension {extension}; let a superuser run in the"
            f" database {connection.info.dbname}: CREATE EXTENSION {extension}; GRANT USAGE ON FOREIGN DATA WRAPPER"
            f' {extension} TO "{connection.info.user}"'
        ) from None
    except psycopg.Error as error:
        raise error_for_state(
            error.sqlstate, f"{extension} cannot be created: {error.diag.message_primary}", "sources"
        ) from None


def _existing(connection: Connection, schema: str) -> dict[str, Any]:
    """Return the foreign tables of a schema: server, options and columns by name."""
    rows = connection.execute(_EXISTING, [schema]).fetchall()
    return {name: (server, sorted(options), columns) for name, server, options, columns in rows}


def _as_options(stored: Sequence[str]) -> dict[str, str]:
    return dict(each.split("=", 1) for each in stored)


def _as_stored(options: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in options.items()]
