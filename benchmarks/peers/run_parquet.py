"""A table of PostgreSQL into one Parquet file (zstd) by ADBC, connectorx or DuckDB."""

import os
import sys

TOOL = sys.argv[1]
URL = os.environ["BENCH_SOURCE_URL"]
PATH = os.path.join(os.environ["BENCH_FOLDER"], "out", f"{TOOL}.parquet")  # noqa: PTH118
QUERY = "SELECT * FROM lineitem"


def write(schema, batches) -> None:
    from pyarrow import parquet

    with parquet.ParquetWriter(PATH, schema, compression="zstd") as file:
        for batch in batches:
            file.write_batch(batch)


def adbc() -> None:
    import pyarrow as pa
    from adbc_driver_postgresql import dbapi

    money = {"l_quantity", "l_extendedprice", "l_discount", "l_tax"}
    with dbapi.connect(URL) as connection, connection.cursor() as cursor:
        cursor.execute(QUERY)
        reader = cursor.fetch_record_batch()
        schema = pa.schema(
            [
                pa.field(each.name, pa.decimal128(15, 2) if each.name in money else each.type)
                for each in reader.schema
            ]
        )

        def decimals(batch):
            columns = []
            for column, field in zip(batch.columns, schema, strict=True):
                plain = column.storage if isinstance(column, pa.ExtensionArray) else column
                columns.append(plain.cast(field.type))
            return pa.RecordBatch.from_arrays(columns, schema=schema)

        write(schema, map(decimals, reader))


def connectorx() -> None:
    import connectorx

    reader = connectorx.read_sql(URL, QUERY, return_type="arrow_stream")
    write(reader.schema, reader)


def duckdb() -> None:
    import duckdb

    duckdb.execute("INSTALL postgres; LOAD postgres")
    duckdb.execute(f"ATTACH '{URL}' AS source (TYPE postgres, READ_ONLY)")
    duckdb.execute(f"COPY source.public.lineitem TO '{PATH}' (FORMAT parquet, COMPRESSION zstd)")


{"adbc": adbc, "connectorx": connectorx, "duckdb": duckdb}[TOOL]()
