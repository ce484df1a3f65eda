"""Dotted paths into JSON values: `meta.next`, `items.0.id`."""

from typing import Any


class _Missing:
    """What `lookup` returns where nothing is."""

    def __bool__(self) -> bool:
        return False


MISSING = _Missing()


def lookup(value: Any, path: str) -> Any:
    """Return what lies at `path`, the value itself for an empty path, or MISSING."""
    for part in path.split(".") if path else ():
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return MISSING
    return value


def with_value(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy of `body` with `value` at `path`; mappings on the way are made."""
    head, _, rest = path.partition(".")
    if not rest:
        return {**body, head: value}
    inner = body.get(head)
    return {**body, head: with_value(inner if isinstance(inner, dict) else {}, rest, value)}
