"""What a load and a check tell Dagster about themselves."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from dteg.pipelines.results import StreamResult, TransformResult
from dteg.quality.results import CheckResult

ROWS_READ = "rows_read"
READ_ALL = "read_all"
SEVERITIES = {"error": dg.AssetCheckSeverity.ERROR, "warn": dg.AssetCheckSeverity.WARN}


def load_metadata(result: StreamResult) -> dict[str, Any]:
    """Return the metadata of one materialization: rows, bytes, seconds by phase, columns."""
    load = result.load
    metadata: dict[str, Any] = {
        ROWS_READ: load.rows_read,
        "rows_written": load.rows_written,
        "rows_rejected": load.rows_rejected,
        "bytes_read": load.bytes_read,
        READ_ALL: result.read_all,
        "already_loaded": load.already_loaded,
        "extract_s": round(result.extract_s, 3),
        "process_s": round(result.process_s, 3),
        "load_s": round(result.load_s, 3),
        "check_s": round(result.check_s, 3),
    }
    if load.total_rows is not None:
        metadata["dagster/row_count"] = load.total_rows
    if result.columns:
        columns = [dg.TableColumn(name, type_) for name, type_ in result.columns.items()]
        metadata["dagster/column_schema"] = dg.TableSchema(columns)
    if result.changes:
        metadata["schema_changes"] = dg.MetadataValue.md(
            "\n".join(f"- {change}" for change in result.changes)
        )
    return metadata


def materialization(key: dg.AssetKey, result: StreamResult) -> "dg.MaterializeResult[None]":
    """Return what a load tells about the asset it made."""
    return dg.MaterializeResult(asset_key=key, metadata=load_metadata(result))


def check_result(key: dg.AssetKey, result: CheckResult) -> dg.AssetCheckResult:
    """Return one quality rule's result; a failing one shows up to five rows."""
    metadata: dict[str, Any] = {
        "message": result.message,
        "failing": result.failing,
        "total": result.total,
        "rule": result.type,
    }
    if result.sample:
        metadata["sample"] = _sample_table(result.sample)
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=result.name,
        passed=result.passed,
        severity=SEVERITIES[result.severity],
        description=result.message,
        metadata=metadata,
    )


def transform_metadata(result: TransformResult) -> dict[str, Any]:
    """Return the metadata of one SQL transform."""
    return {"statement_file": result.name, "seconds": round(result.seconds, 3)}


def _sample_table(rows: list[dict[str, Any]]) -> dg.TableMetadataValue:
    names = list(dict.fromkeys(name for row in rows for name in row))
    records = [dg.TableRecord({name: _shown(row, name) for name in names}) for row in rows]
    return dg.MetadataValue.table(records, dg.TableSchema([dg.TableColumn(name, "text") for name in names]))


def _shown(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "null" if value is None else str(value)
