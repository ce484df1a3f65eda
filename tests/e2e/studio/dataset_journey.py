"""The way of a number in the browser: from two databases over a dataset to a chart, a dashboard and a forecast."""

import contextlib
import math
import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pymysql
from playwright.sync_api import Page, expect

from dteg.snapshots.models import NewPoint
from tests.e2e.studio.builder_page import Builder

if TYPE_CHECKING:
    from studio.testing import RunningStudio

SLUG = "sales_by_country"
PATIENCE_MS = 60_000


ORDERS = """
CREATE TABLE orders (
  id bigint PRIMARY KEY, customer_id int NOT NULL, amount decimal(12,2) NOT NULL, cost decimal(12,2) NOT NULL,
  status varchar(10) NOT NULL, ordered_at datetime NOT NULL
);
INSERT INTO orders
  SELECT seq, seq MOD 30 + 1, 20 + seq MOD 7 * 5 + seq MOD 30, 10 + seq MOD 11, ELT(seq MOD 3 + 1, 'N', 'P', 'S'),
    utc_timestamp() - INTERVAL seq HOUR
  FROM seq_1_to_1500;
"""


def fill_shop(url: str) -> None:
    """Make the orders in an empty database of MariaDB."""
    parts = urlsplit(url)
    connection = pymysql.connect(
        host=parts.hostname, port=parts.port or 3306, user=parts.username, password=parts.password or "",
        database=parts.path.removeprefix("/"), autocommit=True,
    )  # fmt: skip
    with contextlib.closing(connection), connection.cursor() as cursor:
        for statement in filter(str.strip, ORDERS.split(";")):
            cursor.execute(statement)


def wave(hours: int) -> float:
    """Return by which part a number was greater so many hours ago: a rise, a day's season, and some noise."""
    return 0.05 * math.sin(hours / 24 * 2 * math.pi) - 0.0012 * hours + hours * 7919 % 61 / 3000


