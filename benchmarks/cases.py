"""The cases: what is moved, the limit that no tool can beat, dteg, and its peers."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.data import COLUMNS, DDL, KEY
from benchmarks.environments import ROOT, Environment
from benchmarks.server import Server

PEERS = Path(__file__).parent / "peers"
Role = Literal["limit", "dteg", "peer"]


@dataclass(frozen=True)
class Context:
    """What the commands need: the server, a folder for a case, the CSV, and the peers' environments."""

    server: Server
    folder: Path
    csv: Path
    environments: Mapping[str, Environment]


Command = Callable[[Context], list[str]]


@dataclass(frozen=True)
class Contestant:
    """One way to do a case.

    Attributes:
        name: Unique within the case.
        command: What is measured.
        role: The limit, dteg or a peer.
        needs: Environments it runs in.
        note: How it is set up, for the report.
        pipeline: The steps of dteg's pipeline.
        renamed: Columns that have another name in the target.
        make_table: Whether the empty target table is made for it beforehand.
        before: What fills its target before the first round; not measured.
    """

    name: str
    command: Command
    role: Role = "peer"
    needs: tuple[str, ...] = ()
    note: str = ""
    pipeline: dict[str, Any] | None = None
    renamed: dict[str, str] = field(default_factory=dict)
    make_table: bool = False
    before: Command | None = None

    @property
    def schema(self) -> str:
        """Its schema in the target database."""
        return "bench_" + self.name.replace(" ", "_")


@dataclass(frozen=True)
class Case:
    """A case and everyone who takes part."""

    name: str
    title: str
    contestants: tuple[Contestant, ...]
    metric: Literal["wall", "cpu"] = "wall"
    keeps_target: bool = False


def script(environment: str, file: str, *arguments: str) -> Command:
    """Run one of the peers' scripts in its environment."""
    return lambda context: [
        context.environments[environment].program("python"),
        str(PEERS / file),
        *arguments,
    ]


def shell(text: str) -> Command:
    """Run a line of shell in which `$PSQL` is the client."""
    return lambda context: [
        "sh",
        "-ec",
        text.replace("$PSQL", f"'{context.server.psql}' -qX -v ON_ERROR_STOP=1"),
    ]


def dteg(name: str, *steps: dict[str, Any], **more: Any) -> Contestant:
    """Run a pipeline as `dteg run`, in a process of its own."""
    pipeline = "bench_" + name.replace(" ", "_")
    return Contestant(
        name,
        lambda _: [str(ROOT / ".venv/bin/dteg"), "run", pipeline, "--json"],
        role="dteg",
        pipeline={"pipeline": {"name": pipeline, "steps": list(steps)}},
        **more,
    )


def write_pipelines(case: Case, folder: Path) -> None:
    """Make the project folder that dteg runs in; JSON is YAML too."""
    (folder / "pipelines").mkdir(parents=True, exist_ok=True)
    (folder / "out").mkdir(exist_ok=True)
    for each in case.contestants:
        if each.pipeline:
            text = json.dumps(each.pipeline, indent=1)
            path = folder / "pipelines" / f"{each.pipeline['pipeline']['name']}.yaml"
            path.write_text(text.replace("{csv}", str(folder / "lineitem.csv")))
            if each.before:
                path.with_name("first_load.yaml").write_text(
                    text.replace("public.delta", "public.lineitem").replace('"bench_dteg"', '"first_load"')
                )


def _from_table(table: str = "public.lineitem") -> dict[str, Any]:
    return {
        "extract": {"type": "postgres", "config": {"url": "secret://env/BENCH_SOURCE_URL", "table": table}}
    }


def _into(schema: str, write: str = "replace", **more: Any) -> dict[str, Any]:
    return {"load": {"type": "postgres", "config": {"table": f"{schema}.lineitem"}, "write": write, **more}}


def _sling(source: str, stream: str) -> Command:
    return lambda context: [
        str(context.environments["sling"].site_packages / "sling_linux_amd64/bin/sling-linux-amd64"), "run",
        *(["--src-conn", source] if source else []), "--src-stream", stream.replace("{csv}", str(context.csv)),
        "--tgt-conn", "SLING_TARGET", "--tgt-object", "bench_sling.lineitem", "--mode", "full-refresh",
    ]  # fmt: skip


def _singer(context: Context) -> list[str]:
    tap, target = context.environments["tap"], context.environments["target"]
    programs = [tap.program("tap-postgres"), target.program("target-postgres")]
    return [tap.program("python"), str(PEERS / "run_singer.py"), *programs]


