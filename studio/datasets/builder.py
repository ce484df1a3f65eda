"""The page on which a dataset is made without SQL, and what its scripts ask for beside the REST API.

The page works on the definition itself, the same JSON that the API and the files have. Whatever it shows of formulas,
types and mistakes is said by the compiler here, never guessed in the browser.
"""

import datetime as dt
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from dteg.core.errors import ConfigError, DtegError, Problem
from dteg.core.schedules import check_cron, check_timezone, describe, next_times
from dteg.core.yaml import MAX_BYTES
from dteg.datasets.catalogue import CatalogueTable, LiveCatalogue
from dteg.datasets.files import to_yaml
from dteg.datasets.models import Dataset, DatasetColumn
from dteg.datasets.spec import TableRef, dump_spec, parse_spec, spec_of
from dteg.sources.models import Source, SourceTable
from dteg.webapp.problems import problem
from studio.access import Principal, Scope, allow
from studio.datasets.vocabulary import vocabulary
from studio.rendering import show
from studio.services import services_of

router = APIRouter(prefix="/datasets")

Reader = Annotated[Principal, allow(Scope.READ)]
Name = Annotated[str, Query(max_length=300)]
_REF: TypeAdapter[Any] = TypeAdapter(TableRef)
_MAX_REFS = 100
_EMPTY = re.compile(
    r"(String|List|Tuple) should have at least 1 (character|item)|the formula is empty|this key is required|"
    r".* takes a list of one or more values"
)
# Branches of the tree beside the sources; no slug begins so.
_DICTIONARIES, _DATASETS = "~dictionaries", "~datasets"


class Branch(BaseModel):
    """One branch of the tree: a source, all dictionaries or all datasets."""

    id: str = Field(description="Unique in the page.")
    slug: str = Field(description="What its leaves are asked for with.")
    kind: Literal["source", "dictionaries", "datasets"]
    title: str
    note: str = Field("", description="A word about it.")
    state: str = Field("", description="`failing` or `open` if it does not answer.")
    told: str = Field("", description="Why it does not.")


class Branches(BaseModel):
    """The tree without its leaves."""

    branches: list[Branch]


class Leaf(BaseModel):
    """Something that can be put on the canvas."""

    ref: dict[str, str] = Field(description="What the definition says for it.")
    label: str
    rows: int | None = Field(None, description="Rows, if somebody has an idea.")
    ready: bool = Field(True, description="Whether it can be read.")
    problem: str = Field("", description="Why it, or a part of it, cannot be read.")


class Leaves(BaseModel):
    """The leaves of one branch."""

    tables: list[Leaf]


class Refs(BaseModel):
    """Tables to look up."""

    refs: list[dict[str, Any]] = Field(max_length=_MAX_REFS)


class KnownColumn(BaseModel):
    """A column that can be chosen."""

    name: str
    type: str
    nullable: bool
    key: bool = Field(description="Whether it alone tells the rows apart.")
    description: str = ""


class KnownTable(BaseModel):
    """What is known of a table."""

    columns: list[KnownColumn] = []
    rows: int | None = None
    problem: str = ""
    failed: bool = Field(False, description="Whether it is worth asking again.")


class KnownTables(BaseModel):
    """In the order in which they were asked for."""

    tables: list[KnownTable]


class Definition(BaseModel):
    """A dataset as the page has it: perhaps not whole yet."""

    spec: dict[str, Any]


class Place(BaseModel):
    """Something to mend, or to know."""

    path: str = Field(description="Where in the definition, such as `columns[2].formula`.")
    message: str
    line: int | None = None


class Checked(BaseModel):
    """What the compiler says of a definition. Nothing was run for it."""

    problems: list[Place] = []
    warnings: list[Place] = []
    columns: list[DatasetColumn] = []
    sql: str = ""


class Text(BaseModel):
    """A dataset as YAML."""

    text: str = Field(max_length=MAX_BYTES)


