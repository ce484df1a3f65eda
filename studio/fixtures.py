"""Pytest fixtures: `studio`, which runs over an empty database, and the project that it is about."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from dteg.core.project import Project
    from studio.testing import RunningStudio


@pytest.fixture
def studio_project(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """An empty project whose warehouse is an empty database; commands without a studio find it too."""
    from dteg.sources.relaying import Relaying
    from studio.testing import empty_project

    project = empty_project(tmp_path / "project")
    monkeypatch.setenv("DTEG_POSTGRES_URL", postgres_url)
    monkeypatch.setenv("DTEG_HOME", str(project.root))
    for name in ("DTEG_STUDIO_URL", "DTEG_STUDIO_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    yield project
    Relaying(project).stop()  # started by whoever adds a source


@pytest.fixture
def studio(studio_project: Project) -> Iterator[RunningStudio]:
    """A studio on a free port: `.url`, `.token`, `.client`, `.project`, `.services`."""
    from studio.testing import running_studio

    with running_studio(studio_project) as running:
        yield running
