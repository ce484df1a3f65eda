"""MySQL and MariaDB as sources: mysql_fdw, always through the relay, and what `information_schema` says."""

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from dteg.core.errors import MissingExtraError, PermanentError, TransientError
from dteg.core.identifiers import MAX_IDENTIFIER_BYTES
from dteg.core.secrets import redact
from dteg.sources.fdw import FdwLinker, fewer_at_a_time
from dteg.sources.information_schema import QUERIES, keys_of, quoted
from dteg.sources.kinds import PROBE_TIMEOUT_S, Link, MysqlOptions, probed
from dteg.sources.models import Column, ForeignKey, Probe, Relation, SourceTable
from dteg.sources.mysql_types import DATES, MappedType, is_text, longest_value, mapped_type
from dteg.sources.patterns import matches
from dteg.sources.relations import local_names

if TYPE_CHECKING:
    import pymysql

INTROSPECTION_TIMEOUT_S = 30.0
# Tables up to so many rows are searched for dates that are none.
MAX_SEARCHED_ROWS = 100_000
_TRANSIENT = frozenset({1040, 1053, 1203, 1205, 1213, 2002, 2003, 2006, 2013})


class MysqlLinker(FdwLinker):
    """Links tables of one MySQL or MariaDB database."""

    extension: ClassVar[str] = "mysql_fdw"
    packages: ClassVar[str] = "Debian: postgresql-15-mysql-fdw; the embedded server cannot have it"
    protocol: ClassVar[str] = "mysql"

    def server_options(self, link: Link) -> dict[str, str]:
        """Return the options of the server."""
        options: MysqlOptions = link.options
        found = {
            "fetch_size": str(options.fetch_size), "use_remote_estimate": "false",
            "reconnect": "true", "sql_mode": "ANSI_QUOTES,NO_UNSIGNED_SUBTRACTION", "character_set": "utf8mb4", "init_command": self._first_command(link),
        }  # fmt: skip
        if options.tls_ca:
            found["ssl_ca"] = options.tls_ca
        return found

    def table_options(self, link: Link, table: SourceTable) -> dict[str, str]:
        """Return which table it is."""
        fewer = fewer_at_a_time(link.options.fetch_size, table.row_bytes)
        return {"dbname": self.server(link).database, "table_name": table.name, **fewer}

    def probe(self, link: Link, timeout_s: float = PROBE_TIMEOUT_S) -> Probe:
        """Log in and ask for the version."""

        def ask() -> str:
            with self.connected(link, timeout_s) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT VERSION()")
                version = str((cursor.fetchone() or ("",))[0])
            return f"{'MariaDB' if 'MariaDB' in version else 'MySQL'} {version.partition('-')[0]}"

        return probed(ask)

    def introspect(self, link: Link) -> list[SourceTable]:
        """Read `information_schema`: four queries, however many tables, and one for each small table with dates."""
        database = self.server(link).database
        with self.connected(link, INTROSPECTION_TIMEOUT_S) as connection, connection.cursor() as cursor:
            cursor.execute(QUERIES["tables"], [database])
            wanted = [row for row in cursor.fetchall() if matches(link.patterns, "", row[0])]
            columns = _by_table(cursor, "columns", database)
            keys = _by_table(cursor, "keys", database)
            references = _by_table(cursor, "foreign_keys", database)
            odd = {row[0]: _odd(cursor, link, row, columns[row[0]]) for row in wanted}
        names = local_names([("", row[0]) for row in wanted])
        return [
            _table(
                link, row, names["", row[0]], _columns(columns[row[0]], odd[row[0]]), keys[row[0]]
            ).model_copy(update={"foreign_keys": _references(references[row[0]])})
            for row in wanted
        ]

    @contextlib.contextmanager
    def connected(self, link: Link, timeout_s: float) -> Iterator["pymysql.Connection[Any]"]:
        """Connect for a short while, not through the relay, and raise the driver's errors as ours."""
        try:
            import pymysql
        except ImportError:
            raise MissingExtraError("mysql", "a source of MySQL or MariaDB") from None
        server, options = self.server(link), link.options
        tls = {"ssl": {"ca": options.tls_ca}} if options.tls_ca else {}
        try:
            connection = pymysql.connect(
                host=server.host, port=server.port, user=server.user, password=server.password,
                database=server.database, charset="utf8mb4", autocommit=True, connect_timeout=max(1, int(timeout_s)),
                read_timeout=max(1, int(timeout_s)), write_timeout=max(1, int(timeout_s)), **tls,
            )  # fmt: skip
            with contextlib.closing(connection):
                yield connection
        except (pymysql.err.MySQLError, OSError) as error:
            number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
            kind = TransientError if number in _TRANSIENT or isinstance(error, OSError) else PermanentError
            message = str(error.args[-1] if error.args else error)
            raise kind(redact(f"MySQL: {message}", server.password), component="sources") from None

    def _first_command(self, link: Link) -> str:
        """Return what each session there begins with: it cannot write, and speaks UTC.

        Averages get as many digits as ours have.
        """
        with self.connected(link, INTROSPECTION_TIMEOUT_S) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW VARIABLES WHERE variable_name IN ('tx_read_only', 'transaction_read_only')")
            names = sorted(str(row[0]) for row in cursor.fetchall())
        return f"SET time_zone = '+00:00', div_precision_increment = 16, {names[-1]} = 1"


