"""BigQuery: its REST catalogue, which costs nothing, and samples of rows within limits of bytes."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from dteg.core.errors import EnvironmentProblemError, PermanentError
from dteg.metadata.bigquery_jobs import LABELS, TIMEOUT_S, BigQueryProber, Jobs, retry, translated
from dteg.metadata.collectors import (
    READ_TIMEOUT_S,
    SAMPLE_ROWS,
    CloudCollector,
    Found,
    Logged,
    Sample,
    described,
    probe_of,
)
from dteg.metadata.gate import Dialect
from dteg.metadata.models import ColumnEntry, Engine, ForeignKeyEntry
from dteg.metadata.parts import DOCUMENTS, parts_of
from dteg.sources.patterns import matches

if TYPE_CHECKING:
    from google.cloud import bigquery

_KINDS = {"VIEW": "view", "MATERIALIZED_VIEW": "materialized_view", "EXTERNAL": "foreign_table"}
# What the REST catalogue calls types, in the words of SQL.
_TYPES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "RECORD": "STRUCT"}
_MODES: Mapping[str, Literal["REQUIRED", "REPEATED"]] = {"REQUIRED": "REQUIRED", "REPEATED": "REPEATED"}
_ORDERED = ("INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC", "DATE", "DATETIME", "TIME", "TIMESTAMP")
_SAMPLED = (*_ORDERED, "BOOL", "STRING")
_MAX_DEPTH = 6
_REQUESTS = 8
# Jobs of the log that are looked at.
_MAX_JOBS = 2_000


class BigQueryCollector(CloudCollector):
    """Collects from one project.

    Args:
        client: Of the project.
        dataset: The only one; all if empty.
        max_bytes: What one query may read; all of a collection ten times that.
        now: What `last_updated` becomes where BigQuery does not say.
        patterns: Which tables, see `dteg.sources.patterns`.
    """

    engine: ClassVar[Engine] = "bigquery"
    dialect: ClassVar[Dialect] = "bigquery"
    count_if, text = "COUNTIF", "STRING"
    inclusion_timeout_s = READ_TIMEOUT_S

    def __init__(
        self, client: "bigquery.Client", dataset: str, max_bytes: int, now: datetime, patterns: Sequence[str] = ()
    ) -> None:  # fmt: skip
        self._client, self._dataset, self._now, self._patterns = client, dataset, now, patterns
        self._jobs = Jobs(client, max_bytes)
        self.prober = BigQueryProber(self._jobs)

    def tables(self) -> list[Found]:
        """See `Collector.tables`: one request for each table, as lists have no columns."""
        with translated(), ThreadPoolExecutor(_REQUESTS) as pool:
            tables = [each for each in pool.map(self._table, self._listed()) if each is not None]
        return [found_of(each, self._now) for each in tables]

    def sample(self, found: Found) -> Sample:
        """See `Collector.sample`: small tables whole and for nothing; of others some blocks, else the first rows."""
        rows = found.row_estimate
        is_table = found.entry.kind == "table"
        if is_table and rows is not None and rows <= SAMPLE_ROWS:
            values, count = self._first_rows(found)
            whole = count <= SAMPLE_ROWS
            return Sample(values, whole, count if whole else rows, parts=self._parts(found))
        paths = sampled(found.key.schema)
        listed = ", ".join(f"{_shortened(path, type_)} AS c{n}" for n, (path, type_) in enumerate(paths))
        asked = [(".".join(path), _path(path), type_ in _ORDERED) for path, type_ in paths]
        share = min(100.0, 300.0 * SAMPLE_ROWS / max(rows or 1, 1))
        part = f" TABLESAMPLE SYSTEM ({share:.6f} PERCENT)" if is_table else ""
        text = (
            f"SELECT {listed or '1'} FROM {self.place(found.entry)} AS dteg_t{part} LIMIT {SAMPLE_ROWS + 1}"  # noqa: S608 - quoted
        )
        try:
            taken = self.read(text)
        except PermanentError:
            if not is_table:
                raise
            values, _ = self._first_rows(found)
            return Sample(values, False, rows, self.statistics(found.entry, asked), self._parts(found))
        whole = not is_table and len(taken) <= SAMPLE_ROWS
        by_column = {".".join(path): [row[n] for row in taken] for n, (path, _) in enumerate(paths)}
        statistics = {} if whole else self.statistics(found.entry, asked)
        parts = self._parts(found) if is_table else {}
        return Sample(by_column, whole, len(taken) if whole else rows, statistics, parts)

    def query_log(self) -> Sequence[Logged]:
        """See `Collector.query_log`: the newest jobs of all users, a list that costs nothing."""
        calls: Counter[str] = Counter()
        try:
            with translated():
                jobs = self._client.list_jobs(
                    all_users=True, state_filter="done", max_results=_MAX_JOBS, retry=retry(), timeout=TIMEOUT_S
                )  # fmt: skip
                for job in jobs:
                    is_select = job.job_type == "query" and job.statement_type == "SELECT"
                    if is_select and not job.dry_run and not job.error_result and job.labels != LABELS:
                        calls[job.query] += 1
        except PermanentError as error:
            raise EnvironmentProblemError(
                f"the jobs of other users cannot be listed: {error}; grant bigquery.jobs.listAll"
            ) from None
        found = [(local(text, self._client.project), count) for text, count in calls.most_common(500)]
        return [Logged(text, count) for text, count in found if text]

    # --- inside ------------------------------------------------------------------------------------

    def _listed(self) -> Iterator[Any]:
        datasets = [self._dataset]
        if not self._dataset:
            all_of_them = self._client.list_datasets(retry=retry(), timeout=TIMEOUT_S)
            datasets = [each.dataset_id for each in all_of_them]
        for dataset in datasets:
            reference = f"{self._client.project}.{dataset}"
            for table in self._client.list_tables(reference, retry=retry(), timeout=TIMEOUT_S):
                if matches(self._patterns, table.dataset_id, table.table_id):
                    yield table.reference

    def _table(self, reference: Any) -> "bigquery.Table | None":
        from google.api_core.exceptions import NotFound

        try:
            return self._client.get_table(reference, retry=retry(), timeout=TIMEOUT_S)
        except NotFound:  # removed a moment ago
            return None

    def _first_rows(self, found: Found) -> tuple[dict[str, list[Any]], int]:
        """Return the first rows, which are read without a query."""
        paths = sampled(found.key.schema)
        wanted = {path[0] for path, _ in paths}
        fields = [each for each in found.key.schema if each.name in wanted]
        self.reads += 1
        with translated():
            listed = self._client.list_rows(
                found.key, selected_fields=fields or found.key.schema[:1], max_results=SAMPLE_ROWS + 1, retry=retry(),
                timeout=TIMEOUT_S,
            )  # fmt: skip
            rows = list(listed)
        return {".".join(path): [_dug(row, path) for row in rows] for path, _ in paths}, len(rows)

    def _parts(self, found: Found) -> dict[str, list[ColumnEntry]]:
        """Return what is in documents, as far as the first of them say; without a query."""
        fields = [each for each in found.key.schema if each.field_type == "JSON" and each.mode != "REPEATED"]
        if not fields:
            return {}
        self.reads += 1
        with translated():
            listed = self._client.list_rows(
                found.key, selected_fields=fields, max_results=DOCUMENTS, retry=retry(), timeout=TIMEOUT_S
            )
            rows = list(listed)
        columns = {each.name: column for each in fields if (column := found.entry.column(each.name))}
        return {name: parts_of(column, [row[name] for row in rows], ".") for name, column in columns.items()}

    def read(self, text: str, timeout_s: float = READ_TIMEOUT_S) -> list[tuple[Any, ...]]:
        """See `Collector.read`."""
        self.reads += 1
        return self._jobs.spend(text, SAMPLE_ROWS + 1, timeout_s).rows

    @staticmethod
    def quoted(name: str) -> str:
        """See `CloudCollector.quoted`."""
        escaped = name.replace("\\", "\\\\").replace("`", "\\`")
        return f"`{escaped}`"


def found_of(table: "bigquery.Table", now: datetime) -> Found:
    """Return a table of the REST catalogue as the cache has it.

    Args:
        table: As BigQuery gives it.
        now: See `BigQueryCollector`.
    """
    kind = _KINDS.get(table.table_type, "table")
    constraints = table.table_constraints
    primary = constraints.primary_key if constraints else None
    entry = described(
        {
            "table_id": f"{table.dataset_id}.{table.table_id}", "last_updated": table.modified or now, "kind": kind,
            "description": table.description or "", "columns": list(columns_of(table.schema)),
            "primary_key": list(primary.columns) if primary else [],
            "foreign_keys": [_reference(each) for each in (constraints.foreign_keys if constraints else None) or ()],
            "tags": _tags(table),
        },
        (table.mview_query if kind == "materialized_view" else table.view_query if kind == "view" else None) or "",
    )  # fmt: skip
    rows = table.num_rows if kind == "table" else None
    probe = probe_of(entry, rows, table.num_bytes, str(table.modified))
    # Nobody says what reading an external table costs.
    return Found(entry, probe, table, rows, readable=kind != "foreign_table")


def columns_of(schema: Sequence[Any], parents: tuple[str, ...] = ()) -> Iterator[ColumnEntry]:
    """Yield the columns of a schema, each record followed by its parts: `address`, `address.city`.

    Args:
        schema: Fields as BigQuery gives them.
        parents: Names of the records around them.
    """
    for each in schema:
        about = each.description or ""
        mode: Literal["NULLABLE", "REQUIRED", "REPEATED"] = _MODES.get(each.mode, "NULLABLE")
        yield ColumnEntry(
            name=".".join((*parents, each.name)), type=type_of(each), mode=mode, nullable=mode != "REQUIRED",
            description=about, description_origin="comment" if about else None,
        )  # fmt: skip
        if each.fields and len(parents) < _MAX_DEPTH:
            yield from columns_of(each.fields, (*parents, each.name))


def type_of(field: Any) -> str:
    """Return the type of a field in the words of SQL, such as `ARRAY<STRUCT<sku STRING, quantity INT64>>`."""
    name = _TYPES.get(field.field_type, field.field_type)
    if name == "STRUCT":
        name = f"STRUCT<{', '.join(f'{each.name} {type_of(each)}' for each in field.fields)}>"
    elif field.precision:
        name = f"{name}({field.precision}{f', {field.scale}' if field.scale else ''})"
    elif field.max_length:
        name = f"{name}({field.max_length})"
    elif name == "RANGE" and field.range_element_type:
        name = f"RANGE<{field.range_element_type.element_type}>"
    return f"ARRAY<{name}>" if field.mode == "REPEATED" else name


def sampled(schema: Sequence[Any], parents: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], str]]:
    """Return the columns whose values can be looked at, with their types: one value a row, and no long ones."""
    found: list[tuple[tuple[str, ...], str]] = []
    for each in schema:
        path, name = (*parents, each.name), _TYPES.get(each.field_type, each.field_type)
        if each.mode == "REPEATED":
            continue
        if name == "STRUCT" and len(parents) < _MAX_DEPTH:
            found += sampled(each.fields, path)
        elif name in _SAMPLED:
            found.append((path, name))
    return found


def local(text: str, project: str) -> str:
    """Return a statement without the name of the own project, as the cache names tables; "" if it reads other ones."""
    try:
        query = sqlglot.parse_one(text, dialect="bigquery")
    except (SqlglotError, RecursionError):
        return ""
    for table in query.find_all(exp.Table):
        if table.catalog not in ("", project):
            return ""
        table.set("catalog", None)
    return query.sql(dialect="bigquery", comments=False)


def _tags(table: "bigquery.Table") -> list[str]:
    """Return labels, and what a query should filter by to read less."""
    tags = [f"{name}:{value}" if value else name for name, value in sorted((table.labels or {}).items())]
    parts = table.time_partitioning or table.range_partitioning
    if parts:
        tags.append(f"partitioned by {parts.field or '_PARTITIONTIME'}")
    if table.require_partition_filter:
        tags.append("needs a partition filter")
    if table.clustering_fields:
        tags.append(f"clustered by {', '.join(table.clustering_fields)}")
    return tags


def _reference(key: Any) -> ForeignKeyEntry:
    to = key.referenced_table
    return ForeignKeyEntry(
        columns=[each.referencing_column for each in key.column_references],
        ref_table=f"{to.dataset_id}.{to.table_id}",
        ref_columns=[each.referenced_column for each in key.column_references],
    )


def _dug(row: Any, path: Sequence[str]) -> Any:
    value = row[path[0]]
    for name in path[1:]:
        value = None if value is None else value.get(name)
    return value[:200] if isinstance(value, str) else value


def _shortened(path: Sequence[str], type_: str) -> str:
    return f"SUBSTR({_path(path)}, 1, 200)" if type_ == "STRING" else _path(path)


def _path(path: Sequence[str]) -> str:
    return ".".join(BigQueryCollector.quoted(name) for name in path)
