"""The commands, and what alerts are told."""

import json

import pytest

from dteg.cli.main import run_app
from dteg.core.errors import InputError, NotFoundError

pytestmark = pytest.mark.integration


def test_collect_show_rollback_export(shop, capsys, tmp_path):
    assert run_app(["metadata", "show"]) == 1
    assert "dteg metadata collect" in capsys.readouterr().err
    assert run_app(["metadata", "collect"]) == 0
    assert "published version 1, 4 tables (4 read)" in capsys.readouterr().out
    assert run_app(["metadata", "add-example", "How many orders?", "SELECT count(*) FROM orders"]) == 0
    assert run_app(["metadata", "add-example", "How long?", "SELECT pg_sleep(5)"]) == 2
    assert "pg_sleep is not allowed" in capsys.readouterr().err
    assert run_app(["metadata", "collect"]) == 0
    assert "1 of 1 examples valid" in capsys.readouterr().out
    assert run_app(["metadata", "show"]) == 0
    assert "public.orders" in capsys.readouterr().out
    assert run_app(["metadata", "show", "orders"]) == 0
    shown = capsys.readouterr().out
    assert "customer_id -> public.customers (id), declared" in shown
    assert "-- How many orders?" in shown
    assert run_app(["metadata", "show", "orderz"]) == 1
    assert "orders" in capsys.readouterr().err
    assert run_app(["metadata", "show", "--examples", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["status"] == "valid"
    assert run_app(["metadata", "show", "--quality"]) == 0
    assert "examples valid" in capsys.readouterr().out
    assert run_app(["metadata", "show", "--versions"]) == 0
    assert run_app(["metadata", "rollback", "1"]) == 0
    assert "version 3 has the tables of version 1" in capsys.readouterr().out
    assert run_app(["metadata", "show", "orders"]) == 0
    assert "How many orders?" not in capsys.readouterr().out
    assert run_app(["metadata", "export", str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in (tmp_path / "out" / "tables").iterdir()) == [
        "public.canary.json", "public.customers.json", "public.orders.json", "public.payments.json",
    ]  # fmt: skip


def test_a_changed_object_is_refused_and_mended_by_a_collection(collected):
    entry = collected.metadata.manifest().tables[0]
    from pathlib import Path

    path = Path(collected.metadata.uri()) / entry.file
    good = path.read_bytes()
    path.write_bytes(good + b" ")
    with pytest.raises(InputError):
        collected.metadata.show(entry.table_id)
    report = collected.metadata.collect()
    assert "made anew" in report.problems[0]
    assert collected.metadata.show(entry.table_id).table.table_id == entry.table_id


def test_a_changed_manifest_is_refused_until_all_is_collected_again(collected):
    from pathlib import Path

    path = Path(collected.metadata.uri()) / "manifest.json"
    path.write_text(path.read_text().replace("public.orders", "public.ordurs"))
    with pytest.raises(InputError):
        collected.metadata.collect()
    assert [row[0] for row in firing(collected)] == ["metadata warehouse: publish_failed"]
    assert collected.metadata.collect(full=True).tables == 4
    assert collected.metadata.show("orders").table.row_count == 300


def test_the_name_of_a_source_is_no_path(collected):
    for name in ("../warehouse", "/etc", "a/b", "", "Warehouse"):
        with pytest.raises(NotFoundError):
            collected.metadata.manifest(name)
    with pytest.raises(NotFoundError, match="no source 'crm'"):
        collected.metadata.collect("crm")


def firing(shop):
    return shop.run(
        "SELECT DISTINCT ON (subject) subject, state FROM _dteg.alert_occurrences WHERE subject LIKE 'metadata%' "
        "AND state = 'firing' ORDER BY subject, id DESC"
    )


def test_alerts_are_told_of_examples_that_break(collected):
    assert firing(collected) == []
    collected.run("ALTER TABLE orders RENAME COLUMN status TO state")
    collected.metadata.collect()
    assert [row[0] for row in firing(collected)] == [
        "metadata warehouse: examples_invalid",
        "metadata warehouse: score_dropped",
    ]


def test_an_old_cache_is_said_to_be_old(collected):
    assert collected.metadata.quality().alerts == []
    collected.later(hours=31)
    (alert,) = collected.metadata.quality().alerts
    assert (alert.name, collected.metadata.quality().quality.freshness_h) == ("expired", 31.0)
