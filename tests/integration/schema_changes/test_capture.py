"""What is captured, by whom, and that nothing of it stands in anybody's way."""

import psycopg
import pytest
from psycopg import sql

from dteg.core.errors import ConfigError, DeniedError, NotFoundError
from dteg.schema_changes.service import SchemaChanges

STATEMENTS = {
    "ALTER TABLE raw.t ALTER a TYPE bigint": [("ALTER TABLE", "t", "a integer -> bigint")],
    "ALTER TABLE raw.t RENAME b TO c": [("ALTER TABLE", "t", "b renamed to c")],
    "ALTER TABLE raw.t ADD d numeric(5,2) DEFAULT 0, DROP a": [
        ("ALTER TABLE", "t", "a integer dropped; d numeric(5,2) added")
    ],
    "ALTER TABLE raw.t ALTER b DROP NOT NULL, ALTER b SET DEFAULT 'x'": [
        ("ALTER TABLE", "t", "b now nullable; b has default now")
    ],
    "ALTER TABLE raw.t RENAME TO u": [("ALTER TABLE", "u", "was raw.t")],
    "DROP TABLE raw.t": [("DROP TABLE", "t", "")],
    "CREATE TABLE raw.n (id serial PRIMARY KEY, x integer UNIQUE REFERENCES raw.t)": [("CREATE TABLE", "n", "")],
    "SELECT 1 AS x INTO raw.n": [("SELECT INTO", "n", "")],
    "CREATE INDEX i ON raw.t (a)": [("CREATE INDEX", "i", "")],
    "CREATE INDEX i ON raw.t (a); DROP INDEX raw.i": [("CREATE INDEX", "i", ""), ("DROP INDEX", "i", "")],
    "CREATE VIEW raw.v AS SELECT a FROM raw.t; DROP TABLE raw.t CASCADE": [
        ("CREATE VIEW", "v", ""), ("DROP TABLE", "t", ""), ("DROP VIEW", "v", ""),
    ],
    "CREATE TYPE raw.mood AS ENUM ('a'); ALTER TABLE raw.t ADD m raw.mood; DROP TYPE raw.mood CASCADE": [
        ("CREATE TYPE", "mood", ""), ("ALTER TABLE", "t", "m raw.mood added"),
        ("DROP TYPE", "mood", ""), ("DROP TYPE", "t", "m raw.mood dropped"),
    ],
    "CREATE FUNCTION raw.f(x integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'": [
        ("CREATE FUNCTION", "f(integer)", "")
    ],
    "COMMENT ON COLUMN raw.t.a IS 'x'": [("COMMENT", "t", "")],
    "GRANT SELECT ON raw.t TO PUBLIC": [("GRANT", "", "")],
    "ALTER SCHEMA raw RENAME TO cooked": [("ALTER SCHEMA", "cooked", "was raw")],
    "CREATE TEMP TABLE x (a integer); ALTER TABLE x ADD b integer; DROP TABLE x": [],
    "CREATE TABLE _dteg.own (a integer); DROP TABLE _dteg.own": [],
    "CREATE MATERIALIZED VIEW raw.m AS SELECT a FROM raw.t; REFRESH MATERIALIZED VIEW raw.m": [
        ("CREATE MATERIALIZED VIEW", "m", "")
    ],
    "CREATE VIEW raw.v AS SELECT a FROM raw.t; ALTER TABLE raw.t DROP COLUMN a CASCADE": [
        ("CREATE VIEW", "v", ""), ("DROP VIEW", "v", ""), ("ALTER TABLE", "t", "a integer dropped"),
    ],
    "CREATE TABLE raw.n (x integer REFERENCES raw.t); ALTER TABLE raw.t DROP CONSTRAINT t_pkey CASCADE": [
        ("CREATE TABLE", "n", ""), ("ALTER TABLE", "t", ""),
    ],
    "CREATE TABLE raw.p (a integer) PARTITION BY LIST (a); CREATE TABLE raw.p1 PARTITION OF raw.p DEFAULT; "
    "ALTER TABLE raw.p ADD b integer; CREATE INDEX pi ON raw.p (a); DROP INDEX raw.pi; DROP TABLE raw.p": [
        ("CREATE TABLE", "p", ""), ("CREATE TABLE", "p1", ""), ("ALTER TABLE", "p", "b integer added"),
        ("CREATE INDEX", "pi", ""), ("DROP INDEX", "pi", ""), ("DROP TABLE", "p", ""), ("DROP TABLE", "p1", ""),
    ],
    "CREATE TYPE raw.mood AS ENUM ('a'); ALTER TABLE raw.t ADD m raw.mood; ALTER TYPE raw.mood RENAME TO humour": [
        ("CREATE TYPE", "mood", ""), ("ALTER TABLE", "t", "m raw.mood added"), ("ALTER TYPE", "humour", "was raw.mood"),
    ],
    "CREATE SEQUENCE raw.s; ALTER SEQUENCE raw.s OWNED BY raw.t.id; ALTER SEQUENCE raw.s OWNED BY NONE": [
        ("CREATE SEQUENCE", "s", ""), ("ALTER SEQUENCE", "s", ""), ("ALTER SEQUENCE", "s", ""),
    ],
    "ALTER TABLE raw.t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON raw.t USING (true); DROP POLICY p ON raw.t": [
        ("ALTER TABLE", "t", ""), ("CREATE POLICY", "p", ""), ("DROP POLICY", "p", ""),
    ],
}  # fmt: skip


