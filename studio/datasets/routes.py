"""Datasets over HTTP: definitions, previews, rows and their generations."""

from typing import Annotated, Any, Self

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field, TypeAdapter, ValidationError, model_validator

from dteg.core.errors import ConfigError
from dteg.datasets.compiler import Compiled
from dteg.datasets.models import SLUG_PATTERN, Dataset, Generation, Removed, RowPage
from dteg.datasets.preview import JoinSuggestion, Preview
from dteg.datasets.spec import DatasetSpec, TableRef, parse_spec, spec_of
from dteg.datasets.visible import hidden
from dteg.tables.models import Use
from studio.access import Principal, Scope, allow
from studio.answers import After, Limit, Page, page_of, with_etag
from studio.datasets.seeing import ONLY_SEEN
from studio.leaving import while_wanted
from studio.services import services_of

router = APIRouter(tags=["datasets"], dependencies=ONLY_SEEN)
# What waits for sources.
LONG = (r"/api/v1/datasets/(preview|joins)", r"/api/v1/datasets/[^/]+/rollback")
MAX_YAML = 900_000
Reader = Annotated[Principal, allow(Scope.READ)]
_READ, _WRITE, _ADMIN = [allow(Scope.READ)], [allow(Scope.WRITE)], [allow(Scope.ADMIN)]
Writer = Annotated[Principal, allow(Scope.WRITE)]
Slug = Annotated[str, Path(pattern=SLUG_PATTERN, description="Name of the dataset.")]
N = Annotated[int, Path(ge=1, le=2_000_000_000, description="Number of the generation.")]
RunId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.:-]{1,100}$", description="Name of the run.")]


