"""Rows of a dataset, as readers see them."""

from typing import TYPE_CHECKING

from psycopg import errors as pg_errors

from dteg.core.control import session
from dteg.core.errors import ConflictError
from dteg.datasets import store
from dteg.datasets.models import VIEW_SCHEMA, Dataset, DatasetColumn, RowPage, RowQuery

if TYPE_CHECKING:
    from dteg.datasets.service import Datasets


def read_page(datasets: "Datasets", slug: str, query: RowQuery) -> RowPage:
    """Return rows from the stable view; see `Datasets.rows`."""
    from dteg.tables.models import ReadRequest
    from dteg.tables.read import read_rows

    dataset = datasets.get(slug)
    if dataset.live is None:
        raise ConflictError(
            f"dataset {slug} has no rows yet{f' ({dataset.problem})' if dataset.problem else ''}; make them: "
            f"dteg dataset refresh {slug}"
        )
    request = ReadRequest(
        table=f"{VIEW_SCHEMA}.{slug}", columns=list(query.columns), where=query.where,
        order_by=query.order or _order(dataset), limit=query.limit, after=query.offset,
    )  # fmt: skip
    with session(datasets.project, "datasets") as connection:
        try:
            found = read_rows(connection, request)
        except pg_errors.ObjectNotInPrerequisiteState:
            raise ConflictError(f"{store.NOT_RESTORED}; refresh it: dteg dataset refresh {slug}") from None
    known = {each.name: each for each in dataset.live.columns}
    return RowPage(
        dataset=slug,
        generation=dataset.live.n,
        data_as_of=dataset.live.data_as_of,
        columns=[
            known.get(each.name) or DatasetColumn(name=each.name, type=each.type) for each in found.columns
        ],
        rows=found.rows,
        more=found.next is not None,
        next=found.next,
    )


def _order(dataset: Dataset) -> str:
    """Return the column that pages are ordered by: the first of the key, which has an index."""
    key = (dataset.spec.get("cache") or {}).get("key") or []
    names = {column.name for column in dataset.live.columns} if dataset.live else set()
    return str(key[0]) if key and key[0] in names else ""
