"""A folder with everything: it is there whole, or not at all."""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from dteg.core.errors import ConflictError, EnvironmentProblemError
from dteg.normalize.decompose import exceptions_name, here
from dteg.normalize.engine import Analysis, Normalized
from dteg.normalize.flat import literal
from dteg.normalize.outputs import dbt, ddl, diagram
from dteg.normalize.outputs.report import report

TableFormat = Literal["csv", "parquet"]
REPORT = "normalization_report.json"


def write_folder(
    analysis: Analysis, result: Normalized, out: Path, *, schema: str, source: Mapping[str, Any], format_: TableFormat = "csv",
) -> dict[str, str]:  # fmt: skip
    """Write the tables, `schema.sql`, `diagram.mmd`, `dbt/` and the report.

    Args:
        analysis: What was found.
        result: The proved tables.
        out: The folder; it must not be there, or be empty.
        schema: Schema in `schema.sql` and `dbt`.
        source: What the report says of the file.
        format_: Format of the tables.

    Returns:
        SHA-256 of each file by its path below `out`.

    Raises:
        ConflictError: There is something in the folder.
        EnvironmentProblemError: It cannot be written.
    """
    require_free(out)
    flat, plan = analysis.flat, result.plan
    texts = {
        "schema.sql": ddl.script(flat, result, schema),
        "diagram.mmd": diagram.mermaid(flat, plan),
        **{f"dbt/{name}": text for name, text in dbt.files(flat, result, schema).items()},
    }
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as name:
            partial = Path(name) / "whole"
            (partial / "dbt").mkdir(parents=True)
            for path, text in texts.items():
                (partial / path).write_text(text, encoding="utf-8")
            tables = [
                *(table.name for table in plan.tables),
                *([exceptions_name(plan)] if result.exceptions else []),
            ]
            for table in tables:
                _write_table(analysis, table, partial / f"{table}.{format_}", format_)
            written = {
                str(path.relative_to(partial)): sha256_of(path)
                for path in sorted(partial.rglob("*"))
                if path.is_file()
            }
            (partial / REPORT).write_text(
                report(analysis, result, source=source, written=written), encoding="utf-8"
            )
            if out.exists():
                out.rmdir()
            shutil.move(partial, out)
    except OSError as error:
        raise EnvironmentProblemError(f"{out} cannot be written: {error.strerror or error}") from None
    return written


def require_free(out: Path) -> None:
    """Make sure that nothing would be written over.

    Raises:
        ConflictError: There is something in the folder.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConflictError(f"{out} is not empty; choose another folder, or delete it first")


def _write_table(analysis: Analysis, table: str, path: Path, format_: TableFormat) -> None:
    options = "FORMAT csv, HEADER true" if format_ == "csv" else "FORMAT parquet, COMPRESSION zstd"
    analysis.flat.connection.execute(f"COPY {here(table)} TO {literal(str(path))} ({options})")


def sha256_of(path: Path) -> str:
    """Return the hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
