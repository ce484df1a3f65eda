"""`dteg chart ...`: charts of datasets, and the areas of maps."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dteg.cli.studio import AsJson, StudioUrl, service
from dteg.cli.transfers import print_json, print_table

if TYPE_CHECKING:
    from dteg.charts.models import ChartData
    from dteg.charts.service import Charts

app = typer.Typer(help="Charts of datasets.", no_args_is_help=True, rich_markup_mode=None)
areas = typer.Typer(help="Geo layers: the areas of maps.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(areas, name="layer")
Slug = Annotated[str, typer.Argument(metavar="CHART", help="Slug, as dteg chart list shows it.")]
LayerSlug = Annotated[str, typer.Argument(metavar="LAYER", help="Slug, as dteg chart layer list shows it.")]
To = Annotated[Path | None, typer.Option("--to", "-o", help="File to write; default: named by the slug.")]
Width = Annotated[int, typer.Option(min=120, max=3000, help="Width in pixels; the PNG has twice as many.")]
Height = Annotated[int, typer.Option(min=120, max=3000, help="Height in pixels.")]


@app.command("list")
def list_(url: StudioUrl = "", as_json: AsJson = False) -> int:
    """List the charts."""
    found = _charts(url).charts()
    if as_json:
        print_json(found)
        return 0
    if not found:
        typer.echo("no charts; write charts/NAME.yaml and: dteg chart apply", err=True)
        return 0
    rows = [
        (each.slug, each.spec.type.value, _source(each.spec.source), ", ".join(each.spec.roles) or "-", each.title)
        for each in found
    ]  # fmt: skip
    print_table(("chart", "type", "data", "roles", "title"), rows)
    return 0


@app.command("show")
def show(
    slug: Slug,
    rows: Annotated[int, typer.Option(min=1, max=5000, help="Rows at the most.")] = 50,
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Print the data of a chart as a table."""
    charts = _charts(url)
    chart, data = charts.get(slug), charts.data(slug)
    if as_json:
        print(data.model_dump_json())
        return 0
    print(chart.title)
    if data.number is not None:
        print(f"{data.number.text}  {data.number.delta_text} {data.number.since}".rstrip())
    else:
        _print_rows(data, rows)
    if data.note:
        typer.echo(data.note, err=True)
    return 0


@app.command("png")
def png(slug: Slug, to: To = None, width: Width = 800, height: Height = 400, url: StudioUrl = "") -> int:
    """Draw a chart as a PNG."""
    return write_bytes(to or Path(f"{slug}.png"), _charts(url).png(slug, width, height))


@app.command("svg")
def svg(slug: Slug, to: To = None, width: Width = 800, height: Height = 400, url: StudioUrl = "") -> int:
    """Draw a chart as an SVG."""
    return write_bytes(to or Path(f"{slug}.svg"), _charts(url).svg(slug, width, height).encode())


@app.command("apply")
def apply(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="YAML; default: all of charts/.")
    ] = None,
    url: StudioUrl = "",
) -> int:
    """Write charts from files, in place of those of the same names."""
    from dteg.charts.service import chart_files
    from dteg.core.project import Project

    chosen = files or chart_files(Project.find())
    if not chosen:
        typer.echo("there is no file in charts/", err=True)
    charts = _charts(url)
    for path in chosen:
        for chart in charts.apply(read_text(path), str(path)):
            print(f"{chart.slug}: {chart.spec.type.value} of {_source(chart.spec.source)}")
    return 0


@app.command("export")
def export(slug: Slug, to: To = None, url: StudioUrl = "") -> int:
    """Print a chart as YAML, which apply reads."""
    return write_text(to, _charts(url).export(slug))


@app.command("remove")
def remove(slug: Slug, url: StudioUrl = "") -> int:
    """Delete a chart that no dashboard shows."""
    _charts(url).remove(slug)
    print(f"removed {slug}")
    return 0


