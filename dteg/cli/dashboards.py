"""`dteg dashboard ...`: charts on a page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dteg.cli.charts import read_text, write_bytes, write_text
from dteg.cli.studio import AsJson, StudioUrl, service
from dteg.cli.transfers import print_json, print_table

if TYPE_CHECKING:
    from dteg.dashboards.service import Dashboards

app = typer.Typer(help="Charts on a page.", no_args_is_help=True, rich_markup_mode=None)
Slug = Annotated[str, typer.Argument(metavar="DASHBOARD", help="Slug, as dteg dashboard list shows it.")]
To = Annotated[Path | None, typer.Option("--to", "-o", help="File to write.")]


@app.command("list")
def list_(url: StudioUrl = "", as_json: AsJson = False) -> int:
    """List the dashboards."""
    found = _dashboards(url).dashboards()
    if as_json:
        print_json(found)
        return 0
    if not found:
        typer.echo("no dashboards; write dashboards/NAME.yaml and: dteg dashboard import", err=True)
        return 0
    rows = [
        (each.slug, str(len(each.spec.tiles)), ", ".join(each.spec.roles) or "-", each.spec.refresh or "-", each.title)
        for each in found
    ]  # fmt: skip
    print_table(("dashboard", "tiles", "roles", "refresh", "title"), rows)
    return 0


@app.command("export")
def export(
    slug: Annotated[
        str | None, typer.Argument(metavar="[DASHBOARD]", help="Slug; default: all of them.")
    ] = None,
    to: To = None,
    url: StudioUrl = "",
) -> int:
    """Print dashboards with the charts they show as YAML, which import reads."""
    return write_text(to, _dashboards(url).export(slug))


@app.command("import")
def import_(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="YAML; default: all of dashboards/.")
    ] = None,
    url: StudioUrl = "",
) -> int:
    """Write dashboards and charts from files, in place of those of the same names."""
    from dteg.core.project import Project
    from dteg.dashboards.service import dashboard_files

    chosen = files or dashboard_files(Project.find())
    if not chosen:
        typer.echo("there is no file in dashboards/", err=True)
    dashboards = _dashboards(url)
    for path in chosen:
        done = dashboards.import_(read_text(path), str(path))
        for word, names in (("dashboard", done.dashboards), ("chart", done.charts)):
            for name in names:
                print(f"{word} {name}")
        for name in done.missing:
            typer.echo(f"{path}: {name} is not there yet", err=True)
    return 0


@app.command("png")
def png(
    slug: Slug,
    to: To = None,
    width: Annotated[
        int, typer.Option(min=480, max=2400, help="Width in pixels; the PNG has twice as many.")
    ] = 1200,
    url: StudioUrl = "",
) -> int:
    """Draw a whole dashboard as a PNG."""
    return write_bytes(to or Path(f"{slug}.png"), _dashboards(url).png(slug, width))


@app.command("remove")
def remove(slug: Slug, url: StudioUrl = "") -> int:
    """Delete a dashboard; its charts stay."""
    _dashboards(url).remove(slug)
    print(f"removed {slug}")
    return 0


def _dashboards(url: str) -> "Dashboards":
    from dteg.dashboards.remote import RemoteDashboards
    from dteg.dashboards.service import Dashboards

    return service(Dashboards, RemoteDashboards, url)
