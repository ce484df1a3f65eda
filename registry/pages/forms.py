"""What browsers send: every form is checked to come from our pages, and told what is wrong field by field."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError

from dteg.core.errors import ConfigError, DeniedError, DtegError, UnavailableError
from dteg.webkit import FormState
from registry.tokens.forms import from_our_pages

ModelT = TypeVar("ModelT", bound=BaseModel)
_SECRETS = ("password", "current_password", "csrf")
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


async def posted(request: Request) -> dict[str, str]:
    """Return the texts of a form that was sent from one of our pages, by name; a dependency of every such route.

    Raises:
        DeniedError: It comes from elsewhere.
    """
    await from_our_pages(request)
    form = await request.form()
    return {name: value.strip() for name, value in form.items() if isinstance(value, str)}


Posted = Annotated[dict[str, str], Depends(posted)]


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
        DtegError: Somebody has to log in first, or the registry is not available.
    """
    if isinstance(error, UnavailableError) or (isinstance(error, DeniedError) and error.authenticate):
        raise error
    if isinstance(error, ConfigError):
        return "; ".join(str(each) for each in error.problems)
    text = str(error)
    return text[:1].upper() + text[1:]
