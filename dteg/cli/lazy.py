"""Commands that are imported when they are named: a start builds the one that runs, not all hundred and fifty."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import typer
from typer.core import TyperGroup
from typer.main import get_command

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Entry(NamedTuple):
    """Where a command or a group of commands is, and what the list of commands says of it."""

    target: str
    """`module:attribute` in `dteg.cli`: a function, or a `typer.Typer` for a group."""
    help: str
    """First sentence of its help; a test compares them."""
    options: str = ""
    """Name of a dict in the same module: what `typer.Typer.command` is given besides the name."""

    def load(self, name: str) -> click.Command:
        """Import the command and build it.

        Raises:
            ImportError: The module is not there.
            AttributeError: The module has no such attribute.
        """
        module_name, _, attribute = self.target.partition(":")
        module = import_module(f"dteg.cli.{module_name}")
        found = getattr(module, attribute)
        # Typer builds from a parent, which says how the helps of all below it are set.
        parent = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
        if isinstance(found, typer.Typer):
            parent.add_typer(found, name=name)
            built = get_command(parent)
            assert isinstance(built, click.Group)
            return _suggesting_once(built.commands[name])
        parent.command(name, **(getattr(module, self.options) if self.options else {}))(found)
        return get_command(parent)

    def outline(self, name: str) -> click.Command:
        """Return a command that has the help and does nothing."""
        return click.Command(name, help=self.help)


def _suggesting_once(command: click.Command) -> click.Command:
    """Leave the near miss of an unknown word to click: Typer would name it a second time."""
    if isinstance(command, TyperGroup):
        command.suggest_commands = False
        for inner in command.commands.values():
            _suggesting_once(inner)
    return command


class LazyCommands(Mapping[str, click.Command]):
    """Commands by name: the first look at one imports it; asking whether it is there does not."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = entries
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._loaded:
            self._loaded[name] = self._entries[name].load(name)
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class LazyGroup(TyperGroup):
    """A program that lists its commands and groups, below headings, without importing them.

    Args:
        name: Of the program.
        sections: Its commands by heading, in order.
        settings: Of the group.
    """

    def __init__(self, name: str, sections: Mapping[str, Mapping[str, Entry]], **settings: Any) -> None:
        super().__init__(name=name, suggest_commands=False, **settings)
        self.sections = sections
        self.entries = {name: entry for section in sections.values() for name, entry in section.items()}
        self.commands = LazyCommands(self.entries)  # type: ignore[assignment] # nobody adds a command later

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the entries."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; None if there is none of that name."""
        # Not `.get()`: a KeyError of a module that is being imported would look like a name that is not there.
        if cmd_name not in self.commands:
            return None
        return self.commands[cmd_name]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of the commands, from the entries alone."""
        longest = max(map(len, self.entries))
        limit = formatter.width - 6 - longest  # so much does click leave for a help
        for heading, entries in self.sections.items():
            rows = [
                (name.ljust(longest), entry.outline(name).get_short_help_str(limit))
                for name, entry in entries.items()
            ]
            with formatter.section(heading):
                formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Return the commands, then the options, that begin so."""
        from click.shell_completion import CompletionItem

        found = [
            CompletionItem(name, help=entry.outline(name).get_short_help_str())
            for name, entry in self.entries.items()
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)
