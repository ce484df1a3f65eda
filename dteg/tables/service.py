"""Tables of the warehouse: made from files, listed, read, exported and deleted."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, Self

from dteg.core.control import session
from dteg.core.identifiers import TableName
from dteg.core.project import Project
from dteg.pipelines.listener import Listener
from dteg.tables.models import (
    CreatedTable,
    CreateRequest,
    DeletedTable,
    ExportRequest,
    Preview,
    ReadRequest,
    Rows,
    TableDetail,
    TableList,
    Use,
)

if TYPE_CHECKING:
    from dteg.tables.loading import Source

DEFAULT_PAGE = 1_000


class TableOperations(Protocol):
    """What can be done with tables, here (`Tables`) or over HTTP (`RemoteTables`)."""

    def list(
        self, schema: str = "", *, limit: int = DEFAULT_PAGE, after: str = "", exact: bool = False
    ) -> TableList:
        """Return tables in the order of their names."""
        ...

    def get(self, table: str, *, exact: bool = False) -> TableDetail:
        """Return one table with its columns."""
        ...

    def read(self, request: ReadRequest) -> Rows:
        """Return rows."""
        ...

    def preview(self, request: CreateRequest, file: "str | Source") -> Preview:
        """Say what a file would become; nothing is loaded."""
        ...

    def create(
        self, request: CreateRequest, file: "str | Source", listener: Listener | None = None
    ) -> CreatedTable:
        """Load a file into a table."""
        ...

    def uses(self, table: str) -> Sequence[Use]:
        """Return what needs a table."""
        ...

    def delete(self, table: str) -> DeletedTable:
        """Delete a table that nothing needs."""
        ...

    def export(self, request: ExportRequest) -> Iterator[bytes]:
        """Yield a file of a table's rows in parts."""
        ...


class Tables:
    """The tables of one project's warehouse.

    Args:
        project: Whose.
    """

    def __init__(self, project: Project) -> None:
        self.project = project

    @classmethod
    def of(cls, project: Project) -> Self:
        """Return those of a project."""
        return cls(project)

    def list(
        self, schema: str = "", *, limit: int = DEFAULT_PAGE, after: str = "", exact: bool = False
    ) -> TableList:
        """Return tables in the order of their names.

        Args:
            schema: Only this one; "" for all but those of the database and of dteg.
            limit: Tables at the most.
            after: `next` of the part before.
            exact: Count the rows of large tables and views too.

        Raises:
            NotFoundError: There is no such schema.
        """
        from dteg.tables.catalogue import list_tables

        with session(self.project) as connection:
            return list_tables(connection, schema, limit=limit, after=after, exact=exact)

    def get(self, table: str, *, exact: bool = False) -> TableDetail:
        """Return one table with its columns.

        Raises:
            NotFoundError: There is none.
        """
        from dteg.tables.catalogue import describe

        with session(self.project) as connection:
            return describe(connection, TableName.parse(table), exact=exact)

    def read(self, request: ReadRequest) -> Rows:
        """Return rows.

        Raises:
            NotFoundError: There is no such table.
            ConfigError: There is no such column, or the condition is none.
        """
        from dteg.tables.read import read_rows

        with session(self.project) as connection:
            return read_rows(connection, request)

    def preview(self, request: CreateRequest, file: "str | Source") -> Preview:
        """Say what a file would become: columns, types and the first rows. Nothing is loaded.

        Args:
            request: As for `create`.
            file: Path, pattern or URL; relative to the current folder.

        Raises:
            ConfigError: The request does not fit the file.
            InputError: The file cannot be read.
        """
        from dteg.tables.loading import preview, source_of

        return preview(self.project, request, source_of(file))

    def create(
        self, request: CreateRequest, file: "str | Source", listener: Listener | None = None
    ) -> CreatedTable:
        """Load a file into a table, whole or not at all.

        Args:
            request: Which table, and how.
            file: Path, pattern or URL; relative to the current folder.
            listener: Told of progress.

        Raises:
            DtegError: It cannot be loaded; nothing in the database has changed.
        """
        from dteg.tables.loading import create_table, source_of

        return create_table(self.project, request, source_of(file), listener)

    def uses(self, table: str) -> Sequence[Use]:
        """Return the views, foreign keys, pipelines, dbt models and datasets that need a table.

        Raises:
            NotFoundError: There is no such table.
        """
        from dteg.tables.deletion import uses_of

        return uses_of(self.project, TableName.parse(table))

    def delete(self, table: str) -> DeletedTable:
        """Delete a table or view that nothing needs.

        Raises:
            NotFoundError: There is none.
            ConflictError: Something needs it; the message lists what.
        """
        from dteg.tables.deletion import delete_table

        return delete_table(self.project, TableName.parse(table))

    def export(self, request: ExportRequest) -> Iterator[bytes]:
        """Yield a file of a table's rows in parts; memory does not grow with the table.

        Raises:
            NotFoundError: There is no such table.
            ConfigError: There is no such column, or the condition is none.
            InputError: The format cannot hold the rows.
        """
        from dteg.tables.export import export

        return export(self.project, request)
