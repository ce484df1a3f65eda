"""`dteg listen`, `dteg unlisten`, `dteg schema-changes`: who changed the shape of which table, and what that breaks."""

import threading
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dteg.cli.studio import StudioUrl

if TYPE_CHECKING:
    from datetime import datetime

    from dteg.schema_changes.models import Break, ChangeFilter, SchemaChange
    from dteg.schema_changes.service import SchemaChanges
    from dteg.tables.models import Rows

FORMATS = ("table", "csv", "json", "jsonl")
_POLL_S = 0.25
_ASK_S = 1.0
Database = Annotated[
    str, typer.Argument(metavar="[DB]", help="A database of the warehouse's server; default: the warehouse.")
]


def listen(
    database: Database = "",
    follow: Annotated[bool, typer.Option("--follow", help="Then print changes as they happen.")] = False,
    for_: Annotated[str, typer.Option("--for", help="With --follow: this long, such as 10m.")] = "",
    truncate: Annotated[
        list[str] | None,
        typer.Option(
            help="Capture TRUNCATE of this table too; puts a trigger on it. May be given several times."
        ),
    ] = None,
    without_text: Annotated[
        bool, typer.Option("--without-text", help="Do not keep the text of statements.")
    ] = False,
    snapshot_only: Annotated[
        bool, typer.Option("--snapshot-only", help="Install nothing, compare the catalogue only.")
    ] = False,
    url: StudioUrl = "",
) -> int:
    """Capture changes of the schema of a database, from now on and whether or not anything of dteg runs."""
    from dteg.core.errors import ConfigError

    if for_ and not follow:
        raise ConfigError("--for says how long --follow prints changes; add --follow")
    changes = _service(url)
    stop_at = None if not for_ else time.monotonic() + _seconds(for_)
    cursor = changes.last()
    now = changes.listen(
        database, truncate=truncate or None, keeps_text=not without_text, snapshot_only=snapshot_only
    )
    how = (
        "by triggers and a look at the catalogue" if now.mode == "triggers" else "by a look at the catalogue"
    )
    print(f"listening to {now.database} {how}")
    if not follow:
        print(
            "see what changed: dteg schema-changes; to be told at once: dteg listen --follow, or dteg studio"
        )
        return 0
    _follow(changes, cursor, now.database, stop_at, local=not url)
    return 0


def unlisten(database: Database = "", url: StudioUrl = "") -> int:
    """End the capture in a database and remove what it installed there; the history of changes stays."""
    changes = _service(url)
    name = changes.listening_to(database).database
    changes.unlisten(name)
    print(f"not listening to {name} any more")
    return 0


def schema_changes(
    database: Annotated[str, typer.Argument(metavar="[DB]", help="Only this database; default: all.")] = "",
    since: Annotated[
        str, typer.Option(help="Since a time such as 2026-03-01, or for so long, such as 2d.")
    ] = "",
    table: Annotated[str, typer.Option(help="Only this schema.table, also under its other names.")] = "",
    kind: Annotated[str, typer.Option(help="Only objects of this kind, such as table or role.")] = "",
    by: Annotated[str, typer.Option(help="Only by this user.")] = "",
    breaking: Annotated[bool, typer.Option("--breaking", help="Only those that broke something.")] = False,
    routine: Annotated[bool, typer.Option("--routine", help="Also what dbt made anew as it was.")] = False,
    breaks: Annotated[
        bool, typer.Option("--breaks", help="Show what is broken now, instead of changes.")
    ] = False,
    dismiss: Annotated[int, typer.Option(help="Close the break of this number: it is none.")] = 0,
    status: Annotated[
        bool, typer.Option("--status", help="Show what is listened to, and how it stands.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Rows at the most.")] = 50,
    format: Annotated[str, typer.Option(help=f"One of {', '.join(FORMATS)}.")] = "table",  # noqa: A002
    url: StudioUrl = "",
) -> int:
    """Show changes of the schema, newest first: who, when, old and new type, and what they break."""
    from dteg.cli.render import render
    from dteg.core.errors import ConfigError
    from dteg.schema_changes.models import ChangeFilter

    if format not in FORMATS:
        raise ConfigError(f"--format {format}: use one of {', '.join(FORMATS)}")
    changes = _service(url)
    if dismiss:
        closed = changes.dismiss(dismiss, "the command line")
        print(f"closed: {closed.kind} {closed.name}: {closed.why}")
        return 0
    if status:
        render(_listening_rows(changes), format)
        return 0
    if breaks:
        changes.catch_up()
        render(_break_rows(changes.breaks(limit=limit)), format)
        return 0
    wanted = ChangeFilter(
        database=database or None, table=table or None, kind=kind or None, who=by or None,
        since=_since(since) if since else None, breaking=breaking, routine=routine,
    )  # fmt: skip
    _show(changes, wanted, limit, format)
    return 0


