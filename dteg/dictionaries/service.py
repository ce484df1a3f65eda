"""Dictionaries of the warehouse: made, edited, imported and looked back upon."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg import errors as pg_errors
from psycopg import sql
from psycopg.types.json import Jsonb

from dteg.core.control import session
from dteg.core.errors import ConfigError, ConflictError, InputError
from dteg.core.identifiers import TableName
from dteg.core.project import Project
from dteg.dictionaries import store
from dteg.dictionaries.checking import check_columns, check_header, check_put, check_rows
from dteg.dictionaries.conflicts import keys_of, refuse_known, refuse_touched
from dteg.dictionaries.models import (
    DEFAULT_PAGE,
    MAX_COLUMNS,
    MAX_PUT_ROWS,
    SCHEMA,
    Dictionary,
    DictionaryColumn,
    DictionaryRows,
    DictionaryUpdate,
    History,
    ImportReport,
    NewDictionary,
    PutReport,
    Row,
    RowProblem,
)
from dteg.dictionaries.values import parse

LOCK_TIMEOUT_MS = 10_000
_INSERT = """
INSERT INTO _dteg.dictionaries (slug, title, key_column, columns, created_by) VALUES (%s, %s, %s, %s, %s)
"""
_RETITLE = "UPDATE _dteg.dictionaries SET title = %s, columns = %s WHERE slug = %s"
_FORGET = "DELETE FROM _dteg.dictionaries WHERE slug = %s"
_FORGET_CHANGES = "DELETE FROM _dteg.dictionary_changes WHERE dictionary = %s"


class Dictionaries:
    """The dictionaries of one project's warehouse.

    Args:
        project: Whose.
    """

    def __init__(self, project: Project) -> None:
        self.project = project

    @classmethod
    def of(cls, project: Project) -> Self:
        """Return those of a project."""
        return cls(project)

    def create(self, new: NewDictionary, who: str = "") -> Dictionary:
        """Make an empty dictionary.

        Raises:
            ConflictError: There is one of this slug.
            EnvironmentProblemError: The roles that read it cannot be made here.
        """
        with self._session() as connection, self._explained(new.slug), connection.transaction():
            self._make(connection, new, who)
            return store.read_one(connection, new.slug)

    def create_from_file(
        self, new: NewDictionary, path: Path, who: str = ""
    ) -> tuple[Dictionary, ImportReport]:
        """Make a dictionary with the rows of a file, or none at all.

        Raises:
            InputError: Rows of the file cannot be taken; the message says which.
            ConflictError: There is one of this slug.
        """
        with self._session() as connection, self._explained(new.slug), connection.transaction():
            self._make(connection, new, who)
            report = self._import(connection, new.slug, path, replace=False, who=who, preview=False)
            if not report.applied:
                raise InputError(_summary(report), source=report.file)
            return store.read_one(connection, new.slug), report

    def dictionaries(self) -> list[Dictionary]:
        """Return all dictionaries by slug."""
        with self._session() as connection:
            return store.read_all(connection)

    def get(self, slug: str) -> Dictionary:
        """Return one dictionary.

        Raises:
            NotFoundError: There is none.
        """
        with self._session() as connection:
            return store.read_one(connection, slug)

    def update(self, slug: str, wanted: DictionaryUpdate) -> Dictionary:
        """Give a dictionary another title, or more columns at its end.

        Raises:
            NotFoundError: There is none.
            ConflictError: It has a column of that name.
        """
        with self._session() as connection, connection.transaction():
            self._prepare(connection, "")
            found = store.read_one(connection, slug, lock=True)
            names = [column.name for column in (*found.columns, *wanted.add_columns)]
            if repeated := [name for name in names if names.count(name) > 1]:
                raise ConflictError(f"{slug} has a column {repeated[0]!r} already; choose another name")
            if len(names) > MAX_COLUMNS:
                raise ConfigError(
                    f"{slug} would have {len(names)} columns; at most {MAX_COLUMNS} are possible"
                )
            store.add_columns(connection, slug, wanted.add_columns)
            title = found.title if wanted.title is None else wanted.title or slug
            connection.execute(_RETITLE, [title, _columns([*found.columns, *wanted.add_columns]), slug])
            return store.read_one(connection, slug)

    def rows(self, slug: str, limit: int = DEFAULT_PAGE, after: str = "", find: str = "") -> DictionaryRows:
        """Return rows in the order of their keys.

        Args:
            slug: Whose.
            limit: Rows at the most.
            after: `next` of the rows before.
            find: Only rows with a value that holds this text.

        Raises:
            NotFoundError: There is no such dictionary.
            ConfigError: `after` is no key.
        """
        with self._session() as connection, connection.transaction():
            found = store.read_one(connection, slug)
            try:
                place = parse(after, found.types[found.key]) or ""
            except ValueError as error:
                raise ConfigError(f"after: {error}") from None
            rows = store.select_rows(connection, found, limit=limit + 1, after=place, find=find)
        key = [column.name for column in found.columns].index(found.key)
        following = str(rows[limit - 1][key]) if len(rows) > limit else None
        return DictionaryRows(columns=found.columns, rows=rows[:limit], next=following, version=found.version)

    def put(
        self,
        slug: str,
        rows: Sequence[Row],
        who: str = "",
        since: int | None = None,
        *,
        delete: Sequence[Any] = (),
        must_be_new: Sequence[Any] = (),
    ) -> PutReport:
        """Insert rows, and update those whose key is there; all or none.

        Args:
            slug: Which dictionary.
            rows: Values by column; a column that a row does not name stays as it is.
            who: Who does it, for the history.
            since: Version that the caller has seen: rows that somebody else has changed since are refused.
            delete: Keys of rows to delete together with it.
            must_be_new: Keys that are refused if they are there, so that nothing is overwritten unseen.

        Raises:
            NotFoundError: There is no such dictionary.
            ConfigError: Values cannot be taken; one problem for each.
            ConflictError: Somebody else has changed one of these rows meanwhile.
        """
        if len(rows) > MAX_PUT_ROWS:
            raise ConfigError(f"{len(rows):,} rows at once; put at most {MAX_PUT_ROWS:,}, or import a file")
        with self._session() as connection, self._explained(slug), connection.transaction():
            self._prepare(connection, who)
            found = store.read_one(connection, slug, lock=True)
            groups = check_put(found, rows)
            gone = keys_of(found, delete)
            keys = [str(row[0]) for group in groups for row in group.rows]
            if since is not None:
                refuse_touched(connection, found, [*keys, *gone], since)
            if gone:
                store.delete(connection, found, gone)
            refuse_known(connection, found, rows, keys_of(found, must_be_new))
            done = [store.merge(connection, found, group.columns, group.rows) for group in groups]
            version = store.read_one(connection, slug).version
        return PutReport(
            inserted=sum(each.inserted for each in done), updated=sum(each.updated for each in done),
            unchanged=sum(each.unchanged for each in done), version=version,
        )  # fmt: skip

    def delete_rows(self, slug: str, keys: Sequence[Any], who: str = "", since: int | None = None) -> int:
        """Delete rows by key; return how many there were.

        Raises:
            NotFoundError: There is no such dictionary.
            ConfigError: A key is of the wrong type.
            ConflictError: Somebody else has changed one of them meanwhile.
        """
        with self._session() as connection, connection.transaction():
            self._prepare(connection, who)
            found = store.read_one(connection, slug, lock=True)
            gone = keys_of(found, keys)
            if since is not None:
                refuse_touched(connection, found, gone, since)
            return len(store.delete(connection, found, gone))

    def import_file(
        self, slug: str, path: Path, replace: bool = False, who: str = "", preview: bool = False
    ) -> ImportReport:
        """Take the rows of a CSV or Excel file, all or none.

        Args:
            slug: Which dictionary.
            path: The file; its first line names the columns.
            replace: Delete the rows that the file does not have.
            who: Who does it, for the history.
            preview: Change nothing, only say what would happen.

        Returns:
            What happened; with problems in it nothing has.

        Raises:
            NotFoundError: There is no such dictionary.
            InputError: The file cannot be read at all.
        """
        with self._session() as connection, self._explained(slug), connection.transaction():
            return self._import(connection, slug, path, replace=replace, who=who, preview=preview)

    def history(
        self, slug: str, limit: int = DEFAULT_PAGE, before: int | None = None, key: str = ""
    ) -> History:
        """Return changes, newest first.

        Args:
            slug: Whose.
            limit: Changes at the most.
            before: Only older ones than this id.
            key: Only those of the row with this key.

        Raises:
            NotFoundError: There is no such dictionary.
        """
        with self._session() as connection:
            store.read_one(connection, slug)
            found = store.changes(connection, slug, limit=limit + 1, before=before, key=key)
        return History(items=found[:limit], next=found[limit - 1].id if len(found) > limit else None)

    def relation(self, slug: str) -> TableName:
        """Return the table that holds a dictionary.

        Raises:
            NotFoundError: There is no such dictionary.
        """
        self.get(slug)
        return TableName(SCHEMA, slug)

    def remove(self, slug: str) -> None:
        """Delete a dictionary with its history.

        Raises:
            NotFoundError: There is none.
            ConflictError: Something uses it; the message says what.
        """
        from dteg.dictionaries.uses import uses_of

        with self._session() as connection, connection.transaction():
            self._prepare(connection, "")
            if not store.is_known(connection, slug):
                store.read_one(connection, slug)  # says what is near
            if uses := uses_of(connection, slug):
                raise ConflictError(
                    f"the dictionary {slug} is used by {', '.join(uses)}; take it out of there first"
                )
            try:
                connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(store.relation(slug)))
            except pg_errors.DependentObjectsStillExist as error:
                raise ConflictError(
                    f"the dictionary {slug} is still used: {error.diag.message_detail or error}"
                ) from None
            connection.execute(_FORGET, [slug])
            connection.execute(_FORGET_CHANGES, [slug])

    @contextmanager
    def _session(self) -> Iterator[psycopg.Connection[Any]]:
        with session(self.project, "dictionaries") as connection:
            yield connection

    def _prepare(self, connection: psycopg.Connection[Any], who: str) -> None:
        """Say who changes what follows in this transaction, and do not wait without an end for others."""
        connection.execute(
            "SELECT set_config('dteg.who', %s, true), set_config('lock_timeout', %s, true)",
            [who, str(LOCK_TIMEOUT_MS)],
        )

    def _make(self, connection: psycopg.Connection[Any], new: NewDictionary, who: str) -> None:
        from dteg.sources.roles import BUILDER, READER, ensure_roles

        ensure_roles(connection)
        self._prepare(connection, who)
        connection.execute(
            _INSERT, [new.slug, new.title or new.slug, new.key, _columns(new.columns), who or "unknown"]
        )
        store.make_table(connection, new.slug, new.key, new.columns)
        roles = sql.SQL(", ").join(map(sql.Identifier, (BUILDER, READER)))
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(SCHEMA), roles))
        connection.execute(sql.SQL("GRANT SELECT ON TABLE {} TO {}").format(store.relation(new.slug), roles))

    @contextmanager
    def _explained(self, slug: str) -> Iterator[None]:
        """Say in our words what the database says of a dictionary that is there, or of a value out of range."""
        try:
            yield
        except (pg_errors.UniqueViolation, pg_errors.DuplicateTable):
            raise ConflictError(
                f"there is a dictionary {slug!r} already, or a table of that name in the schema {SCHEMA}; choose another slug"
            ) from None
        except pg_errors.DataError as error:
            raise ConfigError(f"{slug}: {error.diag.message_primary or error}") from None

    def _import(
        self,
        connection: psycopg.Connection[Any],
        slug: str,
        path: Path,
        *,
        replace: bool,
        who: str,
        preview: bool,
    ) -> ImportReport:
        from dteg.dictionaries.files import matched, read_file

        self._prepare(connection, who)
        found = store.read_one(connection, slug, lock=True)
        file = read_file(self.project, path)
        names = matched(found, file.header)
        columns = list(names.values())
        report = ImportReport(
            file=file.name, applied=False, replace=replace, rows_read=len(file.rows), columns=columns
        )
        if problems := [
            *check_header(names),
            *check_columns(found, list(dict.fromkeys(columns))),
            *file.problems,
        ]:
            return _with_problems(report, problems, len(problems))
        rows = [{names[name]: value for name, value in row.items()} for row in file.rows]
        checked = check_rows(found, columns, rows)
        if checked.problems:
            return _with_problems(report, checked.problems, checked.problem_count)
        merged = store.merge(
            connection, found, checked.columns, checked.rows, replace=replace, dry=preview,
            sample=store.SAMPLE_ROWS,
        )  # fmt: skip
        return report.model_copy(
            update={
                "applied": not preview, "inserted": merged.inserted, "updated": merged.updated,
                "unchanged": merged.unchanged, "deleted": merged.deleted, "sample": merged.sample,
                "version": store.read_one(connection, slug).version,
            }
        )  # fmt: skip


def _columns(columns: Sequence[DictionaryColumn]) -> Jsonb:
    return Jsonb([column.model_dump() for column in columns])


def _with_problems(report: ImportReport, problems: Sequence[RowProblem], count: int) -> ImportReport:
    return report.model_copy(update={"problems": list(problems)[:100], "problem_count": count})


def _summary(report: ImportReport) -> str:
    lines = [str(problem) for problem in report.problems[:20]]
    if report.problem_count > len(lines):
        lines.append(f"and {report.problem_count - len(lines)} more")
    return "nothing was changed:\n" + "\n".join(lines)
