"""The `rest` extractor: streams of JSON records from a web API."""

from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import islice
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field, JsonValue, field_validator, model_validator

from dteg.connectors import Batch, Capabilities, Checkpoint, Context, Extractor, Schema, Stream
from dteg.connectors.http import HttpClient, HttpConfig, HttpUrl, join_url
from dteg.core.config import ConfigModel
from dteg.core.errors import ConfigError, InputError, PermanentError
from dteg.core.types import parse_sql_type, sql_field

from .columns import from_cursor, infer_schema, to_batch
from .pagination import NonePagination, Page, Pagination, Step, make_pager
from .paths import MISSING, lookup, with_value

COMPONENT = "rest"


class RestStream(ConfigModel):
    """One endpoint."""

    name: str = Field(min_length=1, description="Name of the stream.")
    path: str = Field("", description="Path below base_url.", pattern=r"^[^?#\s\x00-\x1f\x7f]*$")
    method: Literal["GET", "POST"] = Field("GET", description="POST is for searches that take a JSON body.")
    params: dict[str, str | int | float | bool] = Field({}, description="Query parameters of every request.")
    body: dict[str, JsonValue] | None = Field(None, description="JSON body of a POST.")
    params_in: Literal["query", "body"] = Field(
        "query",
        description="Where the parameters of pagination and cursor go; dotted names reach into the body.",
    )
    records_path: str = Field(
        "", description="Dotted path to the list of records; empty if the answer is the list."
    )
    columns: dict[str, str] | None = Field(
        None,
        min_length=1,
        description="SQL type by column; other fields are left out. Inferred if not written.",
    )
    primary_key: list[str] = Field([], description="Columns that identify a record.")
    cursor_field: str | None = Field(None, description="Column whose values only grow.")
    cursor_param: str | None = Field(
        None, description="Parameter that makes the API return records at or after a value of cursor_field."
    )
    pagination: Pagination | None = Field(None, description="Instead of the pagination of the config.")

    @field_validator("columns")
    @classmethod
    def _known_types(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        try:
            for type_ in (value or {}).values():
                parse_sql_type(type_)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "RestStream":
        if self.method == "GET" and (self.body is not None or self.params_in == "body"):
            raise ValueError("body and params_in: body need method: POST")
        if bool(self.cursor_field) != bool(self.cursor_param):
            raise ValueError("cursor_field and cursor_param belong together")
        wanted = [*self.primary_key, *([self.cursor_field] if self.cursor_field else [])]
        if self.columns is not None and (unknown := [name for name in wanted if name not in self.columns]):
            raise ValueError(f"not in columns: {', '.join(unknown)}")
        return self


class RestConfig(HttpConfig):
    """Config of the `rest` extractor."""

    base_url: HttpUrl = Field(description="URL that the paths of the streams stand below.")
    streams: list[RestStream] = Field(min_length=1, description="Endpoints to read.")
    pagination: Pagination = Field(
        NonePagination(type="none"), description="How the API splits records into pages."
    )
    infer_records: int = Field(1000, ge=1, description="Records to look at where columns are not written.")
    batch_rows: int = Field(10_000, ge=1, description="Rows per batch.")

    @model_validator(mode="after")
    def _unique_names(self) -> "RestConfig":
        names = [stream.name for stream in self.streams]
        if len(set(names)) < len(names):
            raise ValueError("two streams have the same name")
        return self


class RestExtractor(Extractor[RestConfig]):
    """Reads each endpoint page by page."""

    capabilities = Capabilities(incremental=True)

    def __init__(self, config: RestConfig, context: Context) -> None:
        """Keep the config; open nothing yet."""
        super().__init__(config, context)
        self._client = HttpClient(config, component=COMPONENT)

    @classmethod
    def stream_names(cls, config: RestConfig) -> list[str]:
        """Return the names in the order of the config."""
        return [stream.name for stream in config.streams]

    def check(self) -> None:
        """Ask for the first page of the first stream."""
        next(self._pages(self.config.streams[0], None))

    def streams(self) -> Iterable[Stream]:
        """Describe the streams, reading records of those whose columns are not written."""
        return list(self._described)

    def read(self, stream: Stream, since: Checkpoint | None) -> Iterator[Batch]:
        """Yield the records of one stream."""
        source = self._source(stream.name)
        cursor = since.cursor if since and stream.cursor_field else None
        # The API can only filter by its own cursor field; by another one everything is read and filtered here.
        asked = cursor if stream.cursor_field == source.cursor_field else None
        batches = self._page_batches(source, stream.schema, asked)
        if cursor is not None and stream.cursor_field:
            batches = (from_cursor(batch, stream.cursor_field, cursor) for batch in batches)
        return regroup(batches, self.config.batch_rows)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @cached_property
    def _described(self) -> list[Stream]:
        return [
            Stream(source.name, self._schema(source), tuple(source.primary_key), source.cursor_field)
            for source in self.config.streams
        ]

    def _source(self, name: str) -> RestStream:
        for source in self.config.streams:
            if source.name == name:
                return source
        raise ConfigError(f"the config has no stream {name!r}")

    def _schema(self, source: RestStream) -> Schema:
        if source.columns is not None:
            return pa.schema([sql_field(name, type_) for name, type_ in source.columns.items()])
        records = (
            record
            for page in self._pages(source, None)
            for record in page.records
            if isinstance(record, dict)
        )
        schema = infer_schema(islice(records, self.config.infer_records))
        wanted = [*source.primary_key, *([source.cursor_field] if source.cursor_field else [])]
        if not schema.names:
            raise InputError(
                "there are no records to infer columns from; write the columns", source=source.name
            )
        if missing := [name for name in wanted if name not in schema.names]:
            raise InputError(
                f"no record has {', '.join(missing)}; there are: {', '.join(schema.names)}",
                source=source.name,
            )
        return schema

    def _page_batches(self, source: RestStream, schema: Schema, cursor: Any) -> Iterator[Batch]:
        for page in self._pages(source, cursor):
            batch, rejected = to_batch(page.records, schema, refuse_unknown=source.columns is None)
            for bad in rejected:
                record = page.records[bad.index]
                payload = record if isinstance(record, dict) else {"value": record}
                position = f"{source.name} page {page.number} (record {bad.index + 1})"
                self.context.reject(bad.reason, position, payload)
            yield batch

    def _pages(self, source: RestStream, cursor: Any) -> Iterator[Page]:
        pagination = source.pagination or self.config.pagination
        pager = make_pager(pagination)
        step: Step | None = pager.first()
        for number in range(1, pagination.max_pages + 1):
            if step is None:
                return
            page = self._fetch(source, step, cursor, number)
            yield page
            step = pager.after(page)
        if step is not None:
            raise PermanentError(
                f"more than {pagination.max_pages} pages; if that is right, raise max_pages",
                component=COMPONENT, stream=source.name,
            )  # fmt: skip

    def _fetch(self, source: RestStream, step: Step, cursor: Any, number: int) -> Page:
        moving = dict(step.params)
        if cursor is not None and source.cursor_param:
            moving[source.cursor_param] = cursor
        params, body = dict(source.params), source.body
        if source.params_in == "body":
            for name, value in moving.items():
                body = with_value(body or {}, name, value)
        else:
            params |= moving
        response = self._client.request(
            source.method,
            step.url or join_url(self.config.base_url, source.path),
            params={} if step.url else params,
            json=(body or {}) if source.method == "POST" else None,
            stream=source.name,
        )
        content = response.json()
        return Page(number, response, content, _records(content, source, response.place))


def _records(content: Any, source: RestStream, place: str) -> list[Any]:
    """Return the list at `records_path`; an empty answer or null is no records."""
    if content is None:
        return []
    found = lookup(content, source.records_path)
    if found is None:
        return []
    if isinstance(found, list):
        return found
    what = "nothing" if found is MISSING else f"a {type(found).__name__}"
    fields = (
        f"; the answer has: {', '.join(sorted(map(str, content))[:20])}" if isinstance(content, dict) else ""
    )
    raise InputError(
        f"records_path {source.records_path!r} leads to {what}, not to a list{fields}", source=place
    )


def regroup(batches: Iterable[Batch], rows: int) -> Iterator[Batch]:
    """Join small batches and cut large ones, so that each but the last has `rows` rows."""
    waiting: list[Batch] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += batch.num_rows
        if count < rows:
            continue
        joined = pa.concat_batches(waiting)
        for start in range(0, count - rows + 1, rows):
            yield joined.slice(start, rows)
        waiting = [joined.slice(count - count % rows)]
        count %= rows
    if count:
        yield pa.concat_batches(waiting)
