"""What a loader owes. The tests' names are the promises."""

import threading
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pyarrow as pa

from dteg.connectors.base import Checkpoint, DeadLetter, Disposition, Loader, LoadPlan, LoadResult
from dteg.core.batch import Batch
from dteg.core.errors import DtegError, SchemaDriftError
from dteg.core.types import sql_field
from dteg.testing.case import Case, must, must_raise
from dteg.testing.connector_contract import ConnectorContract
from dteg.testing.samples import make_batch

STREAM = "contract"
EXTRA = "contract_extra"
WAIT_S = 0.3
Rows = list[dict[str, Any]]


class LoaderContract(ConnectorContract):
    """All of a load is visible, or nothing of it."""

    def test_target_needs_no_io(self, case: Case) -> None:
        """Assets are named from the config alone."""
        cls = type(_create(case))
        config = case.checked_config()
        must(
            cls.target(config, STREAM) == cls.target(config, STREAM), "target must return the same each time"
        )

    def test_publish_makes_rows_visible(self, case: Case) -> None:
        """And counts them."""
        sample = _sample(case)
        result = _load(case, _plan(case), [sample])
        must(
            result.rows_written == sample.num_rows,
            f"rows_written is {result.rows_written}, not {sample.num_rows}",
        )
        must(not result.already_loaded, "a first load is not already_loaded")
        _must_hold(case, sample.to_pylist())

    def test_publish_saves_the_checkpoint(self, case: Case) -> None:
        """The next load of the stream finds it."""
        saved = Checkpoint("2026-01-01", {"file": "a.csv", "rows": [1, 2]})
        plan = _plan(case)
        with _create(case).open(plan) as session:
            must(session.checkpoint is None, "a checkpoint before the first load")
        _load(case, plan, [_sample(case)], saved)
        with _create(case).open(_plan(case)) as session:
            must(session.checkpoint == saved, f"saved {saved}, found {session.checkpoint}")

    def test_nothing_is_visible_before_publish(self, case: Case) -> None:
        """Readers never see half a load, and closing leaves the target as it was."""
        sample = _sample(case)
        _load(case, _plan(case), [sample.slice(0, 1)], Checkpoint(1))
        with _create(case).open(_plan(case)) as session:
            session.write(_fit(sample.slice(1), session.begin(sample.schema)))
            _must_hold(case, sample.slice(0, 1).to_pylist())
        _must_hold(case, sample.slice(0, 1).to_pylist())
        with _create(case).open(_plan(case)) as session:
            must(session.checkpoint == Checkpoint(1), "an unpublished load moved the checkpoint")

    def test_load_id_counts_once(self, case: Case) -> None:
        """A retry that does not know whether its commit arrived finds it, and can do nothing."""
        plan = _plan(case)
        with _create(case).open(plan) as session:
            must(session.committed is None, "committed before the first load")
        result = _load(case, plan, [_sample(case)])
        with _create(case).open(plan) as session:
            done = session.committed
            must(done is not None, "the load id was published, but committed is None")
            must(
                done == replace(result, already_loaded=True), f"committed says {done}, publish said {result}"
            )
        _must_hold(case, _sample(case).to_pylist())

    def test_append_adds(self, case: Case) -> None:
        """Two loads, twice the rows."""
        if _can(case, "append"):
            sample = _sample(case)
            for _ in range(2):
                _load(case, _plan(case, "append"), [sample])
            _must_hold(case, sample.to_pylist() * 2)

    def test_replace_replaces(self, case: Case) -> None:
        """Only the rows of the last load are there."""
        if _can(case, "replace"):
            sample = _sample(case)
            _load(case, _plan(case, "replace"), [sample])
            _load(case, _plan(case, "replace"), [sample.slice(1, 1)])
            _must_hold(case, sample.slice(1, 1).to_pylist())

    def test_merge_updates_and_inserts(self, case: Case) -> None:
        """By key; the last of several rows with one key wins; the same rows again change nothing."""
        if not _can(case, "merge"):
            return
        sample = _sample(case)
        _load(case, _plan(case, "merge"), [sample.slice(0, 2)])
        changed = _with_key_of(sample, other=1, key=0)
        for _ in range(2):
            _load(case, _plan(case, "merge"), [sample.slice(0, 1), changed, sample.slice(2, 1)])
            _must_hold(case, changed.to_pylist() + sample.slice(1, 2).to_pylist())

    def test_too_many_bad_rows_change_nothing(self, case: Case) -> None:
        """Not even the checkpoint."""
        sample = _sample(case)
        with must_raise(DtegError, "two dead letters with max_bad_rows=1"):
            _load(case, replace(_plan(case), max_bad_rows=1), [sample], letters=2)
        _must_hold(case, [])
        with _create(case).open(_plan(case)) as session:
            must(session.checkpoint is None, "the failed load saved a checkpoint")

    def test_few_bad_rows_are_counted(self, case: Case) -> None:
        """Up to max_bad_rows the load goes on."""
        result = _load(case, replace(_plan(case), max_bad_rows=2), [_sample(case)], letters=2)
        must(result.rows_rejected == 2, f"rows_rejected is {result.rows_rejected}, not 2")
        _must_hold(case, _sample(case).to_pylist())

    def test_evolve_adds_columns(self, case: Case) -> None:
        """Rows that were there have NULL in them."""
        sample = _sample(case)
        wide = _widened(sample)
        _load(case, _plan(case), [sample.slice(0, 1)])
        disposition: Disposition = "append" if _can(case, "append") else _plan(case).disposition
        _load(case, replace(_plan(case, disposition), schema=wide.schema), [wide.slice(1)])
        kept = (
            [{**row, EXTRA: None} for row in sample.slice(0, 1).to_pylist()]
            if disposition != "replace"
            else []
        )
        _must_hold(case, kept + wide.slice(1).to_pylist())

    def test_freeze_refuses_columns(self, case: Case) -> None:
        """And the target stays as it was."""
        sample = _sample(case)
        wide = _widened(sample)
        _load(case, _plan(case), [sample])
        with must_raise(SchemaDriftError, "a new column under schema_policy freeze"):
            _load(case, replace(_plan(case), schema_policy="freeze", schema=wide.schema), [wide])
        _must_hold(case, sample.to_pylist())

    def test_loads_of_one_stream_wait_for_each_other(self, case: Case) -> None:
        """Otherwise both would start from the same checkpoint."""
        opened = threading.Event()
        errors: list[Exception] = []

        def second() -> None:
            try:
                with _create(case).open(_plan(case)):
                    opened.set()
            except Exception as error:  # noqa: BLE001 - told below, in the test's own thread
                errors.append(error)

        thread = threading.Thread(target=second, daemon=True)
        with _create(case).open(_plan(case)):
            thread.start()
            must(not opened.wait(WAIT_S), "two loads of one stream ran at the same time")
        thread.join(timeout=30)
        must(opened.is_set(), f"the second load did not start after the first ended: {errors or 'it hangs'}")

    def test_session_may_be_closed_twice(self, case: Case) -> None:
        """Also after a publish."""
        session = _create(case).open(_plan(case))
        session.begin(_sample(case).schema)
        session.publish(Checkpoint())
        session.close()
        session.close()


