"""The values that a series belongs to, as people write them: `country=KZ`."""

from collections.abc import Iterable, Mapping

from dteg.core.errors import ConfigError
from dteg.snapshots.models import Dims


def parse_by(texts: Iterable[str]) -> Dims:
    """Read `name=value` texts; `name` alone stands for a missing value (null).

    Raises:
        ConfigError: A text has no name, or a name is there twice.
    """
    found: Dims = {}
    for text in texts:
        name, given, value = text.partition("=")
        if not name.strip():
            raise ConfigError(f"{text!r} has no name; write it as country=KZ")
        if name.strip() in found:
            raise ConfigError(f"{name.strip()} is given twice; a series has one value of each")
        found[name.strip()] = value if given else None
    return found


def by_texts(by: Mapping[str, str | None]) -> list[str]:
    """Return what `parse_by` reads."""
    return [name if value is None else f"{name}={value}" for name, value in by.items()]


def by_words(by: Mapping[str, str | None], empty: str = "all rows") -> str:
    """Return the values for people: `country KZ, status open`."""
    words = [f"{name} {'(none)' if value is None else value or '(empty)'}" for name, value in by.items()]
    return ", ".join(words) or empty
