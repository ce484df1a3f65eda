"""Datasets in the browser, without scripts, and on the command line."""

import json
import time

import psycopg
import pytest

from dteg.cli.main import run_app
from dteg.core.errors import QualityGateError
from dteg.datasets.spec import parse_spec
from tests.integration.datasets.conftest import SALES, SUMS, changed

pytestmark = pytest.mark.integration


def send(studio, browser, path, **fields):
    return browser.post(path, data={"csrf": studio.csrf_of(browser), **fields})


def test_a_dataset_is_refreshed_looked_at_rolled_back_and_removed_by_forms(studio, datasets, run):
    browser = studio.browser()
    assert "No datasets yet" in browser.get("/datasets").text
    datasets.save(changed(SALES, ("title: Sales", "title: Sales <b>of</b> all")))
    assert "There are no rows yet" in browser.get("/datasets/sales").text
    with psycopg.connect(studio.project.warehouse_url()) as holder:
        holder.execute("LOCK TABLE raw.orders")  # or it might be over before anybody looks
        begun = send(studio, browser, "/datasets/sales/refresh")
        assert begun.status_code == 303
        page = browser.get(begun.headers["location"]).text
    assert "New rows are being built." in page
    end = time.monotonic() + 120
    while "HX-Redirect" not in browser.get("/datasets/sales/state?begun=0").headers:
        assert time.monotonic() < end
        time.sleep(0.2)
    page = browser.get("/datasets/sales").text
    assert "Sales &lt;b&gt;of&lt;/b&gt; all" in page
    assert "<b>300</b> rows" in page
    assert "ds.sales" in page
    assert "<td>KZ</td>" in page
    assert "passed" in page
    assert 'rel="next"' in page
    assert "has no column" in browser.get("/datasets/sales?where=x > 1").text
    assert "<td>UZ</td>" not in browser.get("/datasets/sales", params={"where": "country = 'KZ'"}).text
    chosen = {"column": "country", "how": "is", "value": "KZ"}
    assert "<td>UZ</td>" not in browser.get("/datasets/sales", params=chosen, follow_redirects=True).text
    run("DELETE FROM raw.orders WHERE id > 100")
    datasets.refresh("sales")
    assert "<b>100</b> rows" in browser.get("/datasets/sales").text
    assert send(studio, browser, "/datasets/sales/rollback", n="1").status_code == 303
    assert "<b>300</b> rows" in browser.get("/datasets/sales").text
    assert "300" in browser.get("/datasets").text
    assert browser.get("/datasets/sales/yaml").text == datasets.export("sales")
    datasets.save(parse_spec(SUMS))
    assert "is made of it" in browser.get("/datasets/sales/remove").text
    assert send(studio, browser, "/datasets/sales/remove").status_code == 409
    datasets.remove("sums")
    assert send(studio, browser, "/datasets/sales/remove").status_code == 303
    assert "No datasets yet" in browser.get("/datasets").text


def test_a_refresh_that_failed_is_said_beside_the_rows_that_are_served(studio, sales, run):
    run("DELETE FROM raw.orders")
    with pytest.raises(QualityGateError):
        sales.refresh("sales")
    run("UPDATE _dteg.dataset_generations SET data_as_of = now() - interval '3 hours' WHERE n = 1")
    browser = studio.browser()
    page = browser.get("/datasets/sales").text
    assert "The last refresh failed." in page
    assert "Readers go on seeing generation 1." in page
    assert "check not_empty: there are no rows" in page
    assert "3 hours old, stale" in page
    listed = browser.get("/datasets").text
    assert "3 hours, stale" in listed
    assert "check not_empty" in listed
    home = browser.get("/").text
    assert "not refreshed" in home


def test_commands_from_file_to_rows_and_back(shop, run, tmp_path, capsys):
    def words(*arguments, code=0):
        assert run_app(["dataset", *arguments]) == code
        return capsys.readouterr()

    file = tmp_path / "sales.yaml"
    file.write_text(SALES)
    assert "no datasets" in words("list").err
    assert "valid, 4 columns" in words("validate", str(file)).out
    assert "SELECT" in words("preview", str(file), "--rows", "3", "--sql").out
    assert words("apply", str(file)).out == "sales: draft, revision 1, 4 columns\n"
    assert "generation 1, 300 rows" in words("refresh", "sales").out
    assert "sales: active, revision 1, 4 columns, 300 rows" in words("apply", str(file), "--refresh").out
    listed = words("list").out
    assert "sales" in listed
    assert "active" in listed
    shown = words("show", "sales").out
    assert "ds.sales" in shown
    assert "numeric(12,2)" in shown
    rows = words(
        "rows", "sales", "--where", "id < 4", "--order-by", "-id", "--format", "jsonl", "--columns", "id"
    )
    assert rows.out == '{"id": 3}\n{"id": 2}\n{"id": 1}\n'
    assert "--offset 20" in words("rows", "sales").err
    assert json.loads(words("show", "sales", "--json").out)["live"]["n"] == 2
    assert "live" in words("generations", "sales").out
    assert "generation 1 is live" in words("rollback", "sales").out
    exported = words("export", "sales").out
    words("export", "sales", str(tmp_path / "out.yaml"))
    assert (tmp_path / "out.yaml").read_text() == exported
    run("DELETE FROM raw.orders")
    assert "check not_empty: there are no rows" in words("refresh", "sales", code=1).err
    assert "check not_empty" in words("list").err
    assert "no dataset 'salse'; did you mean" in words("show", "salse", code=1).err
    assert words("remove", "sales").out == "removed sales and 3 generations\n"
