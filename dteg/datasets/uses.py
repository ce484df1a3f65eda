"""Which datasets read a table of the warehouse, for those who change or delete it."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from dteg.core.errors import DtegError
from dteg.core.identifiers import TableName
from dteg.core.postgres import connect
from dteg.datasets.models import VIEW_SCHEMA, Dependency

WAREHOUSE = "warehouse"
# Pipelines and models are told of also where the warehouse does not answer.
CONNECT_TIMEOUT_S = 3
_READS = """
SELECT d.slug, d.file, d.spec, json_agg(json_build_object('kind', p.kind, 'name', p.name))
FROM _dteg.datasets AS d INNER JOIN _dteg.dataset_dependencies AS p ON p.dataset = d.slug
GROUP BY d.slug ORDER BY d.slug
"""


@dataclass(frozen=True)
class Reader:
    """A dataset and what it reads.

    Attributes:
        slug: Its name.
        file: Its file, if it is made from one.
        spec: Its definition.
        depends_on: What it reads.
    """

    slug: str
    file: str
    spec: dict[str, Any]
    depends_on: Sequence[Dependency]

    def reads(self, table: TableName) -> bool:
        """Whether it reads a table, dictionary or dataset of the warehouse by this name."""
        return any(_is(each, table) for each in self.depends_on)


def readers(url: str) -> list[Reader]:
    """Return all datasets with what they read; none where the warehouse has none or does not answer.

    Args:
        url: Of the warehouse; the server is not started for this.
    """
    with (
        contextlib.suppress(DtegError, psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName),
        connect(make_conninfo(url, connect_timeout=CONNECT_TIMEOUT_S), component="warehouse") as connection,
    ):
        return [
            Reader(slug, file, spec, [Dependency.model_validate(each) for each in depends_on])
            for slug, file, spec, depends_on in connection.execute(_READS).fetchall()
        ]
    return []


def _is(dependency: Dependency, table: TableName) -> bool:
    if dependency.kind == "dictionary":
        return table == TableName("dict", dependency.name)
    if dependency.kind == "dataset":
        return table == TableName(VIEW_SCHEMA, dependency.name)
    return dependency.name == f"{WAREHOUSE}/{table}"
