import threading
from datetime import UTC, datetime
from decimal import Decimal

import psycopg
import pyarrow as pa
import pytest
from pydantic import ValidationError

from dteg.connectors import Checkpoint, Stream
from dteg.core.errors import ConfigError, PermanentError, TransientError
from dteg.core.types import sql_type
from dteg.testing.contract import contract_tests
from dteg.testing.samples import make_context
from dteg.testing.servers import fresh_port

from .postgres import PostgresExtractor, PostgresExtractorConfig

pytestmark = pytest.mark.integration

ORDERS = """
CREATE TABLE orders (id bigint PRIMARY KEY, name text, price numeric(8,2), seen_at timestamptz);
INSERT INTO orders VALUES (1, 'a', 1.5, '2026-01-01Z'), (2, NULL, NULL, '2026-01-02Z'), (3, '', -1, '2026-01-02Z'),
    (4, E'line\\n"quoted", \\\\N', 0, NULL);
CREATE VIEW cheap AS SELECT id, name FROM orders WHERE price < 1;
"""


@pytest.fixture
def database(postgres_url, monkeypatch):
    monkeypatch.setenv("DTEG_POSTGRES_URL", postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(ORDERS)
        yield connection


@pytest.fixture
def orders_config(database):
    return {"tables": ["public.orders", "public.cheap"]}


TestPostgresExtractor = contract_tests(
    PostgresExtractor,
    config="orders_config",
    bad_config=[
        {"tables": [], "table": None},
        {"table": "public.orders"},
        {"tables": [], "query": "SELECT 1"},
        {"columns": ["id"]},
        {"stream": "both"},
        {"batch_bytes": 1},
        {"url": "postgresql://me:secret@localhost/db"},
    ],
    broken=lambda: [
        {"tables": ["public.nothing"]},
        {"url": f"postgresql://me@127.0.0.1:{fresh_port()}/none"},
    ],
)


@pytest.fixture
def make(database, tmp_path):
    made = []

    def extractor(**config):
        made.append(PostgresExtractor(PostgresExtractorConfig(**config), make_context(tmp_path)))
        return made[-1]

    yield extractor
    for each in made:
        each.close()


def read(extractor, cursor_field=None, since=None):
    (stream,) = extractor.streams()
    stream = Stream(stream.name, stream.schema, stream.primary_key, cursor_field)
    checkpoint = Checkpoint(cursor=since) if since is not None else None
    return [row for batch in extractor.read(stream, checkpoint) for row in batch.to_pylist()]


def test_rows_arrive_with_their_types_and_null_is_not_an_empty_text(make):
    rows = read(make(table="public.orders"))
    assert rows == [
        {"id": 1, "name": "a", "price": Decimal("1.50"), "seen_at": datetime(2026, 1, 1, tzinfo=UTC)},
        {"id": 2, "name": None, "price": None, "seen_at": datetime(2026, 1, 2, tzinfo=UTC)},
        {"id": 3, "name": "", "price": Decimal("-1.00"), "seen_at": datetime(2026, 1, 2, tzinfo=UTC)},
        {"id": 4, "name": 'line\n"quoted", \\N', "price": Decimal("0.00"), "seen_at": None},
    ]


def test_the_primary_key_is_known_only_when_all_of_it_is_read(make):
    (whole,) = make(table="public.orders").streams()
    (part,) = make(table="public.orders", columns=["name"]).streams()
    assert (whole.primary_key, part.primary_key) == (("id",), ())
    assert part.schema.names == ["name"]


def test_the_cursor_is_inclusive(make):
    rows = read(make(table="public.orders"), "seen_at", "2026-01-02T00:00:00+00:00")
    assert [row["id"] for row in rows] == [2, 3]


def test_a_query_may_end_in_a_semicolon_or_a_comment(make):
    for query in (
        "SELECT id FROM orders WHERE id < 3;",
        "SELECT id FROM orders WHERE id < 3 -- the first ones",
    ):
        assert [row["id"] for row in read(make(query=query, stream="few"))] == [1, 2]


def test_a_query_that_writes_is_refused_and_changes_nothing(make, database):
    database.execute("CREATE SEQUENCE s")
    with pytest.raises(PermanentError, match="read-only transaction"):
        read(make(query="SELECT nextval('s') AS n", stream="numbers"))
    assert database.execute("SELECT is_called FROM s").fetchone() == (False,)


def test_a_relation_without_rows_has_its_schema_and_no_batches(make, database):
    database.execute("CREATE TABLE nothing (a int, b text)")
    extractor = make(table="public.nothing")
    (stream,) = extractor.streams()
    assert [sql_type(each) for each in stream.schema] == ["integer", "text"]
    assert list(extractor.read(stream, None)) == []


def test_a_table_that_is_not_there_gets_its_near_miss(make):
    with pytest.raises(
        PermanentError, match=r"the source has no table public\.order; did you mean \"public\.orders\"\?"
    ):
        list(make(tables=["public.order"]).streams())


def test_a_single_column_of_nulls_keeps_its_rows(make, database):
    database.execute("CREATE TABLE holes (a text); INSERT INTO holes VALUES (NULL), (''), (NULL)")
    assert read(make(table="public.holes")) == [{"a": None}, {"a": ""}, {"a": None}]


def test_two_columns_of_one_name_are_refused(make):
    with pytest.raises(ConfigError, match="two columns 'a'"):
        list(make(query="SELECT 1 AS a, 2 AS a", stream="twice").streams())


@pytest.mark.parametrize(
    ("sql_type_", "value"),
    [("timestamptz", "infinity"), ("timestamp", "-infinity"), ("date", "infinity"), ("time", "24:00"),
     ("date", "0044-03-15 BC"), ("timestamp", "12026-01-01"), ("numeric(5,2)", "NaN")],
)  # fmt: skip
def test_a_value_without_arrow_form_is_refused_by_the_name_of_its_column(make, database, sql_type_, value):
    database.execute(f"CREATE TABLE odd (id int, bad {sql_type_}); INSERT INTO odd VALUES (1, '{value}')")
    with pytest.raises(PermanentError, match=r"odd: column bad: .*cast the column to text in a query"):
        read(make(table="public.odd"))
    assert len(read(make(query="SELECT id, bad::text FROM odd", stream="odd"))) == 1


def test_bytes_do_not_depend_on_the_settings_of_the_database(make, database):
    database.execute(f"ALTER DATABASE {database.info.dbname} SET bytea_output = 'escape'")
    database.execute("CREATE TABLE blobs (b bytea)")
    database.execute("INSERT INTO blobs VALUES (%s), (%s), (NULL)", [b"\x00abcd\xff", b""])
    assert [row["b"] for row in read(make(table="public.blobs"))] == [b"\x00abcd\xff", b"", None]


def test_a_database_in_another_encoding_arrives_as_unicode(
    make, database, tmp_path, postgres_url, monkeypatch
):
    name = f"{database.info.dbname}_latin"
    database.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    url = postgres_url.replace(database.info.dbname, name)
    try:
        with psycopg.connect(url, autocommit=True, client_encoding="utf8") as connection:
            connection.execute("CREATE TABLE t (name text); INSERT INTO t VALUES ('Zürich')")
        extractor = make(url=url, table="public.t")
        assert read(extractor) == [{"name": "Zürich"}]
        extractor.close()
    finally:
        database.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_all_batches_of_a_stream_are_of_one_snapshot(make, database):
    database.execute(
        "CREATE TABLE big AS SELECT i AS id, repeat('x', 100) AS name FROM generate_series(1, 20000) AS i"
    )
    extractor = make(table="public.big", batch_bytes=1 << 16)
    (stream,) = extractor.streams()
    batches = extractor.read(stream, None)
    first = next(batches)
    database.execute("DELETE FROM big WHERE id > 10000; INSERT INTO big VALUES (0, 'new')")
    rest = list(batches)
    assert first.num_rows + sum(batch.num_rows for batch in rest) == 20_000
    assert len(rest) > 10


def test_memory_does_not_grow_with_the_rows(make, database):
    database.execute(
        "CREATE TABLE big AS SELECT i AS id, repeat('x', 200) AS name FROM generate_series(1, 100000) AS i"
    )
    extractor = make(table="public.big", batch_bytes=1 << 18)
    (stream,) = extractor.streams()
    before, most = pa.total_allocated_bytes(), 0
    for _ in extractor.read(stream, None):
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 8 << 20  # of 20 MB


def test_a_killed_connection_is_transient(make, database):
    database.execute(
        "CREATE TABLE big AS SELECT i AS id, repeat('x', 500) AS name FROM generate_series(1, 100000) AS i"
    )
    extractor = make(table="public.big", batch_bytes=1 << 16)
    (stream,) = extractor.streams()
    batches = extractor.read(stream, None)
    next(batches)
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    database.execute(others)
    with pytest.raises(TransientError):
        list(batches)


def test_the_statement_timeout_ends_a_read(make):
    extractor = make(query="SELECT pg_sleep(20)::text AS x", stream="slow", statement_timeout_s=0.2)
    with pytest.raises(PermanentError, match="statement timeout"):
        read(extractor)


def test_the_sensor_sees_changes_and_a_query_has_none(make, database):
    sensor = make(table="public.orders").change_sensor()
    database.execute("SELECT pg_stat_force_next_flush()")
    before = sensor.fingerprint()
    assert sensor.fingerprint() == before
    with psycopg.connect(make(table="public.orders").url(), autocommit=True) as writer:
        writer.execute("UPDATE orders SET name = 'b' WHERE id = 1")
        writer.execute("SELECT pg_stat_force_next_flush()")
    assert sensor.fingerprint() != before
    assert make(query="SELECT 1 AS a", stream="s").change_sensor() is None


def test_names_with_quotes_spaces_and_upper_case_are_read(make, database):
    database.execute('CREATE SCHEMA "My ""S"; CREATE TABLE "My ""S"."Größe %" ("select" int, "a b" int)')
    database.execute('INSERT INTO "My ""S"."Größe %" VALUES (1, 2)')
    assert read(make(table='My "S.Größe %'), "a b", 2) == [{"select": 1, "a b": 2}]


def test_two_sources_in_one_config_are_refused():
    with pytest.raises(ValidationError, match="exactly one of table, tables and query"):
        PostgresExtractorConfig(table="a.b", query="SELECT 1", stream="x")


def test_extractors_in_threads_do_not_disturb_each_other(make):
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(read(make(table="public.orders")))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(rows) for rows in results] == [4] * 4
