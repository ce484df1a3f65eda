"""What seems to be about people, what a column that refers to a key may be called, and what dbt says."""

import json
from datetime import UTC, datetime

import pytest

from dteg.core.errors import ConfigError
from dteg.core.project import Project
from dteg.metadata.collectors import Found, Logged
from dteg.metadata.dbt import dbt_tables
from dteg.metadata.joins import candidates, from_log
from dteg.metadata.models import ColumnEntry, TableEntry
from dteg.metadata.notes import ExampleNote, append_example, example_notes
from dteg.metadata.people import about_people

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def make_table(table_id, key, *columns):
    found = [ColumnEntry(name=name, type="integer") for name in (key, *columns)]
    entry = TableEntry(table_id=table_id, last_updated=NOW, columns=found, primary_key=[key])
    return Found(entry, "probe")


@pytest.mark.parametrize(
    ("name", "values", "why"),
    [
        ("email", [], "email"),
        ("CustomerEmail", [], "email"),
        ("phone_2", [], "phone"),
        ("customer_name", [], "customer_name"),
        ("contact", ["a@b.com"] * 10, "email"),
        ("note", ["fine"] * 9 + ["write to a@b.com"], "email"),
        ("reach", ["+7 701 123 45 67"] * 3, "phone"),
        ("status", ["paid", "open"], None),
        ("product_name", ["chair"], None),
        ("amount", ["12.50"], None),
        ("emailed_orders", ["1"], None),
        ("day", ["2024-05-01"], None),
    ],
)
def test_columns_about_people(name, values, why):
    assert about_people(name, values) == why


def test_candidates_for_joins_go_by_name_and_type():
    orders = make_table("public.orders", "id", "customer_id", "city_code", "status")
    tables = [orders, make_table("public.customers", "id"), make_table("public.cities", "city_code")]
    pairs = candidates(tables, {"public.orders"})
    assert [(each.column, each.ref_table.entry.table_id, each.ref_column) for each in pairs] == [
        ("customer_id", "public.customers", "id"),
        ("city_code", "public.cities", "city_code"),
    ]
    assert candidates(tables, set()) == []


def test_the_query_log_tells_joins_and_how_often_tables_are_read():
    tables = [make_table("public.orders", "id", "buyer").entry, make_table("public.customers", "id").entry]
    log = [
        Logged("SELECT * FROM orders o JOIN customers c ON o.buyer = c.id WHERE c.id = $1", 12),
        Logged("SELECT count(*) FROM public.orders", 5),
        Logged("SELECT broken FROM", 7),
    ]
    read, joined = from_log(log, tables, "postgres")
    assert read["public.customers"] == 12
    (key,) = joined["public.orders"]
    assert (key.columns, key.ref_table, key.ref_columns, key.origin) == (
        ["buyer"],
        "public.customers",
        ["id"],
        "querylog",
    )


def test_dbt_tells_descriptions_relationships_metrics_and_examples(tmp_path):
    orders = {
        "resource_type": "model", "schema": "marts", "name": "orders", "description": "Each order once.",
        "columns": {"id": {"description": "Its number."}}, "tags": ["core"],
        "config": {"meta": {"owner": "sales", "examples": [{"question": "How many?", "sql": "SELECT 1"}, "nonsense"]}},
    }  # fmt: skip
    test = {
        "resource_type": "test", "attached_node": "model.shop.orders", "column_name": "customer_id",
        "test_metadata": {"name": "relationships", "kwargs": {"to": "ref('customers')", "field": "id"}},
        "depends_on": {"nodes": ["model.shop.customers", "model.shop.orders"]},
    }  # fmt: skip
    manifest = {
        "nodes": {
            "model.shop.orders": orders,
            "model.shop.customers": {"resource_type": "model", "schema": "marts", "name": "customers"},
            "test.shop.x": test,
        },
        "semantic_models": {
            "semantic_model.shop.orders": {
                "depends_on": {"nodes": ["model.shop.orders"]}, "measures": [{"name": "paid", "agg": "sum", "expr": "amount"}],
            }
        },
        "metrics": {
            "metric.shop.revenue": {
                "name": "revenue", "type": "simple", "type_params": {"measure": {"name": "paid"}},
                "depends_on": {"nodes": ["semantic_model.shop.orders"]},
            }
        },
    }  # fmt: skip
    target = tmp_path / "dbt_project" / "target"
    target.mkdir(parents=True)
    (target / "manifest.json").write_text(json.dumps(manifest))
    found = dbt_tables(Project(tmp_path))["marts.orders"]
    assert (found.description, found.columns, found.owner, found.tags) == (
        "Each order once.", {"id": "Its number."}, "sales", ["core"],
    )  # fmt: skip
    assert [(key.columns, key.ref_table, key.ref_columns) for key in found.references] == [
        (["customer_id"], "marts.customers", ["id"])
    ]
    assert [(metric.name, metric.expression) for metric in found.metrics] == [("revenue", "sum(amount)")]
    assert found.examples == [("How many?", "SELECT 1")]
    (target / "manifest.json").write_text("{")
    assert dbt_tables(Project(tmp_path)) == {}


def test_an_example_is_added_without_touching_what_is_there(tmp_path):
    project, folder = Project(tmp_path), tmp_path / "metadata"
    append_example(project, ExampleNote(question="What's 'new': #1?", sql="SELECT 1\n  FROM a -- why"))
    path = folder / "examples.yaml"
    path.write_text("# ours\n" + path.read_text())
    append_example(project, ExampleNote(question="And there?", sql="SELECT 2 FROM b", source="shop"))
    assert path.read_text().startswith("# ours\nexamples:\n")
    (first,) = example_notes(project, "warehouse")
    assert (first.question, first.sql) == ("What's 'new': #1?", "SELECT 1\n  FROM a -- why")
    assert [note.question for note in example_notes(project, "shop")] == ["And there?"]
    path.write_text("examples:\n  - {question: Who?, sql: SELECT 1, colour: red}\n")
    before = path.read_text()
    with pytest.raises(ConfigError, match="colour"):
        append_example(project, ExampleNote(question="Third?", sql="SELECT 3"))
    assert path.read_text() == before
