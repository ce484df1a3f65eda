import sqlite3
from datetime import date

import pytest

from dteg.connectors import Checkpoint, LoadPlan
from dteg.core.errors import PermanentError, TransientError
from dteg.core.identifiers import TableName
from dteg.testing import make_batch, make_context
from dteg.testing.contract import contract_tests

from .acme import AcmeConfig, AcmeLoader

SAMPLE = make_batch(
    id=[1, 2, 3],
    name=["a", None, "quote ' \" back\\slash, tab\t line\nü"],
    amount=[1.5, None, -0.25],
    types={"id": "bigint", "name": "text", "amount": "double precision"},
)


def read_back(config, table):
    assert table == TableName("main", "people")
    with sqlite3.connect(config.path) as connection:
        connection.row_factory = sqlite3.Row
        exists = connection.execute("select 1 from sqlite_schema where name = 'people'").fetchone()
        rows = connection.execute("select * from people").fetchall() if exists else []
    connection.close()
    return [dict(row) for row in rows]


# Everything that each loader owes: all of a load or nothing, no load twice, one load at a time, and more.
TestAcme = contract_tests(
    AcmeLoader,
    config=lambda tmp_path: {"path": str(tmp_path / "warehouse.db"), "table": "people"},
    bad_config=[{"path": ""}, {"table": ""}, {"wait_s": 0}],
    broken=[{"path": "absent/folder/warehouse.db"}],
    sample=SAMPLE,
    read_back=read_back,
)


@pytest.fixture
def loader(tmp_path):
    return AcmeLoader(AcmeConfig(path="warehouse.db", wait_s=0.1), make_context(tmp_path))


def plan(load_id, **changes):
    target = TableName("main", "people")
    return LoadPlan("p", "people", target, SAMPLE.schema, "append", load_id, **changes)


def load(loader, the_plan, batch):
    with loader.open(the_plan) as session:
        session.begin(batch.schema)
        session.write(batch)
        return session.publish(Checkpoint()), session.changes


def test_a_busy_file_is_tried_again_later(loader):
    with loader.open(plan("1")), pytest.raises(TransientError, match="another program"):
        loader.open(plan("2"))


def test_a_file_that_is_no_database(loader, tmp_path):
    (tmp_path / "warehouse.db").write_text("this is no database, but long enough to be one" * 10)
    with pytest.raises(PermanentError, match="not a database"):
        loader.check()


def test_a_new_column_is_told(loader):
    load(loader, plan("1"), SAMPLE.select(["id", "name"]))
    _, changes = load(loader, plan("2"), SAMPLE)
    assert changes == ["column amount added as double precision"]


def test_full_refresh_forgets_what_was_there(loader):
    load(loader, plan("1"), SAMPLE)
    result, _ = load(loader, plan("2", full_refresh=True), SAMPLE.slice(0, 1))
    assert result.total_rows == 1


def test_dates_become_texts(loader, tmp_path):
    batch = make_batch(id=[1], day=[date(2026, 1, 31)])
    load(loader, plan("1"), batch)
    rows = read_back(AcmeConfig(path=str(tmp_path / "warehouse.db")), TableName("main", "people"))
    assert rows == [{"id": 1, "day": "2026-01-31"}]
