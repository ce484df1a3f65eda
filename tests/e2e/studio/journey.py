"""The way of a table in the browser: from a file, through a backup and a change that hurts, back to what it was."""

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from playwright.sync_api import Page, expect

DATABASE, RESTORED = "shop", "shop_before"
ROWS = 2_000
_CITIES = ("Busan", "Lima", "Oslo", "Porto", "Sapporo", "Turin")
_PATIENCE_MS = 60_000
# A pipeline that reads the column which is dropped below.
PIPELINE = """\
pipeline:
  name: city_sales
  steps:
    - extract:
        type: postgres
        config: {table: public.orders, columns: [order_id, city, amount]}
    - load:
        type: postgres
        config: {table: reports.city_sales}
"""


@contextlib.contextmanager
def shop_database(server_url: str) -> Iterator[str]:
    """Make the empty database of the journey, yield its URL, and drop it and the restored one."""
    parts = urlsplit(server_url)
    query = f"?{parts.query}" if parts.query else ""
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {DATABASE}".encode())
        try:
            yield f"{parts.scheme}://{parts.netloc}/{DATABASE}{query}"
        finally:
            for name in (DATABASE, RESTORED):
                admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


class Journey:
    """The steps in their order.

    Args:
        page: A tab that is logged in.
        warehouse: URL of the database.
        folder: For the file that is uploaded.
        picture: Called with a name where a picture of the page is worth keeping.
    """

    def __init__(self, page: Page, warehouse: str, folder: Path, picture: Callable[[str], None]) -> None:
        self.page, self.warehouse, self.picture = page, warehouse, picture
        self.file = folder / "orders.csv"
        lines = [
            f"{number},{_CITIES[number % len(_CITIES)]},{number % 97 + 0.5:.2f},2026-03-{number % 28 + 1:02}T10:00:00Z"
            for number in range(1, ROWS + 1)
        ]
        self.file.write_text("\n".join(["order_id,city,amount,ordered_at", *lines]) + "\n")

    def walk(self) -> None:
        """Take all steps."""
        self.upload()
        self.listen()
        self.back_up()
        self.schedule()
        self.change_the_table()
        self.see_the_change()
        self.restore()
        self.home()

    def upload(self) -> None:
        """A file becomes a table."""
        page = self.page
        self._go("Tables")
        page.get_by_role("button", name="Make a table").first.click()
        page.get_by_label("File", exact=True).set_input_files(self.file)
        page.get_by_label("Table", exact=True).fill("orders")
        page.get_by_role("button", name="Send the file").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Make a table of orders.csv")
        page.get_by_label("Primary key").fill("order_id")
        self.picture("studio-upload")
        page.get_by_role("button", name="Make the table").click()
        page.get_by_role("button", name="Look at the table").click(timeout=_PATIENCE_MS)
        expect(page.get_by_role("heading", level=1)).to_contain_text("public.orders")
        page.get_by_label("Only rows where").select_option("city")
        page.get_by_label("Value", exact=True).fill("Oslo")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("table.data tbody tr").first).to_contain_text("Oslo")

    def listen(self) -> None:
        """Changes of tables are captured from now on."""
        page = self.page
        self._go("Schema changes")
        page.get_by_role("link", name="nothing yet").click()
        page.get_by_label("Database").select_option(DATABASE)
        page.get_by_role("button", name="Listen", exact=True).click()
        expect(page.get_by_role("row", name=re.compile(f"^{DATABASE}"))).to_contain_text("on")

    def back_up(self) -> None:
        """A backup is made and proved."""
        page = self.page
        self._go("Backups")
        page.get_by_label("Database").fill(DATABASE)
        page.get_by_role("button", name="Back it up").click()
        page.get_by_role("link", name="The backup").click(timeout=_PATIENCE_MS)
        self.backup = page.url
        page.get_by_role("button", name="Restore it aside and compare every row").click()
        page.get_by_role("link", name="The backup").click(timeout=_PATIENCE_MS)
        expect(page.locator(".figures div", has_text="restored and compared").locator("dd")).not_to_be_empty()
        self.picture("studio-backup")

    def schedule(self) -> None:
        """From now on it is backed up every night."""
        page = self.page
        self._go("Cron jobs")
        page.get_by_role("button", name="Add a job").click()
        page.get_by_label("Name").fill("nightly_backup")
        page.get_by_label("What it does").select_option("backup")
        page.get_by_label("Database or pipeline").fill(DATABASE)
        page.get_by_label("Schedule").fill("30 2 * * *")
        expect(page.locator("#preview")).to_contain_text("02:30")
        page.get_by_role("button", name="Add the job").click()
        self._go("Cron jobs")
        row = page.get_by_role("row", name=re.compile("^nightly_backup"))
        expect(row).to_contain_text(f"backup {DATABASE}")

    def change_the_table(self) -> None:
        """Somebody changes the table, from elsewhere and without asking."""
        with psycopg.connect(self.warehouse, autocommit=True, application_name="a colleague") as connection:
            connection.execute("ALTER TABLE orders ALTER COLUMN amount TYPE integer USING round(amount)")
            connection.execute("ALTER TABLE orders DROP COLUMN city")

    def see_the_change(self) -> None:
        """It is told who changed what, from which type to which, and what that breaks."""
        page = self.page
        dropped = page.get_by_role("row", name=re.compile("ALTER TABLE.*city.*dropped", re.DOTALL))
        deadline = time.monotonic() + _PATIENCE_MS / 1000
        while True:
            self._go("Schema changes")
            if dropped.count() or time.monotonic() > deadline:
                break
            page.wait_for_timeout(500)
        expect(dropped).to_contain_text("a colleague")
        expect(dropped).to_contain_text("breaks")
        expect(dropped).to_contain_text("city_sales")
        expect(page.locator("main")).to_contain_text("integer")
        self.picture("studio-schema-changes")
        dropped.get_by_role("link").first.click()
        expect(page.locator("main")).to_contain_text("DROP COLUMN city")

    def restore(self) -> None:
        """The table as it was, beside the one that is."""
        page = self.page
        page.goto(self.backup)
        page.get_by_label("Into the new database").fill(RESTORED)
        page.get_by_role("button", name="Restore", exact=True).click()
        expect(page.locator("#progress .badge")).to_have_text("done", timeout=_PATIENCE_MS)
        expect(page.locator("#progress")).to_contain_text(RESTORED)

    def home(self) -> None:
        """The home page knows of all of it."""
        page = self.page
        self._go("Home")
        expect(page.locator(".cards")).to_contain_text("Backups")
        self.picture("studio-home")

    def _go(self, name: str) -> None:
        self.page.get_by_role("navigation", name="Main").get_by_role("link", name=name, exact=True).click()
