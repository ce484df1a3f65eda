"""Generations: built beside the rows that readers see, checked, swapped, rolled back and cleared away."""

import threading
import time

import psycopg
import pytest

from dteg.core.errors import (
    ConfigError,
    ConflictError,
    DtegError,
    NotFoundError,
    QualityGateError,
    TransientError,
)
from dteg.datasets.models import DatasetState, GenerationStatus
from dteg.datasets.refreshing.refresh import Refresh
from dteg.datasets.spec import parse_spec
from tests.integration.datasets.conftest import SALES, SUMS, changed

pytestmark = pytest.mark.integration


def relations(run):
    return [
        row[0]
        for row in run(
            "SELECT relname FROM pg_class WHERE relnamespace = 'ds_cache'::regnamespace AND relkind IN ('m','v') ORDER BY 1"
        )
    ]


def count(run):
    return run("SELECT count(*) FROM ds.sales")[0][0]


def test_refresh_makes_a_generation_that_the_stable_view_shows(datasets, run):
    saved = datasets.save(parse_spec(SALES), who="ann")
    assert (saved.state, saved.live, saved.age_s, saved.saved_by) == (DatasetState.DRAFT, None, None, "ann")
    made = datasets.refresh("sales", "run-1")
    assert (made.n, made.status, made.rows, made.run_id) == (1, GenerationStatus.LIVE, 300, "run-1")
    assert made.bytes > 10_000
    assert made.relation == "ds_cache.sales__g1"
    assert [(each.name, each.passed) for each in made.checks] == [("not_empty", True), ("unique: id", True)]
    found = datasets.get("sales")
    assert found.state is DatasetState.ACTIVE
    assert 0 <= found.age_s < 30
    assert not found.stale
    assert found.problem == ""
    assert datasets.run("run-1") == made
    assert count(run) == 300
    kind, owner = run(
        "SELECT relkind::text, relowner::regrole::text FROM pg_class WHERE oid = 'ds_cache.sales__g1'::regclass"
    )[0]
    assert (kind, owner) == ("m", "dteg_builder")
    indexes = run("SELECT indexdef FROM pg_indexes WHERE tablename = 'sales__g1' ORDER BY 1")
    assert "created_at" in indexes[0][0]
    assert "UNIQUE" in indexes[1][0]
    assert run("SELECT reltuples::int FROM pg_class WHERE oid = 'ds_cache.sales__g1'::regclass")[0][0] == 300
    # Only the result is for readers.
    assert run("SELECT has_table_privilege('dteg_reader', 'ds.sales', 'SELECT')") == [(True,)]
    assert run("SELECT has_table_privilege('dteg_reader', 'ds_cache.sales__g1', 'SELECT')") == [(False,)]


def test_nothing_of_a_generation_depends_on_what_it_was_built_from(sales, run):
    run("DROP TABLE raw.orders; DROP TABLE raw.customers")
    assert count(run) == 300
    with pytest.raises(psycopg.DataError, match="not refreshed in place; run: dteg dataset refresh sales"):
        run("REFRESH MATERIALIZED VIEW ds_cache.sales__g1")
    assert count(run) == 300


def test_old_generations_go_and_numbers_are_never_used_again(sales, run):
    for _ in range(3):
        run("INSERT INTO raw.orders SELECT max(id) + 1, 1, 2, now() FROM raw.orders")
        sales.refresh("sales")
    assert [(each.n, each.status) for each in sales.generations("sales")] == [
        (4, "live"), (3, "retired"), (2, "dropped"), (1, "dropped"),
    ]  # fmt: skip
    assert relations(run) == ["sales__g3", "sales__g3__q", "sales__g4", "sales__g4__q"]
    assert count(run) == 303


def test_rollback_shows_the_generation_before_at_once(sales, run):
    with pytest.raises(ConflictError, match="no earlier generation"):
        sales.rollback("sales")
    run("DELETE FROM raw.orders WHERE id > 200")
    sales.refresh("sales")
    assert count(run) == 200
    began = time.monotonic()
    assert sales.rollback("sales").n == 1
    assert time.monotonic() - began < 30
    assert count(run) == 300
    assert [(each.n, each.status) for each in sales.generations("sales")] == [(2, "retired"), (1, "live")]
    assert sales.rollback("sales", 2).status == "live"
    with pytest.raises(NotFoundError, match="no generation 9"):
        sales.rollback("sales", 9)
    # What was shown last is kept, not what has the highest number.
    sales.rollback("sales", 1)
    sales.refresh("sales")
    assert [(each.n, each.status) for each in sales.generations("sales")] == [
        (3, "live"), (2, "dropped"), (1, "retired"),
    ]  # fmt: skip
    with pytest.raises(ConflictError, match="generation 2 of dataset sales is dropped"):
        sales.rollback("sales", 2)


