"""A database of PostgreSQL made from a dump: under a name of its own until it is whole and compared."""

import contextlib
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from psycopg import errors as pg_errors
from psycopg import sql

from dteg.backups.archive import Look
from dteg.backups.contents import Contents, Names, differences
from dteg.backups.frames import FRAME_BYTES
from dteg.backups.locks import try_lock
from dteg.backups.models import DatabaseInfo, Manifest
from dteg.backups.postgres import dumping, reached, view_contents
from dteg.backups.programs import Program, postgres_program, running
from dteg.backups.spooling import Spool
from dteg.core.clock import utc_now
from dteg.core.errors import ConfigError, ConflictError, EnvironmentProblemError, TransientError
from dteg.core.identifiers import MAX_IDENTIFIER_BYTES
from dteg.core.liveness import WatchedConnection
from dteg.core.postgres import connect, translated

_TEMPORARY = re.compile(r"dteg_restore_[0-9a-f]{12}")
_SWAP_ATTEMPTS = 20
# These hold lists: their values are written without quotes around the whole.
_LISTS = frozenset(
    {
        "local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries",
        "temp_tablespaces",
    }
)  # fmt: skip
_LIST_ITEM = re.compile(r'"((?:[^"]|"")*)"|([^,\s"]+)')
_END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY(%s)"


def exists(admin: WatchedConnection, name: str) -> bool:
    """Whether there is a database of that name."""
    return admin.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is not None


def drop_leftovers(admin: WatchedConnection) -> list[str]:
    """Drop databases of restores that were cut off; those that are under way hold a lock."""
    rows = admin.execute("SELECT datname FROM pg_database WHERE datname LIKE 'dteg\\_restore\\_%'").fetchall()
    dropped = [name for (name,) in rows if _TEMPORARY.fullmatch(name) and try_lock(admin, f"restore {name}")]
    for name in dropped:
        drop(admin, name)
    return dropped


def drop(admin: WatchedConnection, name: str) -> None:
    """Drop a database, ending its sessions."""
    admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def require(admin: WatchedConnection, manifest: Manifest, *, with_owners: bool) -> None:
    """Refuse a restore that must fail half-way: for want of roles or extensions.

    Raises:
        ConfigError: With the statements that make the roles.
        EnvironmentProblemError: An extension is not installed on the server.
    """
    known = {name for (name,) in admin.execute("SELECT rolname FROM pg_roles").fetchall()}
    missing = [role for role in manifest.roles if role.name not in known]
    if missing and with_owners:
        made = "; ".join(
            f"CREATE ROLE {sql.Identifier(role.name).as_string()} {'LOGIN' if role.login else 'NOLOGIN'}"
            for role in missing
        )
        raise ConfigError(
            f"the backup needs roles that this server does not have; make them: {made}; or leave out owners and"
            " grants with --no-owner"
        )
    there = {name for (name,) in admin.execute("SELECT name FROM pg_available_extensions").fetchall()}
    if lacking := sorted(manifest.extensions.keys() - there):
        raise EnvironmentProblemError(
            f"the server does not have the extensions {', '.join(lacking)}; install them there first"
        )


@contextlib.contextmanager
def temporary_database(admin: WatchedConnection, info: DatabaseInfo) -> Iterator[str]:
    """Make an empty database like the one that was backed up, which nobody else may enter; drop it on an error."""
    name = f"dteg_restore_{secrets.token_hex(6)}"
    try_lock(admin, f"restore {name}")
    options = sql.SQL("TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}").format(
        info.encoding, info.collate, info.ctype
    )
    if info.locale_provider == "i":
        options += sql.SQL(" LOCALE_PROVIDER icu ICU_LOCALE {}").format(info.locale)
    elif info.locale_provider == "b":
        options += sql.SQL(" LOCALE_PROVIDER builtin BUILTIN_LOCALE {}").format(info.locale)
    admin.execute(sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(name), options))
    try:
        admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
        yield name
    except BaseException:
        drop(admin, name)
        raise


def fill(url: str, major: int, dump: Spool | Iterable[bytes], *, with_owners: bool) -> None:
    """Restore a dump into an empty database.

    Args:
        url: The database.
        major: Version of its server.
        dump: A file for several jobs, which may not be whole yet and is closed then, or the pieces for one job.
        with_owners: Whether owners and grants are restored.

    Raises:
        DtegError: pg_restore failed, or the dump could not be read.
    """
    conninfo, env, secret = reached(url)
    # No statement waits for the disk: the rename at the end does, and with it all before it is on the disk. Until then
    # nobody knows the database, and the next restore drops what a crash has left of it.
    env["PGOPTIONS"] += " -c synchronous_commit=off"
    command: list[str | Path] = [
        postgres_program("pg_restore", major), "--exit-on-error", "--no-password", f"--dbname={conninfo}",
    ]  # fmt: skip
    if not with_owners:
        command += ["--no-owner", "--no-acl"]
    if isinstance(dump, Spool):
        file = dump.descriptor()
        command += [f"--jobs={dump.jobs}", f"/proc/self/fd/{file}"]
        with running(Program(command, env, secrets=secret, pass_fds=[file])) as program:
            program.wait()
        dump.close()
        return
    with running(Program(command, env, reads=True, secrets=secret)) as program:
        with contextlib.suppress(BrokenPipeError):  # it has failed, and says why
            for piece in dump:
                program.stdin.write(piece)
        program.wait()


