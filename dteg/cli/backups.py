"""`dteg backup ...`, `dteg backups`, `dteg restore`: databases saved, listed, proved and brought back."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import click
import typer
from typer.core import TyperGroup

from dteg.cli.studio import AsJson, StudioUrl, service
from dteg.cli.transfers import print_json, print_table, size_text

if TYPE_CHECKING:
    from dteg.backups.models import Backup
    from dteg.backups.progress import Progress, Report
    from dteg.backups.service import Backups

LINE_EVERY_S = 5.0


class DatabaseFirst(TyperGroup):
    """A group in which a word that is no command is the database of `create`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["create", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    help="Back a database up: dteg backup DB. Or verify and prune backups.",
    cls=DatabaseFirst,
    no_args_is_help=True,
    rich_markup_mode=None,
)
Key = Annotated[
    str, typer.Option(metavar="SECRET", help="The key, as secret://env/NAME; default: the key file.")
]
From = Annotated[
    str, typer.Option("--from", metavar="URI", help="Where it lies; default: what the catalogue says.")
]
Server = Annotated[
    str, typer.Option(metavar="URL", help="Another server than the one it came from, or secret://env/NAME.")
]


@app.command("create")
def create(
    database: Annotated[
        str,
        typer.Argument(
            metavar="DB", help="Database of the warehouse's server, or secret://env/NAME of a URL."
        ),
    ],
    to: Annotated[
        str,
        typer.Option(
            metavar="URI", help="Folder, file:///, s3://, gs://, az:// or sftp://; default: backups/."
        ),
    ] = "",
    encrypt: Annotated[bool, typer.Option("--encrypt", help="Encrypt it with AES-256-GCM.")] = False,
    key: Key = "",
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Back a database up; `dteg backup DB` is the same."""
    from dteg.backups.models import NewBackup
    from dteg.tables.requests import checked

    order = checked(NewBackup, database=database, to=to, encrypt=encrypt, key=key)
    with _progress(as_json) as report, _naming_commands(database):
        backup = _backups(url).create(order, report)
    if as_json:
        print(backup.model_dump_json())
        return 0
    print(
        f"{backup.id}: {backup.tables:,} tables, {backup.rows:,} rows, {size_text(backup.bytes)}"
        f"{', encrypted' if backup.encrypted else ''}, in {backup.target}"
    )
    return 0


@app.command("verify")
def verify(
    backup_id: Annotated[str, typer.Argument(metavar="ID", help="Which backup; see dteg backups.")],
    restore: Annotated[
        bool, typer.Option("--restore", help="Also restore it, compare every row, and drop that again.")
    ] = False,
    source: From = "",
    key: Key = "",
    server: Server = "",
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Read a backup whole and compare it with its signed manifest."""
    with _progress(as_json) as report:
        done = _backups(url).verify(
            backup_id, restore=restore, source=source, key=key, server=server, report=report
        )
    if as_json:
        print(done.model_dump_json())
        return 0
    what = "restored and compared" if restore else "read and compared"
    print(f"{done.id} is good: {done.tables:,} tables, {done.rows:,} rows {what} in {done.seconds:.1f} s")
    return 0


@app.command("prune")
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    keep: Annotated[
        str, typer.Option(help="The newest of each of the last N days, weeks, months and years.")
    ] = "daily=7,weekly=5,monthly=12,yearly=5",
    database: Annotated[str, typer.Option(help="Of this database only.")] = "",
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Delete old backups; never the newest of a database, nor the last one that was verified."""
    from dteg.backups.models import Keep

    pruned = _backups(url).prune(Keep.parse(keep), database=database, dry_run=dry_run)
    if as_json:
        print(pruned.model_dump_json())
        return 0
    for backup in pruned.deleted:
        print(f"{'would delete' if dry_run else 'deleted'} {backup.id}  {size_text(backup.bytes)}")
    freed = size_text(sum(backup.bytes for backup in pruned.deleted))
    print(f"{len(pruned.deleted)} go ({freed}), {len(pruned.kept)} stay")
    if dry_run:
        for backup_id, why in sorted(pruned.kept.items()):
            print(f"keep {backup_id}  {', '.join(why)}")
    return 0


@app.command("key")
def key_(url: StudioUrl = "") -> int:
    """Print the public key that another machine needs in DTEG_BACKUP_TRUSTED_KEYS to restore these backups."""
    from dteg.core.errors import NotFoundError

    if not (found := _backups(url).public_key()):
        raise NotFoundError("there is no key yet: the first backup makes it")
    print(found)
    return 0


def backups(
    database: Annotated[str, typer.Argument(metavar="[DB]", help="Of this database only.")] = "",
    to: Annotated[
        str, typer.Option(metavar="URI", help="Read what is there into the catalogue first, and list that.")
    ] = "",
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """List the backups, the newest first."""
    service_ = _backups(url)
    found = service_.rebuild(to) if to else service_.all(database)
    found = [each for each in found if database in ("", each.database)]
    if as_json:
        print_json(found)
        return 0
    if not found:
        typer.echo(
            f"no backups{f' of {database}' if database else ''} yet; make one: dteg backup {database or 'DB'}",
            err=True,
        )
    _print(found)
    return 0


def restore(
    backup_id: Annotated[str, typer.Argument(metavar="ID", help="Which backup; see dteg backups.")],
    into: Annotated[str, typer.Option(metavar="NEWDB", help="Name of the database that is made.")],
    swap: Annotated[
        bool,
        typer.Option("--swap", help="NEWDB may be there: put the new one in its place, keep the old one."),
    ] = False,
    no_owner: Annotated[bool, typer.Option("--no-owner", help="Leave out owners and grants.")] = False,
    source: From = "",
    key: Key = "",
    server: Server = "",
    jobs: Annotated[
        int, typer.Option(min=0, max=64, help="Parallel jobs; 0: one for each core, at most 4.")
    ] = 0,
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Make a database from a backup, compare every row, and only then give it its name."""
    from dteg.backups.models import ID, RestoreOrder
    from dteg.core.errors import NotFoundError
    from dteg.tables.requests import checked

    if not ID.fullmatch(backup_id):
        raise NotFoundError(f"there is no backup {backup_id}; see: dteg backups")

    order = checked(
        RestoreOrder, id=backup_id, into=into, swap=swap, no_owner=no_owner, source=source, server=server, key=key,
        jobs=jobs,
    )  # fmt: skip
    with _progress(as_json) as report:
        done = _backups(url).restore(order, report)
    if as_json:
        print(done.model_dump_json())
        return 0
    print(f"{done.database}: {done.tables:,} tables, {done.rows:,} rows, all equal, {done.seconds:.1f} s")
    if done.kept:
        print(f"the database before is now {done.kept}")
    for note in done.notes:
        print(f"note: {note}")
    return 0


@contextlib.contextmanager
def _naming_commands(database: str) -> Iterator[None]:
    """Say that a database that is not there may be a command that was mistyped."""
    from dteg.core.errors import NotFoundError
    from dteg.core.suggest import did_you_mean

    try:
        yield
    except NotFoundError as error:
        near = did_you_mean(database, [f"{each.name}" for each in app.registered_commands])
        raise NotFoundError(f"{error}; or, for a command, {near}" if near else str(error)) from None


def _backups(url: str) -> "Backups":
    from dteg.backups.remote import RemoteBackups
    from dteg.backups.service import Backups

    return service(Backups, RemoteBackups, url)


@contextlib.contextmanager
def _progress(quiet: bool) -> "Iterator[Report]":
    """A bar on a terminal, a line now and then for anything else, nothing with `--json`."""
    from dteg.backups.progress import silent

    if quiet:
        yield silent
    elif sys.stderr.isatty():
        with _bar() as report:
            yield report
    else:
        yield _Lines()


class _Lines:
    """Says every few seconds how far it is."""

    def __init__(self) -> None:
        import time

        self._clock = time.monotonic
        self._last = self._clock()

    def __call__(self, progress: "Progress") -> None:
        if self._clock() - self._last > LINE_EVERY_S:
            self._last = self._clock()
            typer.echo(f"{progress.phase}: {size_text(progress.done_bytes)}", err=True)


@contextlib.contextmanager
def _bar() -> "Iterator[Report]":
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TimeElapsedColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = (BarColumn(bar_width=24), DownloadColumn(), TransferSpeedColumn(), TimeElapsedColumn())
    with Bars("{task.description:<12}", *columns, console=console, transient=True) as bars:
        task = bars.add_task("starting", total=None)

        def report(progress: "Progress") -> None:
            total = progress.total_bytes or None
            bars.update(task, description=progress.phase, completed=progress.done_bytes, total=total)

        yield report


def _print(found: "Sequence[Backup]") -> None:
    rows = [
        (
            each.id, f"{each.tables:,}", f"{each.rows:,}", size_text(each.bytes), "yes" if each.encrypted else "no",
            _proof(each), each.target,
        )
        for each in found
    ]  # fmt: skip
    print_table(("id", "tables", "rows", "size", "encrypted", "verified", "target"), rows)


def _proof(backup: "Backup") -> str:
    if backup.restore_verified_at:
        return f"restored {_day(backup.restore_verified_at)}"
    return f"read {_day(backup.verified_at)}" if backup.verified_at else "-"


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"
