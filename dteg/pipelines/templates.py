"""`{{ ds }}`, `{{ run_id }}`, `{{ env.X }}` and `{{ params.X }}` in the values of a pipeline file.

Values are rendered after the YAML was parsed, so a value can never change the structure of the
file. An expression is made of names, constants, comparisons, `if else`, `+ - / ~` and a few filters;
there are no calls and nothing that multiplies a text, so no template grows much beyond its inputs.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from dteg.core.clock import utc_now
from dteg.core.suggest import did_you_mean

if TYPE_CHECKING:
    from jinja2.nodes import Node
    from jinja2.sandbox import SandboxedEnvironment

MAX_RENDERED_CHARACTERS = 100_000
FILTERS = ("abs", "d", "default", "float", "int", "length", "lower", "round", "string", "trim", "upper")
_PARTS = (
    "Name", "Getattr", "Getitem", "Const", "TemplateData", "Filter", "Compare", "CondExpr", "And", "Or", "Not",
    "Add", "Sub", "Div", "FloorDiv", "Neg", "Pos", "Concat",
)  # fmt: skip
_WHOLE = re.compile(r"^\s*\{\{([^{}]*)\}\}\s*$")


class TemplateError(ValueError):
    """A template cannot be rendered; the message says why.

    Attributes:
        at: Where in the rendered value the text stands.
    """

    at: tuple[str | int, ...] = ()


@dataclass(frozen=True)
class Variables:
    """What templates can use.

    Attributes:
        params: Parameters of the run.
        run_id: Identity of the run.
        started_at: Start of the run, UTC; `ds` is its date as YYYY-MM-DD.
        env: Environment variables.
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    run_id: str = ""
    started_at: datetime = field(default_factory=utc_now)
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def as_dict(self) -> dict[str, Any]:
        """Return the names that templates see."""
        return {
            "params": dict(self.params),
            "run_id": self.run_id,
            "ds": self.started_at.strftime("%Y-%m-%d"),
            "ts": self.started_at.isoformat(),
            "env": dict(self.env),
        }


@cache
def _environment() -> "SandboxedEnvironment":
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    class KeysOnly(SandboxedEnvironment):
        """Knows keys and no attributes, so that `params.values` is a parameter and never a method."""

        def getitem(self, obj: Any, argument: Any) -> Any:
            try:
                return obj[argument]
            except (LookupError, TypeError, AttributeError):
                return self.undefined(obj=obj, name=argument)

        def getattr(self, obj: Any, attribute: str) -> Any:
            return self.getitem(obj, attribute)

    environment = KeysOnly(undefined=StrictUndefined, autoescape=False)
    environment.globals.clear()  # no range(), no lipsum(): nothing that makes text without end
    environment.filters = {name: environment.filters[name] for name in FILTERS}
    return environment


def _refuse_unless_plain(source: str) -> None:
    """Refuse an expression with a part that is not in `_PARTS`."""
    for node in _environment().parse(source).find_all(_node_class("Expr")):
        if isinstance(node, _node_class("Call")):
            raise TemplateError("there are no functions in templates")
        if not isinstance(node, tuple(map(_node_class, _PARTS))):
            raise TemplateError(f"{type(node).__name__} is not allowed in templates")


def _node_class(name: str) -> "type[Node]":
    from jinja2 import nodes

    return cast("type[Node]", getattr(nodes, name))


def render(value: Any, variables: Variables) -> Any:
    """Return `value` with every template in its texts rendered.

    A text that is one expression and nothing else keeps the type of its value, so
    `"{{ params.limit }}"` can fill a number.

    Raises:
        TemplateError: A name is unknown, or the template is not valid.
    """
    if isinstance(value, str):
        return _render_text(value, variables) if "{{" in value or "{%" in value else value
    if isinstance(value, dict):
        return {key: _render_at(key, item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [_render_at(place, item, variables) for place, item in enumerate(value)]
    return value


def _render_at(place: str | int, value: Any, variables: Variables) -> Any:
    try:
        return render(value, variables)
    except TemplateError as error:
        error.at = (place, *error.at)
        raise


def _render_text(text: str, variables: Variables) -> Any:
    from jinja2 import TemplateError as JinjaError
    from jinja2 import Undefined

    if "{%" in text:
        raise TemplateError(f"only {{{{ name }}}} expressions are allowed in {text!r}")
    names = variables.as_dict()
    try:
        _refuse_unless_plain(text)
        if whole := _WHOLE.match(text):
            result = _environment().compile_expression(whole[1], undefined_to_none=False)(**names)
            if isinstance(result, Undefined):
                str(result)  # raises, with the name that is not set
            if not isinstance(result, str | int | float | bool | None):
                raise TemplateError(f"{text!r} is not a text, a number or true/false")
        else:
            result = _environment().from_string(text).render(**names)
    except (JinjaError, ArithmeticError, TypeError, ValueError, MemoryError) as error:
        raise TemplateError(f"{text!r}: {_reason(error, names)}") from None
    if isinstance(result, str) and len(result) > MAX_RENDERED_CHARACTERS:
        raise TemplateError(f"{text!r} renders to more than {MAX_RENDERED_CHARACTERS} characters")
    return result


def _reason(error: Exception, names: Mapping[str, Any]) -> str:
    message = str(error)
    if unknown := re.search(r"'dict object' has no attribute '(.*)'", message):
        near = did_you_mean(unknown[1], names["params"])
        where = "params come from params: or --param, env from the environment"
        return f"{unknown[1]} is not set; {near + ' ' if near else ''}({where})"
    if unknown := re.fullmatch(r"'(.*)' is undefined", message):
        near = did_you_mean(unknown[1], names)
        return f"there is no {unknown[1]!r}; {near + ' ' if near else ''}there are: {', '.join(names)}"
    return message or type(error).__name__
