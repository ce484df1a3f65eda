"""PostgreSQL as a source: postgres_fdw, and what its catalogue says of its tables."""

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import psycopg
from psycopg.conninfo import make_conninfo

from dteg.core.errors import ConfigError
from dteg.core.postgres import connect, translated
from dteg.core.queries import load_queries
from dteg.sources.fdw import FdwLinker, fewer_at_a_time
from dteg.sources.kinds import PROBE_TIMEOUT_S, Link, PostgresOptions, probed
from dteg.sources.models import Column, ForeignKey, Probe, Relation, SourceTable
from dteg.sources.patterns import matches
from dteg.sources.relations import local_names
from dteg.sources.urls import ServerUrl, parse_postgres

INTROSPECTION_TIMEOUT_S = 30.0
MAIN_SCHEMA = "public"
TEXT = "text"
QUERIES = load_queries(Path(__file__).with_name("postgres.sql"))
# Settings of the URL that the foreign server takes over.
_PASSED_ON = frozenset(
    {
        "sslmode", "sslrootcert", "sslcrl", "sslcertmode", "ssl_min_protocol_version", "gssencmode",
        "channel_binding", "target_session_attrs", "require_auth",
    }
)  # fmt: skip
# Databases that order texts by their bytes.
_BYTEWISE = frozenset({"C", "POSIX", "C.UTF-8", "C.utf8", "PG_UNICODE_FAST"})

Connection = psycopg.Connection[Any]


class PostgresLinker(FdwLinker):
    """Links tables of another PostgreSQL."""

    extension: ClassVar[str] = "postgres_fdw"
    packages: ClassVar[str] = (
        "it comes with PostgreSQL: Debian's package postgresql, others' postgresql-contrib"
    )
    protocol: ClassVar[str] = "postgres"
    guarded: ClassVar[bool] = False
    analyzed: ClassVar[bool] = True

    def server(self, link: Link) -> ServerUrl:
        """Return where it is."""
        return parse_postgres(link.url)

    def server_options(self, link: Link) -> dict[str, str]:
        """Return the options of the server: tuned, and never writable."""
        options: PostgresOptions = link.options
        server = self.server(link)
        found = {
            "dbname": server.database,
            "fetch_size": str(options.fetch_size), "use_remote_estimate": str(options.remote_estimates).lower(),
            "updatable": "false", "truncatable": "false",
            # A kept connection to a server that has gone would make the next statement fail.
            "keep_connections": "off",
            "application_name": "dteg", "connect_timeout": "10",
        }  # fmt: skip
        if options.read_only_session:
            found["options"] = "-c default_transaction_read_only=on"
        return found | {name: value for name, value in server.settings.items() if name in _PASSED_ON}

    def address_options(self, link: Link) -> dict[str, str]:
        """Return where it is."""
        server = self.server(link)
        if link.address is None:
            return {"host": server.host, "port": str(server.port)}
        host, port = link.address
        if server.host.startswith("/"):  # there is no TLS on a unix socket
            return {"host": host, "port": str(port), "sslmode": "disable"}
        # The name stays, so that a certificate is held against it.
        return {"host": server.host, "hostaddr": host, "port": str(port)}

    def mapping_options(self, link: Link, *, is_superuser: bool) -> dict[str, str]:
        """Return who we are there.

        Raises:
            ConfigError: Without a password only a superuser of the warehouse may go there.
        """
        server = self.server(link)
        found = {
            name: value for name, value in (("user", server.user), ("password", server.password)) if value
        }
        if is_superuser:
            return {**found, "password_required": "false"}
        if not server.password:
            raise ConfigError("the URL needs a password, because the warehouse's user is no superuser")
        return found

    def table_options(self, link: Link, table: SourceTable) -> dict[str, str]:
        """Return which table it is."""
        fewer = fewer_at_a_time(link.options.fetch_size, table.row_bytes)
        return {"schema_name": table.schema_, "table_name": table.name, **fewer}

    def probe(self, link: Link, timeout_s: float = PROBE_TIMEOUT_S) -> Probe:
        """Log in and ask for the version."""

        def ask() -> str:
            with _connected(link.url, timeout_s) as connection:
                return str(_row(connection, "server")[0])

        return probed(ask)

    def introspect(self, link: Link) -> list[SourceTable]:
        """Read the catalogue: five queries, however many tables."""
        with _connected(link.url, INTROSPECTION_TIMEOUT_S) as connection:
            found = connection.execute(QUERIES["tables"].encode()).fetchall()
            wanted = [row for row in found if matches(link.patterns, row[1], row[2])]
            oids = {"oids": [row[0] for row in wanted]}
            columns = by_table(connection, QUERIES["columns"], oids)
            keys = by_table(connection, QUERIES["keys"], oids)
            references = by_table(connection, QUERIES["foreign_keys"], oids)
        names = local_names([(row[1], row[2]) for row in wanted], MAIN_SCHEMA)
        return [
            _table(
                link,
                row,
                names[row[1], row[2]],
                columns[row[0]],
                keys=keys[row[0]],
                references=references[row[0]],
            )
            for row in wanted
        ]

    def session_settings(self, link: Link, connection: Connection) -> dict[str, str]:
        """Return what keeps statements right if the two databases order texts differently.

        postgres_fdw lets the source sort and merges what comes as if it were sorted our way: rows would be lost.
        """
        with _connected(link.url, INTROSPECTION_TIMEOUT_S) as remote:
            theirs, ours = ordering(_row(remote, "server")[1]), ordering(_row(connection, "server")[1])
        return {} if theirs == ours else {"enable_mergejoin": "off"}


