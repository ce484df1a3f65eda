"""Which tables of a source are meant: `orders`, `public.orders`, `sales.*`, `*_log`, and `!*_old` for none of those."""

from collections.abc import Sequence
from fnmatch import fnmatchcase


def matches(patterns: Sequence[str], schema: str, name: str) -> bool:
    """Say whether a table is meant. The last pattern that fits decides; without a positive one all are meant.

    Args:
        patterns: With a dot they are held against `schema.name`, without one against the name alone.
        schema: Of the table; empty where the kind has none.
        name: Of the table.
    """
    meant = all(pattern.startswith("!") for pattern in patterns)
    full = f"{schema}.{name}" if schema else name
    for pattern in patterns:
        wanted = pattern.removeprefix("!")
        if fnmatchcase(full if "." in wanted else name, wanted):
            meant = not pattern.startswith("!")
    return meant