@pytest.mark.parametrize(
    ("check", "statement", "message"),
    [
        ("{not_empty: true}", "DELETE FROM raw.orders", "check not_empty: there are no rows"),
        ("{min_rows: 250}", "DELETE FROM raw.orders WHERE id > 100", "100 rows, at least 250"),
        ("{row_drop_max: 30%}", "DELETE FROM raw.orders WHERE id > 100", "66.7 % fewer"),
        ("{unique: [country, amount]}", "UPDATE raw.orders SET amount = 5", "3 values are shared by 300 rows"),
        ("{not_null: [id, country]}", "UPDATE raw.customers SET country = NULL WHERE id = 1", "10 in country"),
        (
            "{joins: true}",
            "ALTER TABLE raw.customers DROP CONSTRAINT customers_pkey CASCADE; INSERT INTO raw.customers VALUES (1, 'again', 'KZ')",
            "joins[0]",
        ),
        ("{fresh: {col: created_at, max_age: 2h}}", "DELETE FROM raw.orders WHERE id < 9", "the newest created_at"),
    ],
)  # fmt: skip
def test_rows_that_fail_a_check_are_never_seen(datasets, run, check, statement, message):
    datasets.save(changed(SALES, ("{not_empty: true}, {unique: [id]}", check)))
    datasets.refresh("sales")
    before = run("SELECT * FROM ds.sales ORDER BY id")
    run(statement)
    with pytest.raises(QualityGateError) as caught:
        datasets.refresh("sales")
    assert message in str(caught.value)
    assert run("SELECT * FROM ds.sales ORDER BY id") == before
    found = datasets.get("sales")
    assert (found.live.n, found.last.n, found.last.status) == (1, 2, "failed")
    assert message in found.problem
    # The rows can be looked at until the next refresh takes them away.
    assert "sales__g2" in relations(run)
    with pytest.raises(QualityGateError):
        datasets.refresh("sales")
    assert "sales__g2" not in relations(run)


def test_a_check_that_does_not_block_is_told_and_lets_rows_pass(datasets, run):
    check = "{min_rows: 1000, blocking: false}, {unique: [country]}"
    datasets.save(changed(SALES, ("{unique: [id]}", check.replace("}, {unique: [country]}", "}"))))
    made = datasets.refresh("sales")
    assert [(each.name, each.passed, each.blocking) for each in made.checks] == [
        ("not_empty", True, True), ("min_rows: 1000", False, False),
    ]  # fmt: skip
    assert made.status == "live"


def test_three_steps_as_dagster_takes_them(datasets, run):
    datasets.save(parse_spec(SALES))
    built = datasets.build("sales", "step-run")
    assert (built.status, built.rows) == (GenerationStatus.BUILT, 300)
    with pytest.raises(ConflictError, match="generation 1 of dataset sales is built"):
        datasets.publish("sales", 1)
    assert run("SELECT to_regclass('ds.sales')") == [(None,)]
    assert all(each.passed for each in datasets.check("sales", 1))
    assert datasets.publish("sales", 1).status == "live"
    assert datasets.publish("sales", 1).status == "live", "a repeated step does nothing"
    # A failed check is a result, not an error.
    run("DELETE FROM raw.orders")
    built = datasets.build("sales")
    assert [each.passed for each in datasets.check("sales", built.n)] == [False, True]
    with pytest.raises(ConflictError, match="is failed"):
        datasets.publish("sales", built.n)
    # One that nobody published is taken away by the next refresh.
    run("INSERT INTO raw.orders VALUES (1, 1, 1, now())")
    left = datasets.build("sales")
    datasets.refresh("sales")
    assert datasets.generation("sales", left.n).status == "dropped"
    with pytest.raises(ConflictError, match="not there any more"):
        datasets.check("sales", left.n)


def test_columns_behind_the_others_leave_the_view_and_its_readers_alone(sales, run):
    run("CREATE VIEW public.mine AS SELECT country, sum(amount) AS total FROM ds.sales GROUP BY country")
    oid = run("SELECT 'ds.sales'::regclass::oid")
    sales.save(changed(SALES, ("cache:", "  - {name: email, from: c.email}\ncache:")), replace=True)
    assert sales.get("sales").live.revision == 1
    assert sales.get("sales").revision == 2
    sales.refresh("sales")
    assert run("SELECT 'ds.sales'::regclass::oid") == oid
    assert len(run("SELECT email FROM ds.sales")) == 300
    assert len(run("SELECT * FROM public.mine")) == 3


