"""What goes into the operations on sources, and what comes out: plain JSON."""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr

from dteg.core.config import ConfigModel, UnderscoredModel
from dteg.core.identifiers import quote

if TYPE_CHECKING:
    from psycopg.sql import Identifier

WAREHOUSE = "warehouse"
DEFAULT_ROWS = 50
MAX_ROWS = 1_000
MAX_PATTERNS = 200
Progress = Callable[[str, int, int], None]
"""Is told what is done now, how many tables are done, and of how many."""


class Kind(StrEnum):
    """What a source is."""

    POSTGRES = "postgres"
    MYSQL = "mysql"
    MSSQL = "mssql"
    ORACLE = "oracle"
    FILE = "file"
    JSON_API = "json_api"
    GEOJSON = "geojson"
    WAREHOUSE = "warehouse"


class Mode(StrEnum):
    """How its tables come into the warehouse."""

    FDW = "fdw"
    """Read where they are, by a foreign data wrapper."""
    STAGED = "staged"
    """Copied by our extractors, again whenever the copy is too old."""
    LOCAL = "local"
    """They are in the warehouse already."""


class State(StrEnum):
    """Whether a source answers."""

    OK = "ok"
    FAILING = "failing"
    """The last attempt failed."""
    OPEN = "open"
    """Several attempts failed, and no further one is made before `breaker_until`."""


Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")]


def _not_ours(slug: str) -> str:
    if slug == WAREHOUSE:
        raise ValueError(f"{WAREHOUSE} is the source that is always there; choose another name")
    return slug


class Relation(UnderscoredModel):
    """A table, foreign table or view in the warehouse."""

    schema_: str = Field(description="Its schema.")
    name: str = Field(description="Its name.")

    @property
    def sql(self) -> str:
        """The quoted `"schema"."name"`."""
        return f"{quote(self.schema_)}.{quote(self.name)}"

    @property
    def identifier(self) -> "Identifier":
        """The same as a part of a statement that psycopg puts together."""
        from psycopg.sql import Identifier

        return Identifier(self.schema_, self.name)

    def __str__(self) -> str:
        """Render as `schema.name`."""
        return f"{self.schema_}.{self.name}"


class Column(ConfigModel):
    """One column of a table of a source."""

    name: str = Field(description="Its name.")
    type: str = Field(
        "", description="Type in the warehouse, such as `numeric(12,2)`; empty if it is left out."
    )
    remote_type: str = Field("", description="Type in the source, in its own words.")
    nullable: bool = Field(True, description="Whether it may hold nulls.")
    description: str = Field("", description="What the source says about it.")
    exact: bool = Field(
        False,
        description="Whether conditions over it are never sent to the source, where they mean something else.",
    )


class ForeignKey(UnderscoredModel):
    """Columns that refer to a table of the same source."""

    columns: list[str] = Field(description="Columns of this table.")
    schema_: str = Field("", description="Schema of the other table; empty where the kind has none.")
    table: str = Field(description="The other table.")
    ref_columns: list[str] = Field(description="Its columns, in the same order.")


class SourceTable(UnderscoredModel):
    """One table of a source."""

    source: str = Field(description="Slug of the source.")
    schema_: str = Field("", description="Schema in the source; empty where the kind has none.")
    name: str = Field(description="Name in the source.")
    relation: Relation = Field(description="Where it is in the warehouse.")
    columns: list[Column] = Field(description="Columns that can be read, in order.")
    primary_key: list[str] = Field([], description="Columns of the primary key.")
    unique_keys: list[list[str]] = Field([], description="Other sets of columns without repeats.")
    foreign_keys: list[ForeignKey] = Field([], description="References to other tables of the source.")
    row_estimate: int | None = Field(None, description="Rows as the source estimates; null if it does not.")
    row_bytes: int | None = Field(
        None, description="Bytes of a row as the source estimates; null if it does not."
    )
    description: str = Field("", description="What the source says about it.")
    schema_hash: str = Field("", description="Differs when names, types or keys differ.")
    linked: bool = Field(False, description="Whether the relation is there and can be read.")
    problem: str = Field("", description="Why it, or some of its columns, cannot be read.")
    introspected_at: datetime | None = Field(None, description="When it was looked at (UTC).")
    staged_at: datetime | None = Field(None, description="When it was copied, if it is (UTC).")

    @property
    def full_name(self) -> str:
        """`schema.name` or `name`, as people name it."""
        return f"{self.schema_}.{self.name}" if self.schema_ else self.name


