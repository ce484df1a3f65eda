"""Check a table against its rules."""

from collections.abc import Sequence

from dteg.core.clock import Clock, utc_now
from dteg.core.identifiers import TableName
from dteg.quality.results import CheckResult
from dteg.quality.rules import Rule, check_names

DEFAULT_TIMEOUT_S = 600.0


def evaluate(
    url: str,
    table: TableName,
    rules: Sequence[Rule],
    *,
    masked_columns: frozenset[str] = frozenset(),
    source_rows: int | None = None,
    now: Clock = utc_now,
    timeout_s: float = DEFAULT_TIMEOUT_S,
) -> list[CheckResult]:
    """Check one table in a read-only snapshot, with at most two scans and a small query per failed rule.

    A rule that does not fit the table, or that the server refuses, gives a failed result; the
    others are checked all the same.

    Args:
        url: PostgreSQL URL.
        table: The table, view or foreign table.
        rules: All rules of the pipeline; those with another `table` are left out.
        masked_columns: Columns whose values appear neither in samples nor in messages.
        source_rows: Number of rows read from the source, for `record_count_match` against it.
        now: The time that freshness is measured at.
        timeout_s: Longest time of one statement.

    Returns:
        One result per rule, in their order, named as `check_names(rules)` names them.

    Raises:
        ConfigError: The URL cannot be read.
        TransientError: The server does not answer or the connection breaks.
    """
    checks = [
        (name, rule) for name, rule in zip(check_names(rules), rules, strict=True) if _concerns(rule, table)
    ]
    if not checks:
        return []
    # The driver takes 0.1 s to import, and whoever only reads pipeline files does not need it.
    from dteg.quality.checks import Checker
    from dteg.quality.session import read_only_session

    with read_only_session(url, timeout_s) as session:
        return Checker(session, table, masked_columns, source_rows, now()).results(checks)


def _concerns(rule: Rule, table: TableName) -> bool:
    return rule.table is None or TableName.parse(rule.table) == table