def _create(case: Case) -> Loader[Any]:
    connector = case.create()
    assert isinstance(connector, Loader)
    return connector


def _can(case: Case, disposition: Disposition) -> bool:
    return disposition in case.subject.cls.capabilities.dispositions


def _sample(case: Case) -> Batch:
    if case.sample:
        must(
            case.sample[0].num_rows >= 3,
            "the sample needs three rows with different keys in its first column",
        )
        return case.sample[0]
    return make_batch(
        id=[1, 2, 3],
        name=["a", None, "quote ' \" back\\slash, tab\t line\nü"],
        amount=[Decimal("1.50"), Decimal("-0.01"), None],
        is_new=[True, False, None],
        seen_at=[datetime(2026, 1, 1, 12, tzinfo=UTC), None, datetime(1999, 12, 31, 23, 59, 59, 999999, UTC)],
        types={
            "id": "bigint",
            "name": "text",
            "amount": "numeric(12,2)",
            "is_new": "boolean",
            "seen_at": "timestamptz",
        },
    )


def _plan(case: Case, disposition: Disposition | None = None) -> LoadPlan:
    """Return a plan with a load id of its own; without a wish, the simplest disposition the loader has."""
    sample = _sample(case)
    order: list[Disposition] = ["append", "replace", "merge", "scd2"]
    able = [each for each in order if _can(case, each)]
    must(able, "a loader must name its dispositions in capabilities")
    target = type(_create(case)).target(case.checked_config(), STREAM)
    key = (sample.schema.names[0],)
    return LoadPlan(
        "contract", STREAM, target, sample.schema, disposition or able[0], uuid4().hex, primary_key=key
    )


def _load(
    case: Case, plan: LoadPlan, batches: list[Batch], checkpoint: Checkpoint | None = None, letters: int = 0
) -> LoadResult:
    with _create(case) as loader, loader.open(plan) as session:
        schema = session.begin(plan.schema)
        for batch in batches:
            session.write(_fit(batch, schema))
        if letters:
            session.reject(
                [DeadLetter("bad on purpose", f"row {number}", {"id": number}) for number in range(letters)]
            )
        return session.publish(checkpoint or Checkpoint())


def _fit(batch: Batch, schema: pa.Schema) -> Batch:
    columns = [batch.column(field.name).cast(field.type) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _must_hold(case: Case, expected: Rows) -> None:
    """Compare the target with the expected rows, in any order, on the columns that were sent."""
    must(case.read_back, "give contract_tests a read_back function")
    assert case.read_back is not None
    config = case.checked_config()
    rows = case.read_back(config, type(_create(case)).target(config, STREAM))
    columns = list(expected[0]) if expected else _sample(case).schema.names
    found = [{name: row.get(name) for name in columns} for row in rows]
    wanted = list(expected)
    extra = [row for row in found if not _take_out(wanted, row)]
    must(not extra and not wanted, f"the target misses {wanted} and has {extra} that should not be there")


def _take_out(rows: Rows, row: dict[str, Any]) -> bool:
    if row in rows:
        rows.remove(row)
        return True
    return False


def _with_key_of(batch: Batch, *, other: int, key: int) -> Batch:
    """Return row `other` under the key of row `key`."""
    columns = [column.slice(key if place == 0 else other, 1) for place, column in enumerate(batch.columns)]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _widened(batch: Batch) -> Batch:
    schema = batch.schema.append(sql_field(EXTRA, "text"))
    values = pa.array([f"new {number}" for number in range(batch.num_rows)])
    return pa.RecordBatch.from_arrays([*batch.columns, values], schema=schema)
