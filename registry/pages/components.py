"""The pages of one component: overview, configuration, versions, trust."""

import base64
import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from markupsafe import Markup

from dteg.signing import GATES, PUBLISH
from dteg.webkit import FormState, fields_of, read_config, step_yaml
from registry.access import Anybody
from registry.attestations.models import ACCEPTED
from registry.gates.models import Cell, CellStatus
from registry.identifiers import component_id
from registry.pages.forms import Posted
from registry.pages.readmes import Readmes
from registry.pages.rendering import show
from registry.pages.shown import CHART_DAYS, Shown, matrix, said_of, shown, weeks
from registry.parameters import NamespacePath, SlugPath
from registry.services import Services, services_of
from registry.together import together

router = APIRouter(prefix="/c/{ns}/{slug}")
_PREFIX = "set_"
_READMES = Readmes()
_STATEMENTS = {
    PUBLISH: ("Published", "The publisher signed the hash of this file."),
    ACCEPTED: ("Accepted", "The registry checked that signature when it took the file in."),
    GATES: ("Gates passed", "The registry ran the gates on this very file and signed what they found."),
}


@router.get("")
async def overview(request: Request, ns: NamespacePath, slug: SlugPath, who: Anybody) -> Response:
    """What it is, how it is installed, how much it is used."""
    services = services_of(request)
    it, days = await together(
        shown(request, who, ns, slug), services.downloads.series(component_id(ns, slug), CHART_DAYS)
    )
    readme, cells = Markup(), list[Cell]()
    if it.release:
        readme, cells = await together(
            _READMES.of(services, it.release), services.gates.cells([it.release.id])
        )
    points = weeks(days)
    return show(
        request, who, "component.html", it=it, tab="overview", readme=readme, points=points, said=said_of(points),
        cells=matrix(cells),
    )  # fmt: skip


@router.get("/configuration")
async def configuration(request: Request, ns: NamespacePath, slug: SlugPath, who: Anybody) -> Response:
    """Its settings, and a form that writes the YAML."""
    it = await shown(request, who, ns, slug)
    return show(
        request, who, "configuration.html", it=it, tab="configuration", fields=_fields(it), form=FormState(), yaml=""
    )  # fmt: skip


@router.post("/configuration")
async def make_configuration(
    request: Request, ns: NamespacePath, slug: SlugPath, who: Anybody, form: Posted
) -> Response:
    """Write the YAML of what was filled in."""
    it = await shown(request, who, ns, slug)
    fields = _fields(it)
    given = {name.removeprefix(_PREFIX): text for name, text in form.items() if name.startswith(_PREFIX)}
    config, problems = read_config(fields, given)
    yaml = "" if problems else step_yaml(it.component.kind, f"dteg://{it.component.id}", config)
    filled = FormState(
        {_PREFIX + name: text for name, text in given.items()},
        {_PREFIX + name: f"{name}: {text}" for name, text in problems.items()},
    )
    status = 422 if problems else 200
    return show(
        request, who, "configuration.html", status=status, it=it, tab="configuration", fields=fields, form=filled, yaml=yaml
    )  # fmt: skip


@router.get("/versions")
async def versions(request: Request, ns: NamespacePath, slug: SlugPath, who: Anybody) -> Response:
    """All its releases."""
    it = await shown(request, who, ns, slug)
    cells = await services_of(request).gates.cells([each.id for each in it.releases])
    proven: dict[str, int] = {}
    for cell in cells:
        proven[cell.release] = proven.get(cell.release, 0) + (cell.status == CellStatus.PASS)
    return show(request, who, "versions.html", it=it, tab="versions", proven=proven, form=FormState())


@router.get("/trust")
async def trust(request: Request, ns: NamespacePath, slug: SlugPath, who: Anybody) -> Response:
    """Who signed what, and the public log."""
    services = services_of(request)
    it = await shown(request, who, ns, slug)
    statements = await statements_of(services, it)
    keys = await services.attestations.keys()
    head = await services.attestations.head()
    entries = await services.attestations.entries_of(it.release) if it.release else []
    return show(
        request, who, "trust.html", it=it, tab="trust", statements=statements, keys=keys, head=head, entries=entries
    )  # fmt: skip


async def statements_of(services: Services, it: Shown) -> list[dict[str, Any]]:
    """Return what was signed about the release, the oldest first."""
    if it.release is None:
        return []
    publishers = {key.kid: key.name for key in it.namespace.keys}
    return [_statement(each, publishers) for each in await services.attestations.about(it.release.id)]


def _statement(envelope: dict[str, Any], publishers: dict[str, str]) -> dict[str, Any]:
    signed = json.loads(base64.b64decode(envelope["payload"]))
    kind = str(signed.get("predicateType", ""))
    title, about = _STATEMENTS.get(kind, ("Statement", ""))
    keys = [str(each.get("keyid", "")) for each in envelope.get("signatures", [])]
    subject = (signed.get("subject") or [{}])[0]
    return {
        "title": title, "about": about, "kind": kind, "key_ids": keys,
        "signer": "publisher" if any(key in publishers for key in keys) else "registry",
        "key_name": next((publishers[key] for key in keys if publishers.get(key)), ""),
        "file": subject.get("name", ""), "sha256": (subject.get("digest") or {}).get("sha256", ""),
        "json": json.dumps(signed, indent=2, ensure_ascii=False)[:100_000],
    }  # fmt: skip


def _fields(it: Shown) -> list[Any]:
    return list(fields_of(json.loads(it.release.config_schema))) if it.release else []
