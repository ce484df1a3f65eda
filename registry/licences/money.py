"""Money and the times that it buys, in whole numbers: minor units of a currency, such as cents; never a float."""

import calendar
from datetime import datetime

LARGEST_MINOR = 10**15  # of one invoice; far below what 64 bits hold
MILLION = 1_000_000


def price_of_rows(rows: int, per_million_minor: int) -> int:
    """Return what rows cost, in minor units, rounded half up; rounded once per line, never per record.

    Args:
        rows: How many, 0 or more.
        per_million_minor: Price of a million rows, 0 or more.
    """
    return (2 * rows * per_million_minor + MILLION) // (2 * MILLION)


def price_of_seats(amount_minor: int, seats: int | None, *, per_seat: bool) -> int:
    """Return what one period costs, in minor units; without a number of seats it is the price of the whole."""
    return amount_minor * seats if per_seat and seats else amount_minor


def after(moment: datetime, per: str) -> datetime | None:
    """Return the end of what is bought at a moment: a calendar month or year later, or None for ever.

    The 31st becomes the last day of a shorter month.
    """
    if per == "once":
        return None
    months = moment.month - 1 + (12 if per == "year" else 1)
    year, month = moment.year + months // 12, months % 12 + 1
    return moment.replace(year=year, month=month, day=min(moment.day, calendar.monthrange(year, month)[1]))


def period_of(moment: datetime) -> str:
    """Return the month in which a moment (UTC) is billed, as `2026-01`."""
    return f"{moment.year:04}-{moment.month:02}"
