"""The data: TPC-H `lineitem`, made by tpchgen-cli; scale 1 has 6,001,215 rows."""

import subprocess
from pathlib import Path

from benchmarks.environments import CACHE, Environment
from benchmarks.server import Server

ROWS_OF_SCALE_1 = 6_000_000
KEY = ("l_orderkey", "l_linenumber")
COLUMNS = {
    "l_orderkey": "bigint",
    "l_partkey": "bigint",
    "l_suppkey": "bigint",
    "l_linenumber": "integer",
    "l_quantity": "numeric(15,2)",
    "l_extendedprice": "numeric(15,2)",
    "l_discount": "numeric(15,2)",
    "l_tax": "numeric(15,2)",
    "l_returnflag": "text",
    "l_linestatus": "text",
    "l_shipdate": "date",
    "l_commitdate": "date",
    "l_receiptdate": "date",
    "l_shipinstruct": "text",
    "l_shipmode": "text",
    "l_comment": "text",
}
DDL = ", ".join(f"{name} {type_}" for name, type_ in COLUMNS.items())
CHANGED_ROWS = 100_000
LEAST_CHANGED_OF = 50


def generate(rows: int, generator: Environment) -> Path:
    """Return the CSV with about so many rows; it is made once."""
    folder = CACHE / "data" / str(rows)
    path = folder / "lineitem.csv"
    if not path.exists():
        part = folder / "part"
        subprocess.run(
            [generator.program("tpchgen-cli"), "csv", "--scale-factor", f"{rows / ROWS_OF_SCALE_1:.7f}",
             "--tables", "lineitem", "--output-dir", part, "--overwrite", "--quiet", "--no-progress"],
            check=True,
        )  # fmt: skip
        (part / "lineitem.csv").rename(path)
        part.rmdir()
    return path


def fill_source(server: Server, path: Path) -> int:
    """Make and fill the table in the database `source`; return its rows."""
    server.execute("source", f"CREATE TABLE lineitem ({DDL})")
    subprocess.run(
        [server.psql, "-qX", "-d", "source", "-c", f"\\copy lineitem FROM '{path}' WITH (FORMAT csv, HEADER)"],
        check=True, env=server.environment(),
    )  # fmt: skip
    server.execute(
        "source",
        f"ALTER TABLE lineitem ADD PRIMARY KEY ({', '.join(KEY)})",
        "VACUUM (FREEZE, ANALYZE) lineitem",
    )
    return int(str(server.row("source", "SELECT count(*) FROM lineitem")[0]))


def changed_of(rows: int) -> int:
    """Return out of how many rows one changes: 100,000 from five million on, below that 2 %."""
    return max(LEAST_CHANGED_OF, rows // CHANGED_ROWS)


def make_delta(server: Server, round_: int, rows: int) -> None:
    """Make the table `delta`: the changed rows and a fiftieth as many new ones, others in each round."""
    out_of = changed_of(rows)
    columns = ", ".join(COLUMNS)
    changed = columns.replace("l_tax", f"(l_tax + 0.0{round_ % 9 + 1})::numeric(15,2) AS l_tax").replace(
        "l_comment", f"'changed in round {round_}' AS l_comment"
    )
    new = columns.replace("l_orderkey", f"l_orderkey + {round_ + 1} * 100000000::bigint")
    # lineitem has no two rows of one key, so picking by a hash of the key is stable.
    number = "abs(hashint8(l_orderkey * 8 + l_linenumber)::bigint)"
    server.execute(
        "source",
        "DROP TABLE IF EXISTS delta",
        f"CREATE TABLE delta AS SELECT {changed} FROM lineitem"
        f" WHERE {number} % {out_of} = {round_ % out_of}"
        f" UNION ALL SELECT {new} FROM lineitem WHERE {number} % {out_of * 50} = {round_}",
        *(
            f"ALTER TABLE delta ALTER {name} TYPE {type_}"
            for name, type_ in COLUMNS.items()
            if name == "l_tax"
        ),
        f"ALTER TABLE delta ADD PRIMARY KEY ({', '.join(KEY)})",
        "VACUUM (FREEZE, ANALYZE) delta",
    )