COPY = Case(
    "copy",
    "PostgreSQL to PostgreSQL",
    (
        Contestant(
            "psql",
            shell(
                '$PSQL -d source -c "COPY lineitem TO STDOUT (FORMAT binary)"'
                ' | $PSQL -d target -c "COPY bench_psql.lineitem FROM STDIN (FORMAT binary)"'
            ),
            role="limit",
            make_table=True,
            note="psql | psql, COPY in binary",
        ),
        dteg("dteg", _from_table(), _into("bench_dteg"), note="no processor: the server's own bytes"),
        dteg(
            "dteg arrow",
            _from_table(),
            {"process": {"type": "rename", "config": {"columns": {"l_comment": "remark"}}}},
            _into("bench_dteg_arrow"),
            renamed={"l_comment": "remark"},
            note="with a processor: Arrow batches",
        ),
        Contestant(
            "dlt",
            script("dlt", "run_dlt.py", "copy"),
            needs=("dlt",),
            note="pyarrow backend, Parquet by ADBC",
        ),
        Contestant("sling", _sling("SLING_SOURCE", "public.lineitem"), needs=("sling",), note="full-refresh"),
        Contestant(
            "pandas", script("pandas", "run_pandas.py", "copy"), needs=("pandas",), note="read_sql, to_sql"
        ),
        Contestant(
            "singer", _singer, needs=("tap", "target"), note="MeltanoLabs, use_copy, 100,000 rows a batch"
        ),
    ),
)

CSV = Case(
    "csv",
    "CSV to PostgreSQL",
    (
        Contestant(
            "psql",
            lambda context: [
                str(context.server.psql),
                "-qX",
                "-v",
                "ON_ERROR_STOP=1",
                "-d",
                "target",
                "-c",
                f"\\copy bench_psql.lineitem FROM '{context.csv}' WITH (FORMAT csv, HEADER)",
            ],
            role="limit",
            make_table=True,
            note="\\copy",
        ),
        dteg(
            "dteg typed",
            {"extract": {"type": "files", "config": {"path": "{csv}", "columns": COLUMNS}}},
            _into("bench_dteg_typed"),
            note="types declared",
        ),
        dteg(
            "dteg inferred",
            {"extract": {"type": "files", "config": {"path": "{csv}"}}},
            _into("bench_dteg_inferred"),
            note="types found from all values",
        ),
        Contestant(
            "dlt",
            script("dlt", "run_dlt.py", "csv"),
            needs=("dlt",),
            note="pyarrow.csv, types declared, Parquet by ADBC",
        ),
        Contestant("sling", _sling("", "file://{csv}"), needs=("sling",), note="full-refresh"),
        Contestant(
            "duckdb", script("duckdb", "run_duckdb.py"), needs=("duckdb",), note="read_csv, types found; ADBC"
        ),
        Contestant(
            "pandas", script("pandas", "run_pandas.py", "csv"), needs=("pandas",), note="read_csv, to_sql"
        ),
    ),
)

_NAMES = ", ".join(COLUMNS)
_UPSERT = (
    f"INSERT INTO bench_psql.lineitem ({_NAMES}) SELECT {_NAMES} FROM delta ON CONFLICT ({', '.join(KEY)}) DO UPDATE SET "
    + ", ".join(f"{name} = EXCLUDED.{name}" for name in COLUMNS if name not in KEY)
)
MERGE = Case(
    "merge",
    "merge of changed rows by key",
    (
        Contestant(
            "psql",
            shell(
                '$PSQL -d source -c "COPY delta TO STDOUT (FORMAT binary)" | $PSQL -1 -d target'
                f' -c "CREATE TEMP TABLE delta ({DDL}) ON COMMIT DROP"'
                ' -c "COPY delta FROM STDIN (FORMAT binary)" -c "ANALYZE delta"'
                f' -c "{_UPSERT}"'
            ),
            role="limit",
            make_table=True,
            before=shell(
                '$PSQL -d source -c "COPY lineitem TO STDOUT (FORMAT binary)"'
                ' | $PSQL -d target -c "COPY bench_psql.lineitem FROM STDIN (FORMAT binary)"'
                f' -c "ALTER TABLE bench_psql.lineitem ADD PRIMARY KEY ({", ".join(KEY)})"'
            ),
            note="COPY into a temporary table, INSERT ... ON CONFLICT DO UPDATE",
        ),
        dteg(
            "dteg",
            _from_table("public.delta"),
            _into("bench_dteg", "merge", primary_key=list(KEY)),
            before=lambda _: [str(ROOT / ".venv/bin/dteg"), "run", "first_load", "--json"],
            note="write: merge",
        ),
        Contestant(
            "dlt",
            script("dlt", "run_dlt.py", "merge"),
            needs=("dlt",),
            before=script("dlt", "run_dlt.py", "merge-first"),
            note="merge, delete-insert; Parquet by ADBC",
        ),
    ),
    keeps_target=True,
)

PARQUET = Case(
    "parquet",
    "PostgreSQL to Parquet (zstd)",
    (
        dteg(
            "dteg",
            _from_table(),
            {"load": {"type": "files", "config": {"path": "out/dteg.parquet"}, "write": "replace"}},
            note="files loader",
        ),
        Contestant(
            "adbc", script("adbc", "run_parquet.py", "adbc"), needs=("adbc",), note="numerics cast to decimal"
        ),
        Contestant(
            "connectorx",
            script("connectorx", "run_parquet.py", "connectorx"),
            needs=("connectorx",),
            note="arrow_stream",
        ),
        Contestant(
            "duckdb",
            script("duckdb", "run_parquet.py", "duckdb"),
            needs=("duckdb",),
            note="postgres extension",
        ),
        Contestant(
            "dlt", script("dlt", "run_dlt.py", "parquet"), needs=("dlt",), note="filesystem destination"
        ),
    ),
    metric="cpu",
)

CASES = {case.name: case for case in (COPY, CSV, MERGE, PARQUET)}
