"""What all pages of one component share."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from fastapi import Request

from dteg.webkit import Point
from registry.access import Principal, Role
from registry.components.models import Component
from registry.downloads.models import Day
from registry.gates.models import Cell
from registry.identifiers import component_id
from registry.namespaces.models import Namespace
from registry.releases.models import UNPROVEN, Outline, Release, State
from registry.services import services_of
from registry.together import together

CHART_DAYS = 91
_WEEK = 7


@dataclass(frozen=True, slots=True)
class Shown:
    """A component as its pages show it.

    Attributes:
        component: Itself.
        namespace: Whose it is.
        releases: All, the newest version first.
        release: The one that the page is about; None before the first.
        role: What the one who looks is in the namespace.
    """

    component: Component
    namespace: Namespace
    releases: list[Outline]
    release: Release | None
    role: Role | None

    @property
    def path(self) -> str:
        """Address of the component's page."""
        return f"/c/{self.component.id}"

    @property
    def maintained(self) -> bool:
        """Whether who looks maintains it."""
        return self.role is not None and self.role.includes(Role.MAINTAINER)

    @property
    def waiting(self) -> list[Outline]:
        """Releases whose gates are not over."""
        return [each for each in self.releases if each.state in UNPROVEN]

    @property
    def installed_by(self) -> str:
        """The command that installs what the page is about."""
        newest = self.component.latest.any
        exact = self.release is not None and self.release.version != newest
        return f"dteg install {self.component.id}" + (
            f"@{self.release.version}" if exact and self.release else ""
        )


async def shown(request: Request, who: Principal, ns: str, slug: str, version: str = "") -> Shown:
    """Return a component with its releases.

    Args:
        request: For the services.
        who: Who looks.
        ns: Namespace.
        slug: Name in it.
        version: The release that the page is about; "" for the newest one that may be installed.

    Raises:
        NotFoundError: There is no such component or release.
    """
    services, name = services_of(request), component_id(ns, slug)
    component, releases, namespace = await together(
        services.components.get(name), services.releases.outlines(name), services.namespaces.get(ns)
    )
    wanted = version or _shown_first(component, releases)
    release = await services.releases.get(component.id, wanted) if wanted else None
    role = namespace.role_of(who.user_id) if who.known and who.covers(ns, component.id) else None
    return Shown(component, namespace, releases, release, role)


def _shown_first(component: Component, releases: list[Outline]) -> str:
    """Return the version that is shown to who asks for none; "" before the first."""
    newest = component.latest.any
    if newest is not None and any(each.version == newest for each in releases):
        return newest
    return next((each.version for each in releases if each.state is not State.REMOVED), "")


def weeks(days: list[Day]) -> list[Point]:
    """Return downloads by week, the oldest first; a first week that is not whole is left out."""
    whole = days[len(days) % _WEEK :]
    starts = range(0, len(whole), _WEEK)
    return [
        Point(
            f"{whole[at].day.day} {whole[at].day:%b}", sum(each.downloads for each in whole[at : at + _WEEK])
        )
        for at in starts
    ]


def said_of(points: list[Point]) -> str:
    """Return what the chart of downloads says, in a sentence."""
    total = sum(point.value for point in points)
    if not total:
        return "No downloads in this time."
    best = max(points, key=lambda point: point.value)
    span = timedelta(weeks=len(points)).days
    return f"{total:,g} downloads in {span} days; most in the week of {best.label}: {best.value:,g}."


def matrix(cells: list[Cell]) -> tuple[list[str], list[tuple[str, Mapping[str, Cell]]]]:
    """Return the Python versions, and for each version of dteg its cells by Python version; the newest first."""
    pythons = sorted({cell.python for cell in cells}, key=_by_parts)
    rows: dict[str, dict[str, Cell]] = {}
    for cell in cells:
        rows.setdefault(cell.dteg, {})[cell.python] = cell
    return pythons, [(dteg, rows[dteg]) for dteg in sorted(rows, key=_by_parts, reverse=True)]


def _by_parts(version: str) -> list[tuple[int, str]]:
    parts = version.replace("rc", ".0rc.").split(".")
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
