"""The page that makes datasets without SQL, in Chromium: with mouse and with keys only, over two databases."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from dteg.datasets.files import to_yaml
from dteg.datasets.spec import parse_spec
from dteg.dictionaries.models import NewDictionary
from dteg.sources.models import NewSource
from dteg.testing.browser import DESKTOP, PHONE, WIDTHS
from dteg.testing.servers import database
from studio.testing import empty_project, running_studio
from tests.e2e.studio.builder_page import CUSTOMERS, ORDERS, PATIENCE_MS, Builder, databases, press_until
from tests.e2e.studio.test_pages import check_layout, check_with_axe

# With DTEG_SHOTS=FOLDER a picture of each part at each width is kept.
SHOTS = os.environ.get("DTEG_SHOTS", "")
pytestmark = [pytest.mark.e2e, pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def studio(postgres_server, tmp_path_factory):
    """One studio for this file: the tests share its sources, and remove what they make."""
    with database(postgres_server) as url, pytest.MonkeyPatch.context() as patch:
        project = empty_project(tmp_path_factory.mktemp("builder"))
        patch.setenv("DTEG_POSTGRES_URL", url)
        patch.setenv("DTEG_HOME", str(project.root))
        for name in ("DTEG_STUDIO_URL", "DTEG_STUDIO_TOKEN"):
            patch.delenv(name, raising=False)
        with running_studio(project) as running:
            yield running


@pytest.fixture(scope="module")
def shop(studio, postgres_tcp):
    """A studio with two sources in two databases: customers in `crm`, orders in `shop`."""
    with databases(postgres_tcp.url, crm=CUSTOMERS, shop=ORDERS) as urls:
        for slug, url in urls.items():
            studio.services.sources.add(NewSource(slug=slug, kind="postgres", title=slug.upper(), url=url))
        yield studio


@pytest.fixture
def builder(shop, tab):
    page = tab()
    page.set_viewport_size({"width": 1440, "height": 1000})
    yield Builder(page).open()
    services = shop.services
    for dataset in services.datasets.datasets():
        services.datasets.remove(dataset.slug)
    for dictionary in services.dictionaries.dictionaries():
        services.dictionaries.remove(dictionary.slug)


def spec_of(studio, slug):
    return studio.services.datasets.get(slug).spec


def test_a_join_of_two_databases_is_drawn_with_the_mouse(builder, shop):
    page = builder.page
    builder.add("public.customers", "CRM")
    builder.add("public.orders", "SHOP")
    builder.drag("customers.id", "orders.customer_id")
    expect(page.get_by_role("group", name="customers and orders")).to_be_visible()
    expect(page.locator(".builder-edge")).to_have_count(1)
    page.get_by_label("Expect that").select_option(label="each customer has many orders")
    page.get_by_label("Keep").select_option(label="only customers and orders that match")
    for column in ("customers.name", "customers.country", "orders.amount"):
        builder.row(column).get_by_role("checkbox").check()
    rows = builder.previewed()
    expect(rows.locator("thead th")).to_contain_text(["name", "country", "amount"])
    expect(rows.locator("tbody tr")).to_have_count(50)
    page.get_by_label("Title", exact=True).fill("Sales by customer")
    builder.save()
    assert spec_of(shop, "sales_by_customer")["joins"] == [
        {"left": "customers", "right": "orders", "type": "inner", "on": [["customers.id", "orders.customer_id"]],
         "expect": "one_to_many"}
    ]  # fmt: skip


def test_the_same_with_keys_only(builder, shop):
    page = builder.page
    keys = page.keyboard
    press_until(page, page.get_by_label("Search tables"))
    keys.type("customers")
    press_until(page, page.get_by_role("button", name="Add public.customers of CRM"))
    keys.press("Enter")
    expect(builder.row("customers.id")).to_be_visible(timeout=PATIENCE_MS)
    search = page.get_by_label("Search tables")
    press_until(page, search, "Shift+Tab")
    search.fill("")
    keys.type("orders")
    press_until(page, page.get_by_role("button", name="Add public.orders of SHOP"))
    keys.press("Enter")
    expect(builder.row("orders.id")).to_be_visible(timeout=PATIENCE_MS)
    # From the knob of one column to that of another, with the arrows inside a card.
    first = builder.row("customers.id").get_by_role("button")
    press_until(page, first)
    keys.press("Enter")
    expect(page.get_by_role("status").filter(has_text="now choose the column")).to_be_visible()
    press_until(page, builder.row("orders.id").get_by_role("button"))
    keys.press("ArrowDown")
    expect(builder.row("orders.customer_id").get_by_role("button")).to_be_focused()
    keys.press("Enter")
    expect(page.get_by_role("group", name="customers and orders")).to_be_visible()
    # The same can be undone, and said by choosing.
    press_until(page, page.get_by_role("button", name="Undo"), "Shift+Tab")
    keys.press("Enter")
    expect(page.get_by_role("group", name="customers and orders")).to_have_count(0)
    page.get_by_label("Join this column").select_option("customers.id")
    page.get_by_label("with this one").select_option("orders.customer_id")
    press_until(page, page.get_by_role("button", name="Join", exact=True))
    keys.press("Enter")
    expect(page.get_by_label("Keep")).to_be_focused()
    keys.press("Control+s")
    expect(page.get_by_label("Title", exact=True)).to_be_focused()
    expect(page.locator("#save-state")).to_contain_text("title")
    keys.type("By keys")
    keys.press("Control+s")
    page.wait_for_url("**/datasets/by_keys?done=dataset-saved", timeout=PATIENCE_MS)
    assert spec_of(shop, "by_keys")["joins"][0]["on"] == [["customers.id", "orders.customer_id"]]


def test_a_proposed_join_takes_one_click_and_says_the_relation(builder):
    builder.add("public.customers", "CRM")
    builder.add("public.orders", "SHOP")
    chip = builder.page.get_by_role("button", name="Join customers.id with orders.customer_id")
    chip.click(timeout=PATIENCE_MS)
    expect(builder.page.get_by_label("Expect that").locator("option:checked")).to_contain_text("customer")
    expect(chip).to_have_count(0)


def test_a_bad_formula_is_told_at_its_field(builder):
    page = builder.page
    builder.add("public.orders", "SHOP")
    page.get_by_role("button", name="+ Formula").click()
    formula = page.get_by_label("Formula of formula")
    formula.fill("amout - cost")
    expect(formula).to_have_attribute("aria-invalid", "true", timeout=PATIENCE_MS)
    told = page.locator("#at-columns-0-formula-wrong")
    expect(told).to_contain_text("amount")
    # What is wrong elsewhere leads there.
    page.get_by_role("tab", name="Checks").click()
    page.locator(".builder-preview .note.bad a").click()
    expect(formula).to_be_focused()
    formula.fill("")
    page.get_by_label("Function", exact=True).select_option("round")
    page.keyboard.type("amount - cost, 1")
    expect(formula).to_have_value("round(amount - cost, 1)")
    expect(told).to_have_text("The formula is fine.", timeout=PATIENCE_MS)
    expect(builder.previewed().locator("tbody td")).to_contain_text(["0.5"])


def test_filters_groups_and_numbers_in_plain_words(builder, shop):
    page = builder.page
    builder.add("public.orders", "SHOP")
    builder.tab("Filters")
    page.get_by_role("button", name="+ Condition").click()
    page.get_by_label("Column that is compared").select_option("orders.ordered_at")
    page.get_by_label("How it is compared").select_option(label="is in the last")
    page.get_by_label("How many").fill("2")
    builder.tab("Summarise")
    page.get_by_label("Add a group").select_option("orders.status")
    page.get_by_label("Add a group").select_option("orders.ordered_at")
    page.get_by_role("button", name="+ Number").click()
    page.get_by_label("What number 1 is").select_option("sum")
    page.get_by_label("Column of number 1").select_option("orders.amount")
    expect(page.get_by_label("Name of number 1")).to_have_value("total_amount")
    expect(builder.previewed().locator("thead th")).to_contain_text(["status", "day", "total_amount"])
    builder.tab("Refresh")
    page.locator("#at-cache-schedule").select_option(label="every day")
    page.get_by_label("Refresh: time of day").fill("05:30")
    expect(page.locator(".builder-panel .hint").first).to_contain_text("05:30", timeout=PATIENCE_MS)
    page.get_by_label("Title", exact=True).fill("Orders by day")
    builder.save()
    spec = spec_of(shop, "orders_by_day")
    assert spec["filters"] == {
        "all": [{"col": "orders.ordered_at", "op": ">=", "value": {"relative": "-2d"}}]
    }
    assert spec["group_by"] == [
        {"name": "status", "from": "orders.status"}, {"name": "day", "from": "orders.ordered_at", "grain": "day"}
    ]  # fmt: skip
    assert spec["measures"] == [{"name": "total_amount", "fn": "sum", "of": "orders.amount"}]
    assert spec["cache"]["schedule"] == "30 5 * * *"


def test_the_text_and_the_forms_are_the_same_dataset(builder, shop):
    page = builder.page
    builder.add("public.orders", "SHOP")
    page.get_by_label("Title", exact=True).fill("Both ways")
    builder.row("orders.amount").get_by_role("checkbox").check()
    builder.tab("YAML")
    text = page.get_by_label("The dataset as YAML")
    expect(text).not_to_have_value("", timeout=PATIENCE_MS)
    written = text.input_value()
    assert parse_spec(written).columns[0].name == "amount"
    text.fill(written.replace("name: amount", "name: turnover"))
    expect(page.locator("#yaml-state")).to_have_text("Taken over.", timeout=PATIENCE_MS)
    builder.tab("Forms")
    expect(page.get_by_label("Name of column 1")).to_have_value("turnover")
    builder.tab("YAML")
    text.fill(written.replace("columns:", "colums:"))
    expect(page.locator("#yaml-state")).to_contain_text("columns", timeout=PATIENCE_MS)
    text.fill(written)
    expect(page.locator("#yaml-state")).to_have_text("Taken over.", timeout=PATIENCE_MS)
    builder.save()
    # An existing one comes back as it was saved, and undo leads back to before.
    builder.open("/datasets/both_ways/edit")
    name = page.get_by_label("Name of column 1")
    name.fill("sum")
    name.press("Enter")
    page.get_by_role("button", name="Undo").click()
    expect(name).to_have_value("amount")
    page.get_by_role("button", name="Redo").click()
    expect(name).to_have_value("sum")
    builder.save()
    assert spec_of(shop, "both_ways")["columns"] == [{"name": "sum", "from": "orders.amount"}]


def test_the_page_fits_and_everybody_can_use_it(builder):
    page = builder.page
    builder.add("public.customers", "CRM")
    builder.add("public.orders", "SHOP")
    builder.drag("customers.id", "orders.customer_id")
    page.get_by_role("button", name="All columns of customers").click()
    page.get_by_role("button", name="+ Formula").click()
    wrong = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for part in ("Columns", "Filters", "Summarise", "Refresh", "History", "Checks"):
            builder.tab(part)
            wrong += check_layout(page, part, width)
            if SHOTS:
                page.screenshot(path=Path(SHOTS) / f"builder-{part.lower()}-{width}.png", full_page=True)
            if width == DESKTOP or (width == PHONE and part == "Columns"):
                wrong += check_with_axe(page, f"{part} at {width}")
    assert wrong == [], "\n".join(wrong)


def test_a_dictionary_is_looked_up_and_repeated_rows_are_told(builder, shop):
    dictionaries = shop.services.dictionaries
    columns = [{"name": "code", "type": "text"}, {"name": "title", "type": "text"}]
    dictionaries.create(NewDictionary(slug="order_status", key="code", columns=columns))
    dictionaries.put(
        "order_status", [{"code": "new", "title": "just in"}, {"code": "paid", "title": "paid for"}]
    )
    page = builder.open("/datasets/new?source=shop&table=public.orders").page
    expect(page.get_by_label("Name of column 6")).to_have_value("ordered_at", timeout=PATIENCE_MS)
    page.get_by_role("button", name="+ From a dictionary").click()
    page.get_by_label("Column that is looked up").select_option("orders.status")
    page.get_by_label("What stands for what is not in the dictionary").fill("unknown")
    cells = builder.previewed().locator("tbody td:last-child")
    expect(cells.filter(has_text="just in").first).to_be_visible(timeout=PATIENCE_MS)
    expect(cells.filter(has_text="unknown").first).to_be_visible()
    builder.add("public.customers", "CRM")
    builder.drag("orders.customer_id", "customers.id")
    page.get_by_label("Expect that").select_option(label="each order has one customer")
    # 30 customers have 10 orders each: it is said beside the join and with the rows.
    expect(page.locator(".builder-join .builder-warning")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator(".builder-preview .note.warn")).to_be_visible()
    page.get_by_label("Expect that").select_option(label="each customer has many orders")
    expect(page.locator(".builder-warning")).to_have_count(0, timeout=PATIENCE_MS)


EVERYTHING = {
    "dataset": "everything",
    "version": 1,
    "title": "Everything",
    "description": "Each key once.",
    "sources": {
        "c": {"source": "crm", "schema": "public", "table": "customers"},
        "o": {"source": "shop", "schema": "public", "table": "orders"},
    },
    "joins": [
        {"left": "c", "right": "o", "type": "inner", "on": [["c.id", "o.customer_id"]], "expect": "one_to_many"}
    ],
    "columns": [
        {"name": "country", "from": "country", "title": "Country", "description": "Where they live."},
        {"name": "margin", "formula": "round(amount - cost, 2)", "type": "decimal(12,2)"},
        {"name": "when", "from": "o.ordered_at", "type": "date"},
    ],
    "filters": {
        "all": [
            {"col": "o.ordered_at", "op": ">=", "value": {"relative": "-90d", "start_of": "day", "timezone": "Asia/Almaty"}},
            {"col": "o.ordered_at", "op": "<", "value": {"relative": "0d", "start_of": "year"}},
            {"any": [{"col": "country", "op": "in", "value": ["Peru", "Norway"]}, {"not": {"col": "c.name", "op": "is_null"}}]},
            {"not": {"any": [{"col": "o.amount", "op": "between", "value": [0, 9000]}, {"col": "o.status", "op": "like", "value": "x%"}]}},
            {"not": {"all": [{"col": "o.amount", "op": "<", "value": {"col": "o.cost"}}, {"col": "margin", "value": 3.5}]}},
        ]
    },
    "group_by": ["country", {"name": "day", "from": "o.ordered_at", "grain": "day", "timezone": "Asia/Almaty"}],
    "measures": [
        {"name": "orders", "fn": "count"},
        {"name": "revenue", "fn": "sum", "of": "o.amount", "where": {"col": "o.status", "op": "!=", "value": "new"}, "title": "Revenue"},
        {"name": "mean", "formula": "revenue / orders", "type": "decimal(18,2)"},
    ],
    "having": {"col": "orders", "op": ">", "value": 0},
    "order_by": [{"col": "revenue", "descending": True}, {"col": "country"}],
    "limit": 1000,
    "text_compare": "ci",
    "cache": {
        "schedule": "*/7 3 * * 1-5", "timezone": "Asia/Almaty", "max_age": "90m", "keep_generations": 4, "key": ["country", "day"],
        "indexes": [["revenue"]], "deadline": "45s", "build_memory_mb": 64,
    },
    "snapshot": {
        "schedule": "0 */6 * * *", "metrics": ["revenue"], "by": ["country"], "rows": True, "keep": {"raw": "10d", "daily": "2y"},
    },
    "checks": [
        {"not_empty": True}, {"min_rows": 2, "blocking": False}, {"row_drop_max": "12.5%"}, {"unique": ["country", "day"]},
        {"not_null": ["day"]}, {"fresh": {"col": "day", "max_age": "3d"}}, {"joins": True},
    ],
}  # fmt: skip


def test_what_the_forms_show_stays_as_it_was_written(builder, shop):
    shop.services.datasets.save(parse_spec(to_yaml(EVERYTHING)))
    builder.open("/datasets/everything/edit")
    page = builder.page
    for part in ("Columns", "Filters", "Summarise", "Refresh", "History", "Checks"):
        builder.tab(part)
    builder.tab("Filters")
    shown = page.get_by_label("How it is compared").locator("option:checked")
    expect(shown).to_contain_text(
        ["is in the last", "is before the start of this", "is one of", "is empty", "is between"]
    )
    expect(page.locator(".builder-preview .note.bad")).to_have_count(0)
    expect(page.locator(".builder-preview")).to_contain_text("No row is left", timeout=PATIENCE_MS)
    page.get_by_label("Title", exact=True).fill("All of it")
    builder.save()
    assert spec_of(shop, "everything") == {**EVERYTHING, "title": "All of it"}


def test_what_uses_a_name_follows_it(builder):
    page = builder.page
    builder.add("public.orders", "SHOP")
    builder.row("orders.amount").get_by_role("checkbox").check()
    page.get_by_role("button", name="+ Formula").click()
    formula = page.get_by_label("Formula of formula")
    formula.fill("amount * 2 + orders.amount")
    name = page.get_by_label("Name of column 1")
    name.fill("paid")
    name.press("Enter")
    expect(formula).to_have_value("paid * 2 + orders.amount")
    name.fill("")
    name.press("Tab")
    expect(name).to_have_value("paid")
    # Another name for the table, too.
    page.get_by_role("button", name="orders: give it another name").click()
    page.get_by_label("New name of orders").fill("o")
    page.keyboard.press("Enter")
    expect(formula).to_have_value("paid * 2 + o.amount")
    expect(builder.row("o.amount").get_by_role("checkbox")).to_be_checked()
    page.get_by_role("button", name="Take o out").click()
    expect(page.get_by_text("Begin with a table.")).to_be_visible()


def test_on_a_phone_tables_are_joined_by_tapping(builder):
    page = builder.page
    page.set_viewport_size({"width": PHONE, "height": 900})
    builder.add("public.customers", "CRM")
    builder.add("public.orders", "SHOP")
    page.get_by_role("button", name="Join customers.id with a column of another table").click()
    builder.row("orders.customer_id").get_by_role("button").click()
    expect(page.get_by_role("group", name="customers and orders")).to_be_visible()
    expect(page.locator(".builder-edge")).to_have_count(1)


def test_a_slow_preview_is_timed_and_can_be_stopped(builder):
    page = builder.page
    page.route("**/api/v1/datasets/preview", lambda route: None)  # never answered
    builder.add("public.orders", "SHOP")
    expect(page.locator(".builder-preview")).to_contain_text("Asking the databases", timeout=PATIENCE_MS)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".builder-preview")).to_contain_text("Stopped.")
    page.unroute("**/api/v1/datasets/preview")
    page.get_by_role("button", name="Look now").click()
    expect(builder.previewed().locator("tbody tr")).to_have_count(50)
