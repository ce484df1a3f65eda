"""`dteg dictionary ...`: small typed tables that datasets look values up in."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dteg.cli.studio import AsJson, StudioUrl
from dteg.cli.transfers import print_json, print_table

if TYPE_CHECKING:
    from dteg.dictionaries.models import Dictionary, ImportReport, NewDictionary
    from dteg.dictionaries.service import Dictionaries

app = typer.Typer(
    help="Keep dictionaries: codes and what they mean, looked up in datasets.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
SlugArgument = Annotated[str, typer.Argument(metavar="DICTIONARY", help="Its short name.")]


@app.command("create")
def create(
    slug: Annotated[
        str, typer.Argument(metavar="DICTIONARY", help="Short name: small letters, digits and _.")
    ],
    columns: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[COLUMN=TYPE]...",
            help="Columns, such as code=text share=numeric; text, integer, numeric, boolean, date, timestamptz.",
        ),
    ] = None,
    *,
    key: Annotated[
        str, typer.Option(help="Column that values are looked up by; default: the first one.")
    ] = "",
    title: Annotated[str, typer.Option(help="Name for people; default: the short name.")] = "",
    from_: Annotated[
        str,
        typer.Option(
            "--from", metavar="FILE", help="CSV or Excel file: columns, types and rows are taken from it."
        ),
    ] = "",
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Make a dictionary, empty or from a file."""
    if from_:
        new = _new_from_file(slug, Path(from_), columns or [], key=key, title=title)
        made, report = _service(url).create_from_file(new, Path(from_), _who())
    else:
        made, report = _service(url).create(_new(slug, columns or [], key=key, title=title), _who()), None
    if as_json:
        print(made.model_dump_json())
        return 0
    rows = f" with {report.inserted:,} rows" if report else ""
    print(f"made {made.slug}{rows}: looked up by {made.key}, {len(made.columns)} columns, in {made.table}")
    return 0


@app.command("list")
def list_(url: StudioUrl = "", as_json: AsJson = False) -> int:
    """List the dictionaries."""
    found = _service(url).dictionaries()
    if as_json:
        print_json(found)
        return 0
    rows = [
        (each.slug, f"{each.rows:,}", each.key, f"{each.changed_at:%Y-%m-%d %H:%M}", each.title)
        for each in found
    ]
    print_table(("dictionary", "rows", "key", "changed (UTC)", "title"), rows)
    return 0


