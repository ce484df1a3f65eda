"""The format of the cache, version 2.2: a superset of `{generated_at, schema, examples}`, whose keys come first.

Readers ignore keys that they do not know. Every text is UTF-8; times are ISO 8601 in UTC; a checksum is the SHA-256
of the canonical JSON (sorted keys, no spaces) without the key that holds it.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from dteg.metadata.client import documents

FORMAT_VERSION = "2.2"
MAX_TOP_VALUES = 20
KEPT_VERSIONS = 30

Engine = Literal["postgresql", "mysql", "bigquery", "snowflake"]
Status = Literal["valid", "stale", "broken"]
Origin = Literal["human", "dbt", "querylog", "llm"]


class CacheModel(BaseModel):
    """Part of the cache: frozen, and open for keys of a later version."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, populate_by_name=True, serialize_by_alias=True, defer_build=True
    )


class SealedModel(CacheModel):
    """A whole document: it has a key `content_sha256`."""

    def sealed(self) -> Self:
        """Return it with its checksum."""
        return self.model_copy(
            update={"content_sha256": documents.content_sha256(self.model_dump(mode="json", by_alias=True))}
        )


class TopValue(CacheModel):
    """One frequent value of a column."""

    value: str
    pct: float


class ColumnReference(CacheModel):
    """What a column refers to."""

    table_id: str
    column: str


class ColumnEntry(CacheModel):
    """One column. The first four keys are the original ones.

    Attributes:
        name: Its name.
        type: In the words of the database, such as `numeric(12,2)`.
        mode: NULLABLE or REQUIRED, as BigQuery says it.
        description: What people wrote about it.
        null_pct: Share of rows without a value (%).
        distinct_count: Different values; an estimate unless `distinct_is_exact`.
        top_values: Only of columns with few values, never of columns about people.
        pattern: Form of the values, with 9 for digits and a for letters, if all of a sample share it.
        pii: Why it seems to be about people, such as `email`; null otherwise.
    """

    name: str
    type: str
    mode: Literal["NULLABLE", "REQUIRED", "REPEATED"] = "NULLABLE"
    description: str = ""
    nullable: bool = True
    null_pct: float | None = None
    distinct_count: int | None = None
    distinct_is_exact: bool = False
    min: str | None = None
    max: str | None = None
    top_values: list[TopValue] = Field([], max_length=MAX_TOP_VALUES)
    samples: list[str] = Field([], max_length=5)
    pattern: str | None = None
    pii: str | None = None
    synonyms: list[str] = []
    unit: str | None = None
    fk: ColumnReference | None = None
    description_origin: Literal["human", "dbt", "comment", "llm"] | None = None


class ForeignKeyEntry(CacheModel):
    """How a table is joined to another.

    Attributes:
        confidence: 1 for a declared key; less where it was found in the data.
        origin: Who says so; `ind`: every value of a sample was found in the other table.
    """

    columns: list[str]
    ref_table: str
    ref_columns: list[str]
    confidence: float = 1.0
    origin: Literal["declared", "ind", "querylog", "dbt"] = "declared"


class DbtEntry(CacheModel):
    """What dbt knows of a table."""

    unique_id: str
    tests: list[str] = []


class MetricEntry(CacheModel):
    """A metric of the semantic layer."""

    name: str
    label: str = ""
    description: str = ""
    type: str = ""
    expression: str = ""


class TableEntry(CacheModel):
    """One table: the value of the key `schema`. The first three keys are the original ones."""

    table_id: str
    last_updated: datetime
    columns: list[ColumnEntry]
    description: str = ""
    kind: Literal["table", "view", "materialized_view", "foreign_table"] = "table"
    row_count: int | None = None
    row_count_is_exact: bool = False
    primary_key: list[str] = []
    unique_keys: list[list[str]] = []
    foreign_keys: list[ForeignKeyEntry] = []
    popularity: int | None = None
    owner: str | None = None
    tier: str | None = None
    tags: list[str] = []
    dbt: DbtEntry | None = None
    metrics: list[MetricEntry] = []
    fingerprint_sha256: str = ""

    @property
    def schema_name(self) -> str:
        """The part of its id before the name."""
        return self.table_id.rpartition(".")[0]

    @property
    def name(self) -> str:
        """Its name without a schema."""
        return self.table_id.rpartition(".")[2]

    def column(self, name: str) -> ColumnEntry | None:
        """Return the column of a name."""
        return next((column for column in self.columns if column.name == name), None)


