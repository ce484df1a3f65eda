"""What the failing rows of a rule have in common, in words."""

from collections.abc import Sequence

from dteg.quality.compiler import ConditionRule
from dteg.quality.rules import AcceptedValues, FormatCheck, NullCheck, RangeCheck, Unique

_SHOWN_VALUES = 10
_SHOWN_CHARS = 80


def shorten(text: str, limit: int = _SHOWN_CHARS) -> str:
    """Cut a text to `limit` characters, the last one an ellipsis if something is missing."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def counted(number: int, noun: str) -> str:
    """Say `1 row`, `2 rows`, `336,776 rows`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def findings(rule: ConditionRule | Unique, failing: int, total: int) -> str:
    """Say `12 of 336,776 rows have carrier outside {AA, UA}`."""
    return f"{failing:,} of {counted(total, 'row')} {'has' if failing == 1 else 'have'} {_fault(rule)}"


def _fault(rule: ConditionRule | Unique) -> str:
    match rule:
        case NullCheck():
            return f"NULL in {_listed(rule.columns, 'or')}"
        case Unique():
            return f"the same {_listed(rule.columns, 'and')} as an earlier row"
        case FormatCheck():
            return f"{rule.column} not matching {shorten(rule.pattern)}"
        case AcceptedValues():
            shown = [shorten(str(value)) for value in rule.values[:_SHOWN_VALUES]]
            more = ["…"] if len(rule.values) > _SHOWN_VALUES else []
            return f"{rule.column} outside {{{', '.join(shown + more)}}}"
        case RangeCheck(min=low, max=None):
            return f"{rule.column} below {low}"
        case RangeCheck(min=None, max=high):
            return f"{rule.column} above {high}"
        case RangeCheck():
            return f"{rule.column} outside {rule.min} to {rule.max}"


def _listed(names: Sequence[str], last: str) -> str:
    return f" {last} ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
