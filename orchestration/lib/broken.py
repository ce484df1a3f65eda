"""Stands in for a file that cannot be loaded: an asset whose check fails and says why."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from dteg.core.errors import DtegError
from dteg.core.project import Project
from dteg.pipelines.plan import load_pipeline

CHECK = "valid_config"


@dataclass(frozen=True, slots=True)
class FileKind:
    """What kind of file a stand-in stands for.

    Attributes:
        group: Asset group of the stand-ins; one sensor looks after it.
        sensor: Name of that sensor.
        folder: What their keys begin with.
        missing: What a broken file leaves out.
        load: Raises DtegError if a file is not valid.
    """

    group: str
    sensor: str
    folder: tuple[str, ...]
    missing: str
    load: Callable[[Path, Project], object]


PIPELINE_FILE = FileKind(
    "configuration", "check_configuration", ("dteg_config",), "its tables are missing here", load_pipeline
)


def file_definitions(
    files: Sequence[Path],
    project: Project,
    build: Callable[[Path], dg.Definitions],
    kind: FileKind = PIPELINE_FILE,
) -> list[dg.Definitions]:
    """Build the definitions of files; one that is broken gets a stand-in and hides no other.

    Args:
        files: Their paths.
        project: Where they lie.
        build: Makes the definitions of one.
        kind: What they should hold.
    """
    parts, broken = [], []
    for path in files:
        try:
            parts.append(build(path))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one file must not hide the others
            broken.append(broken_definitions(path, project, _message(error, path, project), kind))
    if broken:
        broken.append(dg.Definitions(sensors=[broken_sensor(kind)]))
    return [*parts, *broken]


def _message(error: Exception, path: Path, project: Project) -> str:
    file = project.display(path)
    if not isinstance(error, DtegError):
        return f"{file}: {type(error).__name__}: {error}"
    return str(error) if file in str(error) else f"{file}: {error}"


def broken_definitions(
    path: Path, project: Project, message: str, kind: FileKind = PIPELINE_FILE
) -> dg.Definitions:
    """Build the stand-in of a broken file.

    Args:
        path: The file.
        project: Where it lies.
        message: What is wrong, with file and line where they are known.
        kind: What it should hold.
    """
    stem = re.sub(r"[^A-Za-z0-9_.-]", "_", path.stem)
    key = dg.AssetKey([*kind.folder, stem])
    shown = project.display(path)
    spec = dg.AssetSpec(
        key,
        group_name=kind.group,
        kinds={"yaml"},
        description=f"{shown} cannot be loaded, so {kind.missing}.\n\n```\n{message}\n```",
        metadata={"file": shown, "problem": dg.MetadataValue.md(f"```\n{message}\n```")},
    )

    @dg.multi_asset(
        name=re.sub(r"\W", "_", "__".join([*kind.folder, path.stem]), flags=re.ASCII),
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
        yield _look_again(key, path, project, message, kind)

    return dg.Definitions(assets=[config])


def broken_sensor(kind: FileKind = PIPELINE_FILE) -> dg.SensorDefinition:
    """Return the sensor that runs the check of a broken file once, so that it shows as failed by itself."""
    return dg.AutomationConditionSensorDefinition(
        kind.sensor,
        target=dg.AssetSelection.groups(kind.group),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Runs the check of each file that cannot be loaded.",
    )


def _look_again(
    key: dg.AssetKey, path: Path, project: Project, message: str, kind: FileKind
) -> dg.AssetCheckResult:
    """Check the file as it is now; the location has to be reloaded before what it makes shows up."""
    try:
        kind.load(path, project)
    except DtegError as error:
        message = str(error)
    else:
        message = f"{message}\nThe file has changed since: reload this code location."
    return dg.AssetCheckResult(
        asset_key=key, check_name=CHECK, passed=False, description=message, metadata={"message": message}
    )
