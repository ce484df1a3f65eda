"""The form of a new source: fields of its kind, made from the kind's own model of settings."""

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr, ValidationError

from dteg.core.errors import ConfigError, DtegError
from dteg.sources.definitions import secret_options
from dteg.sources.kinds import KINDS, SourceKind
from dteg.sources.models import NewSource
from dteg.webapp.forms import read, refusal
from dteg.webkit import SchemaField, fields_of, read_config
from studio.sources import connecting

PREFIX = "option_"
_MODES = {"fdw": "read where they are", "staged": "copied into the warehouse"}


def kinds() -> list[SourceKind]:
    """Return the kinds that can be added here: those whose code is there."""
    return [kind for kind in KINDS.values() if _has_model(kind)]


def _has_model(kind: SourceKind) -> bool:
    try:
        return bool(kind.options_model)
    except ImportError:
        return False


def chosen_kind(text: str) -> SourceKind | None:
    """Return the kind of a name, if it is one that can be added."""
    return next((kind for kind in kinds() if kind.kind == text), None)


def fields(kind: SourceKind) -> list[SchemaField]:
    """Return the settings of a kind."""
    return fields_of(kind.options_model.model_json_schema())


def modes(kind: SourceKind) -> list[tuple[str, str]]:
    """Return how a kind can be linked, to choose from."""
    if len(kind.linkers) < 2:
        return []
    return [("auto", "what this warehouse can"), *((str(mode), _MODES[mode]) for mode in kind.linkers)]


def hidden(kind: SourceKind) -> set[str]:
    """Return the settings that are kept encrypted."""
    return secret_options(kind)


def takes_file(kind: SourceKind) -> bool:
    """Whether the source may be a file that is sent."""
    return "path" in kind.options_model.model_fields


def new_source(kind: SourceKind, form: Mapping[str, str]) -> tuple[NewSource | None, dict[str, str]]:
    """Return what a form says, or what is wrong by field."""
    given = {name.removeprefix(PREFIX): text for name, text in form.items() if name.startswith(PREFIX)}
    options, problems = read_config(fields(kind), given)
    errors = {PREFIX + name: text for name, text in problems.items()}
    errors |= option_errors(kind, options)
    url, wrong_url = connecting.url_of(kind, form)
    errors |= wrong_url
    values: dict[str, Any] = {
        "slug": form.get("slug", ""), "kind": kind.kind, "title": form.get("title", ""),
        "url": SecretStr(url), "mode": form.get("mode") or "auto", "options": options,
        "tables": [line.strip() for line in form.get("tables", "").splitlines() if line.strip()],
    }  # fmt: skip
    new, wrong = read(NewSource, values)
    return (None if errors else new), {**wrong, **errors}


def option_errors(kind: SourceKind, options: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with settings, by field."""
    try:
        kind.options_model.model_validate(dict(options))
    except ValidationError as error:
        return {
            PREFIX + str(each["loc"][0]) if each["loc"] else "": each["msg"].removeprefix("Value error, ")
            for each in error.errors(include_input=False)
        }
    return {}


def field_errors(error: DtegError) -> tuple[dict[str, str], str]:
    """Return what a refusal says of single fields, and what it says of the whole."""
    if not isinstance(error, ConfigError):
        return {}, refusal(error)
    errors: dict[str, str] = {}
    others = []
    for problem in error.problems:
        first, _, rest = problem.path.partition(".")
        name = PREFIX + rest.split(".")[0] if first == "options" and rest else first
        if name in ("url", "slug", "tables") or name.startswith(PREFIX):
            errors.setdefault(name, problem.message)
        else:
            others.append(str(problem))
    return errors, "; ".join(others)
