"""A flat file as an asset of Dagster: its checks are the proof, and the next run exchanges its tables."""

import dagster as dg
import psycopg

from dteg.core.project import Project
from orchestration.lib.normalize import CHECKS, normalized_asset
from tests.integration.normalize.cases import TEXTBOOK

CASE = TEXTBOOK[0]


def test_the_proof_is_the_checks(tmp_path, postgres_url, monkeypatch):
    monkeypatch.setenv("DTEG_POSTGRES_URL", postgres_url)
    file = tmp_path / "orders.csv"
    asset = normalized_asset(Project(tmp_path), "orders.csv", {"into": "shop"})
    with dg.DagsterInstance.ephemeral() as instance:
        run_twice(instance, asset, file, postgres_url)


def run_twice(instance, asset, file, postgres_url):
    for text in (
        CASE.text(),
        CASE.text() + "9000,2024-01-01,9,Customer 9,c9@shop.example,,,P001,Product 1,,,1\n",
    ):
        file.write_text(text)
        done = dg.materialize([asset], instance=instance, raise_on_error=False)
        assert done.success
    results = done.get_asset_check_evaluations()
    assert {result.check_name for result in results} == set(CHECKS)
    assert all(result.passed for result in results)
    made = {event.asset_key.to_user_string() for event in done.get_asset_materialization_events()}
    assert {"normalized/shop", "shop/orders", "shop/customers"} <= made
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT count(*) FROM shop.orders_rows_flat").fetchone() == (601,)
        connection.execute("CREATE VIEW mine AS SELECT * FROM shop.orders")
        connection.commit()
        assert not dg.materialize([asset], instance=instance, raise_on_error=False).success
        assert connection.execute("SELECT count(*) FROM mine").fetchone() != (0,)


def test_a_broken_file_fails_without_a_trace(tmp_path, postgres_url, monkeypatch):
    monkeypatch.setenv("DTEG_POSTGRES_URL", postgres_url)
    (tmp_path / "broken.csv").write_text("a,b\n1\n")
    asset = normalized_asset(Project(tmp_path), "broken.csv", {"into": "shop"})
    assert not dg.materialize([asset], raise_on_error=False).success
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT to_regnamespace('shop')").fetchone() == (None,)
