"""A question in the browser: asked, seen, run and kept, without scripts and at every width."""

import psycopg
import pytest
from playwright.sync_api import expect

from dteg.metadata.service import Metadata
from dteg.testing.openai_server import Said, model_server

pytestmark = [pytest.mark.e2e, pytest.mark.integration]
WIDTHS = (1280, 768, 360)
_SHOP = """
CREATE TABLE orders (id serial PRIMARY KEY, net numeric(12,2), a_column_with_a_name_that_is_rather_long_for_a_phone text);
INSERT INTO orders (net, a_column_with_a_name_that_is_rather_long_for_a_phone)
    SELECT n, repeat('long value ', 12) FROM generate_series(1, 150) n;
"""
QUESTION = "Which orders are worth more than twenty?"
GOOD = {"sql": "SELECT * FROM orders WHERE net > 20 ORDER BY id", "explanation": "All orders above 20 euros."}


@pytest.fixture
def model(monkeypatch):
    for served in model_server():
        monkeypatch.setenv("DTEG_AI_MODEL", "small")
        monkeypatch.setenv("DTEG_AI_URL", served.url)
        served.answers = [Said(GOOD)]
        yield served


@pytest.fixture
def shop(studio, postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(_SHOP)
    metadata = Metadata.of(studio.project)
    metadata.collect()
    metadata.add_example("How many orders are there?", "SELECT count(*) AS orders FROM orders")
    metadata.collect()
    return metadata


def _fits(page, picture):
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, width
        if picture:
            page.screenshot(path=picture / f"{width}.png")


def test_nothing_was_collected_yet(studio, tab):
    page = tab()
    page.goto("/metadata")
    expect(page.get_by_role("heading", level=2)).to_have_text("Nothing was collected yet")
    page.get_by_role("button", name="Collect now").click()
    expect(page.get_by_role("status")).to_contain_text("Collected")
    expect(page.get_by_label("Question")).to_be_visible()
    expect(page.get_by_role("button", name="Collect again")).to_be_visible()


def test_a_question_is_asked_seen_run_and_kept_without_scripts(shop, model, tab, tmp_path):
    page = tab(java_script_enabled=False)
    page.goto("/metadata")
    page.get_by_label("Question").fill(QUESTION)
    page.get_by_role("button", name="Show the SQL").click()
    expect(page.get_by_role("heading", name="SQL for this question")).to_be_visible()
    expect(page.locator("pre")).to_contain_text("FROM public.orders")
    expect(page.get_by_text("The server has planned it")).to_be_visible()
    expect(page.get_by_role("table")).to_have_count(0)
    page.get_by_role("button", name="Run it").click()
    expect(page.get_by_role("table").get_by_role("row")).to_have_count(101)
    expect(page.get_by_text("there are more")).to_be_visible()
    expect(page.get_by_label("Question")).to_have_value(QUESTION)
    page.get_by_role("button", name="Keep as an example").click()
    expect(page.get_by_role("status")).to_contain_text("The example is kept")
    assert QUESTION in (shop.project.root / "metadata" / "examples.yaml").read_text()


def test_it_fits_every_width(shop, model, tab, tmp_path):
    page = tab()
    page.goto("/metadata")
    _fits(page, None)
    page.get_by_label("Question").fill(QUESTION)
    page.get_by_role("button", name="Show the SQL").click()
    page.get_by_role("button", name="Run it").click()
    _fits(page, tmp_path)
    model.answers = [Said(failure="refusal")]
    page.get_by_label("Question").fill("how many orders")
    page.get_by_role("button", name="Show the SQL").click()
    expect(page.get_by_role("heading", name="The nearest example")).to_be_visible()
    expect(page.get_by_text("refusal")).to_be_visible()
    _fits(page, None)
