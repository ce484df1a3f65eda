"""The `rest` loader against a server on the loopback interface that honours idempotency keys, and misbehaves."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from urllib.parse import urlsplit

import pytest
from pydantic import ValidationError

from dteg.connectors import Checkpoint, DeadLetter, LoadPlan
from dteg.core.errors import ConfigError, InputError, PermanentError, QualityGateError, TransientError
from dteg.core.identifiers import TableName
from dteg.core.types import cast_array
from dteg.testing import make_batch, make_context
from dteg.testing.contract import contract_tests
from dteg.testing.http_server import FakeServer, Reply

from .encode import encode_rows
from .rest import RestLoader, RestLoaderConfig

QUICK = {"max_attempts": 3, "base_delay_s": 0.001, "max_delay_s": 0.01}
SINK = {}


class Sink:
    """A server's table: takes batches once per key, refuses records with `bad`, merges by `id` when told to."""

    def __init__(self, server, *, status_of_repeat=200, merge=False):
        self.rows, self.keys, self.merge = [], [], merge
        self.status_of_repeat = status_of_repeat
        self.lock = threading.Lock()
        server.route("/rows", self.take)

    def take(self, seen):
        if seen.method == "OPTIONS":
            return Reply()
        key, records = seen.headers["idempotency-key"], seen.json()
        records = records["records"] if isinstance(records, dict) else records
        with self.lock:
            if key in self.keys:
                return Reply(status=self.status_of_repeat)
            if any(record.get("bad") for record in records):
                return Reply({"error": "bad record"}, 422)
            self.keys.append(key)
            if self.merge:
                kept = {record["id"]: record for record in [*self.rows, *records]}
                self.rows = list(kept.values())
            else:
                self.rows += records
        return Reply(status=201)

    @property
    def ids(self):
        return [row["id"] for row in self.rows]


@pytest.fixture
def server():
    with FakeServer() as running:
        yield running


@pytest.fixture
def sink(server):
    return Sink(server)


@pytest.fixture
def make(server, tmp_path):
    made = []

    def build(**config):
        given = {"url": f"{server.url}/rows", "batch_rows": 3, "retry": QUICK, **config}
        made.append(RestLoader(RestLoaderConfig.model_validate(given), make_context(tmp_path)))
        return made[-1]

    yield build
    for loader in made:
        loader.close()


def batch(*ids, bad=()):
    return make_batch(
        id=list(ids), bad=[number in bad for number in ids], types={"id": "bigint", "bad": "boolean"}
    )


def plan(load_id="load-1", **changes):
    schema = batch(1).schema
    given = LoadPlan(
        "pipe", "items", TableName("rest", "items"), schema, "append", load_id, primary_key=("id",)
    )
    return replace(given, **changes)


def load(loader, the_plan, *batches, cursor=None):
    with loader.open(the_plan) as session:
        session.begin(the_plan.schema)
        for each in batches:
            session.write(each)
        return session.publish(Checkpoint(cursor))


def files(tmp_path):
    return sorted(path.name for path in (tmp_path / ".dteg" / "state" / "rest").iterdir())


# --- sending -----------------------------------------------------------------------------------


def test_records_arrive_in_batches_with_stable_keys(server, sink, make):
    result = load(make(), plan(), batch(1, 2), batch(3, 4, 5, 6, 7))
    assert (result.rows_read, result.rows_written, result.rows_rejected) == (7, 7, 0)
    assert [len(seen.json()) for seen in server.requests] == [3, 3, 1]
    assert sink.ids == [1, 2, 3, 4, 5, 6, 7]
    assert [key.rsplit("-", 1)[0] for key in sink.keys] == ["load-1-0-0", "load-1-1-0", "load-1-2-0"]


def test_wrap_method_and_stream_name(server, make):
    server.route("/my%20items", [Reply()])
    loader = make(url=f"{server.url}/{{stream}}", wrap="records", method="PUT", headers={"Prefer": "merge"})
    load(loader, plan(stream="my items"), batch(1))
    (seen,) = server.requests
    assert (seen.method, seen.path, seen.headers["prefer"]) == ("PUT", "/my%20items", "merge")
    assert seen.json() == {"records": [{"id": 1, "bad": False}]}


