"""One suite for datasets here and through a studio, and what only HTTP has."""

import time
from pathlib import Path

import pytest

from dteg.core.errors import (
    ConfigError,
    ConflictError,
    DeniedError,
    DtegError,
    NotFoundError,
    QualityGateError,
)
from dteg.datasets.files import to_yaml
from dteg.datasets.models import GenerationStatus
from dteg.datasets.remote import RemoteDatasets
from dteg.datasets.service import Datasets
from dteg.datasets.spec import TableSource, dump_spec, parse_spec
from tests.integration.datasets.conftest import SALES, SUMS, changed

pytestmark = pytest.mark.integration


@pytest.fixture(params=["library", "studio"])
def both(request, shop):
    """The datasets: here, or through a studio over the same project."""
    if request.param == "library":
        return Datasets.of(shop)
    return RemoteDatasets(request.getfixturevalue("studio").client)


def test_dataset_from_beginning_to_end(both, tmp_path):
    file = tmp_path / "sales.yaml"
    file.write_text(SALES)
    assert both.datasets() == []
    saved = both.apply(file)
    assert (saved.slug, saved.origin, saved.state, saved.revision) == ("sales", "api", "draft", 1)
    assert [(each.name, each.type) for each in saved.columns] == [
        ("id", "integer"), ("country", "text"), ("amount", "numeric(12,2)"), ("created_at", "timestamp with time zone"),
    ]  # fmt: skip
    assert {each.name for each in saved.depends_on} == {"warehouse/raw.orders", "warehouse/raw.customers"}
    with pytest.raises(ConflictError, match="has no rows yet"):
        both.rows("sales")
    made = both.refresh("sales")
    assert (made.n, made.status, made.rows) == (1, GenerationStatus.LIVE, 300)
    assert both.run(made.run_id) == made if made.run_id else True
    assert [each.slug for each in both.datasets()] == ["sales"]
    assert both.get("sales").live == made == both.generation("sales", 1)
    assert both.apply(file).revision == 1, "the same definition again is no change"
    both.refresh("sales", wait_s=5)
    assert [each.n for each in both.generations("sales")] == [2, 1]
    assert both.rollback("sales").n == 1
    assert both.rollback("sales", 2).n == 2
    assert "raw" in both.sql("sales")
    assert [each.passed for each in both.check("sales", 2)] == [True, True]
    assert both.uses("sales") == []
    both.save(parse_spec(SUMS))
    both.refresh("sums")
    with pytest.raises(ConflictError, match="is made of it"):
        both.remove("sales")
    assert [(each.kind, each.name) for each in both.uses("sales")] == [("dataset", "sums")]
    assert both.remove("sums").generations == 1
    assert both.remove("sales").generations == 2
    with pytest.raises(NotFoundError, match="there is no dataset 'sales'"):
        both.get("sales")


def test_rows_come_in_pages_filtered_and_ordered(both, datasets):
    datasets.save(parse_spec(SALES))
    datasets.refresh("sales")
    page = both.rows("sales", 100, 250)
    assert (len(page.rows), page.more, page.next, page.generation) == (50, False, None, 1)
    assert page.rows[0][0] == 251, "without an order pages are ordered by the key"
    first = both.rows(
        "sales", 2, where="country = 'KZ' and amount > 100", order="-amount", columns=["id", "amount"]
    )
    assert ([each.name for each in first.columns], first.more, first.next) == (["id", "amount"], True, 2)
    assert first.rows == [[299, "448.50"], [296, "444.00"]]
    with pytest.raises(ConfigError, match="has no column 'amout'"):
        both.rows("sales", where="amout > 3")
    with pytest.raises(DtegError):
        both.rows("sales", where="pg_sleep(5) is null")


def test_a_definition_is_exported_byte_by_byte_as_it_was(both):
    both.save(parse_spec(SALES))
    text = both.export("sales")
    assert dump_spec(parse_spec(text)) == dump_spec(parse_spec(SALES))
    both.remove("sales")
    both.save(parse_spec(text))
    assert both.export("sales") == text == to_yaml(dump_spec(parse_spec(text)))


