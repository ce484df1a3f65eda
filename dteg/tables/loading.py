"""A file made a table: the files extractor and the PostgreSQL loader, run by the engine of pipelines.

So a file is read, typed, checked and loaded as a pipeline would do it, in one transaction: whatever goes wrong, nothing
in the database has changed.
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from dteg.core.errors import ConfigError, ConflictError, DtegError, NotFoundError, Problem
from dteg.core.identifiers import TableName
from dteg.core.project import Project
from dteg.core.suggest import did_you_mean
from dteg.pipelines.listener import Listener
from dteg.tables.delimiters import delimiter_of
from dteg.tables.models import Column, CreatedTable, CreateRequest, Mode, Preview

if TYPE_CHECKING:
    import psycopg
    from pydantic_core import ErrorDetails

    from dteg.connectors.base import ConnectorConfig, Disposition, Extractor
    from dteg.connectors.discovery import Component, Components
    from dteg.pipelines.plan import Pipeline
    from dteg.pipelines.spec import LoadStep

PIPELINE = "table_create"
PREVIEW_ROWS = 20
GEOMETRY = "geometry"
_MAX_SHOWN_REASONS = 5
_REMEDY = "use --replace to exchange its rows, --append to add to them, or choose another name"
_SCHEMA = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %s)"
_RELATION = "SELECT to_regclass(%s) IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Source:
    """The file.

    Attributes:
        folder: Where relative paths begin.
        path: Path, pattern or URL as the user wrote it, which messages name.
    """

    folder: Path
    path: str


def source_of(file: str | Source) -> Source:
    """Return a path of the current folder as a source."""
    return file if isinstance(file, Source) else Source(Path.cwd(), file)


@dataclass(frozen=True)
class _Elsewhere(Project):
    """The project, but with relative paths that begin in another folder."""

    project: Project | None = None

    @property
    def state_dir(self) -> Path:
        """The project's."""
        return self._own.state_dir

    @property
    def components_dir(self) -> Path:
        """The project's."""
        return self._own.components_dir

    def warehouse_url(self) -> str:
        """Return the project's."""
        return self._own.warehouse_url()

    @property
    def _own(self) -> Project:
        assert self.project is not None
        return self.project


def project_in(project: Project, folder: Path) -> Project:
    """Return the project as a connector sees it whose relative paths begin in another folder."""
    return _Elsewhere(folder, project)


def create_table(
    project: Project, request: CreateRequest, source: Source, listener: Listener | None = None
) -> CreatedTable:
    """Load a file into a table.

    Raises:
        ConfigError: The request does not fit the file, such as a key that it does not have.
        InputError: The file cannot be read.
        ConflictError: The table is there already.
        QualityGateError: More rows are bad than may be, or rows repeat the key.
        DtegError: The database refuses. Nothing has changed, as after each of these.
    """
    from dteg.core.control import session
    from dteg.pipelines.engine import Run, run_stream
    from dteg.pipelines.runner import new_run_id

    target = TableName.parse(request.table)
    request = _with_geometry(project, request, source)
    has_schema = _look(project, target, request.mode)
    pipeline = _pipeline(project, request, source)
    full_refresh = request.mode == "replace"
    run = Run(pipeline, new_run_id(), full_refresh, listener or Listener())
    flow = pipeline.flows[0]
    with _explained(target), _without_empty_schema(project, target, had_schema=has_schema):
        result = run_stream(run, flow, target.name)
    with session(project) as connection:
        _forget_positions(connection, target)
    run.listener.stream_finished(result)
    return CreatedTable(
        table=str(target), mode=request.mode, rows_written=result.load.rows_written,
        rows_rejected=result.load.rows_rejected, columns=result.columns, changes=result.changes,
        bytes_read=result.load.bytes_read, seconds=round(result.seconds, 3),
    )  # fmt: skip


