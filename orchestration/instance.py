"""The Dagster instance of a project: where runs and events are kept, and the settings of its servers."""

import os
from pathlib import Path

from dteg.core.project import HOME_VARIABLE, Project

SETTINGS = "dagster.yaml"
DEFAULT_SETTINGS = "telemetry:\n  enabled: false\n"


def prepare_home(project: Project) -> Path:
    """Make Dagster's home, say to this process and its children where it and the project are, and return it.

    The project's own `.dteg/dagster_home` always follows the project's `dagster.yaml`. A home that the
    user named in `DAGSTER_HOME` is not ours: its settings are left alone once there are some.
    """
    home = project.dagster_home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    ours = home == (project.state_dir / "dagster_home").resolve()
    settings = home / SETTINGS
    if ours or not settings.exists():
        _write_settings(project.root / SETTINGS, settings)
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ[HOME_VARIABLE] = str(project.root)
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"
    return home


def _write_settings(source: Path, target: Path) -> None:
    """Write what differs only: a Dagster that runs may be reading the file now."""
    settings = source.read_bytes() if source.is_file() else DEFAULT_SETTINGS.encode()
    if not target.is_file() or target.read_bytes() != settings:
        target.write_bytes(settings)
