"""What objects looked like, and what has become of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from dteg.schema_changes.models import ColumnChange
from dteg.schema_changes.sql import WAREHOUSE

PG_CLASS = 1259
"""The class of tables, views and indexes: this oid is the same in every PostgreSQL."""
TABLE_KINDS = ("table", "view", "materialized view", "foreign table")
Key = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Image:
    """One object.

    Attributes:
        class_: oid of the catalogue it is in.
        object: Its oid there.
        kind: Such as `table`.
        schema: Its schema; empty if it has none.
        name: Its name.
        image: What it looks like.
    """

    class_: int
    object: int
    kind: str
    schema: str
    name: str
    image: Mapping[str, Any]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Image":
        """Read a row of `images`."""
        values = (row[name] for name in ("class", "object", "kind", "schema", "name", "image"))
        class_, object_, kind, schema, name, image = values
        return cls(int(class_), int(object_), kind, schema or "", name or "", image)

    @property
    def key(self) -> Key:
        """What identifies it, whatever its name."""
        return self.class_, self.object

    @property
    def is_table(self) -> bool:
        """Whether it has columns that people read."""
        return self.class_ == PG_CLASS and self.kind in TABLE_KINDS

    @property
    def full_name(self) -> str:
        """`schema.name`."""
        return f"{self.schema}.{self.name}" if self.schema else self.name

    @property
    def columns(self) -> Sequence[Mapping[str, Any]]:
        """Its columns in order."""
        return self.image.get("columns") or []

    def types(self) -> dict[str, str]:
        """Return the type of each column."""
        return {column["name"]: column["type"] for column in self.columns}

    def without_index(self, name: str) -> "Image":
        """Return it as it is after one of its indexes is gone."""
        indexes = {key: value for key, value in self.image.get("indexes", {}).items() if key != name}
        constraints = {key: value for key, value in self.image.get("constraints", {}).items() if key != name}
        return replace(self, image={**self.image, "indexes": indexes, "constraints": constraints})


def column_changes(before: Image | None, after: Image | None) -> list[ColumnChange]:
    """Return what has become of the columns: by their numbers if it is the same object, else by their names."""
    if before is None or after is None:
        return []
    by = "number" if before.key == after.key else "name"
    old = {column[by]: column for column in before.columns}
    new = {column[by]: column for column in after.columns}
    changes = [
        ColumnChange(name=c["name"], change="dropped", old_type=c["type"])
        for n, c in old.items()
        if n not in new
    ]
    for number, column in new.items():
        known = old.get(number)
        if known is None:
            changes.append(ColumnChange(name=column["name"], change="added", new_type=column["type"]))
        else:
            changes += _changes_of(known, column)
    return changes


def _changes_of(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterable[ColumnChange]:
    types = {"old_type": old["type"], "new_type": new["type"]}
    if old["name"] != new["name"]:
        yield ColumnChange(name=old["name"], change="renamed", new_name=new["name"], **types)
    if old["type"] != new["type"]:
        yield ColumnChange(name=new["name"], change="retyped", **types)
    if old["not_null"] != new["not_null"]:
        yield ColumnChange(name=new["name"], change="not null" if new["not_null"] else "nullable", **types)
    if old["default"] != new["default"]:
        yield ColumnChange(name=new["name"], change="defaulted" if new["default"] else "undefaulted", **types)


class Images:
    """Known images of one database, as far as a batch of events needs them; what changes is written at the end.

    Args:
        connection: A connection to the warehouse, in a transaction.
        database: Whose images.
    """

    def __init__(self, connection: psycopg.Connection[Any], database: str) -> None:
        self._connection, self.database = connection, database
        self._known: dict[Key, Image] = {}
        self._changed: dict[Key, Image | None] = {}

    def load(
        self,
        objects: Iterable[int],
        names: Iterable[tuple[str, str]],
        indexes: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Read the images of objects by oid or by schema and name, and of the tables with indexes of these names."""
        names, indexes = list(names), list(indexes)
        values = {
            "database": self.database,
            "objects": list(objects),
            "schemas": [schema for schema, _ in names],
            "names": [name for _, name in names],
        }
        rows = self._rows("images_of", values)
        if indexes:
            values |= {"schemas": [schema for schema, _ in indexes], "names": [name for _, name in indexes]}
            rows += self._rows("images_with_index", values)
        for row in rows:
            image = Image.of(row)
            if image.key not in self._changed:
                self._known[image.key] = image

    def _rows(self, query: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(WAREHOUSE[query], values).fetchall()

    def get(self, key: Key) -> Image | None:
        """Return one."""
        return self._known.get(key)

    def named(self, schema: str, name: str) -> Image | None:
        """Return the table of a name."""
        found = (each for each in self._known.values() if each.is_table)
        return next((each for each in found if (each.schema, each.name) == (schema, name)), None)

    def with_index(self, schema: str, name: str) -> Image | None:
        """Return the table that has an index."""
        return next(
            (
                each
                for each in self._known.values()
                if each.schema == schema and name in (each.image.get("indexes") or {})
            ),
            None,
        )

    def put(self, image: Image) -> None:
        """Take in what an object looks like now."""
        self._known[image.key] = self._changed[image.key] = image

    def drop(self, key: Key) -> None:
        """Forget an object that is gone."""
        self._known.pop(key, None)
        self._changed[key] = None

    def save(self) -> None:
        """Write what has changed."""
        gone = [key for key, image in self._changed.items() if image is None]
        with self._connection.cursor() as cursor:
            if gone:
                cursor.executemany(
                    WAREHOUSE["drop_image"],
                    [{"database": self.database, "class": key[0], "object": key[1]} for key in gone],
                )
            if there := [image for image in self._changed.values() if image is not None]:
                cursor.executemany(WAREHOUSE["save_image"], [_row(self.database, image) for image in there])
        self._changed.clear()


def _row(database: str, image: Image) -> dict[str, Any]:
    return {
        "database": database, "class": image.class_, "object": image.object, "kind": image.kind,
        "schema": image.schema, "name": image.name, "image": Jsonb(dict(image.image)),
    }  # fmt: skip
