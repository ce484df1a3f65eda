"""Releases as everybody sees them: with names instead of ids, and what was proved about them."""

from collections import defaultdict
from typing import TYPE_CHECKING

from registry.releases.models import CellAnswer, Release, ReleaseAnswer

if TYPE_CHECKING:
    from registry.services import Services

_SAME = (
    "id", "component", "version", "state", "reason", "filename", "sha256", "size", "published_at", "updated_at",
    "gates", "score", "trust", "key_id", "attestation", "changelog", "rollout",
)  # fmt: skip


async def answers_of(services: "Services", releases: list[Release]) -> list[ReleaseAnswer]:
    """Return answers about releases, in their order."""
    logins = await services.accounts.logins([each.published_by for each in releases])
    cells: dict[str, list[CellAnswer]] = defaultdict(list)
    for cell in await services.gates.cells([each.id for each in releases]):
        cells[cell.release].append(
            CellAnswer(dteg=cell.dteg, python=cell.python, status=cell.status, at=cell.at)
        )
    return [_answer(each, logins.get(each.published_by, ""), cells[each.id]) for each in releases]


def file_path(release: Release) -> str:
    """Return the path under which the wheel is downloaded."""
    return f"/files/{release.sha256}/{release.filename}"


def _answer(release: Release, login: str, cells: list[CellAnswer]) -> ReleaseAnswer:
    manifest = release.contents
    return ReleaseAnswer(
        **{name: getattr(release, name) for name in _SAME},
        url=file_path(release),
        manifest=manifest,
        published_by=login,
        capabilities=sorted(manifest.capabilities.names()),
        dependencies=manifest.dependencies,
        breaking_changes=manifest.breaking_changes,
        compatibility=cells,
    )
