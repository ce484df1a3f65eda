"""The file in DuckDB: as it was read, and as one hash for each value."""

import codecs
import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from dteg.core.errors import InputError, MissingExtraError
from dteg.core.identifiers import MAX_IDENTIFIER_BYTES
from dteg.core.project import Project

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from dteg.connectors.base import Context, Extractor
    from dteg.core.batch import Batch, Schema

TABLE = "flat"
HASHES = "hashes"
MAX_COLUMNS = 400
MEMORY = "1GB"


def quoted(name: str) -> str:
    """Return a name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as a constant of SQL."""
    return "'" + text.replace("'", "''") + "'"


def listed(names: list[str], prefix: str = "") -> str:
    """Return names as a list of columns, each behind the alias `prefix` if there is one."""
    dot = f"{prefix}." if prefix else ""
    return ", ".join(dot + quoted(name) for name in names)


@contextlib.contextmanager
def workspace(folder: Path, memory: str = MEMORY) -> "Iterator[DuckDBPyConnection]":
    """Yield an empty DuckDB that may write what does not fit into memory below `folder`.

    Raises:
        MissingExtraError: DuckDB is not installed.
    """
    try:
        import duckdb
    except ImportError:
        raise MissingExtraError("normalize", "taking files apart") from None
    settings: dict[str, Any] = {
        "memory_limit": memory, "temp_directory": str(folder / "spill"), "threads": 2, "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }  # fmt: skip
    with duckdb.connect(":memory:", config=settings) as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        yield connection


class Flat:
    """The rows of a file in the table `flat`; DuckDB's own `rowid` says their order.

    Args:
        connection: Where they are.
        name: What the file is called, without its ending.

    Attributes:
        shortened: Names of columns that no database would keep whole, with what they are called instead.
        notes: What a person should know of how it was read.
    """

    def __init__(self, connection: "DuckDBPyConnection", name: str) -> None:
        self.connection = connection
        self.name = name
        self.notes: list[str] = []
        self.shortened = _shorten_names(connection)
        described = connection.execute(f"DESCRIBE {TABLE}").fetchall()
        self.columns = [str(row[0]) for row in described]
        self.types = {str(row[0]): str(row[1]) for row in described}
        self.rows = int(self.one(f"SELECT count(*) FROM {TABLE}")[0])  # noqa: S608 - a constant

    def one(self, query: str) -> tuple[Any, ...]:
        """Return the one row of a query."""
        row = self.connection.execute(query).fetchone()
        assert row is not None
        return row

    def change_type(self, name: str, type_: str) -> None:
        """Give a column another type, if that changes no value."""
        column, was = quoted(name), self.types[name]
        back = f"CAST(CAST({column} AS {type_}) AS {was})"
        if not self.one(f"SELECT count(*) FILTER ({back} IS DISTINCT FROM {column}) FROM {TABLE}")[0]:  # noqa: S608 - quoted
            self.connection.execute(f"ALTER TABLE {TABLE} ALTER COLUMN {column} TYPE {type_}")
            self.types[name] = type_

    def hash_values(self) -> None:
        """Make the table `hashes`: the columns h0, h1, ... with 64 bits for each value, null included.

        Groups are found by it: comparing numbers is several times cheaper than comparing texts. What is
        found is proved on the values themselves.
        """
        hashed = ", ".join(f"hash({quoted(name)}) AS h{number}" for number, name in enumerate(self.columns))
        self.connection.execute(f"CREATE OR REPLACE TABLE {HASHES} AS SELECT {hashed} FROM {TABLE}")  # noqa: S608 - quoted

    def hashes(self, names: list[str]) -> list[str]:
        """Return the columns of `hashes` that belong to columns of the file."""
        return [f"h{self.columns.index(name)}" for name in names]


def shorter(name: str) -> str:
    """Return a name of a column that PostgreSQL keeps whole: the beginning of a longer one, and a hash of all of it."""
    if len(name.encode()) <= MAX_IDENTIFIER_BYTES:
        return name
    mark = f"_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return name.encode()[: MAX_IDENTIFIER_BYTES - len(mark)].decode(errors="ignore") + mark


def _shorten_names(connection: "DuckDBPyConnection") -> dict[str, str]:
    names = [str(row[0]) for row in connection.execute(f"DESCRIBE {TABLE}").fetchall()]
    found = {name: shorter(name) for name in names if shorter(name) != name}
    for before, now in found.items():
        connection.execute(f"ALTER TABLE {TABLE} RENAME COLUMN {quoted(before)} TO {quoted(now)}")
    return found


def load(
    connection: "DuckDBPyConnection",
    project: Project,
    file: str,
    how: Mapping[str, Any] = MappingProxyType({}),
    *,
    name: str = "",
) -> Flat:
    """Read a file as `dteg create` reads it: the same formats, types and messages.

    Args:
        connection: Where to.
        project: Whose connectors read it.
        file: Path or URL.
        how: Keys of `CreateRequest`: format, types, options.
        name: What it is called; default: its own name.

    Raises:
        InputError: It cannot be read, has rows that cannot be read, or none at all.
        ConfigError: There is no such format, type or option.
        MissingExtraError: What reads Excel files is not installed.
    """
    from dteg.connectors.base import Context
    from dteg.normalize.nested import unfold
    from dteg.tables.loading import Source, extractor_of, project_in
    from dteg.tables.models import CreateRequest
    from dteg.tables.requests import checked

    source = Source(Path.cwd(), file)
    request = checked(CreateRequest, table="flat", **how)
    if "encoding" not in request.options and _is_utf16(Path(file)):
        request = request.model_copy(update={"options": {**request.options, "encoding": "utf-16"}})
    component, config = extractor_of(project, request, source)
    file_format = getattr(config, "file_format", "")
    context = Context(project_in(project, source.folder))
    with cast("Extractor[Any]", component.create(config, context)) as extractor:
        (stream,) = extractor.streams()
        _check_columns(stream.schema, file)
        _fill(connection, stream.schema, _whole(extractor.read(stream, None), context))
    of_json = unfold(connection) if file_format in ("json", "jsonl") else []
    flat = Flat(connection, name or Path(file.split("?", maxsplit=1)[0]).name.split(".")[0])
    if not flat.rows:
        other = "; another sheet is read with --set sheet=NAME" if file_format == "xlsx" else ""
        raise InputError(f"holds no rows{other}", source=file)
    flat.notes = of_json
    return flat


def _is_utf16(path: Path) -> bool:
    """Whether a file says with its first bytes that it is UTF-16, as Excel writes "Unicode text"."""
    if path.suffix.lower() not in (".csv", ".tsv", ".txt") or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def _whole(batches: "Iterator[Batch]", context: "Context") -> "Iterator[Batch]":
    """Yield batches until a row cannot be read: without it the tables would not be the file."""
    for batch in batches:
        for bad in context.dead_letters:
            raise InputError(f"{bad.reason}; mend the file, all rows are needed", source=bad.position)
        yield batch.replace_schema_metadata(None)


def _fill(connection: "DuckDBPyConnection", schema: "Schema", batches: "Iterator[Batch]") -> None:
    import duckdb
    import pyarrow as pa

    failed: list[Exception] = []

    def watched() -> "Iterator[Batch]":
        try:
            yield from batches
        except Exception as error:
            failed.append(error)
            raise

    connection.register("arriving", pa.RecordBatchReader.from_batches(schema.remove_metadata(), watched()))
    try:
        connection.execute(f"CREATE TABLE {TABLE} AS SELECT * FROM arriving")  # noqa: S608 - constants
    except duckdb.Error:
        # DuckDB tells the text of an error of ours only.
        if failed:
            raise failed[0] from None
        raise
    finally:
        connection.unregister("arriving")
        pa.default_memory_pool().release_unused()


def _check_columns(schema: "Schema", file: str) -> None:
    import pyarrow as pa

    if len(schema) > MAX_COLUMNS:
        raise InputError(f"has {len(schema):,} columns; {MAX_COLUMNS} are the most", source=file)
    seen: set[str] = set()
    for column in schema:
        if column.name.casefold() in seen:
            raise InputError(
                f"has two columns {column.name!r}, which are one in a database; rename one", source=file
            )
        seen.add(column.name.casefold())
        if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
            raise InputError(
                f"the column {column.name!r} is {column.type}; leave it out or make it a text", source=file
            )
