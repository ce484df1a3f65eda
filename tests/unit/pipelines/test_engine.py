"""The engine with memory adapters: what it owes whatever the connectors are."""

from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from dteg.connectors.base import Capabilities, LoadSession, Processor
from dteg.core.errors import ConfigError, PermanentError, QualityGateError, SchemaDriftError, TransientError
from dteg.pipelines.listener import Listener
from dteg.testing.memory import (
    MemoryExtractor,
    MemoryLoader,
    MemoryLoaderConfig,
    MemoryStore,
)
from dteg.testing.samples import make_batch
from tests.factories import STREAM, make_part, make_pipeline, run

TYPES = {"id": "bigint", "name": "text", "at": "timestamptz"}


@pytest.fixture
def store():
    name = uuid4().hex
    yield MemoryStore.named(name)
    MemoryStore.forget(name)


@pytest.fixture
def load(store, tmp_path):
    """Run one load of rows into the store."""

    def once(
        rows,
        run_id="r1",
        *,
        types=TYPES,
        extractor=MemoryExtractor,
        loader=MemoryLoader,
        processors=(),
        retry=None,
        listener=None,
        full_refresh=False,
        **step,
    ):
        source = make_part("extractor", extractor, streams={STREAM: {"types": types, "rows": rows}})
        name = next(key for key, value in MemoryStore._named.items() if value is store)
        target = make_part("loader", loader, store=name, table="raw.t")
        parts = [make_part("processor", each) for each in processors]
        pipeline = make_pipeline(tmp_path, source, target, parts, retry=retry, **step)
        return run(pipeline, run_id, listener=listener, full_refresh=full_refresh)

    return once


def row(id_, name="a", day=1):
    return {"id": id_, "name": name, "at": f"2026-01-{day:02d}T00:00:00Z"}


def ids(store):
    return [each["id"] for each in store.table("raw.t")]


def test_append_takes_only_what_is_new(load, store):
    load([row(1), row(2, day=2)], "r1", write="append", cursor="at")
    result = load([row(1), row(2, day=2), row(3, day=2), row(4, day=3)], "r2", write="append", cursor="at")
    assert ids(store) == [1, 2, 3, 4]
    assert result.load.rows_written == 2
    assert not result.read_all


def test_replace_reads_all_each_time_and_forgets_the_old_rows(load, store):
    load([row(1), row(2)], "r1", write="replace")
    result = load([row(3)], "r2", write="replace")
    assert (ids(store), result.read_all) == ([3], True)


def test_merge_updates_by_key_and_writes_only_what_differs(load, store):
    step = {"write": "merge", "primary_key": ["id"], "cursor": "at"}
    load([row(1), row(2)], "r1", **step)
    result = load([row(1), row(2, "b"), row(3)], "r2", **step)
    assert [(each["id"], each["name"]) for each in store.table("raw.t")] == [(1, "a"), (2, "b"), (3, "a")]
    assert (result.load.rows_read, result.load.rows_written, result.load.total_rows) == (3, 2, 3)


def test_full_refresh_forgets_the_position_and_replaces(load, store):
    load([row(1, day=5)], "r1", write="append", cursor="at")
    load([row(2, day=1), row(3, day=2)], "r2", write="append", cursor="at", full_refresh=True)
    assert ids(store) == [2, 3]
    assert store.checkpoints["p", STREAM].cursor == "2026-01-02T00:00:00+00:00"


def test_a_lookback_reads_late_rows_again(load, store):
    step = {"write": "merge", "primary_key": ["id"], "cursor": "at"}
    load([row(1, day=10)], "r1", **step)
    load([row(1, day=10), row(2, day=9), row(3, day=5)], "r2", **step, lookback="2d")
    assert ids(store) == [1, 2]
    assert store.checkpoints["p", STREAM].cursor == "2026-01-10T00:00:00+00:00"


def test_a_load_id_that_was_committed_is_not_loaded_again(load, store):
    """Tried: without the look at `session.committed` the row is there twice and this turns red."""
    load([row(1)], "r1", write="append", cursor="at")
    store.checkpoints.clear()
    result = load([row(1), row(2)], "r1", write="append", cursor="at")
    assert result.load.already_loaded
    assert ids(store) == [1]


