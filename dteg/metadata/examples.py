"""Examples: where they are from, and whether they are right now."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from dteg.metadata.client.documents import canonical, sha256
from dteg.metadata.dbt import DbtTable
from dteg.metadata.gate import Dialect, check_sql, difficulty, skeleton
from dteg.metadata.models import Example, Origin, TableEntry, fingerprint_of
from dteg.metadata.notes import ExampleNote
from dteg.metadata.probers import Limits, Prober
from dteg.metadata.reports import Verdict

_MASKS = (
    (re.compile(r"(?<!\w)'[^']*'(?!\w)|\"[^\"]*\"|“[^”]*”|«[^»]*»"), "<value>"),
    (re.compile(r"\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?)?\b"), "<date>"),
    (re.compile(r"\b\d+(?:[.,]\d+)*\b"), "<number>"),
)


def wanted_examples(
    notes: Iterable[ExampleNote], dbt: Mapping[str, DbtTable], dialect: Dialect
) -> list[Example]:  # fmt: skip
    """Return the examples of the file and of dbt, not yet proved; of the same question and SQL one."""
    said: list[tuple[str, str, Origin]] = [(note.question, note.sql, note.origin) for note in notes]
    said += [(question, text, "dbt") for table in dbt.values() for question, text in table.examples]
    found: dict[str, Example] = {}
    for question, text, origin in said:
        made = new_example(question, text, dialect, origin)
        found.setdefault(made.id, made)
    return list(found.values())


def new_example(question: str, sql: str, dialect: Dialect, origin: Origin = "human") -> Example:
    """Return an example that is not proved yet.

    Args:
        question: As people ask it.
        sql: As they wrote it.
        dialect: Of the database.
        origin: Who they are.
    """
    question, sql = " ".join(question.split()), sql.strip().rstrip(";").strip()
    return Example(
        question=question, sql=sql, id=sha256(canonical([question, sql]))[:16], dialect=dialect, origin=origin,
        pattern=masked(question), sql_skeleton=skeleton(sql, dialect), difficulty=difficulty(sql, dialect),
        status="broken", why="not run yet",
    )  # fmt: skip


def masked(question: str) -> str:
    """Return a question without its values: what two questions of the same kind share."""
    for form, mask in _MASKS:
        question = form.sub(mask, question)
    return question


class Verifier:
    """Proves examples against the schema of now.

    Args:
        entries: All tables.
        dialect: Of the database.
        prober: Where they are run.
        now: The time.
        limits: How far each may go.
    """

    def __init__(
        self, entries: Sequence[TableEntry], dialect: Dialect, prober: Prober, now: datetime,
        limits: Limits | None = None,
    ) -> None:  # fmt: skip
        self._entries = {each.table_id: each for each in entries}
        self._dialect, self._prober, self._now = dialect, prober, now
        self._limits = limits

    def verified(self, wanted: Sequence[Example], before: Mapping[str, Example]) -> list[Example]:
        """Return the examples with what is true of them now.

        Args:
            wanted: All that there are.
            before: What was true, by id. What was right and whose tables are as they were is not run again.
        """
        return [self.verify(example, before.get(example.id)) for example in wanted]

    def verify(self, example: Example, before: Example | None = None) -> Example:
        """Return one example with what is true of it now."""
        if (
            before
            and before.status == "valid"
            and before.schema_fingerprint == self._fingerprint(before.tables)
        ):
            return before.model_copy(update={"origin": example.origin, "question": example.question})
        entries = list(self._entries.values())
        verdict = check_sql(example.sql, self._dialect, entries, self._prober, self._limits)
        # What is named but not there is out of date only if it was right once.
        was_right = before is not None and before.status in ("valid", "stale")
        status = "broken" if verdict.status == "stale" and not was_right else verdict.status
        if verdict.status == "broken" and was_right and verdict.tables:
            status = "stale"
        return example.model_copy(update=self._facts(verdict, before) | {"status": status})

    def _facts(self, verdict: Verdict, before: Example | None) -> dict[str, object]:
        return {
            "tables": verdict.tables or (before.tables if before else []),
            "columns": verdict.used_columns, "why": verdict.why, "verified_at": self._now,
            "verified_by": verdict.verified_by, "row_count": verdict.row_count, "result_columns": verdict.columns,
            "result_sha256": verdict.result_sha256, "runtime_ms": verdict.runtime_ms,
            "schema_fingerprint": self._fingerprint(verdict.tables) if verdict.tables else "",
        }  # fmt: skip

    def _fingerprint(self, tables: Sequence[str]) -> str:
        """Return the fingerprint of some tables; empty if one is gone."""
        entries = [self._entries[name] for name in tables if name in self._entries]
        return fingerprint_of(entries) if entries and len(entries) == len(tables) else ""


def by_table(examples: Sequence[Example]) -> dict[str, list[Example]]:
    """Return the valid examples by each of their tables."""
    found: dict[str, list[Example]] = {}
    for example in examples:
        if example.status == "valid":
            for table in example.tables:
                found.setdefault(table, []).append(example)
    return found