def test_other_columns_keep_rights_and_views_of_people(sales, run, postgres_url):
    run("DO $$ BEGIN CREATE ROLE shop_analyst NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    try:
        run("GRANT SELECT ON ds.sales TO shop_analyst; REVOKE SELECT ON ds.sales FROM dteg_reader")
        run("GRANT SELECT (id, country) ON ds.sales TO PUBLIC")
        run("CREATE VIEW public.mine WITH (security_barrier = true) AS SELECT country, amount FROM ds.sales")
        run("CREATE VIEW public.over AS SELECT country FROM public.mine")
        run("COMMENT ON VIEW public.mine IS 'mine'; GRANT SELECT ON public.mine TO shop_analyst")
        run("ALTER VIEW public.mine OWNER TO shop_analyst")
        sales.save(changed(SALES, ("  - {name: created_at, from: o.created_at}\n", ""),
                           ("{name: id, from: o.id}", "{name: id, from: o.id, type: bigint}")), replace=True)  # fmt: skip
        sales.refresh("sales")
        assert [each.name for each in sales.columns("sales")] == ["id", "country", "amount"]
        rights = "SELECT has_table_privilege(%s, 'ds.sales', 'SELECT')"
        assert run(rights, "shop_analyst") == [(True,)]
        assert run(rights, "dteg_reader") == [(False,)]
        column = "SELECT has_column_privilege('dteg_reader', 'ds.sales', %s, 'SELECT')"
        assert (run(column, "country"), run(column, "amount")) == ([(True,)], [(False,)])
        assert len(run("SELECT * FROM public.over")) == 300
        mine = run(
            "SELECT obj_description(oid), relowner::regrole::text, reloptions, "
            "has_table_privilege('shop_analyst', oid, 'SELECT') FROM pg_class WHERE oid = 'public.mine'::regclass"
        )
        assert mine == [("mine", "shop_analyst", ["security_barrier=true"], True)]
    finally:
        run("DROP VIEW IF EXISTS public.over; DROP VIEW IF EXISTS public.mine")
        run("DROP OWNED BY shop_analyst; DROP ROLE shop_analyst")


def test_a_view_that_does_not_fit_the_new_columns_keeps_the_rows_before(sales, run):
    run("CREATE VIEW public.mine AS SELECT country, amount FROM ds.sales")
    spec = changed(SALES, ("  - {name: country, from: c.country}\n", ""))
    sales.save(spec, replace=True)
    with pytest.raises(ConflictError, match=r"the view public\.mine reads ds\.sales and does not fit"):
        sales.refresh("sales")
    assert len(run("SELECT * FROM public.mine")) == 300
    assert sales.get("sales").live.n == 1
    run("DROP VIEW public.mine; CREATE MATERIALIZED VIEW public.mine AS SELECT country FROM ds.sales")
    with pytest.raises(ConflictError, match=r"public\.mine reads it, which is no plain view"):
        sales.refresh("sales")
    run("DROP MATERIALIZED VIEW public.mine")
    sales.refresh("sales")
    assert [each.name for each in sales.columns("sales")] == ["id", "amount", "created_at"]


def test_a_dataset_of_a_dataset_does_not_hold_it_and_is_marked_when_it_breaks(sales, run):
    sales.save(parse_spec(SUMS))
    made = sales.refresh("sums")
    assert made.rows == 3
    assert made.data_as_of == sales.get("sales").live.data_as_of, "no newer than what it is made of"
    sales.save(changed(SALES, ("name: amount", "name: paid")), replace=True)
    sales.refresh("sales")
    broken = sales.get("sums")
    assert broken.state is DatasetState.BROKEN
    assert "amount" in broken.problem
    assert len(run("SELECT total FROM ds.sums")) == 3
    with pytest.raises(ConfigError):
        sales.refresh("sums")
    sales.save(parse_spec(SALES), replace=True)
    sales.refresh("sales")
    assert sales.get("sums").state is DatasetState.ACTIVE
    assert [each.name for each in sales.uses("sales")] == ["sums"]
    with pytest.raises(ConflictError, match="dataset sums: is made of it"):
        sales.remove("sales")


def test_a_column_that_is_gone_breaks_the_dataset_until_it_is_back(sales, run):
    run("ALTER TABLE raw.customers DROP COLUMN country")
    broken = sales.recheck(source="warehouse", table="raw.customers")
    assert [each.slug for each in broken] == ["sales"]
    assert broken[0].state is DatasetState.BROKEN
    assert "country" in broken[0].problem
    with pytest.raises(DtegError, match="country"):
        sales.refresh("sales")
    assert count(run) == 300
    run("ALTER TABLE raw.customers ADD COLUMN country text")
    assert sales.recheck(source="warehouse", table="raw.orders") == []
    assert sales.recheck() == []
    # The last attempt has failed, and that is still said.
    assert (sales.get("sales").state, sales.get("sales").problem != "") == (DatasetState.ACTIVE, True)
    sales.refresh("sales")
    assert sales.get("sales").problem == ""


def test_two_refreshes_of_one_dataset_follow_each_other(sales, shop):
    with Refresh(shop, "sales") as first:
        first._lock()
        with pytest.raises(ConflictError, match="being refreshed already"):
            sales.refresh("sales")
        other = threading.Thread(target=lambda: sales.refresh("sales", wait_s=60))
        other.start()
        time.sleep(0.3)
        assert sales.get("sales").live.n == 1
    other.join(60)
    assert sales.get("sales").live.n == 2


def test_a_build_whose_process_is_gone_has_failed(sales, run):
    run(
        "UPDATE _dteg.datasets SET last_n = 2; INSERT INTO _dteg.dataset_generations (dataset, n, relation, status, "
        "revision) VALUES ('sales', 2, 'ds_cache.sales__g2', 'building', 1)"
    )
    run(
        "CREATE MATERIALIZED VIEW ds_cache.sales__g2 AS SELECT 1 AS id; CREATE VIEW ds_cache.sales__g7__q AS SELECT 1"
    )
    found = sales.get("sales")
    assert (found.building, found.last.status) == (None, "failed")
    assert "ended without a word" in found.problem
    assert sales.generations("sales")[0].status == "failed"
    assert sales.sweep() == 2
    assert relations(run) == ["sales__g1", "sales__g1__q"]
    assert sales.generation("sales", 2).error == "the process that built it ended without a word"


def test_a_reader_that_stays_delays_the_swap_and_no_other_reader(sales, run, postgres_url):
    sales.save(changed(SALES, ("deadline: 30s", "deadline: 5s")), replace=True)
    waits = []
    stop = threading.Event()

    def read():
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            while not stop.is_set():
                began = time.monotonic()
                connection.execute("SELECT count(*) FROM ds.sales")
                waits.append(time.monotonic() - began)
                time.sleep(0.005)

    with psycopg.connect(postgres_url, application_name="report") as slow:
        slow.execute("SELECT count(*) FROM ds.sales")
        other = threading.Thread(target=read)
        other.start()
        with pytest.raises(
            TransientError, match=r"ds\.sales is in use.*report \(pid \d+, idle in transaction"
        ):
            sales.refresh("sales")
        stop.set()
        other.join(60)
    assert len(waits) > 20
    assert sorted(waits)[len(waits) * 95 // 100] < 1
    found = sales.generations("sales")[0]
    assert (found.n, found.status) == (2, "checked")
    assert sales.publish("sales", 2).status == "live"


def test_a_query_that_is_too_slow_ends_at_the_deadline(datasets, run):
    run("CREATE VIEW raw.slow AS SELECT o.id, o.customer_id, o.amount, o.created_at FROM raw.orders o, pg_sleep(0.2) "
        "WHERE pg_sleep(0.2) IS NOT NULL")  # fmt: skip
    datasets.save(changed(SALES, ("table: orders", "table: slow"), ("deadline: 30s", "deadline: 1s")))
    began = time.monotonic()
    with pytest.raises(TransientError, match="not done within its deadline of 1s"):
        datasets.refresh("sales")
    assert time.monotonic() - began < 50  # all rows would take a minute
    assert datasets.get("sales").last.error.startswith("it was not done within its deadline")
    while run("SELECT FROM pg_stat_activity WHERE application_name LIKE 'dteg refresh%'"):
        assert time.monotonic() - began < 50, "the session of the refresh goes on"
        time.sleep(0.05)
    assert relations(run) == []


def test_rows_that_a_backup_left_out_are_missed_and_not_shown_as_none(sales, run):
    # What a restore makes of a generation whose rows were not dumped.
    run("DROP VIEW ds.sales; DROP MATERIALIZED VIEW ds_cache.sales__g1")
    run("CREATE MATERIALIZED VIEW ds_cache.sales__g1 AS SELECT 1 AS id WITH NO DATA; "
        "CREATE VIEW ds.sales AS SELECT id FROM ds_cache.sales__g1")  # fmt: skip
    found = sales.get("sales")
    assert (found.live, found.state) == (None, DatasetState.DRAFT)
    assert "not part of the backup" in found.problem
    with pytest.raises(ConflictError, match="dteg dataset refresh sales"):
        sales.rows("sales")
