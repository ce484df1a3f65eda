"""A shop in the warehouse, and its cache."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from dteg.ai import client as ai
from dteg.metadata.service import Metadata
from dteg.testing.openai_server import model_server
from studio.testing import empty_project

SHOP = """
CREATE TABLE customers (id int PRIMARY KEY, email text NOT NULL, country text, joined_at date);
COMMENT ON TABLE customers IS 'People who bought something.';
COMMENT ON COLUMN customers.country IS 'ISO code of the country.';
CREATE TABLE orders (
    id int PRIMARY KEY, customer_id int NOT NULL REFERENCES customers (id), status text, amount numeric(12,2),
    ordered_at timestamptz, note text
);
CREATE TABLE payments (payment_no text PRIMARY KEY, order_id int, method text);
INSERT INTO customers SELECT n, 'someone' || n || '@example.com', (ARRAY['KZ', 'DE', 'FR'])[1 + n % 3],
    date '2024-01-01' + n FROM generate_series(1, 60) n;
INSERT INTO orders SELECT n, 1 + n % 60, (ARRAY['paid', 'open'])[1 + n % 2], n * 1.5, '2024-05-01'::timestamptz + n * '1 hour'::interval,
    CASE WHEN n % 9 = 0 THEN 'call me at someone@example.com' ELSE 'fine' END FROM generate_series(1, 300) n;
INSERT INTO payments SELECT 'PAY-' || lpad(n::text, 5, '0'), n, (ARRAY['card', 'cash'])[1 + n % 2] FROM generate_series(1, 200) n;
CREATE TABLE canary (n int);
INSERT INTO canary VALUES (1);
"""


class Shop:
    """A project whose warehouse has a shop.

    Attributes:
        project: The project.
        metadata: Its cache, with the clock of the test.
        now: What that clock shows.
    """

    def __init__(self, project):
        self.project = project
        self.now = datetime(2026, 11, 21, tzinfo=UTC)
        self.metadata = Metadata(project, clock=lambda: self.now)

    def run(self, statement):
        with psycopg.connect(self.project.warehouse_url(), autocommit=True) as connection:
            done = connection.execute(statement)
            rows = done.fetchall() if done.description else []
            # The counters of changed rows are told to the others now, and not within a second.
            connection.execute("SELECT pg_stat_force_next_flush()")
            return rows

    def write(self, name, text):
        path = self.project.root / "metadata" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def later(self, **span):
        self.now += timedelta(**span)


@pytest.fixture
def shop(studio_project):
    made = Shop(studio_project)
    made.run(SHOP)
    return made


@pytest.fixture
def collected(shop):
    """The shop with two examples, collected."""
    shop.write(
        "examples.yaml",
        "examples:\n"
        "  - question: How many orders are paid?\n"
        "    sql: SELECT count(*) AS paid FROM orders WHERE status = 'paid'\n"
        "  - question: What do customers of each country spend?\n"
        "    sql: |-\n"
        "      SELECT c.country, sum(o.amount) AS spent\n"
        "      FROM orders o JOIN customers c ON c.id = o.customer_id\n"
        "      GROUP BY c.country\n",
    )
    shop.report = shop.metadata.collect()
    return shop


@pytest.fixture
def model(monkeypatch):
    """A model on this machine, which is the configured one."""
    for name in ("DTEG_AI_PROTOCOL", "DTEG_AI_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ai, "_RETRIES", 0)
    for served in model_server():
        monkeypatch.setenv("DTEG_AI_MODEL", "small")
        monkeypatch.setenv("DTEG_AI_URL", served.url)
        yield served


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose own warehouse is down: for this it is not needed."""
    made = empty_project(tmp_path / "project")
    monkeypatch.setenv("DTEG_POSTGRES_URL", "postgresql://127.0.0.1:9/none")
    monkeypatch.setenv("DTEG_HOME", str(made.root))
    (made.root / "metadata").mkdir()
    return made
