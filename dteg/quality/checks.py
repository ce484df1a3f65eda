"""Run the checks of one table and put what they find into results."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

from dteg.core.durations import describe_duration, parse_duration
from dteg.core.identifiers import TableName
from dteg.core.secrets import MASK
from dteg.quality.catalogue import Relation, read_relation
from dteg.quality.compiler import (
    ROW_COUNT,
    SAMPLE_CHARS,
    ConditionRule,
    MisfitError,
    Query,
    check_columns,
    is_masked,
    is_proven_unique,
    key_scan,
    measure,
    row_scan,
    sample,
)
from dteg.quality.results import CheckResult
from dteg.quality.rules import DataFreshness, RecordCountMatch, Rule, SchemaValidation, Unique
from dteg.quality.session import Refusal, Session
from dteg.quality.table_schema import schema_faults
from dteg.quality.wording import counted, findings, shorten

Check: TypeAlias = tuple[str, Rule]
Found: TypeAlias = dict[str, Any]
"""What was measured for each check: a value or a Refusal."""

_TOTAL = ""  # no name of a check


@dataclass
class Checker:
    """Checks one table.

    Attributes:
        session: Where.
        table: What.
        masked: Columns whose values are not shown.
        source_rows: Rows read from the source, if known.
        now: The time that freshness is measured at.
    """

    session: Session
    table: TableName
    masked: frozenset[str]
    source_rows: int | None
    now: datetime
    _total: int | Refusal = field(default=0, init=False)

    def results(self, checks: Sequence[Check]) -> list[CheckResult]:
        """Return a result for each check, in order."""
        relation = read_relation(self.session.connection, self.table)
        if relation is None:
            return [self._unchecked(check, "the table does not exist") for check in checks]
        found = self._measure(checks, relation)
        return [self._result(check, found.get(check[0]), relation) for check in checks]

    def _measure(self, checks: Sequence[Check], relation: Relation) -> Found:
        """Read the table at most twice for all checks together."""
        found: Found = {}
        measures: dict[str, Query] = {}
        keys: dict[str, frozenset[str]] = {}
        for name, rule in checks:
            try:
                check_columns(rule, relation)
                if isinstance(rule, Unique) and is_proven_unique(rule, relation):
                    found[name] = 0
                elif isinstance(rule, Unique):
                    keys[name] = frozenset(rule.columns)
                elif not isinstance(rule, RecordCountMatch | SchemaValidation):
                    measures[name] = measure(rule, relation)
            except MisfitError as misfit:
                found[name] = Refusal(str(misfit))
        if any(not isinstance(rule, SchemaValidation) for _, rule in checks):
            counts = self.session.ask_together(
                {_TOTAL: ROW_COUNT, **measures}, lambda parts: row_scan(self.table, parts)
            )
            self._total = counts.pop(_TOTAL)
            found |= counts
        distinct = {key: key for key in keys.values()}
        if distinct:
            duplicates = self.session.ask_together(distinct, lambda parts: key_scan(self.table, parts))
            found |= {name: duplicates[key] for name, key in keys.items()}
        return found

    def _result(self, check: Check, found: Any, relation: Relation) -> CheckResult:
        rule = check[1]
        if isinstance(found, Refusal):
            return self._unchecked(check, found.reason)
        if isinstance(rule, SchemaValidation):
            return self._schema(check, rule, relation)
        if isinstance(self._total, Refusal):
            return self._unchecked(check, self._total.reason)
        match rule:
            case RecordCountMatch():
                return self._record_count(check, rule, self._total)
            case DataFreshness():
                return self._freshness(check, rule, found, self._total)
        allowed = rule.max_failing
        if rule.max_failing_ratio is not None:
            allowed = _part(rule.max_failing_ratio, self._total)
        found = int(found)  # a sum comes as a Decimal
        text = findings(rule, found, self._total)
        if 0 < found <= allowed:
            text += f", and {allowed:,} may"
        passed = found <= allowed
        shown = [] if passed else self._sample(rule, relation)
        return self._finding(check, text, failing=found, total=self._total, passed=passed, shown=shown)

    def _record_count(self, check: Check, rule: RecordCountMatch, total: int) -> CheckResult:
        expected, origin = rule.expected, "expected"
        if rule.against == "source":
            expected, origin = self.source_rows, "in the source"
            if expected is None:
                # A run that read only what is new cannot know it; the runs that read all do compare.
                text = f"{counted(total, 'row')}, not compared: this run did not read the whole source"
                return self._finding(check, text, failing=0, total=total, passed=True)
        elif rule.against is not None:
            rows = self.session.ask(row_scan(TableName.parse(rule.against), [ROW_COUNT]))
            if isinstance(rows, Refusal):
                return self._unchecked(check, f"counting {rule.against}: {rows.reason}")
            expected, origin = rows[0][0], f"in {rule.against}"
        assert expected is not None
        difference = abs(total - expected)
        allowed = max(rule.tolerance_rows, _part(rule.tolerance, expected))
        text = f"{counted(total, 'row')}, {expected:,} {origin}"
        if allowed:
            text += f", {allowed:,} more or less accepted"
        return self._finding(check, text, failing=difference, total=total, passed=difference <= allowed)

    def _freshness(
        self, check: Check, rule: DataFreshness, newest: list[str | None], total: int
    ) -> CheckResult:
        if newest[0] is None or newest[1] is None:
            return self._finding(
                check, f"no row has a finite {rule.column}", failing=1, total=total, passed=False
            )
        limit = parse_duration(rule.max_age)
        value = MASK if is_masked(rule.column, self.masked) else newest[1]
        age_s = self.now.timestamp() - float(newest[0])
        # A masked time is not told by its age either.
        told = "" if value == MASK else f", {_age(age_s)}"
        passed = age_s <= limit.total_seconds()
        verdict = "within" if passed else "older than"
        text = f"the newest {rule.column} is {value}{told}; {verdict} {rule.max_age}"
        return self._finding(check, text, failing=int(not passed), total=total, passed=passed)

    def _schema(self, check: Check, rule: SchemaValidation, relation: Relation) -> CheckResult:
        faults = schema_faults(self.session, rule, relation)
        if isinstance(faults, Refusal):
            return self._unchecked(check, faults.reason)
        text = f"{counted(len(rule.columns), 'column')} as expected"
        if faults:
            text = "; ".join(str(fault) for fault in faults[:5]) + ("; …" if len(faults) > 5 else "")
        shown = [fault.to_json() for fault in faults]
        return self._finding(
            check, text, failing=len(faults), total=len(rule.columns), passed=not faults, shown=shown
        )

    def _sample(self, rule: ConditionRule | Unique, relation: Relation) -> list[dict[str, Any]]:
        names, query = sample(rule, relation, self.masked)
        rows = self.session.ask(query)
        if isinstance(rows, Refusal):
            return []
        return [
            {
                name: value if value is None else shorten(value, SAMPLE_CHARS)
                for name, value in zip(names, row, strict=True)
            }
            for row in rows
        ]

    def _finding(
        self,
        check: Check,
        text: str,
        *,
        failing: int,
        total: int,
        passed: bool,
        shown: list[dict[str, Any]] | None = None,
    ) -> CheckResult:
        name, rule = check
        message = f"{self.table}: {text}"
        return CheckResult(
            name, rule.type, str(self.table), rule.severity, passed, failing, total, message, shown or []
        )

    def _unchecked(self, check: Check, reason: str) -> CheckResult:
        columns = ", ".join(check[1].checked_columns)
        text = f"{check[1].type}{' of ' + columns if columns else ''} cannot be checked: {reason}"
        return self._finding(check, text, failing=0, total=0, passed=False)


def _part(ratio: float, total: int) -> int:
    """Return the whole rows in a part of `total`; as decimals, since 0.29 * 100 is below 29 in binary."""
    return math.floor(Decimal(str(ratio)) * total)


def _age(age_s: float) -> str:
    """Say how old; PostgreSQL's years go further than Python's."""
    try:
        duration = timedelta(seconds=abs(age_s))
    except OverflowError:
        duration = timedelta.max
    return describe_duration(duration) + (" old" if age_s >= 0 else " in the future")
