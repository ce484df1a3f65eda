"""An isolated environment for each peer, made by uv with pinned versions."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".dteg" / "bench"
UV = Path(sys.executable).parent / "uv"

PINNED = {
    "data": ["tpchgen-cli==4.0.0"],
    "dlt": [
        "dlt[postgres,parquet,sql_database]==1.31.0",
        "psycopg2-binary==2.9.13",
        "adbc-driver-postgresql==1.13.0",
        "pyarrow==26.0.1",
    ],
    "sling": ["sling==1.4.11", "sling-linux-amd64==1.4.11"],
    "pandas": ["pandas==3.1.1", "sqlalchemy==2.1.9", "psycopg2-binary==2.9.13"],
    "adbc": ["adbc-driver-postgresql==1.13.0", "pyarrow==26.0.1"],
    "connectorx": ["connectorx==0.4.6", "pyarrow==26.0.1"],
    "duckdb": ["duckdb==2.0.0", "adbc-driver-postgresql==1.13.0", "pyarrow==26.0.1"],
    "tap": ["meltanolabs-tap-postgres==0.10.0"],
    "target": ["meltanolabs-target-postgres==0.8.1"],
}
# Peers that consist of more than one environment.
PARTS = {"singer": ("tap", "target")}


class UnavailableError(Exception):
    """A peer cannot be installed or run here; the message says why."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment and what is in it."""

    folder: Path
    versions: dict[str, str] = field(default_factory=dict)

    def program(self, name: str) -> str:
        """Return the path of one of its programs."""
        return str(self.folder / "bin" / name)

    @property
    def site_packages(self) -> Path:
        return next(self.folder.glob("lib/python*/site-packages"))


def reason(text: str) -> str:
    """Return the telling line of an output, without what belongs to this machine only."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"error|failed|not |cannot|no ", line, re.IGNORECASE)]
    raised = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b", line)]
    line = (raised[:1] or telling or lines or ["no message"])[-1]
    line = re.sub(r"\x1b\[[0-9;]*m", "", line)
    line = re.sub(r"[a-z0-9+]+://\S+", "(url)", line)
    return re.sub(r"(?<![\w.])/[\w./+@-]+", "(path)", line)[:300]


def environment(name: str) -> Environment:
    """Make the environment, or take the one that is there with the same pins.

    Raises:
        UnavailableError: It cannot be installed.
    """
    folder = CACHE / "venvs" / name
    marker = folder / "bench.json"
    if marker.exists():
        kept = json.loads(marker.read_text())
        if kept["pinned"] == PINNED[name]:
            return Environment(folder, kept["versions"])
    folder.parent.mkdir(parents=True, exist_ok=True)
    _uv("venv", "--clear", "--python", sys.executable, str(folder))
    python = str(folder / "bin" / "python")
    _uv("pip", "install", "--python", python, *PINNED[name])
    installed = {
        each["name"]: each["version"]
        for each in json.loads(_uv("pip", "list", "--python", python, "--format", "json"))
    }
    names = [re.split(r"[\[=]", pin)[0] for pin in PINNED[name]]
    versions = {each: installed.get(each, "?") for each in names}
    marker.write_text(json.dumps({"pinned": PINNED[name], "versions": versions}))
    return Environment(folder, versions)


def _uv(*arguments: str) -> str:
    done = subprocess.run([UV, "--quiet", *arguments], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise UnavailableError(f"cannot be installed: {reason(done.stderr)}")
    return done.stdout
