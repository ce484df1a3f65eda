"""One asset check for each quality rule of a pipeline."""

import dagster as dg

from dteg.core.identifiers import TableName
from dteg.pipelines.plan import Flow, Pipeline
from orchestration.lib.metadata import READ_ALL, ROWS_READ


def check_specs(pipeline: Pipeline, flow: Flow) -> list[dg.AssetCheckSpec]:
    """Return a check for each rule of each target; one of severity error stops what comes after."""
    return [
        dg.AssetCheckSpec(
            name,
            asset=asset_key(target),
            description=f"{rule.type}: {type(rule).__doc__ or ''}".strip(),
            blocking=rule.severity == "error",
            metadata={"rule": dg.MetadataValue.json(rule.model_dump(mode="json", exclude_none=True))},
        )
        for target in flow.targets().values()
        for name, rule in pipeline.rules_for(target)
    ]


def asset_key(target: TableName) -> dg.AssetKey:
    """Return the key of a table: its schema and its name, as dbt sources have it."""
    return dg.AssetKey([target.schema, target.name])


def last_rows_read(instance: dg.DagsterInstance, key: dg.AssetKey) -> int | None:
    """Return how many rows the source had at the last load, for a check that runs without a load.

    None if there was no load, or if it read only what was new.
    """
    event = instance.get_latest_materialization_event(key)
    materialization = event.asset_materialization if event else None
    told = materialization.metadata if materialization else {}
    read_all, rows = told.get(READ_ALL), told.get(ROWS_READ)
    return rows.value if read_all and read_all.value and isinstance(rows, dg.IntMetadataValue) else None
