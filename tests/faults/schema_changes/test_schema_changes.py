"""Writers change the schema at the same time, the listener is killed, the server dies: each change is told once.

How the test is seen to fail: `test_a_cursor_by_id_loses_changes` runs the same with a cursor that is the last id.
"""

import contextlib
import random
import re
import time
from collections import Counter
from itertools import pairwise

import psycopg
import pytest

from dteg.core.embedded import EmbeddedPostgres
from dteg.core.errors import EnvironmentProblemError
from dteg.core.project import Project
from dteg.schema_changes.ledger import TOPIC
from dteg.schema_changes.service import SchemaChanges
from dteg.topics import Topics
from tests.faults.conftest import FULL, SEED
from tests.faults.loads import restart
from tests.faults.schema_changes.workload import (
    LATE_S,
    Child,
    Writers,
    burn_to,
    commit_late,
    environment_of,
    prepare,
)

pytestmark = [pytest.mark.faults, pytest.mark.integration]

STATEMENTS = 10_000 if FULL else 400
KILLS = 52 if FULL else 4
RESTARTS = 5 if FULL else 1
SHARE = STATEMENTS // (KILLS + RESTARTS + 1)
CALM = 1_000 if FULL else 60
MUTATED = 1_000 if FULL else 120
DIGITS = 100_000 if FULL else 10_000
PHASES = ("read", "write", "deliver", "commit")
OP = re.compile(r"/\* op (\d+) \*/")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    try:
        server = EmbeddedPostgres.at(tmp_path_factory.mktemp("schema_changes") / "server")
        server.start()
    except EnvironmentProblemError as error:
        pytest.skip(f"no PostgreSQL here: {error}")
    with psycopg.connect(server.url(), autocommit=True) as connection:
        # The death of the server loses nothing that the system has: only that of the machine would.
        for setting in ("fsync = off", "full_page_writes = off", "track_commit_timestamp = on"):
            connection.execute(f"ALTER SYSTEM SET {setting}")  # the last one from the first restart on
        connection.execute("SELECT pg_reload_conf()")
    yield server
    server.remove()


@pytest.fixture
def project(server, tmp_path, monkeypatch):
    """A project over an empty database of the server."""
    name = f"changes_{time.monotonic_ns()}"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    (tmp_path / "pipelines").mkdir()
    monkeypatch.setenv("DTEG_POSTGRES_URL", server.url(name))
    monkeypatch.setenv("DTEG_HOME", str(tmp_path))
    return Project(tmp_path)


def rows(project, query):
    with psycopg.connect(project.warehouse_url(), autocommit=True) as connection:
        return connection.execute(query).fetchall()


def told(project):
    """Return (op, change, name of its object), in the order in which changes were told."""
    found = rows(project, "SELECT id, ddl, object, found_by FROM _dteg.schema_changes ORDER BY id")
    return [(int(match[1]), id_, object_) for id_, ddl, object_, _ in found if (match := OP.search(ddl))]


def committed(project):
    return dict(rows(project, "SELECT op, seq FROM w.truth"))


