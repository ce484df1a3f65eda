"""What a sample of rows says about columns, without a value of a column that is about people."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from dteg.metadata.collectors import Sample, Statistics
from dteg.metadata.models import MAX_TOP_VALUES, ColumnEntry, TableEntry, TopValue
from dteg.metadata.parts import with_parts
from dteg.metadata.people import about_people

# A column with more different values than this is no list of categories.
FEW = 50
_MAX_CHARACTERS = 60
_SAMPLES = 5
_LEAST_FOR_PATTERN = 5
_ORDERED = (bool, int, float, Decimal, datetime, date, time)
_UPPER, _LOWER, _DIGIT = re.compile(r"[A-Z]"), re.compile(r"[a-z]"), re.compile(r"[0-9]")
_CODE = re.compile(r"[A-Za-z0-9._:/-]+")


def profiled(entry: TableEntry, sample: Sample) -> TableEntry:
    """Return a table with what its rows say."""
    columns = [_profiled(column, sample) for column in entry.columns]
    done = entry.model_copy(
        update={"columns": columns, "row_count": sample.rows, "row_count_is_exact": sample.whole}
    )
    return with_parts(done, sample.parts) if sample.parts else done


def unread(entry: TableEntry, row_estimate: int | None) -> TableEntry:
    """Return a table whose rows cannot be looked at: only names speak of people then."""
    columns = [each.model_copy(update={"pii": about_people(each.name, [])}) for each in entry.columns]
    return entry.model_copy(update={"columns": columns, "row_count": row_estimate})


def _profiled(column: ColumnEntry, sample: Sample) -> ColumnEntry:
    values = sample.columns.get(column.name)
    if values is None:
        return column.model_copy(update={"pii": about_people(column.name, [])})
    there = [value for value in values if value is not None]
    texts = [_text(value) for value in there]
    pii = column.pii or about_people(column.name, texts)
    statistics = None if sample.whole else sample.statistics.get(column.name)
    distinct = _distinct(texts, sample, statistics)
    nulls = statistics.null_share if statistics else 1 - len(there) / len(values) if values else None
    facts: dict[str, Any] = {
        "pii": pii,
        "null_pct": None if nulls is None else round(100 * nulls, 2),
        "distinct_count": distinct,
        "distinct_is_exact": sample.whole,
    }
    if not pii:
        facts |= _values(there, texts, sample, statistics, distinct)
    return column.model_copy(update=facts)


def _values(
    there: Sequence[Any], texts: Sequence[str], sample: Sample, statistics: Statistics | None, distinct: int | None
) -> dict[str, Any]:  # fmt: skip
    """Return what is only said of columns that are not about people."""
    facts: dict[str, Any] = {"pattern": _pattern(there, texts)}
    is_ordered = bool(there) and all(isinstance(value, _ORDERED) for value in there)
    if is_ordered and sample.whole:
        facts |= {"min": _text(min(there)), "max": _text(max(there))}
    elif is_ordered and statistics and statistics.least is not None:
        facts |= {"min": statistics.least, "max": statistics.most}
    few = distinct is not None and 0 < distinct <= FEW
    # Values that are nearly all different are names of things, not kinds of them.
    if few and distinct is not None and distinct * 2 <= max(len(texts), 1):
        facts["top_values"] = _top(texts, statistics)
    elif is_ordered or facts["pattern"]:
        facts["samples"] = [text for text in dict.fromkeys(texts) if len(text) <= _MAX_CHARACTERS][:_SAMPLES]
    return facts


def _top(texts: Sequence[str], statistics: Statistics | None) -> list[TopValue]:
    if statistics and statistics.top:
        found = [(str(value), share) for value, share in statistics.top]
    else:
        total = max(len(texts), 1)
        counted = sorted(Counter(texts).items(), key=lambda each: (-each[1], each[0]))
        found = [(value, count / total) for value, count in counted]
    return [
        TopValue(value=value, pct=round(100 * share, 2))
        for value, share in found
        if len(value) <= _MAX_CHARACTERS
    ][:MAX_TOP_VALUES]


def _distinct(texts: Sequence[str], sample: Sample, statistics: Statistics | None) -> int | None:
    seen = len(set(texts))
    if sample.whole:
        return seen
    if statistics and statistics.distinct > 0:
        return round(statistics.distinct)
    if statistics and sample.rows is not None:
        return round(-statistics.distinct * sample.rows)
    if texts and seen > 0.9 * len(texts):  # as good as unique
        return sample.rows
    return seen or None


def _pattern(there: Sequence[Any], texts: Sequence[str]) -> str | None:
    """Return the form that all values share, if they are codes."""
    if len(texts) < _LEAST_FOR_PATTERN or not all(isinstance(value, str) for value in there):
        return None
    first = texts[0]
    if len(first) > _MAX_CHARACTERS or not _CODE.fullmatch(first):
        return None
    form = _form(first)
    return form if _is_code(form) and all(_form(text) == form for text in texts) else None


def _form(text: str) -> str:
    return _DIGIT.sub("9", _LOWER.sub("a", _UPPER.sub("A", text)))


def _is_code(form: str) -> bool:
    return "9" in form or len(form) <= 4


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat(sep=" ") if isinstance(value, datetime) else str(value)