def schema_hash(table: SourceTable) -> str:
    """Return a hash of what a dataset could depend on: names, types, nullability and keys; 16 hex digits."""
    facts = [
        [[column.name, column.remote_type, column.type, column.nullable] for column in table.columns],
        table.primary_key,
        sorted(table.unique_keys),
        table.problem,
    ]
    return hashlib.sha256(json.dumps(facts, ensure_ascii=False).encode()).hexdigest()[:16]


class Source(ConfigModel):
    """One source, without its secrets."""

    slug: str = Field(description="Its name, everywhere.")
    kind: Kind = Field(description="What it is.")
    mode: Mode = Field(description="How its tables come into the warehouse.")
    title: str = Field("", description="Its name for people.")
    address: str = Field("", description="Where it is, without password, or the reference that says it.")
    options: dict[str, Any] = Field({}, description="Settings of its kind, without secrets.")
    patterns: list[str] = Field([], description="Which of its tables; all if empty.")
    state: State = Field(State.OK, description="Whether it answers.")
    failures: int = Field(0, description="Failed attempts since the last success.")
    last_ok_at: datetime | None = Field(None, description="When it last answered (UTC).")
    last_error: str = Field("", description="What the last failed attempt said.")
    breaker_until: datetime | None = Field(None, description="No attempt is made before (UTC).")
    tables: int = Field(0, description="Tables that can be read.")
    problems: int = Field(0, description="Tables of which not everything can be read.")
    relayed: bool = Field(
        False, description="Whether it is reached through the relay, which ends what hangs."
    )
    created_at: datetime | None = Field(None, description="When it was added (UTC).")
    linked_at: datetime | None = Field(None, description="When its tables were last looked at (UTC).")


class NewSource(ConfigModel):
    """A source to add."""

    slug: Annotated[Slug, AfterValidator(_not_ours)] = Field(
        description="Its name: small letters, digits and _, a letter first."
    )
    kind: Kind = Field(description="What it is.")
    title: str = Field("", max_length=200, description="Its name for people.")
    url: SecretStr = Field(
        SecretStr(""),
        max_length=4_000,
        description="Where it is: secret://env/NAME, secret://file/PATH, or the URL itself, which is kept encrypted.",
    )
    options: dict[str, Any] = Field({}, max_length=100, description="Settings of its kind.")
    tables: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(
        [],
        max_length=MAX_PATTERNS,
        description="Which tables, such as public.orders, sales.* or !*_old; all if empty.",
    )
    mode: Literal["auto", "fdw", "staged"] = Field(
        "auto", description="fdw: read where they are; staged: copied; auto: fdw if this warehouse can."
    )


class Probe(ConfigModel):
    """Whether a source answers now."""

    ok: bool = Field(description="Whether it does.")
    ms: int = Field(description="How long it took (ms).")
    message: str = Field("", description="What is wrong, and what to do.")
    server: str = Field("", description="What it says it is.")


class TableProblem(ConfigModel):
    """Something of a table that cannot be read."""

    table: str = Field(description="`schema.name` or `name` in the source.")
    message: str = Field(description="Why, and what to do.")
    columns: list[str] = Field(
        [], description="Columns that are left out or read as text; empty: the whole table."
    )


class ColumnDrift(ConfigModel):
    """How a column differs from when it was last looked at."""

    column: str = Field(description="Its name.")
    change: Literal["added", "removed", "changed"] = Field(description="What happened to it.")
    before: str = Field("", description="Its type before.")
    after: str = Field("", description="Its type now.")


class TableDrift(ConfigModel):
    """How a table differs from when it was last looked at."""

    table: str = Field(description="`schema.name` or `name` in the source.")
    change: Literal["added", "removed", "changed"] = Field(description="What happened to it.")
    columns: list[ColumnDrift] = Field([], description="Its columns that differ.")
    broken: list[str] = Field([], description="Datasets that read what is gone or changed.")


class LinkReport(ConfigModel):
    """What became of linking a source."""

    source: Source = Field(description="The source as it is now.")
    linked: int = Field(description="Tables that can be read.")
    problems: list[TableProblem] = Field([], description="What cannot be read.")
    drift: list[TableDrift] = Field([], description="What differs from the time before.")
    seconds: float = Field(0.0, description="Duration (s).")


class RowPage(ConfigModel):
    """Rows of one table, as far as JSON can hold them: exact numbers and dates are texts."""

    columns: list[Column] = Field(description="Columns of each row.")
    rows: list[list[Any]] = Field(description="Values by row.")
    more: bool = Field(description="Whether there are more rows behind these.")
