"""A hub whose user is no superuser, and what the roles of datasets may and may not do."""

from urllib.parse import urlsplit

import psycopg
import pytest

from dteg.core.errors import ConfigError, ConflictError, EnvironmentProblemError
from dteg.core.project import Project
from dteg.datasets.service import Datasets
from dteg.datasets.spec import parse_spec
from dteg.tables.service import Tables
from tests.integration.datasets.conftest import SALES, TABLES, changed

pytestmark = pytest.mark.integration


@pytest.fixture
def owner_url(postgres_url, run):
    """URL of a user who owns the database and is nothing else."""
    run("DO $$ BEGIN CREATE ROLE shop_owner LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    name = urlsplit(postgres_url).path[1:]
    run(f"GRANT CREATE ON DATABASE {name} TO shop_owner")
    parts = urlsplit(postgres_url)
    yield parts._replace(netloc=f"shop_owner@{parts.netloc.rpartition('@')[2]}").geturl()
    run("DROP OWNED BY shop_owner CASCADE; DROP ROLE shop_owner")


def test_a_user_who_may_not_make_roles_is_told_what_to_run_and_needs_no_more(
    studio_project: Project, owner_url, run, monkeypatch
):
    monkeypatch.setenv("DTEG_POSTGRES_URL", owner_url)
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute(TABLES)
    datasets = Datasets.of(studio_project)
    datasets.save(parse_spec(SALES))
    with pytest.raises(EnvironmentProblemError, match="let a superuser run") as caught:
        datasets.refresh("sales")
    for statement in str(caught.value).partition("let a superuser run: ")[2].split("; "):
        name = statement.split()[2] if statement.startswith("CREATE ROLE") else ""
        if not name or run("SELECT count(*) FROM pg_roles WHERE rolname = %s", name) == [(0,)]:
            run(statement)
    assert datasets.refresh("sales").rows == 300
    datasets.save(changed(SALES, ("  - {name: country, from: c.country}\n", "")), replace=True)
    assert datasets.refresh("sales").status == "live"
    assert datasets.rollback("sales").n == 1
    assert len(datasets.rows("sales").rows) == 50
    assert datasets.remove("sales").generations == 2


def test_the_roles_may_do_their_work_and_nothing_else(sales, run, postgres_url):
    def tried(role, statement):
        with psycopg.connect(postgres_url) as connection:
            connection.execute(f"SET ROLE {role}".encode())
            try:
                connection.execute(statement.encode())
            except psycopg.errors.InsufficientPrivilege:
                return False
            finally:
                connection.rollback()
        return True

    assert tried("dteg_reader", "SELECT * FROM ds.sales")
    assert not tried("dteg_reader", "SELECT * FROM raw.orders")
    assert not tried("dteg_reader", "SELECT * FROM ds_cache.sales__g1")
    assert not tried("dteg_reader", "CREATE TABLE ds.mine (a integer)")
    assert tried("dteg_builder", "SELECT * FROM raw.orders")
    for statement in (
        "DELETE FROM raw.orders", "CREATE TABLE raw.mine (a integer)", "SELECT * FROM _dteg.datasets",
        "SELECT pg_read_file('PG_VERSION')", "SELECT lo_import('/etc/passwd')", "CREATE ROLE other",
        "ALTER ROLE dteg_builder SUPERUSER",
    ):  # fmt: skip
        assert not tried("dteg_builder", statement), statement


def test_tables_of_datasets_are_not_deleted_or_made_as_tables(sales, shop):
    tables = Tables.of(shop)
    for name in ("ds.sales", "ds_cache.sales__g1"):
        with pytest.raises((ConfigError, ConflictError)):
            tables.delete(name)
    names = [each.table for each in tables.list().items]
    assert "ds.sales" in names
    assert not any(name.startswith("ds_cache.") for name in names)
