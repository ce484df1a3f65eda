"""Who reads, what changes break, and what happens to databases that are replaced."""

import logging
import threading
import time

import psycopg
import pytest
from psycopg import sql

from dteg.core.postgres import connect, with_database
from dteg.schema_changes import reader
from dteg.schema_changes.listener import Listener, Pace
from dteg.schema_changes.models import ChangeFilter
from dteg.schema_changes.story import Event
from dteg.testing.servers import database
from dteg.topics import Topics

PIPELINE = """
pipeline:
  name: copy_t
  steps:
    - extract: {type: postgres, config: {table: raw.t, columns: [id, a]}}
    - load: {type: postgres, config: {table: raw.copy}}
"""
PACE = Pace(poll_s=0.2, position_s=0.2, snapshot_s=0.5, standby_s=0.1, horizon_alert_s=0.5)


@pytest.fixture
def pipeline(project):
    path = project.pipelines_dir / "copy_t.yaml"
    path.write_text(PIPELINE)
    return path


@pytest.fixture
def listener(project):
    """A listener in a thread."""
    stop = threading.Event()
    thread = threading.Thread(target=Listener(project, PACE).run, args=[stop])
    thread.start()
    yield
    stop.set()
    thread.join(60)
    assert not thread.is_alive()


def until(question, seconds=120):
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return answer


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("ALTER TABLE raw.t DROP a", "column a of raw.t was dropped"),
        ("ALTER TABLE raw.t RENAME a TO z", "column a of raw.t is called z now"),
        ("ALTER TABLE raw.t ALTER a TYPE text", "column a of raw.t was integer and is text now"),
        ("ALTER TABLE raw.t RENAME TO u", "raw.t is called raw.u now"),
        ("ALTER SCHEMA raw RENAME TO cooked", "raw.t is called cooked.t now"),
        ("DROP SCHEMA raw CASCADE", "raw.t was dropped"),
        ("ALTER TABLE raw.t ALTER a TYPE bigint", None),
        ("ALTER TABLE raw.t DROP b", None),
        ("ALTER TABLE raw.t ADD c integer", None),
    ],
)
def test_a_change_breaks_the_pipeline_that_needs_what_is_gone(*, statement, why, db, pipeline, changes, told):
    db.execute(statement)
    broken = [each for change in told() for each in change.breaks]
    assert [(each.kind, each.name, each.why) for each in broken] == (
        [("pipeline", "copy_t", why)] if why else []
    )
    assert [each.why for each in changes.breaks()] == ([why] if why else [])
    alerts = db.execute(
        "SELECT severity FROM _dteg.alert_occurrences WHERE matter LIKE 'schema_break:%'"
    ).fetchall()
    assert alerts == ([("error",)] if why else [])


def test_a_break_is_mended_by_the_column_by_the_file_or_by_a_person(db, pipeline, changes, told):
    mended = []
    for undo in (
        lambda: db.execute("ALTER TABLE raw.t RENAME z TO a"),
        lambda: pipeline.write_text(PIPELINE.replace("[id, a]", "[id, z]")),
        lambda: changes.dismiss(changes.breaks()[0].id, "me"),
    ):
        pipeline.write_text(PIPELINE)
        db.execute("ALTER TABLE raw.t RENAME a TO z")
        told()
        assert len(changes.breaks()) == 1
        undo()
        told()
        assert changes.breaks() == []
        mended.append(changes.breaks(mended=True)[0].mended_by)
        db.execute("ALTER TABLE raw.t DROP COLUMN IF EXISTS z, DROP COLUMN IF EXISTS a, ADD a integer")
        told()
    assert mended == [
        "the column is there again",
        "pipeline copy_t does not need it any more",
        "dismissed by me",
    ]
    states = db.execute(
        "SELECT state FROM _dteg.alert_occurrences WHERE matter LIKE 'schema_break:%' ORDER BY id"
    )
    assert [state for (state,) in states.fetchall()][:4] == ["firing", "resolved", "firing", "resolved"]


def test_models_of_dbt_break_too(db, project, changes, told):
    models = project.dbt_dir / "models"
    models.mkdir(parents=True)
    (project.dbt_dir / "dbt_project.yml").write_text("name: p\nmodels: {p: {+schema: marts}}\n")
    (models / "s.yml").write_text("sources: [{name: raw, tables: [{name: t}]}]\n")
    (models / "all_of_t.sql").write_text("select * from {{ source('raw', 't') }} -- b\n")
    (models / "uses_b.sql").write_text("select b from {{ ref('all_of_t') }}\n")
    (models / "uses_a.sql").write_text('select a, \'b\' as x from {{ source("raw", "t") }}\n')
    db.execute("ALTER TABLE raw.t DROP b")
    (change,) = told()
    assert [(each.kind, each.name) for each in change.breaks] == [("model", "uses_b")]


