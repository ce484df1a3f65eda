"""Forms from JSON Schema: the configuration of a component as fields, and what was filled in as YAML."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dteg.core.errors import ConfigError

MAX_FIELDS = 200
MAX_VALUE = 10_000
_SECRET = "secret-reference"  # noqa: S105 - the name of a format, not a secret
_VARIABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")
# "At least one character" is what every field says that is not empty.
_SAYS_NOTHING = (("minLength", 1), ("minLength", 0), ("minItems", 0))
_STEPS = {"extractor": "extract", "processor": "process", "loader": "load", "transformer": "transform"}


@dataclass(frozen=True, slots=True)
class SchemaField:
    """One setting.

    Attributes:
        name: Its key.
        kind: text, integer, number, boolean, choice, list, secret or yaml (anything deeper).
        type_text: Its type as people read it, such as `text or none`.
        required: Whether it must be given.
        default: The default as JSON; "" without one.
        description: What it means.
        choices: What may be chosen.
        minimum: Least value, "" for none.
        maximum: Greatest value, "" for none.
        limits: All limits as people read them.
    """

    name: str
    kind: str
    type_text: str
    required: bool
    default: str
    description: str
    choices: tuple[str, ...] = ()
    minimum: str = ""
    maximum: str = ""
    limits: str = ""

    @property
    def options(self) -> list[tuple[str, str]]:
        """The choices as pairs of value and label."""
        return [(choice, choice) for choice in self.choices]


def fields_of(schema: Mapping[str, Any]) -> list[SchemaField]:
    """Return the settings of an object schema, required ones first; unreadable parts become fields of kind `yaml`."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return []
    definitions = schema.get("$defs")
    definitions = definitions if isinstance(definitions, Mapping) else {}
    required = schema.get("required")
    needed = set(required) if isinstance(required, list) else set()
    fields = [
        _field(str(name), part, definitions, name in needed)
        for name, part in list(properties.items())[:MAX_FIELDS]
        if isinstance(part, Mapping)
    ]
    return sorted(fields, key=lambda field: not field.required)