def _table(
    link: Link, row: Any, local: str, columns: Sequence[tuple[Column, str]], keys: list[Any]
) -> SourceTable:
    name, estimate, about, kind, row_bytes = row
    primary, unique = keys_of(keys)
    problems = [f"{column.name}: {problem}" for column, problem in columns if problem]
    return SourceTable(
        source=link.slug, name=name, relation=Relation(schema_=link.schema, name=local),
        columns=[column for column, _ in columns if column.type], primary_key=primary, unique_keys=unique,
        row_estimate=None if kind == "VIEW" else estimate, row_bytes=row_bytes or None, description="" if kind == "VIEW" else about,
        problem="; ".join(problems),
    )  # fmt: skip


def _columns(rows: Sequence[Any], odd: dict[str, MappedType]) -> list[tuple[Column, str]]:
    """Return the columns with what is wrong with each; one without a type cannot be read."""
    found = []
    for name, data_type, column_type, nullable, precision, scale, _, fraction, _, about, _ in rows:
        mapped = odd.get(name) or mapped_type(data_type, column_type, precision, scale, fraction)
        column = Column(
            name=name, type=mapped.type, remote_type=column_type, nullable=nullable != "NO" or name in odd,
            description=about, exact=mapped.exact,
        )  # fmt: skip
        found.append((column, mapped.problem))
    return found


def _odd(cursor: Any, link: Link, table: Any, columns: list[Any]) -> dict[str, MappedType]:
    """Return what becomes of columns whose values, or names, do not fit what their type says."""
    options: MysqlOptions = link.options
    false_dates = _false_dates(cursor, table, columns)
    found = {}
    for name, data_type, _, _, _, _, length, _, _, _, charset in columns:
        full = f"{table[0]}.{name}"
        most = longest_value(data_type, length, charset)
        if len(name.encode()) > MAX_IDENTIFIER_BYTES:
            found[name] = MappedType("", problem=f"its name is longer than {MAX_IDENTIFIER_BYTES} bytes")
        elif name in false_dates or (data_type in DATES and full in options.dates_as_text):
            found[name] = MappedType("text", True, "read as text, because it holds dates such as 0000-00-00")
        elif most and full in options.long_columns and is_text(data_type):
            found[name] = MappedType("text", problem=_COMPARED_THERE)
        elif most and not (full in options.long_columns and _longest(cursor, table[0], name) <= most):
            found[name] = MappedType("", problem=_TOO_LONG.format(most=most))
    return found


_TOO_LONG = (
    "left out, because mysql_fdw may leave out rows without a word where a value is over {most:,} bytes; copy the source"
    " instead (mode staged), or name the column in long_columns"
)
_COMPARED_THERE = "read whole, but conditions over it may be decided by the source, which may not tell case"


def _longest(cursor: Any, table: str, name: str) -> int:
    cursor.execute(f"SELECT MAX(OCTET_LENGTH({quoted(name)})) FROM {quoted(table)}")  # noqa: S608 - quoted names
    row = cursor.fetchone()
    return int(row[0] or 0) if row else 0


def _false_dates(cursor: Any, table: Any, columns: list[Any]) -> set[str]:
    """Return the columns with a date that PostgreSQL has not, such as `0000-00-00`.

    Large tables are not searched; there a zero as the default gives it away, or the option `dates_as_text`.
    """
    dates = [each[0] for each in columns if each[1] in DATES]
    suspicious = {
        each[0] for each in columns if each[1] in DATES and str(each[8] or "").strip("'").startswith("0000")
    }
    if not dates or table[1] is None or table[1] > MAX_SEARCHED_ROWS:
        return suspicious
    # The month of 2024-00-10 is 0 as well; a date that is null has none.
    tests = ", ".join(f"MAX(MONTH({quoted(name)}) = 0 OR DAY({quoted(name)}) = 0)" for name in dates)
    cursor.execute(f"SELECT {tests} FROM {quoted(table[0])}")  # noqa: S608 - names, and they are quoted
    found = cursor.fetchone() or ()
    return suspicious | {name for name, is_false in zip(dates, found, strict=True) if is_false}


def _references(rows: Sequence[Any]) -> list[ForeignKey]:
    by_name: dict[str, list[Any]] = defaultdict(list)
    for name, *rest in rows:
        by_name[name].append(rest)
    return [
        ForeignKey(table=each[0][1], columns=[row[0] for row in each], ref_columns=[row[2] for row in each])
        for each in by_name.values()
    ]


def _by_table(cursor: Any, query: str, database: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    cursor.execute(QUERIES[query], [database])
    for table, *rest in cursor.fetchall():
        found[table].append(rest)
    return found
