"""What a form shows: the values given so far, and what is wrong with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FormState:
    """The state of one form.

    Attributes:
        given: Texts by name of the field; never a password.
        errors: What is wrong, by name of the field.
        problem: What is wrong with the whole.
        chosen: Values of fields that take several.
    """

    given: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    chosen: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def value(self, name: str, default: str = "") -> str:
        """Return the text of a field."""
        return self.given.get(name, default)

    def error(self, name: str) -> str:
        """Return what is wrong with a field; "" if nothing."""
        return self.errors.get(name, "")

    def has(self, name: str, value: str) -> bool:
        """Return whether a value is among those chosen."""
        return value in self.chosen.get(name, ())
