"""wrk, a generator written in C: on two cores it leaves more of them to the registry than one in Python does."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.registry.wire import Call

_SCRIPT = """
local calls = {{}}
local file = io.open("{calls}", "rb")
local count = {count}
for number = 1, count do
  local size = file:read("*l")
  calls[number] = file:read(tonumber(size))
  file:read(1)
end
file:close()
math.randomseed({seed})
request = function() return calls[math.random(count)] end
done = function(summary, latency, requests)
  io.write(string.format(
    '\\n{{"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, "connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), summary.errors.connect,
    summary.errors.read, summary.errors.write, summary.errors.status, summary.errors.timeout))
end
"""


@cache
def program() -> str | None:
    """Return the program; None where it is not installed."""
    return shutil.which("wrk")


def run(
    port: int, calls: Sequence[Call], *, connections: int, seconds: float, seed: int = 1
) -> dict[str, Any]:
    """Send calls drawn at random on so many connections, each when it has the answer to the one before."""
    found = program()
    assert found is not None
    with tempfile.TemporaryDirectory(prefix="dteg-bench-wrk-") as name:
        file, script = Path(name) / "calls", Path(name) / "calls.lua"
        file.write_bytes(b"".join(b"%d\n%s\n" % (len(call.data), call.data) for call in calls))
        script.write_text(_SCRIPT.format(calls=file, count=len(calls), seed=seed))
        command = [
            found,
            "-t1",
            f"-c{connections}",
            f"-d{max(1, round(seconds))}s",
            "--latency",
            "-s",
            str(script),
        ]
        done = subprocess.run(
            [*command, f"http://127.0.0.1:{port}"],
            check=True,
            capture_output=True,
            text=True,
            timeout=seconds + 120,
        )
    result = json.loads(done.stdout.strip().splitlines()[-1])
    wrong = sum(result[name] for name in ("connect", "read", "write", "status", "timeout"))
    return {
        "requests": result["requests"], "per_second": round(result["requests"] / (result["duration_us"] / 1e6)),
        "p50_ms": round(result["p50_us"] / 1000, 2), "p99_ms": round(result["p99_us"] / 1000, 2), "wrong": wrong,
    }  # fmt: skip
