"""The extractor as a whole: what is read, snapshots, memory, faults, contract."""

import threading
from time import monotonic, sleep

import pyarrow as pa
import pytest
from pydantic import ValidationError

from dteg.core.errors import PermanentError, TransientError
from dteg.core.types import sql_type
from dteg.testing.contract import contract_tests
from dteg.testing.servers import fresh_port

from .conftest import URL, read
from .mysql import MysqlExtractor, MysqlExtractorConfig

pytestmark = pytest.mark.integration


@pytest.fixture
def orders_config(database):
    return {"url": URL, "tables": ["orders", f"{database.name}.cheap"]}


TestMysqlExtractor = contract_tests(
    MysqlExtractor,
    config="orders_config",
    bad_config=[
        {"tables": [], "table": None},
        {"table": "orders"},
        {"tables": [], "query": "SELECT 1"},
        {"columns": ["id"]},
        {"stream": "both"},
        {"batch_bytes": 1},
        {"url": "mysql://me:secret@localhost/db"},
        {"url": "postgresql://localhost/db"},
        {"tls": "verify_identity", "tls_cert": "client.pem"},
        {"tls_ca": "ca.pem"},
        {"zero_dates": "keep"},
    ],
    broken=lambda: [
        {"tables": ["nothing"]},
        {"tables": ["orders; DROP TABLE orders"]},
        {"url": f"mysql://me@127.0.0.1:{fresh_port()}/none"},
        {"tls": "verify_ca", "tls_ca": "/nowhere/ca.pem"},
    ],
    lazy=("pymysql",),
)


def test_null_is_not_an_empty_text_and_a_view_has_no_key(make):
    assert [row["name"] for row in read(make(table="orders"))] == ["a", None, "", 'line\n"quoted", \\N']
    assert [next(iter(make(table=name).streams())).primary_key for name in ("orders", "cheap")] == [
        ("id",),
        (),
    ]


def test_the_primary_key_is_in_its_own_order_and_known_only_when_all_of_it_is_read(make, database):
    database.sql("CREATE TABLE pairs (a int, b int, c int, PRIMARY KEY (b, a))")
    (whole,) = make(table="pairs").streams()
    (part,) = make(table="pairs", columns=["a", "c"]).streams()
    assert (whole.primary_key, part.primary_key) == (("b", "a"), ())
    assert part.schema.names == ["a", "c"]


def test_a_query_may_end_in_a_semicolon_or_a_comment(make):
    for query in (
        "SELECT id FROM orders WHERE id < 3;",
        "SELECT id FROM orders WHERE id < 3 -- the first ones",
    ):
        assert [row["id"] for row in read(make(query=query, stream="few"))] == [1, 2]


def test_a_query_that_writes_is_refused_and_changes_nothing(make, database):
    database.sql("CREATE SEQUENCE s")
    with pytest.raises(PermanentError, match="must not write"):
        read(make(query="SELECT NEXTVAL(s) AS n", stream="numbers"))
    assert database.sql("SELECT NEXTVAL(s)") == ((1,),)


def test_a_table_without_rows_has_its_schema_and_no_batches(make, database):
    database.sql("CREATE TABLE nothing (a int, b text)")
    extractor = make(table="nothing")
    (stream,) = extractor.streams()
    assert [sql_type(each) for each in stream.schema] == ["integer", "text"]
    assert list(extractor.read(stream, None)) == []


def test_two_columns_of_one_name_are_refused(make):
    with pytest.raises(
        PermanentError, match=r"Duplicate column name 'a'; give one of the columns another name"
    ):
        list(make(query="SELECT 1 AS a, 2 AS a", stream="twice").streams())


