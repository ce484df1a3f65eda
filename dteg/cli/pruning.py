"""`dteg prune`: remove what is old from Dagster's storage."""

from typing import Annotated

import typer

from dteg.cli.studio import AsJson, StudioUrl, service


def prune(
    older_than: Annotated[
        str, typer.Option(metavar="AGE", help="What is older goes: 30d, 12w, 36h.")
    ] = "30d",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Remove old runs, events and ticks from Dagster's storage; the latest of each asset stays."""
    from pydantic import ValidationError

    from dteg.core.errors import ConfigError
    from dteg.pruning.models import PruneOrder
    from dteg.pruning.remote import RemotePruning
    from dteg.pruning.service import Pruning

    try:
        order = PruneOrder(older_than=older_than, dry_run=dry_run)
    except ValidationError as error:
        raise ConfigError(f"--older-than: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None
    report = service(Pruning, RemotePruning, url).prune(order)
    if as_json:
        print(report.model_dump_json())
        return 0
    print(report.summary)
    print(
        f"  {report.runs_kept:,} old runs stay: unfinished, last of their job, or with the latest of an asset"
    )
    if report.bytes_before:
        print(
            f"  files: {report.bytes_before / 1e6:,.1f} MB before, {report.bytes_after / 1e6:,.1f} MB after"
        )
    if not report.compacted:
        typer.echo("  a file was in use and gave no room back; the next pass tries again", err=True)
    return 0