class Definition(BaseModel):
    """A definition: as JSON, or as the text of a YAML file."""

    spec: dict[str, Any] | None = Field(None, description="The definition; its JSON Schema: /dataset-schema.")
    yaml: str | None = Field(None, max_length=MAX_YAML, description="The same as YAML.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.spec is None) is (self.yaml is None):
            raise ValueError("send either spec or yaml")
        return self

    def parsed(self) -> DatasetSpec:
        """Return the definition as a model.

        Raises:
            ConfigError: With the path of each problem, and of YAML its line.
        """
        return parse_spec(self.yaml) if self.yaml is not None else spec_of(self.spec or {})


class ChangedDataset(Definition):
    """Another definition of a dataset."""

    revision: int | None = Field(
        None, description="The revision that was changed; if there is a newer one, the change is refused."
    )


class NewDataset(Definition):
    """A definition to save."""

    replace: bool = Field(False, description="Whether there may be a dataset of this name.")


class PreviewRequest(Definition):
    """A definition to try."""

    rows: int = Field(50, ge=1, le=1_000, description="Rows at the most.")


class JoinRequest(BaseModel):
    """Tables that may belong together."""

    tables: list[dict[str, Any]] = Field(
        min_length=2, max_length=20, description="As under `sources` of a definition."
    )


class RefreshRequest(BaseModel):
    """A refresh to begin."""

    run_id: str = Field("", pattern=r"^[A-Za-z0-9_.:-]{0,100}$", description="Its name; default: a new one.")


class Begun(BaseModel):
    """A refresh that has begun."""

    run_id: str = Field(description="Its name: /dataset-runs/{run_id} says what came of it.")


class RunAnswer(BaseModel):
    """What came of a run."""

    generation: Generation | None = Field(description="What it builds or has built; null before it begins.")


class RollbackRequest(BaseModel):
    """Which generation readers shall see again."""

    n: int | None = Field(None, ge=1, description="Its number; default: the one that was live before.")


class Text(BaseModel):
    """A definition as YAML."""

    yaml: str = Field(description="The text of a file.")


class Sql(BaseModel):
    """A definition as SQL."""

    sql: str = Field(description="The SELECT that a refresh runs.")


@router.get("/dataset-schema", dependencies=_READ)
def schema() -> dict[str, Any]:
    """Return the JSON Schema of a definition."""
    return DatasetSpec.model_json_schema(by_alias=True)


@router.get("/dataset-runs/{run_id}")
def run(request: Request, run_id: RunId, who: Reader) -> RunAnswer:
    """Say what came of a refresh that was begun."""
    datasets = services_of(request).datasets
    found = datasets.run(run_id)
    if found is not None and found.dataset in hidden(datasets.project, who.sees):
        found = None
    return RunAnswer(generation=found)


@router.get("/datasets")
def list_datasets(request: Request, who: Reader, limit: Limit = 100, after: After = "") -> Page[Dataset]:
    """List the datasets that may be seen: state, rows and age."""
    return page_of(services_of(request).datasets.datasets(who.sees), limit, after, key=lambda each: each.slug)


@router.post("/datasets", status_code=201)
def save(request: Request, new: NewDataset, who: Writer) -> Dataset:
    """Save a definition; nothing is built by that."""
    return services_of(request).datasets.save(
        new.parsed(), replace=new.replace, origin="api", who=who.name, sees=who.sees
    )


@router.post("/datasets/preview")
async def preview(request: Request, wanted: PreviewRequest, who: Writer) -> Preview:
    """Return the first rows of a definition, its SQL, its plan and warnings; nothing is saved.

    A client that goes away ends its queries.
    """
    return await while_wanted(
        request, lambda: services_of(request).datasets.preview(wanted.parsed(), wanted.rows, who.sees)
    )


@router.post("/datasets/validate")
def validate(request: Request, wanted: Definition, who: Writer) -> Compiled:
    """Check a definition against its sources; nothing is saved or run."""
    return services_of(request).datasets.validate(wanted.parsed(), who.sees)


@router.post("/datasets/joins")
async def joins(request: Request, wanted: JoinRequest, who: Writer) -> Page[JoinSuggestion]:
    """Suggest how tables belong together, best first."""
    try:
        tables = TypeAdapter(list[TableRef]).validate_python(wanted.tables)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ConfigError(f"tables[{first['loc'][0]}]: {first['msg']}") from None
    return Page(
        items=await while_wanted(
            request, lambda: services_of(request).datasets.suggest_joins(tables, who.sees)
        )
    )


@router.get("/datasets/{slug}", response_model=Dataset, dependencies=_READ)
def read(request: Request, slug: Slug) -> Response:
    """Return one dataset."""
    return with_etag(request, services_of(request).datasets.get(slug))


@router.put("/datasets/{slug}")
def change(request: Request, slug: Slug, new: ChangedDataset, who: Writer) -> Dataset:
    """Save another definition of a dataset; its rows stay until the next refresh."""
    spec = new.parsed()
    if spec.dataset != slug:
        raise ConfigError(f"the definition is of dataset {spec.dataset!r}, and not of {slug!r}")
    return services_of(request).datasets.save(
        spec, replace=True, origin="api", who=who.name, revision=new.revision, sees=who.sees
    )


@router.delete("/datasets/{slug}", dependencies=_ADMIN)
def remove(request: Request, slug: Slug) -> Removed:
    """Delete a dataset with its rows, if nothing reads it."""
    return services_of(request).datasets.remove(slug)


@router.get("/datasets/{slug}/yaml", dependencies=_READ)
def export(request: Request, slug: Slug) -> Text:
    """Return the definition as YAML."""
    return Text(yaml=services_of(request).datasets.export(slug))


@router.get("/datasets/{slug}/sql", dependencies=_READ)
def sql(request: Request, slug: Slug) -> Sql:
    """Return the SQL that the definition means now."""
    return Sql(sql=services_of(request).datasets.sql(slug))


@router.get("/datasets/{slug}/uses", dependencies=_READ)
def uses(request: Request, slug: Slug) -> Page[Use]:
    """Return what reads a dataset."""
    return Page(items=list(services_of(request).datasets.uses(slug)))


@router.get("/datasets/{slug}/rows", dependencies=_READ)
async def rows(
    request: Request,
    slug: Slug,
    *,
    limit: Annotated[int, Query(ge=1, le=10_000, description="Rows at the most.")] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000, description="Rows to pass over.")] = 0,
    where: Annotated[str, Query(max_length=10_000, description="Condition, such as `total > 5`.")] = "",
    order: Annotated[
        str, Query(max_length=64, description="Column; a minus before it sorts downwards.")
    ] = "",
    columns: Annotated[list[str] | None, Query(max_length=1600, description="Columns; default: all.")] = None,
) -> RowPage:
    """Return rows that readers see now."""
    return await while_wanted(
        request,
        lambda: services_of(request).datasets.rows(slug, limit, offset, where, order, columns=columns or ()),
    )


@router.post("/datasets/{slug}/refresh", status_code=202, dependencies=_WRITE)
def refresh(request: Request, slug: Slug, wanted: RefreshRequest | None = None) -> Begun:
    """Begin a refresh in a process of its own."""
    return Begun(run_id=services_of(request).datasets.start(slug, wanted.run_id if wanted else ""))


@router.post("/datasets/{slug}/rollback", dependencies=_WRITE)
def rollback(request: Request, slug: Slug, wanted: RollbackRequest | None = None) -> Generation:
    """Let readers see an earlier generation again, at once."""
    return services_of(request).datasets.rollback(slug, wanted.n if wanted else None)


@router.get("/datasets/{slug}/generations", dependencies=_READ)
def generations(request: Request, slug: Slug, limit: Limit = 50) -> Page[Generation]:
    """List the copies of the rows, newest first, failed ones included."""
    return Page(items=services_of(request).datasets.generations(slug, limit))


@router.get("/datasets/{slug}/generations/{n}", dependencies=_READ)
def generation(request: Request, slug: Slug, n: N) -> Generation:
    """Return one copy of the rows."""
    return services_of(request).datasets.generation(slug, n)
