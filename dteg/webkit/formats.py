"""How dates, counts and sizes are written on pages."""

import re
from datetime import UTC, date, datetime

from markupsafe import Markup

_STEPS = ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k"))
_BYTE_STEPS = ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB"))

# Currencies whose minor unit is not a hundredth (ISO 4217).
_MONEY_DIGITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}  # fmt: skip


def day(moment: datetime | date | str | None) -> Markup:
    """Return a date as `<time>`: 3 Nov 2026; a dash without one. Texts are ISO 8601."""
    if not moment:
        return Markup('<span class="quiet">–</span>')  # noqa: RUF001 - the typographic dash is meant
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    if not isinstance(moment, datetime):
        return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(), _day(moment))
    moment = moment.astimezone(UTC)
    return Markup('<time datetime="{0}" title="{1}">{2}</time>').format(
        moment.isoformat(timespec="seconds"), moment.strftime("%Y-%m-%d %H:%M UTC"), _day(moment)
    )


def minute(moment: datetime) -> Markup:
    """Return a time as `<time>`, in UTC: 3 Nov 2026, 16:05."""
    moment = moment.astimezone(UTC)
    return Markup('<time datetime="{0}" title="{1}">{2}, {3:%H:%M}</time>').format(
        moment.isoformat(timespec="seconds"), moment.strftime("%Y-%m-%d %H:%M:%S UTC"), _day(moment), moment
    )


def compact(number: float | None) -> str:
    """Return a count as people read it: 950, 1.2k, 34k, 5.6M."""
    number = number or 0
    for size, letter in _STEPS:
        if abs(number) >= size:
            value = number / size
            return f"{value:.1f}{letter}" if value < 10 else f"{value:.0f}{letter}"
    return f"{number:g}"


def exact(number: float | None) -> str:
    """Return a count with its thousands apart: 1,234,567."""
    return f"{number or 0:,}"


def size(count: float | None) -> str:
    """Return a number of bytes: 820 B, 12.3 kB, 4.0 MB."""
    count = count or 0
    for step, unit in _BYTE_STEPS:
        if count >= step:
            return f"{count / step:.1f} {unit}"
    return f"{count:g} B"


def duration(seconds: float | None) -> str:
    """Return a span: 0.4 s, 12 s, 3 min 20 s."""
    seconds = seconds or 0
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def plural(count: float | None, one: str, many: str = "") -> str:
    """Return a count with its noun: 1 review, 2 reviews."""
    count = count or 0
    return f"{exact(count)} {one if count == 1 else many or one + 's'}"


def money(minor: int, currency: str) -> str:
    """Return an amount that is kept in minor units: 12.50 USD, 1,250 JPY."""
    digits = _MONEY_DIGITS.get(currency, 2)
    whole, part = divmod(abs(minor), 10**digits)
    sign = "\u2212" if minor < 0 else ""
    return f"{sign}{whole:,}{f'.{part:0{digits}}' if digits else ''} {currency}"


def with_code(text: str) -> Markup:
    """Return a text of which what stands in backticks is code."""
    parts = re.split(r"`([^`\n]+)`", text)
    code = Markup("<code>{}</code>")
    return Markup("").join(code.format(part) if place % 2 else part for place, part in enumerate(parts))


def _day(moment: date) -> str:
    return f"{moment.day} {moment:%b %Y}"


FILTERS = {
    "compact": compact,
    "day": day,
    "duration": duration,
    "exact": exact,
    "minute": minute,
    "money": money,
    "plural": plural,
    "size": size,
    "with_code": with_code,
}
