"""Patterns of whole lines: one match proves how a block of CSV is written, and that its values are plainly of their types.

Where a pattern matches, every field is either free of quotes, delimiters and line breaks, or stands in quotes as a
whole, with each quote inside it doubled. All programs read that alike. A field of a column with a form is null or a
text of that form besides, whose value is not a matter of taste either.

RE2 never goes back, so a match is one step a byte: 1.5 ms per MiB, where to parse and cast it takes 8 ms. Bytes that
match no pattern of forms may still be good; then they are parsed, and the values are looked at more closely.
"""

import string
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from dteg.core.types import sql_type

_DATE = (
    "(?:[0-9]{4}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
    "|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)"
)
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
_ZONE = "(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
# Up to 18 digits fit 64 bits; what does not fit a smaller type the database refuses.
_WHOLE = "-?(?:0|[1-9][0-9]{0,17})"
_FORMS = {
    "boolean": "(?:true|True|TRUE|false|False|FALSE)",
    "smallint": _WHOLE,
    "integer": _WHOLE,
    "bigint": _WHOLE,
    "real": r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]*)?",
    "double precision": r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]*)?",
    "numeric": r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?",
    "date": _DATE,
    "timestamp": f"{_DATE}(?:[ T]{_TIME})?",
    "timestamptz": f"{_DATE}[ T]{_TIME}{_ZONE}",
    "uuid": "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
}
# Whole numbers of up to 15 digits: inference makes more of longer ones.
SHORT_WHOLE = "-?(?:0|[1-9][0-9]{0,14})"
# Fractions of up to 17 digits, where that can be told without counting: inference makes more of longer ones.
SHORT_FRACTION = (
    r"-?(?:0|0\.0{0,3}[0-9]{0,17}|[1-9][0-9]{0,2}(?:\.[0-9]{0,14})?|[1-9][0-9]{3,5}(?:\.[0-9]{0,11})?"
    r"|[1-9][0-9]{6,9}(?:\.[0-9]{0,7})?|[1-9][0-9]{10,14}(?:\.[0-9]{0,2})?)"
)
_BREAK = r"(?:\r\n|\n|\r)"
# Of one pattern; to compile so many takes RE2 as long as to match 1 MiB.
_MOST_CHARACTERS = 20_000
_IN_FORMS = frozenset(string.ascii_letters + string.digits + " +-.:")


def form_of(column: pa.Field) -> str | None:
    """Return a pattern of texts that a database reads as we do; None where that takes a closer look."""
    if pa.types.is_decimal(column.type) and column.type.scale >= 0:
        fraction = rf"(?:\.[0-9]{{1,{column.type.scale}}})?" if column.type.scale else ""
        return f"-?(?:0|[1-9][0-9]*){fraction}"
    return _FORMS.get(sql_type(column))


def strict_pattern(delimiter: str, quote: str) -> str:
    """Return the pattern of any number of lines of any fields, with these two ASCII characters.

    That each line has one field per column, COPY sees to itself.
    """
    text = _text(delimiter, quote)
    return rf"\A(?:{text}(?:{_literal(delimiter)}{text})*{_BREAK})*\z"


def plain_pattern(forms: Sequence[str | None], delimiter: str, quote: str, null: str) -> str | None:
    """Return the pattern of any number of lines whose fields are plainly of their columns' types.

    Args:
        forms: For each column the pattern of its texts, or None if it may hold any.
        delimiter: One ASCII character.
        quote: Another one.
        null: Unquoted text that means null; without any of these characters and without line breaks.

    Returns:
        None without forms, with so many that to parse the values is faster, and where a form may hold these characters.
    """
    if not any(forms) or not _IN_FORMS.isdisjoint(delimiter + quote):  # one field would match as two
        return None
    q, text, nothing = _literal(quote), _text(delimiter, quote), _literal(null)
    fields = [f"(?:{form}|{q}{form}{q}|{nothing})" if form else text for form in forms]
    pattern = rf"\A(?:{_literal(delimiter).join(fields)}{_BREAK})*\z"
    return pattern if len(pattern) <= _MOST_CHARACTERS else None


def _text(delimiter: str, quote: str) -> str:
    d, q = _literal(delimiter), _literal(quote)
    return rf"(?:[^{d}{q}\r\n]*|{q}[^{q}]*(?:{q}{q}[^{q}]*)*{q})"


def _literal(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def matches(records: bytes, pattern: str) -> bool:
    """Whether whole records match a pattern, and none begins with the two characters that end the data for COPY."""
    if b"\\" in records and any(mark in b"\n" + records for mark in (b"\n\\.", b"\r\\.")):
        return False
    # As bytes, not as text: that pattern is a tenth the size.
    return bool(pc.match_substring_regex(pa.array([records], pa.binary()), pattern)[0].as_py())


def records_end(block: bytes, quote: bytes, *, is_open: bool) -> int:
    """Return how many bytes stand before the end of the last line break outside of quotes.

    Args:
        block: Bytes of a file.
        quote: The character that opens and closes a quote.
        is_open: Whether a quote is open behind the block.
    """
    end = len(block)
    before_last = end - 1  # which may be the first half of a line break
    while True:
        start = block.rfind(quote, 0, end)
        if not is_open:
            at = max(block.rfind(b"\n", start + 1, end), block.rfind(b"\r", start + 1, min(end, before_last)))
            if at >= 0:
                return at + 1
        if start < 0:
            return 0
        end, is_open = start, not is_open
