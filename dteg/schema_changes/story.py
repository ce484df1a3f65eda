"""From rows of the outbox, and from differences of the catalogue, to changes that people understand."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from dteg.core.secrets import redact
from dteg.schema_changes.images import PG_CLASS, Image, Images, Key, column_changes
from dteg.schema_changes.models import ColumnChange

_SWAPPED = re.compile(r"__dbt_(?:tmp|backup)\w*$")
# Each refresh of a dataset gives its view another relation to read.
_DATASETS = "ds"
"""dbt builds a table under such a name and then renames it."""


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the outbox; see capture.sql."""

    id: int
    xid: int
    at: datetime
    who: str
    role: str | None
    application: str | None
    client: str | None
    tag: str
    class_: int | None
    object: int | None
    relation: int | None
    kind: str
    schema: str
    name: str
    identity: str
    is_drop: bool
    is_original: bool
    is_routine: bool
    image: Mapping[str, Any] | None
    affected: Sequence[Mapping[str, Any]]
    gone_indexes: Sequence[str]
    ddl: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Event":
        """Read a row of `unread`."""
        same: tuple[str, ...] = (
            "id",
            "at",
            "who",
            "role",
            "application",
            "client",
            "tag",
            "object",
            "relation",
            "kind",
        )
        same += ("is_drop", "is_original", "is_routine", "image")
        values: dict[str, Any] = {name: row[name] for name in same}
        values |= {name: row[name] or "" for name in ("schema", "name", "identity", "ddl")}
        return cls(
            **values,
            xid=int(row["xid_text"]),
            class_=row["class"],
            affected=row["affected"] or [],
            gone_indexes=row["gone_indexes"] or [],
        )

    @property
    def key(self) -> Key | None:
        """Which image it is about."""
        if self.relation is not None:
            return PG_CLASS, self.relation
        return None if self.class_ is None or self.object is None else (self.class_, self.object)


@dataclass(slots=True)
class Draft:
    """A change that has no number yet.

    Attributes:
        event: Where it comes from; None if the snapshot found it.
        before, after: The object; None where it is not there.
        others: Other tables that changed with it: before and after.
    """

    command: str
    kind: str
    schema: str
    object: str
    at: datetime
    event: Event | None = None
    before: Image | None = None
    after: Image | None = None
    routine: bool = False
    others: list[tuple[Image | None, Image | None]] = field(default_factory=list)

    @property
    def relation(self) -> int | None:
        """The oid of the table that it concerns."""
        image = self.after or self.before
        return image.object if image and image.class_ == PG_CLASS else None

    @property
    def table(self) -> str | None:
        """Name of that table."""
        image = self.after or self.before
        return image.full_name if image and image.is_table else None

    @property
    def renamed_from(self) -> str | None:
        """Name before, if it has changed."""
        if self.before is None or self.after is None or self.before.full_name == self.after.full_name:
            return None
        return self.before.full_name

    @property
    def columns(self) -> list[ColumnChange]:
        """What has become of its columns."""
        return column_changes(self.before, self.after)


def needed(events: Sequence[Event]) -> tuple[set[int], set[tuple[str, str]], set[tuple[str, str]]]:
    """Return which images the events need: oids, names of tables, names of indexes."""
    objects = {event.key[1] for event in events if event.key}
    objects |= {event.object for event in events if event.object is not None}
    objects |= {int(other["object"]) for event in events for other in event.affected}
    names = {
        (event.schema, f"{event.name}__dbt_backup") for event in events if event.image and event.relation
    }
    names |= {(event.schema, event.name) for event in events if event.image and event.relation}
    indexes = {_split(name) for event in events for name in event.gone_indexes}
    indexes |= {(event.schema, event.name) for event in events if event.is_drop and event.kind == "index"}
    return objects, names, indexes


def _split(name: str) -> tuple[str, str]:
    schema, _, rest = name.partition(".")
    return schema, rest