def contents_of(url: str, passed: Callable[[int], None], look: Look = Look.HASHES) -> Contents:
    """Return what is in a database now, by dumping it to nowhere; rows are counted with `Look.ROWS` only."""
    with dumping(url, look, counted=False) as dump:
        total = 0
        while piece := dump.program.stdout.read(FRAME_BYTES):
            dump.reader.feed(piece)
            total += len(piece)
            passed(total)
        return dump.finish()


def compared(
    url: str, wanted: Contents, found: Contents, manifest: Manifest, *, with_owners: bool, same_rows: Names
) -> tuple[list[str], list[str]]:
    """Return how a restored database differs from its backup, and what is different on purpose."""
    with connect(url, component="backups") as connection, translated("backups"):
        same_words = str(connection.info.server_version // 10000) == manifest.dump_version
        told = differences(
            wanted, found, with_owners=with_owners, with_definitions=same_words, same_rows=same_rows
        )
        notes = [] if same_words else ["definitions were not compared: the server has another major version"]
        if not with_owners:
            notes.append("owners and grants were left out")
        for view in wanted.materialized_views:
            now = view_contents(connection, view.schema_name, view.name)
            if (now.rows, now.checksum) != (view.rows, view.checksum):
                notes.append(
                    f"materialized view {view.label} was computed anew and has other rows than before"
                )
    return told, notes


def give_properties(admin: WatchedConnection, name: str, info: DatabaseInfo, *, with_owners: bool) -> None:
    """Give a database what pg_restore cannot, as it has another name: settings, comment, owner and grants."""
    database = sql.Identifier(name)
    for role, setting, value in info.settings:
        if role and not with_owners:
            continue
        who = (
            sql.SQL("ROLE {} IN DATABASE {}").format(sql.Identifier(role), database)
            if role
            else sql.SQL("DATABASE {}").format(database)
        )
        admin.execute(
            sql.SQL("ALTER {} SET {} TO {}").format(who, _parameter(setting), _value(setting, value))
        )
    if info.comment:
        admin.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(database, info.comment))
    grants: Iterable[tuple[str, str, bool]] = info.grants
    if not with_owners:
        grants = [("", "CONNECT", False), ("", "TEMPORARY", False)]
    else:
        admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, sql.Identifier(info.owner)))
    for role, privilege, may_pass_on in grants:
        grant = sql.SQL("GRANT {} ON DATABASE {} TO {}").format(
            _privilege(privilege), database, sql.Identifier(role) if role else sql.SQL("PUBLIC")
        )
        admin.execute(grant + sql.SQL(" WITH GRANT OPTION") if may_pass_on else grant)


def put_in_place(admin: WatchedConnection, temporary: str, name: str, *, swap: bool) -> str:
    """Give the new database its name, in one step; return the name that the one before it has now, if there was one.

    Raises:
        ConflictError: There is a database of that name, and it shall not be swapped.
        TransientError: Others enter the old database faster than they can be turned out.
    """
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    new = rename.format(sql.Identifier(temporary), sql.Identifier(name))
    if not exists(admin, name):
        _alone(admin, [temporary])
        admin.execute(new)
        return ""
    if not swap:
        raise ConflictError(f"there is a database {name} already; restore into another name, or use --swap")
    kept = _dated(name)
    old = rename.format(sql.Identifier(name), sql.Identifier(kept))
    for attempt in range(_SWAP_ATTEMPTS):
        _alone(admin, [name, temporary])
        try:
            with admin.transaction():
                admin.execute(old)
                admin.execute(new)
        except pg_errors.ObjectInUse:
            time.sleep(0.05 * (attempt + 1))
        else:
            return kept
    raise TransientError(
        f"others keep entering the database {name}; stop them, then try again", component="backups"
    )


def _alone(admin: WatchedConnection, names: list[str]) -> None:
    admin.execute(_END_SESSIONS, [names])


def _dated(name: str) -> str:
    suffix = f"_before_{utc_now():%Y%m%d_%H%M%S}"
    return name.encode()[: MAX_IDENTIFIER_BYTES - len(suffix)].decode(errors="ignore") + suffix


def _parameter(name: str) -> sql.Composable:
    return sql.SQL(".").join(map(sql.Identifier, name.split(".")))


def _value(setting: str, value: str) -> sql.Composable:
    if setting.lower() not in _LISTS:
        return sql.Literal(value)
    items = [
        quoted.replace('""', '"') if quoted or not bare else bare
        for quoted, bare in _LIST_ITEM.findall(value)
    ]
    return sql.SQL(", ").join(map(sql.Literal, items)) if items else sql.Literal("")


def _privilege(name: str) -> sql.SQL:
    known = {"CREATE": sql.SQL("CREATE"), "CONNECT": sql.SQL("CONNECT"), "TEMPORARY": sql.SQL("TEMPORARY")}
    if name not in known:
        raise ConfigError(f"the backup grants {name!r} on the database, which nobody knows")
    return known[name]
