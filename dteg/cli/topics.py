"""`dteg topic ...`, `dteg publish-message` and `dteg subscribe`: messages between programs."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import typer
from typer.core import TyperCommand

from dteg.cli.studio import AsJson, StudioUrl

if TYPE_CHECKING:
    from dteg.topics import Topics

app = typer.Typer(help="Topics of messages.", no_args_is_help=True, rich_markup_mode=None)
_BATCH = 1000
_READ_BYTES = 1 << 18

TopicArgument = Annotated[str, typer.Argument(help="Name of the topic.", metavar="TOPIC")]
GroupOption = Annotated[str, typer.Option("--group", metavar="GROUP", help="Name of the group.")]
DescriptionOption = Annotated[str | None, typer.Option(help="What the messages are.")]
RetentionOption = Annotated[str | None, typer.Option(help="How long messages are kept, such as 7d.")]
RetentionMbOption = Annotated[int | None, typer.Option(min=1, help="MB of payload that are kept.")]
MaxPayloadOption = Annotated[int | None, typer.Option(min=1, max=8192, help="Largest payload, in KB.")]
MaxAttemptsOption = Annotated[
    int | None, typer.Option(min=1, max=1000, help="Deliveries before a message is a dead letter.")
]
RetryBaseOption = Annotated[
    float | None, typer.Option(min=0, help="Wait before the second delivery; then doubled.")
]
RetryMaxOption = Annotated[float | None, typer.Option(min=0, help="Longest wait between deliveries.")]


class ExecCommand(TyperCommand):
    """A command whose `--exec` takes all that follows, options included."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give each word after `--exec` to it."""
        if "--exec" in args:
            at = args.index("--exec")
            words = args[at + 1 :]
            if not words:
                raise click.UsageError(
                    "--exec: write the command after it, such as --exec python handle.py", ctx
                )
            args = [*args[:at], *(f"--exec={word}" for word in words)]
        return super().parse_args(ctx, args)


SUBSCRIBE_OPTIONS = {"cls": ExecCommand}


