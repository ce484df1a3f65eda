"""Tables of a studio, over HTTP: the same methods as `Tables`."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dteg.core.errors import InputError, UnavailableError
from dteg.core.problem_codes import error_for_code
from dteg.pipelines.listener import Listener
from dteg.studio_client import StudioClient, quoted
from dteg.tables.models import (
    CreatedTable,
    CreateRequest,
    DeletedTable,
    ExportRequest,
    Job,
    Preview,
    ReadRequest,
    Rows,
    Selection,
    TableDetail,
    TableList,
    Upload,
    Use,
)
from dteg.tables.service import DEFAULT_PAGE

if TYPE_CHECKING:
    from dteg.tables.loading import Source

_LOOK_S = (0.05, 0.1, 0.2, 0.5)
_LOOK_LAST_S = 1.0
# A job that has said nothing for so long is not asked about for ever.
_LOST_AFTER_S = 60.0


class RemoteTables:
    """The tables of a studio.

    Args:
        client: Talks with it.
    """

    def __init__(self, client: StudioClient) -> None:
        self._client = client

    def list(
        self, schema: str = "", *, limit: int = DEFAULT_PAGE, after: str = "", exact: bool = False
    ) -> TableList:
        """Return tables in the order of their names."""
        found = self._client.get("/tables", schema=schema, limit=limit, after=after, exact=exact or None)
        return TableList.model_validate(found)

    def get(self, table: str, *, exact: bool = False) -> TableDetail:
        """Return one table with its columns."""
        return TableDetail.model_validate(self._client.get(_path(table), exact=exact or None))

    def read(self, request: ReadRequest) -> Rows:
        """Return rows; many of them are asked for in parts."""
        path, wanted = f"{_path(request.table)}/rows", request.limit or 0
        query = _selection(request)
        found = Rows.model_validate(self._client.get(path, **query | {"after": request.after or None}))
        rows = list(found.rows)
        while found.next is not None and len(rows) < wanted:
            query |= {"after": found.next, "limit": wanted - len(rows)}
            found = Rows.model_validate(self._client.get(path, **query))
            rows += found.rows
        return found.model_copy(update={"rows": rows})

    def preview(self, request: CreateRequest, file: "str | Source") -> Preview:
        """Send a file and say what it would become; nothing is loaded."""
        upload = self._send(file)
        try:
            found = self._client.post(f"/tables/uploads/{upload.id}/preview", request.model_dump(mode="json"))
            return Preview.model_validate(found)
        finally:
            self._client.delete(f"/tables/uploads/{upload.id}")

    def create(
        self, request: CreateRequest, file: "str | Source", listener: Listener | None = None
    ) -> CreatedTable:
        """Send a file, have it loaded, and wait for it."""
        told = listener or Listener()
        told.stream_started(request.table, request.table)
        upload = self._send(file)
        body = request.model_dump(mode="json")
        job = Job.model_validate(self._client.post(f"/tables/uploads/{upload.id}/load", body))
        return self._waited(job, told)

    def uses(self, table: str) -> Sequence[Use]:
        """Return what needs a table."""
        return [Use.model_validate(each) for each in self._client.get(f"{_path(table)}/uses")["items"]]

    def delete(self, table: str) -> DeletedTable:
        """Delete a table that nothing needs."""
        return DeletedTable.model_validate(self._client.delete(_path(table)))

    def export(self, request: ExportRequest) -> Iterator[bytes]:
        """Yield a file of a table's rows in parts."""
        query: dict[str, Any] = {
            **_selection(request), "format": request.format, "formula_guard": request.formula_guard
        }  # fmt: skip
        with self._client.stream(f"{_path(request.table)}/export", **query) as answer:
            yield from answer.iter_bytes()

    def _send(self, file: "str | Source") -> Upload:
        from dteg.tables.loading import source_of

        source = source_of(file)
        path = source.folder / source.path
        if not path.is_file():
            raise InputError(
                "there is no such file; only a file of this machine can be sent to a studio",
                source=source.path,
            )
        return Upload.model_validate(self._client.upload("/tables/uploads", path, name=path.name))

    def _waited(self, job: Job, told: Listener) -> CreatedTable:
        """Ask for a job until it is done."""
        looks = iter(_LOOK_S)
        shown, heard = job.bytes, time.monotonic()
        while job.state in ("waiting", "running"):
            time.sleep(next(looks, _LOOK_LAST_S))
            try:
                job = Job.model_validate(self._client.get(f"/tables/jobs/{job.id}"))
                heard = time.monotonic()
            except UnavailableError:
                if time.monotonic() - heard > _LOST_AFTER_S:
                    raise
            told.bytes_relayed(job.table, max(job.bytes - shown, 0))
            shown = job.bytes
        if job.created is None:
            raise error_for_code(job.code, job.error, [], 5.0)
        return job.created


def _path(table: str) -> str:
    from dteg.core.identifiers import TableName

    return f"/tables/{quoted(str(TableName.parse(table)))}"


def _selection(request: Selection) -> dict[str, Any]:
    """Return what a request says, for the query of an address."""
    return {
        "columns": request.columns or None, "where": request.where, "order_by": request.order_by,
        "limit": request.limit,
    }  # fmt: skip
