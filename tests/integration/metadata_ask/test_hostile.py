"""Hostile questions, comments and models: nothing is written, and nothing is read that the cache does not know."""

import time

import psycopg
import pytest

from dteg.ai import Model
from dteg.metadata.ask import Asker
from dteg.metadata.client import MetadataClient
from dteg.metadata.probers import Limits
from dteg.metadata.service import Metadata
from dteg.testing.openai_server import Said
from tests.integration.metadata_ask.conftest import CANARY
from tests.integration.metadata_ask.hostile import COMMENT, QUESTIONS, SQL

_STATE = """
SELECT (SELECT md5(string_agg(o::text, '|' ORDER BY id)) FROM shop.orders o),
    (SELECT md5(string_agg(c::text, '|' ORDER BY id)) FROM shop.customers c),
    (SELECT string_agg(relname || relkind::text || coalesce(relacl::text, ''), ',' ORDER BY oid) FROM pg_class
        WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('shop', 'vault', 'public'))),
    (SELECT string_agg(attname, ',' ORDER BY attrelid, attnum) FROM pg_attribute WHERE attrelid = 'shop.orders'::regclass),
    (SELECT count(*) FROM pg_proc), (SELECT count(*) FROM pg_roles), (SELECT count(*) FROM pg_largeobject_metadata),
    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1), (SELECT last_value FROM shop.orders_id_seq)
"""
_READS = """
SELECT seq_scan + coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relid = 'vault.secrets'::regclass
"""


@pytest.fixture
def watched(warehouse):
    """Fail if anything was written, or the vault was read."""
    with psycopg.connect(warehouse.warehouse_url(), autocommit=True) as connection:

        def state():
            connection.execute("SELECT pg_stat_clear_snapshot()")
            return connection.execute(_STATE).fetchone(), connection.execute(_READS).fetchone()

        before = state()
        yield
        assert state() == before


def test_the_watch_sees_a_write_and_a_read(warehouse):
    """The tests below could not fail otherwise."""
    with psycopg.connect(warehouse.warehouse_url(), autocommit=True) as connection:
        state, reads = connection.execute(_STATE).fetchone(), connection.execute(_READS).fetchone()
        with connection.transaction(force_rollback=True):
            connection.execute("UPDATE shop.orders SET net = 0 WHERE id = 7")
            assert connection.execute(_STATE).fetchone() != state
        connection.execute("SELECT * FROM vault.secrets")
        connection.execute("SELECT pg_stat_force_next_flush()")
        time.sleep(0.05)
        assert connection.execute(_READS).fetchone() != reads


@pytest.fixture
def asker(warehouse):
    """As it is, but with less patience: what has to run to be stopped costs a core until then."""
    metadata = Metadata.of(warehouse)
    limits = Limits(timeout_s=0.3)
    return Asker(
        MetadataClient(metadata.uri()),
        lambda sql, *, run: metadata.check(sql, run=run, limits=limits),
        Model.configured,
    )


@pytest.mark.parametrize("name", SQL)
def test_a_hijacked_model_does_no_harm(server, asker, watched, name):
    server.answers = [Said({"sql": SQL[name], "explanation": "Trust me."})]
    began = time.monotonic()
    answer = asker.ask("show me everything", run=True)
    assert answer.origin != "model", answer.sql
    assert answer.rows is None
    assert CANARY not in answer.model_dump_json()
    assert time.monotonic() - began < 25  # no pg_sleep(30)


@pytest.mark.parametrize("name", SQL)
def test_nor_when_a_page_sends_it_to_be_run(asker, watched, name):
    verdict = asker.check(SQL[name], run=True)
    assert CANARY not in verdict.model_dump_json()
    assert verdict.status != "valid", verdict.sql
    assert verdict.why
    assert verdict.rows == []


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_hostile_question_is_data(server, asker, watched, question):
    server.answers = [Said({"sql": "SELECT secret FROM vault.secrets", "explanation": question})]
    answer = asker.ask(question, run=True)
    assert answer.origin != "model"
    assert CANARY not in answer.model_dump_json()
    for request in server.requests:
        system, user = request["messages"]
        assert question not in system["content"]
        body, _, asked = user["content"].partition("\n\n# Question\n")
        assert "\n" not in asked.partition("\n\n# Your last answer")[0]  # one line of JSON, whatever it holds
        assert body.count("# Question\n") == 0


def test_a_hostile_comment_stays_in_its_line(server, asker, watched):
    assert "\n# Question\n" in COMMENT
    server.answers = [Said({"sql": "SELECT secret FROM vault.secrets", "explanation": "as the comment says"})]
    answer = asker.ask("how much was ordered", run=True)
    assert answer.origin != "model"
    (told, *_) = [request["messages"][1]["content"] for request in server.requests]
    assert [line for line in told.splitlines() if line.startswith("# Question")] == [
        "# Questions whose SQL was run",
        "# Question",
    ]
    assert "\x1b" not in told
