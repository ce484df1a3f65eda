"""Values as people and files write them, checked before they come near the database."""

import math
import re
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from dteg.dictionaries.models import DictionaryType

MAX_TEXT = 10_000
# An index entry of PostgreSQL holds 2,704 bytes.
MAX_KEY_BYTES = 2_000
_MAX_DIGITS = 100
_INTEGER = re.compile(r"^[+-]?[0-9]{1,19}$")
_BIGINT = 2**63
_TRUE = frozenset(["true", "t", "yes", "y", "1", "on"])
_FALSE = frozenset(["false", "f", "no", "n", "0", "off"])
_SHOWN = 60

SQL_TYPES: dict[DictionaryType, str] = {
    "text": "text",
    "integer": "bigint",
    "numeric": "numeric",
    "boolean": "boolean",
    "date": "date",
    "timestamptz": "timestamptz",
}


def parse(value: Any, type_: DictionaryType) -> str | None:
    """Return a value as PostgreSQL reads it; None for no value, which is also what an empty text means.

    Args:
        value: A JSON value, or a text of a file or form.
        type_: What it should be.

    Raises:
        ValueError: It is not of that type; the message says how to write it.
    """
    if value is None or (isinstance(value, str) and not value.strip() and (type_ != "text" or not value)):
        return None
    if isinstance(value, dict | list):
        raise ValueError("a list or an object cannot be a value here")  # noqa: TRY004 - told like any other bad value
    return _PARSERS[type_](value)


def check_key(text: str | None) -> str:
    """Return the text of a key.

    Raises:
        ValueError: There is none, or it could not be looked up.
    """
    if text is None:
        raise ValueError("the key is empty; each row needs one")
    if text != text.strip():
        raise ValueError(
            f"the key {_shown(text)} begins or ends with a blank, so nothing would be found by it; remove the blank"
        )
    if len(text.encode()) > MAX_KEY_BYTES:
        raise ValueError(f"a key of more than {MAX_KEY_BYTES:,} bytes; use a shorter one")
    return text


def _text(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else _plain_number(value)
    if "\0" in text:
        raise ValueError("holds a NUL character, which the database cannot keep; remove it")
    if len(text) > MAX_TEXT:
        raise ValueError(f"a text of {len(text):,} characters; at most {MAX_TEXT:,} fit")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half a character (a lone surrogate); write it again") from None
    return text


def _integer(value: Any) -> str:
    text = "" if isinstance(value, bool) else _plain_number(value).strip()
    if not _INTEGER.match(text) or not -_BIGINT <= int(text) < _BIGINT:
        raise ValueError(f"{_shown(value)} is no whole number, such as 42")
    return str(int(text))


def _numeric(value: Any) -> str:
    text = "" if isinstance(value, bool) else _plain_number(value).strip()
    try:
        number = Decimal(text) if text.isascii() and "_" not in text else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite():
        raise ValueError(f"{_shown(value)} is no number, such as 12.50{_comma(text)}")
    digits, exponent = len(number.as_tuple().digits), int(number.as_tuple().exponent)
    if max(digits, abs(exponent)) > _MAX_DIGITS:
        raise ValueError(f"{_shown(value)} has more than {_MAX_DIGITS} digits")
    return format(number, "f")


def _boolean(value: Any) -> str:
    text = _plain_number(value).strip().lower() if not isinstance(value, bool) else str(value).lower()
    if text in _TRUE:
        return "true"
    if text in _FALSE:
        return "false"
    raise ValueError(f"{_shown(value)} is neither true nor false")


def _date(value: Any) -> str:
    text = str(value).strip()
    try:
        found = datetime.fromisoformat(text) if len(text) > 10 else date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{_shown(value)} is no date, such as 2026-03-31") from None
    if isinstance(found, datetime):
        if (found.hour, found.minute, found.second, found.microsecond) != (0, 0, 0, 0) or found.tzinfo:
            raise ValueError(f"{_shown(value)} is a time, not only a date such as 2026-03-31")
        found = found.date()
    return found.isoformat()


def _timestamptz(value: Any) -> str:
    text = str(value).strip()
    try:
        found = datetime.fromisoformat(text)
        moment = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{_shown(value)} is no time, such as 2026-03-31 17:05 or 2026-03-31T17:05:00+02:00 (UTC without a zone)"
        ) from None
    return moment.isoformat()


_PARSERS = {
    "text": _text, "integer": _integer, "numeric": _numeric, "boolean": _boolean, "date": _date,
    "timestamptz": _timestamptz,
}  # fmt: skip


def _plain_number(value: Any) -> str:
    """Return a value as text, a whole number without the point that spreadsheets give it."""
    if isinstance(value, float) and math.isfinite(value) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def _comma(text: str) -> str:
    return " (with a point, not a comma)" if re.match(r"^[+-]?[0-9.]*,[0-9]+$", text) else ""


def _shown(value: Any) -> str:
    text = str(value)
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
