"""Charts of a project: kept in the warehouse, drawn from its datasets, and written as YAML."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from dteg.charts.documents import document_of, keep, kept, specs_in, yaml_text
from dteg.charts.drawing import data_of, draw
from dteg.charts.layers import GeoLayers
from dteg.charts.models import Chart, ChartData, ChartSpec, Drawing, Filter
from dteg.charts.picture import HEIGHT, WIDTH, png_of, svg_of
from dteg.charts.reading import check_columns
from dteg.core.control import session
from dteg.core.errors import ConfigError, ConflictError, NotFoundError
from dteg.core.project import Project
from dteg.core.suggest import did_you_mean
from dteg.core.yaml import Document, parse, yaml_files
from dteg.datasets.visible import hidden
from dteg.tokens.visible import EVERYTHING, Visible

_DOMAIN = "charts"


class Charts:
    """The charts of a project.

    Args:
        project: Whose.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.layers = GeoLayers(project)

    @classmethod
    def of(cls, project: Project) -> Self:
        """Return those of a project."""
        return cls(project)

    def save(
        self, spec: ChartSpec, *, replace: bool = False, who: str = "", sees: Visible = EVERYTHING
    ) -> Chart:
        """Keep a chart.

        Args:
            spec: The chart.
            replace: Whether there may be one of this name.
            who: Who does it.
            sees: What that one may see: nobody takes the place of what is not for them.

        Raises:
            ConflictError: There is one of this name.
            ConfigError: It asks for columns that its dataset does not have.
        """
        self.check(spec, sees)
        self.require_free(spec.chart, sees)
        with session(self.project, _DOMAIN) as connection:
            if not keep(connection, _DOMAIN, spec.chart, spec, replace=replace, who=who):
                raise ConflictError(
                    f"there is a chart {spec.chart!r}; change it with replace, or choose another name"
                )
        return self.get(spec.chart)

    def require_free(self, slug: str, sees: Visible) -> None:
        """Refuse a name under which there is something that is not for who asks.

        Raises:
            ConflictError: There is.
        """
        if slug not in {each.slug for each in self.charts(sees)} and self._is_taken(slug):
            raise ConflictError(f"the name {slug!r} is taken; choose another one")

    def _is_taken(self, slug: str) -> bool:
        with session(self.project, _DOMAIN) as connection:
            return connection.execute("SELECT FROM _dteg.charts WHERE slug = %s", [slug]).rowcount == 1

    def check(self, spec: ChartSpec, sees: Visible = EVERYTHING) -> None:
        """Look whether the dataset of a chart has what it asks for; a dataset that is not there yet is no fault.

        Raises:
            ConfigError: It does not.
            NotFoundError: The dataset is not for who asks.
        """
        self._require_dataset(spec, sees)
        if spec.source.metric is None:
            check_columns(self.project, spec)

    def charts(self, sees: Visible = EVERYTHING) -> list[Chart]:
        """Return all charts that may be seen, by name."""
        with session(self.project, _DOMAIN) as connection:
            found = kept(connection, _DOMAIN, Chart)
        closed = hidden(self.project, sees)
        return [
            each for each in found if sees.allows(each.spec.roles) and each.spec.source.dataset not in closed
        ]

    def get(self, slug: str, sees: Visible = EVERYTHING) -> Chart:
        """Return one chart.

        Raises:
            NotFoundError: There is no such chart, or it is not for who looks.
        """
        with session(self.project, _DOMAIN) as connection:
            found = kept(connection, _DOMAIN, Chart, slug)
        if not found or not self._shown(found[0], sees):
            near = did_you_mean(slug, [each.slug for each in self.charts(sees)])
            raise NotFoundError(f"there is no chart {slug!r}; {near or 'list them with: dteg chart list'}")
        return found[0]

    def _shown(self, chart: Chart, sees: Visible) -> bool:
        """Whether a chart and its dataset are for who looks: an open chart does not open a closed dataset."""
        return sees.allows(chart.spec.roles) and chart.spec.source.dataset not in hidden(self.project, sees)

    def _require_dataset(self, spec: ChartSpec, sees: Visible) -> None:
        if spec.source.dataset in hidden(self.project, sees):
            raise NotFoundError(f"there is no dataset {spec.source.dataset!r}")

    def remove(self, slug: str, sees: Visible = EVERYTHING) -> None:
        """Delete a chart that no dashboard shows.

        Raises:
            NotFoundError: There is no such chart.
            ConflictError: A dashboard shows it.
        """
        from dteg.dashboards.service import Dashboards

        self.get(slug, sees)
        if shown := Dashboards.of(self.project).showing(slug):
            raise ConflictError(f"the chart {slug!r} is on: {', '.join(shown)}; take it off there first")
        with session(self.project, _DOMAIN) as connection:
            connection.execute("DELETE FROM _dteg.charts WHERE slug = %s", [slug])

    def data(self, slug: str, filters: Sequence[Filter] = (), sees: Visible = EVERYTHING) -> ChartData:
        """Return the rows of a chart, at most 5,000.

        Raises:
            NotFoundError: There is no such chart, or its dataset has no data.
            ConfigError: A filter or column does not fit.
        """
        return data_of(self.project, self.get(slug, sees).spec, filters)

    def drawing(self, slug: str, filters: Sequence[Filter] = (), sees: Visible = EVERYTHING) -> Drawing:
        """Return all that is needed to draw a chart; errors as those of `data`."""
        return draw(self.project, self.get(slug, sees).spec, filters, self.layers)

    def preview(self, spec: ChartSpec, sees: Visible = EVERYTHING) -> Drawing:
        """Return the drawing of a chart that is not kept; errors as those of `data`."""
        self._require_dataset(spec, sees)
        return draw(self.project, spec, (), self.layers)

    def png(
        self,
        slug: str,
        width: int = WIDTH,
        height: int = HEIGHT,
        filters: Sequence[Filter] = (),
        sees: Visible = EVERYTHING,
    ) -> bytes:
        """Return a picture, twice as many pixels as asked; errors as those of `data`.

        Raises:
            MissingExtraError: The library that draws is not installed.
            TransientError: It takes too long.
        """
        return png_of(self.drawing(slug, filters, sees), width, height)

    def svg(
        self,
        slug: str,
        width: int = WIDTH,
        height: int = HEIGHT,
        filters: Sequence[Filter] = (),
        sees: Visible = EVERYTHING,
    ) -> str:
        """Return a picture as SVG; errors as those of `png`."""
        return svg_of(self.drawing(slug, filters, sees), width, height)

    def export(self, slug: str, sees: Visible = EVERYTHING) -> str:
        """Return a chart as YAML.

        Raises:
            NotFoundError: There is no such chart.
        """
        return chart_text(self.get(slug, sees).spec)

    def apply(self, text: str, file: str = "", who: str = "", sees: Visible = EVERYTHING) -> list[Chart]:
        """Keep the charts of a YAML text, in place of those of the same names; all or none are valid.

        Raises:
            ConfigError: One is wrong; with file and line.
        """
        specs = charts_in(parse(text, file))
        if not specs:
            raise ConfigError(f"{file or 'the text'} holds no chart: write chart: NAME, title, source, type")
        for spec in specs:
            self.check(spec, sees)
            self.require_free(spec.chart, sees)
        with session(self.project, _DOMAIN) as connection, connection.transaction():
            for spec in specs:
                keep(connection, _DOMAIN, spec.chart, spec, replace=True, who=who)
        return [self.get(spec.chart) for spec in specs]

    def close(self) -> None:
        """End the process that makes pictures, if this service has started it."""
        from dteg.charts.render import painter

        painter().close()


def chart_text(spec: ChartSpec) -> str:
    """Return a chart as YAML; the same chart always has the same bytes."""
    return yaml_text(document_of(spec))


def charts_in(document: Document) -> list[ChartSpec]:
    """Return the charts of a document: one chart, or a list under `charts:`.

    Raises:
        ConfigError: One is wrong; with file and line.
    """
    found = specs_in(document, ChartSpec, "chart")
    seen: set[str] = set()
    for number, each in enumerate(found):
        if each.chart in seen:
            raise ConfigError([document.problem(("charts", number), f"there are two charts {each.chart!r}")])
        seen.add(each.chart)
    return found


def chart_files(project: Project) -> list[Path]:
    """Return the files of the folder `charts/`, sorted."""
    return yaml_files(project.root / "charts")