def test_what_does_not_fit_is_refused_with_its_place(both, tmp_path):
    with pytest.raises(ConfigError, match=r"c has no column .nation.") as caught:
        both.save(changed(SALES, ("from: c.country", "from: c.nation")))
    assert "columns[1]" in str(caught.value)
    file = tmp_path / "bad.yaml"
    file.write_text(SALES.replace("c.country", "c.nation"))
    with pytest.raises(ConfigError) as caught:
        both.apply(file)
    assert f"bad.yaml:{SALES[: SALES.index('c.country')].count(chr(10)) + 1}" in str(caught.value)
    with pytest.raises(ConfigError, match="choose another name"):
        both.save(changed(SALES, ("dataset: sales", "dataset: preview")))
    assert both.datasets() == []
    both.save(parse_spec(SALES))
    with pytest.raises(ConflictError, match="already"):
        both.save(parse_spec(SALES))
    with pytest.raises(ConfigError):
        both.validate(changed(SALES, ("from: c.country", "from: c.nation")))
    assert len(both.validate(parse_spec(SALES)).columns) == 4


def test_a_refresh_that_fails_says_why(both, run):
    both.save(parse_spec(SALES))
    run("DELETE FROM raw.orders")
    with pytest.raises(QualityGateError, match="there are no rows") as caught:
        both.refresh("sales")
    assert caught.value.failed == ["not_empty"] or "not_empty" in str(caught.value)
    run("DROP TABLE raw.orders")
    with pytest.raises(DtegError, match="orders"):
        both.refresh("sales")
    found = both.get("sales")
    assert (found.state, found.last.status) == ("broken", "failed")


def test_preview_and_joins(both):
    found = both.preview(parse_spec(SALES), 7)
    assert len(found.rows) == 7
    tables = [TableSource(source="warehouse", schema="raw", table=name) for name in ("orders", "customers")]
    assert both.suggest_joins(tables)[0].on


def test_a_dataset_of_a_file_is_changed_in_its_file_only(shop, datasets, studio):
    folder = shop.root / "datasets"
    folder.mkdir()
    (folder / "sales.yaml").write_text(SALES)
    (folder / "other.yaml").write_text(SALES)
    saved = datasets.apply(folder / "sales.yaml")
    assert (saved.origin, saved.file) == ("file", "datasets/sales.yaml")
    with pytest.raises(ConfigError, match=r"call the file sales\.yaml"):
        datasets.apply(folder / "other.yaml")
    remote = RemoteDatasets(studio.client)
    with pytest.raises(ConflictError, match=r"made from datasets/sales\.yaml"):
        remote.save(parse_spec(SALES), replace=True)


def test_http_access_and_bodies(studio, datasets):
    datasets.save(parse_spec(SALES))
    reader = studio.client_of("read")
    assert reader.get("/datasets/sales")["slug"] == "sales"
    for path in ("/datasets/sales/refresh", "/datasets/sales/rollback", "/datasets/preview", "/datasets"):
        with pytest.raises(DeniedError):
            reader.post(path, {"yaml": SALES})
    with pytest.raises(DeniedError):
        studio.client_of("read", "write").delete("/datasets/sales")
    assert studio.request("POST", "/datasets/validate", json={}).status_code == 422
    both = {"yaml": SALES, "spec": {}}
    assert studio.request("POST", "/datasets/validate", json=both).status_code == 422
    assert studio.request("PUT", "/datasets/other", json={"yaml": SALES}).status_code == 422
    assert studio.request("PUT", "/datasets/sales", json={"yaml": SALES}).json()["revision"] == 1
    mine, yours = (SALES.replace("title: Sales", f"title: {title}") for title in ("Mine", "Yours"))
    changed_first = studio.request("PUT", "/datasets/sales", json={"yaml": mine, "revision": 1})
    assert changed_first.json()["revision"] == 2
    too_late = studio.request("PUT", "/datasets/sales", json={"yaml": yours, "revision": 1})
    assert too_late.status_code == 409
    assert "changed meanwhile" in too_late.text
    assert studio.request("GET", "/datasets/sales").json()["title"] == "Mine"
    assert studio.request("PUT", "/datasets/sales", json={"yaml": SALES}).json()["revision"] == 3
    assert studio.client.get("/dataset-schema")["properties"]["sources"]
    assert studio.request("GET", "/datasets/Not-A-Slug").status_code == 422
    assert studio.client.get("/dataset-runs/unknown") == {"generation": None}


