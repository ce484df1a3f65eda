"""What a check found, and how it is told."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

# The names that Great Expectations gives to the same checks, for tools that read its results.
EXPECTATIONS = {
    "null_check": "expect_column_values_to_not_be_null",
    "format_check": "expect_column_values_to_match_regex",
    "range": "expect_column_values_to_be_between",
    "accepted_values": "expect_column_values_to_be_in_set",
    "unique": "expect_compound_columns_to_be_unique",
    "record_count_match": "expect_table_row_count_to_be_between",
    "data_freshness": "expect_column_max_to_be_between",
    "schema_validation": "expect_table_columns_to_match_set",
}


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one rule on one table.

    Attributes:
        name: As `check_names` gives it.
        type: Type of the rule.
        table: `schema.table`.
        severity: `error` or `warn`.
        passed: Whether the data keeps the rule.
        failing: Failing rows; duplicate rows for `unique`, missing and surplus rows for
            `record_count_match`, wrong columns for `schema_validation`. 1 for a table that is too
            old, and 0 with `passed` false for a check that could not be made.
        total: Rows of the table; columns for `schema_validation`; 0 if the check could not be made.
        message: One sentence for a person.
        sample: Up to five offending rows: the primary key and the columns of the rule, as text.
    """

    name: str
    type: str
    table: str
    severity: str
    passed: bool
    failing: int
    total: int
    message: str
    sample: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return a dict for JSON in the form of a Great Expectations validation result."""
        percent = round(100 * self.failing / self.total, 6) if self.total else 0.0
        return {
            "success": self.passed,
            "expectation_config": {
                "type": EXPECTATIONS[self.type],
                "meta": {"name": self.name, "rule": self.type, "table": self.table, "message": self.message},
                "severity": "critical" if self.severity == "error" else "warning",
            },
            "result": {
                "element_count": self.total,
                "unexpected_count": self.failing,
                "unexpected_percent": percent,
                "partial_unexpected_list": self.sample,
            },
        }


def blocking_failures(results: Iterable[CheckResult]) -> list[CheckResult]:
    """Return the results that must stop what comes after: failed, with severity error."""
    return [result for result in results if not result.passed and result.severity == "error"]
