"""The statements that link a table, by kind; SQL Server and Oracle have no server here, so this is all there is of them."""

import pytest

from dteg.core.errors import ConfigError
from dteg.core.project import Project
from dteg.sources.described import RemoteColumn
from dteg.sources.fdw import fewer_at_a_time
from dteg.sources.kinds import Link, MssqlOptions, MysqlOptions, OracleOptions, PostgresOptions
from dteg.sources.models import Column, Kind, Mode, Relation, SourceTable
from dteg.sources.mssql import MssqlLinker
from dteg.sources.mysql import MysqlLinker
from dteg.sources.mysql_types import mapped_type
from dteg.sources.oracle import OracleLinker
from dteg.sources.postgres import PostgresLinker, ordering

PG16 = 160_000


@pytest.fixture
def link(tmp_path):
    def make(kind, url, options, **more):
        return Link(Project(tmp_path), "shop", Kind(kind), Mode.FDW, url, options, **more)

    return make


def remote(name, data_type, **known):
    return RemoteColumn(**{
        "schema": "dbo", "table": "orders", "name": name, "data_type": data_type, "length": None, "precision": None,
        "scale": None, "nullable": "YES", **known,
    })  # fmt: skip


def table(*columns, name="orders", schema="public"):
    return SourceTable(
        source="shop",
        schema_=schema,
        name=name,
        relation=Relation(schema_="src_shop", name=name),
        columns=list(columns),
    )


def test_postgresql_is_tuned_and_never_writable(link):
    of = link("postgres", "postgresql://me:pw@db:6432/crm?sslmode=verify-full", PostgresOptions())
    linker = PostgresLinker()
    options = linker.server_options(of)
    assert options["updatable"] == options["truncatable"] == "false"
    assert options["fetch_size"] == "10000"
    assert options["use_remote_estimate"] == "true"
    assert options["sslmode"] == "verify-full"
    assert "default_transaction_read_only=on" in options["options"]
    assert "pw" not in str(options)
    assert linker.mapping_options(of, is_superuser=True) == {
        "user": "me", "password": "pw", "password_required": "false",
    }  # fmt: skip
    assert linker.mapping_options(of, is_superuser=False) == {"user": "me", "password": "pw"}


def test_through_the_relay_the_name_stays_for_the_certificate(link):
    of = link("postgres", "postgresql://me:pw@db/crm", PostgresOptions(), address=("127.0.0.1", 4711))
    assert PostgresLinker().address_options(of) == {"host": "db", "hostaddr": "127.0.0.1", "port": "4711"}
    socket = link(
        "postgres", "host=/run/pg dbname=crm user=me", PostgresOptions(), address=("127.0.0.1", 4711)
    )
    assert PostgresLinker().address_options(socket) == {
        "host": "127.0.0.1",
        "port": "4711",
        "sslmode": "disable",
    }


def test_only_a_superusers_warehouse_goes_without_a_password(link):
    of = link("postgres", "postgresql://me@db/crm", PostgresOptions())
    with pytest.raises(ConfigError, match="password"):
        PostgresLinker().mapping_options(of, is_superuser=False)


def test_names_are_quoted_and_a_guard_is_set(link):
    odd = table(
        Column(name='a"; DROP TABLE x; --', type="integer", nullable=False),
        Column(name="b", type="text", exact=True),
        name='t"x',
    )
    of = link("mysql", "mysql://me:pw@db/sh'op", MysqlOptions())
    text = MysqlLinker().ddl(of, odd, PG16).as_string(None)
    assert '"a""; DROP TABLE x; --" integer NOT NULL' in text
    assert '"b" "src_shop"."exact_text"' in text
    assert '"src_shop"."t""x"' in text
    assert "\"dbname\" 'sh''op'" in text
    assert "BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE" in text
    assert "TRUNCATE" not in MysqlLinker().ddl(of, odd, 150_018).as_string(None)


@pytest.mark.parametrize(
    ("data_type", "column_type", "expected"),
    [
        ("bigint", "bigint(20) unsigned", "numeric(20,0)"),
        ("tinyint", "tinyint(1)", "smallint"),
        ("decimal", "decimal(12,2)", "numeric(12,2)"),
        ("datetime", "datetime(6)", "timestamp(6) without time zone"),
        ("time", "time", "interval"),
        ("enum", "enum('a')", "text"),
        ("vector", "vector(3)", ""),
    ],
)
def test_types_of_mysql(data_type, column_type, expected):
    digits = 6 if "(6)" in column_type else None
    mapped = mapped_type(data_type, column_type, 12, 2, digits)
    assert mapped.type == expected
    assert bool(mapped.problem) is (expected == "")