class Times(BaseModel):
    """A schedule."""

    cron: str = Field(max_length=200)
    timezone: str = Field("UTC", max_length=60)


class Told(BaseModel):
    """A schedule in words."""

    told: str


# --- pages --------------------------------------------------------------------------------------


@router.get("/new")
def new(
    request: Request,
    who: Reader,
    *,
    source: Name = "",
    table: Name = "",
    dictionary: Name = "",
    dataset: Name = "",
) -> Response:
    """The page for a new dataset, empty or beginning with one table."""
    return _page(request, who, begin=_begin(source, table, dictionary, dataset))


@router.get("/{slug}/edit")
def edit(request: Request, slug: Annotated[str, Path(max_length=64)], who: Reader) -> Response:
    """The page for a dataset that is there."""
    return _page(request, who, services_of(request).datasets.get(slug))


def _page(
    request: Request, who: Principal, dataset: Dataset | None = None, begin: dict[str, str] | None = None
) -> Response:
    read_only = ""
    if not who.may(Scope.WRITE):
        read_only = "You may look and try things out, but not save: your login lacks the right to write."
    elif dataset and dataset.origin == "file":
        read_only = f"It comes from {dataset.file}, and is changed there. Use the YAML here to do so."
    given = {
        "spec": dataset.spec if dataset else None, "revision": dataset.revision if dataset else None,
        "read_only": read_only, "begin": begin, "may_preview": who.may(Scope.WRITE), "vocabulary": vocabulary(),
    }  # fmt: skip
    return show(request, "datasets_builder.html", dataset=dataset, given=given)


def _begin(source: str, table: str, dictionary: str, dataset: str) -> dict[str, str] | None:
    if source and table:
        schema, dot, name = table.partition(".")
        return (
            {"source": source, "schema": schema, "table": name} if dot else {"source": source, "table": table}
        )
    if dictionary or dataset:
        return {"dictionary": dictionary} if dictionary else {"dataset": dataset}
    return None


# --- the tree -----------------------------------------------------------------------------------


@router.get("/builder/tree", dependencies=[allow(Scope.READ)])
def tree(request: Request) -> Branches:
    """What there is to make datasets of."""
    branches = [_branch(source) for source in services_of(request).sources.sources()]
    branches += [
        Branch(id="dictionaries", slug=_DICTIONARIES, kind="dictionaries", title="Dictionaries"),
        Branch(id="datasets", slug=_DATASETS, kind="datasets", title="Datasets"),
    ]
    return Branches(branches=branches)


@router.get("/builder/tree/{branch}")
def leaves(request: Request, branch: Annotated[str, Path(max_length=64)], who: Reader) -> Leaves:
    """The tables of one source, or all dictionaries, or all datasets."""
    services = services_of(request)
    if branch == _DICTIONARIES:
        found = [
            Leaf(ref={"dictionary": each.slug}, label=each.slug, rows=each.rows)
            for each in services.dictionaries.dictionaries()
        ]
    elif branch == _DATASETS:
        found = [_dataset_leaf(each) for each in services.datasets.datasets(who.sees)]
    else:
        found = [_table_leaf(each) for each in services.sources.tables(branch)]
    return Leaves(tables=sorted(found, key=lambda leaf: leaf.label))


@router.post("/builder/tables")
def tables(request: Request, wanted: Refs, who: Reader) -> KnownTables:
    """The columns of tables. One that cannot be read does not stop the others."""
    catalogue = LiveCatalogue(services_of(request).project, who.sees)
    return KnownTables(tables=[_known(catalogue, each) for each in wanted.refs])


def _branch(source: Source) -> Branch:
    return Branch(
        id=f"source-{source.slug}", slug=source.slug, kind="source", title=source.title or source.slug,
        note=source.kind.value, state="" if source.state.value == "ok" else source.state.value, told=source.last_error,
    )  # fmt: skip


