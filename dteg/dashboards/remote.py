"""Dashboards through a studio."""

from collections.abc import Mapping, Sequence

from dteg.charts.models import Drawing, Freshness
from dteg.dashboards.models import Dashboard, DashboardSpec, Imported
from dteg.studio_client import StudioClient, quoted
from dteg.tokens.visible import EVERYTHING, Visible

_NO_VALUES: Mapping[str, Sequence[str]] = {}


class RemoteDashboards:
    """The dashboards of the project of a studio, as far as the token sees them.

    Args:
        client: The studio.
    """

    def __init__(self, client: StudioClient) -> None:
        self._client = client

    def save(
        self, spec: DashboardSpec, *, replace: bool = False, who: str = "", sees: Visible = EVERYTHING
    ) -> Dashboard:
        """Keep a dashboard; who does it and what that one sees is known by the token."""
        body = spec.model_dump(mode="json")
        return Dashboard.model_validate(self._client.post("/dashboards", body, replace=replace))

    def dashboards(self, sees: Visible = EVERYTHING) -> list[Dashboard]:
        """Return all dashboards by name."""
        return [Dashboard.model_validate(each) for each in self._client.items("/dashboards")]

    def get(self, slug: str, sees: Visible = EVERYTHING) -> Dashboard:
        """Return one dashboard."""
        return Dashboard.model_validate(self._client.get(f"/dashboards/{quoted(slug)}"))

    def remove(self, slug: str, sees: Visible = EVERYTHING) -> None:
        """Delete a dashboard; its charts stay."""
        self._client.delete(f"/dashboards/{quoted(slug)}")

    def tile(
        self,
        slug: str,
        number: int,
        values: Mapping[str, Sequence[str]] = _NO_VALUES,
        sees: Visible = EVERYTHING,
    ) -> Drawing:
        """Return the drawing of one tile."""
        path = f"/dashboards/{quoted(slug)}/tiles/{number}"
        return Drawing.model_validate(self._client.get(path, **_query(values)))

    def freshness(self, slug: str, sees: Visible = EVERYTHING) -> list[Freshness]:
        """Return how old the datasets of a dashboard are."""
        found = self._client.get(f"/dashboards/{quoted(slug)}/freshness")
        return [Freshness.model_validate(each) for each in found]

    def png(
        self,
        slug: str,
        width: int = 1200,
        values: Mapping[str, Sequence[str]] = _NO_VALUES,
        sees: Visible = EVERYTHING,
    ) -> bytes:
        """Return a picture of a whole dashboard."""
        return self._client.read(f"/dashboards/{quoted(slug)}/png", width=width, **_query(values))

    def export(self, slug: str | None = None, sees: Visible = EVERYTHING) -> str:
        """Return a dashboard, or all of them, with the charts they show, as YAML."""
        return self._client.read(
            f"/dashboards/{quoted(slug)}/export" if slug else "/dashboards/export"
        ).decode()

    def import_(self, text: str, file: str = "", who: str = "", sees: Visible = EVERYTHING) -> Imported:
        """Write the dashboards and charts of a YAML text."""
        return Imported.model_validate(self._client.post("/dashboards/import", {"text": text}))


def _query(values: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {name: list(each) for name, each in values.items()}
