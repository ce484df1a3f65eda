"""Files as sources: CSV, Excel, Parquet and JSON, of this machine, from an address, or sent."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from dteg.core.errors import ConfigError
from dteg.sources.kinds import PROBE_TIMEOUT_S, Link, probed
from dteg.sources.models import Probe, Progress, SourceTable, TableProblem
from dteg.sources.staging.copying import Reading, columns_of, copy_tables, time_left
from dteg.sources.staging.linker import one_table, table_name
from dteg.sources.staging.options import FileOptions, headers_of, types_of
from dteg.sources.staging.places import allowed_path, check_place, local_file, name_of
from dteg.sources.staging.settings import settings_of
from dteg.sources.staging.uploads import forget_uploads


class FileLinker:
    """Copies the rows of one file."""

    def check(self, link: Link) -> None:
        """Refuse settings that cannot be right.

        Raises:
            ConfigError: They are not.
        """
        options: FileOptions = link.options
        check_place(link)
        types_of(options.types)
        if options.format == "auto" and _suffix(name_of(options)) not in _SUFFIXES:
            raise ConfigError(
                f"format: the name {name_of(options)!r} does not say how the file is written; choose one of csv, tsv, "
                "xlsx, parquet, jsonl, json"
            )

    def probe(self, link: Link, timeout_s: float = PROBE_TIMEOUT_S) -> Probe:
        """Look whether the file is there."""
        return probed(lambda: place_of(link, timeout_s))

    def introspect(self, link: Link) -> list[SourceTable]:
        """Read the file once to find its columns and types."""
        options: FileOptions = link.options
        with self.reading(link) as reading:
            columns = columns_of(link.project, reading)
        name = table_name(options.table, name_of(options), link.slug)
        if absent := [key for key in options.primary_key if key not in {each.name for each in columns}]:
            raise ConfigError(
                f"primary_key: the file has no column {absent[0]!r}; it has: {', '.join(each.name for each in columns)}"
            )
        return one_table(link, name, columns, primary_key=options.primary_key)

    def link_tables(
        self,
        link: Link,
        connection: psycopg.Connection[Any],
        tables: Sequence[SourceTable],
        on_progress: Progress,
    ) -> list[TableProblem]:
        """Copy the file."""
        if not tables:
            return []
        with self.reading(link, time_left(connection)) as reading:
            return copy_tables(link, connection, tables, lambda *_: reading, on_progress)

    def unlink(self, link: Link, connection: psycopg.Connection[Any]) -> None:
        """Delete a file that was sent."""
        forget_uploads(link.project, link.slug)

    @contextmanager
    def reading(self, link: Link, left_s: float = math.inf) -> Iterator[Reading]:
        """Yield how to read the rows, with the file on this machine meanwhile."""
        with local_file(link, left_s) as path:
            yield _reading(link.options, path)


def place_of(link: Link, timeout_s: float) -> str:
    """Look whether the file of a source is there; return what its server calls itself.

    Raises:
        DtegError: It is not.
    """
    options = link.options
    if not options.is_http:
        allowed_path(link.project, link.slug, options.path)
        return ""
    from dteg.sources.staging.fetching import answers

    allowed = settings_of(link.project).private_hosts
    return answers(options.path, headers_of(options.headers), timeout_s=timeout_s, allowed=allowed)


_SUFFIXES = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".xlsx": "xlsx", ".xlsm": "xlsx", ".parquet": "parquet",
    ".pq": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json",
}  # fmt: skip


def _suffix(name: str) -> str:
    return Path(name.lower().removesuffix(".gz").removesuffix(".zip")).suffix


def _reading(options: FileOptions, path: Path) -> Reading:
    from dteg.tables.delimiters import delimiter_of

    format_ = _SUFFIXES[_suffix(path.name)] if options.format == "auto" else options.format
    delimiter = options.delimiter.replace("\\t", "\t")
    if format_ == "csv" and not delimiter:
        delimiter = delimiter_of(path, options.encoding) or ""
    config: dict[str, Any] = {
        "path": path.name, "format": format_, "stream": "rows", "columns": types_of(options.types),
        "encoding": options.encoding, "header": options.header, "records_path": options.records_path,
        "sheet": options.sheet or None, "delimiter": delimiter or None,
    }  # fmt: skip
    return Reading("files", config, "rows", path.parent, tuple(options.primary_key), options.max_bad_rows)
