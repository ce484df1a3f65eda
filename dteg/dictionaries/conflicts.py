"""What keeps a change from being made because of what is there: rows that others have changed, and keys that are taken."""

from collections.abc import Sequence
from typing import Any

import psycopg

from dteg.core.errors import ConfigError, ConflictError, Problem
from dteg.dictionaries import store
from dteg.dictionaries.models import Dictionary, Row
from dteg.dictionaries.values import parse


def keys_of(dictionary: Dictionary, keys: Sequence[Any]) -> list[str]:
    """Return keys as the database reads them.

    Raises:
        ConfigError: One is of the wrong type.
    """
    try:
        found = [parse(key, dictionary.types[dictionary.key]) for key in keys]
    except ValueError as error:
        raise ConfigError(f"key: {error}") from None
    return [key for key in found if key is not None]


def refuse_touched(
    connection: psycopg.Connection[Any], dictionary: Dictionary, keys: Sequence[str], since: int
) -> None:
    """Refuse to change rows that somebody else has changed since a version.

    Raises:
        ConflictError: There are some; the message says whose.
    """
    touched = store.touched_since(connection, dictionary.slug, since)
    if both := [key for key in dict.fromkeys(keys) if key in touched]:
        whose = sorted({touched[key] for key in both})
        more = " and more" if len(both) > 5 else ""
        raise ConflictError(
            f"changed meanwhile by {', '.join(whose)}: {', '.join(both[:5])}{more}; read these rows again, then make "
            "your change"
        )


def refuse_known(
    connection: psycopg.Connection[Any], dictionary: Dictionary, rows: Sequence[Row], keys: Sequence[str]
) -> None:
    """Refuse rows whose key must not be there before.

    Raises:
        ConfigError: It is; one problem for each.
    """
    known = store.known_keys(connection, dictionary, keys) if keys else set()
    type_ = dictionary.types[dictionary.key]
    problems = [
        Problem(
            f"there is a row {key!r} already; change that one, or choose another key",
            path=f"rows[{place}].{dictionary.key}",
        )
        for place, row in enumerate(rows)
        if (key := parse(row.get(dictionary.key), type_)) in known
    ]
    if problems:
        raise ConfigError(problems)