def _show(changes: "SchemaChanges", wanted: "ChangeFilter", limit: int, format_: str) -> None:
    from dteg.cli.render import render

    page = changes.changes(wanted, limit=limit)
    if format_ == "table" and not page.items and not changes.listening():
        print("nobody listens yet; begin with: dteg listen")
        return
    render(_change_rows(page.items, whole=format_ != "table"), format_)


def _service(url: str) -> "SchemaChanges":
    from dteg.cli.studio import service
    from dteg.schema_changes.remote import RemoteSchemaChanges
    from dteg.schema_changes.service import SchemaChanges

    return service(SchemaChanges, RemoteSchemaChanges, url)


def _seconds(text: str) -> float:
    from dteg.core.durations import parse_duration
    from dteg.core.errors import ConfigError

    try:
        return parse_duration(text).total_seconds()
    except ValueError as error:
        raise ConfigError(f"--for: {error}") from None


def _since(text: str) -> "datetime":
    from dteg.core.clock import utc_now
    from dteg.core.errors import ConfigError
    from dteg.schema_changes.service import parse_since

    try:
        return parse_since(text, utc_now())
    except ValueError as error:
        raise ConfigError(f"--since: {error}; or write a time such as 2026-03-01") from None


def _follow(
    changes: "SchemaChanges", cursor: int, database: str, stop_at: float | None, *, local: bool
) -> None:
    """Print what comes until the time is up or Ctrl-C; do the work of the listener too, unless a studio does it."""
    from dteg.core.project import Project
    from dteg.schema_changes.listener import Listener

    stop, ask_at = threading.Event(), 0.0
    worker = (
        threading.Thread(target=Listener(Project.find()).run, args=[stop], daemon=True) if local else None
    )
    if worker:
        worker.start()
    try:
        while stop_at is None or time.monotonic() < stop_at:
            # A studio whose listener does not run is asked to look now and then.
            asks = not local and time.monotonic() >= ask_at
            ask_at = time.monotonic() + _ASK_S if asks else ask_at
            found, cursor = changes.read(cursor, catch_up=asks)
            for change in found:
                if change.database in (database, ""):
                    print(line_of(change), flush=True)
            if not found:
                time.sleep(_POLL_S)
    except KeyboardInterrupt:
        print("stopped; changes are still captured, and can be seen with: dteg schema-changes")
    finally:
        stop.set()
        if worker:
            worker.join(timeout=5)


def line_of(change: "SchemaChange") -> str:
    """Return a change as one line for people."""
    parts = [f"{change.at:%Y-%m-%d %H:%M:%S}", change.database or "server", change.who or "?", change.summary]
    text = "  ".join(parts)
    return text + "".join(f"; breaks {each.kind} {each.name}: {each.why}" for each in change.breaks)


def _change_rows(found: "list[SchemaChange]", *, whole: bool) -> "Rows":
    names = ["id", "at", "database", "who", "change", "found_by", "breaks"]
    rows: list[list[Any]] = [
        [
            each.id, each.at.isoformat() if whole else _time(each.at), each.database or "(server)", each.who,
            each.summary, each.found_by, ", ".join(f"{hurt.kind} {hurt.name}" for hurt in each.breaks) or None,
        ]
        for each in found
    ]  # fmt: skip
    if whole:
        names += ["command", "kind", "schema", "object", "table", "columns", "application", "ddl"]
        more = [
            [each.command, each.kind, each.schema_name, each.object, each.table,
             [column.model_dump(exclude_none=True) for column in each.columns], each.application, each.ddl]
            for each in found
        ]  # fmt: skip
        rows = [[*row, *rest] for row, rest in zip(rows, more, strict=True)]
    return _rows(names, rows)


def _break_rows(found: "list[Break]") -> "Rows":
    rows: list[list[Any]] = [
        [each.id, each.kind, each.name, each.why, _time(each.since), each.change, each.file] for each in found
    ]
    return _rows(["id", "kind", "name", "why", "since", "change", "file"], rows)


def _listening_rows(changes: "SchemaChanges") -> "Rows":
    rows: list[list[Any]] = [
        [each.database, each.mode, each.state, each.message or None, _time(each.looked_at),
         _time(each.snapshot_at), round(each.horizon_age_s), each.lost]
        for each in changes.listening()
    ]  # fmt: skip
    names = ["database", "mode", "state", "message", "looked_at", "snapshot_at", "oldest_writer_s", "lost"]
    return _rows(names, rows)


def _time(time_: "datetime | None") -> str | None:
    return f"{time_:%Y-%m-%d %H:%M:%S}" if time_ else None


def _rows(names: list[str], rows: list[list[Any]]) -> "Rows":
    from dteg.tables.models import Column, Rows

    numbers = ("id", "change", "lost", "oldest_writer_s")
    columns = [Column(name=name, type="bigint" if name in numbers else "text") for name in names]
    return Rows(table="schema changes", columns=columns, rows=rows)
