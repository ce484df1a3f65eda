"""Requests made of words that people gave: what is wrong with them is said as an error of ours."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from dteg.core.errors import ConfigError, Problem
from dteg.core.wording import plain_message

ModelT = TypeVar("ModelT", bound=BaseModel)


def checked(model: type[ModelT], **values: Any) -> ModelT:
    """Return a model of values.

    Raises:
        ConfigError: They do not fit; one problem for each.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = [
            Problem(plain_message(each), path=".".join(map(str, each["loc"]))) for each in error.errors()
        ]
        raise ConfigError(problems) from None


def names_in(text: str) -> list[str]:
    """Return names that are separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def types_in(text: str) -> dict[str, str]:
    """Return SQL types by column: `price=numeric(12,2), day=date`.

    Raises:
        ConfigError: A part is not like this.
    """
    parts, depth = [""], 0
    for each in text:
        depth += (each == "(") - (each == ")")
        if each == "," and depth == 0:  # a comma in brackets belongs to the type
            parts.append("")
        else:
            parts[-1] += each
    return pairs_in([part for part in parts if part.strip()], "types")


def settings_in(texts: list[str]) -> dict[str, Any]:
    r"""Return settings of the files extractor: `delimiter=;`, `header=false`, `null_values=["NA"]`, `delimiter=\t`.

    Raises:
        ConfigError: A text is not like this.
    """
    return {name: _value(text) for name, text in pairs_in(texts, "set").items()}


def pairs_in(texts: list[str], what: str) -> dict[str, str]:
    """Return the two sides of `name=value`.

    Raises:
        ConfigError: A text has no `=`.
    """
    if wrong := [text for text in texts if "=" not in text]:
        raise ConfigError(f"{what}: {wrong[0].strip()!r} is not NAME=VALUE")
    return {name.strip(): value.strip(" ") for name, value in (text.split("=", 1) for text in texts)}


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if text.startswith("["):
        import json

        try:
            return json.loads(text)
        except ValueError:
            return text
    return "\t" if text == "\\t" else text
