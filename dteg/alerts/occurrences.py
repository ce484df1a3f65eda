"""Reporting what happened: a row that waits until it is told, and never in the way of who reports."""

import logging
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from dteg.alerts.models import Kind, Occurrence, Severity, State
from dteg.core.control import session
from dteg.core.errors import DtegError
from dteg.core.project import Project

MAX_SUBJECT = 500
MAX_MESSAGE = 2000
_LOG = logging.getLogger(__name__)
_INSERT = (
    "INSERT INTO _dteg.alert_occurrences (kind, subject, matter, state, severity, message, details, at)"
    " VALUES (%(kind)s, %(subject)s, %(matter)s, %(state)s, %(severity)s, %(message)s, %(details)s, %(at)s)"
)


def report(
    project: Project, *occurrences: Occurrence, connection: psycopg.Connection[Any] | None = None
) -> bool:
    """Write down what happened, and return whether it could be; who tells people comes by later.

    Args:
        project: Whose warehouse keeps it.
        occurrences: What happened.
        connection: A connection to the warehouse whose transaction this joins; then errors are raised, as
            they would break that transaction anyway. Without one they are logged: a backup does not fail
            because nobody could be told of it.
    """
    if connection is not None:
        _write(connection, occurrences)
        return True
    try:
        with session(project, "alerts") as own, own.transaction():
            _write(own, occurrences)
    except DtegError as error:
        _LOG.warning(
            "not reported to alerts (%s): %s", "; ".join(each.message for each in occurrences), error
        )
        return False
    return True


def check_occurrence(
    table: str,
    name: str,
    found: str,
    *,
    passed: bool,
    severity: Severity,
    details: Mapping[str, Any],
    **more: Any,
) -> Occurrence:
    """Return what a check tells: called the same by whoever ran it, so that it is one matter.

    Args:
        table: What was checked.
        name: The check.
        found: Its result in words, such as `failed: 3 of 5`.
        passed: Whether it is as it should be.
        severity: How bad it is if not.
        details: What is known beside that.
        more: Other fields of the occurrence.
    """
    return Occurrence(
        kind=Kind.CHECK,
        subject=f"{table}: {name}"[:MAX_SUBJECT],
        message=f"check {name} of {table} {found}"[:MAX_MESSAGE],
        state=State.RESOLVED if passed else State.FIRING,
        severity=Severity.INFO if passed else severity,
        details={"table": table, "check": name, "passed": passed, **details},
        **more,
    )


def _write(connection: psycopg.Connection[Any], occurrences: tuple[Occurrence, ...]) -> None:
    for each in occurrences:
        values = _storable(each.model_dump(mode="json"))
        values |= {"at": each.at, "matter": _storable(each.matter), "details": Jsonb(values["details"])}
        connection.execute(_INSERT, values)


def _storable(value: Any) -> Any:
    """Return a value without the one character that PostgreSQL cannot keep: an alert is not lost for it."""
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, list):
        return [_storable(each) for each in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(each) for name, each in value.items()}
    return value
