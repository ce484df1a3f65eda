from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import psycopg
import pyarrow as pa
import pytest
from pydantic import ValidationError

from dteg.connectors import Checkpoint, DeadLetter, LoadPlan
from dteg.core.errors import ConfigError, PermanentError, QualityGateError, TransientError
from dteg.core.identifiers import TableName
from dteg.testing.contract import contract_tests
from dteg.testing.samples import make_batch, make_context

from .encode import encode
from .postgres import PostgresLoader, PostgresLoaderConfig

pytestmark = pytest.mark.integration


@pytest.fixture
def database(postgres_url, monkeypatch):
    monkeypatch.setenv("DTEG_POSTGRES_URL", postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("SET timezone TO 'UTC'")
        yield connection


@pytest.fixture
def loader_config(database):
    return {"table": "raw.{stream}", "lock_timeout_s": 30}


@pytest.fixture
def read_back(database):
    def rows(config, table):
        if database.execute("SELECT to_regclass(%s)", [table.sql]).fetchone() == (None,):
            return []
        with database.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            return cursor.execute(f"SELECT * FROM {table.sql}").fetchall()

    return rows


TestPostgresLoader = contract_tests(
    PostgresLoader,
    config="loader_config",
    bad_config=[{"table": ""}, {"lock_timeout_s": 0}, {"url": "host=db password=x"}],
    broken=[{"url": "postgresql://me@127.0.0.1:1/none"}],
    read_back="read_back",
)


def make_plan(batch, **changes):
    values = {
        "pipeline": "p", "stream": "s", "target": TableName("raw", "t"), "schema": batch.schema,
        "disposition": "append", "load_id": "load-1",
    }  # fmt: skip
    return LoadPlan(**{**values, **changes})


@pytest.fixture
def load(database, tmp_path):
    """Load batches in one session and return its result."""

    def run(*batches, letters=(), **changes):
        loader = PostgresLoader(
            PostgresLoaderConfig(table="raw.t", lock_timeout_s=0.3), make_context(tmp_path)
        )
        with loader, loader.open(make_plan(batches[0], **changes)) as session:
            schema = session.begin(batches[0].schema)
            for batch in batches:
                session.write(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
            if letters:
                session.reject(list(letters))
            return session.publish(Checkpoint())

    return run


def test_a_password_in_the_url_is_refused_without_showing_it():
    for url in (
        "postgresql://me:hunter2@db/x",
        "postgresql://db/x?password=hunter2",
        "host=db password=hunter2",
    ):
        with pytest.raises(ValidationError, match="the URL holds a password") as caught:
            PostgresLoaderConfig(table="a.b", url=url)
        assert "hunter2" not in str(caught.value)


def test_every_arrow_type_is_written_as_postgresql_reads_it(load, database):
    batch = make_batch(
        small=pa.array([1, None], pa.int8()),
        half=pa.array([1.5, None], pa.float16()),
        real=pa.array([0.1, float("nan")], pa.float32()),
        double=pa.array([0.1, float("-inf")], pa.float64()),
        big=pa.array([Decimal("1" * 40), None], pa.decimal256(50, 0)),
        blob=pa.array([b"\x00\xff", b""], pa.binary()),
        fixed=pa.array([b"ab", None], pa.binary(2)),
        wide=pa.array(["x", None], pa.large_string()),
        words=pa.array(["a", "a"]).dictionary_encode(),
        tags=pa.array([["a", 'b"'], None], pa.list_(pa.string())),
        nested=pa.array([{"a": 1, "b": date(2026, 1, 1)}, None]),
        spent=pa.array([timedelta(days=1, microseconds=5), timedelta(microseconds=-1)], pa.duration("us")),
        at=pa.array([datetime(2026, 1, 1, 12, 0, 0, 123456, UTC), None], pa.timestamp("us", "UTC")),
        day=pa.array([date(1, 1, 1), date(9999, 12, 31)]),
    )
    load(batch)
    row = database.execute(
        "SELECT small, half, real::text, double::text, big::text, blob, fixed, wide, words, tags::text, nested::text,"
        " spent::text, at::text, day::text FROM raw.t WHERE small = 1"
    ).fetchone()
    assert row == (
        1, 1.5, "0.1", "0.1", "1" * 40, b"\x00\xff", b"ab", "x", "a", '["a", "b\\""]', '{"a": 1, "b": "2026-01-01"}',
        "24:00:00.000005", "2026-01-01 12:00:00.123456+00", "0001-01-01",
    )  # fmt: skip
    other = "SELECT real::text, double::text, blob, spent::text, day::text FROM raw.t WHERE small IS NULL"
    assert database.execute(other).fetchone() == ("NaN", "-Infinity", b"", "-00:00:00.000001", "9999-12-31")


def test_texts_are_always_quoted_and_null_is_empty():
    assert bytes(encode(make_batch(a=["", None, 'q"', "\\."]))) == b'""\n\n"q"""\n"\\."\n'


def test_a_reserved_column_name_is_refused(load):
    with pytest.raises(ConfigError, match="_loaded_at is dteg's own"):
        load(make_batch(_loaded_at=[1]))


def test_a_long_column_name_is_refused_and_63_bytes_fit(load, database):
    with pytest.raises(ConfigError, match="longer than 63 bytes"):
        load(make_batch(**{"ü" * 32: [1]}))
    load(make_batch(**{"ü" * 31 + "x": [1]}))
    assert database.execute(f'SELECT "{"ü" * 31}x" FROM raw.t').fetchone() == (1,)


def test_a_value_that_the_database_refuses_leaves_nothing(load, database):
    database.execute(
        "CREATE TYPE mood AS ENUM ('good'); CREATE SCHEMA raw; CREATE TABLE raw.t (id bigint, m mood)"
    )
    with pytest.raises(PermanentError, match='invalid input value for enum mood: "bad"'):
        load(make_batch(id=[1, 2], m=["good", "bad"]), schema_policy="quarantine")
    assert database.execute("SELECT count(*) FROM raw.t").fetchone() == (0,)
    assert database.execute("SELECT count(*) FROM _dteg.loads").fetchone() == (0,)


def test_a_constraint_that_is_checked_at_commit_is_our_error_without_the_values(load, database):
    database.execute("CREATE SCHEMA raw; CREATE TABLE raw.t (id bigint UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(PermanentError, match=r"duplicate key value.*constraint t_id_key") as caught:
        load(make_batch(id=[7654321, 7654321]))
    assert "7654321" not in str(caught.value)
    assert database.execute("SELECT count(*) FROM raw.t").fetchone() == (0,)


def test_a_second_load_gives_up_after_the_lock_timeout(load, database, tmp_path):
    batch = make_batch(id=[1])
    loader = PostgresLoader(PostgresLoaderConfig(table="raw.t"), make_context(tmp_path))
    with loader.open(make_plan(batch)), pytest.raises(TransientError, match=r"another load of raw\.t"):
        load(batch, load_id="load-2")


def test_dead_letters_are_written_even_with_characters_that_jsonb_cannot_hold(load, database):
    letters = [
        DeadLetter("why\x00", "row 1", {"a": "nul \x00", "b": "한", "n": 1.5}),
        DeadLetter("w", "row 2", {}),
    ]
    result = load(make_batch(id=[1]), letters=letters, max_bad_rows=2)
    rows = database.execute(
        "SELECT load_id, reason, position, payload FROM raw.t__dead_letters ORDER BY id"
    ).fetchall()
    assert rows[0] == ("load-1", "why\ufffd", "row 1", {"a": "nul \ufffd", "b": "한", "n": 1.5})
    assert (result.rows_read, result.rows_rejected) == (3, 2)


def test_too_many_dead_letters_undo_the_load_and_its_dead_letters(load, database):
    """Tried: with the check in `reject` removed, the load is published and this test turns red."""
    with pytest.raises(QualityGateError, match=r"more than max_bad_rows: 1 .* row 2: w") as caught:
        load(make_batch(id=[1]), letters=[DeadLetter("w", f"row {n}", {}) for n in (2, 3)], max_bad_rows=1)
    assert caught.value.failed == ["max_bad_rows"]
    for table in ("raw.t", "raw.t__dead_letters"):
        assert database.execute("SELECT to_regclass(%s)", [table]).fetchone() == (None,)


def test_a_table_that_is_not_unique_cannot_be_merged_into(load, database):
    database.execute("CREATE SCHEMA raw; CREATE TABLE raw.t (id bigint); INSERT INTO raw.t VALUES (1), (1)")
    with pytest.raises(ConfigError, match=r"raw\.t has duplicates of its primary_key \['id'\]"):
        load(make_batch(id=[1]), disposition="merge", primary_key=("id",))


def test_a_table_of_another_maker_gets_the_key_and_the_column_that_merge_needs(load, database):
    database.execute(
        "CREATE SCHEMA raw; CREATE TABLE raw.t (id bigint, n text); INSERT INTO raw.t VALUES (1, 'a')"
    )
    load(make_batch(id=[1, 2], n=["b", "c"]), disposition="merge", primary_key=("id",))
    assert database.execute("SELECT id, n, _loaded_at IS NOT NULL FROM raw.t ORDER BY id").fetchall() == [
        (1, "b", True),
        (2, "c", True),
    ]


def test_scd2_and_other_tables_are_not_mixed(load):
    batch = make_batch(id=[1])
    load(batch, disposition="scd2", primary_key=("id",))
    with pytest.raises(ConfigError, match="was made for write: scd2"):
        load(batch, load_id="2")
    load(batch, load_id="3", target=TableName("raw", "plain"))
    with pytest.raises(ConfigError, match="was not made for write: scd2"):
        load(batch, load_id="4", target=TableName("raw", "plain"), disposition="scd2", primary_key=("id",))


def test_generated_columns_are_left_to_the_database(load, database):
    database.execute(
        "CREATE SCHEMA raw; CREATE TABLE raw.t (n bigint GENERATED ALWAYS AS IDENTITY, id bigint,"
        " twice bigint GENERATED ALWAYS AS (id * 2) STORED)"
    )
    load(make_batch(id=[5]), schema_policy="freeze")
    assert database.execute("SELECT n, id, twice FROM raw.t").fetchall() == [(1, 5, 10)]


def test_a_session_that_is_given_up_leaves_no_backend_and_no_lock(load, database, tmp_path):
    batch = make_batch(id=[1])
    loader = PostgresLoader(PostgresLoaderConfig(table="raw.t"), make_context(tmp_path))
    session = loader.open(make_plan(batch))
    session.write(pa.RecordBatch.from_arrays(batch.columns, schema=session.begin(batch.schema)))
    session.close()
    load(batch, load_id="load-2")
    assert database.execute("SELECT count(*) FROM raw.t").fetchone() == (1,)


def test_a_replay_of_a_merge_does_not_even_lock_its_rows(load, database):
    """Tried: without the rows being left out beforehand, ON CONFLICT leaves its lock in xmax and this turns red."""
    batch = make_batch(id=list(range(50)), n=["a"] * 50)
    merge = {"disposition": "merge", "primary_key": ("id",)}
    load(batch, **merge)
    assert load(batch, load_id="2", **merge).rows_written == 0
    assert database.execute("SELECT count(*) FROM raw.t WHERE xmax <> 0").fetchone() == (0,)


@pytest.mark.parametrize(("values", "last"), [(["b", "a"], "a"), (["a", "b"], "b"), (["b", "c"], "c")])
def test_the_last_of_repeated_keys_wins_beside_rows_that_are_the_same(load, database, values, last):
    """Tried: without the unique index, ["b", "a"] leaves b, because the row with a is like the target's."""
    merge = {"disposition": "merge", "primary_key": ("id",)}
    load(make_batch(id=list(range(9)), n=["a"] * 9), **merge)
    load(make_batch(id=[*range(9), 0, 0], n=["a"] * 9 + values), load_id="2", **merge)
    expected = [(n, last if n == 0 else "a") for n in range(9)]
    assert database.execute("SELECT id, n FROM raw.t ORDER BY id").fetchall() == expected


@pytest.mark.parametrize("disposition", ["merge", "scd2"])
def test_a_first_load_with_repeated_keys_keeps_the_last_rows_and_makes_the_key(load, database, disposition):
    batch = make_batch(id=[1, 2, 1], n=["a", "b", "c"])
    result = load(batch, disposition=disposition, primary_key=("id",))
    assert (result.rows_read, result.rows_written, result.total_rows) == (3, 2, 2)
    assert database.execute("SELECT id, n FROM raw.t ORDER BY id").fetchall() == [(1, "c"), (2, "b")]
    with pytest.raises(psycopg.errors.UniqueViolation):
        database.execute("INSERT INTO raw.t (id, n) VALUES (1, 'd')")


def test_a_table_that_could_hold_null_keys_is_not_searched_for_them(load, database, tmp_path):
    batch = make_batch(id=[1])
    load(batch, primary_key=("id",))
    loader = PostgresLoader(PostgresLoaderConfig(table="raw.t"), make_context(tmp_path))
    with loader.open(make_plan(batch, load_id="2", primary_key=("id",))) as session:
        session.begin(batch.schema)
        assert "allows a null in primary_key" in session.accept(None)
