"""Who may do what in the warehouse: the builder reads and builds, the reader reads what was built."""

import contextlib
import threading

import psycopg
import pytest
from psycopg import sql

from dteg.core.control import close_kept
from dteg.core.errors import EnvironmentProblemError
from dteg.core.postgres import connect
from dteg.sources.models import NewSource
from dteg.sources.relaying import Relaying
from dteg.sources.roles import ensure_roles
from dteg.sources.service import Sources

pytestmark = pytest.mark.integration
DENIED = psycopg.errors.InsufficientPrivilege


@pytest.fixture
def hub(postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA raw; CREATE TABLE raw.orders AS SELECT 1 AS id")
        ensure_roles(connection)
        yield connection


@contextlib.contextmanager
def acting_as(connection, role):
    connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
    try:
        yield connection
    finally:
        connection.execute("RESET ROLE")


def test_the_builder_reads_and_builds(hub):
    with acting_as(hub, "dteg_builder"):
        assert hub.execute("SELECT * FROM raw.orders").fetchall() == [(1,)]
        hub.execute("CREATE MATERIALIZED VIEW ds_cache.a__g1 AS SELECT * FROM raw.orders")
        hub.execute("CREATE VIEW ds.a AS SELECT * FROM ds_cache.a__g1")
    with acting_as(hub, "dteg_reader"):
        assert hub.execute("SELECT * FROM ds.a").fetchall() == [(1,)]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO raw.orders VALUES (2)",
        "DROP TABLE raw.orders",
        "CREATE TABLE raw.mine (id int)",
        "CREATE TABLE dict.mine (id int)",
        "CREATE SCHEMA mine",
        "SELECT * FROM _dteg.versions",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_ls_dir('/')",
        "SELECT lo_import('/etc/passwd')",
        "COPY raw.orders TO PROGRAM 'cat'",
        "COPY raw.orders FROM '/etc/passwd'",
        "CREATE ROLE mine",
        "SELECT umoptions FROM pg_user_mapping",
        "CREATE EXTENSION dblink",
        "SET ROLE postgres",
    ],
)
def test_the_builder_may_not(hub, statement):
    from dteg.core.control import ensure

    ensure(hub, "sources")
    with psycopg.connect(hub.info.dsn, password=hub.info.password, autocommit=True) as other:
        other.execute("SET SESSION AUTHORIZATION dteg_builder")
        with pytest.raises(DENIED):
            other.execute(statement)


@pytest.mark.parametrize(
    "statement",
    ["SELECT * FROM raw.orders", "SELECT * FROM ds_cache.a__g1", "CREATE VIEW ds.mine AS SELECT 1"],
)
def test_the_reader_may_not(hub, statement):
    with acting_as(hub, "dteg_builder"):
        hub.execute("CREATE MATERIALIZED VIEW ds_cache.a__g1 AS SELECT * FROM raw.orders")
    with acting_as(hub, "dteg_reader"), pytest.raises(DENIED):
        hub.execute(statement)


def test_what_has_come_since_can_be_read_too(hub):
    hub.execute(
        "CREATE SCHEMA marts; CREATE TABLE marts.sales AS SELECT 2 AS id; CREATE TABLE raw.more AS SELECT 3 AS id"
    )
    hub.execute("CREATE TABLE dict.codes AS SELECT 4 AS id")
    ensure_roles(hub)
    with acting_as(hub, "dteg_builder"):
        for table, expected in (("marts.sales", 2), ("raw.more", 3), ("dict.codes", 4)):
            query = sql.SQL("SELECT id FROM {}").format(sql.Identifier(*table.split(".")))
            assert hub.execute(query).fetchall() == [(expected,)]
    with acting_as(hub, "dteg_reader"):
        assert hub.execute("SELECT id FROM dict.codes").fetchall() == [(4,)]


def test_asking_again_changes_nothing(hub):
    before = hub.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
    hub.execute("SET default_transaction_read_only = on")
    ensure_roles(hub)
    hub.execute("RESET default_transaction_read_only")
    assert before is not None


def test_several_at_once(postgres_url):
    problems = []

    def run():
        try:
            with connect(postgres_url) as connection:
                ensure_roles(connection)
        except Exception as error:  # noqa: BLE001 - told below
            problems.append(error)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert problems == []


def test_a_user_without_the_right_is_told_what_to_run(postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS plain_hub_user")
        admin.execute("CREATE ROLE plain_hub_user LOGIN")
        try:
            with psycopg.connect(postgres_url, autocommit=True) as connection:
                connection.execute("SET SESSION AUTHORIZATION plain_hub_user")
                with pytest.raises(
                    EnvironmentProblemError, match="let a superuser run: CREATE ROLE dteg_builder"
                ):
                    ensure_roles(connection)
        finally:
            admin.execute("DROP ROLE plain_hub_user")


def test_a_user_without_superusers_rights_will_do(postgres_tcp, crm, project_over):
    """Once a superuser has made the extension: it may make roles, servers and what the builder needs."""
    with psycopg.connect(postgres_tcp.url, autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS plain_hub WITH (FORCE)")
        admin.execute("CREATE DATABASE plain_hub")
    hub = postgres_tcp.url.removesuffix("/postgres") + "/plain_hub"
    with psycopg.connect(hub, autocommit=True) as admin:
        admin.execute(
            "CREATE ROLE plain_hubber LOGIN PASSWORD 'hub-pw' CREATEROLE; CREATE EXTENSION postgres_fdw"
        )
        admin.execute("GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO plain_hubber")
        admin.execute("GRANT CREATE ON DATABASE plain_hub TO plain_hubber")
    project = project_over(hub.replace(f"postgres:{postgres_tcp.password}", "plain_hubber:hub-pw"))
    try:
        sources = Sources.of(project)
        assert sources.add(NewSource(slug="crm", kind="postgres", url=crm)).linked == 5
        assert sources.rows("crm", "customers", 1).rows[0][0] == 1
        with sources.link_deadline("crm", 10), connect(project.warehouse_url()) as connection:
            connection.execute("SET ROLE dteg_builder")
            connection.execute("CREATE MATERIALIZED VIEW ds_cache.a__g1 AS SELECT id FROM src_crm.customers")
        assert sources.refresh("crm").drift == []
        with psycopg.connect(hub) as admin:
            members = "SELECT count(*) FROM pg_user_mappings WHERE umoptions::text LIKE '%password_required%'"
            assert admin.execute(members).fetchone() == (0,)
    finally:
        Relaying(project).stop()
        close_kept()
        with psycopg.connect(postgres_tcp.url, autocommit=True) as admin:
            admin.execute("DROP DATABASE plain_hub WITH (FORCE)")
