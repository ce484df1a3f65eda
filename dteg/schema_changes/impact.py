"""What of a project works with a table, and what a change of it breaks.

Looked at are pipelines, by their files, dbt models, and datasets, as the warehouse knows them. A finder for anything else is one more function in
`FINDERS`.
"""

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dteg.core.errors import DtegError
from dteg.core.identifiers import TableName
from dteg.core.postgres import database_of, parts_of
from dteg.core.project import Project
from dteg.core.yaml import load_model
from dteg.datasets.uses import Reader, readers
from dteg.pipelines.plan import Flow, Pipeline, load_pipeline, pipeline_files
from dteg.pipelines.spec import PipelineFile, PipelineSpec
from dteg.schema_changes.dbt import DbtModels, Model
from dteg.schema_changes.models import Use
from dteg.schema_changes.sql_text import names_column, names_table, takes_all_columns

# Files say by their times that they changed; datasets do not, so they are asked for again.
_DATASETS_KEPT_S = 2.0


@dataclass(frozen=True)
class Found:
    """A use, with what is needed to say which columns it needs.

    Attributes:
        use: What is told.
        texts: SQL and settings that may name columns.
        columns: Columns that are named for sure.
        rebuilds: It makes the table anew by itself when the table is not there.
    """

    use: Use
    texts: tuple[str, ...] = ()
    columns: frozenset[str] = field(default_factory=frozenset)
    rebuilds: bool = False

    def needs(self, column: str) -> bool:
        """Whether it names a column."""
        return column in self.columns or any(names_column(text, column) for text in self.texts)


def uses_of(project: Project, table: TableName, database: str | None = None) -> list[Use]:
    """Return the pipelines, dbt models and datasets that work with a table, by kind and name.

    Views and foreign keys are not among them: those the database knows. A pipeline file that cannot be read counts
    when it names the table.

    Args:
        project: Whose pipelines and models.
        table: The table.
        database: Where it is; default: the warehouse's own database.
    """
    return [found.use for found in Impact(project).of(table, database)]


class Impact:
    """The project's files, read once and asked about many tables.

    Args:
        project: Whose.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self._pipelines: list[tuple[str, Pipeline | None, str]] | None = None
        self._models: DbtModels | None = None
        self._warehouse: str | None = None
        self._datasets: list[Reader] = []
        self._datasets_read_at = -_DATASETS_KEPT_S

    def of(self, table: TableName, database: str | None = None) -> list[Found]:
        """Return what works with a table; see `uses_of`."""
        found = [each for finder in FINDERS for each in finder(self, table, database)]
        return sorted(found, key=lambda each: (each.use.kind, each.use.name, each.use.role))

    def pipelines(self) -> Sequence[tuple[str, Pipeline | None, str]]:
        """Return file, pipeline (None if it is broken) and text of each pipeline file."""
        if self._pipelines is None:
            self._pipelines = [_read(self.project, path) for path in pipeline_files(self.project)]
        return self._pipelines

    def models(self) -> DbtModels:
        """Return the dbt models."""
        if self._models is None:
            self._models = DbtModels.of(self.project)
        return self._models

    def datasets(self) -> Sequence[Reader]:
        """Return the datasets with what they read; none while the warehouse does not run."""
        if time.monotonic() - self._datasets_read_at > _DATASETS_KEPT_S:
            self._datasets, self._datasets_read_at = readers(_known_url(self.project)), time.monotonic()
        return self._datasets

    def is_warehouse(self, database: str | None) -> bool:
        """Whether a database is the warehouse's own."""
        if self._warehouse is None:
            self._warehouse = database_of(_known_url(self.project))
        return database is None or database == self._warehouse


Finder = Callable[[Impact, TableName, "str | None"], Iterable[Found]]


def _read(project: Project, path: Any) -> tuple[str, Pipeline | None, str]:
    name = project.display(path)
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return name, None, ""
    try:
        return name, load_pipeline(path, project), text
    except DtegError:
        return name, None, text


def _pipeline_uses(impact: Impact, table: TableName, database: str | None) -> Iterable[Found]:
    for file, pipeline, text in impact.pipelines():
        if pipeline is None:
            if names_table(text, table.schema, table.name):
                yield _broken(impact.project, file, text)
            continue
        found = [
            each for flow in pipeline.flows for each in _flow_uses(impact, pipeline, flow, table, database)
        ]
        if impact.is_warehouse(database):
            found += _other_uses(impact.project, pipeline, table)
        yield from _merged(found)


def _broken(project: Project, file: str, text: str) -> Found:
    try:
        name = load_model(project.root / file, PipelineFile).pipeline.name
    except DtegError:
        name = file.rpartition("/")[2].rpartition(".")[0]
    why = "names it, in a file that has an error"
    return Found(Use(kind="pipeline", name=name, file=file, why=why), (text,))


