"""What a change of a table breaks, and when that is mended."""

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from dteg.core.identifiers import TableName
from dteg.core.project import Project
from dteg.core.queries import first_value
from dteg.schema_changes.images import Image, column_changes
from dteg.schema_changes.models import Break, Broken
from dteg.schema_changes.sql import WAREHOUSE

if TYPE_CHECKING:  # what reads pipelines takes longer to import than all else here, and is seldom needed
    from dteg.schema_changes.impact import Found, Impact

KEPT_S = 60
_WIDER = {
    "smallint": ("integer", "bigint", "numeric", "real", "double precision"),
    "integer": ("bigint", "numeric", "double precision"),
    "bigint": ("numeric",),
    "real": ("double precision",),
    "character varying": ("text",),
    "character": ("character varying", "text"),
}
_LENGTH = re.compile(r"^(?P<base>[a-z ]+?)\((?P<length>\d+)\)$")


@dataclass(frozen=True, slots=True)
class NewBreak:
    """A break that is not written down yet.

    Attributes:
        found: Who is hurt.
        table: Name of the table before the change.
        column: Column before the change; None for the whole table.
        expected: Its type before.
        why: What is missing.
    """

    found: "Found"
    table: str
    column: str | None
    expected: str | None
    why: str

    @property
    def told(self) -> Broken:
        """The same as the change tells it."""
        use = self.found.use
        return Broken(kind=use.kind, name=use.name, why=self.why)

    def row(self, database: str, change: int, since: datetime) -> dict[str, Any]:
        """Return what `save_break` wants."""
        use = self.found.use
        return {
            "database": database, "table": self.table, "column": self.column, "expected": self.expected,
            "kind": use.kind, "name": use.name, "file": use.file, "why": self.why, "change": change, "since": since,
        }  # fmt: skip


def broken_by(before: Image, after: Image | None, uses: "Iterable[Found]") -> list[NewBreak]:
    """Return what of the uses a change breaks.

    Args:
        before: The table that they know.
        after: What has become of it; None if it is gone.
        uses: What works with the table under its old name.
    """
    table = before.full_name
    if after is None or after.full_name != table:
        why = f"{table} was dropped" if after is None else f"{table} is called {after.full_name} now"
        return [NewBreak(each, table, None, None, _gone(each, why)) for each in uses if not each.rebuilds]
    breaks = []
    for change in column_changes(before, after):
        if change.change == "retyped" and is_wider(change.old_type or "", change.new_type or ""):
            continue
        reason = {
            "dropped": f"column {change.name} of {table} was dropped",
            "renamed": f"column {change.name} of {table} is called {change.new_name} now",
            "retyped": f"column {change.name} of {table} was {change.old_type} and is {change.new_type} now",
        }.get(change.change)
        if reason:
            breaks += [
                NewBreak(each, table, change.name, change.old_type, reason)
                for each in uses
                if each.needs(change.name)
            ]
    return breaks


def _gone(found: "Found", why: str) -> str:
    if found.use.role == "writes":
        return f"{why}, and its saved cursor would pass over the rows that were in it"
    return why


def is_wider(old: str, new: str) -> bool:
    """Whether every value of one SQL type fits into another without a change of its meaning."""
    old_base, old_length = _split(old)
    new_base, new_length = _split(new)
    if old_base == new_base:
        return new_length is None or (old_length is not None and new_length >= old_length)
    return new_base in _WIDER.get(old_base, ()) and new_length is None


def _split(type_: str) -> tuple[str, int | None]:
    match = _LENGTH.match(type_)
    return (match["base"], int(match["length"])) if match else (type_, None)


class ProjectImpact:
    """An `Impact` that is made anew when a file of the project changes.

    Args:
        project: Whose files.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._signature: object = None
        self._impact: Impact | None = None
        self._made_at = 0.0

    def now(self) -> "Impact":
        """Return it."""
        from dteg.schema_changes.impact import Impact

        signature = tuple(self._files())
        # Files of SQL may lie anywhere in the project, so after a while all is read again.
        is_old = time.monotonic() - self._made_at > KEPT_S
        if self._impact is None or is_old or signature != self._signature:
            self._signature, self._impact = signature, Impact(self._project)
            self._made_at = time.monotonic()
        return self._impact

    def _files(self) -> Iterable[tuple[str, int, int]]:
        from dteg.pipelines.plan import pipeline_files

        dbt = self._project.dbt_dir
        for path in (*pipeline_files(self._project), *dbt.glob("models/**/*"), *dbt.glob("*.yml")):
            try:
                known = path.stat()
            except OSError:
                continue
            yield str(path), known.st_mtime_ns, known.st_size


class Breaks:
    """The breaks that are written down.

    Args:
        connection: A connection to the warehouse.
        impact: Who works with what.
    """

    def __init__(self, connection: psycopg.Connection[Any], impact: ProjectImpact) -> None:
        self._connection, self._impact = connection, impact

    def save(self, breaks: Sequence[tuple[NewBreak, str, int, datetime]]) -> list[dict[str, Any]]:
        """Write breaks down; return those that were not open already.

        Args:
            breaks: Each with its database, the change that did it, and since when.
        """
        new = []
        for each, database, change, since in breaks:
            row = each.row(database, change, since)
            if self._connection.execute(WAREHOUSE["save_break"], row).fetchone():
                new.append(row)
        return new

    def mend(self) -> list[Break]:
        """Close the breaks that are none any more; return them."""
        with self._connection.cursor(row_factory=dict_row) as cursor:
            open_ = [Break.model_validate(row) for row in cursor.execute(WAREHOUSE["open_breaks"]).fetchall()]
        mended = []
        for each in open_:
            if (by := self._mended_by(each)) is not None:
                mended += self._close(each.id, by)
        return mended

    def dismiss(self, number: int, by: str) -> Break | None:
        """Close a break because somebody says so; None if there is no such open one."""
        return next(iter(self._close(number, by)), None)

    def _close(self, number: int, by: str) -> list[Break]:
        with self._connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(WAREHOUSE["mend"], {"id": number, "by": by}).fetchall()
        return [Break.model_validate(row) for row in rows]

    def _mended_by(self, each: Break) -> str | None:
        table = TableName(*each.table.split(".", 1))  # a name may have a dot in it, too
        types = self._types(each.database, table)
        if types is not None and each.column is None:
            return "the table is there again"
        now = (types or {}).get(each.column or "")
        if now is not None and (not each.expected or is_wider(each.expected, now)):
            return "the column is there again" if each.expected else "the column is there"
        uses = [
            found
            for found in self._impact.now().of(table, each.database)
            if (found.use.kind, found.use.name) == (each.kind, each.name)
        ]
        if not any(each.column is None or found.needs(each.column) for found in uses):
            return f"{each.kind} {each.name} does not need it any more"
        return "its pipeline has loaded since" if each.kind == "pipeline" and self._loaded(each) else None

    def _types(self, database: str, table: TableName) -> dict[str, str] | None:
        values = {"database": database, "schema": table.schema, "name": table.name}
        row = self._connection.execute(WAREHOUSE["table_image"], values).fetchone()
        return {column["name"]: column["type"] for column in row[0]["columns"]} if row else None

    def _loaded(self, each: Break) -> bool:
        if not first_value(self._connection, "SELECT to_regclass('_dteg.loads') IS NOT NULL"):
            return False
        values = {"pipeline": each.name, "since": each.since}
        return bool(first_value(self._connection, WAREHOUSE["loaded_since"], values))
