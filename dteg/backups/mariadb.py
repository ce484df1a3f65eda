"""Dumps of MariaDB and MySQL by the server's own program, in one transaction."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from dteg.backups.contents import Contents
from dteg.backups.models import DatabaseInfo
from dteg.backups.postgres import Facts
from dteg.backups.programs import Program, mariadb_program, private_folder, running
from dteg.backups.sql_reader import SqlReader
from dteg.core.errors import ConfigError, ConflictError, MissingExtraError, PermanentError, TransientError

if TYPE_CHECKING:
    import pymysql

# Made first and dropped last: a database that has it is what a restore that was cut off has left.
UNFINISHED = "_dteg_unfinished_restore"
_SYSTEM = frozenset({"mysql", "information_schema", "performance_schema", "sys"})
_DUMP = (
    "--single-transaction", "--quick", "--skip-lock-tables", "--routines", "--triggers", "--events", "--hex-blob",
    "--tz-utc", "--skip-dump-date", "--default-character-set=utf8mb4",
)  # fmt: skip
_TRANSIENT = frozenset({1040, 1203, 1205, 1213, 2002, 2003, 2006, 2013})


@dataclass
class MariaDbDump:
    """One dump that goes on; see `PostgresDump`.

    Attributes:
        facts: What was known before.
        program: Its output is to be read to its end.
        reader: Is to be fed with that.
        version: Of the program.
    """

    facts: Facts
    program: Program
    reader: SqlReader
    version: str

    def finish(self) -> Contents:
        """Return what was dumped.

        Raises:
            DtegError: The program failed, or the dump has no end.
        """
        self.program.wait()
        return self.reader.finish()


@contextlib.contextmanager
def dumping(url: str, *, without: str = "") -> Iterator[MariaDbDump]:
    """Start to dump a database, on wish without one table."""
    facts = _facts(url)
    program = mariadb_program("mariadb-dump", "mysqldump")
    with private_folder() as folder:
        less = [f"--ignore-table={_database(url)}.{without}"] if without else []
        command: list[str | Path] = [program, _login(url, folder), *_DUMP, *less, _database(url)]
        with running(Program(command, {}, secrets=_secrets(url))) as process:
            yield MariaDbDump(facts, process, SqlReader(), facts.server_version)


@contextlib.contextmanager
def restoring(url: str, name: str, info: DatabaseInfo) -> Iterator[Program]:
    """Make a database and yield the program that fills it; without an error it is whole at the end, else gone.

    Raises:
        ConflictError: There is a database of that name.
    """
    with connected(url) as connection, connection.cursor() as cursor:
        quoted = f"`{name.replace('`', '``')}`"
        cursor.execute("SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = %s", [name])
        if _first(cursor):
            marker = [name, UNFINISHED]
            cursor.execute(
                "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = %s AND table_name = %s",
                marker,
            )
            if not _first(cursor):
                raise ConflictError(f"there is a database {name} already; restore into another name")
            cursor.execute(f"DROP DATABASE {quoted}")
        cursor.execute(
            f"CREATE DATABASE {quoted} CHARACTER SET {_word(info.encoding)} COLLATE {_word(info.collate)}"
        )
        try:
            cursor.execute(f"CREATE TABLE {quoted}.{UNFINISHED} (at int)")
            with private_folder() as folder:
                command: list[str | Path] = [
                    mariadb_program("mariadb", "mysql"),
                    _login(url, folder),
                    "--binary-mode",
                    name,
                ]
                command.insert(2, "--default-character-set=utf8mb4")
                with running(Program(command, {}, reads=True, secrets=_secrets(url))) as program:
                    yield program
            connection.ping()
            cursor.execute(f"DROP TABLE {quoted}.{UNFINISHED}")
        except BaseException:
            connection.ping()
            cursor.execute(f"DROP DATABASE IF EXISTS {quoted}")
            raise


def drop(url: str, name: str) -> None:
    """Drop a database that a restore has made."""
    with connected(url) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS `{name.replace('`', '``')}`")


def renamed(url: str, name: str) -> str:
    """Return the URL of another database of the same server."""
    parts = urlsplit(url)
    return parts._replace(path=f"/{name}").geturl()


@contextlib.contextmanager
def connected(url: str) -> Iterator["pymysql.Connection[Any]"]:
    """Connect to a server, to no database of it, and raise its errors as ours."""
    try:
        import pymysql
    except ImportError:
        raise MissingExtraError("mysql", "a backup of MariaDB or MySQL") from None
    parts = urlsplit(url)
    try:
        connection = pymysql.connect(
            host=parts.hostname or "127.0.0.1", port=parts.port or 3306, user=unquote(parts.username or ""),
            password=unquote(parts.password or ""), charset="utf8mb4", autocommit=True, connect_timeout=15,
        )  # fmt: skip
        with contextlib.closing(connection):
            yield connection
    except pymysql.err.MySQLError as error:
        number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        kind = TransientError if number in _TRANSIENT else PermanentError
        raise kind(f"MariaDB: {error.args[-1] if error.args else error}", component="backups") from None


def _facts(url: str) -> Facts:
    name = _database(url)
    if name in _SYSTEM:
        raise ConfigError(f"{name} belongs to the server itself; name a database of yours")
    with connected(url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata"
            " WHERE schema_name = %s", [name],
        )  # fmt: skip
        row = cursor.fetchone()
        if row is None:
            raise PermanentError(f"there is no database {name} on that server", component="backups")
        cursor.execute("SELECT VERSION()")
        version = str(_first(cursor))
        cursor.execute(
            "SELECT COALESCE(SUM(data_length), 0), GROUP_CONCAT(IF(engine <> 'InnoDB', table_name, NULL))"
            " FROM information_schema.tables WHERE table_schema = %s", [name],
        )  # fmt: skip
        size, others = cursor.fetchone() or (0, None)
    warnings = [f"not read in one transaction, as their engine knows none: {others}"] if others else []
    info = DatabaseInfo(encoding=row[0], collate=row[1])
    return Facts(version, int(version.split(".", maxsplit=1)[0]), int(size), info, (), {}, warnings)


def _login(url: str, folder: Path) -> str:
    """Write how to log in into a file that only we can read; return the option that names it."""
    parts = urlsplit(url)
    lines = {
        "host": parts.hostname or "127.0.0.1", "port": str(parts.port or 3306), "protocol": "tcp",
        "user": unquote(parts.username or ""), "password": unquote(parts.password or ""),
    }  # fmt: skip
    path = folder / "login.cnf"
    path.touch(mode=0o600)
    text = "\n".join(f'{key}="{_escaped(value)}"' for key, value in lines.items())
    path.write_text(f"[client]\n{text}\n", encoding="utf-8")
    return f"--defaults-extra-file={path}"


def _escaped(value: str) -> str:
    if any(ord(each) < 32 for each in value):
        raise ConfigError("a user name or password of MariaDB with control characters cannot be used here")
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _database(url: str) -> str:
    name = unquote(urlsplit(url).path.strip("/"))
    if name.startswith("-"):
        raise ConfigError(f"the name {name!r} would be read as an option")
    return name


def _secrets(url: str) -> list[str]:
    password = urlsplit(url).password
    return [unquote(password)] if password else []


def _word(text: str) -> str:
    if not text.replace("_", "").isalnum():
        raise ConfigError(f"{text!r} is no character set")
    return text


def _first(cursor: Any) -> Any:
    row = cursor.fetchone()
    return row[0] if row else None
