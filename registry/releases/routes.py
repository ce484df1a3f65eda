"""Releases over HTTP."""

import json
from collections.abc import Awaitable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import PlainTextResponse

from registry.access import Anybody, Principal, Scope, allow
from registry.attestations.models import Envelopes
from registry.components.routes import ComponentId
from registry.documents import Page
from registry.identifiers import release_id
from registry.releases.models import Accepted, CellAnswer, NewRollout, Reason, Release, ReleaseAnswer
from registry.releases.uploads import received
from registry.services import services_of

router = APIRouter(tags=["releases"])
_PUBLISH = allow(Scope.PUBLISH)
_ADMIN = allow(Scope.ADMIN)
_OF = "/components/{ns}/{slug}/releases"
_ONE = f"{_OF}/{{version}}"
Version = Annotated[str, Path(pattern=r"^\d{1,9}\.\d{1,9}\.\d{1,9}(rc\d{1,9})?$")]


def _release(component: ComponentId, version: Version) -> str:
    return release_id(component, version)


ReleaseId = Annotated[str, Depends(_release)]
_FORM = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["wheel", "signature"],
                "properties": {
                    "wheel": {
                        "type": "string",
                        "format": "binary",
                        "description": "The wheel, at most 10 MB.",
                    },
                    "signature": {"type": "string", "description": "DSSE envelope of the publish statement."},
                },
            }
        }
    },
}


# The form is read inside, after the credentials were checked: a declared form would be read before.
@router.post("/releases", status_code=202, openapi_extra={"requestBody": _FORM})
async def publish(request: Request, who: Principal = _PUBLISH) -> Accepted:
    """Publish a wheel: it is listed when its gates have passed."""
    services = services_of(request)
    async with services.releases.turn(), received(request, services.settings.data_dir / "uploads") as sent:
        release = await services.releases.publish(who, *sent)
    url = f"{services.settings.public_url}/api/v1/components/{release.component}/releases/{release.version}"
    return Accepted(
        id=release.id, component=release.component, version=release.version, state=release.state,
        sha256=release.sha256, url=url,
    )  # fmt: skip


@router.get(_OF)
async def read_releases(
    request: Request,
    component: ComponentId,
    _: Anybody,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    after: Annotated[str, Query(max_length=40)] = "",
) -> Page[ReleaseAnswer]:
    """Return the releases of a component, the newest version first; those that wait or were rejected too."""
    services = services_of(request)
    await services.components.get(component)
    releases = await services.releases.of(component)
    places = {each.version: place for place, each in enumerate(releases)}
    start = places.get(after, -1) + 1
    items = await services.releases.answer(releases[start : start + limit])
    more = start + limit < len(releases)
    return Page(items=items, next=items[-1].version if more else None)


@router.get(_ONE)
async def read_release(request: Request, release: ReleaseId, _: Anybody) -> ReleaseAnswer:
    """Return a release."""
    return await _answer(request, services_of(request).releases.by_id(release))


@router.post(f"{_ONE}/yank")
async def yank(
    request: Request, release: ReleaseId, body: Reason, who: Principal = _PUBLISH
) -> ReleaseAnswer:
    """Keep new installations from taking it; who has pinned it still gets it."""
    return await _answer(request, services_of(request).releases.yank(who, release, body.reason))


@router.delete(f"{_ONE}/yank")
async def unyank(request: Request, release: ReleaseId, who: Principal = _PUBLISH) -> ReleaseAnswer:
    """List it again."""
    return await _answer(request, services_of(request).releases.yank(who, release, None))


@router.post(f"{_ONE}/quarantine")
async def quarantine(
    request: Request, release: ReleaseId, body: Reason, who: Principal = _ADMIN
) -> ReleaseAnswer:
    """Withhold this one release from everybody."""
    return await _answer(request, services_of(request).releases.quarantine(who, release, body.reason))


@router.delete(f"{_ONE}/quarantine")
async def unquarantine(request: Request, release: ReleaseId, who: Principal = _ADMIN) -> ReleaseAnswer:
    """Give it back."""
    return await _answer(request, services_of(request).releases.quarantine(who, release, None))


@router.post(f"{_ONE}/retest")
async def retest(request: Request, release: ReleaseId, who: Principal = _PUBLISH) -> ReleaseAnswer:
    """Have a rejected release go through its gates again."""
    return await _answer(request, services_of(request).releases.retest(who, release))


@router.post(f"{_ONE}/removal")
async def remove(
    request: Request, release: ReleaseId, body: Reason, who: Principal = _ADMIN
) -> ReleaseAnswer:
    """Take a quarantined release away for ever."""
    return await _answer(request, services_of(request).releases.remove(who, release, body.reason))


@router.post(f"{_ONE}/rollout")
async def rollout(
    request: Request, release: ReleaseId, body: NewRollout, who: Principal = _PUBLISH
) -> ReleaseAnswer:
    """Say how far it may go, or halt it without taking it from those who have it."""
    return await _answer(request, services_of(request).releases.set_rollout(who, release, body))


@router.get(f"{_ONE}/attestations")
async def read_attestations(request: Request, release: ReleaseId, _: Anybody) -> Envelopes:
    """Return what was signed about it: by its publisher, and by the registry."""
    services = services_of(request)
    found = await services.releases.by_id(release)
    return Envelopes(items=await services.attestations.about(found.id))


@router.get(f"{_ONE}/readme", response_class=PlainTextResponse)
async def read_readme(request: Request, release: ReleaseId, _: Anybody) -> PlainTextResponse:
    """Return its README as Markdown, exactly as published."""
    releases = services_of(request).releases
    text = await releases.readme(await releases.by_id(release))
    return PlainTextResponse(text, media_type="text/markdown")


@router.get(f"{_ONE}/manifest")
async def read_manifest(request: Request, release: ReleaseId, _: Anybody) -> dict[str, Any]:
    """Return its dteg.yaml."""
    return (await services_of(request).releases.by_id(release)).manifest


@router.get(f"{_ONE}/schema")
async def read_schema(request: Request, release: ReleaseId, _: Anybody) -> dict[str, Any]:
    """Return the JSON Schema of its config."""
    found = await services_of(request).releases.by_id(release)
    schema: dict[str, Any] = json.loads(found.config_schema)
    return schema


@router.get(f"{_ONE}/compatibility")
async def read_compatibility(request: Request, release: ReleaseId, _: Anybody) -> Page[CellAnswer]:
    """Return under which versions of dteg and Python it has passed its tests."""
    answer = await _answer(request, services_of(request).releases.by_id(release))
    return Page(items=answer.compatibility)


async def _answer(request: Request, release: Awaitable[Release]) -> ReleaseAnswer:
    """Return what everybody sees of a release that was read or changed."""
    (answer,) = await services_of(request).releases.answer([await release])
    return answer