def tell(event: Event, images: Images) -> Draft | None:
    """Return the change that an event is, and bring the images up to date; None if nobody is concerned."""
    for name in event.gone_indexes:
        _forget_index(images, *_split(name))
    draft = _dropped(event, images) if event.is_drop else _made(event, images)
    for row in event.affected:
        other = Image.of(row)
        before = images.get(other.key)
        images.put(other)
        if draft is not None:
            draft.others.append((before, other))
    return draft


def _forget_index(images: Images, schema: str, name: str) -> tuple[Image, Image] | None:
    before = images.with_index(schema, name)
    if before is None:
        return None
    after = before.without_index(name)
    images.put(after)
    return before, after


def _dropped(event: Event, images: Images) -> Draft | None:
    command = f"DROP {event.kind.upper()}"
    draft = Draft(command, event.kind, event.schema, event.name or event.identity, event.at, event)
    draft.routine = event.is_routine or bool(_SWAPPED.search(event.name))
    if event.kind == "index":
        if pair := _forget_index(images, event.schema, event.name):
            draft.before, draft.after = pair
        return draft
    if event.key is None:
        return draft if event.is_original else None
    draft.before = images.get(event.key)
    images.drop(event.key)
    if draft.before is None and not event.is_original:
        return None  # a part of something that is told
    if draft.before is None and event.class_ == PG_CLASS:
        # Its making is not known here, as nobody listened yet; its name is enough.
        draft.before = Image(PG_CLASS, event.key[1], event.kind, event.schema, event.name, {})
    elif draft.before is not None:
        draft.object = draft.before.name
    return draft


def _made(event: Event, images: Images) -> Draft | None:
    name = event.name or event.identity
    draft = Draft(event.tag, event.kind, event.schema, name, event.at, event)
    if event.image is None or event.key is None:
        return draft
    known, after = images.get(event.key), Image.of(event.image)
    if event.kind == "sequence" and event.object != event.relation and event.object is not None:
        images.drop((PG_CLASS, event.object))  # it belongs to a table now
    if event.relation is not None and event.object != event.relation:
        draft.object = event.identity.removeprefix(f"{event.schema}.").partition(" on ")[0]
    else:
        draft.kind = after.kind  # also of a column's RENAME and COMMENT
    draft.before, draft.after = known, after
    images.put(after)
    if after.is_table:
        _swapped(draft, images)
    return draft


def _swapped(draft: Draft, images: Images) -> None:
    """See through the ways of dbt and datasets to replace a table: what matters is whether the new one looks like the old."""
    after, before = draft.after, draft.before
    assert after is not None
    if before is not None and after.schema == _DATASETS and after.kind == before.kind == "view":
        draft.routine = not column_changes(before, after)
    if _SWAPPED.search(after.name):
        draft.routine = True
    elif before is not None and _SWAPPED.search(before.name):
        old = images.named(after.schema, f"{after.name}__dbt_backup")
        draft.before = old
        draft.command = f"{'REPLACE' if old else 'CREATE'} {after.kind.upper()}"
        draft.routine = old is not None and not column_changes(old, after) and old.kind == after.kind


def found(before: Image | None, after: Image | None, at: datetime) -> Draft:
    """Return the change that a difference of the catalogue is."""
    image = after or before
    assert image is not None
    word = "CREATE" if before is None else "DROP" if after is None else "ALTER"
    draft = Draft(f"{word} {image.kind.upper()}", image.kind, image.schema, image.name, at)
    draft.before, draft.after = before, after
    return draft


def statement(draft: Draft) -> str:
    """Return the text of the statement without passwords."""
    return redact(draft.event.ddl) if draft.event else ""


def plain(event: Event) -> Draft:
    """Return the change without its images, for an event that cannot be understood otherwise."""
    return Draft(event.tag, event.kind, event.schema, event.name or event.identity, event.at, event)


def rekeyed(image: Image, object_: int) -> Image:
    """Return an image under another oid."""
    return replace(image, object=object_)


def concerned(drafts: Iterable[Draft]) -> Iterable[tuple[Draft, Image, Image | None]]:
    """Yield each table that may have lost something that somebody needs, as it was and as it is."""
    for draft in drafts:
        if draft.routine:
            continue
        for before, after in [(draft.before, draft.after), *draft.others]:
            if before is not None and before.is_table:
                yield draft, before, after
