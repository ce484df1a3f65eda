"""Checks of data: rules from pipeline files, evaluated inside PostgreSQL in at most two scans."""

from dteg.quality.evaluate import evaluate
from dteg.quality.results import CheckResult, blocking_failures
from dteg.quality.rules import (
    AcceptedValues,
    DataFreshness,
    FormatCheck,
    NullCheck,
    RangeCheck,
    RecordCountMatch,
    Rule,
    SchemaValidation,
    Unique,
    check_names,
)

__all__ = [
    "AcceptedValues",
    "CheckResult",
    "DataFreshness",
    "FormatCheck",
    "NullCheck",
    "RangeCheck",
    "RecordCountMatch",
    "Rule",
    "SchemaValidation",
    "Unique",
    "blocking_failures",
    "check_names",
    "evaluate",
]