def short(change):
    return change.command, change.object, change.summary.partition("; ")[2].partition(" by ")[0]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_each_statement_is_told_as_what_it_does_and_never_twice(statement, db, told):
    for each in statement.split("; "):
        db.execute(each)
    found = told()
    assert [short(each) for each in found] == STATEMENTS[statement]
    assert {each.found_by for each in found} <= {"trigger"}
    # What a trigger has told, the catalogue does not tell again.
    assert [short(each) for each in told(snapshot=True) if each.database] == []


def test_a_change_says_who_when_and_how(db, told):
    db.execute("SET application_name = 'somebody''s editor'")
    db.execute("/* hm */ ALTER TABLE raw.t ALTER a TYPE bigint")
    (change,) = told()
    (xid,) = db.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()
    assert (change.who, change.application, change.table) == ("postgres", "somebody's editor", "raw.t")
    assert change.ddl == "/* hm */ ALTER TABLE raw.t ALTER a TYPE bigint"
    assert xid - 200 < change.xid < xid
    assert [column["type"] for column in change.before["columns"]] == ["integer", "integer", "text"]
    assert [column["type"] for column in change.after["columns"]] == ["integer", "bigint", "text"]


def test_what_is_rolled_back_is_not_told(db, told):
    with db.transaction():
        db.execute("ALTER TABLE raw.t ADD c integer")
        raise psycopg.Rollback
    with db.transaction():
        with db.transaction():
            db.execute("CREATE TABLE raw.gone (a integer)")
            raise psycopg.Rollback
        db.execute("CREATE TABLE raw.kept (a integer)")
    assert [short(each)[1] for each in told(snapshot=True)] == ["kept"]


def test_names_may_hold_anything(db, told):
    db.execute('CREATE TABLE raw."a\nb;\t""c""" ("x\ny" integer)')
    (change,) = told()
    assert change.object == 'a\nb;\t"c"'


def test_changes_of_many_statements_come_in_their_order(db, told):
    with db.transaction():
        for number in range(30):
            db.execute(f"ALTER TABLE raw.t ADD c{number} integer")
    assert [each.columns[0].name for each in told()] == [f"c{number}" for number in range(30)]


