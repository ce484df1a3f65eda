"""The program lists its commands without importing them, and shows what it would show with all imported."""

import subprocess
import sys

import click
import pytest
from typer.core import TyperGroup

from dteg import __version__
from dteg.cli.lazy import Entry, LazyGroup
from dteg.cli.main import COMMANDS, SECTIONS, app, run_app

ALWAYS = {"main", "lazy"}
OPTIONS = ["studio", "transfers"]  # options that many commands share, and how they print
EAGER = TyperGroup(
    name="dteg",
    commands=dict(app.commands),
    params=app.params,
    help=app.help,
    epilog=app.epilog,
    rich_markup_mode=None,
)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_of_a_command_what_its_help_says(name):
    built = COMMANDS[name].load(name)
    assert COMMANDS[name].help == built.get_short_help_str(10_000)
    assert (built.name, built.hidden, built.deprecated) == (name, False, False)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_help_is_that_of_a_group_with_all_commands_but_for_headings(width):
    lazy, eager = (
        click.Context(each, info_name="dteg", max_content_width=width, **app.context_settings)
        for each in (app, EAGER)
    )
    lazy.terminal_width = eager.terminal_width = width
    ours, theirs = app.get_help(lazy).splitlines(), EAGER.get_help(eager).splitlines()
    headings = {f"{heading}:" for heading in SECTIONS}
    assert headings <= set(ours)
    assert sorted(filter(None, set(ours) - headings)) == sorted(filter(None, set(theirs) - {"Commands:"}))


@pytest.mark.parametrize("begun", ["", "t", "pub", "--", "x"])
def test_completion_is_that_of_a_group_with_all_commands(begun):
    lazy, eager = (
        [
            (item.value, item.help)
            for item in each.shell_complete(click.Context(each, **app.context_settings), begun)
        ]
        for each in (app, EAGER)
    )
    assert lazy == eager
    assert bool(lazy) == (begun != "x")


@pytest.mark.parametrize(
    ("arguments", "modules"),
    [
        (["--help"], []),
        (["tabel"], []),
        (["create", "--help"], ["create", "tables", *OPTIONS]),
        (["table", "--help"], ["tables", *OPTIONS]),
        (["info", "--help"], ["environment"]),
    ],
    ids=" ".join,
)
def test_no_module_of_another_command_is_imported(arguments, modules):
    code = f"import sys; from dteg.cli.main import run_app; run_app({arguments!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = {name for name in done.stdout.splitlines()[-1].split() if name.startswith("dteg.cli.")}
    assert {name.removeprefix("dteg.cli.") for name in ours} == ALWAYS | set(modules)


@pytest.mark.parametrize("words", [["rum"], ["topic", "craete"], ["studio", "token", "lst"]], ids=" ".join)
def test_a_mistyped_command_gets_its_near_miss_once(words, capsys):
    assert run_app(words) == 2
    assert capsys.readouterr().err.count("Did you mean") == 1


@pytest.mark.parametrize("words", [["-h"], ["tables", "-h"], ["--version"]], ids=" ".join)
def test_what_everybody_tries_first_works(words, capsys):
    assert run_app(words) == 0
    assert capsys.readouterr().out.startswith(f"dteg {__version__}\n" if "--version" in words else "Usage: ")


@pytest.mark.parametrize("target", ["nothing:there", "tables:nothing"])
def test_a_command_that_cannot_be_imported_is_not_called_unknown(target):
    broken = LazyGroup("broken", {"Words": {"word": Entry(target, "A word.")}})
    with pytest.raises((ImportError, AttributeError)):
        broken.get_command(click.Context(broken), "word")
