"""GeoJSON as a source: a feature is a row of its properties, with its geometry and bounds beside them."""

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from dteg.core.errors import InputError
from dteg.core.geojson import MAX_BYTES, Collection, Feature, read_features
from dteg.sources.kinds import Link
from dteg.sources.models import SourceTable
from dteg.sources.staging.copying import Reading, columns_of
from dteg.sources.staging.files import FileLinker
from dteg.sources.staging.linker import one_table, table_name
from dteg.sources.staging.options import GeoJsonOptions
from dteg.sources.staging.places import check_place, local_file, name_of

FEATURE, FEATURE_ID, GEOMETRY = "feature_number", "feature_id", "geometry"
BOUNDS = ("west", "south", "east", "north")
_OWN: dict[str, str] = {
    FEATURE: "integer", FEATURE_ID: "text", GEOMETRY: "jsonb", **dict.fromkeys(BOUNDS, "double precision")
}  # fmt: skip


class GeoJsonLinker(FileLinker):
    """Copies the features of one file."""

    def check(self, link: Link) -> None:
        """Refuse settings that cannot be right.

        Raises:
            ConfigError: They are not.
        """
        check_place(link)

    def introspect(self, link: Link) -> list[SourceTable]:
        """Check the file, and find the types of the properties."""
        options: GeoJsonOptions = link.options
        with _as_rows(link) as (reading, collection):
            columns = columns_of(link.project, reading)
        name = table_name(options.table, name_of(options), link.slug)
        return one_table(link, name, columns, primary_key=[FEATURE], rows=len(collection.features))

    @contextmanager
    def reading(self, link: Link, left_s: float = math.inf) -> Iterator[Reading]:
        """Yield how to read the features as rows."""
        with _as_rows(link, left_s) as (reading, _):
            yield reading


@contextmanager
def _as_rows(link: Link, left_s: float = math.inf) -> Iterator[tuple[Reading, Collection]]:
    """Yield how to read the features as rows, once they have been checked."""
    options: GeoJsonOptions = link.options
    name = name_of(options)
    with local_file(link, left_s) as path:
        collection = read_features(_unpacked(path), name, simplify=options.simplify)
    _refuse_own_names(collection, name)
    with tempfile.TemporaryDirectory(prefix="dteg-geo-") as folder:
        rows = Path(folder) / "features.jsonl"
        with rows.open("wb") as file:
            for feature in collection.features:
                file.write(orjson.dumps(_row(feature), option=orjson.OPT_APPEND_NEWLINE))
        config = {"path": rows.name, "format": "jsonl", "stream": "rows", "columns": _OWN}
        yield Reading("files", config, "rows", rows.parent, (FEATURE,)), collection


def _row(feature: Feature) -> dict[str, Any]:
    bounds = feature.box or (None, None, None, None)
    return {
        FEATURE: feature.number, FEATURE_ID: feature.id, **feature.properties,
        GEOMETRY: feature.geometry, **dict(zip(BOUNDS, bounds, strict=True)),
    }  # fmt: skip


def _refuse_own_names(collection: Collection, source: str) -> None:
    for feature in collection.features:
        if taken := _OWN.keys() & feature.properties.keys():
            name = min(taken)
            raise InputError(
                f"feature {feature.number} has a property {name!r}, which is the name of a column that is made from the "
                "geometry; rename it",
                source=source,
            )


def _unpacked(path: Path) -> bytes:
    """Return a file, unpacked if it is one of gzip, but no more than can be taken."""
    import gzip
    import zlib

    if path.suffix.lower() != ".gz":
        return path.read_bytes()
    try:
        with gzip.open(path) as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"the archive cannot be unpacked: {error}", source=path.name) from None
