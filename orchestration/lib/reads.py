"""What a dataset reads, as assets."""

from dataclasses import dataclass

import dagster as dg

from orchestration.lib.sources import table_key

FOLDER = "ds"
DICTIONARIES = "dict"


def dataset_key(slug: str) -> dg.AssetKey:
    """Return the key of the dataset of a file."""
    return dg.AssetKey([FOLDER, slug])


@dataclass(frozen=True, slots=True)
class Reads:
    """What a dataset reads.

    Attributes:
        tables: Tables of sources, as (source, `schema.name` or `name`).
        dictionaries: Slugs.
        datasets: Slugs.
    """

    tables: list[tuple[str, str]]
    dictionaries: list[str]
    datasets: list[str]

    @property
    def keys(self) -> list[dg.AssetKey]:
        """Keys of all of it."""
        return [
            *(table_key(source, table) for source, table in self.tables),
            *(dg.AssetKey([DICTIONARIES, slug]) for slug in self.dictionaries),
            *(dataset_key(slug) for slug in self.datasets),
        ]
