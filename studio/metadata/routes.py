"""The metadata cache over HTTP, for programs that are not Python: what it holds, prompts, and questions.

`cache/<source>` has the files of the cache as they were published: `MetadataClient` of Python reads those.
"""

import json
import re
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from dteg.core.errors import NotFoundError
from dteg.metadata.ask import MAX_QUESTION, Answer
from dteg.metadata.client import MetadataClient
from dteg.metadata.client.documents import sha256
from dteg.metadata.models import CacheManifest, Example, TableDocument
from dteg.metadata.reports import CollectReport, QualityReport, SuggestReport, Verdict
from dteg.metadata.service import Metadata
from dteg.metadata.store import open_store
from studio.access import Scope, allow
from studio.services import services_of

LONG = (r"/api/v1/metadata/(ask|collect|suggest|rollback)",)
router = APIRouter(prefix="/metadata", tags=["metadata"])
_READ, _WRITE = [allow(Scope.READ)], [allow(Scope.WRITE)]
_NAME = r"^[A-Za-z0-9_-]{1,63}$"
Source = Annotated[str, Query(pattern=_NAME, description="`warehouse`, or the name of a source.")]
Table = Annotated[str, Query(max_length=255, description="`schema.table`, or its name alone; empty for all.")]
Question = Annotated[str, Query(max_length=MAX_QUESTION)]
_SourcePart = Annotated[str, Path(pattern=_NAME)]
_OBJECT = re.compile(r"tables/(?!\.{1,2}/)[^/\x00-\x1f]+/[0-9a-f]{64}\.json(\.gz)?")
_VOLATILE = ("age_s", "memory_hits", "tier", "fetched_at", "etag")


class AskRequest(BaseModel):
    """A question."""

    question: str = Field(min_length=1, max_length=MAX_QUESTION, description="In words.")
    source: str = Field("warehouse", pattern=_NAME)
    run: bool = Field(False, description="Run the SQL too, if it answers this very question.")


class RunRequest(BaseModel):
    """A statement that was shown before."""

    sql: str = Field(min_length=1, max_length=20_000, description="One SELECT over tables of the cache.")
    source: str = Field("warehouse", pattern=_NAME)
    run: bool = Field(True, description="Run it; otherwise it is only planned.")


class CollectRequest(BaseModel):
    """Which source is collected."""

    source: str = Field("warehouse", pattern=_NAME)
    full: bool = Field(False, description="Read all rows again, run all examples, and mend what is broken.")


class RollbackRequest(BaseModel):
    """Which version is made current again."""

    source: str = Field("warehouse", pattern=_NAME)
    version: int = Field(ge=1)


class SuggestRequest(BaseModel):
    """What a model is asked about."""

    source: str = Field("warehouse", pattern=_NAME)
    tables: list[str] = Field(
        [], max_length=1_000, description="Tables; default: those with the fewest examples."
    )
    per_table: int = Field(3, ge=1, le=10, description="Most examples for each table.")
    limit: int = Field(10, ge=1, le=1_000, description="Most tables, where none are named.")


class Examples(BaseModel):
    """Examples, those that are not valid at the end."""

    items: list[Example]


class ExampleRequest(BaseModel):
    """A question with the SQL that answers it."""

    question: str = Field(min_length=1, max_length=MAX_QUESTION)
    sql: str = Field(min_length=1, max_length=20_000)
    source: str = Field("warehouse", pattern=_NAME)


@router.get("/info", dependencies=_READ)
def info(request: Request, source: Source = "warehouse") -> Response:
    """What the cache says of itself: version, age, quality, how many tables and examples."""

    def told(client: MetadataClient) -> Any:
        found = client.get_cache_metadata()
        return {name: value for name, value in found.items() if name not in _VOLATILE}

    return _cached(request, source, told)


@router.get("/schema", dependencies=_READ)
def schema(request: Request, source: Source = "warehouse", table: Table = "") -> Response:
    """A table as the cache has it; without a name all of them by their id."""
    return _cached(request, source, lambda client: client.get_schema_info(table))


@router.get("/columns", dependencies=_READ)
def columns(request: Request, source: Source = "warehouse", table: Table = "") -> Response:
    """The columns of a table; without a name those of all tables."""
    return _cached(request, source, lambda client: {"items": client.get_schema_columns(table)})


@router.get("/examples", dependencies=_READ)
def examples(
    request: Request, source: Source = "warehouse", question: Question = "", table: Table = "",
    k: Annotated[int, Query(ge=0, le=1000, description="Most examples; 0 for all.")] = 0,
) -> Response:  # fmt: skip
    """Questions whose SQL was run against the schema of the cache; those like `question` first."""
    return _cached(
        request, source, lambda client: {"items": client.get_few_shot_examples(question, k, table)}
    )


