"""The kinds of sources, and how each is linked: add a kind here, and its class in a module of its own."""

import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import psycopg
from pydantic import Field

from dteg.core.config import ConfigModel
from dteg.core.durations import DurationText
from dteg.core.errors import ConfigError, DtegError
from dteg.core.project import Project
from dteg.core.secrets import redact
from dteg.sources.models import Kind, Mode, Probe, Progress, SourceTable, TableProblem

PROBE_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Link:
    """All that is needed to reach one source and to link it.

    Attributes:
        project: Whose warehouse.
        slug: Name of the source.
        kind: What it is.
        mode: How it is linked.
        url: How to reach it, with the password; empty where the kind has none.
        options: Checked settings: an instance of `SourceKind.options`.
        patterns: Which tables, see `dteg.sources.patterns`.
        address: Host and port at which the warehouse reaches it instead of those in the URL (the relay's).
    """

    project: Project
    slug: str
    kind: Kind
    mode: Mode
    url: str = field(repr=False)
    options: Any
    patterns: Sequence[str] = ()
    address: tuple[str, int] | None = None

    @property
    def schema(self) -> str:
        """The schema of its tables in the warehouse."""
        return f"src_{self.slug}"


class Linker(Protocol):
    """How one kind is linked in one mode. Made without arguments; holds nothing between calls."""

    def check(self, link: Link) -> None:
        """Refuse what cannot work, without connecting anywhere.

        Raises:
            ConfigError: The URL or the options are wrong.
            EnvironmentProblemError: The warehouse lacks what is needed (needs to look there).
        """
        ...

    def probe(self, link: Link, timeout_s: float = PROBE_TIMEOUT_S) -> Probe:
        """Ask the source itself, not through the warehouse, whether it answers; never raises for one that does not."""
        ...

    def introspect(self, link: Link) -> list[SourceTable]:
        """Return the tables that match `link.patterns`, as the source describes them, without touching the warehouse.

        Each has its relation (`link.schema` and a free name), its columns with the types they will have, and in
        `problem` what cannot be read; a table that cannot be read at all has no columns. `linked`, `schema_hash` and
        `introspected_at` are filled in by the caller.

        Raises:
            TransientError: The source does not answer.
            PermanentError: It refuses us.
        """
        ...

    def link_tables(
        self,
        link: Link,
        connection: psycopg.Connection[Any],
        tables: Sequence[SourceTable],
        on_progress: Progress,
    ) -> list[TableProblem]:
        """Make or replace the relations of these tables; the schema is there, and rights are given by the caller.

        A table that cannot be linked is reported and leaves the others alone. A relation that is there may be in use
        by generations of datasets, so it is put aside by `dteg.sources.relations.retire`, never dropped with CASCADE.

        Args:
            link: The source.
            connection: To the warehouse, as its user, in autocommit mode; the linker opens its transactions.
            tables: As `introspect` returned them.
            on_progress: Is told of each table.

        Returns:
            What could not be made; a problem without columns means that the whole table is not there.
        """
        ...

    def unlink(self, link: Link, connection: psycopg.Connection[Any]) -> None:
        """Remove what `link_tables` made beside the schema, such as a server; the schema itself is dropped by the caller."""
        ...


def probed(ask: Callable[[], str]) -> Probe:
    """Return what came of asking a source whether it is there; `ask` returns what it calls itself."""
    began, server, message = time.perf_counter(), "", ""
    try:
        server = ask()
    except DtegError as error:
        message = redact(str(error))
    ms = round((time.perf_counter() - began) * 1000)
    return Probe(ok=not message, ms=ms, server=server, message=message)


class StagedOptions(ConfigModel):
    """Settings of every kind that is copied."""

    max_stage_age: DurationText = Field("15m", description="A copy older than this is made anew before use.")


class FdwOptions(ConfigModel):
    """Settings of every kind that is read where it is."""

    fetch_size: int = Field(10_000, ge=1, le=1_000_000, description="Rows that are fetched at a time.")
    silence_s: float = Field(
        10.0, ge=1, le=3600, description="Silence after which the server is asked whether it still lives (s)."
    )


class DatabaseOptions(FdwOptions):
    """Settings of databases that can be read where they are, or copied."""

    max_stage_age: DurationText = Field("15m", description="When copied: how old a copy may be.")


class PostgresOptions(DatabaseOptions):
    """Settings of PostgreSQL."""

    remote_estimates: bool = Field(True, description="Let the source itself say how many rows a query has.")
    read_only_session: bool = Field(
        True, description="Open sessions that cannot write. Off for a pooler that refuses settings."
    )