def preview(project: Project, request: CreateRequest, source: Source) -> Preview:
    """Say what a file would become: all of it is looked at, nothing is loaded.

    Raises:
        ConfigError: A type is asked for that the file cannot have.
        InputError: The file cannot be read.
    """
    from dteg.connectors.base import Context
    from dteg.core.columns import sql_type

    place = _Elsewhere(source.folder, project)
    request = _with_geometry(project, request, source)
    component, config = extractor_of(project, request, source)
    context = Context(place)
    extractor = cast("Extractor[Any]", component.create(config, context))
    with extractor:
        (stream,) = extractor.streams()
        names = [column.name for column in stream.schema]
        if unknown := [name for name in request.key if name not in names]:
            raise ConfigError(
                f"{source.path} has no column {unknown[0]!r} for the key; it has: {', '.join(names)}"
            )
        with contextlib.closing(extractor.read(stream, None)) as batches:  # type: ignore[type-var] # a generator
            batch = next(batches, None)
        rows = batch.slice(0, PREVIEW_ROWS).to_pylist() if batch is not None else []
        columns = [
            Column(name=each.name, type=sql_type(each), in_key=each.name in request.key)
            for each in stream.schema
        ]
    return Preview(
        file=source.path, format=config.file_format,  # type: ignore[attr-defined] # the files extractor's config
        columns=columns, rows=[[_shown(row[name]) for name in names] for row in rows],
        bad_rows=[f"{each.position}: {each.reason}" for each in context.dead_letters[:_MAX_SHOWN_REASONS]],
    )  # fmt: skip


def _shown(value: Any) -> str | None:
    """Return a value as a text file would hold it."""
    return str(value).lower() if isinstance(value, bool) else None if value is None else str(value)


def _with_geometry(project: Project, request: CreateRequest, source: Source) -> CreateRequest:
    """Ask for PostGIS's type, which reads GeoJSON, where the database has it."""
    from dteg.core.control import session

    name = source.path.lower().removesuffix(".gz").removesuffix(".zip")
    is_geojson = request.format == "geojson" or (request.format is None and name.endswith(".geojson"))
    if not is_geojson or GEOMETRY in request.types:
        return request
    with session(project) as connection:
        row = connection.execute("SELECT to_regtype(%s) IS NOT NULL", [GEOMETRY]).fetchone()
    types = {**request.types, GEOMETRY: GEOMETRY} if row and row[0] else request.types
    return request.model_copy(update={"types": types})


def _pipeline(project: Project, request: CreateRequest, source: Source) -> "Pipeline":
    """Return what a pipeline file with these two steps would be, without templates in any text."""
    from dteg.connectors.discovery import discover, find
    from dteg.pipelines.plan import Flow, Part, Pipeline
    from dteg.pipelines.spec import ExtractStep, PipelineSpec

    found = discover(project)
    extractor, config = extractor_of(project, request, source, found)
    loader = find("loader", "postgres", found)
    settings: dict[str, Any] = {
        "table": request.table, "only_new": request.mode == "new", "repeated_keys": "refuse",
    }  # fmt: skip
    load = _load_step(request)
    flow = Flow(Part(extractor, config), (), Part(loader, loader.config_model.model_validate(settings)), load)
    spec = PipelineSpec(name=PIPELINE, extract=ExtractStep(type="files"), load=load)
    return Pipeline(spec, _Elsewhere(source.folder, project), source.path, (flow,))


def _load_step(request: CreateRequest) -> "LoadStep":
    """Choose how rows are written: with a key, the load that also makes the key."""
    from dteg.pipelines.spec import LoadStep

    way: Disposition = "merge" if request.key else "append" if request.mode == "append" else "replace"
    return LoadStep(
        type="postgres", write=way, primary_key=list(request.key), max_bad_rows=request.max_bad_rows,
        schema_policy="freeze" if request.mode == "append" and not request.key else "evolve",
    )  # fmt: skip