@pytest.fixture
def somebody(db, changes):
    """A connection of a user without any right but to make tables in `raw`."""
    db.execute("CREATE ROLE somebody LOGIN; GRANT CREATE, USAGE ON SCHEMA raw TO somebody")
    db.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO somebody").format(sql.Identifier(db.info.dbname)))
    with psycopg.connect(db.info.dsn, user="somebody", autocommit=True) as connection:
        yield connection
    db.execute("DROP OWNED BY somebody CASCADE; DROP ROLE somebody")


def test_statements_of_a_user_without_rights_are_captured(somebody, told):
    told()
    somebody.execute("CREATE TABLE raw.mine (a integer)")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        somebody.execute("SELECT * FROM _dteg.schema_events")
    (change,) = told()
    assert (change.who, change.object) == ("somebody", "mine")


def test_a_user_cannot_lead_the_triggers_astray(somebody, told):
    """Functions of the session's search_path and temporary tables are not those that the triggers use."""
    somebody.execute("CREATE SCHEMA trap; SET search_path = trap, pg_catalog")
    somebody.execute("CREATE FUNCTION trap.current_query() RETURNS text LANGUAGE sql AS 'SELECT ''trapped'''")
    somebody.execute("CREATE TEMP TABLE pg_class (a integer); CREATE TABLE raw.mine (a integer)")
    assert "trapped" not in [each.ddl for each in told() if each.object == "mine"]


@pytest.mark.parametrize(
    "damage",
    [
        "DROP TABLE _dteg.schema_events",
        "DROP TABLE _dteg.schema_listener",
        "DROP SEQUENCE _dteg.schema_capture_failures",
    ],
)
def test_a_failure_of_ours_stops_nobody_and_the_catalogue_tells_what_was_missed(damage, db, changes, told):
    told(snapshot=True)
    db.execute(damage)
    db.execute("ALTER TABLE raw.t ADD c integer")
    found = [each for each in told(snapshot=True) if each.database]
    assert [(short(each), each.found_by) for each in found if each.object == "t"][-1][0][
        2
    ] == "c integer added"
    if "SEQUENCE" not in damage:
        assert [each.found_by for each in found] == ["snapshot"]
        assert changes.listening_to("").state == "damaged"
    changes.listen()
    db.execute("ALTER TABLE raw.t ADD d integer")
    assert [(short(each)[2], each.found_by) for each in told()] == [("d integer added", "trigger")]
    assert changes.listening_to("").state == "on"


def test_a_locked_outbox_delays_nobody_for_long_and_is_counted(db, postgres_url, changes, told):
    told(snapshot=True)
    with psycopg.connect(postgres_url) as other:
        other.execute("LOCK TABLE _dteg.schema_events IN ACCESS EXCLUSIVE MODE")
        db.execute("SET statement_timeout = '15s'")
        db.execute("ALTER TABLE raw.t ADD c integer")
    assert [(short(each)[2], each.found_by) for each in told(snapshot=True)] == [
        ("c integer added", "snapshot")
    ]
    assert changes.listening_to("").lost == 1


def test_changes_past_the_triggers_are_found_in_the_catalogue_once(db, past_triggers, told):
    told(snapshot=True)
    with past_triggers():
        db.execute("ALTER TABLE raw.t ALTER a TYPE bigint; CREATE TABLE raw.hidden (a integer)")
        db.execute("ALTER TABLE raw.t RENAME TO renamed")
    db.execute("ALTER TABLE raw.renamed ADD c integer")
    found = told(snapshot=True)
    assert [(short(each), each.found_by, each.who) for each in found if each.found_by == "trigger"] == [
        # The statement that was seen shows what came before it, too.
        (("ALTER TABLE", "renamed", "was raw.t; a integer -> bigint; c integer added"), "trigger", "postgres")
    ]
    assert [(short(each), each.who) for each in found if each.found_by == "snapshot"] == [
        (("CREATE TABLE", "hidden", ""), None)
    ]
    assert told(snapshot=True) == []


def test_replica_sessions_are_seen(db, told):
    db.execute("SET session_replication_role = replica; CREATE TABLE raw.copied (a integer)")
    assert [short(each) for each in told()] == [("CREATE TABLE", "copied", "")]