def read_config(
    fields: Sequence[SchemaField], form: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what a form says as configuration, and what is wrong by field.

    A field left empty, or equal to its default, is left out.

    Args:
        fields: The settings.
        form: Texts by name of the field.
    """
    config: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for field in fields:
        text = form.get(field.name, "").strip()
        if len(text) > MAX_VALUE:
            problems[field.name] = f"Write at most {MAX_VALUE:,} characters."
            continue
        if not text:
            if field.required:
                problems[field.name] = "This setting is required."
            continue
        try:
            value = _value(field, text)
        except (ValueError, ConfigError) as error:
            problems[field.name] = str(error)
            continue
        if json.dumps(value, default=str) != field.default:
            config[field.name] = value
    return config, problems


def step_yaml(kind: str, reference: str, config: Mapping[str, Any]) -> str:
    """Return the step of a pipeline file that uses a component.

    Args:
        kind: Of the component: extractor, processor, loader or transformer.
        reference: Value of `type:`, such as `dteg://streaming/kafka-extractor`.
        config: Its settings.
    """
    import yaml

    step: dict[str, Any] = {"type": reference}
    if config:
        step["config"] = dict(config)
    return str(
        yaml.safe_dump([{_STEPS.get(kind, "extract"): step}], sort_keys=False, allow_unicode=True, width=100)
    )


def _field(name: str, part: Mapping[str, Any], definitions: Mapping[str, Any], required: bool) -> SchemaField:
    inner, optional = _resolved(part, definitions)
    choices = tuple(str(each) for each in inner.get("enum", ()) if each is not None)
    if "const" in inner:
        choices = (str(inner["const"]),)
    kind = "choice" if choices else _kind(inner)
    default = (
        json.dumps(part["default"], default=str) if part.get("default") not in (None, [], {}, "") else ""
    )
    least, most = inner.get("minimum"), inner.get("maximum")
    return SchemaField(
        name=name, kind=kind, type_text=_type_text(inner, kind, optional), required=required, default=default,
        description=str(part.get("description") or inner.get("description") or ""), choices=choices,
        minimum="" if least is None else f"{least}", maximum="" if most is None else f"{most}", limits=_limits(inner),
    )  # fmt: skip


def _resolved(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """Follow one reference and take the part of a union that is not null; return it and whether null is allowed."""
    optional = False
    for _ in range(5):
        reference, union = part.get("$ref"), part.get("anyOf")
        if isinstance(reference, str):
            found = definitions.get(reference.rpartition("/")[2])
            part = found if isinstance(found, Mapping) else {}
        elif isinstance(union, list):
            others = [each for each in union if isinstance(each, Mapping) and each.get("type") != "null"]
            optional = optional or len(others) < len(union)
            if len(others) != 1:
                return {"anyOf": others}, optional
            part = others[0]
        else:
            break
    return part, optional


def _kind(inner: Mapping[str, Any]) -> str:
    if inner.get("format") == _SECRET:
        return "secret"
    kind = inner.get("type")
    if kind == "array":
        items = inner.get("items")
        plain = isinstance(items, Mapping) and items.get("type") == "string"
        return "list" if plain else "yaml"
    kinds = {"string": "text", "integer": "integer", "number": "number", "boolean": "boolean"}
    return kinds.get(str(kind), "yaml")


def _type_text(inner: Mapping[str, Any], kind: str, optional: bool) -> str:
    names = {"choice": "choice", "list": "list of texts", "secret": "secret", "boolean": "yes or no"}
    text = names.get(kind, kind)
    if kind == "yaml":
        parts = [str(each.get("type", "object")) for each in inner.get("anyOf", ())] or [
            str(inner.get("type", "any"))
        ]
        text = " or ".join(
            {"object": "mapping", "array": "list", "string": "text"}.get(part, part) for part in parts
        )
    return f"{text}, optional" if optional else text


def _limits(inner: Mapping[str, Any]) -> str:
    words = {
        "minimum": "at least {}", "exclusiveMinimum": "more than {}", "maximum": "at most {}",
        "exclusiveMaximum": "less than {}", "minLength": "{} characters or more", "maxLength": "{} characters at most",
        "minItems": "{} or more", "maxItems": "{} at most", "pattern": "matches {}",
    }  # fmt: skip
    shown = {key: inner[key] for key in words if key in inner and (key, inner[key]) not in _SAYS_NOTHING}
    return ", ".join(words[key].format(_written(value)) for key, value in shown.items())


def _written(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _value(field: SchemaField, text: str) -> Any:
    match field.kind:
        case "integer":
            return _in_range(field, _number(text, int, "Write a whole number."))
        case "number":
            return _in_range(field, _number(text, float, "Write a number."))
        case "boolean":
            if text not in ("true", "false"):
                raise ValueError("Choose yes or no.")
            return text == "true"
        case "choice":
            if text not in field.choices:
                raise ValueError("Choose one of the values.")
            return text
        case "list":
            return [line.strip() for line in text.splitlines() if line.strip()]
        case "secret":
            return _secret(text)
        case "yaml":
            from dteg.core.yaml import parse

            return parse(text).value
    return text


def _number(text: str, convert: type, message: str) -> Any:
    try:
        return convert(text)
    except ValueError:
        raise ValueError(message) from None


def _in_range(field: SchemaField, value: float) -> float:
    if field.minimum and value < float(field.minimum):
        raise ValueError(f"Write {field.minimum} or more.")
    if field.maximum and value > float(field.maximum):
        raise ValueError(f"Write {field.maximum} or less.")
    return value


def _secret(text: str) -> str:
    """Take the name of a variable or a reference; never a secret itself, which would then stand in a file."""
    if text.startswith("secret://"):
        return text
    if not _VARIABLE.match(text):
        raise ValueError(
            "Write the name of an environment variable, such as KAFKA_PASSWORD; never the secret."
        )
    return f"secret://env/{text}"