class Example(CacheModel):
    """A question with the SQL that answers it. The first two keys are the original ones.

    Attributes:
        pattern: The question with its numbers, dates and quoted values masked.
        sql_skeleton: The SQL with its literals masked.
        schema_fingerprint: Of all its tables together, when it was proved.
        verified_by: `run`: it was executed in a read-only transaction.
        status: Only `valid` ones are served.
        why: Why it is not valid.
    """

    question: str
    sql: str
    id: str = ""
    dialect: str = "postgres"
    tables: list[str] = []
    columns: list[str] = []
    difficulty: Literal["easy", "medium", "hard"] = "easy"
    pattern: str = ""
    sql_skeleton: str = ""
    origin: Origin = "human"
    verified_at: datetime | None = None
    verified_by: Literal["explain", "run"] | None = None
    row_count: int | None = None
    result_columns: list[str] = []
    result_sha256: str | None = None
    runtime_ms: float | None = None
    schema_fingerprint: str = ""
    status: Status = "broken"
    why: str = ""


class SourceInfo(CacheModel):
    """Where the cache is from.

    Attributes:
        uri_fingerprint: Tells two servers apart without saying where they are.
    """

    name: str = "warehouse"
    engine: Engine = "postgresql"
    dialect: str = "postgres"
    uri_fingerprint: str = ""


class Quality(CacheModel):
    """How good the cache is; all but `freshness_h` in percent.

    Attributes:
        score: Mean of the four shares.
        columns_described_pct: Columns with a description.
        examples_valid_pct: Examples that passed the gate against the schema of now; 100 without examples.
        column_coverage_pct: Columns that at least one valid example uses.
        join_coverage_pct: Tables that are joined to another; 100 for a single table.
        freshness_h: Hours since it was collected.
    """

    score: float = 0.0
    columns_described_pct: float = 0.0
    examples_valid_pct: float = 100.0
    column_coverage_pct: float = 0.0
    join_coverage_pct: float = 0.0
    freshness_h: float = 0.0


class TableDocument(SealedModel):
    """The object of one table. It never changes: its name is the SHA-256 of its bytes."""

    generated_at: datetime
    table: TableEntry = Field(alias="schema")
    examples: list[Example] = []
    format_version: str = FORMAT_VERSION
    source: SourceInfo = SourceInfo()
    content_sha256: str = ""


class ManifestTable(CacheModel):
    """Where the object of a table lies, and how to know it.

    Attributes:
        file: Path below the cache, such as `tables/public.orders/<sha256>.json`.
        sha256: Of the bytes of the object.
        probe: What tells whether the data has to be read again: of the fingerprint and the rows.
    """

    table_id: str
    file: str
    sha256: str
    bytes: int
    fingerprint_sha256: str
    probe: str = ""
    row_count: int | None = None
    columns: int = 0
    examples: int = 0
    description: str = ""


class VersionEntry(CacheModel):
    """A version that was current once."""

    cache_version: int
    generated_at: datetime
    file: str
    sha256: str
    tables: int = 0
    rollback_of: int | None = None


class CacheManifest(SealedModel):
    """What the current version is made of: written last, so that who reads it finds all that it names.

    Attributes:
        cache_version: Grows with each publication, a rollback included.
        rejected: Examples that did not pass the gate; they are in no table, and nobody may use them.
        rollback_of: The version whose tables these are, if it is not a newly collected one.
        history: The versions before, newest first, that can be returned to.
        signature: See `dteg.metadata.client.signatures`; null for none.
    """

    generated_at: datetime
    format_version: str = FORMAT_VERSION
    cache_version: int = 0
    content_sha256: str = ""
    expires_at: datetime | None = None
    source: SourceInfo = SourceInfo()
    quality: Quality = Quality()
    tables: list[ManifestTable] = []
    rejected: list[Example] = []
    stats: dict[str, float] = {}
    rollback_of: int | None = None
    history: list[VersionEntry] = []
    signature: dict[str, Any] | None = None


def stored(model: BaseModel) -> bytes:
    """Return the JSON that is stored: keys in the order of the format, the original ones first."""
    text = json.dumps(model.model_dump(mode="json", by_alias=True), ensure_ascii=False, indent=1)
    return f"{text}\n".encode()


def fingerprint_of(entries: Iterable[TableEntry]) -> str:
    """Return one fingerprint for several tables."""
    return documents.fingerprint_of((each.table_id, each.fingerprint_sha256) for each in entries)