class DatasetJourney:
    """The steps in their order.

    Args:
        page: A tab that is logged in.
        studio: The studio; only what a person would wait days for is written through it.
        crm: URL of the PostgreSQL database of customers.
        shop: URL of the MariaDB database of orders.
        picture: Called with a name where a picture of the page is worth keeping.
    """

    def __init__(
        self, page: Page, studio: "RunningStudio", crm: str, shop: str, picture: Callable[[str], None]
    ) -> None:
        self.page, self.studio, self.picture = page, studio, picture
        self.urls = {"PostgreSQL": crm, "MySQL": shop}

    def walk(self) -> None:
        """Take all steps."""
        self.connect("PostgreSQL", "crm", "Customers")
        self.connect("MySQL", "shop", "Web shop")
        self.build()
        self.refresh()
        self.chart()
        self.dashboard()
        self.snapshot()
        self.forecast()

    def connect(self, kind: str, slug: str, title: str) -> None:
        """A database becomes a source."""
        page = self.page
        self._go("Sources")
        page.get_by_role("button", name="Add a source").first.click()
        page.get_by_role("link", name=re.compile(kind)).click()
        page.get_by_label("Title", exact=True).fill(title)
        page.get_by_label("Name", exact=True).fill(slug)
        at = urlsplit(self.urls[kind])
        for label, text in (
            ("Host", at.hostname), ("Port", str(at.port or "")), ("Database", at.path[1:]), ("User", at.username),
            ("Password", unquote(at.password or "")),
        ):  # fmt: skip
            page.get_by_label(label, exact=True).fill(text or "")
        page.get_by_role("button", name="Only test it").click()
        expect(page.get_by_role("status").first).to_contain_text("It answers", timeout=PATIENCE_MS)
        page.get_by_role("button", name="Add the source").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(title, timeout=PATIENCE_MS)
        if slug == "shop":
            self.picture("datasets-source")

    def build(self) -> None:
        """Customers of one database and orders of the other become one dataset, without a line of SQL."""
        page = self.page
        self._go("Datasets")
        page.get_by_role("button", name="Make a dataset").click()
        builder = Builder(page).ready()
        builder.add("public.customers", "Customers")
        builder.add("orders", "Web shop")
        page.get_by_role("button", name="Join customers.id with orders.customer_id").first.click(
            timeout=PATIENCE_MS
        )
        page.get_by_label("Expect that").select_option(label="each customer has many orders")
        page.get_by_label("Keep").select_option(label="only customers and orders that match")
        page.get_by_label("Title", exact=True).fill("Sales by country")
        page.get_by_role("button", name="+ Formula").click()
        page.get_by_label("Name of column 1").fill("margin")
        page.keyboard.press("Enter")
        page.get_by_label("Formula of margin").fill("round(orders.amount - orders.cost, 2)")
        builder.tab("Filters")
        page.get_by_role("button", name="+ Condition").click()
        page.get_by_label("Column that is compared").select_option("orders.ordered_at")
        page.get_by_label("How it is compared").select_option(label="is in the last")
        self._summarise(builder)
        builder.tab("History")
        page.locator("#at-snapshot-schedule").select_option(label="every few hours")
        builder.tab("Checks")
        page.get_by_role("button", name="+ There are rows").click()
        builder.tab("Summarise")
        expect(builder.previewed().locator("thead th")).to_contain_text(
            ["country", "day", "revenue", "margin_total"]
        )
        # As much of the page as a tall window shows.
        width, height = page.viewport_size["width"], page.viewport_size["height"]
        page.set_viewport_size({"width": width, "height": 2 * height})
        page.evaluate("scrollTo(0, 0)")
        self.picture("datasets-builder")
        page.set_viewport_size({"width": width, "height": height})
        builder.save()

    def _summarise(self, builder: Builder) -> None:
        page = self.page
        builder.tab("Summarise")
        page.get_by_label("Add a group").select_option("customers.country")
        page.get_by_label("Add a group").select_option("orders.ordered_at")
        for number, (column, name) in enumerate(
            (("orders.amount", "revenue"), ("margin", "margin_total")), 1
        ):
            page.get_by_role("button", name="+ Number").click()
            page.get_by_label(f"What number {number} is").select_option("sum")
            page.get_by_label(f"Column of number {number}").select_option(column)
            # The page proposes a name a moment after the column is chosen; what is typed meanwhile would be added to it.
            of = column.rpartition(".")[2]
            expect(page.get_by_label(f"Name of number {number}")).to_have_value(re.compile(of))
            page.get_by_label(f"Name of number {number}").fill(name)
            page.keyboard.press("Enter")

    def refresh(self) -> None:
        """Its rows are built, checked and shown."""
        page = self.page
        page.get_by_role("button", name="Refresh now").click()
        expect(page.locator("#state")).to_contain_text("generation 1", timeout=PATIENCE_MS)
        page.goto(f"/datasets/{SLUG}")
        expect(page.locator("table.data tbody tr").first).to_be_visible()
        self.picture("datasets-rows")

    def chart(self) -> None:
        """The numbers are drawn."""
        page = self.page
        self._go("Charts")
        page.get_by_role("button", name="Draw a chart").first.click()
        page.get_by_role("button", name="Draw Sales by country").click()
        page.get_by_text("Line", exact=True).click()
        page.get_by_label("Column", exact=True).select_option("day")
        page.get_by_label("Number 1").select_option("revenue")
        page.get_by_label("Colour", exact=True).select_option("country")
        page.get_by_label("Title", exact=True).last.fill("Revenue by day")
        page.get_by_label("Name in addresses and files").fill("revenue_by_day")
        expect(page.locator("[data-preview]")).to_have_attribute("data-ready", "true", timeout=PATIENCE_MS)
        page.get_by_role("button", name="Save the chart").click()
        self._drawn()

    def dashboard(self) -> None:
        """The chart is put on a dashboard."""
        page = self.page
        self._go("Dashboards")
        page.get_by_label("Title", exact=True).fill("Sales")
        page.get_by_label("Name in addresses and files").fill("sales")
        page.get_by_role("button", name="Make the dashboard").click()
        page.get_by_label("Chart", exact=True).select_option("revenue_by_day")
        page.get_by_role("button", name="Put it on").first.click()
        page.get_by_role("button", name="Save the dashboard").click()
        page.goto("/dashboards/sales")
        self._drawn()
        self.picture("datasets-dashboard")

    def snapshot(self) -> None:
        """The numbers of now are remembered."""
        page = self.page
        page.goto(f"/datasets/{SLUG}/history")
        page.get_by_role("button", name="Remember now").click()
        expect(page.get_by_role("status").first).to_have_text("The numbers of now are remembered.")
        expect(page.get_by_role("heading", name="Not enough data")).to_be_visible()

    def forecast(self) -> None:
        """After five days, which are written here, there is a forecast with its bands."""
        page = self.page
        snapshots = self.studio.services.snapshots
        newest = snapshots.points(SLUG, "revenue")[-1]
        past = [
            NewPoint(slot=newest.slot - timedelta(hours=n), value=round(newest.value * (1 + wave(n)), 1))
            for n in range(1, 121)
        ]
        snapshots.add(SLUG, "revenue", past)
        page.reload()
        page.get_by_label("Series").select_option(label="revenue: all rows")
        page.get_by_role("button", name="Show").click()
        page.get_by_role("button", name="Make a forecast").click()
        expect(page.locator("svg.chart:visible .chart-band-80")).to_have_count(1, timeout=PATIENCE_MS)
        self.picture("datasets-forecast")

    def _drawn(self) -> None:
        self.page.wait_for_selector("html[data-charts-ready='true']", state="attached", timeout=PATIENCE_MS)
        expect(self.page.locator("[data-failed]")).to_have_count(0)

    def _go(self, name: str) -> None:
        self.page.get_by_role("navigation", name="Main").get_by_role("link", name=name, exact=True).click()
