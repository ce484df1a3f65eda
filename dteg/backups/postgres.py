"""Dumps of PostgreSQL: `pg_dump` under a snapshot that we hold, as a role that cannot see the passwords of foreign servers."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors as pg_errors
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row

from dteg.backups.archive import ArchiveReader, Look
from dteg.backups.contents import UNKNOWN_ROWS, Contents, TableContents
from dteg.backups.errors import DamagedBackupError
from dteg.backups.models import DatabaseInfo, RoleInfo
from dteg.backups.programs import Program, postgres_program, running
from dteg.backups.rows import RowSums
from dteg.core.errors import DtegError, PermanentError
from dteg.core.liveness import WatchedConnection
from dteg.core.postgres import connect, translated
from dteg.core.queries import first_value, load_queries

ROLE = "dteg_backup"
LOCK_WAIT = "60s"
_QUERIES = load_queries(Path(__file__).with_name("postgres.sql"))
_MAKE_ROLE = (
    f"CREATE ROLE {ROLE} NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION BYPASSRLS",
    f"COMMENT ON ROLE {ROLE} IS 'Reads everything for backups, but not the passwords of foreign servers'",
    f"GRANT pg_read_all_data TO {ROLE}",
)
_COPIED_ROWS = 10_000


@dataclass
class Facts:
    """What is known of a database before it is dumped.

    Attributes:
        server_version: Such as `18.6`.
        major: Such as 18.
        size: Bytes on the server's disk.
        properties: What belongs to the database itself.
        roles: Who owns or may use something in it.
        extensions: Name -> version.
        warnings: What the dump will leave out.
    """

    server_version: str
    major: int
    size: int
    properties: DatabaseInfo
    roles: tuple[RoleInfo, ...]
    extensions: dict[str, str]
    warnings: list[str] = field(default_factory=list)


class PostgresDump:
    """One dump that goes on.

    Attributes:
        facts: What was known before.
        program: `pg_dump`, whose output is to be read to its end.
        reader: Is to be fed with that.
    """

    def __init__(self, facts: Facts, program: Program, counts: "_Counts | None", look: Look) -> None:
        """Begin to read; see `dumping`."""
        self.facts, self.program = facts, program
        self.reader = ArchiveReader(look)
        self._counts = counts

    @property
    def version(self) -> str:
        """The version of pg_dump: that of the server, whose major number it shares."""
        return str(self.facts.major)

    def finish(self) -> Contents:
        """Return what was dumped, once it is sure that it is everything.

        Raises:
            DtegError: pg_dump failed, or the dump lacks rows that the server sees in the same snapshot.
        """
        self.program.wait()
        contents = self.reader.finish()
        return self._counts.compared(contents) if self._counts else contents


@contextlib.contextmanager
def dumping(url: str, look: Look = Look.HASHES, *, counted: bool = True) -> Iterator[PostgresDump]:
    """Start to dump a database.

    Args:
        url: How to reach it.
        look: How closely the dump is read.
        counted: Whether the server counts its rows meanwhile, and those of materialized views are read. Who compares
            the dump with another one need not know.
    """
    with connect(url, component="backups") as connection, translated("backups"):
        facts = facts_of(connection)
        role = backup_role(connection)
        is_superuser = connection.info.parameter_status("is_superuser") == "on"
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        connection.execute("SET LOCAL row_security = off")
        snapshot = first_value(connection, "SELECT pg_export_snapshot()")
        if role:
            connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
        _refuse_secrets(connection)
        command, env, secrets = _command(url, facts.major, snapshot, role, is_superuser)
        with running(Program(command, env, secrets=secrets)) as program:
            counts = _Counts(connection) if counted else None
            try:
                if counts:
                    counts.start()
                yield PostgresDump(facts, program, counts, look)
            finally:
                program.stop()  # first: counting may take as long
                if counts:
                    counts.stop()


def facts_of(connection: WatchedConnection) -> Facts:
    """Ask the server about the database of a connection."""
    number = connection.info.server_version
    rows = connection.execute(_QUERIES["roles"].encode()).fetchall()
    roles = tuple(
        RoleInfo(name=name, login=login, member_of=tuple(of)) for name, login, of in rows if name != ROLE
    )
    with connection.cursor(row_factory=dict_row) as cursor:
        properties = cursor.execute(_QUERIES["properties"].encode()).fetchone()
    assert properties is not None
    left = connection.execute(_QUERIES["left_out"].encode()).fetchone() or (0, 0)
    warnings = [f"{left[0]} subscriptions are left out: they hold passwords"] if left[0] else []
    warnings += [f"the rows of {left[1]} foreign tables are left out: they are elsewhere"] if left[1] else []
    return Facts(
        server_version=str(first_value(connection, "SHOW server_version")).split(" ")[0],
        major=number // 10000,
        size=int(first_value(connection, _QUERIES["size"])),
        properties=DatabaseInfo(
            **properties,
            settings=tuple(connection.execute(_QUERIES["settings"].encode()).fetchall()),
            grants=tuple(connection.execute(_QUERIES["grants"].encode()).fetchall()),
        ),
        roles=roles,
        extensions=dict(connection.execute(_QUERIES["extensions"].encode()).fetchall()),
        warnings=warnings,
    )


def backup_role(connection: WatchedConnection) -> str:
    """Return the role that dumps, made on first use by who may; empty if we dump as who we are.

    pg_dump writes down the options of user mappings, passwords among them, that its role may see. A superuser sees
    all of them; this role reads every row but sees none.
    """
    row = connection.execute(_QUERIES["role_state"].encode(), {"role": ROLE}).fetchone()
    assert row is not None
    is_superuser, exists, is_bad, is_member = row
    if is_bad:
        raise PermanentError(f"the role {ROLE} is a superuser; it must not be: ALTER ROLE {ROLE} NOSUPERUSER")
    if not exists and is_superuser:
        taken = (pg_errors.DuplicateObject, pg_errors.UniqueViolation)  # another one was faster
        with contextlib.suppress(*taken), connection.transaction():
            for statement in _MAKE_ROLE:
                connection.execute(statement.encode())
        return ROLE
    return ROLE if exists and (is_superuser or is_member) else ""


def _refuse_secrets(connection: WatchedConnection) -> None:
    if seen := first_value(connection, _QUERIES["seen_secrets"]):
        raise PermanentError(
            f"the backup would hold the options, so perhaps passwords, of {seen} user mappings; let a superuser make"
            f" a role that does not see them: {'; '.join(_MAKE_ROLE)}; GRANT {ROLE} TO {connection.info.user}",
            component="backups",
        )


def reached(url: str) -> tuple[str, dict[str, str], list[str]]:
    """Return how a program reaches a database: libpq's text without the password, its environment, its secrets."""
    known = {key: str(value) for key, value in conninfo_to_dict(url).items()}
    password = known.pop("password", "")
    options = known.pop("options", "")
    env = {
        "PGOPTIONS": f"{options} -c timezone=UTC -c statement_timeout=0".strip(),
        "PGAPPNAME": "dteg backup",
    }
    if password:
        env["PGPASSWORD"] = password
    return make_conninfo(**known), env, [password] if password else []