def test_what_dbt_makes_anew_as_it_was_is_routine(db, told):
    def swap(columns):
        db.execute(f"CREATE TABLE raw.m__dbt_tmp ({columns})")
        db.execute("ALTER TABLE raw.m RENAME TO m__dbt_backup; ALTER TABLE raw.m__dbt_tmp RENAME TO m")
        db.execute("DROP TABLE raw.m__dbt_backup CASCADE")

    db.execute("CREATE TABLE raw.m (a integer); CREATE VIEW raw.mv AS SELECT a FROM raw.m")
    told()
    swap("a integer")
    assert told() == []
    db.execute("CREATE VIEW raw.mv AS SELECT a FROM raw.m")
    told()
    swap("a bigint")
    (change,) = told()
    assert (change.command, change.table, change.columns[0].new_type) == ("REPLACE TABLE", "raw.m", "bigint")
    assert [each for each in told(snapshot=True) if each.database] == []


def test_each_change_is_one_message_and_one_alert(db, project, told):
    db.execute("ALTER TABLE raw.t DROP a; CREATE TABLE raw.n (a integer)")
    first, second = told()
    topics = Topics.of(project)
    messages = topics.read("dteg.schema_changes", "earliest")
    topics.close()
    assert [message.headers["id"] for message in messages] == [str(first.id), str(second.id)]
    assert [message.key.partition(".")[2] for message in messages] == ["raw.t", "raw.n"]
    alerts = db.execute(
        "SELECT severity, details ->> 'change' FROM _dteg.alert_occurrences ORDER BY id"
    ).fetchall()
    assert alerts == [("warning", str(first.id)), ("info", str(second.id))]


def test_only_one_of_two_listeners_works_and_the_other_takes_over(project, db, changes):
    states = {}
    stops = [threading.Event(), threading.Event()]
    threads = [
        threading.Thread(
            target=Listener(
                project, PACE, on_lead=lambda leads, each=each: states.__setitem__(each, leads)
            ).run,
            args=[stops[each]],
        )
        for each in (0, 1)
    ]
    for thread in threads:
        thread.start()
    until(lambda: sorted(states.values()) == [False, True])
    leader = next(each for each, leads in states.items() if leads)
    assert changes.catch_up() is False
    stops[leader].set()
    threads[leader].join(60)
    until(lambda: states[1 - leader])
    db.execute("ALTER TABLE raw.t ADD c integer")
    until(lambda: changes.changes(catch_up=False).items)
    stops[1 - leader].set()
    threads[1 - leader].join(60)


def test_a_listener_tells_within_a_moment_and_reads_several_databases(postgres_url, db, listener, changes):
    with database(postgres_url) as other:
        name = psycopg.conninfo.conninfo_to_dict(other)["dbname"]
        changes.listen(name)
        with psycopg.connect(other, autocommit=True) as there:
            there.execute("CREATE TABLE elsewhere (a integer)")
        db.execute("ALTER TABLE raw.t ADD c integer")
        until(lambda: len(changes.changes(catch_up=False).items) == 2)
        found = {each.database: each for each in changes.changes(catch_up=False).items}
        assert found[name].table == "public.elsewhere"
        changes.unlisten(name)
    assert [each.database for each in changes.listening()] == [db.info.dbname]


def test_unlisten_beside_a_running_listener_loses_nothing(db, listener, changes):
    until(lambda: changes.catch_up() is False)
    for number in range(20):
        db.execute(f"ALTER TABLE raw.t ADD c{number} integer")
    changes.unlisten()
    assert len(changes.changes().items) == 20


def test_a_listener_by_triggers_can_become_one_by_the_catalogue_alone(db, changes, told):
    db.execute("ALTER TABLE raw.t ADD c integer")
    changes.listen(snapshot_only=True)
    assert db.execute("SELECT count(*) FROM pg_event_trigger").fetchone() == (0,)
    db.execute("ALTER TABLE raw.t ADD d integer")
    assert [each.found_by for each in told(snapshot=True) if each.database] == ["trigger", "snapshot"]
    changes.listen()
    db.execute("ALTER TABLE raw.t ADD e integer")
    assert [each.found_by for each in told(snapshot=True) if each.database] == ["trigger"]


def test_a_transaction_that_stays_open_holds_up_nobody_and_is_named(postgres_url, db, listener, changes):
    with psycopg.connect(postgres_url, application_name="sleeper") as sleeper:
        sleeper.execute("SELECT pg_current_xact_id()")
        db.execute("ALTER TABLE raw.t ADD c integer")
        until(lambda: changes.changes(catch_up=False).items)
        blocker = until(lambda: changes.listening_to("").blocker)
        assert (blocker.application, blocker.pid) == ("sleeper", sleeper.info.backend_pid)
    until(lambda: changes.listening_to("").blocker is None)
    states = "SELECT state FROM _dteg.alert_occurrences WHERE matter = 'schema_horizon' ORDER BY id"
    assert until(lambda: [state for (state,) in db.execute(states).fetchall()][1:]) == ["resolved"]


