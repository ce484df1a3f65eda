"""Pipelines of memory adapters and of connectors made for one test, without a YAML file; components and their wheels."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import yaml

from dteg.connectors.base import Capabilities, Checkpoint, ConnectorConfig, Processor, Stream
from dteg.connectors.discovery import Component, discover
from dteg.core.batch import Batch, Schema
from dteg.core.project import Project
from dteg.manifest import MANIFEST_NAME, Manifest
from dteg.packages import build_wheel
from dteg.pipelines.engine import Run, run_stream
from dteg.pipelines.plan import Flow, Part, Pipeline
from dteg.pipelines.results import StreamResult
from dteg.pipelines.spec import LoadStep, PipelineFile
from dteg.scaffold.component import NewComponent, create_component
from dteg.testing.memory import MemoryExtractor

STREAM = "events"


def component_of(kind: str, cls: type) -> Component:
    """Return a component whose class lies in a module that is imported already."""
    package, _, module = cls.__module__.rpartition(".")
    manifest = Manifest(
        name="test", version="0.1.0", kind=kind, entry_point=f"{module}:{cls.__name__}", author="test",
        description="Made for one test.", category="other",
    )  # fmt: skip
    return Component(manifest, Path(), package)


def make_component(
    folder: Path, *, name: str = "numbers", version: str = "1.0.0", kind: str = "extractor", **manifest: Any
) -> Path:
    """Write a small, good component, as `dteg create` does, and return its folder.

    Args:
        folder: Anything; the component lies in a folder of its own below it.
        name: Name in pipelines.
        version: Its version.
        kind: Any kind.
        manifest: Other keys of dteg.yaml, such as `namespace` or `capabilities`; None leaves one out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix=f"{name}-{version}-", dir=folder))
    new = NewComponent(kind, name, "dteg tests", "Made for one test by a factory")  # type: ignore[arg-type]
    (folder,) = {path.parent for path in create_component(Project(root), new)}
    path = folder / MANIFEST_NAME
    values = {**yaml.safe_load(path.read_text()), "version": version, **manifest}
    path.write_text(yaml.safe_dump({key: value for key, value in values.items() if value is not None}))
    return folder


def make_wheel(folder: Path, *, namespace: str = "streaming", **component: Any) -> Path:
    """Return the wheel of a small, good component; `component` as for `make_component`."""
    return build_wheel(make_component(folder, **component), namespace=namespace, out=folder)


def make_part(kind: str, cls_or_type: type | str, **config: Any) -> Part:
    """Return a part: a class, or the name of a connector that comes with dteg."""
    if isinstance(cls_or_type, str):
        component = discover()[kind, cls_or_type]  # type: ignore[index]
    else:
        component = component_of(kind, cls_or_type)
    return Part(component, component.config_model.model_validate(config))


def make_pipeline(
    folder: Path, extractor: Part, loader: Part, processors: Sequence[Part] = (), *, name: str = "p",
    retry: Mapping[str, Any] | None = None, **load: Any,
) -> Pipeline:  # fmt: skip
    """Return a pipeline of one flow; `load` are keys of the load step."""
    file = {
        "name": name, "retry": {"base_delay_s": 0.001, **(retry or {})},
        "steps": [{"extract": {"type": "x"}}, {"load": {"type": "x", **load}}],
    }  # fmt: skip
    spec = PipelineFile.model_validate({"pipeline": file}).pipeline
    flow = Flow(extractor, tuple(processors), loader, LoadStep(type="x", **load))
    return Pipeline(spec, Project(folder), f"{name}.yaml", (flow,))


def run(pipeline: Pipeline, run_id: str, *, full_refresh: bool = False, listener: Any = None) -> StreamResult:
    """Run the one stream of a pipeline."""
    options = {"listener": listener} if listener else {}
    flow = pipeline.flows[0]
    (stream,) = flow.targets()
    return run_stream(Run(pipeline, run_id, full_refresh, **options), flow, stream)


class Rows(MemoryExtractor):
    """The rows of its config, read anew each time unless a cursor says otherwise; `gate` stops after the first batch."""

    capabilities = Capabilities(incremental=True)
    gate: ClassVar[Any] = None
    """Called after the first batch of each read, if there is one."""

    def read(self, stream: Stream, since: Checkpoint | None) -> Iterator[Batch]:
        for number, batch in enumerate(super().read(stream, since)):
            yield batch
            if number == 0 and Rows.gate:
                Rows.gate()

    def checkpoint(self, stream: Stream) -> dict[str, Any]:
        return {}


class NothingConfig(ConnectorConfig):
    """No settings."""


class LooksOnly(Processor[NothingConfig]):
    """Changes nothing, but makes the engine decode the rows."""

    capabilities = Capabilities(row_preserving=True)

    def output_schema(self, schema: Schema) -> Schema:
        return schema

    def process(self, batch: Batch) -> Batch:
        return batch