def test_sql_server(link):
    of = link("mssql", "mssql://me:pw@db:14330/erp", MssqlOptions(), address=("127.0.0.1", 99))
    linker = MssqlLinker()
    columns = [
        remote("id", "int", nullable="NO"), remote("name", "nvarchar", length=50), remote("price", "money"),
        remote("total", "decimal", precision=18, scale=4), remote("at", "datetime2", precision=7),
        remote("key", "uniqueidentifier"), remote("place", "geography"),
    ]  # fmt: skip
    (found,) = linker.tables(of, columns, [("dbo", "orders", "PK", "Y", "id")])
    assert [(column.name, column.type) for column in found.columns] == [
        ("id", "integer"), ("name", "text"), ("price", "numeric(19,4)"), ("total", "numeric(18,4)"),
        ("at", "timestamp(6) without time zone"), ("key", "uuid"),
    ]  # fmt: skip
    assert [column.name for column in found.columns if column.exact] == ["name", "key"]
    assert found.primary_key == ["id"]
    assert found.problem == "place: the type geography cannot be read"
    assert (
        linker.ddl(of, found, PG16)
        .as_string(None)
        .splitlines()[0]
        .startswith(
            'CREATE FOREIGN TABLE "src_shop"."orders" ("id" integer NOT NULL, "name" "src_shop"."exact_text", '
        )
    )
    assert "\"schema_name\" 'dbo', \"table_name\" 'orders', \"match_column_names\" '1'" in linker.ddl(
        of, found, PG16
    ).as_string(None)
    assert {**linker.server_options(of), **linker.address_options(of)} == {
        "servername": "127.0.0.1", "port": "99", "database": "erp", "tds_version": "7.4", "msg_handler": "blackhole",
    }  # fmt: skip


def test_oracle(link):
    of = link("oracle", "oracle://me:pw@db/ORCL", OracleOptions(fetch_size=50_000))
    linker = OracleLinker()
    columns = [
        remote("ID", "NUMBER", precision=9, scale=0, nullable="N"), remote("BIG", "NUMBER", precision=18, scale=0),
        remote("ANY", "NUMBER"), remote("PRICE", "NUMBER", precision=10, scale=2), remote("NAME", "VARCHAR2"),
        remote("AT", "TIMESTAMP(9) WITH TIME ZONE"), remote("DAY", "DATE"), remote("ROWS", "SDO_GEOMETRY"),
    ]  # fmt: skip
    (found,) = linker.tables(of, columns, [])
    assert [column.type for column in found.columns] == [
        "integer", "bigint", "numeric", "numeric(10,2)", "text", "timestamp(6) with time zone",
        "timestamp(0) without time zone",
    ]  # fmt: skip
    assert found.problem == "ROWS: the type SDO_GEOMETRY cannot be read"
    text = linker.ddl(of, found, PG16).as_string(None)
    assert "\"schema\" 'dbo', \"table\" 'orders', \"readonly\" 'true', \"prefetch\" '10240'" in text
    assert linker.address_options(of) == {"dbserver": "//db:1521/ORCL"}
    assert linker.mapping_options(of, is_superuser=True) == {"user": "me", "password": "pw"}


@pytest.mark.parametrize(
    ("database", "bytewise"),
    [
        ({"datcollate": "C", "encoding": "UTF8"}, True),
        ({"datcollate": "C.UTF-8", "encoding": "UTF8", "datlocprovider": "c"}, True),
        (
            {"datcollate": "en_US.utf8", "encoding": "UTF8", "datlocprovider": "b", "datlocale": "C.UTF-8"},
            True,
        ),
        ({"datcollate": "en_US.utf8", "encoding": "UTF8", "datlocprovider": "c"}, False),
        ({"datcollate": "C", "encoding": "UTF8", "datlocprovider": "i", "daticulocale": "und"}, False),
        ({"datcollate": "C", "encoding": "LATIN1"}, False),
    ],
)
def test_databases_that_order_texts_by_their_bytes_are_alike(database, bytewise):
    """Otherwise a merge join would lose rows: postgres_fdw lets the source sort, and believes that it sorts our way."""
    assert (ordering(database) == ("bytes",)) is bytewise


@pytest.mark.parametrize(
    ("row_bytes", "expected"),
    [(None, {}), (100, {}), (6_000, {}), (7_000, {"fetch_size": "1000"}), (10**9, {"fetch_size": "1"})],
)
def test_wide_rows_are_fetched_a_few_at_a_time(row_bytes, expected):
    assert fewer_at_a_time(10_000, row_bytes) == expected
