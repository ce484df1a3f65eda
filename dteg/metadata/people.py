"""Which columns seem to be about people: of those no value is ever published."""

import re
from collections.abc import Sequence

# What names say. The values are looked at too: a name alone may say nothing.
_NAMES = re.compile(
    r"(^|_)(e?mail|phone|mobile|tel|telephone|fax|ssn|passport|birth|birth(day|date)?|dob|iban|card(_?(number|no))?|cvv|"
    r"tax_?id|first_?name|last_?name|middle_?name|full_?name|given_?name|family_?name|surname|nickname|maiden_?name|"
    r"user_?name|login|password|passwd|secret|token|api_?key|address(_?line)?|street|zip|postcode|postal_?code|"
    r"ip(_?address)?|latitude|longitude|salary|diagnosis|religion|ethnicity|nationality|patient|"
    r"(customer|client|employee|person|contact|member|guest|student|author|owner|user|driver|pilot)_?name)(_|$|[0-9])",
    re.IGNORECASE,
)
_VALUES = {
    "email": re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+"),
    "phone": re.compile(r"\+[0-9][0-9 ()./-]{7,18}[0-9]|\(?0[0-9]{1,4}\)?[ /-][0-9 -]{5,14}[0-9]"),
    "iban": re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}"),
    "card": re.compile(r"(?:[0-9]{4}[ -]){3}[0-9]{4}"),
    "ssn": re.compile(r"[0-9]{3}-[0-9]{2}-[0-9]{4}"),
    "ip": re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}"),
}
# One address among notes is enough to leave the notes out.
_SHARE = 0.02
_PARTS = str.maketrans("-.: ", "____")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def about_people(name: str, values: Sequence[str]) -> str | None:
    """Return why a column seems to be about people, such as `email`; None if it does not.

    Args:
        name: Of the column.
        values: Some of its values as text.
    """
    if match := _NAMES.search(_CAMEL.sub("_", name).translate(_PARTS)):
        return match[2].lower()
    for kind, form in _VALUES.items():
        hits = sum(1 for value in values if form.search(value)) if kind == "email" else sum(
            1 for value in values if form.fullmatch(value)
        )  # fmt: skip
        if values and hits > _SHARE * len(values):
            return kind
    return None


def value_about_people(text: str) -> str | None:
    """Return what a single value tells of somebody, such as `email`; None if it does not seem to."""
    for kind, form in _VALUES.items():
        if form.search(text) if kind == "email" else form.fullmatch(text):
            return kind
    return None
