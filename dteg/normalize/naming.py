"""What names of columns say: which could be keys, and what their tables are called."""

import re
from collections import Counter
from collections.abc import Sequence

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
_WORDS = "id|code|key|uuid|guid|uid|no|num|nr|number|name|slug|sku|ref|abbr|iso[23]?|isbn|pk"
_SUFFIX = re.compile(rf"_({_WORDS})$", re.IGNORECASE)
_CAMEL_SUFFIX = re.compile(
    r"(?<=[a-z0-9])(Id|ID|Code|Key|Uuid|UUID|Guid|GUID|No|Num|Nr|Number|Name|Slug|Sku|SKU|Ref)$"
)
# Written as one word, as in `tailnum`: only where a word is left, and not where it is one word.
_GROWN_SUFFIX = re.compile(r"(?<=[a-z]{4})(id|code|num|number)$", re.IGNORECASE)
_ONE_WORD = frozenset({"postcode", "passcode", "hybrid", "android", "asteroid", "madrid", "pyramid"})
_IRREGULAR = {
    "person": "people",
    "child": "children",
    "man": "men",
    "woman": "women",
    "analysis": "analyses",
    "foot": "feet",
}
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Words that names begin with and that name nothing.
_NO_THINGS = frozenset(
    {
        "first",
        "last",
        "min",
        "max",
        "avg",
        "total",
        "has",
        "num",
        "number",
        "old",
        "new",
        "the",
        "date",
        "start",
        "end",
    }
)
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
    for form in (_SUFFIX, _CAMEL_SUFFIX):
        if (shorter := form.sub("", name).strip("_")) and shorter != name:
            return shorter
    if name.lower() in _ONE_WORD:
        return name
    return _GROWN_SUFFIX.sub("", name).strip("_") or name


def table_name(columns: list[str], own: Sequence[str] = ()) -> str:
    """Return what the table of a key is called: `customers` for `customer_id`.

    Args:
        columns: The key.
        own: What it fixes. Where the key does not say what it is of, a word that most of these begin with does:
            `products` for `sku` with `product_name` and `product_price`.
    """
    says_it = _SUFFIX.search(columns[0]) or _CAMEL_SUFFIX.search(columns[0])
    if len(columns) == 1 and not says_it and (word := shared_word(own)):
        return plain(plural(word))
    return plain(
        "_".join(
            plural(stem(name)) if number == len(columns) - 1 else stem(name)
            for number, name in enumerate(columns)
        )
    )


def shared_word(names: Sequence[str]) -> str:
    """Return the word that more than half of several names begin with, followed by another one; "" if there is none."""
    first = Counter(
        parts[0]
        for name in names
        if len(parts := _CAMEL.sub("_", name).lower().split("_")) > 1 and parts[0].isalpha()
    )
    if not first:
        return ""
    word, count = min(first.items(), key=lambda each: (-each[1], each[0]))
    return word if count >= 2 and count * 2 > len(names) and len(word) > 2 and word not in _NO_THINGS else ""


def plural(word: str) -> str:
    """Return the plural of a word."""
    lower = word.lower()
    head, _, last = lower.rpartition("_")
    if last in _IRREGULAR:
        return f"{head}_{_IRREGULAR[last]}" if head else _IRREGULAR[last]
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
