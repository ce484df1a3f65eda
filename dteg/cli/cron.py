"""`dteg cron ...`: jobs that run by the clock."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import click
import typer
from typer.core import TyperCommand

from dteg.cli.studio import AsJson, StudioUrl, service
from dteg.cli.transfers import print_json, print_table

if TYPE_CHECKING:
    from dteg.cron.models import CronJob, CronRun
    from dteg.cron.service import CronJobs

app = typer.Typer(help="Jobs that run by the clock.", no_args_is_help=True, rich_markup_mode=None)
Jobs = Annotated[list[str], typer.Argument(metavar="[ID]...", help="Ids, as dteg cron jobs shows them.")]
All = Annotated[bool, typer.Option("--all", help="All jobs.")]


class ActionCommand(TyperCommand):
    """A command that says where `--` belongs when an option of the action is taken for one of its own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words."""
        try:
            return super().parse_args(ctx, list(args))
        except click.NoSuchOption as error:
            if "--" in args:
                raise
            raise click.UsageError(
                f"No such option {error.option_name}. If it belongs to the action, write -- before that: "
                'dteg cron add NAME "0 2 * * *" -- ACTION...',
                ctx,
            ) from None


@app.command("add", cls=ActionCommand)
def add(
    name: Annotated[str, typer.Argument(help="Name and id: small letters, digits and _.")],
    schedule: Annotated[
        str, typer.Argument(metavar="CRON", help="Cron expression in quotes: minute hour day month weekday.")
    ],
    action: Annotated[
        list[str],
        typer.Argument(
            metavar="-- ACTION...",
            help="What it does: backup DATABASE [--to URI] [--encrypt], run pipeline NAME, refresh dataset NAME, "
            "metadata NAME, prune [--older-than 30d], or verify backups.",
        ),
    ],
    timezone: Annotated[str, typer.Option(help="Time zone of the schedule, such as Asia/Seoul.")] = "UTC",
    description: Annotated[str, typer.Option(help="A sentence for people.")] = "",
    stopped: Annotated[bool, typer.Option("--stopped", help="Add it, but do not start it yet.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Change the job of this name.")] = False,
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Add a job: dteg cron add nightly "0 2 * * *" -- backup my_database."""
    from dteg.core.errors import ConfigError
    from dteg.cron.actions import action_text, parse_action
    from dteg.cron.models import NewCronJob
    from dteg.tables.requests import checked

    if (
        len(schedule.split()) == 1
    ):  # the rest would be taken for the action, or is what the shell made of a star
        raise ConfigError(
            f"{schedule!r} is not a cron expression of five fields; write it in quotes: "
            f'dteg cron add {name} "0 2 * * *" -- ACTION...'
        )
    values = {
        "name": name, "schedule": schedule, "action": action_text(parse_action(action)), "timezone": timezone,
        "description": description, "enabled": not stopped, "replace": replace,
    }  # fmt: skip
    job = _service(url).add(checked(NewCronJob, **values))
    if as_json:
        print(job.model_dump_json())
        return 0
    from dteg.core.schedules import describe

    print(f"{job.id}: {job.action}")
    print(f"  {describe(job.schedule)} ({job.timezone}); {_next(job)}")
    return 0


@app.command("jobs")
def jobs(url: StudioUrl = "", as_json: AsJson = False) -> int:
    """List the jobs with their next and last runs."""
    found = _service(url).jobs()
    if as_json:
        print_json(found)
        return 0
    if not found:
        typer.echo('no cron jobs; add one: dteg cron add NAME "0 2 * * *" -- backup DATABASE', err=True)
        return 0
    _print_jobs(found)
    return 0


@app.command("start")
def start(names: Jobs = [], all_: All = False, url: StudioUrl = "", as_json: AsJson = False) -> int:  # noqa: B006
    """Start jobs: from now on they run by the clock."""
    return _switched(_service(url).start(_chosen(names, all_)), as_json)


@app.command("stop")
def stop(names: Jobs = [], all_: All = False, url: StudioUrl = "", as_json: AsJson = False) -> int:  # noqa: B006
    """Stop jobs; what runs now runs to its end."""
    return _switched(_service(url).stop(_chosen(names, all_)), as_json)


@app.command("remove")
def remove(
    job: Annotated[str, typer.Argument(metavar="JOBID", help="Id, as dteg cron jobs shows it.")],
    url: StudioUrl = "",
) -> int:
    """Stop a job and delete its file; its history stays in Dagster."""
    _service(url).remove(job)
    print(f"removed {job}")
    return 0


@app.command("history")
def history(
    job: Annotated[str, typer.Argument(metavar="[ID]", help="Id of a job; default: all.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Runs at the most.")] = 20,
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Show what became of the last runs."""
    found = _service(url).history(job or None, limit)
    if as_json:
        print_json(found)
        return 0
    if not found:
        typer.echo("no runs yet", err=True)
        return 0
    print_table(("job", "at", "result", "took", "message"), [_run_row(run) for run in found])
    return 0


def _service(url: str) -> "CronJobs":
    from dteg.cron.remote import RemoteCronJobs
    from dteg.cron.service import CronJobs

    return service(CronJobs, RemoteCronJobs, url)


def _chosen(names: Sequence[str], all_: bool) -> list[str] | None:
    from dteg.core.errors import ConfigError

    if bool(names) is all_:
        raise ConfigError("name jobs, or write --all")
    return None if all_ else list(names)


def _switched(found: "Sequence[CronJob]", as_json: bool) -> int:
    if as_json:
        print_json(found)
        return 0
    for job in found:
        print(f"{job.id}: {job.state}{f'; {_next(job)}' if job.next_at else ''}")
    return 0


def _print_jobs(found: "Sequence[CronJob]") -> None:
    rows = [
        (
            job.id,
            str(job.state),
            job.schedule or "-",
            job.timezone,
            _time(job.next_at),
            f"{_time(job.last_run.at)} {job.last_run.state}" if job.last_run else "-",
            job.action or "-",
        )
        for job in found
    ]
    print_table(("id", "state", "schedule", "zone", "next", "last", "action"), rows)
    for job in found:
        if job.problem:
            typer.echo(f"{job.id}: {job.problem}", err=True)


def _run_row(run: "CronRun") -> tuple[str, ...]:
    took = f"{run.duration_s:.1f} s" if run.duration_s is not None else "-"
    return run.job, _time(run.at), str(run.state), took, run.message.splitlines()[0] if run.message else "-"


def _next(job: "CronJob") -> str:
    return f"next run {_time(job.next_at)} UTC" if job.next_at else str(job.state)


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else "-"
