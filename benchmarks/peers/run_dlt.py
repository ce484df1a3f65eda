"""dlt at its fastest for PostgreSQL: the pyarrow backend, and Parquet files that ADBC loads."""

import os
import sys
from pathlib import Path

os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
os.environ.setdefault("RUNTIME__LOG_LEVEL", "ERROR")

import dlt
from dlt.sources.sql_database import sql_table

KEY = ["l_orderkey", "l_linenumber"]
CHUNK_ROWS = 100_000


def table(name: str):
    return sql_table(
        credentials=os.environ["BENCH_SOURCE_URL"].replace("postgresql:", "postgresql+psycopg2:"),
        table=name,
        schema="public",
        backend="pyarrow",
        chunk_size=CHUNK_ROWS,
        reflection_level="full_with_precision",
    )


@dlt.resource(name="lineitem", write_disposition="replace")
def csv():
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    money = pa.decimal128(15, 2)
    types = dict.fromkeys(("l_quantity", "l_extendedprice", "l_discount", "l_tax"), money)
    types |= dict.fromkeys(("l_shipdate", "l_commitdate", "l_receiptdate"), pa.date32())
    reader = arrow_csv.open_csv(
        os.environ["BENCH_CSV"],
        read_options=arrow_csv.ReadOptions(block_size=8 << 20),
        convert_options=arrow_csv.ConvertOptions(column_types=types),
    )
    for batch in reader:
        yield pa.Table.from_batches([batch])


def main(case: str) -> None:
    folder = Path(os.environ["BENCH_FOLDER"])
    if case == "parquet":
        out = folder / "out" / "dlt"
        out.mkdir(parents=True, exist_ok=True)
        destination = dlt.destinations.filesystem(out.as_uri())
    else:
        destination = dlt.destinations.postgres(os.environ["BENCH_TARGET_URL"])
    pipeline = dlt.pipeline(
        "bench_" + case.partition("-")[0],
        pipelines_dir=str(folder / "dlt"),
        destination=destination,
        dataset_name=os.environ["BENCH_SCHEMA"],
    )
    if case == "csv":
        data = csv()
    elif case == "merge":
        data = table("delta")
        data.apply_hints(
            table_name="lineitem",
            primary_key=KEY,
            # The delta has each key once; said so, dlt leaves out its DISTINCT step.
            write_disposition={"disposition": "merge", "strategy": "delete-insert", "deduplicated": True},
        )
    else:
        data = table("lineitem")
        data.apply_hints(write_disposition="replace", primary_key=KEY)
    pipeline.run(data, loader_file_format="parquet").raise_on_failed_jobs()


main(sys.argv[1])
