"""Charts and dashboards as YAML: the same thing always becomes the same bytes, whichever hub writes it."""

from typing import Any

import yaml
from pydantic import BaseModel

from dteg.core.yaml import Document, parse

_PLAIN = ("null", "true", "false", "yes", "no", "on", "off", "y", "n", "~", "")


class _Dumper(yaml.SafeDumper):
    """Writes texts that could be taken for something else in quotes, and lists indented."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    if "\n" in value and value == value.strip() and not any(line.endswith(" ") for line in value.split("\n")):
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|")
    odd = value.lower() in _PLAIN or value != value.strip() or value[:1].isdigit() or value[:1] in "+-.="
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style='"' if odd else None)


_Dumper.add_representer(str, _text)


def document_of(model: BaseModel) -> dict[str, Any]:
    """Return what is not at its default, in the order of the model's fields; `version` is always said."""
    values = model.model_dump(mode="json", exclude_defaults=True, exclude_none=True, by_alias=True)
    if "version" in type(model).model_fields:
        values["version"] = model.model_dump()["version"]
    order = list(type(model).model_fields)
    return {key: values[key] for key in sorted(values, key=order.index)}


def yaml_text(value: Any) -> str:
    """Return YAML of plain values."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
    return text


def read_yaml(text: str, file: str = "") -> Document:
    """Parse YAML with limits and lines; see `dteg.core.yaml`.

    Raises:
        ConfigError: It is none.
    """
    return parse(text, file)