class Failing(MemoryExtractor):
    """Fails after the first batch, as often as `failures` says."""

    failures: list[Exception] = []  # noqa: RUF012 - shared on purpose, filled by the test
    attempts = 0

    def read(self, stream, since):
        Failing.attempts += 1
        for batch in super().read(stream, since):
            yield batch
            if Failing.failures:
                raise Failing.failures.pop(0)


@pytest.fixture
def failing():
    Failing.attempts = 0
    Failing.failures = []
    return Failing


class Retries(Listener):
    def __init__(self):
        self.told = []

    def retrying(self, stream, attempt, delay_s, error):
        self.told.append((stream, attempt, str(error)))


def test_a_transient_failure_is_tried_again_and_nothing_is_doubled(load, store, failing):
    failing.failures = [TransientError("cut"), TransientError("cut again")]
    listener = Retries()
    load([row(1), row(2), row(3)], extractor=failing, write="append", cursor="at", listener=listener)
    assert ids(store) == [1, 2, 3]
    assert listener.told == [(STREAM, 1, "cut"), (STREAM, 2, "cut again")]


def test_the_attempts_end(load, store, failing):
    failing.failures = [TransientError(f"cut {n}") for n in range(9)]
    with pytest.raises(TransientError, match="cut 1"):
        load([row(1), row(2)], extractor=failing, retry={"max_attempts": 2})
    assert failing.attempts == 2
    assert store.tables == {}


@pytest.mark.parametrize(
    "error", [PermanentError("no"), ConfigError("no"), ValueError("no"), KeyboardInterrupt("no")]
)
def test_other_failures_are_not_tried_again_and_change_nothing(load, store, failing, error):
    failing.failures = [error]
    with pytest.raises(type(error), match="no"):
        load([row(1), row(2), row(3)], extractor=failing)
    assert failing.attempts == 1
    assert (store.tables, store.checkpoints, store.loads) == ({}, {}, {})
    load([row(1)], "r2", extractor=failing)
    assert ids(store) == [1]


def test_rows_that_do_not_fit_become_dead_letters_up_to_the_limit(load, store):
    rows = [row(1), {"id": "x", "name": "b"}, row(3), {"id": None, "name": "no key"}]
    result = load(rows, max_bad_rows=2, write="merge", primary_key=["id"])
    assert ids(store) == [1, 3]
    assert (result.load.rows_read, result.load.rows_written, result.load.rows_rejected) == (4, 2, 2)
    letters = store.dead_letters["raw.t"]
    assert [letter.reason for letter in letters] == ["column 'id' is not bigint", "key column id is null"]
    assert letters[0].payload == {"id": "x", "name": "b"}


def test_one_bad_row_too_many_changes_nothing(load, store):
    load([row(1)], "r1")
    with pytest.raises(QualityGateError, match="max_bad_rows is 1") as caught:
        load([row(2), {"id": "x"}, {"id": "y"}], "r2", max_bad_rows=1)
    assert caught.value.failed == ["max_bad_rows"]
    assert ids(store) == [1]
    assert store.dead_letters["raw.t"] == []


def test_a_row_that_does_not_fit_the_table_is_set_aside_with_every_reason(load, store):
    load([row(1)], "r1", write="append", cursor="id")
    bad = {"id": 5, "name": "b", "at": "soon", "new": "x"}
    types = {**TYPES, "at": "text", "new": "text"}
    load(
        [{**row(2), "new": None}, bad],
        "r2",
        types=types,
        schema_policy="quarantine",
        max_bad_rows=1,
        write="append",
        cursor="id",
    )
    (letter,) = store.dead_letters["raw.t"]
    assert letter.reason == "at is not timestamptz; column new is unknown to raw.t"
    assert letter.payload == bad
    assert ids(store) == [1, 2]


def test_evolve_tells_what_changed_and_freeze_refuses(load, store):
    load([row(1)], "r1")
    with pytest.raises(SchemaDriftError, match="new column extra"):
        load([row(2)], "r2", types={**TYPES, "extra": "text"}, schema_policy="freeze")
    result = load([row(2)], "r3", types={**TYPES, "extra": "text"}, write="append", cursor="at")
    assert result.changes == ["column extra added as text"]