def _command(
    url: str, major: int, snapshot: str, role: str, is_superuser: bool
) -> tuple[list[str | Path], dict[str, str], list[str]]:
    conninfo, env, secrets = reached(url)
    if is_superuser:
        env["PGOPTIONS"] += (
            " -c lo_compat_privileges=on"  # large objects have no right that a role could have
        )
    command: list[str | Path] = [
        postgres_program("pg_dump", major), "--format=custom", "--compress=0", "--no-password", "--encoding=UTF8",
        f"--snapshot={snapshot}", f"--lock-wait-timeout={LOCK_WAIT}", f"--dbname={conninfo}",
        # The rows of datasets are made anew from their sources, which a restore cannot reach.
        "--exclude-table-data=ds_cache.*",
    ]  # fmt: skip
    if role:
        command.append(f"--role={role}")
    return command, env, secrets


class _Counts:
    """Counts rows on the server, in the dump's snapshot and while it goes on."""

    def __init__(self, connection: WatchedConnection) -> None:
        self._connection = connection
        self._thread: threading.Thread | None = None
        self._rows: dict[tuple[str, str], int] = {}
        self._views: list[TableContents] = []
        self._error: Exception | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="counts", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._thread and self._thread.is_alive():
            self._connection.cancel_safe(timeout=5)
            self._thread.join()
        with contextlib.suppress(psycopg.Error):
            self._connection.execute("ROLLBACK")

    def compared(self, contents: Contents) -> Contents:
        """Return the contents with the numbers of rows and the materialized views; each table must have been dumped."""
        assert self._thread is not None
        self._thread.join()
        if isinstance(self._error, DtegError):
            raise self._error
        if self._error:
            with translated("backups"):
                raise self._error
        dumped = {(table.schema_name, table.name) for table in contents.tables}
        if missing := sorted(".".join(name) for name in self._rows.keys() - dumped):
            raise DamagedBackupError(f"pg_dump left out tables: {', '.join(missing)}")
        return contents.model_copy(
            update={
                "tables": tuple(map(self._counted, contents.tables)),
                "materialized_views": tuple(self._views),
            }
        )

    def _counted(self, table: TableContents) -> TableContents:
        rows = self._rows.get((table.schema_name, table.name), table.rows)
        if table.rows not in (rows, UNKNOWN_ROWS):
            raise DamagedBackupError(
                f"pg_dump wrote {table.rows:,} of the {rows:,} rows of table {table.label}"
            )
        return table.model_copy(update={"rows": rows})

    def _run(self) -> None:
        try:
            for schema, name, kind, is_populated in self._connection.execute(
                _QUERIES["tables"].encode()
            ).fetchall():
                if kind == "m":
                    self._view(schema, name, is_populated)
                    continue
                query = sql.SQL("SELECT count(*) FROM ONLY {}").format(sql.Identifier(schema, name))
                self._rows[schema, name] = first_value(self._connection, query)
        except Exception as error:  # noqa: BLE001 - told in `compared`
            self._error = error

    def _view(self, schema: str, name: str, is_populated: bool) -> None:
        if is_populated:
            self._views.append(view_contents(self._connection, schema, name))


def view_contents(connection: psycopg.Connection[Any], schema: str, name: str) -> TableContents:
    """Return the checksum of a materialized view or table, as the server has it now."""
    sums = RowSums()
    query = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT").format(sql.Identifier(schema, name))
    rows: list[bytes] = []
    with connection.cursor().copy(query) as copy:
        for piece in copy:
            rows.append(bytes(piece[:-1]))
            if len(rows) >= _COPIED_ROWS:
                sums.add(rows)
                rows = []
    sums.add(rows)
    return TableContents(schema_name=schema, name=name, rows=sums.rows, checksum=sums.checksum)
