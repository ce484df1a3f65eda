"""Backups over HTTP. What takes a while is a job: 202, and `GET /backups/jobs/{id}` says how far it is."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from dteg.backups.models import ID, Backup, Job, Manifest, NewBackup, Pruned, RestoreOrder
from dteg.core.errors import DeniedError
from studio.access import Principal, Scope, allow
from studio.answers import After, Limit, Page, with_etag
from studio.backups.models import PruneRequest, PublicKey, RebuildRequest, VerifyRequest
from studio.services import services_of

router = APIRouter(prefix="/backups", tags=["backups"])
# An object store may be slow to list or to delete.
LONG = (r"/api/v1/backups/(prune|rebuild)", r"/backups/prune")
BackupName = Annotated[str, Path(pattern=f"^{ID.pattern}$", description="Id of the backup.")]
Writer = Annotated[Principal, allow(Scope.WRITE)]


class RestoreBody(RestoreOrder):
    """A restore of the backup in the path."""

    id: str = ""


@router.get("", dependencies=[allow(Scope.READ)])
def list_backups(
    request: Request,
    database: Annotated[str, Query(max_length=200, description="Of this database only.")] = "",
    limit: Limit = 100,
    after: After = "",
) -> Page[Backup]:
    """List the backups, the newest first."""
    found = services_of(request).backups.all(database, after=after, limit=limit + 1)
    return Page(items=found[:limit], next=found[limit - 1].id if len(found) > limit else None)


@router.post("", status_code=202)
def create_backup(request: Request, order: NewBackup, who: Writer) -> Job:
    """Begin a backup. A target, key or server of one's own choice needs the scope admin."""
    require_admin(who, order)
    return services_of(request).backups.start_create(order)


@router.get("/jobs", dependencies=[allow(Scope.READ)])
def list_jobs(request: Request, limit: Limit = 20) -> Page[Job]:
    """List the newest jobs."""
    return Page(items=services_of(request).backups.jobs(limit))


@router.get("/jobs/{job}", dependencies=[allow(Scope.READ)])
def read_job(request: Request, job: Annotated[str, Path(pattern="^[0-9a-f]{16}$")]) -> Job:
    """Say how far a job is, and what came of it."""
    return services_of(request).backups.job(job)


@router.get("/key", dependencies=[allow(Scope.READ)])
def read_key(request: Request) -> PublicKey:
    """Return the public key that another machine needs to trust these backups."""
    return PublicKey(public_key=services_of(request).backups.public_key())


@router.post("/prune", dependencies=[allow(Scope.ADMIN)])
def prune_backups(request: Request, wanted: PruneRequest) -> Pruned:
    """Delete old backups; never the newest of a database, nor the last one that was verified."""
    return services_of(request).backups.prune(wanted.keep, database=wanted.database, dry_run=wanted.dry_run)


@router.post("/rebuild", dependencies=[allow(Scope.ADMIN)])
def rebuild_catalogue(request: Request, wanted: RebuildRequest) -> Page[Backup]:
    """Read the manifests at a target into the catalogue."""
    return Page(items=services_of(request).backups.rebuild(wanted.target))


@router.get("/{backup}", response_model=Backup, dependencies=[allow(Scope.READ)])
def read_backup(request: Request, backup: BackupName) -> Response:
    """Return one backup."""
    return with_etag(request, services_of(request).backups.get(backup))


@router.get("/{backup}/manifest", response_model=Manifest, dependencies=[allow(Scope.READ)])
def read_manifest(request: Request, backup: BackupName) -> Response:
    """Return what a backup says of itself; its signature was found good."""
    return with_etag(request, services_of(request).backups.manifest(backup))


@router.post("/{backup}/verify", status_code=202)
def verify_backup(request: Request, backup: BackupName, wanted: VerifyRequest, who: Writer) -> Job:
    """Begin a verification."""
    if (wanted.source or wanted.key or wanted.server) and not who.may(Scope.ADMIN):
        raise DeniedError("a source, key or server of your choice needs a token with the scope admin")
    return services_of(request).backups.start_verify(
        backup, restore=wanted.restore, source=wanted.source, key=wanted.key, server=wanted.server or ""
    )


@router.post("/{backup}/restore", status_code=202, dependencies=[allow(Scope.ADMIN)])
def restore_backup(request: Request, backup: BackupName, order: RestoreBody) -> Job:
    """Begin a restore into a new database, or with `swap` in the place of one that is kept under another name."""
    return services_of(request).backups.start_restore(
        RestoreOrder.model_validate({**order.model_dump(), "id": backup})
    )


def require_admin(who: Principal, order: NewBackup) -> None:
    """Refuse what would let a writer reach other machines, or write elsewhere on this one.

    Raises:
        DeniedError: With less than the scope admin.
    """
    if (order.to or order.key or "://" in order.database) and not who.may(Scope.ADMIN):
        raise DeniedError(
            "a target, key or server of your choice needs a token with the scope admin; without them a database"
            " of the warehouse's server goes to the project's own place"
        )
