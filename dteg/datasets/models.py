"""Datasets as people and programs see them: plain JSON, times in UTC."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from dteg.core.config import ConfigModel

if TYPE_CHECKING:
    from dteg.datasets.spec import DatasetSpec

SLUG_PATTERN = r"^[a-z][a-z0-9_]{0,40}$"
# Words that pages and routes have below /datasets.
RESERVED_SLUGS = frozenset(["new", "builder", "preview", "joins", "schema", "validate", "check"])
CACHE_SCHEMA = "ds_cache"
VIEW_SCHEMA = "ds"

Slug = Annotated[str, Field(pattern=SLUG_PATTERN)]
Origin = Literal["file", "page", "api"]


class DatasetState(StrEnum):
    """What a dataset is ready for."""

    DRAFT = "draft"
    """Saved, but never refreshed with success: there is nothing to read."""
    ACTIVE = "active"
    """It has rows to read."""
    BROKEN = "broken"
    """What it reads changed so that it cannot be refreshed; the last rows are still served."""


class GenerationStatus(StrEnum):
    """Where one copy of the rows is on its way."""

    BUILDING = "building"
    BUILT = "built"
    """Its rows are there, and not checked yet."""
    CHECKED = "checked"
    """No blocking check failed: it may be published."""
    LIVE = "live"
    """What readers see."""
    RETIRED = "retired"
    """Was live; a rollback can bring it back."""
    FAILED = "failed"
    DROPPED = "dropped"

    @property
    def ended(self) -> bool:
        """Whether its refresh has come to an end, good or bad."""
        return self in (self.LIVE, self.RETIRED, self.FAILED, self.DROPPED)


class DatasetColumn(ConfigModel):
    """One column of a dataset."""

    name: str = Field(description="Its name.")
    type: str = Field(
        description="SQL type as PostgreSQL spells it, such as `numeric(12,2)` or `timestamp with time zone`."
    )
    nullable: bool = Field(True, description="Whether it may hold nulls, as far as the sources say.")


class Dependency(ConfigModel):
    """Something that a dataset reads."""

    kind: Literal["source_table", "dictionary", "dataset"] = Field(description="What it is.")
    name: str = Field(
        description="`source/schema.table` (`source/table` without a schema), or the slug of a dictionary or dataset."
    )

    @property
    def source(self) -> str:
        """The slug of the source; empty for a dictionary or dataset."""
        return self.name.split("/", 1)[0] if self.kind == "source_table" else ""


class CheckResult(ConfigModel):
    """What one check says of one generation."""

    name: str = Field(description="Which check, such as `unique: country, day`.")
    passed: bool = Field(description="Whether the rows are as they should be.")
    message: str = Field("", description="What was found.")
    blocking: bool = Field(True, description="Whether rows that fail it are not published.")


class Generation(ConfigModel):
    """One copy of the rows of a dataset, built at one time."""

    dataset: str = Field(description="Slug of the dataset.")
    n: int = Field(description="Number, counted up from 1.")
    relation: str = Field(description="Its materialized view, `ds_cache.<slug>__g<n>`.")
    status: GenerationStatus = Field(description="Where it is on its way.")
    started_at: datetime = Field(description="When its build began.")
    finished_at: datetime | None = Field(None, description="When it was built, or failed.")
    published_at: datetime | None = Field(None, description="When readers saw it first, or again.")
    rows: int | None = Field(None, description="Rows; null until it is built.")
    bytes: int | None = Field(None, description="Size with indexes (bytes).")
    seconds: float | None = Field(None, description="Time of the build with indexes and checks (s).")
    data_as_of: datetime | None = Field(None, description="How old its oldest source was when it was read.")
    error: str = Field("", description="Why it failed.")
    run_id: str = Field("", description="Run that built it.")
    revision: int = Field(1, description="Revision of the definition that it was built by.")
    checks: list[CheckResult] = Field([], description="What the checks said.")
    columns: list[DatasetColumn] = Field([], description="Its columns.")


class Dataset(ConfigModel):
    """One dataset and how its rows are."""

    slug: str = Field(description="Its name in addresses, files and SQL.")
    title: str = Field("", description="Its name for people.")
    description: str = Field("", description="What it is for.")
    origin: Origin = Field(description="Where it was made; one made from a file is changed there only.")
    file: str = Field("", description="Its file, relative to the project.")
    state: DatasetState = Field(description="What it is ready for.")
    problem: str = Field(
        "", description="Why it is broken, or why the last refresh failed; empty if neither."
    )
    revision: int = Field(1, description="Counted up with each change of the definition.")
    saved_at: datetime = Field(description="When its definition was changed last.")
    saved_by: str = Field("", description="Who changed it.")
    spec: dict[str, Any] = Field(description="Its definition, as it was written; see `definition`.")
    columns: list[DatasetColumn] = Field([], description="Its columns by its definition.")
    depends_on: list[Dependency] = Field([], description="What it reads.")
    live: Generation | None = Field(None, description="What readers see; null before the first refresh.")
    building: Generation | None = Field(None, description="What is being built now.")
    last: Generation | None = Field(None, description="The last attempt, whatever came of it.")
    age_s: float | None = Field(None, description="Age of the rows readers see, from `data_as_of` (s).")
    max_age_s: float | None = Field(None, description="Age from which they are stale (s); null: never.")
    stale: bool = Field(False, description="Whether they are older than they should be.")
    schedule: str = Field("", description="Cron expression of its refreshes; empty: by hand only.")
    next_at: datetime | None = Field(None, description="When it is refreshed next.")

    @property
    def roles(self) -> list[str]:
        """Who sees it; empty: everybody who may read."""
        return list(self.spec.get("roles") or [])

    @property
    def seen_columns(self) -> list[DatasetColumn]:
        """The columns that readers see; those of the definition before the first refresh."""
        return self.live.columns if self.live else self.columns

    @property
    def relation(self) -> str:
        """The stable view, `ds.<slug>`."""
        return f"{VIEW_SCHEMA}.{self.slug}"

    @property
    def definition(self) -> "DatasetSpec":
        """The definition as a model.

        Raises:
            ConfigError: A newer version of dteg wrote it.
        """
        from dteg.datasets.spec import spec_of

        return spec_of(self.spec)


class RowPage(ConfigModel):
    """Some rows: numbers, booleans and JSON as they are, every other value as PostgreSQL writes it."""

    dataset: str = Field(description="Slug of the dataset.")
    generation: int = Field(description="Generation they are of; another one on the next page: begin again.")
    data_as_of: datetime | None = Field(description="How old they are.")
    columns: list[DatasetColumn] = Field(description="Columns of each row.")
    rows: list[list[Any]] = Field(description="Values by row.")
    more: bool = Field(description="Whether more follow.")
    next: int | None = Field(None, description="`offset` of the next page; null at the end.")


class RowQuery(ConfigModel):
    """Which rows."""

    limit: int = Field(50, ge=1, le=10_000, description="Rows at the most.")
    offset: int = Field(0, ge=0, le=1_000_000_000, description="Rows to pass over.")
    where: str = Field(
        "", max_length=10_000, description="Condition, such as `country = 'KZ' and total > 5`."
    )
    order: str = Field("", max_length=64, description="Column; a minus before it sorts downwards.")
    columns: list[str] = Field([], max_length=1600, description="Columns, in order; default: all.")


class Due(ConfigModel):
    """Something whose time has come."""

    slug: str = Field(description="Slug of the dataset.")
    slot: datetime = Field(description="The time it was planned for.")
    what: Literal["refresh", "snapshot"] = Field(description="What is to be done.")


class Removed(ConfigModel):
    """A dataset that is gone."""

    slug: str = Field(description="What it was called.")
    generations: int = Field(description="Copies of its rows that were dropped.")