def _table(
    link: Link, row: Any, local: str, columns: list[Any], *, keys: list[Any], references: list[Any]
) -> SourceTable:
    _, schema, name, estimate, about, may_read, row_bytes = row
    found = [_column(each) for each in columns] if may_read else []
    as_text = [
        column.name for column, each in zip(found, columns, strict=False) if not each[3] and not each[4]
    ]
    problem = "" if found else "it has no columns" if may_read else _NO_RIGHT
    if as_text:
        problem = f"read as text, as their types exist only there: {', '.join(as_text)}"
    primary, unique = keys_of(keys)
    return SourceTable(
        source=link.slug, schema_=schema, name=name, relation=Relation(schema_=link.schema, name=local), columns=found,
        primary_key=primary, unique_keys=unique,
        foreign_keys=foreign_keys(references),
        row_estimate=estimate, row_bytes=row_bytes, description=about, problem=problem,
    )  # fmt: skip


_NO_RIGHT = "the source's user may not read it; let its owner run: GRANT SELECT ON ... TO that user"


def _column(each: Any) -> Column:
    name, base, shown, is_known, _, not_null, about, is_odd = each
    # What exists only there, such as an enumeration, is text here.
    return Column(
        name=name, type=base if is_known else TEXT, remote_type=shown, nullable=not not_null, description=about,
        exact=not is_known or is_odd,
    )  # fmt: skip


def ordering(database: dict[str, Any]) -> tuple[Any, ...]:
    """Return what decides how a database orders texts."""
    provider = database.get("datlocprovider", "c")
    locale = database.get("datlocale") or database.get("daticulocale")
    collate = database["datcollate"]
    if (provider == "c" and collate in _BYTEWISE) or (provider == "b" and locale in _BYTEWISE):
        return ("bytes",) if database["encoding"] == "UTF8" else ("bytes", database["encoding"])
    return provider, collate, locale, database["encoding"]


@contextlib.contextmanager
def _connected(url: str, timeout_s: float) -> Iterator[Connection]:
    """Connect for a short while; nothing waits much longer than `timeout_s`."""
    limited = make_conninfo(url, connect_timeout=max(2, int(timeout_s)))
    with (
        translated("sources"),
        connect(
            limited, component="sources", idle_timeout_s=timeout_s, statement_timeout_s=timeout_s
        ) as connection,
    ):
        yield connection


def _row(connection: Connection, query: str) -> Any:
    row = connection.execute(QUERIES[query].encode()).fetchone()
    assert row is not None
    return row


def by_table(connection: Connection, query: str, values: dict[str, Any]) -> dict[int, list[Any]]:
    """Return the rows of a query by their first value, the number of a table."""
    found: dict[int, list[Any]] = defaultdict(list)
    for oid, *rest in connection.execute(query.encode(), values).fetchall():
        found[oid].append(rest)
    return found


def keys_of(rows: Iterable[tuple[bool, Sequence[str]]]) -> tuple[list[str], list[list[str]]]:
    """Return the primary key and the other unique ones, given each with whether it is the primary."""
    found = [(is_primary, list(names)) for is_primary, names in rows]
    primary = next((names for is_primary, names in found if is_primary), [])
    return primary, [names for is_primary, names in found if not is_primary]


def foreign_keys(rows: list[Any]) -> list[ForeignKey]:
    """Return the references that the catalogue tells of."""
    return [
        ForeignKey(schema_=schema, table=table, columns=list(ours), ref_columns=list(theirs))
        for schema, table, ours, theirs in rows
    ]
