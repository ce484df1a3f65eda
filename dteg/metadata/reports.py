"""What came of looking at a statement, of collecting, and of asking a model for examples."""

from typing import Literal

from pydantic import Field

from dteg.metadata.models import CacheModel, Example, Quality, Status


class Verdict(CacheModel):
    """What the gate says of a statement.

    Attributes:
        status: `valid`: it can be run; `stale`: it names what is no longer there; `broken`: it is refused, or fails.
        why: Why it is not valid, or what is odd about it, such as an empty result.
        sql: What was run, and what should be run: the statement as it was understood, each name qualified.
        tables: Ids of the tables that it reads.
        used_columns: `table_id.column` of what it reads.
        columns: Names of the result.
        rows: Values of the result as text, at most `Limits.rows`; never published.
        truncated: Whether there are more rows than that.
    """

    status: Status
    why: str = ""
    sql: str = ""
    tables: list[str] = Field([])
    used_columns: list[str] = Field([])
    columns: list[str] = Field([])
    rows: list[list[str | None]] = Field([], repr=False)
    row_count: int | None = None
    truncated: bool = False
    runtime_ms: float | None = None
    verified_by: Literal["explain", "run"] | None = None
    result_sha256: str | None = None


class Alert(CacheModel):
    """What is wrong with the cache as a whole."""

    name: Literal["expired", "expires_soon", "examples_invalid", "score_dropped"]
    message: str


class CollectReport(CacheModel):
    """What came of collecting.

    Attributes:
        tables_read: Tables whose data was looked at; the others are as they were.
        published: Whether there is a new version; not if nothing differs.
        removed: Tables that are gone.
        query_log: What was learnt from the query log, or why nothing was.
    """

    source: str
    cache_version: int
    published: bool
    tables: int
    tables_read: int
    removed: list[str] = Field([])
    examples: dict[Status, int] = Field({})
    quality: Quality = Quality()
    alerts: list[Alert] = Field([])
    problems: list[str] = Field([])
    query_log: str = ""
    seconds: float = 0.0


class Refusal(CacheModel):
    """A proposed example that is not added, and why."""

    table: str
    question: str
    sql: str
    why: str


class SuggestReport(CacheModel):
    """What a model proposed, and what became of it.

    Attributes:
        tables: Tables that it was asked about.
        proposed: Examples that it proposed.
        added: Those that were proved and added to `metadata/examples.yaml`.
        refused: Those that were not.
        failures: Tables about which it gave no answer.
    """

    source: str
    model: str
    tables: int = 0
    proposed: int = 0
    added: list[Example] = Field([])
    refused: list[Refusal] = Field([])
    failures: list[str] = Field([])


class QualityReport(CacheModel):
    """How good the cache is now, and what should be done."""

    quality: Quality
    alerts: list[Alert] = Field([])
    undescribed: list[str] = Field([])
    broken: list[Example] = Field([])
