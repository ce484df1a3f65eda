"""Servers that speak the protocols of BigQuery and Snowflake, each on a Python of its own."""

import contextlib
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

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