def test_values_keep_their_digits():
    rows = encode_rows(
        make_batch(
            amount=[Decimal("12345678901234567890.10"), None],
            at=[datetime(2026, 1, 1, tzinfo=UTC), None],
            day=[date(2026, 1, 2), None],
            raw=[b"\x00\xff", None],
            doc=['{"n":1.10}', "not json"],
            ratio=[float("nan"), 1.5],
            types={
                "amount": "numeric(30,2)", "at": "timestamptz", "day": "date", "raw": "bytea", "doc": "jsonb",
                "ratio": "double precision",
            },
        )
    )  # fmt: skip
    assert rows[0] == (
        b'{"amount":12345678901234567890.10,"at":"2026-01-01T00:00:00+00:00","day":"2026-01-02",'
        b'"raw":"AP8=","doc":{"n":1.10},"ratio":null}'
    )
    assert json.loads(rows[1])["doc"] == "not json"


def test_nothing_is_sent_or_left_without_publish(server, sink, make, tmp_path):
    with make().open(plan()) as session:
        session.begin(batch(1).schema)
        session.write(batch(1, 2, 3, 4))
    assert server.requests == []
    assert files(tmp_path) == ["pipe.items.lock"]


def test_empty_load_sends_nothing_and_saves_the_checkpoint(server, sink, make):
    load(make(), plan(), cursor=5)
    assert server.requests == []
    with make().open(plan("load-2")) as session:
        assert session.checkpoint == Checkpoint(5)


def test_files_left_after_a_load_are_state_and_lock(sink, make, tmp_path):
    load(make(), plan(pipeline="a.b/c"), batch(1))
    assert files(tmp_path) == ["a%2Eb%2Fc.items.json", "a%2Eb%2Fc.items.lock"]


def test_credentials_are_sent_and_not_shown(server, make, monkeypatch):
    monkeypatch.setenv("REST_TOKEN", "canary-token")
    server.route("/rows", lambda seen: Reply({"got": seen.headers["authorization"]}, 403))
    loader = make(auth={"type": "bearer", "token": "secret://env/REST_TOKEN"})
    with pytest.raises(PermanentError, match="403") as caught:
        load(loader, plan(), batch(1))
    assert server.requests[0].headers["authorization"] == "Bearer canary-token"
    assert "canary-token" not in f"{caught.value!r}{loader!r}"


# --- faults ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status_of_repeat", [200, 409])
def test_lost_answer_is_sent_again_and_counts_once(server, make, status_of_repeat):
    sink = Sink(server, status_of_repeat=status_of_repeat)
    lost = []

    def lossy(seen):
        reply = sink.take(seen)
        if not lost:
            lost.append(seen)
            return Reply(b"x" * 100, cut_after=5)
        return reply

    server.route("/rows", lossy)
    assert load(make(), plan(), batch(1, 2, 3, 4)).rows_written == 4
    assert sink.ids == [1, 2, 3, 4]
    assert len(server.requests) == 3


def test_load_that_failed_goes_on_where_it_stopped(server, sink, make):
    taken = []

    def down_after_two(seen):
        if len(taken) == 2:
            return Reply(status=503)
        taken.append(seen)
        return sink.take(seen)

    server.route("/rows", down_after_two)
    with pytest.raises(TransientError):
        load(make(), plan(), batch(*range(10)), cursor=9)
    server.route("/rows", sink.take)
    with make().open(plan("load-2")) as session:
        assert session.checkpoint == Checkpoint(9)
        assert session.committed is None
    assert sink.ids == list(range(10))
    assert [key.split("-")[1] for key in sink.keys] == ["1"] * 4
    with make().open(plan("load-1")) as session:
        assert session.committed.rows_written == 10
        assert session.committed.already_loaded


