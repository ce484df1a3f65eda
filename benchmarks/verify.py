"""Whether a target holds what the source holds: the number of rows and a hash over their business columns."""

from collections.abc import Mapping
from pathlib import Path

from benchmarks.data import COLUMNS, DDL
from benchmarks.server import Server

Digest = tuple[int, str]


def digest(server: Server, database: str, table: str, renamed: Mapping[str, str] | None = None) -> Digest:
    """Return rows and hash of a table; columns are cast to the types of the source, so the order of rows is free."""
    names = renamed or {}
    row = ", ".join(f'"{names.get(name, name)}"::{type_}' for name, type_ in COLUMNS.items())
    found = server.row(database, f"SELECT count(*), sum(hashtextextended(ROW({row})::text, 0)) FROM {table}")
    return int(str(found[0])), str(found[1])


def types(server: Server, schema: str) -> dict[str, str]:
    """Return the types that a tool gave the business columns of its target."""
    found = server.row(
        "target",
        "SELECT json_object_agg(attname, format_type(atttypid, atttypmod)) FROM pg_attribute"
        f" WHERE attrelid = to_regclass('{schema}.lineitem') AND attnum > 0 AND attname LIKE 'l\\_%'",
    )
    return dict(found[0]) if found and isinstance(found[0], dict) else {}


def versions_of_rows(server: Server, table: str) -> str:
    """Return a hash over place and transaction of every row version: equal only if nothing was written."""
    query = f"SELECT sum(hashtextextended(ctid::text || xmin::text, 0)) FROM {table}"
    return str(server.row("target", query)[0])


def parquet_digest(server: Server, path: Path) -> Digest:
    """Load Parquet files into a table with the types of the source, and return its digest."""
    import io

    import psycopg
    from pyarrow import csv, parquet

    files = sorted(path.rglob("lineitem/*.parquet")) if path.is_dir() else [path]
    with psycopg.connect(server.url("target"), autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS bench_parquet")
        connection.execute(f"CREATE UNLOGGED TABLE bench_parquet ({DDL})".encode())
        with connection.cursor().copy("COPY bench_parquet FROM STDIN (FORMAT csv)") as copy:
            for file in files:
                for batch in parquet.ParquetFile(file).iter_batches(columns=list(COLUMNS)):
                    buffer = io.BytesIO()
                    csv.write_csv(batch.select(list(COLUMNS)), buffer, csv.WriteOptions(include_header=False))
                    copy.write(buffer.getvalue())
    return digest(server, "target", "bench_parquet")