def test_events_stay_in_order_although_an_older_transaction_changes_later(postgres_url, db, changes, told):
    """A transaction with a low number that changes a table late: its event comes after those of higher numbers."""
    with psycopg.connect(postgres_url) as early:
        early.execute("SELECT pg_current_xact_id()")
        db.execute("ALTER TABLE raw.t ADD first integer")
        early.execute("ALTER TABLE raw.t ADD second integer")
        assert [each.columns[0].name for each in told()] == ["first"]
        early.commit()
    assert [each.columns[0].name for each in told()] == ["second"]


def test_a_database_that_is_replaced_is_followed_on_and_a_copy_is_left_alone(postgres_url, db, changes):
    admin = psycopg.connect(postgres_url, autocommit=True)
    with database(postgres_url) as url:
        name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
        with psycopg.connect(url, autocommit=True) as there:
            there.execute("CREATE TABLE kept (a integer); CREATE TABLE changed (a integer)")
        changes.listen(name)
        changes.catch_up(snapshot=True)
        copy, old = sql.Identifier(f"{name}_copy"), sql.Identifier(name)
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(copy, old))
        with psycopg.connect(with_database(postgres_url, f"{name}_copy"), autocommit=True) as there:
            there.execute("ALTER TABLE changed ADD b integer")
            assert there.execute("SELECT count(*) FROM _dteg.schema_events").fetchone() == (0,)
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(old))
        admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(copy, old))
        changes.catch_up()
        changes.catch_up(snapshot=True)
        wanted = ChangeFilter(database=name)
        found = changes.changes(wanted, catch_up=False).items
        assert [(each.summary, each.found_by) for each in found] == [
            ("ALTER TABLE public.changed; b integer added", "snapshot")
        ]
        with psycopg.connect(url, autocommit=True) as there:
            there.execute("DROP TABLE kept")
        changes.catch_up()
        assert changes.changes(wanted, catch_up=False).items[0].summary == "DROP TABLE public.kept"
        changes.unlisten(name)
    admin.close()


def test_an_event_that_nobody_understands_holds_up_no_other(db, changes, told, monkeypatch, caplog):
    of = Event.of

    def poisoned(row):
        if row["name"] == "poison" and row["image"]:
            row["image"] = {"object": "not a number"}
        return of(row)

    monkeypatch.setattr(reader.Event, "of", staticmethod(poisoned))
    db.execute(
        "CREATE TABLE raw.x (a integer); CREATE TABLE raw.poison (a integer); CREATE TABLE raw.y (a integer)"
    )
    with caplog.at_level(logging.ERROR):
        found = told()
    assert [(each.command, each.object, each.after is None) for each in found] == [
        ("CREATE TABLE", "x", False), ("CREATE TABLE", "poison", True), ("CREATE TABLE", "y", False),
    ]  # fmt: skip
    assert "is told without details" in caplog.text


def test_what_was_delivered_leaves_the_outbox(db, project, told, monkeypatch):
    db.execute("ALTER TABLE raw.t ADD c integer")
    told()
    monkeypatch.setattr(Pace.__init__, "__defaults__", (0.5, 10.0, 30.0, 300.0, 0.0, 2.0))
    told(snapshot=True)
    told(snapshot=True)
    assert db.execute("SELECT count(*) FROM _dteg.schema_events").fetchone() == (0,)
    assert db.execute("SELECT count(*) FROM _dteg.schema_delivered").fetchone() == (0,)


def test_who_asks_compares_a_catalogue_that_nobody_has_compared_for_long(db, past_triggers, changes):
    with past_triggers():
        db.execute("ALTER TABLE raw.t ADD c integer")
    assert changes.changes().items == []
    db.execute("UPDATE _dteg.schema_listeners SET snapshot_at = now() - interval '61 s'")
    assert [each.found_by for each in changes.changes().items] == ["snapshot"]


def test_history_goes_over_names(db, changes, told):
    db.execute(
        "ALTER TABLE raw.t RENAME TO u; ALTER TABLE raw.u ADD c integer; CREATE TABLE raw.v (a integer)"
    )
    told()
    for name in ("raw.t", "raw.u"):
        found = changes.changes(ChangeFilter(table=name)).items
        assert [each.summary for each in found] == [
            "ALTER TABLE raw.u; c integer added", "ALTER TABLE raw.u; was raw.t",
        ]  # fmt: skip
    changes.prune(keep_s=0)
    assert changes.changes().items == []


def test_the_ledger_refuses_the_same_event_twice(project, db, changes, told):
    """The last resort, should two processes ever believe that they lead."""
    db.execute("ALTER TABLE raw.t ADD c integer")
    (change,) = told()
    with connect(project.warehouse_url()) as connection, pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute(
            "INSERT INTO _dteg.schema_changes (database, installation, event, at, noticed_at, found_by, routine, command,"
            " kind, schema, object, columns, ddl, breaks) SELECT database, installation, event, at, noticed_at, found_by,"
            " routine, command, kind, schema, object, columns, ddl, breaks FROM _dteg.schema_changes WHERE id = %s",
            [change.id],
        )