def test_half_written_log_line_is_dropped(server, sink, make, tmp_path):
    server.route("/rows", lambda seen: sink.take(seen) if len(sink.keys) < 1 else Reply(status=503))
    with pytest.raises(TransientError):
        load(make(), plan(), batch(*range(7)))
    with (tmp_path / ".dteg/state/rest/pipe.items.sent.jsonl").open("ab") as log:
        log.write(b'{"written":3,"let')
    server.route("/rows", lambda seen: sink.take(seen) if len(sink.keys) < 2 else Reply(status=503))
    with pytest.raises(TransientError):
        make().open(plan("load-2"))
    server.route("/rows", sink.take)
    make().open(plan("load-3")).close()
    assert sink.ids == list(range(7))


def test_409_for_a_key_never_sent_is_a_conflict(server, make):
    server.route("/rows", [Reply({"error": "duplicate id"}, 409)])
    with pytest.raises(PermanentError, match=r"409.*duplicate id"):
        load(make(), plan(), batch(1))


def test_outbox_for_another_url_is_not_sent(server, sink, make):
    server.route("/old", [Reply(status=503)])
    with pytest.raises(TransientError):
        load(make(url=f"{server.url}/old"), plan(), batch(1, 2))
    load(make(), plan("load-2"), batch(3))
    assert sink.ids == [3]


def test_damaged_state_is_said_and_not_overwritten(sink, make, tmp_path):
    load(make(), plan(), batch(1))
    path = tmp_path / ".dteg/state/rest/pipe.items.json"
    path.write_bytes(b"{half")
    with pytest.raises(InputError, match="damaged"):
        make().open(plan("load-2"))
    assert path.read_bytes() == b"{half"


CHILD = f"""
import sys
from pathlib import Path
from {__package__}.rest import RestLoader, RestLoaderConfig
from {__package__}.test_rest_loader import QUICK, batch, load, plan
from dteg.testing import make_context
config = RestLoaderConfig.model_validate(dict(url=sys.argv[1], batch_rows=3, retry=QUICK))
load(RestLoader(config, make_context(Path(sys.argv[2]))), plan(), batch(*range(20)), cursor=19)
"""


@pytest.mark.parametrize(("after", "status_of_repeat"), [(1, 409), (4, 200)])
def test_killed_load_goes_on_without_duplicates(server, make, tmp_path, after, status_of_repeat):
    sink = Sink(server, status_of_repeat=status_of_repeat)
    stored, killed = threading.Event(), threading.Event()

    def stuck(seen):
        reply = sink.take(seen)
        if len(sink.keys) == after and not stored.is_set():
            stored.set()
            killed.wait(120)  # the batch is stored, the answer never arrives
        return reply

    server.route("/rows", stuck)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, f"{server.url}/rows", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert stored.wait(120)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait(60) == -signal.SIGKILL
    killed.set()
    with make().open(plan()) as session:
        assert session.committed.rows_written == 20
        assert session.checkpoint == Checkpoint(19)
    assert sink.ids == list(range(20))


# --- bad records -------------------------------------------------------------------------------


def test_bad_records_are_isolated_and_kept(sink, make, tmp_path):
    loader = make(batch_rows=8)
    result = load(loader, plan(max_bad_rows=2), batch(*range(10), bad={3, 9}))
    assert (result.rows_written, result.rows_rejected) == (8, 2)
    assert sink.ids == [0, 1, 2, 4, 5, 6, 7, 8]
    lines = (tmp_path / ".dteg/state/rest/pipe.items.load-1.dead_letters.jsonl").read_text().splitlines()
    first = json.loads(lines[0])
    assert first["payload"] == {"id": 3, "bad": True}
    assert first["position"] == "items batch 1 (record 4)"
    assert "bad record" in first["reason"]
    assert len(lines) == 2


def test_too_many_bad_records_end_the_load(server, sink, make, tmp_path):
    with pytest.raises(QualityGateError, match=r"2 bad rows.*max_bad_rows is 1.*items batch 1"):
        load(make(batch_rows=4), plan(max_bad_rows=1), batch(*range(100), bad=range(100)))
    assert len(server.requests) < 10
    with make().open(plan("load-2")) as session:
        assert session.checkpoint is None
    assert any(name.endswith("dead_letters.jsonl") for name in files(tmp_path))