@areas.command("add")
def add_layer(
    slug: LayerSlug,
    file: Annotated[Path, typer.Argument(help="GeoJSON, at most 10 MB.")],
    title: Annotated[str, typer.Option(help="Title; default: the slug.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Change the layer of this name.")] = False,
    url: StudioUrl = "",
) -> int:
    """Check, simplify and keep areas for maps."""
    from dteg.charts.layers import NewGeoLayer
    from dteg.core.errors import ConfigError, InputError
    from dteg.core.geojson import MAX_BYTES

    try:
        new = NewGeoLayer.model_validate({"slug": slug, "title": title, "replace": replace})
    except ValueError as error:
        raise ConfigError(f"{slug!r} is no slug: small letters, digits and _") from error
    try:
        if file.stat().st_size > MAX_BYTES:
            raise InputError(f"larger than {MAX_BYTES // 1_000_000} MB; simplify it first", source=str(file))
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", source=str(file)) from None
    made = _charts(url).layers.add(new, content, str(file))
    print(f"{made.slug}: {made.feature_count} areas, {made.vertices:,} points of {made.vertices_before:,}")
    print(f"  keys: {', '.join(made.properties) or 'none that every area has'}")
    return 0


@areas.command("list")
def list_layers(url: StudioUrl = "", as_json: AsJson = False) -> int:
    """List the geo layers."""
    found = _charts(url).layers.layers()
    if as_json:
        print_json(found)
        return 0
    rows = [
        (each.slug, str(each.feature_count), f"{each.vertices:,}", ", ".join(each.properties) or "-")
        for each in found
    ]
    print_table(("layer", "areas", "points", "keys"), rows)
    return 0


@areas.command("remove")
def remove_layer(slug: LayerSlug, url: StudioUrl = "") -> int:
    """Delete a geo layer that no chart uses."""
    _charts(url).layers.remove(slug)
    print(f"removed {slug}")
    return 0


def read_text(path: Path) -> str:
    """Return the text of a file of YAML.

    Raises:
        ConfigError: It cannot be read, is too large, or is not UTF-8.
    """
    from dteg.core.errors import ConfigError, Problem
    from dteg.core.yaml import MAX_BYTES

    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError([Problem(f"cannot be read: {error.strerror}", file=str(path))]) from None
    if len(data) > MAX_BYTES:
        raise ConfigError([Problem(f"larger than {MAX_BYTES} bytes", file=str(path))])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError([Problem("not UTF-8; save it as UTF-8", file=str(path))]) from None


def write_bytes(path: Path, content: bytes) -> int:
    """Write a file and say so.

    Raises:
        EnvironmentProblemError: It cannot be written.
    """
    from dteg.cli.transfers import size_text
    from dteg.core.errors import EnvironmentProblemError

    try:
        path.write_bytes(content)
    except OSError as error:
        raise EnvironmentProblemError(f"{path} cannot be written: {error.strerror}") from None
    print(f"{path}: {size_text(len(content))}")
    return 0


def write_text(path: Path | None, text: str) -> int:
    """Print a text, or write it to a file."""
    if path is None:
        sys.stdout.write(text)
        return 0
    return write_bytes(path, text.encode())


def _charts(url: str) -> "Charts":
    from dteg.charts.remote import RemoteCharts
    from dteg.charts.service import Charts

    return service(Charts, RemoteCharts, url)


def _source(source: "object") -> str:
    metric = getattr(source, "metric", None)
    return f"{getattr(source, 'dataset', '')}{f'.{metric}' if metric else ''}"


def _print_rows(data: "ChartData", most: int) -> None:
    from dteg.charts.picture import cell_text

    rows = [[cell_text(row.get(each.key), each) or "-" for each in data.columns] for row in data.rows[:most]]
    print_table([each.title for each in data.columns], rows)
    if len(data.rows) > most or data.more:
        typer.echo(f"{len(rows)} of {'more than ' if data.more else ''}{len(data.rows)} rows", err=True)
