"""What goes into and comes out of schema changes: plain JSON, times in UTC."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from dteg.core.config import ConfigModel

UseKind = Literal["pipeline", "model", "dataset"]
Difference = Literal[
    "added", "dropped", "renamed", "retyped", "nullable", "not null", "defaulted", "undefaulted"
]


class Use(ConfigModel):
    """Something of the project that works with a table."""

    kind: UseKind = Field(description="What uses it.")
    name: str = Field(description="Its name.")
    file: str = Field("", description="Its file, relative to the project.")
    why: str = Field(description="How it uses the table, for people.")
    role: Literal["reads", "writes"] = Field(
        "reads", description="Whether the table is its source or its result."
    )


class ColumnChange(ConfigModel):
    """What became of one column."""

    name: str = Field(description="Its name; of a renamed column the old one.")
    change: Difference = Field(description="What happened.")
    old_type: str | None = Field(None, description="SQL type before.")
    new_type: str | None = Field(None, description="SQL type after.")
    new_name: str | None = Field(None, description="Its name after, if it was renamed.")


class Broken(ConfigModel):
    """What a change breaks, as the change tells it."""

    kind: UseKind = Field(description="What is broken.")
    name: str = Field(description="Its name.")
    why: str = Field(description="What it misses.")


class SchemaChange(ConfigModel):
    """One change of the shape of a database."""

    id: int = Field(description="Number in the order in which changes were noticed; the cursor of readers.")
    xid: int | None = Field(None, description="64-bit number of its transaction; None if no trigger saw it.")
    database: str = Field(description="Where; empty for what belongs to the whole server, such as roles.")
    at: datetime = Field(description="When it was done; when it was found, if no trigger saw it.")
    noticed_at: datetime = Field(description="When dteg took note.")
    found_by: Literal["trigger", "snapshot"] = Field(
        description="An event trigger, or the look at the catalogue."
    )
    routine: bool = Field(
        False, description="dbt made an object anew as it was before; usually nobody wants to know."
    )
    who: str | None = Field(None, description="User of the session; None if nobody can know.")
    role: str | None = Field(None, description="Role that the session had taken on by SET ROLE.")
    application: str | None = Field(None, description="Name of the client program.")
    client: str | None = Field(None, description="Address of the client; None for a unix socket.")
    command: str = Field(description="Such as `ALTER TABLE`.")
    kind: str = Field(description="Kind of the object, such as `table`.")
    schema_name: str = Field("", alias="schema", description="Schema of the object; empty if it has none.")
    object: str = Field(description="Name of the object; of an index or trigger that of its table as well.")
    table: str | None = Field(
        None, description="`schema.table` that it concerns, by its name after the change."
    )
    renamed_from: str | None = Field(None, description="Name before, if it has changed.")
    columns: list[ColumnChange] = Field([], description="What became of its columns.")
    before: dict[str, Any] | None = Field(None, description="What the object was like.")
    after: dict[str, Any] | None = Field(None, description="What it is like now.")
    ddl: str = Field("", description="The statement as it was sent, shortened, without passwords.")
    breaks: list[Broken] = Field([], description="What of the project it breaks.")

    model_config = ConfigModel.model_config | {"populate_by_name": True, "serialize_by_alias": True}

    @property
    def summary(self) -> str:
        """One line for people."""
        place = ".".join(part for part in (self.schema_name, self.object) if part)
        if self.table and self.table != place:
            place = f"{self.object} of {self.table}"
        parts = [
            f"{self.command} {place}" if place else f"{self.command}: {' '.join(self.ddl.split())[:100]}"
        ]
        if self.renamed_from:
            parts.append(f"was {self.renamed_from}")
        parts += [describe(column) for column in self.columns]
        return "; ".join(parts)


def describe(column: ColumnChange) -> str:
    """Say in a few words what became of a column."""
    match column.change:
        case "renamed":
            return f"{column.name} renamed to {column.new_name}"
        case "retyped":
            return f"{column.name} {column.old_type} -> {column.new_type}"
        case "added":
            return f"{column.name} {column.new_type} added"
        case "dropped":
            return f"{column.name} {column.old_type} dropped"
        case "nullable" | "not null":
            return f"{column.name} now {column.change}"
        case _:
            return f"{column.name} {'has' if column.change == 'defaulted' else 'has no'} default now"


class ChangeFilter(ConfigModel):
    """Which changes are wanted; everything left out does not matter."""

    database: str | None = Field(None, description="In this database.")
    table: str | None = Field(None, description="Of this `schema.table`, also under its earlier names.")
    kind: str | None = Field(None, description="Of objects of this kind.")
    who: str | None = Field(None, description="By this user.")
    found_by: Literal["trigger", "snapshot"] | None = Field(None, description="Found this way.")
    since: datetime | None = Field(None, description="Not before this time.")
    breaking: bool = Field(False, description="Only those that broke something.")
    routine: bool = Field(False, description="Also what dbt made anew as it was before.")


class ChangePage(ConfigModel):
    """Some changes, newest first."""

    items: list[SchemaChange] = Field(description="The changes.")
    next: int | None = Field(None, description="`before` of the next, older page; None at the end.")


class Blocker(ConfigModel):
    """The transaction that holds the horizon."""

    pid: int | None = Field(None, description="Its process; None for a prepared transaction.")
    user: str = Field("", description="Its user.")
    database: str = Field("", description="Where it works.")
    application: str = Field("", description="Name of its program.")
    state: str = Field("", description="Such as `idle in transaction`.")
    age_s: float = Field(0, description="Age of the transaction in seconds.")


class Listening(ConfigModel):
    """How it stands with one database."""

    database: str = Field(description="Its name.")
    mode: Literal["triggers", "snapshot"] = Field(
        description="By triggers and snapshots, or by snapshots alone."
    )
    state: Literal["on", "damaged", "unreachable"] = Field(description="Whether changes are captured.")
    message: str = Field("", description="What is wrong and what to do.")
    truncate: list[str] = Field([], description="Tables whose TRUNCATE is captured.")
    listened_at: datetime = Field(description="Since when.")
    looked_at: datetime | None = Field(None, description="When its events were read last.")
    snapshot_at: datetime | None = Field(None, description="When its catalogue was compared last.")
    cursor: int = Field(0, description="All events of transactions below this number were read.")
    lost: int = Field(0, description="Statements whose capture failed; the snapshot finds what they did.")
    horizon_age_s: float = Field(0, description="Age of the oldest transaction that writes, in seconds.")
    blocker: Blocker | None = Field(None, description="That transaction, when it is old.")


class Break(ConfigModel):
    """Something of the project that a change of a table broke."""

    id: int = Field(description="Its number.")
    database: str = Field(description="Where the table is.")
    table: str = Field(description="`schema.table`.")
    column: str | None = Field(None, description="The column; None if it is the whole table.")
    expected: str | None = Field(None, description="SQL type that the column had.")
    kind: UseKind = Field(description="What is broken.")
    name: str = Field(description="Its name.")
    file: str = Field("", description="Its file.")
    why: str = Field(description="What it misses.")
    change: int = Field(description="The change that did it.")
    since: datetime = Field(description="Since when.")
    mended_at: datetime | None = Field(None, description="Since when it is no longer so.")
    mended_by: str | None = Field(None, description="What mended it.")


class NewListening(ConfigModel):
    """What is to be listened to."""

    database: str = Field(
        "", description="A database of the warehouse's server; empty for the warehouse itself."
    )
    truncate: list[str] | None = Field(
        None, description="Tables whose TRUNCATE is captured as well; null leaves it as it is."
    )
    keeps_text: bool = Field(True, description="Whether the text of statements is kept.")
    snapshot_only: bool = Field(False, description="Install nothing; compare the catalogue only.")


class News(ConfigModel):
    """What came after a cursor."""

    items: list[SchemaChange] = Field(description="Changes, oldest first.")
    cursor: int = Field(description="What to ask with the next time.")
