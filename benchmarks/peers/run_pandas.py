"""pandas with SQLAlchemy: read in chunks, `to_sql` each."""

import os
import sys

import pandas as pd
from sqlalchemy import create_engine

CHUNK_ROWS = 50_000
DATES = ["l_shipdate", "l_commitdate", "l_receiptdate"]


def engine(variable: str):
    return create_engine(os.environ[variable].replace("postgresql:", "postgresql+psycopg2:"))


def chunks(case: str):
    if case == "csv":
        yield from pd.read_csv(os.environ["BENCH_CSV"], chunksize=CHUNK_ROWS, parse_dates=DATES)
        return
    with engine("BENCH_SOURCE_URL").connect().execution_options(stream_results=True) as source:
        yield from pd.read_sql("SELECT * FROM lineitem", source, chunksize=CHUNK_ROWS)


target = engine("BENCH_TARGET_URL")
for chunk in chunks(sys.argv[1]):
    chunk.to_sql("lineitem", target, schema=os.environ["BENCH_SCHEMA"], if_exists="append", index=False)