@router.get("/prompt", dependencies=_READ)
def prompt(
    request: Request, question: Question, source: Source = "warehouse",
    budget_tokens: Annotated[int, Query(ge=50, le=200_000)] = 4_000, k: Annotated[int, Query(ge=0, le=50)] = 5,
) -> Response:  # fmt: skip
    """What a model needs to know to answer a question, within a number of tokens."""

    def told(client: MetadataClient) -> Any:
        found = client.context(question, budget_tokens, k)
        return {
            "text": found.text, "tables": found.tables, "tokens": found.tokens,
            "examples": [each["question"] for each in found.examples],
        }  # fmt: skip

    return _cached(request, source, told)


@router.get("/cache/{source}/manifest.json", dependencies=_READ)
def manifest(request: Request, source: _SourcePart) -> Response:
    """The manifest of the cache as it was published: it names the files of the tables."""
    return _file(request, source, "manifest.json")


@router.get("/cache/{source}/tables/{table}/{name}", dependencies=_READ)
def table_file(
    request: Request, source: _SourcePart, table: Annotated[str, Path(max_length=1_000)],
    name: Annotated[str, Path(max_length=100)],
) -> Response:  # fmt: skip
    """The file of a table as it was published."""
    path = f"tables/{table}/{name}"
    if not _OBJECT.fullmatch(path):
        raise NotFoundError(f"the cache of {source} has no such file")
    return _file(request, source, path)


@router.post("/ask", dependencies=_WRITE)
def ask(request: Request, body: AskRequest) -> Answer:
    """Answer a question with SQL that the gate let through; it runs only with `run`."""
    askers = services_of(request).askers
    with askers.turn():
        return askers.of(body.source).ask(body.question, run=body.run)


@router.post("/run", dependencies=_WRITE)
def run(request: Request, body: RunRequest) -> Verdict:
    """Run one SELECT over tables of the cache: read-only, at most 100 rows and 5 seconds."""
    askers = services_of(request).askers
    with askers.turn():
        return askers.of(body.source).check(body.sql, run=body.run)


@router.post("/collect", dependencies=_WRITE)
def collect(request: Request, body: CollectRequest) -> CollectReport:
    """Collect the metadata of a source, and publish a version if anything differs."""
    with services_of(request).askers.turn():
        return _metadata(request).collect(body.source, full=body.full)


@router.post("/rollback", dependencies=_WRITE)
def rollback(request: Request, body: RollbackRequest) -> CacheManifest:
    """Make the tables of an older version current again, as a new version."""
    return _metadata(request).rollback(body.version, body.source)


@router.post("/suggest", dependencies=_WRITE)
def suggest(request: Request, body: SuggestRequest) -> SuggestReport:
    """Let the configured model propose examples; those that are proved go to `metadata/examples.yaml`."""
    with services_of(request).askers.turn():
        return _metadata(request).suggest(
            body.source, tables=body.tables, per_table=body.per_table, limit=body.limit
        )


@router.get("/manifest", dependencies=_READ)
def current(request: Request, source: Source = "warehouse") -> CacheManifest:
    """The current version: its tables, quality, and the versions before."""
    return _metadata(request).manifest(source)


@router.get("/tables/{table}", dependencies=_READ)
def table_document(
    request: Request, table: Annotated[str, Path(max_length=255)], source: Source = "warehouse"
) -> TableDocument:
    """A table of the cache with its examples."""
    return _metadata(request).show(table, source)


@router.get("/all-examples", dependencies=_READ)
def all_examples(request: Request, source: Source = "warehouse") -> Examples:
    """All examples: those that are not valid too, with the reason."""
    return Examples(items=_metadata(request).examples(source))


@router.get("/quality", dependencies=_READ)
def quality(request: Request, source: Source = "warehouse") -> QualityReport:
    """How good the cache is now, and what should be done."""
    return _metadata(request).quality(source)


@router.post("/examples", dependencies=_WRITE, status_code=201)
def add_example(request: Request, body: ExampleRequest) -> Example:
    """Prove an example and keep it in `metadata/examples.yaml`; the next collection publishes it."""
    return _metadata(request).add_example(body.question, body.sql, body.source)


def _metadata(request: Request) -> Metadata:
    return Metadata.of(services_of(request).project)


def _file(request: Request, source: str, path: str) -> Response:
    held = open_store(_metadata(request).uri(source)).read(path)
    if held is None:
        raise NotFoundError(f"the cache of {source} has no such file")
    return _answer(request, sha256(held.data), lambda: held.data)


def _cached(request: Request, source: str, value: Callable[[MetadataClient], Any]) -> Response:
    """Answer from the cache; a client that has the answer of this version gets 304."""
    client = services_of(request).askers.of(source).client
    told = client.get_cache_metadata()
    tag = sha256(f"{told['etag']} {told['stale']} {request.url.path}?{request.url.query}".encode())
    return _answer(request, tag, lambda: json.dumps(value(client), ensure_ascii=False, default=str).encode())


def _answer(request: Request, tag: str, data: Callable[[], bytes]) -> Response:
    etag = f'"{tag[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if etag in request.headers.get("if-none-match", "").split(", "):
        return Response(status_code=304, headers=headers)
    return Response(data(), media_type="application/json", headers=headers)
