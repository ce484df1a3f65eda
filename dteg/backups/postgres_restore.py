"""A database of PostgreSQL made from a dump: under a name of its own until it is whole and compared."""

import contextlib
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from psycopg import errors as pg_errors
from psycopg import sql

from dteg.backups.archive import ArchiveReader, Look
from dteg.backups.contents import Contents, Names, differences
from dteg.backups.frames import FRAME_BYTES
from dteg.backups.locks import try_lock
from dteg.backups.models import DatabaseInfo, Manifest
from dteg.backups.postgres import dumping, reached, view_contents
from dteg.backups.programs import Program, postgres_program, running
from dteg.core.clock import utc_now
from dteg.core.errors import ConfigError, ConflictError, EnvironmentProblemError, TransientError
from dteg.core.identifiers import MAX_IDENTIFIER_BYTES
from dteg.core.liveness import WatchedConnection
from dteg.core.postgres import connect, translated

_TEMPORARY = re.compile(r"dteg_restore_[0-9a-f]{12}")
_MAX_JOBS = 4
_FREE_BYTES = 512 << 20
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


def fill(
    url: str,
    major: int,
    pieces: Iterable[bytes],
    *,
    scratch: Path,
    expected: int,
    jobs: int,
    with_owners: bool,
) -> None:
    """Restore a dump into an empty database.

    With several jobs the dump first goes into a file without a name, which nobody else can open and which is gone with
    this process; it needs room for the whole dump, else one job reads it from a pipe.

    Args:
        url: The database.
        major: Version of its server.
        pieces: The dump.
        scratch: Folder for that file.
        expected: Its size in bytes.
        jobs: Parallel jobs; 0 for as many as there are cores.
        with_owners: Whether owners and grants are restored.
    """
    conninfo, env, secret = reached(url)
    command: list[str | Path] = [
        postgres_program("pg_restore", major), "--exit-on-error", "--no-password", f"--dbname={conninfo}",
    ]  # fmt: skip
    if not with_owners:
        command += ["--no-owner", "--no-acl"]
    jobs = jobs or min(os.cpu_count() or 1, _MAX_JOBS)
    fits = shutil.disk_usage(scratch).free > expected + _FREE_BYTES
    if jobs > 1 and fits and Path("/proc/self/fd").is_dir():
        with tempfile.TemporaryFile(dir=scratch) as file:
            _spool(pieces, file)
            command += [f"--jobs={jobs}", f"/proc/self/fd/{file.fileno()}"]
            with running(Program(command, env, secrets=secret, pass_fds=[file.fileno()])) as program:
                program.wait()
        return
    with running(Program(command, env, reads=True, secrets=secret)) as program:
        with contextlib.suppress(BrokenPipeError):  # it has failed, and says why
            for piece in pieces:
                program.stdin.write(piece)
        program.wait()


def _spool(pieces: Iterable[bytes], file: Any) -> None:
    reader = ArchiveReader(Look.PLACES)
    for piece in pieces:
        file.write(piece)
        reader.feed(piece)
    reader.finish()
    for place, data in reader.places():
        file.seek(place)
        file.write(data)
    file.flush()
    file.seek(0)


def contents_of(url: str, passed: Callable[[int], None], look: Look = Look.HASHES) -> Contents:
    """Return what is in a database now, by dumping it to nowhere."""
    with dumping(url, look) as dump:
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
