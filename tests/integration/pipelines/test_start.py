"""What a run that relays bytes imports, and how much memory it takes: most of both would be libraries it does not use."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Arrow alone is 40 MB and 0.1 s; the limit leaves some room for another Python and other C libraries.
MAX_MB = 72
UNUSED = {
    "dagster", "dbt", "duckdb", "httpx", "jinja2", "numpy", "pandas", "pyarrow", "rich", "sqlglot", "tenacity",
}  # fmt: skip
PROGRAM = """
import atexit, pathlib, sys
from dteg.cli.main import leave, run_app

def tell():
    status = pathlib.Path("/proc/self/status").read_text()
    peak_kb = status.split("VmHWM:")[1].split()[0]
    print("PEAK_KB", peak_kb, *sys.modules, file=sys.stderr)

atexit.register(tell)
leave(run_app(sys.argv[1:]))
"""
PIPELINE = """
pipeline:
  name: p
  extract: {type: postgres, config: {table: public.source}}
  load: {type: postgres, config: {table: raw.t}, %s}
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
@pytest.mark.parametrize(
    ("rows", "step"),
    [
        (10, "write: replace"),
        (300_000, "write: replace"),
        (1000, "write: merge, primary_key: [id], cursor: id"),
    ],
)
def test_a_relay_imports_only_what_it_needs(warehouse, rows, step):
    """Tried: with `import pyarrow` in `dteg/core/columns.py`, this turns red."""
    warehouse.sql(
        f"CREATE TABLE source AS SELECT i::bigint AS id, repeat('x', 90) AS text, i::numeric(15,2) AS price, now() AS at"
        f" FROM generate_series(1, {rows}) AS i"
    )
    path = warehouse.folder / "pipelines" / "p.yaml"
    path.parent.mkdir()
    path.write_text(PIPELINE % step)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "run", "p", "--json"],
        cwd=warehouse.folder, env={**os.environ, "DTEG_POSTGRES_URL": warehouse.url}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (stream,) = json.loads(done.stdout)["streams"]
    assert stream["path"].startswith("relay")
    assert stream["load"]["rows_written"] == rows
    _, peak_kb, *modules = done.stderr.splitlines()[-1].split()
    peak_mb = int(peak_kb) / 1024
    print(f"{rows} rows: peak {peak_mb:.1f} MB, {len(modules)} modules")
    assert {name.split(".")[0] for name in modules} & UNUSED == set()
    assert peak_mb < MAX_MB
