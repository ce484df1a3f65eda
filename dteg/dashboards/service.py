"""Dashboards of a project: kept in the warehouse, exported and imported with the charts that they show."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from dteg.charts.documents import document_of, keep, kept, specs_in, yaml_text
from dteg.charts.drawing import freshness_of
from dteg.charts.models import Chart, ChartSpec, ChartType, Drawing, Freshness
from dteg.charts.service import Charts, charts_in
from dteg.core.control import ensure, session
from dteg.core.errors import ConfigError, ConflictError, NotFoundError
from dteg.core.project import Project
from dteg.core.suggest import did_you_mean
from dteg.core.yaml import Document, parse, yaml_files
from dteg.dashboards.models import Dashboard, DashboardSpec, Imported, chosen
from dteg.tokens.visible import EVERYTHING, Visible

_DOMAIN = "dashboards"
_SHOWING = """
SELECT slug FROM _dteg.dashboards WHERE spec -> 'tiles' @> jsonb_build_array(jsonb_build_object('chart', %s::text))
ORDER BY slug
"""
Values = Mapping[str, Sequence[str]]
_NO_VALUES: Values = {}


class Dashboards:
    """The dashboards of a project.

    Args:
        project: Whose.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.charts = Charts(project)

    @classmethod
    def of(cls, project: Project) -> Self:
        """Return those of a project."""
        return cls(project)

    def save(
        self, spec: DashboardSpec, *, replace: bool = False, who: str = "", sees: Visible = EVERYTHING
    ) -> Dashboard:
        """Keep a dashboard.

        Args:
            spec: The dashboard.
            replace: Whether there may be one of this name.
            who: Who does it.
            sees: What that one may see: nobody puts charts on a dashboard that are not for them.

        Raises:
            ConflictError: There is one of this name.
            ConfigError: It shows a chart that is not there.
        """
        known = {chart.slug for chart in self.charts.charts(sees)}
        if lost := [name for name in spec.charts if name not in known]:
            near = did_you_mean(lost[0], known)
            raise ConfigError(f"there is no chart {lost[0]!r}; {near or 'make it first'}")
        self._require_free(spec.dashboard, sees)
        with session(self.project, _DOMAIN) as connection:
            if not keep(connection, _DOMAIN, spec.dashboard, spec, replace=replace, who=who):
                raise ConflictError(
                    f"there is a dashboard {spec.dashboard!r}; change it with replace, or choose another name"
                )
        return self.get(spec.dashboard)

    def dashboards(self, sees: Visible = EVERYTHING) -> list[Dashboard]:
        """Return all dashboards that may be seen, by name."""
        with session(self.project, _DOMAIN) as connection:
            found = kept(connection, _DOMAIN, Dashboard)
        return [each for each in found if sees.allows(each.spec.roles)]

    def get(self, slug: str, sees: Visible = EVERYTHING) -> Dashboard:
        """Return one dashboard.

        Raises:
            NotFoundError: There is no such dashboard, or it is not for who looks.
        """
        found = {each.slug: each for each in self.dashboards(sees)}
        if slug not in found:
            near = did_you_mean(slug, found)
            raise NotFoundError(
                f"there is no dashboard {slug!r}; {near or 'list them with: dteg dashboard list'}"
            )
        return found[slug]

    def remove(self, slug: str, sees: Visible = EVERYTHING) -> None:
        """Delete a dashboard; its charts stay.

        Raises:
            NotFoundError: There is no such dashboard.
        """
        self.get(slug, sees)
        with session(self.project, _DOMAIN) as connection:
            connection.execute("DELETE FROM _dteg.dashboards WHERE slug = %s", [slug])

    def showing(self, chart: str) -> list[str]:
        """Return the dashboards that show a chart."""
        with session(self.project, _DOMAIN) as connection:
            return [row[0] for row in connection.execute(_SHOWING, [chart]).fetchall()]

    def tile(
        self, slug: str, number: int, values: Values = _NO_VALUES, sees: Visible = EVERYTHING
    ) -> Drawing:
        """Return the drawing of one tile with the filters of its dashboard.

        Args:
            slug: The dashboard.
            number: Which tile, from 0.
            values: What is chosen in the filters; see `chosen`.
            sees: What may be seen.

        Raises:
            NotFoundError: There is no such dashboard, tile or chart, or its dataset has no data.
            ConfigError: A value does not fit its filter.
        """
        spec = self.get(slug, sees).spec
        name = spec.tiles[number].chart if 0 <= number < len(spec.tiles) else None
        if name is None:
            raise NotFoundError(f"the dashboard {slug!r} has no chart in place {number}")
        return self.charts.drawing(name, chosen(spec, values), sees)

    def freshness(self, slug: str, sees: Visible = EVERYTHING) -> list[Freshness]:
        """Return how old the datasets of a dashboard are, by name."""
        shown = self.shown(self.get(slug, sees).spec, sees)
        return [
            freshness_of(self.project, name) for name in sorted({each.spec.source.dataset for each in shown})
        ]

    def shown(self, spec: DashboardSpec, sees: Visible = EVERYTHING) -> list[Chart]:
        """Return the charts of a dashboard that may be seen, by name."""
        wanted = set(spec.charts)
        return [each for each in self.charts.charts(sees) if each.slug in wanted]

    def choices(self, spec: DashboardSpec, field: str, sees: Visible = EVERYTHING) -> list[str]:
        """Return the values that a filter offers: those of the first dataset with that column."""
        from dteg.charts.reading import choices_of

        for dataset in sorted({each.spec.source.dataset for each in self.shown(spec, sees)}):
            try:
                return choices_of(self.project, dataset, field)
            except (ConfigError, NotFoundError):
                continue
        return []

    def png(
        self, slug: str, width: int = 1200, values: Values = _NO_VALUES, sees: Visible = EVERYTHING
    ) -> bytes:
        """Return a picture of a whole dashboard.

        Args:
            slug: The dashboard.
            width: Pixels of the page; the picture has twice as many.
            values: What is chosen in the filters.
            sees: What may be seen; tiles that may not are left empty.

        Raises:
            NotFoundError: There is no such dashboard.
            MissingExtraError: The library that draws is not installed.
        """
        from dteg.dashboards.picture import dashboard_png

        return dashboard_png(self, self.get(slug, sees), width, values, sees)

    def export(self, slug: str | None = None, sees: Visible = EVERYTHING) -> str:
        """Return a dashboard, or all of them, with the charts they show, as YAML.

        Raises:
            NotFoundError: There is no such dashboard, or a chart of it is not for who asks.
        """
        found = [self.get(slug, sees)] if slug else self.dashboards(sees)
        names = sorted({name for each in found for name in each.spec.charts})
        charts = [self.charts.get(name, sees).spec for name in names]
        return bundle_text([each.spec for each in found], charts)

    def import_(self, text: str, file: str = "", who: str = "", sees: Visible = EVERYTHING) -> Imported:
        """Write the dashboards and charts of a YAML text, in place of those of the same names: all of it or nothing.

        Datasets and geo layers that the charts need may come later.

        Raises:
            ConfigError: Something is wrong in it; with file and line.
        """
        document = parse(text, file)
        charts, dashboards = charts_in(document), dashboards_in(document)
        if not charts and not dashboards:
            raise ConfigError(f"{file or 'the text'} holds neither dashboards nor charts")
        known = {chart.slug for chart in self.charts.charts(sees)} | {each.chart for each in charts}
        for spec in dashboards:
            if lost := [name for name in spec.charts if name not in known]:
                raise ConfigError(
                    f"the dashboard {spec.dashboard!r} shows {lost[0]!r}, which is no chart here"
                )
        for chart in charts:
            self.charts.check(chart, sees)
            self.charts.require_free(chart.chart, sees)
        for spec in dashboards:
            self._require_free(spec.dashboard, sees)
        with session(self.project, "charts") as connection:
            ensure(connection, _DOMAIN)
            with connection.transaction():
                for chart in charts:
                    keep(connection, "charts", chart.chart, chart, replace=True, who=who)
                for spec in dashboards:
                    keep(connection, _DOMAIN, spec.dashboard, spec, replace=True, who=who)
        return Imported(
            dashboards=[each.dashboard for each in dashboards],
            charts=[each.chart for each in charts],
            missing=self._missing(charts),
        )

    def _require_free(self, slug: str, sees: Visible) -> None:
        if any(each.slug == slug and not sees.allows(each.spec.roles) for each in self.dashboards()):
            raise ConflictError(f"the name {slug!r} is taken; choose another one")

    def _missing(self, charts: Sequence[ChartSpec]) -> list[str]:
        from dteg.charts.reading import datasets_with_data

        datasets = set(datasets_with_data(self.project))
        layers = {layer.slug for layer in self.charts.layers.layers()}
        lost = {f"dataset {each.source.dataset}" for each in charts if each.source.dataset not in datasets}
        maps = [each.map.layer for each in charts if each.type is ChartType.MAP and each.map is not None]
        return sorted(lost) + sorted({f"geo layer {name}" for name in maps if name not in layers})


def bundle_text(dashboards: Sequence[DashboardSpec], charts: Sequence[ChartSpec]) -> str:
    """Return dashboards and charts as YAML; the same things always have the same bytes."""
    return yaml_text(
        {
            "dashboards": [document_of(each) for each in sorted(dashboards, key=lambda each: each.dashboard)],
            "charts": [document_of(each) for each in sorted(charts, key=lambda each: each.chart)],
        }
    )


def dashboards_in(document: Document) -> list[DashboardSpec]:
    """Return the dashboards of a document: one, or a list under `dashboards:`.

    Raises:
        ConfigError: One is wrong; with file and line.
    """
    return specs_in(document, DashboardSpec, "dashboard")


def dashboard_files(project: Project) -> list[Path]:
    """Return the files of the folder `dashboards/`, sorted."""
    return yaml_files(project.root / "dashboards")
