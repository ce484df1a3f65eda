"""From a chart to all that is needed to draw it: its data, its Vega-Lite, its areas, and how old all that is."""

from collections.abc import Sequence
from typing import Any

from dteg.charts.geo import joined
from dteg.charts.layers import GeoLayers
from dteg.charts.models import ChartData, ChartSpec, ChartType, Drawing, Filter, Freshness
from dteg.charts.reading import read_dataset
from dteg.charts.theme import themes
from dteg.charts.vega import drawn_rows, said, vega_of
from dteg.core.errors import DtegError
from dteg.core.project import Project


def data_of(project: Project, spec: ChartSpec, filters: Sequence[Filter] = ()) -> ChartData:
    """Return the rows of a chart; errors are those of `read_dataset` and `read_series`."""
    if spec.source.metric is None:
        return read_dataset(project, spec, filters)
    from dteg.charts.series import read_series

    return read_series(project, spec)


def draw(project: Project, spec: ChartSpec, filters: Sequence[Filter], layers: GeoLayers) -> Drawing:
    """Return the drawing of a chart.

    Args:
        project: Whose data.
        spec: The chart.
        filters: Conditions beside the chart's own; those on columns that its dataset does not have are left out.
        layers: Areas of maps.
    """
    data = data_of(project, spec, filters)
    rows = drawn_rows(spec, data)
    if spec.type is ChartType.MAP:
        rows, data = _on_map(spec, data, layers)
    return Drawing(
        chart=spec.chart,
        title=spec.title,
        description=said(spec),
        type=spec.type,
        spec=vega_of(spec, data),
        rows=rows,
        data=data,
        themes=themes(),
        freshness=freshness_of(project, spec.source.dataset),
    )


def _on_map(spec: ChartSpec, data: ChartData, layers: GeoLayers) -> tuple[list[dict[str, Any]], ChartData]:
    """Return the areas with their numbers, and the data with a note about numbers that belong to no area."""
    assert spec.map is not None  # the model has checked it
    values = {str(row["x"]): row["y0"] for row in data.rows}
    features = joined(layers.features(spec.map.layer), spec.map.key, values)
    known = {feature["properties"]["x"] for feature in features}
    if lost := sorted(set(values) - known):
        names = ", ".join(lost[:5]) + (" and others" if len(lost) > 5 else "")
        note = f"Without an area of {spec.map.layer}.{spec.map.key}: {names}"
        data = data.model_copy(update={"note": note})
    return features, data


def freshness_of(project: Project, dataset: str) -> Freshness:
    """Return how old the rows of a dataset are; nothing is known of a view that was made by hand."""
    from dteg.datasets.service import Datasets

    try:
        found = Datasets.of(project).get(dataset)
    except DtegError:
        return Freshness(dataset=dataset)
    as_of = found.live.data_as_of or found.live.finished_at if found.live is not None else None
    return Freshness(
        dataset=dataset, data_as_of=as_of, age_s=found.age_s, stale=found.stale, problem=found.problem
    )
