"""Names in SQL text: which tables and columns it mentions. A search for words, not a parser."""

import re

_NOISE = re.compile(r"--[^\n]*|/\*.*?\*/|\{#.*?#\}|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|'(?:[^']|'')*'", re.DOTALL)


def plain(text: str) -> str:
    """Return SQL without its comments and without the values in quotes."""
    return _NOISE.sub(" ", text)


def names_table(text: str, schema: str, name: str) -> bool:
    """Whether SQL names a table: `schema.name`, or `name` alone for one in `public`."""
    text = plain(text)
    qualified = rf"{_word(schema)}\s*\.\s*{_word(name)}"
    if re.search(rf'(?<![\w"]){qualified}(?![\w"])', text, re.IGNORECASE):
        return True
    return schema == "public" and bool(
        re.search(rf"\b(?:from|join|into|update|table)\s+{_word(name)}(?![\w.\"])", text, re.IGNORECASE)
    )


def names_column(text: str, column: str) -> bool:
    """Whether SQL names a column: as a word of its own, or in double quotes."""
    return bool(re.search(rf'(?<![\w"]){_word(column)}(?![\w"])', plain(text), re.IGNORECASE))


def takes_all_columns(text: str) -> bool:
    """Whether SQL has a `select *` or `alias.*`."""
    star = r"(?:\bselect\s+(?:distinct\s+)?|[\w\"]\.|,\s*)\*(?=\s*(?:,|\)|$|from\b))"
    return bool(re.search(star, plain(text), re.IGNORECASE))


def _word(name: str) -> str:
    escaped = re.escape(name)
    return f'(?:{escaped}|"{escaped}")'
