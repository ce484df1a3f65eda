"""A shop whose metadata is collected, a vault beside it that is not, and a model that says what a test wants."""

import psycopg
import pytest

from dteg.core.project import Project
from dteg.metadata.ask import Asker
from dteg.metadata.service import Metadata
from dteg.testing.openai_server import model_server
from dteg.testing.servers import database
from tests.integration.metadata_ask.hostile import COMMENT

CANARY = "canary-4f1c"
_SHOP = """
CREATE SCHEMA shop;
CREATE TABLE shop.customers (id int PRIMARY KEY, city text);
CREATE TABLE shop.orders (id serial PRIMARY KEY, customer_id int REFERENCES shop.customers, net numeric(12,2), note text);
COMMENT ON COLUMN shop.orders.net IS 'Value without tax, in euros';
INSERT INTO shop.customers SELECT n, (ARRAY['Seoul', 'Busan'])[1 + n % 2] FROM generate_series(1, 20) n;
INSERT INTO shop.orders SELECT n, 1 + n % 20, n, 'x' FROM generate_series(1, 200) n;
CREATE FUNCTION shop.wipe_all() RETURNS int LANGUAGE sql AS 'DELETE FROM shop.orders; SELECT 1';
CREATE PROCEDURE shop.wipe() LANGUAGE sql AS 'DELETE FROM shop.orders';
"""
_VAULT = "CREATE SCHEMA vault; CREATE TABLE vault.secrets AS SELECT '" + CANARY + "'::text AS secret"
EXAMPLES = (
    ("How many orders are there?", "SELECT count(*) AS orders FROM shop.orders"),
    (
        "Net per city",
        "SELECT c.city, sum(o.net) AS net FROM shop.orders o JOIN shop.customers c ON c.id = o.customer_id GROUP BY c.city",
    ),
)


@pytest.fixture(scope="module")
def warehouse(postgres_server, tmp_path_factory):
    """A project whose cache knows the shop; the vault came later."""
    with database(postgres_server) as url, pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("project")
        (root / "pipelines").mkdir()
        for name, value in {"DTEG_POSTGRES_URL": url, "DTEG_HOME": str(root)}.items():
            patch.setenv(name, value)
        for name in ("DTEG_METADATA_URI", "DTEG_STUDIO_URL", "DTEG_STUDIO_TOKEN"):
            patch.delenv(name, raising=False)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(_SHOP)
            connection.execute("COMMENT ON TABLE shop.orders IS '" + COMMENT.replace("'", "''") + "'")
            collect(Project(root))
            connection.execute(_VAULT)
        yield Project(root)


def collect(project):
    """Collect, with the examples."""
    metadata = Metadata.of(project)
    metadata.collect()
    for question, sql in EXAMPLES:
        metadata.add_example(question, sql)
    report = metadata.collect()
    assert report.examples.get("valid") == len(EXAMPLES), report


@pytest.fixture
def no_model(monkeypatch):
    for name in ("DTEG_AI_MODEL", "DTEG_AI_URL", "DTEG_AI_PROTOCOL", "DTEG_AI_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(monkeypatch, no_model):
    for served in model_server():
        monkeypatch.setenv("DTEG_AI_MODEL", "small")
        monkeypatch.setenv("DTEG_AI_URL", served.url)
        yield served


@pytest.fixture
def asker(warehouse):
    return Asker.of(warehouse)
