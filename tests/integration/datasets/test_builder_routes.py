"""What the scripts of the builder ask for: the tree, columns, checks with places, YAML both ways, times in words."""

import psycopg
import pytest

from dteg.datasets.files import to_yaml
from dteg.datasets.spec import spec_of

pytestmark = pytest.mark.integration

ORDERS = {"source": "warehouse", "schema": "public", "table": "orders"}
SPEC = {
    "dataset": "sales",
    "sources": {"o": ORDERS},
    "columns": [{"name": "amount", "from": "o.amount"}, {"name": "twice", "formula": "amount * 2"}],
}


@pytest.fixture
def ask(studio):
    """Return a function that asks as a browser does, with its cookie and CSRF token."""
    with psycopg.connect(studio.project.warehouse_url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE public.orders (id int PRIMARY KEY, amount numeric, note text)")
    with studio.browser() as browser:

        def send(path, body=None):
            if body is None:
                return browser.get(path, headers={"Accept": "application/json"})
            headers = {"Accept": "application/json", "X-CSRF-Token": studio.csrf_of(browser)}
            return browser.post(path, json=body, headers=headers)

        yield send


def test_the_tree_has_sources_dictionaries_and_datasets(studio, ask):
    branches = ask("/datasets/builder/tree").json()["branches"]
    assert [each["slug"] for each in branches] == ["warehouse", "~dictionaries", "~datasets"]
    leaves = ask("/datasets/builder/tree/warehouse").json()["tables"]
    assert [(leaf["label"], leaf["ref"], leaf["ready"]) for leaf in leaves] == [
        ("public.orders", ORDERS, True)
    ]
    studio.services.datasets.save(spec_of(SPEC))
    # Nothing can be read of it before its first refresh.
    (leaf,) = ask("/datasets/builder/tree/~datasets").json()["tables"]
    assert (leaf["ref"], leaf["ready"]) == ({"dataset": "sales"}, False)
    assert ask("/datasets/builder/tree/~dictionaries").json() == {"tables": []}
    assert ask("/datasets/builder/tree/nothing").status_code == 404


def test_columns_are_told_for_each_table_and_one_that_is_not_there_stops_no_other(ask):
    refs = [ORDERS, {**ORDERS, "table": "ordres"}, {"anything": "else"}]
    good, missing, odd = ask("/datasets/builder/tables", {"refs": refs}).json()["tables"]
    assert [(each["name"], each["type"], each["key"]) for each in good["columns"]] == [
        ("id", "integer", True), ("amount", "numeric", False), ("note", "text", False)
    ]  # fmt: skip
    assert "ordres" in missing["problem"]
    assert missing["failed"]
    assert odd["problem"] == "This is no table, dictionary or dataset."


def test_a_check_says_what_is_wrong_where_and_all_of_it(ask):
    good = ask("/datasets/builder/check", {"spec": SPEC}).json()
    assert good["problems"] == []
    assert [each["name"] for each in good["columns"]] == ["amount", "twice"]
    assert good["sql"].startswith("SELECT")
    formulas = [{"name": "a", "formula": "amout + 1"}, {"name": "b", "formula": "pg_sleep(1)"}]
    bad = ask("/datasets/builder/check", {"spec": {**SPEC, "columns": formulas}}).json()["problems"]
    assert [each["path"] for each in bad] == ["columns[0].formula", "columns[1].formula"]
    assert "amount" in bad[0]["message"]
    empty = {**SPEC, "columns": [{"name": "a", "formula": ""}]}
    (told,) = ask("/datasets/builder/check", {"spec": empty}).json()["problems"]
    assert (told["path"], told["message"]) == ("columns[0].formula", "This is still empty.")


def test_yaml_and_json_are_the_same_both_ways(ask):
    text = ask("/datasets/builder/yaml", {"spec": SPEC}).json()["text"]
    assert ask("/datasets/builder/spec", {"text": text}).json() == {"spec": SPEC}
    # What is not whole yet can be written, and is told with its line when it is read.
    half = ask("/datasets/builder/yaml", {"spec": {"dataset": "", "sources": {}}}).json()["text"]
    refused = ask("/datasets/builder/spec", {"text": half})
    assert refused.status_code == 422
    assert {(each["path"], each["line"]) for each in refused.json()["problems"]} == {
        ("dataset", 1),
        ("sources", 2),
    }
    assert ask("/datasets/builder/spec", {"text": "a: [b"}).json()["problems"][0]["line"] == 1


def test_times_are_told_in_words(ask):
    told = ask("/datasets/builder/schedule", {"cron": "30 5 * * *", "timezone": "Asia/Almaty"}).json()["told"]
    assert "05:30" in told
    assert "00:30 UTC" in told
    assert ask("/datasets/builder/schedule", {"cron": "61 5 * * *"}).status_code == 422
    assert ask("/datasets/builder/schedule", {"cron": "0 5 * * *", "timezone": "Mars"}).status_code == 422


def test_pages_say_who_may_save(studio, ask):
    studio.services.datasets.save(spec_of(SPEC))
    page = ask("/datasets/sales/edit")
    assert '"read_only": ""' in page.text
    assert '"may_preview": true' in page.text
    assert ask("/datasets/nothing/edit").status_code == 404
    reader = studio.request("GET", "//datasets/new", token=studio.token_of("read"))
    assert "not save" in reader.text
    assert '"may_preview": false' in reader.text
    assert (
        studio.request("POST", "//datasets/builder/check", token="", json={"spec": SPEC}).status_code == 401
    )


def test_a_dataset_of_a_file_is_shown_and_not_saved(studio, ask):
    path = studio.project.root / "datasets" / "sales.yaml"
    path.parent.mkdir()
    path.write_text(to_yaml(SPEC))
    studio.services.datasets.apply(path)
    assert "It comes from datasets/sales.yaml, and is changed there" in ask("/datasets/sales/edit").text


def test_texts_of_a_definition_never_become_markup(studio, ask):
    title = "</script><script>alert(1)</script>"
    studio.services.datasets.save(spec_of({**SPEC, "title": title}))
    assert title not in ask("/datasets/sales/edit").text