def test_a_refresh_is_begun_in_a_process_of_its_own(studio, datasets):
    datasets.save(parse_spec(SALES))
    answer = studio.request("POST", "/datasets/sales/refresh", json={"run_id": "mine"})
    assert (answer.status_code, answer.json()) == (202, {"run_id": "mine"})
    end = time.monotonic() + 120
    while (found := datasets.run("mine")) is None or not found.status.ended:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert (found.status, found.rows) == ("live", 300)


def test_a_process_that_dies_at_once_is_not_waited_for(datasets, shop, monkeypatch):
    datasets.save(parse_spec(SALES))
    monkeypatch.setattr("sys.executable", "/bin/false")
    run_id = datasets.start("sales")
    end = time.monotonic() + 120
    while (found := datasets.run(run_id)) is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert (found.status, found.error) == ("failed", "its process ended with code 1")


def test_alerts_hear_of_a_refresh(datasets, shop, run):
    from dteg.datasets.refreshing.telling import freshness, telling

    datasets.save(parse_spec(SALES))
    with telling(shop, "sales") as told:
        told.refresh()
    run("DELETE FROM raw.orders")
    with pytest.raises(QualityGateError), telling(shop, "sales") as told:
        told.refresh()
    heard = run("SELECT kind, subject, state FROM _dteg.alert_occurrences ORDER BY id")
    assert heard == [
        ("run", "dataset sales", "resolved"), ("check", "ds.sales: not_empty", "resolved"),
        ("check", "ds.sales: unique: id", "resolved"), ("run", "dataset sales", "firing"),
        ("check", "ds.sales: not_empty", "firing"), ("check", "ds.sales: unique: id", "resolved"),
    ]  # fmt: skip
    fresh = freshness(datasets.get("sales"))
    assert (fresh.state, fresh.subject) == ("resolved", "ds.sales")
    run("UPDATE _dteg.dataset_generations SET data_as_of = now() - interval '2 hours' WHERE n = 1")
    assert datasets.get("sales").stale
    assert freshness(datasets.get("sales")).state == "firing"


def test_schema_changes_and_table_deletion_know_datasets(sales, shop):
    from dteg.core.identifiers import TableName
    from dteg.schema_changes.impact import Impact, uses_of
    from dteg.tables.service import Tables

    uses = uses_of(shop, TableName("raw", "orders"))
    assert [(each.kind, each.name, each.why) for each in uses] == [("dataset", "sales", "reads it")]
    found = Impact(shop).of(TableName("raw", "customers"))[0]
    assert (found.needs("country"), found.needs("email")) == (True, False)
    assert uses_of(shop, TableName("raw", "nothing")) == []
    with pytest.raises(ConflictError, match="dataset sales"):
        Tables.of(shop).delete("raw.orders")


def test_files_are_where_they_should_be(shop):
    from dteg.datasets.files import dataset_files, load_dataset

    assert list(dataset_files(shop)) == []
    folder = Path(shop.root) / "datasets"
    folder.mkdir()
    for name in ("b.yml", "a.yaml", "note.txt"):
        (folder / name).write_text(SALES.replace("dataset: sales", f"dataset: {name[0]}"))
    assert [each.name for each in dataset_files(shop)] == ["a.yaml", "b.yml"]
    assert load_dataset(folder / "a.yaml", shop).dataset == "a"


def test_a_refresh_is_no_schema_change_but_other_columns_are(datasets, shop):
    from dteg.schema_changes.service import SchemaChanges

    changes = SchemaChanges.of(shop)
    changes.listen()
    try:
        datasets.save(parse_spec(SALES))
        datasets.refresh("sales")
        _, cursor = changes.read()
        for _ in range(3):
            datasets.refresh("sales")
        told, cursor = changes.read(cursor)
        assert [(each.command, each.object) for each in told] == []
        datasets.save(changed(SALES, ("  - {name: country, from: c.country}\n", "")), replace=True)
        datasets.refresh("sales")
        told, cursor = changes.read(cursor)
        assert [(each.command, each.object) for each in told if "VIEW" in each.command] == [
            ("DROP VIEW", "sales"), ("CREATE VIEW", "sales"),
        ]  # fmt: skip
    finally:
        changes.unlisten("")
