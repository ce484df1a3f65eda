"""Servers that speak the protocols of BigQuery and Snowflake, each on a Python of its own."""

import contextlib
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from dteg.cli.main import run_app
from dteg.testing.openai_server import Said
from dteg.testing.servers import fresh_port

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
# They start in 2 s, but several tests may run at once.
START_S = 120


@contextlib.contextmanager
def cloud_server(name):
    """Start `bigquery` or `snowflake`, yield its URL, and stop it."""
    python = ROOT / ".dteg" / name / "bin" / "python"
    if not python.exists():
        pytest.skip(f"NOTHING OF {name.upper()} IS TESTED WITHOUT ITS SERVER; make it: .ci/bootstrap {name}")
    port = fresh_port()
    command = [python, HERE / "servers" / f"{name}_server.py", str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(url, process)
            yield url
        finally:
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait(url, process):
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"the server ended with {process.poll()}, or does not answer")


def collected_and_asked(project, model, capsys, *, dialect, url, orders, hidden, good, bad, better):
    """Name a source in `metadata/sources.yaml`, collect it, add examples, and ask it: all on the command line.

    Args:
        project: Where the file is written.
        model: Gives the bad SQL first, then the better one.
        capsys: What was printed.
        dialect: Of the source.
        url: Of the source.
        orders: Its table of 200 orders, as `schema.table`.
        hidden: Its fifth table, which is left out.
        good: SQL of an example that passes.
        bad: SQL that must not.
        better: SQL that counts the orders.
    """
    folder = project.root / "metadata"
    (folder / "sources.yaml").write_text(
        f"sources:\n  - {{name: sales, url: '{url}', tables: ['!{hidden}']}}\n"
    )
    assert run_app(["metadata", "collect", "sales"]) == 0
    assert "sales: published version 1, 4 tables (4 read)" in capsys.readouterr().out
    assert run_app(["metadata", "show", orders.partition(".")[2], "--source", "sales"]) == 0
    assert orders in capsys.readouterr().out
    assert run_app(["metadata", "add-example", "Orders of each status", good, "--source", "sales"]) == 0
    assert run_app(["metadata", "add-example", "All?", bad, "--source", "sales"]) == 2
    assert run_app(["metadata", "collect", "sales"]) == 0
    assert "1 of 1 examples valid" in capsys.readouterr().out
    model.answers = [Said({"sql": sql, "explanation": "Counts."}) for sql in (bad, better)]
    assert run_app(["metadata", "ask", "How many orders are there?", "--source", "sales", "--run"]) == 0
    shown = capsys.readouterr().out
    assert "Counts." in shown
    assert f"Reads {orders}; the server can run it." in shown
    assert "200" in shown.splitlines()[-1]
    assert f"# Tables ({dialect})" in model.asked[0]
    assert "Your last answer was refused" in model.asked[1]
    assert "s3cret" not in "".join(path.read_text() for path in project.root.rglob("*.json"))
