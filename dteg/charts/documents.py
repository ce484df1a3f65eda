"""Charts and dashboards as they are kept, and as YAML: the same thing always becomes the same bytes."""

from collections.abc import Mapping
from typing import Any, TypeVar

import psycopg
import yaml
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from pydantic import BaseModel

from dteg.core.errors import ConfigError
from dteg.core.yaml import Document, validate
from dteg.core.yaml_writing import Dumper, write_yaml

SpecT = TypeVar("SpecT", bound=BaseModel)
_KEPT = "SELECT spec, created_at, updated_at, updated_by FROM {} WHERE %(slug)s IN ('', slug) ORDER BY slug"
_KEEP = """
INSERT INTO {} (slug, spec, updated_by) VALUES (%(slug)s, %(spec)s, %(who)s)
ON CONFLICT (slug) DO UPDATE SET spec = excluded.spec, updated_at = now(), updated_by = excluded.updated_by
WHERE %(replace)s
"""

_PLAIN = ("null", "true", "false", "yes", "no", "on", "off", "y", "n", "~", "")


class _Dumper(Dumper):
    """Writes texts that could be taken for something else in quotes, and texts of several lines as they are."""


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
    return write_yaml(value, _Dumper)


def specs_in(document: Document, model: type[SpecT], word: str) -> list[SpecT]:
    """Return the definitions of a document: one, or a list under the plural of a word.

    Args:
        document: What was read.
        model: What each has to be.
        word: The key with the name of each, such as `chart`.

    Raises:
        ConfigError: One is wrong; with file and line.
    """
    value = document.value
    if isinstance(value, Mapping) and word in value:
        return [validate(document, model)]
    several = f"{word}s"
    listed = value.get(several) if isinstance(value, Mapping) else None
    if listed is None:
        return []
    if not isinstance(listed, list):
        raise ConfigError([document.problem((several,), f"write a list of {several}")])
    return [validate(document, model, each, (several, number)) for number, each in enumerate(listed)]


def kept(connection: psycopg.Connection[Any], table: str, model: type[SpecT], slug: str = "") -> list[SpecT]:
    """Return what is kept of one sort, by name.

    Args:
        connection: To the warehouse.
        table: `charts` or `dashboards`.
        model: What each is with its times.
        slug: Only this one.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        query = sql.SQL(_KEPT).format(sql.Identifier("_dteg", table))
        return [model.model_validate(row) for row in cursor.execute(query, {"slug": slug}).fetchall()]


def keep(
    connection: psycopg.Connection[Any], table: str, slug: str, spec: BaseModel, *, replace: bool, who: str
) -> bool:
    """Write one, in the caller's transaction if there is one; return whether it was, which a taken name prevents."""
    values = {"slug": slug, "spec": Jsonb(document_of(spec)), "who": who, "replace": replace}
    return connection.execute(sql.SQL(_KEEP).format(sql.Identifier("_dteg", table)), values).rowcount == 1
