"""The builder as a person uses it: by mouse, by keys, and what it shows."""

import contextlib
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
from playwright.sync_api import Locator, Page, expect

CUSTOMERS = """
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, country text, created_at timestamptz NOT NULL);
INSERT INTO customers
  SELECT n, 'Customer ' || n, (ARRAY['Kazakhstan', 'Peru', 'Norway'])[n % 3 + 1], now() - n * interval '1 day'
  FROM generate_series(1, 30) AS n;
"""
ORDERS = """
CREATE TABLE orders (
  id bigint PRIMARY KEY, customer_id int NOT NULL, amount numeric(12,2) NOT NULL, cost numeric(12,2), status text,
  ordered_at timestamptz NOT NULL
);
INSERT INTO orders
  SELECT n, n % 30 + 1, n * 1.5, n, (ARRAY['new', 'paid', 'sent'])[n % 3 + 1], now() - n * interval '1 hour'
  FROM generate_series(1, 300) AS n;
"""
PATIENCE_MS = 20_000


@contextlib.contextmanager
def databases(server_url: str, **scripts: str) -> Iterator[dict[str, str]]:
    """Make a database for each script, yield their URLs by name, and drop them."""
    parts = urlsplit(server_url)
    query = f"?{parts.query}" if parts.query else ""
    urls = {name: f"{parts.scheme}://{parts.netloc}/{name}{query}" for name in scripts}
    with psycopg.connect(server_url, autocommit=True) as admin:
        try:
            for name, script in scripts.items():
                admin.execute(f"CREATE DATABASE {name}".encode())
                with psycopg.connect(urls[name], autocommit=True) as connection:
                    connection.execute(script.encode())
            yield urls
        finally:
            for name in scripts:
                admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


class Builder:
    """The page of a new or known dataset."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def open(self, path: str = "/datasets/new") -> "Builder":
        """Go to the page."""
        self.page.goto(path)
        return self.ready()

    def ready(self) -> "Builder":
        """Wait until the scripts of the page have begun."""
        expect(self.page.locator("#builder")).to_have_attribute("data-ready", "true", timeout=PATIENCE_MS)
        return self

    def add(self, table: str, branch: str) -> None:
        """Put a table on the canvas."""
        self.page.get_by_role("button", name=f"Add {table} of {branch}").click()
        name = table.rpartition(".")[2]
        expect(self.row(f"{name}.id")).to_be_visible(timeout=PATIENCE_MS)

    def row(self, column: str) -> Locator:
        """Return a column in its card."""
        return self.page.locator(f'[data-column="{column}"]')

    def drag(self, column: str, to: str) -> None:
        """Draw a join with the mouse."""
        self.row(column).scroll_into_view_if_needed()
        start, end = (self.row(each).bounding_box() for each in (column, to))
        assert start is not None
        assert end is not None
        mouse = self.page.mouse
        mouse.move(start["x"] + start["width"] - 15, start["y"] + start["height"] / 2)
        mouse.down()
        mouse.move(end["x"] + 40, end["y"] + end["height"] / 2, steps=6)
        mouse.up()

    def tab(self, name: str) -> None:
        """Open a part."""
        self.page.get_by_role("tab", name=name).click()

    def previewed(self) -> Locator:
        """Return the rows of the preview of what the page says now."""
        rows = self.page.locator(".builder-rows")
        expect(rows).to_be_visible(timeout=PATIENCE_MS)
        expect(self.page.locator(".builder-preview .is-stale")).to_have_count(0, timeout=PATIENCE_MS)
        return rows

    def save(self) -> None:
        """Save, and wait for the page of the dataset."""
        self.page.get_by_role("button", name="Save", exact=True).click()
        self.page.wait_for_url("**/datasets/*done=dataset-saved", timeout=PATIENCE_MS)


def press_until(page: Page, wanted: Locator, key: str = "Tab", times: int = 80) -> None:
    """Press a key until an element has the focus, as somebody without a mouse does."""
    for _ in range(times):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{wanted} is not reached with {key}")
