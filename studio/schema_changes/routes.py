"""Schema changes over HTTP."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel

from dteg.schema_changes.models import (
    Break,
    ChangeFilter,
    ChangePage,
    Listening,
    NewListening,
    News,
    SchemaChange,
)
from studio.access import Principal, Scope, allow
from studio.answers import Limit, Page, with_etag
from studio.services import services_of

router = APIRouter(prefix="/schema-changes", tags=["schema changes"])
_READ = [allow(Scope.READ)]
_WRITE = [allow(Scope.WRITE)]
_MAX_ID = 2**63 - 1
_Number = Annotated[int, Path(ge=0, le=_MAX_ID, description="Its number.")]
# PostgreSQL cuts longer names and knows none with NUL.
_Name = Annotated[str, Query(max_length=63, pattern=r"^[^\x00]*$")]
_Table = Annotated[str, Query(max_length=130, pattern=r"^[^\x00]*$", description="As `schema.table`.")]
_CatchUp = Annotated[bool, Query(description="First take note of what has happened, if no listener runs.")]


class Cursor(BaseModel):
    """A place in the sequence of changes.

    Attributes:
        cursor: What to ask with.
    """

    cursor: int


class Done(BaseModel):
    """Whether something was done here.

    Attributes:
        done: False if another process does it.
    """

    done: bool


class Deleted(BaseModel):
    """What was deleted.

    Attributes:
        deleted: How many changes.
    """

    deleted: int


@router.get("", dependencies=_READ)
def list_changes(
    request: Request,
    *,
    database: _Name = "",
    table: _Table = "",
    kind: _Name = "",
    who: _Name = "",
    found_by: Annotated[Literal["trigger", "snapshot"] | None, Query()] = None,
    since: Annotated[datetime | None, Query()] = None,
    breaking: bool = False,
    routine: bool = False,
    before: Annotated[int | None, Query(ge=0, le=_MAX_ID, description="`next` of the answer before.")] = None,
    limit: Limit = 100,
    catch_up: _CatchUp = True,
) -> ChangePage:
    """List changes, newest first."""
    wanted = ChangeFilter(
        database=database or None, table=table or None, kind=kind or None, who=who or None, found_by=found_by,
        since=since, breaking=breaking, routine=routine,
    )  # fmt: skip
    return services_of(request).schema_changes.changes(wanted, before=before, limit=limit, catch_up=catch_up)


@router.get("/after/{cursor}", dependencies=_READ)
def read_changes(
    request: Request, cursor: _Number, limit: Limit = 500, routine: bool = False, catch_up: _CatchUp = True
) -> News:
    """Read what came after a cursor, oldest first; 0 is the beginning."""
    found, next_ = services_of(request).schema_changes.read(cursor, limit, routine=routine, catch_up=catch_up)
    return News(items=found, cursor=next_)


@router.get("/last", dependencies=_READ)
def last_cursor(request: Request) -> Cursor:
    """Return the cursor behind everything that is known now."""
    return Cursor(cursor=services_of(request).schema_changes.last())


@router.get("/events/{number}", dependencies=_READ, response_model=SchemaChange)
def get_change(request: Request, number: _Number) -> Response:
    """Return one change with what the object was like before and after it."""
    return with_etag(request, services_of(request).schema_changes.change(number))


@router.post("/catch-up", dependencies=_WRITE)
def catch_up(request: Request, snapshot: bool = False) -> Done:
    """Take note of what has happened, unless a listener does that; with `snapshot` compare the catalogues too."""
    return Done(done=services_of(request).schema_changes.catch_up(snapshot=snapshot))


@router.get("/listening", dependencies=_READ)
def list_listening(request: Request) -> Page[Listening]:
    """List the databases that are listened to, and how it stands with each."""
    return Page(items=services_of(request).schema_changes.listening())


@router.get("/listening/one", dependencies=_READ)
def get_listening(request: Request, database: _Name = "") -> Listening:
    """Return how it stands with one database; without a name with the warehouse."""
    return services_of(request).schema_changes.listening_to(database)


@router.post("/listening", dependencies=_WRITE, status_code=201)
def listen(request: Request, wanted: NewListening) -> Listening:
    """Begin to capture the changes of a database; to ask again repairs and keeps what is there."""
    return services_of(request).schema_changes.listen(
        wanted.database,
        truncate=wanted.truncate,
        keeps_text=wanted.keeps_text,
        snapshot_only=wanted.snapshot_only,
    )


@router.delete("/listening", dependencies=_WRITE, status_code=204)
def unlisten(request: Request, database: _Name = "") -> None:
    """End the capture in a database and remove what it installed there; the history stays."""
    services_of(request).schema_changes.unlisten(database)


@router.get("/databases", dependencies=_READ)
def list_databases(request: Request) -> Page[str]:
    """List the databases of the server that one may listen to."""
    return Page(items=services_of(request).schema_changes.databases())


@router.get("/breaks", dependencies=_READ)
def list_breaks(request: Request, mended: bool = False, limit: Limit = 200) -> Page[Break]:
    """List what changes have broken; with `mended` also what was broken once."""
    return Page(items=services_of(request).schema_changes.breaks(mended=mended, limit=limit))


@router.post("/breaks/{number}/dismiss")
def dismiss(request: Request, number: _Number, who: Annotated[Principal, allow(Scope.WRITE)]) -> Break:
    """Close a break because it is none."""
    return services_of(request).schema_changes.dismiss(number, who.name)


@router.post("/prune", dependencies=[allow(Scope.ADMIN)])
def prune(
    request: Request,
    keep_s: Annotated[float, Query(ge=0, le=1e10, description="Age in seconds up to which changes stay.")],
) -> Deleted:
    """Delete old changes and old mended breaks."""
    return Deleted(deleted=services_of(request).schema_changes.prune(keep_s))