def _table_leaf(table: SourceTable) -> Leaf:
    ref = {
        "source": table.source,
        **({"schema": table.schema_} if table.schema_ else {}),
        "table": table.name,
    }
    return Leaf(
        ref=ref, label=table.full_name, rows=table.row_estimate, ready=table.linked, problem=table.problem
    )


def _dataset_leaf(dataset: Dataset) -> Leaf:
    return Leaf(
        ref={"dataset": dataset.slug}, label=dataset.slug, rows=dataset.live.rows if dataset.live else None,
        ready=dataset.live is not None, problem="" if dataset.live else "refresh it first",
    )  # fmt: skip


def _known(catalogue: LiveCatalogue, ref: dict[str, Any]) -> KnownTable:
    try:
        table = catalogue.table(_REF.validate_python(ref))
    except ValidationError:
        return KnownTable(problem="This is no table, dictionary or dataset.")
    except DtegError as error:
        return KnownTable(problem=str(error), failed=True)
    return KnownTable(columns=_columns(table), rows=table.row_estimate, problem=table.warning)


def _columns(table: CatalogueTable) -> list[KnownColumn]:
    return [
        KnownColumn(
            name=each.name, type=each.type.sql, nullable=each.nullable, key=table.is_unique([each.name]),
            description=each.description,
        )
        for each in table.columns.values()
    ]  # fmt: skip


# --- checks and words ---------------------------------------------------------------------------


@router.post("/builder/check")
def check(request: Request, definition: Definition, who: Reader) -> Checked:
    """Compile a definition and say what is wrong where; no database is asked for rows."""
    from dteg.datasets.compiler import compile_dataset

    try:
        compiled = compile_dataset(
            spec_of(definition.spec), LiveCatalogue(services_of(request).project, who.sees)
        )
    except ConfigError as error:
        return Checked(problems=_places(error.problems))
    except DtegError as error:
        return Checked(problems=[Place(path="", message=str(error))])
    warnings = [Place(path=each.path, message=each.message) for each in compiled.warnings]
    return Checked(warnings=warnings, columns=list(compiled.columns), sql=compiled.sql)


@router.post("/builder/yaml", dependencies=[allow(Scope.READ)])
def as_yaml(definition: Definition) -> Text:
    """Write a definition as its file; one that is not whole yet as far as it goes."""
    return Text(text=to_yaml(definition.spec))


@router.post("/builder/spec", dependencies=[allow(Scope.READ)])
def as_spec(text: Text) -> Response:
    """Read the text of a file; what is wrong has its line."""
    try:
        spec = parse_spec(text.text)
    except ConfigError as error:
        places = [place.model_dump() for place in _places(error.problems)]
        return problem(422, "invalid", "the text is no dataset yet", problems=places)
    return Response(Definition(spec=dump_spec(spec)).model_dump_json(), media_type="application/json")


@router.post("/builder/schedule", dependencies=[allow(Scope.READ)])
def schedule(times: Times) -> Told:
    """Say a schedule in words, with its next times.

    Raises:
        ConfigError: It is none.
    """
    try:
        cron, timezone = check_cron(times.cron), check_timezone(times.timezone)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    following = next_times(cron, timezone, dt.datetime.now(dt.UTC), 2)
    then = " and ".join(f"{each:%Y-%m-%d %H:%M}" for each in following)
    return Told(told=f"{describe(cron)} ({timezone}). Next: {then} UTC." if then else f"{describe(cron)}.")


def _places(problems: Sequence[Problem]) -> list[Place]:
    return [Place(path=each.path, message=_sentence(each.message), line=each.line) for each in problems]


def _sentence(message: str) -> str:
    """Say it to a person: what the checks of the format say of empty fields is meant for who writes files."""
    if _EMPTY.match(message):
        return "This is still empty."
    text = message[:1].upper() + message[1:]
    return text if text.endswith((".", "?", "!")) else f"{text}."