NAMES = [
    'with "quotes"',
    "back`tick",
    "per%cent",
    "semi;colon",
    "back\\slash",
    "한글",
    "select",
    "a" * 64,
    "-- comment",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_works_for_table_and_column(make, database, name):
    quoted = "`" + name.replace("`", "``") + "`"
    with database.connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {quoted} ({quoted} int PRIMARY KEY, f float, b bit(3))")
        cursor.execute(f"INSERT INTO {quoted} VALUES (1, 0.5, b'101'), (2, NULL, NULL)")
    assert read(make(table=name), name, 2) == [{name: 2, "f": None, "b": None}]
    assert read(make(table=name, columns=["b", name]))[0] == {"b": "101", name: 1}


BIG = "CREATE TABLE big AS SELECT seq AS id, REPEAT('x', %s) AS name FROM seq_1_to_%s"


def test_all_batches_of_a_stream_are_of_one_snapshot(make, database):
    database.sql(BIG % (100, 20_000))
    extractor = make(table="big", batch_bytes=1 << 16)
    (stream,) = extractor.streams()
    batches = extractor.read(stream, None)
    first = next(batches)
    database.sql("DELETE FROM big WHERE id > 10000;\nINSERT INTO big VALUES (0, 'new')")
    rest = list(batches)
    assert first.num_rows + sum(batch.num_rows for batch in rest) == 20_000
    assert len(rest) > 5


def test_memory_does_not_grow_with_the_rows(make, database):
    database.sql(BIG % (200, 100_000))
    extractor = make(table="big", batch_bytes=1 << 18)
    (stream,) = extractor.streams()
    before, most = pa.total_allocated_bytes(), 0
    for _ in extractor.read(stream, None):
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 8 << 20  # of 20 MB


def test_a_killed_connection_is_transient(make, database):
    database.sql(BIG % (500, 40_000))
    extractor = make(table="big", batch_bytes=1 << 16)
    (stream,) = extractor.streams()
    batches = extractor.read(stream, None)
    next(batches)
    for (number,) in database.sql(
        "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
    ):
        database.sql(f"KILL {number}")
    with pytest.raises(TransientError):
        list(batches)


def test_an_error_in_the_middle_of_the_rows_is_raised(make, database):
    database.sql(BIG % (100, 1500))
    query = "SELECT id, name, (SELECT id FROM big AS b WHERE b.id IN (big.id, IF(big.id = 1400, 1, 0))) AS n FROM big"
    with pytest.raises(PermanentError, match="more than 1 row"):
        read(make(query=query, stream="broken", batch_bytes=1 << 16))


def test_a_read_that_is_given_up_ends_on_the_server_too(make, database):
    database.sql(BIG % (500, 40_000))
    extractor = make(table="big", batch_bytes=1 << 16)
    (stream,) = extractor.streams()
    batches = extractor.read(stream, None)
    next(batches)
    batches.close()
    extractor.close()
    others = (
        "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
    )
    deadline = monotonic() + 60
    while database.sql(others) != ((0,),):
        assert monotonic() < deadline
        sleep(0.05)


def test_the_statement_timeout_ends_a_read(make):
    extractor = make(query="SELECT SLEEP(20) AS x", stream="slow", statement_timeout_s=0.2)
    with pytest.raises(PermanentError, match="raise statement_timeout_s"):
        read(extractor)


def test_a_silent_source_is_given_up(make):
    extractor = make(query="SELECT SLEEP(20) AS x", stream="slow", idle_timeout_s=1)
    with pytest.raises(TransientError, match="sent nothing for 1 s"):
        read(extractor)


def test_the_sensor_sees_changes_in_one_second_and_a_query_has_none(make, database):
    sensor = make(table="orders").change_sensor()
    seen = [sensor.fingerprint()]
    for name in ("b", "c"):
        database.sql("UPDATE orders SET name = %s WHERE id = 1", name)
        seen.append(sensor.fingerprint())
    assert len(set(seen)) == 3
    assert sensor.fingerprint() == seen[-1]
    assert make(query="SELECT 1 AS a", stream="s").change_sensor() is None


def test_two_sources_in_one_config_are_refused():
    with pytest.raises(ValidationError, match="exactly one of table, tables and query"):
        MysqlExtractorConfig(url="mysql://h/d", table="a", query="SELECT 1", stream="x")


def test_extractors_in_threads_do_not_disturb_each_other(make):
    results = []
    threads = [threading.Thread(target=lambda: results.append(read(make(table="orders")))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(rows) for rows in results] == [4] * 4
