"""Numbers as people read them, on pages and in pictures."""

import math
from typing import Literal

from dteg.charts.models import NumberFormat, NumberValue

_STEPS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
D3 = {
    NumberFormat.PLAIN: "",
    NumberFormat.INTEGER: ",.0f",
    NumberFormat.DECIMAL: ",.2f",
    NumberFormat.PERCENT: ".1%",
    NumberFormat.COMPACT: ".3~s",
}
"""The same formats in the words of d3, which draws the axes."""


def number_text(value: float | None, form: NumberFormat = NumberFormat.PLAIN, unit: str = "") -> str:
    """Return a number as it is written: `1,234.5 EUR`; a dash for none."""
    if value is None:
        return "–"  # noqa: RUF001 - the typographic dash is meant
    if form is NumberFormat.INTEGER:
        text = f"{value:,.0f}"
    elif form is NumberFormat.DECIMAL:
        text = f"{value:,.2f}"
    elif form is NumberFormat.PERCENT:
        text = f"{value:.1%}"
    elif form is NumberFormat.COMPACT:
        text = _compact(value)
    else:
        text = f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}" if abs(value) < 1 else f"{value:,.2f}"  # fmt: skip
    return f"{text} {unit}" if unit else text


def with_delta(
    value: float | None, before: float | None, form: NumberFormat, unit: str, since: str
) -> NumberValue:
    """Return a number with how far it went since the one before."""
    text = number_text(value, form, unit)
    if value is None or before is None:
        return NumberValue(value=value, before=before, text=text)
    step = value - before
    direction: Literal["up", "down", "same"] = (
        "same" if math.isclose(value, before) else "up" if step > 0 else "down"
    )
    sign = "+" if step > 0 else "−" if step < 0 else "±"  # noqa: RUF001 - the typographic minus is meant
    share = f" ({sign}{abs(step / before):.1%})" if before else ""
    delta = f"{sign}{number_text(abs(step), form, unit)}{share}"
    return NumberValue(
        value=value, before=before, text=text, delta_text=delta, direction=direction, since=since
    )


def _compact(value: float) -> str:
    for size, letter in _STEPS:
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"