def test_repaired_load_with_the_same_id_sends_changed_records_only(server, make):
    sink = Sink(server, status_of_repeat=409)
    with pytest.raises(QualityGateError):
        load(make(), plan(), batch(*range(6), bad={4}))
    assert sink.ids == [0, 1, 2, 3]
    result = load(make(), plan(), batch(*range(6)))
    assert result.rows_written == 6
    # Record 3 had been taken alone; in its repaired batch it comes again: at least once.
    assert sink.ids == [0, 1, 2, 3, 3, 4, 5]


def test_letters_of_the_engine_count(sink, make):
    letters = [DeadLetter("bad", "row 1", {"id": 1})] * 2
    with make().open(plan(max_bad_rows=2)) as session:
        session.begin(batch(1).schema)
        session.reject(letters)
        session.write(batch(1))
        result = session.publish(Checkpoint())
    assert (result.rows_read, result.rows_written, result.rows_rejected) == (3, 1, 2)


# --- plans -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"disposition": "replace"}, "cannot replace"),
        ({"disposition": "scd2"}, "cannot scd2"),
        ({"disposition": "merge", "primary_key": ()}, "needs a primary_key"),
        ({"full_refresh": True}, "cannot be emptied"),
    ],
)
def test_plans_that_cannot_be_kept_are_refused(make, change, message):
    with pytest.raises(ConfigError, match=message):
        make().open(plan(**change))


@pytest.mark.parametrize(
    "change",
    [
        {"url": "rows"},
        {"batch_rows": 0},
        {"bad_record_statuses": [409]},
        {"bad_record_statuses": [500]},
        {"method": "GET"},
    ],
)
def test_bad_config_is_refused(make, change):
    with pytest.raises(ValidationError):
        make(**change)


def test_check_takes_a_server_without_options(server, make):
    server.route("/rows", [Reply(status=405)])
    make().check()
    server.route("/rows", [Reply(status=401)])
    with pytest.raises(PermanentError, match="401"):
        make().check()
    with pytest.raises(TransientError):
        make(url="http://127.0.0.1:1/rows").check()


def test_write_needs_the_schema_of_begin(sink, make):
    with make().open(plan()) as session:
        session.begin(batch(1).schema)
        with pytest.raises(PermanentError, match="schema"):
            session.write(make_batch(other=[1]))


def test_many_records_are_sent_quickly(server, sink, make):
    started = time.monotonic()
    load(make(batch_rows=1000), plan(), batch(*range(20_000)))
    assert time.monotonic() - started < 60
    assert len(sink.rows) == 20_000


# --- contract ----------------------------------------------------------------------------------


@pytest.fixture
def contract_config(server):
    SINK["now"] = Sink(server, merge=False)

    def route(seen):
        return SINK["now"].take(seen)

    server.route("/rows", route)
    return {"url": f"{server.url}/rows", "retry": QUICK}


def read_back(config, table) -> list:
    """Return what the server holds, in the types of the contract's sample."""
    import pyarrow as pa

    from dteg.core.types import sql_field

    assert urlsplit(config.url).hostname == "127.0.0.1"
    types = {"id": "bigint", "amount": "numeric(12,2)", "is_new": "boolean", "seen_at": "timestamptz"}
    rows = []
    for row in SINK["now"].rows:
        read = {}
        for name, value in row.items():
            text = pa.array([None if value is None else str(value)], pa.string())
            read[name] = cast_array(text, sql_field(name, types.get(name, "text")))[0][0].as_py()
        rows.append(read)
    return rows


class _Contract(
    contract_tests(
        RestLoader, config="contract_config", read_back=read_back, broken=[{"url": "http://127.0.0.1:1/"}]
    )
):
    """The sink of the contract appends, so the merge of the suite runs against one that merges."""

    def test_merge_updates_and_inserts(self, case):
        SINK["now"].merge = True
        super().test_merge_updates_and_inserts(case)


TestRestContract = _Contract
