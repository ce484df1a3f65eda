"""What names of columns say: which could be keys, and what their tables are called."""

import re

_KEYS = re.compile(
    r"(^|_)(id|code|key|uuid|guid|sku|isbn|issn|ean|upc|iata|icao|zip|zip_?code|postcode|postal_?code|plz|"
    r"no|num|nr|number|ref|slug|login|username|vin|ssn|abbr|symbol|ticker)$|(id|code|num)$",
    re.IGNORECASE,
)
# Measures and parts of dates: they fix other columns by arithmetic or by chance, and are no things.
_MEASURES = re.compile(
    r"(^|_)(time|date|datetime|timestamp|at|hour|minute|second|day|week|month|quarter|year|amount|price|cost|total|"
    r"sum|qty|quantity|count|rate|ratio|percent|pct|share|lat|lon|lng|latitude|longitude|altitude|alt|distance|"
    r"delay|duration|age|salary|wage|score|grade|hours|weight|height|width|length|size|speed|balance|discount|tax|"
    r"position|rank|level|note|notes|comment|comments|description|text)$|(date|time)$",
    re.IGNORECASE,
)
_TYPES_OF_MEASURES = ("FLOAT", "DOUBLE", "DECIMAL", "DATE", "TIME", "BOOLEAN", "INTERVAL", "BLOB")
_SUFFIX = re.compile(r"_?(id|code|key|uuid|guid|no|num|nr|number|name|slug)$", re.IGNORECASE)
_WORD = re.compile(r"[^a-z0-9]+")
MAX_NAME = 50


def looks_like_key(name: str) -> bool:
    """Whether a name says that it identifies something, such as `customer_id`, `zip` or `tailnum`."""
    return bool(_KEYS.search(name)) and not _MEASURES.search(name)


def may_be_key(name: str, type_: str) -> bool:
    """Whether a column could identify something at all."""
    if looks_like_key(name):
        return not type_.startswith(("FLOAT", "DOUBLE"))
    return not _MEASURES.search(name) and not type_.startswith(_TYPES_OF_MEASURES)


def stem(name: str) -> str:
    """Return what a column is about: `customer` for `customer_id` and `customer_name`."""
    return _SUFFIX.sub("", name) or name


def table_name(columns: list[str]) -> str:
    """Return what the table of a key is called: `customers` for `customer_id`."""
    return plain(
        "_".join(
            plural(stem(name)) if number == len(columns) - 1 else stem(name)
            for number, name in enumerate(columns)
        )
    )


def plural(word: str) -> str:
    """Return the plural of a word."""
    lower = word.lower()
    if lower.endswith("s") and not lower.endswith(("ss", "us")):
        return word
    if lower.endswith("y") and lower[-2:-1] not in ("a", "e", "o", "u", ""):
        return word[:-1] + "ies"
    return word + ("es" if lower.endswith(("s", "x", "z", "ch", "sh")) and lower != "zip" else "s")


def plain(name: str) -> str:
    """Return a name as one of small letters, digits and underscores that begins with a letter."""
    text = _WORD.sub("_", name.lower()).strip("_")[:MAX_NAME] or "t"
    return text if text[0].isalpha() else f"t_{text}"


def unique(name: str, taken: set[str]) -> str:
    """Return the name, with a number behind it if it is taken, and take it."""
    chosen, number = name, 2
    while chosen in taken:
        chosen, number = f"{name}_{number}", number + 1
    taken.add(chosen)
    return chosen
