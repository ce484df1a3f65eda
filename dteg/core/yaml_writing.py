"""YAML that dteg writes: the same values always become the same bytes, and every reader takes them for the same."""

from typing import Any

import yaml


class Quoted(str):
    """A text that is written in quotes: plain, YAML 1.1 and 1.2 would not always agree on what it is."""

    __slots__ = ()


class Dumper(yaml.SafeDumper):
    """Writes lists indented, repeats what is there twice, and `Quoted` in quotes; a form of its own is a subclass."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent lists below their key."""
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        """Use no anchors: our own reader refuses them."""
        return True


Dumper.add_representer(
    Quoted, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style='"')
)


def write_yaml(value: Any, dumper: type[Dumper] = Dumper, width: int = 10_000) -> str:
    """Return YAML of plain values, in their order.

    Args:
        value: Dicts, lists, texts, numbers, booleans and None.
        dumper: Its form.
        width: Characters of a line, where it can be broken.
    """
    text: str = yaml.dump(value, Dumper=dumper, sort_keys=False, allow_unicode=True, width=width)
    return text
