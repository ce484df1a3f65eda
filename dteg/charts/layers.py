"""Geo layers: the areas that maps are drawn of, kept in the warehouse."""

import threading
from datetime import datetime
from typing import Annotated, Any, Self

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from pydantic import Field

from dteg.charts.geo import read_layer
from dteg.charts.models import Slug
from dteg.core.config import ConfigModel
from dteg.core.control import session
from dteg.core.errors import ConflictError, NotFoundError
from dteg.core.project import Project
from dteg.core.suggest import did_you_mean

_DOMAIN = "charts"
_KEPT_LAYERS = 8
_COLUMNS = "slug, title, properties, bbox, feature_count, vertices, vertices_before, bytes, created_at"
_SAVE = """
INSERT INTO _dteg.geo_layers
(slug, title, features, properties, bbox, feature_count, vertices, vertices_before, bytes)
VALUES (%(slug)s, %(title)s, %(features)s, %(properties)s, %(bbox)s, %(feature_count)s, %(vertices)s,
    %(vertices_before)s, %(bytes)s)
ON CONFLICT (slug) DO UPDATE SET title = excluded.title, features = excluded.features,
    properties = excluded.properties, bbox = excluded.bbox, feature_count = excluded.feature_count,
    vertices = excluded.vertices, vertices_before = excluded.vertices_before, bytes = excluded.bytes,
    created_at = now()
WHERE %(replace)s
"""


class GeoLayer(ConfigModel):
    """One geo layer, without its features."""

    slug: str = Field(description="Slug: how maps name it.")
    title: str = Field(description="Title.")
    properties: list[str] = Field(description="Properties that every feature has.")
    bbox: list[float] = Field(description="West, south, east, north, in degrees.")
    feature_count: int = Field(description="Features.")
    vertices: int = Field(description="Points after simplification.")
    vertices_before: int = Field(description="Points of the file.")
    bytes: int = Field(description="Size of its GeoJSON.")
    created_at: datetime = Field(description="When it was made, UTC.")


class NewGeoLayer(ConfigModel):
    """What a geo layer is called."""

    slug: Slug = Field(description="Slug.")
    title: Annotated[str, Field(max_length=120)] = Field("", description="Title; default: the slug.")
    replace: bool = Field(False, description="Whether there may be one of this name.")


class GeoLayers:
    """The geo layers of a project.

    Args:
        project: Whose.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        # A layer is megabytes of JSON, and one that is drawn is drawn again soon.
        self._kept: dict[tuple[str, datetime], dict[str, Any]] = {}
        self._lock = threading.Lock()

    @classmethod
    def of(cls, project: Project) -> Self:
        """Return those of a project."""
        return cls(project)

    def add(self, new: NewGeoLayer, content: bytes, name: str = "") -> GeoLayer:
        """Check, simplify and keep a GeoJSON file.

        Args:
            new: What it is called.
            content: The file.
            name: Its name, for messages.

        Raises:
            InputError: It is no GeoJSON that can be drawn.
            ConflictError: There is one of this name.
        """
        import orjson

        layer = read_layer(content, name)
        size = len(orjson.dumps(layer.features))
        values = {
            **new.model_dump(), "title": new.title or new.slug.replace("_", " "),
            "features": Jsonb(layer.features, dumps=orjson.dumps), "properties": layer.properties,
            "bbox": list(layer.bbox), "feature_count": len(layer.features["features"]), "vertices": layer.vertices,
            "vertices_before": layer.vertices_before, "bytes": size,
        }  # fmt: skip
        with session(self._project, _DOMAIN) as connection:
            if connection.execute(_SAVE, values).rowcount == 0:
                raise ConflictError(f"there is a geo layer {new.slug!r}; replace it, or choose another name")
        return self.get(new.slug)

    def layers(self) -> list[GeoLayer]:
        """Return all geo layers by name."""
        with session(self._project, _DOMAIN) as connection, connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(f"SELECT {_COLUMNS} FROM _dteg.geo_layers ORDER BY slug").fetchall()  # noqa: S608
        return [GeoLayer.model_validate(row) for row in rows]

    def get(self, slug: str) -> GeoLayer:
        """Return one geo layer.

        Raises:
            NotFoundError: There is no such layer.
        """
        found = {layer.slug: layer for layer in self.layers()}
        if slug not in found:
            raise NotFoundError(
                f"there is no geo layer {slug!r}; {did_you_mean(slug, found) or 'add one first'}"
            )
        return found[slug]

    def features(self, slug: str) -> dict[str, Any]:
        """Return the FeatureCollection of a layer; do not change it.

        Raises:
            NotFoundError: There is no such layer.
        """
        layer = self.get(slug)
        key = (slug, layer.created_at)
        with self._lock:
            if key in self._kept:
                return self._kept[key]
        with session(self._project, _DOMAIN) as connection:
            row = connection.execute(
                "SELECT features FROM _dteg.geo_layers WHERE slug = %s", [slug]
            ).fetchone()
        if row is None:
            raise NotFoundError(f"there is no geo layer {slug!r}")
        with self._lock:
            if len(self._kept) >= _KEPT_LAYERS:
                self._kept.clear()
            self._kept[key] = row[0]
        features: dict[str, Any] = row[0]
        return features

    def remove(self, slug: str) -> None:
        """Delete a layer that no chart uses.

        Raises:
            NotFoundError: There is no such layer.
            ConflictError: A chart uses it.
        """
        with session(self._project, _DOMAIN) as connection:
            used = connection.execute(
                "SELECT slug FROM _dteg.charts WHERE spec #>> '{map,layer}' = %s ORDER BY 1", [slug]
            ).fetchall()
            if used:
                raise ConflictError(
                    f"the geo layer {slug!r} is used by: {', '.join(row[0] for row in used)}; change or remove these first"
                )
            if connection.execute("DELETE FROM _dteg.geo_layers WHERE slug = %s", [slug]).rowcount == 0:
                raise NotFoundError(f"there is no geo layer {slug!r}")
