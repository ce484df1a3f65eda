"""`dteg alert ...`: what is going on, who is told of it, and whether they were."""

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from dteg.cli.studio import AsJson, StudioUrl, service
from dteg.cli.transfers import print_json, print_table

if TYPE_CHECKING:
    from dteg.alerts.models import Delivery, Sent
    from dteg.alerts.service import Alerts

app = typer.Typer(
    help="What is going on, and who is told of it.", no_args_is_help=True, rich_markup_mode=None
)
Limit = Annotated[int, typer.Option(min=1, max=1000, help="How many at the most.")]


@app.command("list")
def list_(limit: Limit = 100, url: StudioUrl = "", as_json: AsJson = False) -> int:
    """List what is going on, oldest first."""
    found = _service(url).open(limit)
    if as_json:
        print_json(found)
        return 0
    if not found:
        typer.echo("nothing is going on", err=True)
        return 0
    rows = [
        (_time(each.first_at), each.severity.value, each.rule, each.matter, each.acknowledged_by or "-",
         _line(each.message)) for each in found
    ]  # fmt: skip
    print_table(("since", "severity", "rule", "matter", "who takes care", "message"), rows)
    return 0


@app.command("rules")
def rules(url: StudioUrl = "", as_json: AsJson = False) -> int:
    """List rules and channels, and where they stand."""
    found = _service(url).overview()
    if as_json:
        print(found.model_dump_json())
        return 0
    if not found.rules and not found.channels and not found.problems:
        typer.echo("no rules yet; write them in alerts.yaml", err=True)
    if found.rules:
        rows = [
            (each.name if each.enabled else f"{each.name} (off)", f"{each.file}:{each.line}", ", ".join(each.to),
             each.repeat_every or "-", each.about) for each in found.rules
        ]  # fmt: skip
        print_table(("rule", "in", "tells", "again", "about"), rows)
    if found.channels:
        print()
        print_table(
            ("channel", "kind", "goes to"), [(each.name, each.kind, each.goes_to) for each in found.channels]
        )
    for problem in found.problems:
        typer.echo(f"error: {problem}", err=True)
    return 0


@app.command("check")
def check(url: StudioUrl = "", as_json: AsJson = False) -> int:
    """Check alerts.yaml and the alerts of all pipelines, and that each channel's secret is there; sends nothing."""
    found = _service(url).overview()
    if as_json:
        print(json.dumps({"problems": found.problems}))
    else:
        for problem in found.problems:
            typer.echo(f"error: {problem}", err=True)
        if not found.problems:
            print(f"ok: {len(found.rules)} rules, {len(found.channels)} channels")
    return 2 if found.problems else 0


@app.command("test")
def try_(channel: Annotated[str, typer.Argument(help="Name of the channel.")], url: StudioUrl = "") -> int:
    """Send a test message to a channel, now."""
    _service(url).test(channel)
    print(f"{channel}: it arrived")
    return 0


@app.command("ack")
def ack(
    rule: Annotated[str, typer.Argument(help="Rule, as dteg alert list shows it.")],
    matter: Annotated[str, typer.Argument(help="Matter, as dteg alert list shows it.")],
    by: Annotated[str, typer.Option(help="Who takes care; default: you.")] = "",
    url: StudioUrl = "",
) -> int:
    """Say that somebody takes care: it is not told again until it begins anew."""
    from dteg.cli.asking import user_name

    _service(url).acknowledge(rule, matter, (by or user_name())[:200])
    print(f"{rule}: {matter} is in hand")
    return 0


@app.command("log")
def log(
    limit: Limit = 20,
    before: Annotated[int | None, typer.Option(help="Only those with a smaller number.")] = None,
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """List the messages, newest first, with what became of each."""
    found = _service(url).log(limit, before)
    if as_json:
        print_json(found)
        return 0
    if not found:
        typer.echo("nothing was told yet", err=True)
        return 0
    rows = [
        (each.id, _time(each.created_at), each.channel, each.attempts, _fate(each), _line(each.title))
        for each in found
    ]  # fmt: skip
    print_table(("id", "at", "channel", "tries", "what became of it", "title"), rows)
    return 0


@app.command("deliver")
def deliver(url: StudioUrl = "", as_json: AsJson = False) -> int:
    """Send what is due, once; the studio and Dagster do it all the time."""
    sent = _service(url).deliver()
    if as_json:
        print("null" if sent is None else sent.model_dump_json())
        return 0
    print(_sentence(sent))
    return 0


def _sentence(sent: "Sent | None") -> str:
    if sent is None:
        return "another process delivers now"
    return f"{sent.delivered} delivered, {sent.failed} failed and tried again later, {sent.given_up} given up"


def _fate(delivery: "Delivery") -> str:
    if delivery.delivered_at:
        return f"arrived {_time(delivery.delivered_at)}"
    if delivery.given_up_at:
        return f"given up: {_line(delivery.error or '')}"
    waits = f"waits until {_time(delivery.not_before)}"
    return f"{waits}: {_line(delivery.error)}" if delivery.error else waits


def _service(url: str) -> "Alerts":
    from dteg.alerts.remote import RemoteAlerts
    from dteg.alerts.service import Alerts

    return service(Alerts, RemoteAlerts, url)


def _line(text: str) -> str:
    # What others have written must not steer a terminal.
    return "".join(sign if sign.isprintable() else " " for sign in (text.splitlines() or [""])[0])


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"
