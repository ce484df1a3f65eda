from uuid import uuid4

import pytest

from dteg.connectors.base import Checkpoint, LoadPlan
from dteg.core.errors import ConfigError, PermanentError
from dteg.core.identifiers import TableName
from dteg.testing import (
    MemoryExtractor,
    MemoryExtractorConfig,
    MemoryLoader,
    MemoryLoaderConfig,
    MemoryStore,
    make_batch,
    make_context,
)

TARGET = TableName("public", "events")
BATCH = make_batch(id=[1, 2], name=["a", "b"])


@pytest.fixture
def loader(tmp_path):
    name = uuid4().hex
    yield MemoryLoader(MemoryLoaderConfig(store=name), make_context(tmp_path))
    MemoryStore.forget(name)


def load(loader, batch, **changes):
    changes = {"disposition": "append", "load_id": uuid4().hex, **changes}
    plan = LoadPlan("p", "events", TARGET, batch.schema, **changes)
    with loader.open(plan) as session:
        schema = session.begin(batch.schema)
        session.write(batch.select(schema.names))
        session.publish(Checkpoint())


def rows(loader):
    return MemoryStore.named(loader.config.store).table(str(TARGET))


def test_full_refresh_forgets_what_is_there(loader):
    load(loader, BATCH)
    load(loader, make_batch(other=[1]), full_refresh=True)
    assert rows(loader) == [{"other": 1}]


def test_quarantine_leaves_unknown_columns_out(loader):
    load(loader, BATCH)
    load(loader, make_batch(id=[3], name=["c"], extra=[None]), schema_policy="quarantine")
    assert [list(row) for row in rows(loader)] == [["id", "name"]] * 3


def test_evolve_widens_and_fills(loader):
    load(loader, make_batch(id=[1], types={"id": "integer"}))
    load(loader, make_batch(id=[2**40], name=["b"], types={"id": "bigint"}))
    load(loader, make_batch(name=["c"]))
    assert rows(loader) == [{"id": 1, "name": None}, {"id": 2**40, "name": "b"}, {"id": None, "name": "c"}]


def test_merge_needs_a_key(loader):
    with pytest.raises(ConfigError, match="primary_key"):
        load(loader, BATCH, disposition="merge")
    with pytest.raises(ConfigError, match="scd2"):
        load(loader, BATCH, disposition="scd2")


def test_batch_of_another_schema_is_refused(loader):
    with loader.open(LoadPlan("p", "events", TARGET, BATCH.schema, "append", "1")) as session:
        session.begin(BATCH.schema)
        with pytest.raises(PermanentError, match="schema"):
            session.write(make_batch(x=[1]))


def test_value_that_does_not_fit_is_set_aside(tmp_path):
    config = MemoryExtractorConfig(
        streams={
            "s": {
                "types": {"id": "integer", "doc": "jsonb"},
                "rows": [{"id": "x"}, {"id": 2, "doc": {"a": 1}}],
            }
        }
    )
    extractor = MemoryExtractor(config, make_context(tmp_path))
    (stream,) = extractor.streams()
    assert [batch.to_pylist() for batch in extractor.read(stream, None)] == [[{"id": 2, "doc": '{"a": 1}'}]]
    (letter,) = extractor.context.dead_letters
    assert (letter.reason, letter.position) == ("column 'id' is not integer", "s (row 1)")