@app.command("show")
def show(
    slug: SlugArgument,
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Rows at the most.")] = 20,
    after: Annotated[str, typer.Option(help="Begin behind this key.")] = "",
    find: Annotated[str, typer.Option(help="Only rows that hold this text.")] = "",
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Show rows of a dictionary, in the order of their keys."""
    from dteg.cli.render import render
    from dteg.dictionaries.values import SQL_TYPES
    from dteg.tables.models import Column, Rows

    found = _service(url).rows(slug, limit, after, find)
    if as_json:
        print(found.model_dump_json())
        return 0
    columns = [Column(name=each.name, type=SQL_TYPES[each.type]) for each in found.columns]
    render(Rows(table=slug, columns=columns, rows=found.rows), "table")
    if found.next is not None:
        typer.echo(f"more: --after {found.next}", err=True)
    return 0


@app.command("set")
def set_(
    slug: SlugArgument,
    values: Annotated[
        list[str],
        typer.Argument(
            metavar="COLUMN=VALUE...", help="Values of one row, the key among them; nothing after = empties."
        ),
    ],
    url: StudioUrl = "",
) -> int:
    """Add a row, or change the one with this key; columns that are not named stay as they are."""
    from dteg.tables.requests import pairs_in

    row: dict[str, Any] = {name: text or None for name, text in pairs_in(values, "set").items()}
    done = _service(url).put(slug, [row], _who())
    print("added" if done.inserted else "changed" if done.updated else "it was just so already")
    return 0


@app.command("unset")
def unset(
    slug: SlugArgument,
    keys: Annotated[list[str], typer.Argument(metavar="KEY...", help="Keys of rows.")],
    url: StudioUrl = "",
) -> int:
    """Delete rows by key."""
    gone = _service(url).delete_rows(slug, keys, _who())
    print(f"deleted {gone:,} of {len(keys):,} rows")
    return 0


@app.command("import")
def import_(
    slug: SlugArgument,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="CSV or Excel file; its first line names columns.")
    ],
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="Delete the rows that the file does not have.")
    ] = False,
    preview: Annotated[
        bool, typer.Option("--preview", help="Change nothing, only say what would happen.")
    ] = False,
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Take the rows of a file: all, or none if one of them cannot be taken."""
    report = _service(url).import_file(slug, Path(file), replace, _who(), preview)
    if as_json:
        print(report.model_dump_json())
    else:
        _print_report(report, preview=preview)
    return 2 if report.problems else 0


@app.command("add-column")
def add_column(
    slug: SlugArgument,
    columns: Annotated[list[str], typer.Argument(metavar="COLUMN=TYPE...", help="As for create.")],
    url: StudioUrl = "",
) -> int:
    """Add columns, empty in each row."""
    from dteg.dictionaries.models import DictionaryUpdate
    from dteg.tables.requests import checked

    wanted = checked(DictionaryUpdate, add_columns=_columns(columns))
    made = _service(url).update(slug, wanted)
    print(f"{made.slug} has {', '.join(each.name for each in made.columns)}")
    return 0


@app.command("history")
def history(
    slug: SlugArgument,
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Changes at the most.")] = 20,
    key: Annotated[str, typer.Option(help="Only of the row with this key.")] = "",
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Show who has changed which row, newest first."""
    found = _service(url).history(slug, limit, None, key)
    if as_json:
        print_json(found.items)
        return 0
    rows = [
        (f"{each.at:%Y-%m-%d %H:%M}", each.who, each.what, each.key, _difference(each.old, each.new))
        for each in found.items
    ]
    print_table(("at (UTC)", "who", "what", "key", "values"), rows)
    return 0


@app.command("remove")
def remove(
    slug: SlugArgument,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: StudioUrl = "",
) -> int:
    """Delete a dictionary that nothing uses, with its history; asks first."""
    from dteg.cli.asking import confirm_deletion

    service = _service(url)
    if not yes:
        found: Dictionary = service.get(slug)
        confirm_deletion(f"Delete the dictionary {slug} with {found.rows:,} rows?", slug)
    service.remove(slug)
    print(f"deleted {slug}")
    return 0


def _service(url: str) -> "Dictionaries":
    from dteg.cli.studio import service
    from dteg.dictionaries.remote import RemoteDictionaries
    from dteg.dictionaries.service import Dictionaries

    return service(Dictionaries, RemoteDictionaries, url)


def _who() -> str:
    """Return the user's name, for the history; a studio takes the name of the token instead."""
    from dteg.cli.asking import user_name

    return user_name()


def _columns(texts: list[str]) -> list[dict[str, str]]:
    from dteg.tables.requests import pairs_in

    return [{"name": name, "type": type_} for name, type_ in pairs_in(texts, "column").items()]


def _new(slug: str, columns: list[str], *, key: str, title: str) -> "NewDictionary":
    from dteg.core.errors import ConfigError
    from dteg.dictionaries.models import NewDictionary
    from dteg.tables.requests import checked

    if not columns:
        raise ConfigError("name the columns, such as code=text name=text, or a file with --from")
    described = _columns(columns)
    return checked(NewDictionary, slug=slug, title=title, key=key or described[0]["name"], columns=described)


def _new_from_file(slug: str, path: Path, columns: list[str], *, key: str, title: str) -> "NewDictionary":
    from dteg.core.errors import EnvironmentProblemError
    from dteg.core.project import Project
    from dteg.dictionaries.files import columns_of
    from dteg.dictionaries.models import NewDictionary
    from dteg.tables.requests import checked

    try:
        project = Project.find()
    except EnvironmentProblemError:  # with --url the file is here, and the project elsewhere
        project = Project(Path.cwd())
    found = [each.model_dump() for each in columns_of(project, path).values()]
    chosen = {each["name"]: each["type"] for each in _columns(columns)}
    described = [{**each, "type": chosen.pop(each["name"], each["type"])} for each in found]
    # What the file does not have is an empty column.
    described += [{"name": name, "type": type_} for name, type_ in chosen.items()]
    return checked(NewDictionary, slug=slug, title=title, key=key or found[0]["name"], columns=described)


def _print_report(report: "ImportReport", *, preview: bool) -> None:
    if report.problems:
        print(f"{report.file}: nothing was changed; {report.problem_count:,} problems", file=sys.stderr)
        for problem in report.problems:
            print(f"  {problem}", file=sys.stderr)
        return
    gone = f", {report.deleted:,} deleted" if report.replace else ""
    print(
        f"{'would be ' if preview else ''}{report.inserted:,} new, {report.updated:,} changed{gone}, "
        f"{report.unchanged:,} as they were"
    )


def _difference(old: dict[str, Any] | None, new: dict[str, Any] | None) -> str:
    before, after = old or {}, new or {}
    names = [name for name in dict.fromkeys((*before, *after)) if before.get(name) != after.get(name)]
    if old and new:
        return ", ".join(f"{name}: {_shown(before.get(name))} -> {_shown(after.get(name))}" for name in names)
    return ", ".join(f"{name}: {_shown((new or before)[name])}" for name in names)


def _shown(value: Any) -> str:
    return "-" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
