"""Databases as sources without a foreign data wrapper: their tables are copied by our own extractors."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg

from dteg.core.errors import ConfigError, DtegError, TransientError
from dteg.core.identifiers import MAX_IDENTIFIER_BYTES
from dteg.core.secrets import Secret
from dteg.sources.kinds import PROBE_TIMEOUT_S, Link
from dteg.sources.models import Column, Kind, Probe, Progress, SourceTable, TableProblem
from dteg.sources.mysql import MysqlLinker
from dteg.sources.staging.copying import Reading, columns_of, copy_tables

CONNECT_S = 5.0
SILENCE_S = 30.0
STATEMENT_S = 3_600.0
_COLUMNS = """
SELECT table_name, column_name, column_type, is_nullable, column_comment FROM information_schema.columns
WHERE table_schema = %s ORDER BY table_name, ordinal_position
"""
_DATES = ("date", "timestamp")
# What the extractor does not read; types of PostGIS have no place in a warehouse without it.
_UNREAD = frozenset(
    ["geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection",
     "geomcollection", "vector"]
)  # fmt: skip


class DatabaseLinker:
    """Copies tables of MySQL and MariaDB, by the extractor of that name."""

    def check(self, link: Link) -> None:
        """Refuse a URL that cannot be right.

        Raises:
            ConfigError: It is not, or no extractor of ours reads this kind.
        """
        if link.kind is not Kind.MYSQL:
            raise ConfigError(f"a source of kind {link.kind} cannot be copied; there is no extractor for it")
        _split(link.url)

    def probe(self, link: Link, timeout_s: float = PROBE_TIMEOUT_S) -> Probe:
        """Ask the database itself."""
        return MysqlLinker().probe(link, timeout_s)

    def introspect(self, link: Link) -> list[SourceTable]:
        """Return the tables as the catalogue describes them, with the types that their copies will have."""
        columns = _all_columns(link)
        return [_as_copied(link, table, columns[table.name]) for table in MysqlLinker().introspect(link)]

    def link_tables(
        self,
        link: Link,
        connection: psycopg.Connection[Any],
        tables: Sequence[SourceTable],
        on_progress: Progress,
    ) -> list[TableProblem]:
        """Copy tables, one after the other."""
        readable = [table for table in tables if table.columns]
        return copy_tables(
            link, connection, readable, lambda table, left_s: _reading(link, table, left_s), on_progress
        )

    def unlink(self, link: Link, connection: psycopg.Connection[Any]) -> None:
        """Nothing lies beside the tables."""


def _as_copied(link: Link, table: SourceTable, columns: Sequence[Column]) -> SourceTable:
    """Return a table with the columns and types of its copy; what the extractor cannot read is left out, and said.

    Args:
        link: The source.
        table: As a foreign table would be.
        columns: All its columns in the source.
    """
    kept = [column for column in columns if not _why_left_out(column)]
    problems = [f"{each.name}: {_why_left_out(each)}" for each in columns if _why_left_out(each)]
    if not kept:
        return table.model_copy(update={"columns": [], "problem": "; ".join(problems) or "it has no columns"})
    try:
        read = columns_of(link.project, _reading(link, table.model_copy(update={"columns": kept})))
    except TransientError:
        raise
    except DtegError as error:
        return table.model_copy(update={"columns": [], "problem": str(error)})
    types = {each.name: each.type for each in read}
    copied = [column.model_copy(update={"type": types[column.name]}) for column in kept]
    # What a foreign table has to read as a text because of such dates is a date in the copy.
    texts = {column.name for column in table.columns if not column.type.startswith(_DATES)}
    problems += [
        f"{column.name}: dates such as 0000-00-00 are nulls in the copy"
        for column in copied
        if column.name in texts and column.type.startswith(_DATES)
    ]
    return table.model_copy(update={"columns": copied, "problem": "; ".join(problems)})


def _why_left_out(column: Column) -> str:
    if column.remote_type.split("(", maxsplit=1)[0].lower() in _UNREAD:
        return "geometries are left out of the copy"
    if len(column.name.encode()) > MAX_IDENTIFIER_BYTES:
        return f"left out, because its name is longer than {MAX_IDENTIFIER_BYTES} bytes"
    return ""


def _all_columns(link: Link) -> dict[str, list[Column]]:
    """Return the columns of each table in the source, their types in its words only."""
    linker = MysqlLinker()
    found: dict[str, list[Column]] = defaultdict(list)
    with linker.connected(link, SILENCE_S) as connection, connection.cursor() as cursor:
        cursor.execute(_COLUMNS, [linker.server(link).database])
        for table, name, type_, nullable, about in cursor.fetchall():
            column = Column(
                name=name, remote_type=_text(type_), nullable=nullable == "YES", description=about
            )
            found[table].append(column)
    return found


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _reading(link: Link, table: SourceTable, left_s: float = SILENCE_S) -> Reading:
    wanted = [column.name for column in table.columns]
    url, password = _split(link.url)
    config: dict[str, Any] = {
        "url": url, "table": table.full_name, "columns": wanted, "stream": "rows", "connect_timeout_s": min(CONNECT_S, left_s),
        "idle_timeout_s": min(SILENCE_S, left_s), "statement_timeout_s": min(STATEMENT_S, left_s), "zero_dates": "null",
    }  # fmt: skip
    if password:
        config["password"] = Secret(password, literal=True)
    if authority := getattr(link.options, "tls_ca", ""):
        config |= {"tls": "verify_identity", "tls_ca": authority}
    whole = table.primary_key if set(table.primary_key) <= set(wanted) else []
    return Reading(str(link.kind), config, "rows", None, tuple(whole))


def _split(url: str) -> tuple[str, str]:
    """Return a URL without its password, and the password.

    Raises:
        ConfigError: It is no URL; the message does not repeat it.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        host, port = "", ""
        parts = urlsplit("")
    if not parts.scheme:
        raise ConfigError("the URL cannot be read; write it like mysql://user:password@host:3306/database")
    user = f"{parts.username}@" if parts.username else ""
    shown_host = f"[{host}]" if ":" in host else host
    plain = parts._replace(netloc=f"{user}{shown_host}{port}").geturl()
    return plain, unquote(parts.password or "")
