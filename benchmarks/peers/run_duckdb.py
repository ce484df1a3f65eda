"""DuckDB reads the CSV, with the types it finds; ADBC loads it, since DuckDB's own extension is a download."""

import os

import duckdb
from adbc_driver_postgresql import dbapi

reader = duckdb.sql(f"SELECT * FROM read_csv('{os.environ['BENCH_CSV']}')").to_arrow_reader(100_000)
with dbapi.connect(os.environ["BENCH_TARGET_URL"]) as connection, connection.cursor() as cursor:
    cursor.adbc_ingest("lineitem", reader, mode="create", db_schema_name=os.environ["BENCH_SCHEMA"])
    connection.commit()
