"""Settings of the kinds that are copied; forms and documentation are generated from these models."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from dteg.core.errors import ConfigError
from dteg.core.secrets import resolve
from dteg.core.sql_types import canonical, parse_sql_type
from dteg.sources.kinds import StagedOptions

HTTP = ("http://", "https://")
UPLOAD = "upload:"
_HEADER_NAME = re.compile(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")
_OWN_HEADERS = frozenset(["host", "content-length", "transfer-encoding", "connection", "accept-encoding"])


def _secret(text: str) -> str:
    if text and not text.startswith("secret://"):
        raise ValueError("write a reference such as secret://env/NAME, not the secret itself")
    return text


def _typed(texts: list[str]) -> list[str]:
    for text in texts:
        name, equals, type_ = text.partition("=")
        if not (name.strip() and equals):
            raise ValueError(f"{text!r} is not COLUMN=TYPE, such as price=numeric(12,2)")
        try:
            parse_sql_type(type_)
        except ConfigError as error:
            raise ValueError(f"column {name.strip()!r}: {error}") from None
    return texts


def _headers(texts: list[str]) -> list[str]:
    for text in texts:
        name, colon, value = text.partition(":")
        if not (colon and _HEADER_NAME.match(name.strip())) or name.strip().lower() in _OWN_HEADERS:
            raise ValueError(
                f"{name.strip()!r} cannot be the name of a header; write NAME: secret://env/VALUE"
            )
        _secret(value.strip())
    return texts


def _pairs(texts: list[str]) -> list[str]:
    if wrong := [text for text in texts if "=" not in text]:
        raise ValueError(f"{wrong[0]!r} is not NAME=VALUE")
    return texts


SecretReference = Annotated[str, Field(max_length=500), AfterValidator(_secret)]
Types = Annotated[list[str], Field(max_length=500), AfterValidator(_typed)]
Headers = Annotated[list[str], Field(max_length=20), AfterValidator(_headers)]
Pairs = Annotated[list[str], Field(max_length=50), AfterValidator(_pairs)]
TableText = Annotated[str, Field(max_length=63, pattern=r"^[^\x00-\x1f./]*$")]


def types_of(texts: list[str]) -> dict[str, str]:
    """Return SQL types by column."""
    parts = (text.partition("=") for text in texts)
    return {name.strip(): canonical(type_) for name, _, type_ in parts}


def headers_of(texts: list[str]) -> dict[str, str]:
    """Return headers with their secrets, as they are now.

    Raises:
        ConfigError: A secret is not there, or could not be sent.
    """
    found = {}
    for text in texts:
        name, _, reference = text.partition(":")
        value = resolve(reference.strip())
        if not (value.isascii() and value.isprintable()):
            raise ConfigError(f"the value of the header {name.strip()} is not plain text on one line")
        found[name.strip()] = value
    return found


class LocatedOptions(StagedOptions):
    """Settings of what lies in one file."""

    path: str = Field(
        "", max_length=2_000, description="File below the project folder, or its address: https://..."
    )
    table: TableText = Field("", description="Name of the table; default: from the name of the file.")
    headers: Headers = Field([], description="Headers for an address, each as NAME: secret://env/VALUE.")
    max_mb: int = Field(500, ge=1, le=10_000, description="A larger file is refused (MB).")
    timeout_s: float = Field(300, ge=1, le=3_600, description="A download that takes longer is given up (s).")

    @model_validator(mode="after")
    def _place(self) -> Self:
        if not self.path:
            raise ValueError("path: name a file below the project folder, or an address, or send a file")
        if "\0" in self.path or "\n" in self.path:
            raise ValueError("path: on one line")
        if self.headers and not self.is_http:
            raise ValueError("headers: only an address is asked for with headers")
        if "://" in self.path and not self.is_http:
            raise ValueError("path: an address begins with https:// or http://")
        return self

    @property
    def is_http(self) -> bool:
        """Whether the file is at an address."""
        return self.path.lower().startswith(HTTP)


class FileOptions(LocatedOptions):
    """Settings of a CSV, Excel, Parquet or JSON file."""

    format: Literal["auto", "csv", "tsv", "xlsx", "parquet", "jsonl", "json"] = Field(
        "auto", description="How it is written; auto: as its name says."
    )
    primary_key: list[str] = Field([], max_length=32, description="Columns that identify a row.")
    types: Types = Field(
        [],
        description="Exact types of some columns, each as COLUMN=TYPE; the others are found from all rows.",
    )
    sheet: str = Field("", max_length=100, description="Excel: the sheet; default: the first one.")
    delimiter: str = Field(
        "", max_length=2, description="CSV: the delimiter; default: as the first line shows."
    )
    encoding: str = Field("utf-8", max_length=40, description="CSV, JSON: encoding of the text.")
    header: bool = Field(True, description="CSV, Excel: the first line names the columns.")
    records_path: str = Field("", max_length=500, description="JSON: dotted path to the list of records.")
    max_bad_rows: int = Field(
        0, ge=0, description="Rows that may be left out because a value does not fit; more refuse the file."
    )


class GeoJsonOptions(LocatedOptions):
    """Settings of a GeoJSON file."""

    max_mb: int = Field(10, ge=1, le=10, description="A larger file is refused (MB).")
    simplify: float = Field(
        0.0,
        ge=0,
        le=10,
        description="Leave out points of lines that are nearer than this to the line without them (degrees).",
    )


class JsonApiOptions(StagedOptions):
    """Settings of JSON from an API: one list of records."""

    path: str = Field(
        "",
        max_length=1_000,
        pattern=r"^[^?#\s\x00-\x1f\x7f]*$",
        description="Path below the URL, such as /orders.",
    )
    table: TableText = Field("", description="Name of the table; default: from the path.")
    records: str = Field(
        "",
        max_length=500,
        description="Where the list of records is in the answer, as /data/items; empty: the answer is the list.",
    )
    params: Pairs = Field([], description="Query parameters, each as NAME=VALUE.")
    credential: SecretReference = Field("", description="Credential, as secret://env/NAME; empty for none.")
    sent_as: Literal["bearer", "header", "query"] = Field(
        "bearer", description="How it is sent: as a bearer token, in a header, or in the query."
    )
    sent_name: str = Field(
        "X-API-Key", min_length=1, max_length=100, description="Name of that header or parameter."
    )
    paging: Literal["none", "page", "offset", "cursor", "next_url", "link_header"] = Field(
        "none", description="How the API splits records into pages."
    )
    page_param: str = Field(
        "", max_length=100, description="Parameter for the page, offset or cursor; default: that word."
    )
    size_param: str = Field("", max_length=100, description="Parameter for the number of records per page.")
    page_size: int = Field(100, ge=1, le=100_000, description="Records to ask for per page.")
    next_path: str = Field(
        "",
        max_length=500,
        description="cursor, next_url: where the next one is in the answer, as /meta/next.",
    )
    max_pages: int = Field(1_000, ge=1, le=100_000, description="More pages are refused as endless.")
    max_mb: int = Field(100, ge=1, le=1_000, description="A longer answer is refused (MB).")
    timeout_s: float = Field(60, ge=1, le=3_600, description="An answer that takes longer is given up (s).")
    primary_key: list[str] = Field([], max_length=32, description="Columns that identify a record.")
    types: Types = Field(
        [],
        description="Types of all columns to keep, each as COLUMN=TYPE; default: found from the first records.",
    )
    max_bad_rows: int = Field(
        0, ge=0, description="Records that may be left out because a value does not fit; more refuse all."
    )

    @model_validator(mode="after")
    def _paged(self) -> Self:
        if self.paging == "cursor" and not self.next_path:
            raise ValueError("next_path: say where the cursor of the next page is in the answer")
        return self


def dotted(pointer: str) -> str:
    """Return a JSON Pointer (RFC 6901) as the dotted path that our extractors take; a dotted path stays one."""
    if not pointer.startswith("/"):
        return pointer
    return ".".join(part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/"))
