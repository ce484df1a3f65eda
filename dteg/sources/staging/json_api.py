"""JSON from an API as a source: one list of records, over as many pages as the API has."""

import math
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

import psycopg

from dteg.connectors.http.guard import guarded
from dteg.core.errors import ConfigError, PermanentError
from dteg.core.retry import RetryPolicy
from dteg.core.secrets import resolve
from dteg.sources.kinds import PROBE_TIMEOUT_S, Link, probed
from dteg.sources.models import Probe, Progress, SourceTable, TableProblem
from dteg.sources.staging.copying import Reading, columns_of, copy_tables
from dteg.sources.staging.linker import one_table, table_name
from dteg.sources.staging.options import JsonApiOptions, dotted, types_of
from dteg.sources.staging.settings import settings_of

MB = 1_000_000
_RETRY = RetryPolicy(max_attempts=3, base_delay_s=0.2, max_delay_s=5.0)
_ONCE = RetryPolicy(max_attempts=1)
_STREAM = "records"


class JsonApiLinker:
    """Copies the records of one endpoint."""

    def check(self, link: Link) -> None:
        """Refuse settings that cannot be right.

        Raises:
            ConfigError: They are not.
        """
        _base_url(link)
        types_of(link.options.types)
        settings_of(link.project)

    def probe(self, link: Link, timeout_s: float = PROBE_TIMEOUT_S) -> Probe:
        """Ask for the endpoint without reading it."""
        return probed(lambda: _answer(link, timeout_s))

    def introspect(self, link: Link) -> list[SourceTable]:
        """Read the first records to find columns and types."""
        options: JsonApiOptions = link.options
        with guarded(settings_of(link.project).private_hosts):
            columns = columns_of(link.project, _reading(link))
        last = options.path.rstrip("/").rsplit("/", 1)[-1]
        name = table_name(options.table, last, link.slug)
        return one_table(link, name, columns, primary_key=options.primary_key)

    def link_tables(
        self,
        link: Link,
        connection: psycopg.Connection[Any],
        tables: Sequence[SourceTable],
        on_progress: Progress,
    ) -> list[TableProblem]:
        """Copy all records."""
        with guarded(settings_of(link.project).private_hosts):
            return copy_tables(
                link, connection, tables, lambda _table, left_s: _reading(link, left_s), on_progress
            )

    def unlink(self, link: Link, connection: psycopg.Connection[Any]) -> None:
        """Nothing lies beside the table."""


def _base_url(link: Link) -> str:
    try:
        parts = urlsplit(link.url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
        parts = urlsplit("")
    if not good or "@" in parts.netloc:
        raise ConfigError(
            "the URL of an API is written like https://api.example.com/v1, without user and password; a credential is "
            "named in the setting `credential`"
        )
    return link.url


def _answer(link: Link, timeout_s: float) -> str:
    """Ask for the endpoint; return what its server calls itself.

    Raises:
        DtegError: It refuses us, or does not answer.
    """
    from dteg.connectors.http import join_url
    from dteg.sources.staging.fetching import answers

    options: JsonApiOptions = link.options
    query = urlencode([(name, value) for name, _, value in (text.partition("=") for text in options.params)])
    url = join_url(_base_url(link), options.path) + (f"?{query}" if query else "")
    headers = {}
    if options.credential and options.sent_as != "query":
        value = resolve(options.credential)
        bearer = options.sent_as == "bearer"
        headers = {"Authorization": f"Bearer {value}"} if bearer else {options.sent_name: value}
    try:
        return answers(url, headers, timeout_s=timeout_s, allowed=settings_of(link.project).private_hosts)
    except PermanentError:
        # Without the credential, which would stand in an address here, it refuses us; so it lives.
        if options.credential and options.sent_as == "query":
            return ""
        raise


def _auth(options: JsonApiOptions) -> dict[str, Any]:
    if not options.credential:
        return {"type": "none"}
    if options.sent_as == "bearer":
        return {"type": "bearer", "token": options.credential}
    return {
        "type": "api_key", "key": options.credential, "name": options.sent_name, "send_in": options.sent_as
    }  # fmt: skip


def _reading(link: Link, left_s: float = math.inf) -> Reading:
    options: JsonApiOptions = link.options
    params = dict(text.split("=", 1) for text in options.params)
    stream: dict[str, Any] = {
        "name": _STREAM, "path": options.path, "params": params, "records_path": dotted(options.records),
    }  # fmt: skip
    if options.types:
        stream["columns"] = types_of(options.types)
    config = {
        "base_url": _base_url(link), "streams": [stream], "auth": _auth(options), "pagination": _paging(options),
        "read_timeout_s": min(options.timeout_s, 60.0, left_s), "request_timeout_s": min(options.timeout_s, left_s),
        "max_response_bytes": options.max_mb * MB, "retry": (_RETRY if left_s == math.inf else _ONCE).model_dump(),
        # The time is looked at after each batch.
        "batch_rows": 10_000 if left_s == math.inf else 500,
    }  # fmt: skip
    return Reading("rest", config, _STREAM, None, tuple(options.primary_key), options.max_bad_rows)


def _paging(options: JsonApiOptions) -> dict[str, Any]:
    kind = options.paging
    found: dict[str, Any] = {"type": kind, "max_pages": options.max_pages}
    if kind == "none":
        return found
    if options.size_param:
        found |= {"size_param": options.size_param, "page_size": options.page_size}
    if kind == "page" and options.page_param:
        found["page_param"] = options.page_param
    if kind == "offset":
        found["page_size"] = options.page_size
        found |= {"offset_param": options.page_param} if options.page_param else {}
    if kind == "cursor":
        found["cursor_path"] = dotted(options.next_path)
        found |= {"cursor_param": options.page_param} if options.page_param else {}
    if kind == "next_url" and options.next_path:
        found["next_url_path"] = dotted(options.next_path)
    return found
