"""Sources in a browser: connected without scripts, read on a phone, and honest about what cannot be read."""

import psycopg
import pytest
from playwright.sync_api import expect

from dteg.sources.models import NewSource
from dteg.sources.relaying import Relaying

pytestmark = [pytest.mark.e2e, pytest.mark.integration]
WIDTHS = (1280, 768, 360)
_SHOP = """
CREATE TYPE state AS ENUM ('new', 'paid');
CREATE TYPE place AS (x int, y int);
CREATE TABLE customers (id int PRIMARY KEY, name text, mail text, born date, note text);
COMMENT ON TABLE customers IS 'Who buys, and what they let us know of themselves';
CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers, state state, total numeric(12,2), at place);
INSERT INTO customers SELECT n, 'Customer ' || n, n || '@example.org', '2000-01-01', repeat('a long note ', 20)
    FROM generate_series(1, 120) n;
INSERT INTO orders SELECT n, n, 'paid', n * 1.5, '(1,2)' FROM generate_series(1, 120) n;
CREATE TABLE no_columns ();
ANALYZE;
"""


@pytest.fixture
def shop(postgres_tcp_database, studio, monkeypatch, tmp_path):
    """URL of a database on a server that asks for a password; the relay is stopped at the end."""
    monkeypatch.setenv("DTEG_CONFIG_DIR", str(tmp_path / "config"))
    with psycopg.connect(postgres_tcp_database, autocommit=True) as connection:
        connection.execute(_SHOP)
    yield postgres_tcp_database
    Relaying(studio.project).stop()


def _fits(page, address):
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (address, width)


def test_a_source_is_connected_and_read_without_scripts(shop, tab):
    page = tab(java_script_enabled=False)
    page.goto("/sources")
    page.get_by_role("button", name="Add a source").first.click()
    page.get_by_role("link", name="PostgreSQL").click()
    page.get_by_label("Name", exact=True).fill("shop")
    page.get_by_label("Title").fill("Shop of the coast")
    page.get_by_text("Or all of it as a URL").click()
    page.get_by_label("URL").fill(shop)
    page.get_by_role("button", name="Only test it").click()
    expect(page.get_by_role("status").first).to_contain_text("It answers: PostgreSQL")
    expect(page.get_by_label("Title")).to_have_value("Shop of the coast")
    # The URL is never shown again, and need not be written again.
    page.get_by_role("button", name="Add the source").click()
    expect(page.get_by_role("status").first).to_contain_text("The source was added")
    page.get_by_text("Not everything of 2 tables").click()
    expect(page.locator("#problems")).to_contain_text("read as text, as their types exist only there: at")
    expect(page.locator("#problems")).to_contain_text("it has no columns")
    page.get_by_role("link", name="public.orders").first.click()
    page.get_by_text("Columns", exact=True).click()
    page.get_by_role("link", name="customers").click()
    expect(page.get_by_role("heading", level=2)).to_have_text("Rows 1 to 50")
    page.get_by_role("link", name="Next rows").click()
    expect(page.get_by_role("heading", level=2)).to_have_text("Rows 51 to 100")


def test_pages_fit_every_width(shop, studio, tab):
    studio.services.sources.add(NewSource(slug="shop", kind="postgres", url=shop, title="Shop"))
    page = tab()
    for address in (
        "/sources", "/sources/new", "/sources/new?kind=mysql", "/sources/new?kind=file", "/sources/shop",
        "/sources/shop/tables/public.customers", "/sources/shop/tables/public.no_columns", "/sources/shop/change",
        "/sources/shop/remove", "/sources/warehouse",
    ):  # fmt: skip
        _fits(page, address)