class MysqlOptions(DatabaseOptions):
    """Settings of MySQL and MariaDB."""

    tls_ca: str = Field(
        "", max_length=1000, description="File with the certificate of who vouches for the server."
    )
    dates_as_text: list[str] = Field(
        [], max_length=1000, description="Columns with dates such as 0000-00-00, as table.column."
    )
    long_columns: list[str] = Field(
        [],
        max_length=1000,
        description="Long columns to be read where they are, as table.column: texts of any length, but compared as the"
        " source does; binary ones without a value over 8000 bytes.",
    )


class MssqlOptions(DatabaseOptions):
    """Settings of SQL Server."""

    tds_version: str = Field("7.4", pattern=r"^(7\.[0-4]|auto)$", description="Version of the protocol.")


class OracleOptions(DatabaseOptions):
    """Settings of Oracle."""


@dataclass(frozen=True)
class SourceKind:
    """What is known of a kind without looking at a source.

    Attributes:
        kind: Which.
        title: Its name for people.
        options: The model of its settings: forms and documentation are generated from it. A dotted path, so that a
            kind costs nothing until it is used.
        url: What its URL looks like; empty if it has none.
        linkers: The class for each mode it has, as `module:Class`, in the order in which `auto` tries them.
        schemes: What the URL may begin with.
    """

    kind: Kind
    title: str
    options: str
    linkers: Mapping[Mode, str]
    url: str = ""
    schemes: tuple[str, ...] = ()

    @property
    def options_model(self) -> type[ConfigModel]:
        """The model of its settings."""
        model: type[ConfigModel] = _load(self.options)
        return model

    def linker(self, mode: Mode) -> Linker:
        """Return how it is linked in a mode.

        Raises:
            ConfigError: It has no such mode.
        """
        if mode not in self.linkers:
            known = " or ".join(self.linkers)
            raise ConfigError(f"{self.title} cannot be {mode}; write mode: {known}")
        linker: Linker = _load(self.linkers[mode])()
        return linker


def _load(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


_HERE = "dteg.sources"
# [staging] is a folder of its own: what is copied goes through our extractors.
KINDS: dict[Kind, SourceKind] = {
    each.kind: each
    for each in (
        SourceKind(
            Kind.POSTGRES, "PostgreSQL", f"{_HERE}.kinds:PostgresOptions",
            {Mode.FDW: f"{_HERE}.postgres:PostgresLinker"},
            "postgresql://user:password@host:5432/database", ("postgresql", "postgres"),
        ),
        SourceKind(
            Kind.MYSQL, "MySQL or MariaDB", f"{_HERE}.kinds:MysqlOptions",
            {Mode.FDW: f"{_HERE}.mysql:MysqlLinker", Mode.STAGED: f"{_HERE}.staging.databases:DatabaseLinker"},
            "mysql://user:password@host:3306/database", ("mysql", "mariadb"),
        ),
        SourceKind(
            Kind.MSSQL, "SQL Server", f"{_HERE}.kinds:MssqlOptions",
            {Mode.FDW: f"{_HERE}.mssql:MssqlLinker"},
            "mssql://user:password@host:1433/database", ("mssql",),
        ),
        SourceKind(
            Kind.ORACLE, "Oracle", f"{_HERE}.kinds:OracleOptions",
            {Mode.FDW: f"{_HERE}.oracle:OracleLinker"},
            "oracle://user:password@host:1521/service", ("oracle",),
        ),
        SourceKind(
            Kind.FILE, "File", f"{_HERE}.staging.options:FileOptions",
            {Mode.STAGED: f"{_HERE}.staging.files:FileLinker"},
        ),
        SourceKind(
            Kind.JSON_API, "JSON from an API", f"{_HERE}.staging.options:JsonApiOptions",
            {Mode.STAGED: f"{_HERE}.staging.json_api:JsonApiLinker"},
            "https://api.example.com/v1", ("http", "https"),
        ),
        SourceKind(
            Kind.GEOJSON, "GeoJSON", f"{_HERE}.staging.options:GeoJsonOptions",
            {Mode.STAGED: f"{_HERE}.staging.geojson:GeoJsonLinker"},
        ),
    )
}  # fmt: skip


def kind_of(kind: Kind) -> SourceKind:
    """Return what is known of a kind.

    Raises:
        ConfigError: It is the warehouse itself, which is not added.
    """
    if kind not in KINDS:
        raise ConfigError("the warehouse is a source already")
    return KINDS[kind]
