"""From occurrences to messages: what is new is told once, again after a while, and when it is over.

What comes and goes is told a few times and then only as it stands when `repeat_every` has passed: whoever was told last
knows that it is wrong for as long as it may be.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from dteg.alerts.models import Matter, Occurrence, Severity, State
from dteg.alerts.rules import Rule, message_of
from dteg.core.durations import parse_duration
from dteg.core.queries import load_queries

SQL = {name: text.encode() for name, text in load_queries(Path(__file__).with_name("queries.sql")).items()}
# Beginnings within `repeat_every` that are told at once.
MAX_BEGINNINGS = 3
_PART = 500
# Within it, beginnings are counted where a rule tells nothing again.
_COUNTED = timedelta(hours=4)
_OVER = "it was over before it was told"
_NEWER = "a newer message took its place"


class Matters:
    """What each rule knows, in the warehouse.

    Args:
        connection: A connection to the warehouse in autocommit mode, whose tables are there.
        rules: Those in force.
    """

    def __init__(self, connection: psycopg.Connection[Any], rules: Sequence[Rule]) -> None:
        self._connection = connection
        self._rules = [rule for rule in rules if rule.enabled]

    def take_in(self, now: datetime) -> int:
        """Turn the occurrences that wait into messages that wait, a part in each transaction; return how many."""
        count = 0
        while True:
            with self._connection.transaction():
                self._connection.execute(SQL["lock"])
                rows = self._rows("unhandled", limit=_PART)
                for row in rows:
                    occurrence = Occurrence.model_validate({k: v for k, v in row.items() if k != "id"})
                    for rule in self._rules:
                        self._apply(rule, occurrence, now)
                self._connection.execute(SQL["handled"], {"now": now, "ids": [row["id"] for row in rows]})
            count += len(rows)
            if len(rows) < _PART:
                return count

    def follow_up(self, now: datetime) -> None:
        """Tell again what goes on, tell others where nobody has taken care, and tell the end of what came and went."""
        rules = {rule.name: rule for rule in self._rules}
        with self._connection.transaction():
            self._connection.execute(SQL["lock"])
            self._connection.execute(SQL["forget_rules"], {"now": now, "rules": list(rules)})
            for row in self._rows("unsettled"):
                matter, rule = Matter.model_validate(row), rules[row["rule"]]
                if not matter.is_open:
                    self._end_late(rule, matter, now)
                elif matter.acknowledged_at is None:
                    self._escalate(rule, matter, now)

    def _apply(self, rule: Rule, occurrence: Occurrence, now: datetime) -> None:
        if not rule.match.concerns(occurrence):
            return
        told = rule.match.fits(occurrence)
        if occurrence.state is State.RESOLVED:
            self._resolve(rule, occurrence, now, tell=rule.tell_resolved and not told)
            if told:
                self._tell(rule, occurrence, rule.to, now)
        elif told:
            known = self._matter(rule, occurrence)
            if known is not None and known.is_open:
                self._go_on(rule, occurrence, known, now)
            elif occurrence.state is State.EVENT:
                self._happen(rule, occurrence, known, now)
            else:
                self._begin(rule, occurrence, known, now)

    def _happen(self, rule: Rule, occurrence: Occurrence, known: Matter | None, now: datetime) -> None:
        """Tell an event, unless one of the same matter was told a moment ago."""
        if known is not None and known.beginnings == 0 and now < _event_due(rule, known):
            self._save(known.model_copy(update=_last(known, occurrence)))
            return
        told_at = self._tell(rule, occurrence, rule.to, now)
        changed = {"told_at": told_at, "resolved_at": now, "beginnings": 0}
        self._save(_new(rule, occurrence, now).model_copy(update=changed))

    def _begin(self, rule: Rule, occurrence: Occurrence, known: Matter | None, now: datetime) -> None:
        matter = _new(rule, occurrence, now)
        if known is not None and now < known.counted_since + _window(rule):
            counted = {"beginnings": known.beginnings + 1, "counted_since": known.counted_since}
            matter = matter.model_copy(update=counted)
            worse = occurrence.severity.rank > known.severity.rank
            if matter.beginnings > MAX_BEGINNINGS and not worse and _dampens(rule):
                kept = {"told_at", "first_told_at", "acknowledged_at", "acknowledged_by", "level", "severity"}
                self._save(matter.model_copy(update=known.model_dump(include=kept)))
                return
        told_at = self._tell(rule, occurrence, rule.to, now, note=_note(matter, rule), replace=True)
        self._save(matter.model_copy(update={"told_at": told_at, "first_told_at": told_at}))

    def _go_on(self, rule: Rule, occurrence: Occurrence, known: Matter, now: datetime) -> None:
        """Count it. That it has become worse is news, unless somebody takes care already."""
        matter = known.model_copy(update=_last(known, occurrence))
        news = matter.severity is not known.severity or not _dampens(rule)
        if news and known.acknowledged_at is None:
            again = matter.occurrences - 1
            told_at = self._tell(rule, occurrence, rule.to, now, again=again, replace=True)
            matter = matter.model_copy(update={"told_at": told_at})
        self._save(matter)

    def _resolve(self, rule: Rule, occurrence: Occurrence, now: datetime, *, tell: bool) -> None:
        known = self._matter(rule, occurrence)
        if known is None or not known.is_open:
            return
        comes_and_goes = known.beginnings >= MAX_BEGINNINGS and now < known.counted_since + _window(rule)
        matter = known.model_copy(
            update={"resolved_at": now, "last_at": occurrence.at, "message": occurrence.message,
                    "details": occurrence.details, "owes_end": comes_and_goes and _dampens(rule)}
        )  # fmt: skip
        if not matter.owes_end:
            self._end(rule, matter, now, tell=tell)
        self._save(matter)

    def _end_late(self, rule: Rule, matter: Matter, now: datetime) -> None:
        if now >= matter.counted_since + _window(rule):
            self._end(rule, matter, now, tell=rule.tell_resolved)
            self._save(matter.model_copy(update={"owes_end": False}))

    def _end(self, rule: Rule, matter: Matter, now: datetime, *, tell: bool) -> None:
        """Take back what was not sent, and tell that it is over to those who have heard that it began."""
        self._cancel(rule, matter.matter, now, _OVER)
        if not tell:
            return
        names = {"rule": rule.name, "matter": matter.matter}
        since = min(matter.first_at, matter.counted_since)
        told = self._connection.execute(SQL["channels_told"], {**names, "since": since}).fetchall()
        over = _occurrence(matter, State.RESOLVED, Severity.INFO)
        # At night it is told as loud as it was: who was woken wants to know.
        self._tell(rule, over, [channel for (channel,) in told], now, loud=matter.severity)

    def _escalate(self, rule: Rule, matter: Matter, now: datetime) -> None:
        occurrence = _occurrence(matter, State.FIRING, matter.severity)
        changed: dict[str, Any] = {}
        again = matter.occurrences - 1
        for level, step in list(enumerate(rule.escalate, start=1))[matter.level :]:
            if now < (matter.first_told_at or matter.first_at) + parse_duration(step.after):
                break
            changed["level"] = level
            self._tell(rule, occurrence, step.to, now, again=again, level=level)
        if rule.repeat_every and now >= (matter.told_at or matter.first_at) + parse_duration(
            rule.repeat_every
        ):
            note = _note(matter, rule)
            changed["told_at"] = self._tell(
                rule, occurrence, rule.to, now, again=again, note=note, replace=True
            )
        if changed:
            self._save(matter.model_copy(update=changed))

    def _tell(
        self, rule: Rule, occurrence: Occurrence, channels: Sequence[str], now: datetime, *, again: int = 0,
        level: int = 0, note: str = "", loud: Severity = Severity.INFO, replace: bool = False,
    ) -> datetime:  # fmt: skip
        """Write the messages down; return from when on they may be sent."""
        title, body = message_of(occurrence, again=again, level=level, note=note)
        quiet = rule.quiet_hours
        waits = quiet is not None and max(occurrence.severity.rank, loud.rank) < quiet.unless.rank
        not_before = (quiet.end_after(now) if quiet is not None and waits else None) or now
        names = {"rule": rule.name, "matter": occurrence.matter}
        for channel in dict.fromkeys(channels):
            if replace:
                self._cancel(rule, occurrence.matter, now, _NEWER, channel)
            values = {
                **names, "channel": channel, "title": title, "body": body,
                "severity": occurrence.severity, "occurrence": Jsonb(occurrence.model_dump(mode="json")),
                "now": now, "not_before": not_before,
            }  # fmt: skip
            self._connection.execute(SQL["enqueue"], values)
        return not_before

    def _cancel(self, rule: Rule, matter: str, now: datetime, why: str, channel: str | None = None) -> None:
        values = {"rule": rule.name, "matter": matter, "now": now, "why": why, "channel": channel}
        self._connection.execute(SQL["cancel"], values)

    def _matter(self, rule: Rule, occurrence: Occurrence) -> Matter | None:
        rows = self._rows("matter", rule=rule.name, matter=occurrence.matter)
        return Matter.model_validate(rows[0]) if rows else None

    def _save(self, matter: Matter) -> None:
        self._connection.execute(SQL["save"], {**matter.model_dump(), "details": Jsonb(matter.details)})

    def _rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(SQL[query], values).fetchall()


def _new(rule: Rule, occurrence: Occurrence, now: datetime) -> Matter:
    # The clock of who reports may be ahead of ours.
    first_at = min(occurrence.at, now)
    return Matter(
        rule=rule.name, matter=occurrence.matter, kind=occurrence.kind, subject=occurrence.subject,
        severity=occurrence.severity, message=occurrence.message, details=occurrence.details, occurrences=1,
        first_at=first_at, last_at=occurrence.at, told_at=None, counted_since=first_at,
    )  # fmt: skip


def _last(known: Matter, occurrence: Occurrence) -> dict[str, Any]:
    return {
        "occurrences": known.occurrences + 1, "last_at": occurrence.at, "message": occurrence.message,
        "details": occurrence.details,
        "severity": max(known.severity, occurrence.severity, key=lambda each: each.rank),
    }  # fmt: skip


def _occurrence(matter: Matter, state: State, severity: Severity) -> Occurrence:
    return Occurrence(
        kind=matter.kind, subject=matter.subject, severity=severity, state=state, message=matter.message,
        at=matter.last_at, details=matter.details, dedupe_key=matter.matter,
    )  # fmt: skip


def _window(rule: Rule) -> timedelta:
    return parse_duration(rule.repeat_every) if rule.repeat_every else _COUNTED


def _event_due(rule: Rule, known: Matter) -> datetime:
    """Return when an event of a matter that was told may be told again; never, for a rule that repeats nothing."""
    if rule.repeat_every is None:
        return datetime.max.replace(tzinfo=known.last_at.tzinfo)
    return (known.told_at or known.first_at) + parse_duration(rule.repeat_every)


def _dampens(rule: Rule) -> bool:
    """Whether what comes and goes is told less often: a rule that asks for everything gets everything."""
    return rule.match.on != "always"


def _note(matter: Matter, rule: Rule) -> str:
    if matter.beginnings < MAX_BEGINNINGS or not _dampens(rule):
        return ""
    until = matter.counted_since + _window(rule)
    return f"it comes and goes: it began {matter.beginnings} times; what becomes of it is told from {until:%H:%M} UTC on"