def wait_until_all_is_told(project, seconds=LATE_S):
    """Wait as long as changes still come."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        missing = committed(project).keys() - {op for op, _, _ in told(project)}
        if not missing:
            return 0.0
        time.sleep(0.2)
    return seconds


def wait_for_snapshot(project):
    """Wait until the catalogue was compared once more; it must find nothing."""
    (now,) = rows(project, "SELECT now()")[0]
    deadline = time.monotonic() + 120  # after a long comparison the listener rests
    while not rows(project, f"SELECT FROM _dteg.schema_listeners WHERE snapshot_at > '{now}'"):
        assert time.monotonic() < deadline, "the catalogue was not compared"
        time.sleep(0.1)


def wait_for_op(project, op):
    deadline = time.monotonic() + 120
    while op not in {each for each, _, _ in told(project)}:
        assert time.monotonic() < deadline, f"statement {op} was not told"
        time.sleep(0.05)


def strike(child, rng, writers, line):
    """Start a listener, and kill it in a phase of its work."""
    phase = PHASES[line.points % len(PHASES)]
    writers.allow(SHARE // 2)
    child.start(linger=phase)
    assert child.wait_for("leads", 120), "no listener leads"
    writers.allow(SHARE // 2)
    hit = child.wait_for(phase, 60)
    time.sleep(rng.uniform(0, 0.03))
    child.kill()
    line.points += 1
    line.landed += hit
    return phase if hit else "missed"


@pytest.mark.timeout(3600)
def test_each_change_is_told_once_whoever_dies(server, project, figures):
    rng = random.Random(SEED)
    line = figures("schema changes: kill -9 of the listener, restarts", rows=STATEMENTS)
    url = project.warehouse_url()
    prepare(url)
    SchemaChanges.of(project).listen()
    # The crossing comes in the middle: a transaction has about 1.6 statements.
    burn_to(url, DIGITS - STATEMENTS // 4)
    writers = Writers(url, STATEMENTS, SEED)
    child = Child(environment_of(project.root, url))
    hits: Counter[str] = Counter()
    writers.hold_back()
    writers.start()
    try:
        kills = restarts = survived = 0
        while kills < KILLS or restarts < RESTARTS:
            if restarts * KILLS < kills * RESTARTS or kills >= KILLS:
                writers.allow(SHARE)
                child.start()
                assert child.wait_for("leads", 120), "no listener leads"
                child.listen_along()
                restart(server)
                survived += wait_until_all_is_told(project, seconds=120) == 0
                child.kill()
                restarts += 1
            hits[strike(child, rng, writers, line)] += 1
            kills += 1
        assert not writers.is_done, "the writers were done before the faults were"
        writers.allow(STATEMENTS)
        child.start()
        assert child.wait_for("leads", 120), "no listener leads"
        child.listen_along()
        writers.join(600)
        wait_until_all_is_told(project)
        commit_late(url, 2 * 10**6, lambda op: wait_for_op(project, op))
        calm_from = time.time()
        calm = Writers(url, CALM, SEED + 1)
        calm.numbers = iter(range(10**6, 10**6 + CALM + 10))
        calm.start()
        calm.join(300)
        wait_until_all_is_told(project)
        wait_for_snapshot(project)
    finally:
        child.kill()
    slow = latencies(project, calm_from)
    p95 = slow[int(len(slow) * 0.95)]
    crossed = rows(
        project, "SELECT min(xid)::text, max(xid)::text FROM _dteg.schema_changes WHERE xid IS NOT NULL"
    )[0]
    line.note = (
        f"p95 {p95 * 1000:.0f} ms; xids {crossed[0]} to {crossed[1]}; restarts {restarts}; "
        f"rolled back {len(writers.rolled_back)}; "
        + ", ".join(f"{phase} {number}" for phase, number in sorted(hits.items()))
    )
    check(project, writers, calm, line)
    assert len(crossed[0]) < len(crossed[1]), f"no digit was crossed: {crossed}"
    assert line.landed >= KILLS * 3 // 4, line.note
    assert len([phase for phase in hits if phase in PHASES]) >= 3, line.note
    assert survived == RESTARTS, "a listener did not get over a restart of the server by itself"
    assert p95 <= (1.0 if FULL else 10.0), line.note  # the full set has the machine for itself


def check(project, writers, calm, line):
    """Compare what was told with what was committed."""
    truth = committed(project)
    changes = told(project)
    number = Counter(op for op, _, _ in changes)
    line.lost = len(truth.keys() - number.keys())
    line.doubled = sum(each - 1 for each in number.values()) + len(number.keys() - truth.keys())
    assert line.lost == 0, sorted(truth.keys() - number.keys())[:20]
    assert line.doubled == 0, number.most_common(5)
    assert writers.rolled_back, "no transaction was rolled back"
    assert not (writers.rolled_back | calm.rolled_back) & number.keys()
    # What no trigger saw: nothing, as nothing went past them.
    missed = rows(
        project,
        "SELECT command, object, at FROM _dteg.schema_changes WHERE found_by = 'snapshot' AND kind <> 'database'",
    )
    assert missed == []
    ids = {id_ for _, id_, _ in changes}
    alerts = rows(
        project, "SELECT details ->> 'change' FROM _dteg.alert_occurrences WHERE details ? 'change'"
    )
    for effect, there in (
        ("message", Counter(messages(project))),
        ("alert", Counter(int(each) for (each,) in alerts)),
    ):
        assert not ids - there.keys(), f"{effect} of a change is lost"
        assert max(there.values()) == 1, f"{effect} of a change is there twice: {there.most_common(3)}"
    check_order(project, truth)


def messages(project):
    """Yield the number of the change that each message of the topic tells."""
    with contextlib.closing(Topics.of(project)) as topics:
        at = 0
        while found := topics.read(TOPIC, at, limit=500):
            at = found[-1].offset + 1
            yield from (int(message.headers["id"]) for message in found)


def check_order(project, truth):
    """For each table, by its oid: the changes were told in the order in which they happened."""
    by_object: dict[int, list[int]] = {}
    for oid, ddl in rows(
        project,
        "SELECT relation::bigint, ddl FROM _dteg.schema_changes WHERE relation IS NOT NULL ORDER BY id",
    ):
        if match := OP.search(ddl):
            by_object.setdefault(oid, []).append(truth[int(match[1])])
    assert any(len(each) > 5 for each in by_object.values())
    for oid, order in by_object.items():
        assert all(first < then for first, then in pairwise(order)), f"changes of {oid} were told as {order}"


def latencies(project, since):
    """Return seconds from the commit of a change to the commit that told it, for those since a time; sorted."""
    found = rows(
        project,
        "SELECT extract(epoch FROM pg_xact_commit_timestamp(c.xmin) - pg_xact_commit_timestamp(c.xid::xid))::float8"
        f" FROM _dteg.schema_changes AS c WHERE c.xid IS NOT NULL AND c.at > to_timestamp({since})",
    )
    return sorted(each for (each,) in found)


@pytest.mark.timeout(600)
def test_a_cursor_by_id_loses_changes(project, figures):
    """The mutation that shows that the test above can fail: nobody is killed, and changes are lost all the same."""
    line = figures("schema changes: cursor by id (must lose)", rows=MUTATED)
    url = project.warehouse_url()
    prepare(url)
    SchemaChanges.of(project).listen()
    child = Child(environment_of(project.root, url, DTEG_TEST_CURSOR="id"))
    child.start()
    assert child.wait_for("leads", 120)
    child.listen_along()
    writers = Writers(url, MUTATED, SEED)
    try:
        commit_late(url, 2 * 10**6, lambda op: wait_for_op(project, op))
        writers.start()
        writers.join(300)
        wait_until_all_is_told(project, seconds=1.5)
    finally:
        child.kill()
    lost = committed(project).keys() - {op for op, _, _ in told(project)}
    line.lost, line.note = len(lost), "as it should be"
    assert 2 * 10**6 in lost


def test_a_prepared_transaction_is_captured_too(server, project):
    """A NOTIFY would forbid PREPARE TRANSACTION: where the server allows that, readers look by themselves."""
    url = project.warehouse_url()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET max_prepared_transactions = 5")
    restart(server)
    changes = SchemaChanges.of(project)
    changes.listen()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("BEGIN; CREATE TABLE later (a integer); PREPARE TRANSACTION 'later'")
        assert changes.changes().items == []
        connection.execute("COMMIT PREPARED 'later'")
    assert [change.object for change in changes.changes().items] == ["later"]
    assert changes.last() > 0
