"""What is written down when changes were noticed: all of it in the transaction that moves the cursor."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from dteg.alerts import Kind, Occurrence, Severity, State, report
from dteg.core.clock import utc_now
from dteg.core.errors import NotAvailableError
from dteg.core.identifiers import TableName
from dteg.core.project import Project
from dteg.schema_changes.breaks import Breaks, NewBreak, ProjectImpact, broken_by
from dteg.schema_changes.images import column_changes
from dteg.schema_changes.models import Break, SchemaChange
from dteg.schema_changes.sql import WAREHOUSE
from dteg.schema_changes.story import Draft, concerned, statement
from dteg.topics import Topics
from dteg.topics.models import MAX_BATCH, NewMessage

TOPIC = "dteg.schema_changes"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MAX_PAYLOAD = 900_000
_LOSSES = ("dropped", "renamed", "retyped")


class Ledger:
    """Writes changes and their effects: history, breaks, messages, alerts.

    Args:
        project: Whose warehouse and files.
        connection: A connection to the warehouse in autocommit mode, of the process that leads.
    """

    def __init__(self, project: Project, connection: psycopg.Connection[Any]) -> None:
        self._project, self._connection = project, connection
        self._topics: Topics | None = None
        self._impact = ProjectImpact(project)
        self.breaks = Breaks(connection, self._impact)

    def prepare(self) -> None:
        """Make the topic."""
        self._topics = Topics.of(self._project)
        self._topics.ensure(TOPIC)

    def close(self) -> None:
        """Give connections back."""
        if self._topics is not None:
            self._topics.close()

    def write(self, database: str, installation: UUID | None, drafts: Sequence[Draft]) -> list[SchemaChange]:
        """Write changes down, in the transaction of the caller; return them."""
        if not drafts:
            return []
        now = utc_now()
        ids = [
            row[0]
            for row in self._connection.execute(WAREHOUSE["reserve"], {"count": len(drafts)}).fetchall()
        ]
        breaks = self._broken(database, drafts)
        numbers = {id(draft): number for draft, number in zip(drafts, ids, strict=True)}
        changes = [
            _change(draft, numbers[id(draft)], database, now, [new for of, new in breaks if of is draft])
            for draft in drafts
        ]
        rows = [_row(change, draft, installation) for change, draft in zip(changes, drafts, strict=True)]
        with self._connection.cursor() as cursor:
            cursor.executemany(WAREHOUSE["save_change"], rows)
        new = self.breaks.save([(each, database, numbers[id(draft)], draft.at) for draft, each in breaks])
        told = [change for change in changes if not change.routine]
        self._publish(told)
        report(
            self._project,
            *(occurrence(change) for change in told),
            *(_break_occurrence(Break(id=0, **row)) for row in new),
            connection=self._connection,
        )
        return changes

    def mend(self) -> None:
        """Close the breaks that are none any more, and tell it."""
        with self._connection.transaction():
            mended = self.breaks.mend()
            report(self._project, *(_break_occurrence(each) for each in mended), connection=self._connection)

    def _broken(self, database: str, drafts: Sequence[Draft]) -> list[tuple[Draft, NewBreak]]:
        found, impact = [], None
        for draft, before, after in concerned(drafts):
            lost = after is None or after.full_name != before.full_name
            if lost or any(column.change in _LOSSES for column in column_changes(before, after)):
                impact = impact or self._impact.now()
                uses = impact.of(TableName(before.schema, before.name), database)
                found += [(draft, each) for each in broken_by(before, after, uses)]
        return found

    def _publish(self, changes: Sequence[SchemaChange]) -> None:
        assert self._topics is not None, "prepare() comes first"
        messages = [_message(change) for change in changes]
        for start in range(0, len(messages), MAX_BATCH):
            part = messages[start : start + MAX_BATCH]
            try:
                self._topics.publish_many(TOPIC, part, connection=self._connection)
            except NotAvailableError:
                # NATS cannot join our transaction: what is published before a commit that fails comes twice.
                self._topics.publish_many(TOPIC, part)


def _change(
    draft: Draft, number: int, database: str, now: datetime, breaks: Sequence[NewBreak]
) -> SchemaChange:
    event = draft.event
    return SchemaChange(
        id=number,
        xid=event.xid if event else None,
        database=database,
        at=draft.at,
        noticed_at=now,
        found_by="trigger" if event else "snapshot",
        routine=draft.routine,
        who=event.who if event else None,
        role=event.role if event else None,
        application=event.application if event else None,
        client=event.client if event else None,
        command=draft.command,
        kind=draft.kind,
        schema=draft.schema,
        object=draft.object,
        table=draft.table,
        renamed_from=draft.renamed_from,
        columns=draft.columns,
        before=dict(draft.before.image) if draft.before else None,
        after=dict(draft.after.image) if draft.after else None,
        ddl=statement(draft),
        breaks=[each.told for each in breaks],
    )


def _row(change: SchemaChange, draft: Draft, installation: UUID | None) -> dict[str, Any]:
    row = change.model_dump(by_alias=True)
    plain = change.model_dump(mode="json", include={"columns", "breaks"})
    return {
        **row,
        "installation": installation if draft.event else None,
        "event": draft.event.id if draft.event else None,
        "relation": draft.relation,
        "columns": Jsonb(plain["columns"]),
        "breaks": Jsonb(plain["breaks"]),
        "before": None if row["before"] is None else Jsonb(row["before"]),
        "after": None if row["after"] is None else Jsonb(row["after"]),
    }


def _message(change: SchemaChange) -> NewMessage:
    payload = change.model_dump(mode="json", by_alias=True)
    message = NewMessage.make(payload, key=_subject(change)[:500], headers={"id": str(change.id)})
    if len(message.payload) > _MAX_PAYLOAD:  # a table of thousands of columns: they stand in the history
        payload |= {"before": None, "after": None, "columns": payload["columns"][:100]}
        message = NewMessage.make(payload, key=_subject(change)[:500], headers={"id": str(change.id)})
    return message


def _subject(change: SchemaChange) -> str:
    place = change.table or ".".join(part for part in (change.schema_name, change.object) if part)
    # A name may hold anything; keys of messages and subjects of alerts are for one line.
    return _CONTROL.sub("?", ".".join(part for part in (change.database, place) if part) or change.command)


def occurrence(change: SchemaChange) -> Occurrence:
    """Return what alerts are told of a change: an error if it breaks something, a warning if something is gone."""
    gone = change.command.startswith("DROP ") or change.renamed_from is not None
    gone = gone or any(column.change in _LOSSES for column in change.columns)
    severity = Severity.ERROR if change.breaks else Severity.WARNING if gone else Severity.INFO
    hurt = "".join(f"; breaks {each.kind} {each.name}" for each in change.breaks)
    return Occurrence(
        kind=Kind.SCHEMA_CHANGE,
        subject=_subject(change)[:500],
        state=State.EVENT,
        severity=severity,
        at=change.at,
        message=f"{change.summary}{f' by {change.who}' if change.who else ''}{hurt}"[:10_000],
        details={
            "change": change.id, "command": change.command, "kind": change.kind, "who": change.who or "",
            "found_by": change.found_by, "breaks": len(change.breaks),
        },
        dedupe_key=f"schema_change:{change.id}",
    )  # fmt: skip


def _break_occurrence(each: Break) -> Occurrence:
    key = f"schema_break:{each.database}.{each.table}.{each.column or ''}:{each.kind}:{each.name}"
    over = each.mended_at is not None
    return Occurrence(
        kind=Kind.SCHEMA_CHANGE,
        subject=f"{each.kind} {each.name}",
        state=State.RESOLVED if over else State.FIRING,
        severity=Severity.ERROR,
        at=each.mended_at or each.since,
        message=f"{each.why}: {each.mended_by}" if over else f"{each.kind} {each.name} is broken: {each.why}",
        details={"table": each.table, "column": each.column or "", "database": each.database},
        dedupe_key=key[:500],
    )
