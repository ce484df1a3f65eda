"""What names of columns say: which could be keys, and what their tables are called."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

# Names are looked at as `separated` writes them.
_KEYS = re.compile(
    r"(^|_)(id|code|key|uuid|guid|sku|isbn|issn|ean|upc|iata|icao|zip|zip_?code|postcode|postal_?code|plz|"
    r"no|num|nr|number|ref|slug|login|username|vin|ssn|abbr|symbol|ticker|nummer|n[uú]mero|c[oó]digo|clave|nº|n°|№)$|"
    r"(번호|코드|아이디|番号|コード|编号|编码|号码)$"
)
# Measures and parts of dates: they fix other columns by arithmetic or by chance, and are no things.
_MEASURES = re.compile(
    r"(^|_)(time|date|datetime|timestamp|at|hour|minute|second|day|week|month|quarter|year|amount|price|cost|total|"
    r"sum|qty|quantity|count|rate|ratio|percent|pct|share|lat|lon|lng|latitude|longitude|altitude|alt|distance|"
    r"delay|duration|age|salary|wage|score|grade|hours|weight|height|width|length|size|speed|balance|discount|tax|"
    r"position|rank|level|note|notes|comment|comments|description|text)$|(date|time)$"
)
_TYPES_OF_MEASURES = ("FLOAT", "DOUBLE", "DECIMAL", "DATE", "TIME", "BOOLEAN", "INTERVAL", "BLOB")
_SUFFIX = re.compile(
    r"_(id|code|key|uuid|guid|uid|no|num|nr|number|name|slug|sku|ref|abbr|iso[23]?|isbn|pk|nummer)$"
)
# Before what it is of, as in Spanish.
_PREFIX = re.compile(r"^(c[oó]digo|n[uú]mero|clave|id)_(?=.)")
_EAST_ASIAN_SUFFIX = re.compile(r"(번호|코드|아이디|番号|コード|编号|编码|号码)$")
# Written as one word, as in `tailnum`: only where a word is left, and not where it is one word.
_GROWN_SUFFIX = re.compile(r"(?<=[a-z]{4})(id|code|num|number)$")
_GROWN_KEY = re.compile(r"(?<=[a-z]{3})(id|code|num)$")
_ONE_WORD = frozenset({
    "postcode", "passcode", "hybrid", "android", "asteroid", "madrid", "pyramid", "invalid", "unpaid", "prepaid",
    "overpaid", "liquid", "afraid", "valid", "rapid", "solid", "humid", "avoid", "fluid", "vivid", "repaid",
})  # fmt: skip
_IRREGULAR = {
    "person": "people", "child": "children", "man": "men", "woman": "women", "analysis": "analyses", "foot": "feet",
}  # fmt: skip
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Words that names begin with and that name nothing.
_NO_THINGS = frozenset({
    "first", "last", "min", "max", "avg", "total", "has", "num", "number", "old", "new", "the", "date", "start", "end",
})  # fmt: skip
_OTHER = re.compile(r"[\W_]+")
MAX_NAME = 50
# Accents of Latin, Greek and Cyrillic letters; those of other scripts are parts of letters.
_LATIN = 0x36F


def separated(name: str) -> str:
    """Return the words of a name in small letters with `_` between them: `customer_id` for `CustomerID` and `Customer ID`."""
    return _OTHER.sub("_", _CAMEL.sub("_", name)).strip("_").lower()


def looks_like_key(name: str) -> bool:
    """Whether a name says that it identifies something, such as `customer_id`, `zip` or `tailnum`."""
    words = separated(name)
    grown = _GROWN_KEY.search(words) and words.rpartition("_")[2] not in _ONE_WORD
    return bool(_KEYS.search(words) or _PREFIX.search(words) or grown) and not _MEASURES.search(words)


def may_be_key(name: str, type_: str) -> bool:
    """Whether a column could identify something at all."""
    if looks_like_key(name):
        return not type_.startswith(("FLOAT", "DOUBLE"))
    return not _MEASURES.search(separated(name)) and not type_.startswith(_TYPES_OF_MEASURES)


def stem(name: str) -> str:
    """Return what a column is about: `customer` for `customer_id` and `customer_name`."""
    words = separated(name)
    for form in (_SUFFIX, _PREFIX, _EAST_ASIAN_SUFFIX):
        if (shorter := form.sub("", words).strip("_")) and shorter != words:
            return shorter
    return words if words in _ONE_WORD else _GROWN_SUFFIX.sub("", words).strip("_") or words


def table_name(columns: list[str], own: Sequence[str] = ()) -> str:
    """Return what the table of a key is called: `customers` for `customer_id`.

    Args:
        columns: The key.
        own: What it fixes. Where the key does not say what it is of, a word that most of these begin with does:
            `products` for `sku` with `product_name` and `product_price`.
    """
    says_it = any(form.search(separated(columns[0])) for form in (_SUFFIX, _PREFIX, _EAST_ASIAN_SUFFIX))
    word = shared_word(own)
    if len(columns) == 1 and not says_it and word and not separated(columns[0]).startswith(f"{word}_"):
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
        parts[0] for name in names if len(parts := separated(name).split("_")) > 1 and parts[0].isalpha()
    )
    if not first:
        return ""
    word, count = min(first.items(), key=lambda each: (-each[1], each[0]))
    return word if count >= 2 and count * 2 > len(names) and len(word) > 2 and word not in _NO_THINGS else ""


def plural(word: str) -> str:
    """Return the plural of a word."""
    lower = word.lower()
    if not lower[-1:].isascii():
        return word  # it may have none
    head, _, last = lower.rpartition("_")
    if last in _IRREGULAR:
        return f"{head}_{_IRREGULAR[last]}" if head else _IRREGULAR[last]
    if lower.endswith("s") and not lower.endswith(("ss", "us")):
        return word
    if lower.endswith("y") and lower[-2:-1] not in ("a", "e", "o", "u", ""):
        return word[:-1] + "ies"
    return word + ("es" if lower.endswith(("s", "x", "z", "ch", "sh")) and lower != "zip" else "s")


def plain(name: str) -> str:
    """Return a name as one of small letters, digits and underscores that begins with a letter.

    Accents are left out, as not every keyboard has them; letters of other scripts stay.
    """
    letters = unicodedata.normalize("NFKD", name).casefold()
    ascii_ = "".join(
        letter for letter in letters if not unicodedata.combining(letter) or ord(letter) > _LATIN
    )
    text = _OTHER.sub("_", unicodedata.normalize("NFC", ascii_)).strip("_")
    text = text.encode()[:MAX_NAME].decode(errors="ignore").strip("_") or "t"
    return text if text[0].isalpha() else f"t_{text}"


def unique(name: str, taken: set[str]) -> str:
    """Return the name, with a number behind it if it is taken, and take it."""
    chosen, number = name, 2
    while chosen in taken:
        chosen, number = f"{name}_{number}", number + 1
    taken.add(chosen)
    return chosen