def extractor_of(
    project: Project, request: CreateRequest, source: Source, found: "Components | None" = None
) -> "tuple[Component, ConnectorConfig]":
    """Return what reads the file, and how: with the delimiter that its first line shows.

    Args:
        project: Whose components are looked at.
        request: What is wanted.
        source: The file.
        found: What `discover` returns for the project, if it is known.

    Raises:
        ConfigError: The request does not fit the file.
    """
    from dteg.connectors.discovery import discover, find

    component = find("extractor", "files", discover(project) if found is None else found)
    settings: dict[str, Any] = {
        **request.options,
        "path": source.path, "columns": dict(request.types), "stream": TableName.parse(request.table).name,
    }  # fmt: skip
    if request.format:
        settings["format"] = request.format
    try:
        config = component.config_model.model_validate(settings)
    except ValidationError as error:
        known = set(component.config_model.model_fields)
        raise ConfigError([_problem(each, source.path, known) for each in error.errors()]) from None
    if (delimiter := _other_delimiter(config, request, source)) is not None:
        config = config.model_copy(update={"delimiter": delimiter})
    return component, config


def _other_delimiter(config: Any, request: CreateRequest, source: Source) -> str | None:
    if config.file_format != "csv" or "delimiter" in request.options:
        return None
    return delimiter_of(source.folder / source.path, config.encoding)


def _problem(error: "ErrorDetails", path: str, known: set[str]) -> Problem:
    from dteg.core.wording import plain_message

    key = ".".join(str(part) for part in error["loc"])
    if error["type"] != "extra_forbidden":
        return Problem(plain_message(error, error["input"]), path=key, file=path)
    near = did_you_mean(key, known) or f"there are: {', '.join(sorted(known))}"
    return Problem(f"there is no such setting for reading files; {near}", path=key, file=path)


def _look(project: Project, target: TableName, mode: Mode) -> bool:
    """Refuse early what the load would refuse late; return whether the schema is there."""
    from dteg.core.control import session

    with session(project) as connection:
        row = connection.execute(_RELATION, [target.sql]).fetchone()
        if mode == "new" and row and row[0]:
            raise ConflictError(f"{target} is there already; {_REMEDY}")
        if mode == "append" and not (row and row[0]):
            from dteg.tables.catalogue import unknown_table

            raise NotFoundError(f"{unknown_table(connection, target)}; leave --append out to make it")
        _forget_positions(connection, target)
        row = connection.execute(_SCHEMA, [target.schema]).fetchone()
        return bool(row and row[0])


def _forget_positions(connection: "psycopg.Connection[Any]", target: TableName) -> None:
    """A file that is loaded once more is loaded once more, whatever an earlier load of it has saved."""
    row = connection.execute("SELECT to_regclass('_dteg.checkpoints') IS NOT NULL").fetchone()
    if row and row[0]:
        connection.execute(
            "DELETE FROM _dteg.checkpoints WHERE pipeline = %s AND target = %s", [PIPELINE, str(target)]
        )


@contextlib.contextmanager
def _explained(target: TableName) -> Iterator[None]:
    """Say what to do in the words of `create`, where the loader speaks of pipelines."""
    try:
        yield
    except ConflictError:
        raise ConflictError(f"{target} is there already; {_REMEDY}") from None
    except ConfigError as error:
        raise ConfigError(
            [
                replace(
                    each, message=re.sub(r" on the way \(processor rename\).*", " in the file", each.message)
                )
                for each in error.problems
            ]
        ) from None


@contextlib.contextmanager
def _without_empty_schema(project: Project, target: TableName, *, had_schema: bool) -> Iterator[None]:
    """Take a schema away again that the loader has made for nothing."""
    try:
        yield
    except DtegError:
        if not had_schema:
            _drop_empty_schema(project, target.schema)
        raise


def _drop_empty_schema(project: Project, schema: str) -> None:
    from psycopg import sql

    from dteg.core.control import session

    # Without CASCADE it stays if somebody else has put something into it meanwhile.
    with contextlib.suppress(DtegError), session(project) as connection:
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {}").format(sql.Identifier(schema)))