def test_roles_and_databases_are_compared(db, told):
    told(snapshot=True)
    db.execute("CREATE ROLE reporting")
    db.execute("CREATE DATABASE side_by_side")
    try:
        found = {(each.command, each.object, each.database) for each in told(snapshot=True)}
        db.execute("ALTER ROLE reporting LOGIN")
        found |= {(each.command, each.object, each.database) for each in told(snapshot=True)}
    finally:
        db.execute("DROP DATABASE side_by_side")
        db.execute("DROP ROLE reporting")
    found |= {(each.command, each.object, each.database) for each in told(snapshot=True)}
    assert found >= {
        ("CREATE ROLE", "reporting", ""), ("ALTER ROLE", "reporting", ""), ("DROP ROLE", "reporting", ""),
        ("CREATE DATABASE", "side_by_side", ""), ("DROP DATABASE", "side_by_side", ""),
    }  # fmt: skip


def test_truncate_is_told_of_the_tables_that_were_chosen(db, changes, told):
    db.execute("CREATE TABLE raw.other (a integer)")
    changes.listen(truncate=["raw.t"])
    told()
    db.execute("TRUNCATE raw.t; TRUNCATE raw.other")
    assert [short(each) for each in told()] == [("TRUNCATE", "t", "")]
    assert changes.listening_to("").truncate == ["raw.t"]
    changes.listen(truncate=[])
    db.execute("TRUNCATE raw.t")
    assert told(snapshot=True) == []
    with pytest.raises(ConfigError, match="no such table"):
        changes.listen(truncate=["raw.nowhere"])


def test_no_password_is_kept(db, told):
    db.execute("CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w")
    db.execute("CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (password 'hunter2')")
    db.execute("COMMENT ON TABLE raw.t IS 'postgresql://me:hunter2@host/db password=hunter2'")
    found = told()
    assert [each.command for each in found][-2:] == ["CREATE USER MAPPING", "COMMENT"]
    assert "hunter2" not in repr(found)


def test_the_text_of_statements_can_be_left_out(db, changes, told):
    changes.listen(keeps_text=False)
    db.execute("ALTER TABLE raw.t ADD c integer")
    assert [each.ddl for each in told()] == [""]


def test_who_may_not_make_event_triggers_is_told_and_can_compare_the_catalogue(
    somebody, project, monkeypatch, db
):
    db.execute(
        "DROP EVENT TRIGGER dteg_schema_ddl; DROP EVENT TRIGGER dteg_schema_drop; DROP SCHEMA _dteg CASCADE"
    )
    monkeypatch.setenv("DTEG_POSTGRES_URL", f"{somebody.info.dsn} user=somebody")
    service = SchemaChanges.of(project)
    with pytest.raises(DeniedError, match="snapshot-only"):
        service.listen()
    assert service.listen(snapshot_only=True).mode == "snapshot"
    db.execute("ALTER TABLE raw.t ADD c integer")
    service.catch_up(snapshot=True)
    found = service.changes(catch_up=False).items
    assert [(short(each), each.found_by) for each in found] == [
        (("ALTER TABLE", "t", "c integer added"), "snapshot")
    ]
    service.unlisten()


def test_unlisten_tells_what_is_left_and_removes_everything(db, changes):
    db.execute("ALTER TABLE raw.t ADD c integer")
    changes.unlisten()
    assert [short(each) for each in changes.changes().items] == [("ALTER TABLE", "t", "c integer added")]
    left = db.execute(
        "SELECT proname FROM pg_proc WHERE pronamespace = '_dteg'::regnamespace AND proname ~ 'schema|capture'"
        " UNION ALL SELECT evtname FROM pg_event_trigger"
    ).fetchall()
    assert left == []
    db.execute("ALTER TABLE raw.t ADD d integer")
    with pytest.raises(NotFoundError, match="dteg listen"):
        changes.unlisten()
