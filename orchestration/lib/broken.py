"""Stands in for a pipeline file that cannot be loaded: an asset whose check fails and says why."""

import re
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from dteg.core.errors import DtegError
from dteg.core.project import Project
from dteg.pipelines.plan import display_path, load_pipeline

GROUP = "configuration"
CHECK = "valid_config"
SENSOR = "check_configuration"


def broken_definitions(path: Path, project: Project, message: str) -> dg.Definitions:
    """Build the stand-in of a broken file.

    Args:
        path: The file.
        project: Where it lies.
        message: What is wrong, with file and line where they are known.
    """
    key = dg.AssetKey(["dteg_config", re.sub(r"[^A-Za-z0-9_.-]", "_", path.stem)])
    shown = display_path(path, project)
    spec = dg.AssetSpec(
        key,
        group_name=GROUP,
        kinds={"yaml"},
        description=f"{shown} cannot be loaded, so its tables are missing here.\n\n```\n{message}\n```",
        metadata={"file": shown, "problem": dg.MetadataValue.md(f"```\n{message}\n```")},
    )

    @dg.multi_asset(
        name="config__" + re.sub(r"\W", "_", path.stem, flags=re.ASCII),
        specs=[spec],
        check_specs=[
            dg.AssetCheckSpec(
                CHECK,
                asset=key,
                blocking=True,
                description=f"{shown} is valid.",
                automation_condition=dg.AutomationCondition.missing() & ~dg.AutomationCondition.in_progress(),
            )
        ],
        can_subset=True,
    )
    def config() -> Iterator[dg.AssetCheckResult]:
        yield _look_again(key, path, project, message)

    return dg.Definitions(assets=[config])


def broken_sensor() -> dg.SensorDefinition:
    """Return the sensor that runs the check of a broken file once, so that it shows as failed by itself."""
    return dg.AutomationConditionSensorDefinition(
        SENSOR,
        target=dg.AssetSelection.groups(GROUP),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Runs the check of each pipeline file that cannot be loaded.",
    )


def _look_again(key: dg.AssetKey, path: Path, project: Project, message: str) -> dg.AssetCheckResult:
    """Check the file as it is now; the location has to be reloaded before its tables show up."""
    try:
        load_pipeline(path, project)
    except DtegError as error:
        message = str(error)
    else:
        message = f"{message}\nThe file has changed since: reload this code location."
    return dg.AssetCheckResult(
        asset_key=key, check_name=CHECK, passed=False, description=message, metadata={"message": message}
    )