def _flow_uses(
    impact: Impact, pipeline: Pipeline, flow: Flow, table: TableName, database: str | None
) -> Iterable[Found]:
    texts = _step_texts(pipeline.spec)
    if _is_here(impact.project, flow.loader, database) and table in flow.targets().values():
        named = frozenset((*flow.load.primary_key, *filter(None, [flow.load.cursor])))
        rules = [name for _, rule in pipeline.rules_for(table) for name in rule.checked_columns]
        use = Use(kind="pipeline", name=pipeline.name, file=pipeline.file, why="loads into it", role="writes")
        yield Found(use, columns=named | frozenset(rules), rebuilds=flow.load.cursor is None)
    if not _is_here(impact.project, flow.extractor, database):
        return
    config: Any = flow.extractor.config
    use = Use(kind="pipeline", name=pipeline.name, file=pipeline.file, why="extracts from it")
    names = [name for name in (config.table, *config.tables) if name]
    if any(TableName.parse(name) == table for name in names):
        yield Found(use, texts, frozenset(config.columns))
    elif config.query and names_table(config.query, table.schema, table.name):
        query = Use(kind="pipeline", name=pipeline.name, file=pipeline.file, why="its query names it")
        yield Found(query, (config.query, *texts))


def _other_uses(project: Project, pipeline: Pipeline, table: TableName) -> Iterable[Found]:
    """What is not a flow: SQL files, tables that rules compare with, `depends_on`."""

    def use(why: str) -> Use:
        return Use(kind="pipeline", name=pipeline.name, file=pipeline.file, why=why)

    for step in pipeline.transforms:
        text = _text(project, step.file) if step.type == "sql" and step.file else ""
        if names_table(text, table.schema, table.name):
            yield Found(use(f"its {step.file} names it"), (text,))
    for rule in pipeline.spec.quality.validation_rules:
        if getattr(rule, "against", None) == str(table):
            yield Found(use("a rule compares with it"))
    if str(table) in pipeline.spec.depends_on:
        yield Found(use("depends_on names it"))


def _merged(found: Sequence[Found]) -> Iterable[Found]:
    """Return one use for each role of a pipeline: the reasons are told together."""
    for role in ("reads", "writes"):
        same = [each for each in found if each.use.role == role]
        if same:
            why = ", ".join(dict.fromkeys(each.use.why for each in same))
            yield Found(
                same[0].use.model_copy(update={"why": why}),
                tuple(text for each in same for text in each.texts),
                frozenset().union(*(each.columns for each in same)),
                all(each.rebuilds for each in same),
            )


def _step_texts(spec: PipelineSpec) -> tuple[str, ...]:
    """Return the settings of processors and loads as text: they name columns of the stream."""
    texts = []
    for step in spec.ordered_steps():
        if step.process:
            texts.append(_words(step.process.config))
        elif step.load:
            texts.append(_words([*step.load.primary_key, step.load.cursor]))
    return tuple(texts)


def _words(value: Any) -> str:
    """Return keys and texts of a value without their quotes, which a search of SQL would take for values."""
    if isinstance(value, dict):
        return " ; ".join(f"{key} ; {_words(each)}" for key, each in value.items())
    if isinstance(value, list):
        return " ; ".join(map(_words, value))
    return re.sub(r"['\"]", " ", str(value)) if isinstance(value, str) else ""


def _text(project: Project, file: str) -> str:
    try:
        return (project.root / file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _is_here(project: Project, part: Any, database: str | None) -> bool:
    """Whether a connector is PostgreSQL's and works on the given database of the warehouse's server."""
    if part.component.manifest.name != "postgres":
        return False
    own = _known_url(project)
    wanted = database or database_of(own)
    if part.config.url is None:
        return database_of(own) == wanted
    try:
        url = part.config.url.reveal()
    except DtegError:  # the secret is not on this machine, so nobody can say
        return False
    return server_of(url) == server_of(own) and database_of(url) == wanted


def _known_url(project: Project) -> str:
    """Return the warehouse's URL without starting the embedded server."""
    if not project.uses_embedded_postgres:
        return project.warehouse_url()
    from dteg.core.embedded import EmbeddedPostgres

    return EmbeddedPostgres.of(project).url()


def server_of(url: str) -> tuple[str, str]:
    """Return host and port of a URL or connection string, so that two of one server are equal."""
    parts = parts_of(url)
    host = parts.get("host", "")
    local = host in ("", "localhost", "127.0.0.1", "::1")
    return "localhost" if local else host, parts.get("port") or "5432"


def _model_uses(impact: Impact, table: TableName, database: str | None) -> Iterable[Found]:
    """What dbt makes of a table: directly, and through models that pass all columns on."""
    if not impact.is_warehouse(database):
        return
    models = impact.models()
    for model in models.made(table):
        use = Use(
            kind="model", name=model.name, file=model.file, why="dbt makes it from this model", role="writes"
        )
        yield Found(use, rebuilds=True)
    seen: set[str] = set()
    waiting = [(model, "reads it") for model in models.readers(table)]
    while waiting:
        model, why = waiting.pop(0)
        if model.name in seen:
            continue
        seen.add(model.name)
        use = Use(kind="model", name=model.name, file=model.file, why=why)
        yield Found(use, (model.sql,), _tested(model))
        if takes_all_columns(model.sql):
            waiting += [(child, f"reads it through {model.name}") for child in models.children(model.name)]


def _tested(model: Model) -> frozenset[str]:
    return frozenset(model.columns)


def _dataset_uses(impact: Impact, table: TableName, database: str | None) -> Iterable[Found]:
    """The datasets that read a table of the warehouse, with the names in their definitions."""
    if not impact.is_warehouse(database):
        return
    for reader in impact.datasets():
        if reader.reads(table):
            yield Found(
                Use(kind="dataset", name=reader.slug, file=reader.file, why="reads it"),
                (_words(reader.spec),),
            )


FINDERS: list[Finder] = [_pipeline_uses, _model_uses, _dataset_uses]