@pytest.mark.parametrize(
    "step", [{"write": "merge", "primary_key": ["nmae"]}, {"write": "append", "cursor": "nmae"}]
)
def test_a_key_or_cursor_that_does_not_arrive_is_named(load, step):
    with pytest.raises(ConfigError, match=r"raw\.t: no column 'nmae' arrives; there are: id, name, at"):
        load([row(1)], **step)


def test_a_cursor_whose_order_would_be_lost_is_refused_before_anything_is_read(load, failing):
    with pytest.raises(ConfigError, match="column 'id' of type numeric cannot be a cursor"):
        load([row(1)], types={**TYPES, "id": "numeric"}, extractor=failing, write="append", cursor="id")
    assert failing.attempts == 0


class ShiftAndDrop(Processor[MemoryLoaderConfig]):
    """Moves `at` five hours forwards and drops the row named `drop`, as a change of time zone and a filter would."""

    capabilities = Capabilities()

    def output_schema(self, schema):
        return schema

    def process(self, batch):
        place = batch.schema.get_field_index("at")
        hours = pa.scalar(5 * 3_600_000_000, pa.int64()).cast(pa.duration("us"))
        batch = batch.set_column(place, batch.schema.field(place), pc.add(batch.column(place), hours))
        return batch.filter(pc.not_equal(batch.column("name"), "drop"))


def test_the_position_is_a_value_of_the_source_and_not_of_a_processor(load, store):
    """A processor that moves the cursor forwards must not make the next read skip rows."""
    step = {"processors": [ShiftAndDrop], "write": "merge", "primary_key": ["id"], "cursor": "at"}
    first = [row(1), row(2, "drop", day=2)]
    load(first, "r1", **step)
    assert store.checkpoints["p", STREAM].cursor == "2026-01-02T00:00:00+00:00"
    late = {"id": 3, "name": "a", "at": "2026-01-02T01:00:00Z"}
    load([*first, late], "r2", **step)
    assert ids(store) == [1, 3]


class Endless(MemoryExtractor):
    """Many batches that are made as they are asked for."""

    def read(self, stream, since):
        for number in range(200):
            text = f"{number:05d}" * 2000
            yield make_batch(id=list(range(10)), name=[text] * 10, at=[None] * 10, types=TYPES)


class Forgetful(MemoryLoader):
    """Takes batches and drops them."""

    most = 0

    def open(self, plan):
        return ForgetfulSession(super().open(plan))


class ForgetfulSession(LoadSession):
    def __init__(self, session):
        self.session = session

    checkpoint = committed = None

    def begin(self, schema):
        return self.session.begin(schema)

    def write(self, batch):
        Forgetful.most = max(Forgetful.most, pa.total_allocated_bytes())

    def reject(self, letters):
        raise AssertionError

    def publish(self, checkpoint):
        return self.session.publish(checkpoint)

    def close(self):
        self.session.close()


def test_memory_does_not_grow_with_the_number_of_batches(load):
    before = pa.total_allocated_bytes()
    load([], extractor=Endless, loader=Forgetful, write="append", cursor="id")
    assert Forgetful.most - before < 2_000_000  # of 20 MB


def test_connectors_are_closed_however_a_load_ends(load, monkeypatch):
    closed = []
    monkeypatch.setattr(MemoryExtractor, "close", lambda self: closed.append("extractor"))
    monkeypatch.setattr(MemoryLoader, "close", lambda self: closed.append("loader"))
    load([row(1)])
    Failing.failures = [PermanentError("no")]
    with pytest.raises(PermanentError):
        load([row(1)], "r2", extractor=Failing)
    assert sorted(closed) == ["extractor", "extractor", "loader", "loader"]


def test_a_stream_that_the_source_does_not_have_is_permanent(load, monkeypatch):
    monkeypatch.setattr(MemoryExtractor, "streams", lambda self: [])
    with pytest.raises(PermanentError, match="no stream 'events'"):
        load([row(1)])
