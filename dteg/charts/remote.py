"""Charts and geo layers through a studio."""

import json
from collections.abc import Sequence
from typing import Any

from dteg.charts.layers import GeoLayer, NewGeoLayer
from dteg.charts.models import Chart, ChartData, ChartSpec, Drawing, Filter
from dteg.charts.picture import HEIGHT, WIDTH
from dteg.studio_client import StudioClient, quoted
from dteg.tokens.visible import EVERYTHING, Visible


class RemoteGeoLayers:
    """The geo layers of the project of a studio.

    Args:
        client: The studio.
    """

    def __init__(self, client: StudioClient) -> None:
        self._client = client

    def add(self, new: NewGeoLayer, content: bytes, name: str = "") -> GeoLayer:
        """Check, simplify and keep a GeoJSON file."""
        fields = {"slug": new.slug, "title": new.title, "replace": new.replace}
        return GeoLayer.model_validate(self._client.upload("/geo-layers", [content], **fields))

    def layers(self) -> list[GeoLayer]:
        """Return all geo layers by name."""
        return [GeoLayer.model_validate(each) for each in self._client.items("/geo-layers")]

    def get(self, slug: str) -> GeoLayer:
        """Return one geo layer."""
        return GeoLayer.model_validate(self._client.get(f"/geo-layers/{quoted(slug)}"))

    def features(self, slug: str) -> dict[str, Any]:
        """Return the FeatureCollection of a layer."""
        found: dict[str, Any] = self._client.get(f"/geo-layers/{quoted(slug)}/features")
        return found

    def remove(self, slug: str) -> None:
        """Delete a layer that no chart uses."""
        self._client.delete(f"/geo-layers/{quoted(slug)}")


class RemoteCharts:
    """The charts of the project of a studio, as far as the token sees them.

    Args:
        client: The studio.
    """

    def __init__(self, client: StudioClient) -> None:
        self._client = client
        self.layers = RemoteGeoLayers(client)

    def save(
        self, spec: ChartSpec, *, replace: bool = False, who: str = "", sees: Visible = EVERYTHING
    ) -> Chart:
        """Keep a chart; who does it and what that one sees is known by the token."""
        return Chart.model_validate(
            self._client.post("/charts", spec.model_dump(mode="json"), replace=replace)
        )

    def charts(self, sees: Visible = EVERYTHING) -> list[Chart]:
        """Return all charts by name."""
        return [Chart.model_validate(each) for each in self._client.items("/charts")]

    def get(self, slug: str, sees: Visible = EVERYTHING) -> Chart:
        """Return one chart."""
        return Chart.model_validate(self._client.get(f"/charts/{quoted(slug)}"))

    def remove(self, slug: str, sees: Visible = EVERYTHING) -> None:
        """Delete a chart that no dashboard shows."""
        self._client.delete(f"/charts/{quoted(slug)}")

    def data(self, slug: str, filters: Sequence[Filter] = (), sees: Visible = EVERYTHING) -> ChartData:
        """Return the rows of a chart."""
        return ChartData.model_validate(
            self._client.get(f"/charts/{quoted(slug)}/data", filter=_texts(filters))
        )

    def drawing(self, slug: str, filters: Sequence[Filter] = (), sees: Visible = EVERYTHING) -> Drawing:
        """Return all that is needed to draw a chart."""
        return Drawing.model_validate(
            self._client.get(f"/charts/{quoted(slug)}/vega", filter=_texts(filters))
        )

    def preview(self, spec: ChartSpec) -> Drawing:
        """Return the drawing of a chart that is not kept."""
        return Drawing.model_validate(self._client.post("/charts/preview", spec.model_dump(mode="json")))

    def png(
        self,
        slug: str,
        width: int = WIDTH,
        height: int = HEIGHT,
        filters: Sequence[Filter] = (),
        sees: Visible = EVERYTHING,
    ) -> bytes:
        """Return a picture."""
        return self._client.read(
            f"/charts/{quoted(slug)}/png", width=width, height=height, filter=_texts(filters)
        )

    def svg(
        self,
        slug: str,
        width: int = WIDTH,
        height: int = HEIGHT,
        filters: Sequence[Filter] = (),
        sees: Visible = EVERYTHING,
    ) -> str:
        """Return a picture as SVG."""
        path = f"/charts/{quoted(slug)}/svg"
        return self._client.read(path, width=width, height=height, filter=_texts(filters)).decode()

    def export(self, slug: str, sees: Visible = EVERYTHING) -> str:
        """Return a chart as YAML."""
        return self._client.read(f"/charts/{quoted(slug)}/yaml").decode()

    def apply(self, text: str, file: str = "", who: str = "", sees: Visible = EVERYTHING) -> list[Chart]:
        """Keep the charts of a YAML text."""
        return [self.get(slug) for slug in self._client.post("/charts/apply", {"text": text})["charts"]]


def _texts(filters: Sequence[Filter]) -> list[str]:
    return [json.dumps(each.model_dump(mode="json")) for each in filters]
