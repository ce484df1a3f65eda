"""Which charts need a dataset, for whoever wants to remove or change it."""

from typing import Any

import psycopg

from dteg.core.control import ensure
from dteg.tables.models import Use

_CHARTS = "SELECT slug FROM _dteg.charts WHERE spec #>> '{source,dataset}' = %s ORDER BY slug"


def uses_of_dataset(connection: psycopg.Connection[Any], dataset: str) -> list[Use]:
    """Return the charts that are drawn of a dataset.

    Args:
        connection: A connection to the warehouse, as its user.
        dataset: Slug of the dataset.
    """
    ensure(connection, "charts")
    rows = connection.execute(_CHARTS, [dataset]).fetchall()
    return [Use(kind="chart", name=name, why="is drawn of it") for (name,) in rows]
