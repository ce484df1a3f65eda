"""What browsers send: whether it comes from our own pages, and what is wrong with it field by field."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers

from dteg.core.errors import ConfigError, DeniedError, DtegError, UnavailableError
from dteg.webkit import FormState

CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf"
ModelT = TypeVar("ModelT", bound=BaseModel)
_SECRETS = ("password", "current_password", "csrf")
# What a message about a file or a table begins with.
_FILE = re.compile(r"\S+\.\w+[:\s(]")
_SAID = {
    "missing": "{name}: fill this in.",
    "string_too_short": "{name}: write at least {min_length} characters.",
    "string_too_long": "{name}: write at most {max_length} characters.",
    "greater_than_equal": "{name}: at least {ge}.",
    "less_than_equal": "{name}: at most {le}.",
    "too_short": "{name}: choose at least one.",
    "enum": "{name}: choose one of the values.",
    "literal_error": "{name}: choose one of the values.",
    "int_parsing": "{name}: write a whole number.",
}


def is_foreign(headers: Headers, *ours: str) -> bool:
    """Return whether another site made a browser send this request.

    Args:
        headers: Of the request.
        ours: `host:port` of the app, beside the one that the request names.
    """
    origin = headers.get("origin")
    foreign = origin is not None and urlsplit(origin).netloc not in {*ours, headers.get("host", "")}
    return foreign or headers.get("sec-fetch-site") in ("cross-site", "same-site")


async def csrf_of(request: Request) -> str:
    """Return the CSRF token that a request carries, in a header or a field of its form; "" without."""
    given = request.headers.get(CSRF_HEADER) or (await request.form()).get(CSRF_FIELD, "")
    return given if isinstance(given, str) else ""


async def texts_of(request: Request) -> dict[str, str]:
    """Return the texts of a form by name, without spaces around them."""
    form = await request.form()
    return {name: value.strip() for name, value in form.items() if isinstance(value, str)}


async def chosen(request: Request, name: str) -> list[str]:
    """Return all values of a field that takes several."""
    return [value for value in (await request.form()).getlist(name) if isinstance(value, str)]


def read(model: type[ModelT], values: Mapping[str, Any]) -> tuple[ModelT | None, dict[str, str]]:
    """Return what a form says, or what is wrong by field."""
    try:
        return model.model_validate(values), {}
    except ValidationError as error:
        errors: dict[str, str] = {}
        for each in error.errors():
            name = str(each["loc"][0]) if each["loc"] else ""
            label = name.replace("_", " ").capitalize()
            said = _SAID.get(each["type"], "")
            if not said:
                about = model.model_fields[name].description if name in model.model_fields else ""
                said = f"{{name}}: this does not fit. {about}" if about else f"{{name}}: {each['msg']}"
            try:
                text = said.format(name=label, **(each.get("ctx") or {}))
            except (KeyError, IndexError, ValueError):
                text = f"{label}: this does not fit."
            errors.setdefault(name, text)
        return None, errors


def state(
    form: Mapping[str, str], errors: Mapping[str, str] | None = None, problem: str = "", **several: list[str]
) -> FormState:
    """Return a form as it is shown again: without secrets."""
    given = {name: value for name, value in form.items() if name not in _SECRETS}
    return FormState(given, errors or {}, problem, several)


def refusal(error: DtegError) -> str:
    """Return what a form says after a refusal; what a form cannot tell of is raised again.

    Raises:
        DtegError: Somebody has to log in first, or the app is not available.
    """
    if isinstance(error, UnavailableError) or (isinstance(error, DeniedError) and error.authenticate):
        raise error
    if isinstance(error, ConfigError):
        return "; ".join(str(each) for each in error.problems)
    return sentence(str(error))


def sentence(text: str) -> str:
    """Return a message with a capital letter, unless it begins with the name of a file, which stays as it is."""
    return text if _FILE.match(text) else text[:1].upper() + text[1:]
