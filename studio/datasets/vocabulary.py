"""What the builder offers for formulas: the functions of the compiler, in groups that people look for them in."""

from functools import cache
from typing import Any

_GROUPS = {
    "If and missing values": ("if", "coalesce", "nullif"),
    "Numbers": (
        "round", "floor", "ceil", "trunc", "abs", "sign", "mod", "power", "sqrt", "ln", "log10", "greatest", "least", "number",
    ),
    "Texts": (
        "concat", "lower", "upper", "initcap", "trim", "ltrim", "rtrim", "length", "left", "right", "substring", "replace",
        "split_part", "lpad", "rpad", "contains", "starts_with", "ends_with", "text",
    ),
}  # fmt: skip
_REST = "Dates and times"


@cache
def vocabulary() -> dict[str, Any]:
    """Return the functions as `{functions: [{group, items: [{name, form, what, insert}]}]}`.

    `insert` is what goes before and after what is marked. A function that is in no group yet comes with dates and times,
    which most of the others are.
    """
    from dteg.datasets.compiler import FUNCTIONS

    grouped = {name for names in _GROUPS.values() for name in names}
    groups = {**_GROUPS, _REST: tuple(name for name in FUNCTIONS if name not in grouped)}
    return {
        "functions": [
            {"group": group, "items": [_item(FUNCTIONS[name]) for name in names if name in FUNCTIONS]}
            for group, names in groups.items()
        ]
    }


def _item(function: Any) -> dict[str, Any]:
    more = ", " * (len(function.takes) - function.optional - 1)
    return {
        "name": function.name,
        "form": function.signature,
        "what": function.about,
        "insert": [f"{function.name}(", f"{more})"],
    }
