"""MeltanoLabs' tap-postgres into target-postgres, with COPY and large batches; called with the two programs."""

import json
import os
import subprocess
import sys
from pathlib import Path

BATCH_ROWS = 100_000
STREAM = "public-lineitem"


def server(database: str) -> dict[str, object]:
    names = {"host": "PGHOST", "user": "PGUSER", "password": "PGPASSWORD"}
    found: dict[str, object] = {name: os.environ[variable] for name, variable in names.items()}
    return {**found, "port": int(os.environ["PGPORT"]), "database": database}


def prepare(tap: str, folder: Path) -> tuple[Path, Path, Path]:
    """Write the configurations and, once, the catalogue: a user keeps it too."""
    source, target, catalog = (folder / f"singer_{name}.json" for name in ("source", "target", "catalog"))
    source.write_text(
        json.dumps({"sqlalchemy_url": os.environ["BENCH_SOURCE_URL"], "filter_schemas": ["public"]})
    )
    settings = {
        **server("target"),
        "default_target_schema": os.environ["BENCH_SCHEMA"],
        "use_copy": True,
        "batch_size_rows": BATCH_ROWS,
        "add_record_metadata": False,
        "activate_version": False,
    }
    target.write_text(json.dumps(settings))
    if not catalog.exists():
        done = subprocess.run([tap, "--config", source, "--discover"], check=True, capture_output=True)
        found = json.loads(done.stdout)
        found["streams"] = [each for each in found["streams"] if each["tap_stream_id"] == STREAM]
        for each in found["streams"][0]["metadata"]:
            each["metadata"]["selected"] = True
        catalog.write_text(json.dumps(found))
    return source, target, catalog


def main(tap: str, target: str) -> int:
    source, settings, catalog = prepare(tap, Path(os.environ["BENCH_FOLDER"]))
    with subprocess.Popen([tap, "--config", source, "--catalog", catalog], stdout=subprocess.PIPE) as reader:
        writer = subprocess.run(
            [target, "--config", settings], stdin=reader.stdout, stdout=sys.stderr, check=False
        )
    return reader.returncode or writer.returncode


sys.exit(main(*sys.argv[1:]))
