"""The config of the files extractor."""

import codecs
import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any, Literal, Self, cast, get_args
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from dteg.connectors.base import ConnectorConfig
from dteg.core.config import Secret
from dteg.core.errors import ConfigError
from dteg.core.types import sql_field

from .opening import PACKED_SUFFIXES

FileFormat = Literal["csv", "tsv", "json", "jsonl", "parquet", "xlsx", "geojson"]
HTTP_SCHEMES = ("http://", "https://")
PACKAGE_SCHEME = "package://"

_FORMAT_BY_SUFFIX: dict[str, FileFormat] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".geojson": "geojson",
}

RejectRow = Callable[[str, str, dict[str, Any]], None]
"""Sets a row aside; called with reason, position and payload."""


class FilesConfig(ConnectorConfig):
    """Which files, and how they are written."""

    path: str = Field(
        min_length=1,
        description="File or glob below the project folder, absolute path, http(s):// URL, or "
        "package://DISTRIBUTION/path for a file of an installed Python package.",
    )
    format: FileFormat | None = Field(None, description="Default: from the suffix, also behind .gz and .zip.")
    stream: str | None = Field(
        None, min_length=1, description="Name of the stream; default: from the file name."
    )
    columns: dict[str, str] = Field({}, description="Exact SQL types by column; the others are inferred.")
    primary_key: list[str] = Field([], description="Columns that identify a record.")
    null_values: list[str] = Field([""], description="CSV: unquoted texts that mean null.")
    delimiter: str | None = Field(
        None, min_length=1, max_length=1, description="CSV: default comma, in TSV a tab; one ASCII character."
    )
    quote: str = Field('"', max_length=1, description="CSV: character around values; empty for none.")
    header: bool = Field(
        True, description="CSV, xlsx: the first line names the columns; else column_1, column_2, ..."
    )
    encoding: str = Field("utf-8", description="Text encoding; a byte order mark is skipped.")
    member: str | None = Field(None, description="Which file of a .zip that holds several.")
    sheet: str | None = Field(
        None, description="xlsx: name of the sheet; default: the first one that is shown."
    )
    infer_rows: int = Field(0, ge=0, description="Rows per file to infer types from; 0 = all of them.")
    max_line_bytes: int = Field(
        8 << 20, ge=1024, le=1 << 30, description="A longer line is an error (bytes)."
    )
    records_path: str = Field(
        "", description="JSON: dotted path to the array of records; default: the whole file."
    )
    headers: dict[str, Secret] = Field({}, description="HTTP: request headers.")
    timeout_s: float = Field(60.0, gt=0, le=3600, description="HTTP: longest silence of the server.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if "\0" in self.path:
            raise ValueError("path holds a NUL character")
        if self.format is None and _format_of(self.member or self.path) is None:
            raise ValueError(
                f"the name does not say the format; set format to one of {', '.join(get_args(FileFormat))}"
            )
        for text in (self.delimiter or "", self.quote):
            if not text.isascii() or text in ("\r", "\n"):
                raise ValueError("delimiter and quote must be ASCII characters and no line breaks")
        if self.quote == self.field_delimiter:
            raise ValueError("delimiter and quote are the same character")
        try:
            "".encode(self.encoding)  # refuses codecs that are not for text, such as hex
            codecs.getincrementaldecoder(self.encoding)
        except LookupError:
            raise ValueError(f"unknown text encoding {self.encoding!r}") from None
        for name, type_name in self.columns.items():
            try:
                sql_field(name, type_name)
            except ConfigError as error:
                raise ValueError(f"column {name!r}: {error}") from None
        return self

    @property
    def is_http(self) -> bool:
        """Whether the path is a URL."""
        return self.path.lower().startswith(HTTP_SCHEMES)

    @property
    def file_format(self) -> FileFormat:
        """The format, from the suffix when it is not given."""
        return self.format or cast("FileFormat", _format_of(self.member or self.path))

    @property
    def field_delimiter(self) -> str:
        """The delimiter, from the format when it is not given."""
        if self.delimiter:
            return self.delimiter
        return "\t" if self.file_format == "tsv" else ","

    @property
    def stream_name(self) -> str:
        """The stream, from the first part of the path that has letters when it is not given."""
        if self.stream:
            return self.stream
        path = PurePosixPath(_path_part(self.member or self.path))
        for part in (path.name.split(".")[0], path.parent.name):
            if name := re.sub(r"\W+", "_", re.sub(r"[*?]|\[[^]]*\]", "", part)).strip("_").lower():
                return name
        return "files"


def _path_part(path: str) -> str:
    return urlsplit(path).path if path.lower().startswith(HTTP_SCHEMES) else path


def _format_of(path: str) -> FileFormat | None:
    suffixes = [suffix.lower() for suffix in PurePosixPath(_path_part(path)).suffixes]
    if suffixes and suffixes[-1] in PACKED_SUFFIXES:
        suffixes.pop()
    return _FORMAT_BY_SUFFIX.get(suffixes[-1]) if suffixes else None