@app.command("create")
def create(
    topic: TopicArgument,
    description: DescriptionOption = "",
    retention: RetentionOption = "7d",
    retention_mb: RetentionMbOption = 1024,
    max_payload_kb: MaxPayloadOption = 512,
    max_attempts: MaxAttemptsOption = 5,
    retry_base_s: RetryBaseOption = 1,
    retry_max_s: RetryMaxOption = 300,
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Make a topic, with how long its messages stay and how often they are tried."""
    from dteg.topics import TopicSettings

    settings = _model(
        TopicSettings,
        **_given(
            description, retention, retention_mb, max_payload_kb, max_attempts, retry_base_s, retry_max_s
        ),
    )
    made = _topics(url).create(topic, settings)
    print(made.model_dump_json() if as_json else f"made topic {made.name}")
    return 0


@app.command("change")
def change(
    topic: TopicArgument,
    description: DescriptionOption = None,
    retention: RetentionOption = None,
    retention_mb: RetentionMbOption = None,
    max_payload_kb: MaxPayloadOption = None,
    max_attempts: MaxAttemptsOption = None,
    retry_base_s: RetryBaseOption = None,
    retry_max_s: RetryMaxOption = None,
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Give a topic other settings; those that are not named stay."""
    from dteg.core.errors import ConfigError
    from dteg.topics import TopicSettings

    given = _given(
        description, retention, retention_mb, max_payload_kb, max_attempts, retry_base_s, retry_max_s
    )
    if not given:
        raise ConfigError("say what to change, such as --retention 30d; dteg topic change --help lists it")
    topics = _topics(url)
    settings = _model(TopicSettings, **{**topics.topic(topic).settings.model_dump(), **given})
    changed = topics.change(topic, settings)
    print(changed.model_dump_json() if as_json else f"changed topic {changed.name}")
    return 0


@app.command("list")
def list_topics(url: StudioUrl = "", as_json: AsJson = False) -> int:
    """List the topics."""
    from dteg.cli.transfers import print_table

    found = _topics(url).topics()
    if as_json:
        _print_json(found)
        return 0
    if not found:
        typer.echo("no topics yet; make one: dteg topic create NAME", err=True)
    rows = [
        (each.name, f"{each.messages:,}", _size(each.bytes), str(each.groups), f"{each.dead_letters:,}",
         each.settings.description or "-")
        for each in found
    ]  # fmt: skip
    print_table(("topic", "messages", "size", "groups", "dead letters", "description"), rows)
    return 0


@app.command("show")
def show(topic: TopicArgument, url: StudioUrl = "", as_json: AsJson = False) -> int:
    """Show a topic and its groups."""
    from dteg.cli.transfers import print_table
    from dteg.core.durations import describe_duration

    topics = _topics(url)
    found, groups = topics.topic(topic), topics.groups(topic)
    if as_json:
        import json

        print(
            json.dumps(
                {**found.model_dump(mode="json"), "groups": [each.model_dump(mode="json") for each in groups]}
            )
        )
        return 0
    settings = found.settings
    from datetime import timedelta

    kept = describe_duration(timedelta(seconds=settings.retention_s))
    print(f"{found.name}: {_count(found.messages, 'message')}, {_size(found.bytes)}, offsets {found.first_offset} to {found.next_offset - 1}"
          if found.messages else f"{found.name}: no messages, next offset {found.next_offset}")  # fmt: skip
    if settings.description:
        print(settings.description)
    print(f"kept for {kept} and up to {_size(settings.retention_bytes)}; {settings.max_attempts} attempts")
    if groups:
        rows = [
            (each.name, str(each.next_offset), f"{each.lag:,}", str(each.in_flight), str(each.retrying),
             str(each.dead_letters), str(each.missed), f"{each.last_seen_at:%Y-%m-%d %H:%M:%S}")
            for each in groups
        ]  # fmt: skip
        print_table(("group", "next", "lag", "in flight", "retrying", "dead", "missed", "last seen"), rows)
    return 0


@app.command("delete")
def delete(
    topic: TopicArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: StudioUrl = "",
) -> int:
    """Delete a topic with its messages, groups and dead letters."""
    from dteg.cli.asking import confirm_deletion

    topics = _topics(url)
    found = topics.topic(topic)
    if not yes:
        confirm_deletion(
            f"Delete {found.name} with {_count(found.messages, 'message')} and {_count(found.groups, 'group')}?",
            found.name,
        )
    topics.delete(topic)
    print(f"deleted {topic}")
    return 0


@app.command("dead-letters")
def dead_letters(
    topic: TopicArgument,
    group: GroupOption = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 100,
    after: Annotated[int, typer.Option(min=0, help="Those behind this id.")] = 0,
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """List the messages that groups gave up."""
    from dteg.cli.transfers import print_table

    found = _topics(url).dead_letters(topic, group, after=after, limit=limit)
    if as_json:
        _print_json(found)
        return 0
    rows = [
        (str(each.id), each.group, str(each.offset), str(each.attempts), f"{each.died_at:%Y-%m-%d %H:%M:%S}",
         "replayed" if each.replaying else "dead", _short(each.error), _short(each.payload))
        for each in found
    ]  # fmt: skip
    print_table(("id", "group", "offset", "attempts", "died", "state", "error", "payload"), rows)
    return 0


@app.command("replay")
def replay(
    topic: TopicArgument,
    group: GroupOption,
    start: Annotated[
        str,
        typer.Option(
            "--from", metavar="PLACE", help="earliest, latest, an offset or a time: set the group there."
        ),
    ] = "",
    dead_letters: Annotated[
        bool, typer.Option("--dead-letters", help="Deliver dead letters once more.")
    ] = False,
    id_: Annotated[
        list[int] | None, typer.Option("--id", help="Only this dead letter; may be repeated.")
    ] = None,
    url: StudioUrl = "",
) -> int:
    """Deliver messages to a group again: from a place on, or its dead letters."""
    from dteg.core.errors import ConfigError
    from dteg.topics import parse_start

    if bool(start) == (dead_letters or bool(id_)):
        raise ConfigError("say what to replay: --from PLACE, or --dead-letters, or --id N")
    topics = _topics(url)
    if start:
        moved = topics.replay(topic, group, parse_start(start))
        print(f"{group} goes on at offset {moved.next_offset}; {moved.lag:,} messages to come")
    else:
        count = topics.replay_dead_letters(topic, group, id_ or None)
        print(f"delivered to {group} again: {_count(count, 'dead letter')}")
    return 0


def publish_message(
    topic: TopicArgument,
    lines: Annotated[
        str, typer.Argument(metavar="[-]", help="- publishes each line of standard input as a message.")
    ] = "",
    data: Annotated[str | None, typer.Option(help="The payload.")] = None,
    file: Annotated[Path | None, typer.Option(help="A file whose content is the payload.")] = None,
    key: Annotated[str, typer.Option(help="What the message is about.")] = "",
    header: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A header; may be repeated.")
    ] = None,
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Publish a message, or one for each line of standard input."""
    from dteg.core.errors import ConfigError, InputError
    from dteg.topics import NewMessage

    if sum((lines == "-", data is not None, file is not None)) != 1 or lines not in ("", "-"):
        raise ConfigError(
            "say what to publish: --data TEXT, or --file FILE, or - for the lines of standard input"
        )
    headers = _headers(header or [])
    topics = _topics(url)
    if lines:
        count = size = 0
        for batch in _batches(sys.stdin.buffer):
            try:
                made = [NewMessage.make(line, key=key, headers=headers) for line in batch]
                receipt = topics.publish_many(topic, made)
            except ConfigError as error:
                raise ConfigError(f"{error}\nfrom line {count + 1} on not all lines were published") from None
            count, size = count + receipt.messages, size + receipt.bytes
    else:
        try:
            payload = file.read_bytes() if file else (data or "").encode()
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", source=str(file)) from None
        receipt = topics.publish(topic, payload, key=key, headers=headers)
        count, size = receipt.messages, receipt.bytes
    if as_json:
        import json

        print(json.dumps({"topic": topic, "messages": count, "bytes": size}))
    else:
        print(f"published {_count(count, 'message')} to {topic}")
    return 0


def subscribe(
    topic: TopicArgument,
    start: Annotated[
        str,
        typer.Option(
            "--from", metavar="PLACE",
            help="earliest, latest, an offset or a time. Without a group: default latest. A new group: earliest; one "
            "that exists goes on where it is.",
        ),
    ] = "",
    group: Annotated[
        str, typer.Option("--group", metavar="GROUP", help="Remember what is done under this name, and share the work.")
    ] = "",
    limit: Annotated[int, typer.Option(min=0, help="End after so many messages; 0 never.")] = 0,
    idle_s: Annotated[float, typer.Option("--idle", min=0, help="End after so many seconds without one; 0 never.")] = 0,
    timeout_s: Annotated[float, typer.Option("--timeout", min=0, help="Seconds for one --exec; 0 for ever.")] = 0,
    lease_s: Annotated[
        float, typer.Option("--lease", min=1, max=3600, help="Seconds after which a dead member's messages go to others.")
    ] = 30,
    exec_: Annotated[
        list[str] | None,
        typer.Option(
            "--exec", metavar="COMMAND...",
            help="Run this for each message, payload on standard input, the rest in DTEG_ variables; exit code 0 acks. "
            "Takes all that follows, so it comes last.",
        ),
    ] = None,
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:  # fmt: skip
    """Print the messages of a topic as they come, or run a command for each; Ctrl-C ends it."""
    from dteg.cli.subscription import Subscription
    from dteg.core.errors import ConfigError
    from dteg.topics import parse_start

    if exec_ and not group:
        raise ConfigError("--exec needs --group NAME: the group remembers which messages are done")
    place = parse_start(start or ("earliest" if group else "latest"))
    subscription = Subscription(_topics(url), topic, limit=limit, idle_s=idle_s, as_json=as_json)
    if not group:
        return subscription.follow(place)
    if exec_:
        return subscription.execute(group, place, exec_, timeout_s, lease_s)
    return subscription.share(group, place, lease_s)


def _topics(url: str) -> "Topics":
    from dteg.cli.studio import service
    from dteg.topics import Topics
    from dteg.topics.remote import RemoteTopics

    return service(Topics, RemoteTopics, url)  # type: ignore[type-abstract]  # `of` chooses


def _given(
    description: str | None,
    retention: str | None,
    retention_mb: int | None,
    max_payload_kb: int | None,
    max_attempts: int | None,
    retry_base_s: float | None,
    retry_max_s: float | None,
) -> dict[str, Any]:
    """Return the settings that are named, in their own units."""
    from dteg.core.durations import parse_duration
    from dteg.core.errors import ConfigError

    try:
        retention_s = int(parse_duration(retention).total_seconds()) if retention is not None else None
    except ValueError as error:
        raise ConfigError(f"--retention: {error}") from None
    settings = {
        "description": description, "retention_s": retention_s, "max_attempts": max_attempts,
        "retention_bytes": retention_mb and retention_mb * 2**20,
        "max_payload_bytes": max_payload_kb and max_payload_kb * 1024,
        "retry_base_s": retry_base_s, "retry_max_s": retry_max_s,
    }  # fmt: skip
    return {name: value for name, value in settings.items() if value is not None}


def _model(kind: Any, **values: Any) -> Any:
    from pydantic import ValidationError

    from dteg.topics.models import problems_of

    try:
        return kind(**values)
    except ValidationError as error:
        raise problems_of(error) from None


def _headers(texts: list[str]) -> dict[str, str]:
    from dteg.core.errors import ConfigError

    headers = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigError(f"--header {text[:80]!r}: write NAME=VALUE")
        headers[name] = value
    return headers


def _batches(stream: Any) -> Iterator[list[bytes]]:
    """Yield the lines that are there, without waiting for more than there are."""
    rest = b""
    while chunk := stream.read1(_READ_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        for at in range(0, len(lines), _BATCH):
            yield [line.removesuffix(b"\r") for line in lines[at : at + _BATCH]]
    if rest:
        yield [rest.removesuffix(b"\r")]


def _print_json(items: list[Any]) -> None:
    import json

    print(json.dumps([each.model_dump(mode="json") for each in items], ensure_ascii=False))


def _count(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _size(count: int) -> str:
    return f"{count:,} B" if count < 10_000 else f"{count / 2**20:,.2f} MB"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:57] + "..."
