"""Queries end at the server when nobody waits for them any more, and what others ask goes on."""

import contextlib
import threading
import time

import httpx
import psycopg
import pytest

from dteg.core.control import session
from dteg.core.errors import TransientError
from dteg.core.stopping import StoppedError, Stopper, stoppable
from dteg.datasets.session import builder_session
from dteg.datasets.spec import dump_spec, parse_spec

pytestmark = pytest.mark.integration
# A view that takes a minute for each row, in the warehouse and as a published dataset.
SLOW = """
CREATE VIEW raw.slow AS SELECT i AS id, pg_sleep(60)::text AS nothing FROM generate_series(1, 3) AS i;
"""
RUNNING = """
SELECT count(*)::integer FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active' AND query LIKE %s
"""
GIVEN_UP_S = 3.0
SOON_S = 20.0


def wait_for(run, pattern, count):
    """Wait until so many queries run; return how long that took (s)."""
    began = time.monotonic()
    while run(RUNNING, pattern) != [(count,)]:
        assert time.monotonic() - began < SOON_S, str(
            run("SELECT state, query FROM pg_stat_activity WHERE datname = current_database()")
        )
        time.sleep(0.05)
    return time.monotonic() - began


def given_up(studio, method, path, **request):
    """Ask, and go away after a while without an answer; return the thread that does."""
    headers = {"Authorization": f"Bearer {studio.token}"}

    def ask():
        with httpx.Client(timeout=GIVEN_UP_S) as client, pytest.raises(httpx.ReadTimeout):
            client.request(method, f"{studio.url}/api/v1{path}", headers=headers, **request)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


@pytest.fixture
def run(shop):
    def execute(query, *values):
        with psycopg.connect(shop.warehouse_url(), autocommit=True) as connection:
            done = connection.execute(query, values or None)
            return done.fetchall() if done.description else []

    execute(SLOW)
    return execute


PREVIEW = dump_spec(
    parse_spec("dataset: slow\nsources: {s: {source: warehouse, schema: raw, table: slow}}\n")
)


def test_preview_that_nobody_waits_for_ends_at_the_server(datasets, studio, run):
    asking = given_up(studio, "POST", "/datasets/preview", json={"spec": PREVIEW})
    wait_for(run, "%AS preview LIMIT%", 1)

    def sleep():
        with contextlib.suppress(psycopg.errors.QueryCanceled):
            run("SELECT 'of somebody else', pg_sleep(60)")

    other = threading.Thread(target=sleep)
    other.start()
    wait_for(run, "%of somebody else%", 1)
    asking.join()
    # Its limit is 30 s, and each later query of the same preview has its own.
    assert wait_for(run, "%AS preview LIMIT%", 0) < SOON_S
    assert run(RUNNING, "%of somebody else%") == [(1,)]
    run("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT ''of somebody else%'")
    other.join()
    assert run(RUNNING, "%raw%slow%") == [(0,)]
    assert studio.client.get("/datasets") is not None  # the studio has its threads again


@pytest.mark.parametrize("path", ["/datasets/sales/rows", "/charts/amounts/data", "/dashboards/shop/tiles/0"])
def test_rows_and_charts_that_nobody_waits_for_end_at_the_server(sales, studio, run, path):
    studio.client.post("/charts", json={
        "chart": "amounts", "title": "Amounts", "source": {"dataset": "sales"}, "type": "bar",
        "x": {"field": "country"}, "y": [{"fn": "sum", "field": "amount"}],
    })  # fmt: skip
    tile = {"chart": "amounts", "x": 0, "y": 0, "w": 6, "h": 4}
    studio.client.post("/dashboards", json={"dashboard": "shop", "title": "Shop", "tiles": [tile]})
    columns = "id, country, amount, created_at"
    rows = f"CREATE OR REPLACE VIEW ds.sales AS SELECT {columns} FROM {sales.get('sales').live.relation}"
    run(f"{rows} WHERE pg_sleep(60) IS NOT NULL")
    asking = given_up(studio, "GET", path)
    wait_for(run, '%"ds"."sales"%', 1)
    asking.join()
    assert wait_for(run, '%"ds"."sales"%', 0) < SOON_S
    run(rows)
    assert studio.client.get(path)


def test_answer_that_came_is_not_touched(sales, studio):
    made = studio.client.post("/datasets/preview", json={"spec": sales.get("sales").spec, "rows": 5})
    assert len(made["rows"]) == 5


def test_what_is_stopped_gets_no_more_connections_and_no_other_session_is_hit(shop):
    stopper, errors = Stopper(), []

    def work():
        with stopper.working():
            try:
                with builder_session(shop, 30) as connection:
                    connection.execute("SELECT pg_sleep(30)")
            except TransientError as error:
                errors.append(error)
            try:
                with session(shop) as connection:
                    connection.execute("SELECT 1")
            except StoppedError as error:
                errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while not stopper._connections:
        time.sleep(0.02)
    time.sleep(0.3)
    began = time.monotonic()
    stopper.stop()
    thread.join()
    assert time.monotonic() - began < SOON_S
    assert [type(each).__name__ for each in errors] == ["TransientError", "StoppedError"]
    with session(shop) as connection, stoppable(connection):  # nobody's work: never stopped
        stopper.stop()
        assert connection.execute("SELECT 1").fetchone() == (1,)
