"""The commands, and what alerts are told."""

import json

import pytest

from dteg.cli.main import run_app
from dteg.core.errors import ConfigError, InputError, NotFoundError

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


def test_a_cache_is_signed_and_packed_where_the_environment_says_so(shop, capsys, monkeypatch, tmp_path):
    from dteg.metadata.client import MetadataClient, TamperedError
    from dteg.metadata.service import Metadata

    assert run_app(["metadata", "key", str(tmp_path / "key.pem")]) == 0
    public = capsys.readouterr().out.strip()
    shop.metadata.collect()
    uri = shop.metadata.uri()
    with pytest.raises(TamperedError):
        MetadataClient(uri, public_key=public).get_schema_info()
    monkeypatch.setenv("DTEG_METADATA_KEY", str(tmp_path / "key.pem"))
    monkeypatch.setenv("DTEG_METADATA_GZIP", "1")
    assert run_app(["metadata", "collect"]) == 2
    assert "not signed" in capsys.readouterr().err
    assert run_app(["metadata", "collect", "--full"]) == 0
    assert min(MetadataClient(uri, public_key=public).get_schema_info()) == "public.canary"
    metadata = Metadata(shop.project)
    assert {table.file[-8:] for table in metadata.manifest().tables} == {".json.gz"}
    assert metadata.show("orders").table.row_count == 300
    monkeypatch.delenv("DTEG_METADATA_KEY")
    assert run_app(["metadata", "collect"]) == 2
    assert "DTEG_METADATA_KEY" in capsys.readouterr().err


def fresh_alerts(shop):
    return shop.run(
        "SELECT state, severity, message FROM _dteg.alert_occurrences WHERE kind = 'freshness' ORDER BY id"
    )


def test_that_a_cache_is_about_to_expire_is_told_once_and_that_it_is_over_too(collected):
    from dteg.metadata.expiry import ExpiryWatch

    watch = ExpiryWatch(collected.metadata)
    assert watch.look() == []
    collected.later(hours=25)
    assert watch.look() == []
    collected.later(hours=2)
    (soon,) = watch.look()
    assert (soon.subject, soon.severity, soon.state) == ("metadata warehouse", "warning", "firing")
    assert "expires at 2026-11-22 06:00 UTC, collected 27 hours ago" in soon.message
    assert [alert.name for alert in collected.metadata.quality().alerts] == ["expires_soon"]
    assert watch.look() == []
    collected.later(hours=4)
    (late,) = watch.look()
    assert (late.severity, late.matter) == ("error", soon.matter)
    collected.metadata.collect()
    states = [(state, severity) for state, severity, _ in fresh_alerts(collected)]
    assert states == [
        ("resolved", "info"), ("firing", "warning"), ("firing", "error"), ("resolved", "info"),
    ]  # fmt: skip
    assert [each.state for each in watch.look()] == ["resolved"]


def test_a_failed_collection_and_an_old_cache_reach_who_a_rule_names(collected):
    from dteg.alerts.service import Alerts
    from dteg.metadata.expiry import ExpiryWatch
    from dteg.topics import Topics

    (collected.project.root / "alerts.yaml").write_text(
        "channels: {events: {topic: ops.alerts}}\n"
        "rules:\n"
        "  - {name: metadata, match: {kind: [check, freshness], subject: 'metadata *'}, to: [events]}\n"
    )
    collected.later(hours=31)
    ExpiryWatch(collected.metadata).look()
    collected.write("examples.yaml", "examples: 3\n")
    with pytest.raises(ConfigError):
        collected.metadata.collect()
    Alerts.of(collected.project).deliver()
    told = [
        str(message.payload)
        for message in Topics.of(collected.project).read("ops.alerts", "earliest", limit=10)
    ]
    assert len(told) == 2
    assert any("metadata warehouse: publish_failed" in text for text in told)
    assert any("it has expired" in text for text in told)
