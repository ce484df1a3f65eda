"""Small projects of memory connectors, loaded as Dagster loads the real one."""

import sys
import textwrap
from pathlib import Path
from types import ModuleType

import dagster as dg
import pytest

from dteg.connectors.discovery import discover, find
from dteg.core.project import Project
from dteg.testing import MemoryStore
from orchestration.lib.folder import folder_definitions

MANIFEST = """
name: {name}
version: 0.1.0
kind: {kind}
entry_point: {module}:{cls}
author: tests
description: A connector that only tests use.
category: other
"""

SOURCE = """
from dteg.connectors.base import ChangeSensor
from dteg.testing.memory import MemoryExtractor

# What tests change from outside: the state of the source, and errors that it raises, one for each read.
fingerprint = None
errors = []
reads = []


class Sensor(ChangeSensor):
    def fingerprint(self):
        if isinstance(fingerprint, Exception):
            raise fingerprint
        return fingerprint


class Source(MemoryExtractor):
    def read(self, stream, since):
        reads.append(stream.name)
        if errors:
            raise errors.pop(0)
        yield from super().read(stream, since)

    def change_sensor(self):
        return Sensor() if fingerprint is not None else None
"""
SINK = """
from dteg.testing.memory import MemoryLoader


class Sink(MemoryLoader):
    pass
"""


class ProjectFolder:
    """A project in a temporary folder, with a source and a sink in memory."""

    def __init__(self, root: Path) -> None:
        self.project = Project(root)
        (root / "pipelines").mkdir()
        for kind, cls, code in (("extractor", "Source", SOURCE), ("loader", "Sink", SINK)):
            folder = root / "components" / f"{kind}s" / cls.lower()
            folder.mkdir(parents=True)
            manifest = MANIFEST.format(name=cls.lower(), kind=kind, module=cls.lower(), cls=cls)
            (folder / "dteg.yaml").write_text(manifest)
            (folder / f"{cls.lower()}.py").write_text(code)

    def write(self, name: str, text: str) -> Path:
        path = self.project.root / "pipelines" / f"{name}.yaml"
        path.write_text(textwrap.dedent(text))
        return path

    def pipeline(
        self, name: str, *, loader: str = "sink", extra: str = "", rows: str = "[{id: 1}]", table: str = ""
    ) -> Path:
        """Write a pipeline of one flow into `raw.<name>`; `extra` stands below `pipeline:`."""
        store = f", store: {self.store}" if loader == "sink" else ""
        text = f"""
        pipeline:
          name: {name}
          retry: {{max_attempts: 2, base_delay_s: 0.01, max_delay_s: 0.01}}
          extract: {{type: source, config: {{streams: {{rows: {{types: {{id: bigint}}, rows: {rows}}}}}}}}}
          load: {{type: {loader}, config: {{table: {table or f"raw.{name}"}{store}}}}}
        """
        return self.write(name, textwrap.dedent(text) + textwrap.indent(textwrap.dedent(extra), "  "))

    @property
    def store(self) -> str:
        return self.project.root.name

    @property
    def files(self) -> list[Path]:
        return sorted((self.project.root / "pipelines").iterdir())

    def definitions(self) -> dg.Definitions:
        return folder_definitions(self.files, self.project)

    def table(self, name: str) -> list[dict]:
        return MemoryStore.named(self.store).table(name)

    @property
    def source(self) -> ModuleType:
        """The module of the source, to steer it."""
        return sys.modules[find("extractor", "source", discover(self.project)).load().__module__]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DTEG_HOME", str(tmp_path))
    made = ProjectFolder(tmp_path)
    made.source.fingerprint = None
    made.source.errors.clear()
    made.source.reads.clear()
    yield made
    MemoryStore.forget(made.store)


@pytest.fixture
def warehouse(postgres_url, monkeypatch):
    """An empty database that is the project's warehouse."""
    monkeypatch.setenv("DTEG_POSTGRES_URL", postgres_url)
    return postgres_url


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made
