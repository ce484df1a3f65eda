"""A pipeline made ready to run: components found, templates rendered, configs checked."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from dteg.connectors.base import ConnectorConfig, Context, Extractor, Loader
from dteg.connectors.discovery import Component, discover, find
from dteg.core.errors import ConfigError, NotAvailableError, Problem
from dteg.core.identifiers import TableName
from dteg.core.project import Project
from dteg.core.suggest import did_you_mean
from dteg.core.yaml import Document, Path_, load_model, problems_of, read, validate, yaml_files
from dteg.manifest import ComponentKind
from dteg.pipelines.declared import missing_components
from dteg.pipelines.spec import LoadStep, PipelineFile, PipelineSpec, TransformStep
from dteg.pipelines.templates import TemplateError, Variables, render
from dteg.quality.rules import Rule, check_names


@dataclass(frozen=True, slots=True)
class Part:
    """A component with its checked config.

    Attributes:
        component: What was found.
        config: Its config, templates rendered.
    """

    component: Component
    config: ConnectorConfig

    def create(self, context: Context) -> Any:
        """Make the connector."""
        return self.component.create(self.config, context)


@dataclass(frozen=True, slots=True)
class Flow:
    """One extract, its processors and its load.

    Attributes:
        extractor: Where records come from.
        processors: What happens to them, in order.
        loader: Where they go.
        load: How they are written.
        at: Path of the load step in the file.
    """

    extractor: Part
    processors: tuple[Part, ...]
    loader: Part
    load: LoadStep
    at: Path_ = ()

    def targets(self) -> dict[str, TableName]:
        """Return the target of each stream, from the configs alone."""
        extractor = cast("type[Extractor[Any]]", self.extractor.component.load())
        loader = cast("type[Loader[Any]]", self.loader.component.load())
        names = extractor.stream_names(self.extractor.config)
        return {name: loader.target(self.loader.config, name) for name in names}


@dataclass(frozen=True)
class Pipeline:
    """A pipeline that can run.

    Attributes:
        spec: As written.
        project: Where it lies.
        file: Its file as the user named it.
        flows: In order.
        transforms: In order, after all flows.
        transformers: The components of those transforms that are one, by place in `transforms`.
        variables: What its templates were rendered with.
        document: The file's values with their lines.
    """

    spec: PipelineSpec
    project: Project
    file: str
    flows: tuple[Flow, ...] = ()
    transforms: tuple[TransformStep, ...] = ()
    transformers: Mapping[int, Part] = field(default_factory=dict)
    variables: Variables = field(default_factory=Variables)
    document: Document = field(default_factory=lambda: Document(None, "", {}), repr=False)

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return self.spec.name

    def targets(self) -> list[TableName]:
        """Return all target tables, in order."""
        return [target for flow in self.flows for target in flow.targets().values()]

    @contextmanager
    def naming_file(self, at: Path_ = ()) -> Iterator[None]:
        """Say the file, and its line at `at`, where an error about the configuration does not."""
        try:
            yield
        except ConfigError as error:
            line = self.document.problem(at, "").line if at else None
            raise ConfigError(
                [each if each.file else replace(each, file=self.file, line=line) for each in error.problems]
            ) from error

    def rules_for(self, target: TableName) -> list[tuple[str, Rule]]:
        """Return the quality rules of one table with the names of their checks."""
        rules = self.spec.quality.validation_rules
        only = len(self.targets()) == 1
        named = zip(check_names(rules), rules, strict=True)
        return [
            (name, rule)
            for name, rule in named
            if (rule.table or (str(target) if only else "")) == str(target)
        ]


def load_pipeline(
    path: Path, project: Project, params: Mapping[str, Any] | None = None, run_id: str = ""
) -> Pipeline:
    """Read, check and prepare one pipeline file. Opens no connection.

    Args:
        path: The file.
        project: Where components and relative paths are looked up.
        params: Values for the file's `params`; texts are fine.
        run_id: Identity of the run, for templates.

    Raises:
        ConfigError: With file, line and remedy of everything that is wrong.
    """
    name = project.display(path)
    document = read(path, name)
    spec = validate(document, PipelineFile).pipeline
    variables = Variables(params=_params(spec, params or {}, document), run_id=run_id)
    builder = _Builder(document, project, variables)
    flows, transforms = builder.build(spec)
    pipeline = Pipeline(spec, project, name, flows, transforms, builder.transformers, variables, document)
    _check_targets(pipeline, document)
    _check_alerts(pipeline, document)
    return pipeline


def step_paths(spec: PipelineSpec) -> Iterator[Path_]:
    """Yield where each step stands in the file, in order."""
    if spec.steps:
        for number, step in enumerate(spec.steps):
            (kind,) = step.model_fields_set
            yield ("pipeline", "steps", number, kind)
        return
    for kind in ("extract", "process", "load", "transform"):
        value = getattr(spec, kind)
        for number in range(len(value) if isinstance(value, list) else 1 if value else 0):
            yield ("pipeline", kind, number) if isinstance(value, list) else ("pipeline", kind)


def refuse_unavailable(pipeline: Pipeline) -> None:
    """Refuse a pipeline that asks for what this version does not do, rather than doing less in silence.

    Raises:
        NotAvailableError: Names the parts.
    """
    if parts := pipeline.spec.unavailable():
        raise NotAvailableError(f"{', '.join(parts)} in {pipeline.file}")


def _params(spec: PipelineSpec, given: Mapping[str, Any], document: Document) -> dict[str, Any]:
    if unknown := [name for name in given if name not in spec.params]:
        near = did_you_mean(unknown[0], spec.params) or f"there are: {', '.join(spec.params) or 'none'}"
        raise ConfigError(
            [document.problem(("pipeline", "params"), f"unknown parameter {unknown[0]!r}; {near}")]
        )
    return {**spec.params, **given}


class _Builder:
    """Turns steps into flows, collecting every problem before it gives up."""

    def __init__(self, document: Document, project: Project, variables: Variables) -> None:
        self.document, self.variables = document, variables
        self.found = discover(project)
        self.problems: list[Problem] = []
        self.transformers: dict[int, Part] = {}

    def build(self, spec: PipelineSpec) -> tuple[tuple[Flow, ...], tuple[TransformStep, ...]]:
        flows: list[Flow] = []
        transforms: list[TransformStep] = []
        for number, message in missing_components(spec.components.marketplace, self.found):
            place = ("pipeline", "components", "marketplace", number)
            self.problems.append(self.document.problem(place, message))
        extractor: Part | None = None
        processors: list[Part | None] = []
        for path, step in zip(step_paths(spec), spec.ordered_steps(), strict=True):
            if step.extract:
                extractor, processors = self._part("extractor", step.extract, path), []
            elif step.process:
                processors.append(self._part("processor", step.process, path))
            elif step.load:
                loader = self._part("loader", step.load, path)
                if extractor and loader and all(processors):
                    flows.append(
                        Flow(extractor, tuple(part for part in processors if part), loader, step.load, path)
                    )
            elif step.transform:
                if step.transform.is_component and (part := self._part("transformer", step.transform, path)):
                    self.transformers[len(transforms)] = part
                transforms.append(step.transform)
        if self.problems:
            raise ConfigError(self.problems)
        return tuple(flows), tuple(transforms)

    def _part(self, kind: ComponentKind, step: Any, path: tuple[str | int, ...]) -> Part | None:
        try:
            component = find(kind, step.type, self.found)
            model = component.config_model
        except ConfigError as error:
            self.problems += [self.document.problem((*path, "type"), each.message) for each in error.problems]
            return None
        try:
            return Part(component, model.model_validate(render(step.config, self.variables)))
        except TemplateError as error:
            self.problems.append(self.document.problem((*path, "config", *error.at), str(error)))
        except ValidationError as error:
            self.problems += problems_of(
                error, cast("type[BaseModel]", model), self.document, (*path, "config")
            )
        return None


def _check_targets(pipeline: Pipeline, document: Document) -> None:
    """Check what needs more than one part of the file: targets, and rules that name a table."""
    seen: set[TableName] = set()
    for flow in pipeline.flows:
        where = (*flow.at, "config")
        with pipeline.naming_file(where):
            targets = flow.targets().values()
        for target in targets:
            if target in seen:
                raise ConfigError([document.problem(where, f"{target} is loaded twice in one pipeline")])
            seen.add(target)
        _check_disposition(flow, document)
    _check_rules(pipeline, seen, document)


def _check_alerts(pipeline: Pipeline, document: Document) -> None:
    """Check that the channels of the alerts are there."""
    if not pipeline.spec.monitoring.alerts:
        return
    from dteg.alerts.pipelines import missing_channel
    from dteg.alerts.rules import load_file

    file, _ = load_file(pipeline.project)
    problems = [
        document.problem(("pipeline", "monitoring", "alerts", number, "type"), message)
        for number, alert in enumerate(pipeline.spec.monitoring.alerts)
        if (message := missing_channel(alert, file))
    ]
    if problems:
        raise ConfigError(problems)


def _check_disposition(flow: Flow, document: Document) -> None:
    loader, extractor = flow.loader.component.load(), flow.extractor.component.load()
    where = (*flow.at, "write")
    known = loader.capabilities.dispositions
    if flow.load.write not in known:
        message = f"loader {flow.load.type!r} cannot {flow.load.write}; it can: {', '.join(sorted(known))}"
        raise ConfigError([document.problem(where, message)])
    if flow.load.write == "append" and not (flow.load.cursor or extractor.capabilities.resumable):
        message = (
            "append would load the same rows again on every run; add cursor: column, or use merge or replace"
        )
        raise ConfigError([document.problem(where, message)])


def _check_rules(pipeline: Pipeline, targets: set[TableName], document: Document) -> None:
    names = sorted(str(target) for target in targets)
    for number, rule in enumerate(pipeline.spec.quality.validation_rules):
        where = ("pipeline", "quality", "validation_rules", number)
        if rule.table is None and len(names) != 1:
            raise ConfigError(
                [document.problem(where, f"say which table: one of {', '.join(names) or 'none'}")]
            )
        if rule.table is not None and rule.table not in names:
            near = did_you_mean(rule.table, names) or f"there are: {', '.join(names)}"
            raise ConfigError(
                [document.problem(where, f"this pipeline does not load {rule.table!r}; {near}")]
            )


def find_pipeline_file(name_or_path: str, project: Project) -> Path:
    """Return the file of a pipeline given by name or by path.

    Raises:
        ConfigError: There is none.
    """
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        return _file_at(path, project)
    for suffix in (".yaml", ".yml"):
        if (candidate := project.pipelines_dir / f"{name_or_path}{suffix}").is_file():
            return candidate
    names = {file.stem: file for file in pipeline_files(project)}
    names |= {name: file for file in names.values() if (name := _name_in(file))}
    if name_or_path in names:
        return names[name_or_path]
    if path.is_file():
        return path
    near = did_you_mean(name_or_path, names) or f"there are: {', '.join(names) or 'none'}"
    raise ConfigError(f"there is no pipeline {name_or_path!r} in {project.pipelines_dir.name}/; {near}")


def _file_at(path: Path, project: Project) -> Path:
    """Return the file at a path that begins here, in the project or in its folder of pipelines."""
    for candidate in (path, project.root / path, project.pipelines_dir / path):
        if candidate.is_file():
            return candidate
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; name a pipeline, or its file")
    files = [project.display(file) for file in pipeline_files(project)]
    near = did_you_mean(str(path), files) or f"there are: {', '.join(files) or 'none'}"
    raise ConfigError(f"there is no file {path}; {near}")


def _name_in(path: Path) -> str | None:
    """Return the name a pipeline file gives its pipeline; None if it is not valid."""
    try:
        return load_model(path, PipelineFile).pipeline.name
    except ConfigError:
        return None


def pipeline_files(project: Project) -> Sequence[Path]:
    """Return the project's pipeline files, sorted by name."""
    return yaml_files(project.pipelines_dir)


def pipeline_of(table: TableName, project: Project) -> str | None:
    """Return the name of the pipeline that loads a table; broken files are passed over."""
    for path in pipeline_files(project):
        try:
            pipeline = load_pipeline(path, project)
        except ConfigError:
            continue
        if table in pipeline.targets():
            return pipeline.name
    return None
