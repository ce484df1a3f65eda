"""What a collection finds in PostgreSQL, what it leaves out, and what the next one does again."""

import json
import time

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


def test_a_table_is_described_with_keys_statistics_and_joins(collected):
    table = collected.metadata.show("orders").table
    assert (table.table_id, table.kind, table.row_count, table.row_count_is_exact) == (
        "public.orders",
        "table",
        300,
        True,
    )
    assert table.primary_key == ["id"]
    (key,) = table.foreign_keys
    assert (key.columns, key.ref_table, key.ref_columns, key.origin) == (
        ["customer_id"],
        "public.customers",
        ["id"],
        "declared",
    )
    status = table.column("status")
    assert [(each.value, each.pct) for each in status.top_values] == [("open", 50.0), ("paid", 50.0)]
    amount = table.column("amount")
    assert (amount.type, amount.mode, amount.min, amount.max) == (
        "numeric(12,2)",
        "NULLABLE",
        "1.50",
        "450.00",
    )
    customers = collected.metadata.show("public.customers").table
    assert customers.description == "People who bought something."
    assert customers.column("country").description == "ISO code of the country."
    assert customers.column("country").pattern == "AA"


def test_no_value_about_people_is_published(collected):
    for document in collected.metadata.documents():
        assert "example.com" not in document.model_dump_json()
    email = collected.metadata.show("customers").table.column("email")
    assert (email.pii, email.top_values, email.samples, email.min) == ("email", [], [], None)
    assert collected.metadata.show("orders").table.column("note").pii == "email"
    assert email.distinct_count == 60


def test_a_join_that_nobody_declared_is_found_by_name_type_and_values(collected):
    (key,) = collected.metadata.show("payments").table.foreign_keys
    assert (key.columns, key.ref_table, key.origin) == (["order_id"], "public.orders", "ind")
    collected.run("INSERT INTO payments VALUES ('PAY-99999', 99999, 'card')")
    collected.metadata.collect()
    assert collected.metadata.show("payments").table.foreign_keys == []


def test_a_second_run_reads_no_rows_and_publishes_nothing(collected):
    before = collected.metadata.manifest()
    collected.later(hours=1)
    report = collected.metadata.collect()
    assert (report.tables_read, report.published) == (0, False)
    after = collected.metadata.manifest()
    assert (after.cache_version, after.tables) == (before.cache_version, before.tables)
    assert after.expires_at > before.expires_at


def test_only_the_table_that_changed_is_read_again(collected):
    collected.run("INSERT INTO payments SELECT 'PAY-' || n, 1, 'card' FROM generate_series(1000, 1010) n")
    report = collected.metadata.collect()
    assert (report.tables_read, report.published, report.cache_version) == (1, True, 2)
    assert collected.metadata.show("payments").table.row_count == 211


def test_a_new_description_needs_no_rows(collected):
    collected.run("COMMENT ON TABLE orders IS 'What was bought.'")
    report = collected.metadata.collect()
    assert (report.tables_read, report.published) == (0, True)
    assert collected.metadata.show("orders").table.description == "What was bought."


def test_people_and_dbt_describe_columns(collected):
    collected.write(
        "tables.yaml",
        "tables:\n  - table: public.orders\n    tier: gold\n    columns:\n"
        "      amount: {description: What was paid., unit: EUR, synonyms: [revenue]}\n"
        "      status: {personal: true}\n"
        "  - table: public.canary\n    hidden: true\n",
    )
    target = collected.project.dbt_dir / "target"
    target.mkdir(parents=True)
    node = {
        "resource_type": "source", "schema": "public", "name": "payments", "identifier": "payments",
        "description": "Money that came in.", "columns": {"method": {"description": "How it was paid."}},
    }  # fmt: skip
    (target / "manifest.json").write_text(
        json.dumps({"sources": {"source.shop.payments": node}, "nodes": {}})
    )
    report = collected.metadata.collect()
    assert report.removed == ["public.canary"]
    orders = collected.metadata.show("orders").table
    amount, status = orders.column("amount"), orders.column("status")
    assert (orders.tier, amount.description, amount.unit, amount.synonyms) == (
        "gold",
        "What was paid.",
        "EUR",
        ["revenue"],
    )
    assert (amount.description_origin, status.pii, status.top_values) == ("human", "marked", [])
    payments = collected.metadata.show("payments").table
    assert (payments.description, payments.dbt.unique_id) == ("Money that came in.", "source.shop.payments")
    assert payments.column("method").description_origin == "dbt"


def test_large_tables_are_sampled(shop):
    shop.run("CREATE TABLE visits (id int PRIMARY KEY, page text, seen_at date)")
    shop.run(
        "INSERT INTO visits SELECT n, 'page' || n % 7, date '2020-01-01' + n % 900 FROM generate_series(1, 30000) n"
    )
    shop.run("ANALYZE visits")
    shop.metadata.collect()
    table = shop.metadata.show("visits").table
    assert (table.row_count, table.row_count_is_exact) == (30_000, False)
    page, day = table.column("page"), table.column("seen_at")
    assert (page.distinct_count, page.distinct_is_exact, len(page.top_values)) == (7, False, 7)
    assert (day.min, day.max) == ("2020-01-01", "2022-06-18")


def test_two_hundred_tables_are_collected_within_a_minute(shop):
    columns = ", ".join(f"c{n} text" for n in range(8))
    shop.run("".join(f"CREATE TABLE t{n} (id int PRIMARY KEY, {columns});" for n in range(200)))
    shop.run(
        "".join(
            f"INSERT INTO t{n} (id, c0, c1) SELECT g, 'a', g FROM generate_series(1, 50) g;"
            for n in range(200)
        )
    )
    began = time.monotonic()
    report = shop.metadata.collect()
    took = time.monotonic() - began
    assert report.tables >= 200
    assert report.problems == []
    assert took < 150  # 5 s on a quiet machine
    began = time.monotonic()
    assert shop.metadata.collect().tables_read == 0
    print(f"200 tables: {took:.1f} s, again {time.monotonic() - began:.1f} s")
