"""The MySQL and MariaDB extractor: rows of a read-only snapshot, taken off the wire into Arrow by column."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator, model_validator

from dteg.connectors import (
    Batch,
    Capabilities,
    ChangeSensor,
    Checkpoint,
    ConnectionUrl,
    ConnectorConfig,
    Context,
    Extractor,
    Secret,
    Stream,
)
from dteg.connectors.selection import (
    check_selection,
    selected_streams,
    selected_tables,
    subquery,
    whole_key,
)
from dteg.core.errors import ConfigError, DtegError, PermanentError

from .connection import SCHEMES, UNKNOWN_TABLE, Endpoint, Tls, connect, translated, unknown_table
from .types import TimeType, TinyInt, ZeroDates, quote

if TYPE_CHECKING:
    import pymysql

    from .describe import Table
    from .types import Column
    from .values import ZeroDateError


class MysqlExtractorConfig(ConnectorConfig):
    """What to read: `table`, `tables` or `query`."""

    url: ConnectionUrl = Field(
        description="`mysql://user@host:3306/database` (or `mariadb://`) without password, or `secret://` reference."
    )
    password: Secret | None = Field(None, description="Password, if the URL has none.")
    table: str | None = Field(None, description="One table or view, as `table` or `database.table`.")
    tables: list[str] = Field([], description="Several tables; each is a stream of its own.")
    query: str | None = Field(None, description="One SELECT; needs `stream`.")
    stream: str | None = Field(
        None, min_length=1, description="Name of the stream; default: the table's name."
    )
    columns: list[str] = Field([], description="Columns to read, with `table` or `query`; default: all.")
    tinyint1: TinyInt = Field("integer", description="What `tinyint(1)` becomes.")
    time_as: TimeType = Field(
        "interval", description="What `time` becomes; `time` refuses values below 0 or from 24 hours on."
    )
    zero_dates: ZeroDates = Field(
        "error", description="Dates with a part that is zero: refuse them, or read them as NULL."
    )
    tls: Tls = Field("preferred", description="Encryption, and how far the server's certificate is checked.")
    tls_ca: str | None = Field(
        None, description="PEM file of the authorities to trust; default: the system's."
    )
    tls_cert: str | None = Field(None, description="PEM file of the client's own certificate.")
    tls_key: str | None = Field(None, description="PEM file of its key.")
    batch_bytes: int = Field(1 << 20, ge=1 << 16, le=1 << 28, description="Size of a block of rows (bytes).")
    connect_timeout_s: float = Field(15, gt=0, le=3600, description="Give up connecting after this long.")
    idle_timeout_s: float = Field(
        300, gt=0, description="Longest silence of the source before the read is given up."
    )
    statement_timeout_s: float = Field(
        0, ge=0, le=31_536_000, description="The server ends the read after this long; 0 is never."
    )

    @field_validator("zero_dates", mode="before")
    @classmethod
    def _null_is_a_word(cls, value: object) -> object:
        """Take YAML's bare `null`, which is no text, for the word."""
        return "null" if value is None else value

    @model_validator(mode="after")
    def _one_source(self) -> "MysqlExtractorConfig":
        check_selection(self)
        if self.columns and self.tables:
            raise ValueError("columns goes with table or query; of several tables all columns are read")
        if not self.url.startswith(("secret://", *(f"{scheme}://" for scheme in SCHEMES))):
            raise ValueError("url must begin with mysql:// or mariadb://")
        if (self.tls_ca or self.tls_cert) and self.tls in ("disabled", "preferred"):
            raise ValueError(f"tls_ca and tls_cert do nothing with tls: {self.tls}; set tls: verify_identity")
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ValueError("tls_cert and tls_key go together")
        return self


class MysqlExtractor(Extractor[MysqlExtractorConfig]):
    """Reads tables, views or one query of a MySQL or MariaDB database."""

    capabilities: ClassVar[Capabilities] = Capabilities(incremental=True)

    def __init__(self, config: MysqlExtractorConfig, context: Context) -> None:
        """Keep the config; connect later."""
        super().__init__(config, context)
        self._connection: pymysql.Connection[Any] | None = None
        self._reading: list[pymysql.Connection[Any]] = []
        self._described: dict[str, list[Column]] = {}

    @classmethod
    def stream_names(cls, config: MysqlExtractorConfig) -> list[str]:
        """Return the stream of each table, or of the query."""
        return selected_streams(config, lambda table: table.rpartition(".")[2])

    def streams(self) -> Iterator[Stream]:
        """Describe each table or the query, from the server's catalogue."""
        from .describe import primary_key, schema_of

        for name, table in self._sources():
            columns = self._columns(name, table)
            with translated(self.endpoint(), name):
                key = primary_key(self._connect(), table) if table else ()
            schema = schema_of(columns)
            yield Stream(name, schema, primary_key=whole_key(key, schema.names))

    def read(self, stream: Stream, since: Checkpoint | None) -> Iterator[Batch]:
        """Yield all rows, or those whose cursor is at least the saved one; all of one snapshot."""
        from .values import Reader, ZeroDateError
        from .wire import read_blocks

        table = dict(self._sources())[stream.name]
        columns = self._columns(stream.name, table)
        reader = Reader(columns, stream.schema, stream.name, self.config.zero_dates)
        source = self._source(stream, table, columns, since)
        selected = ", ".join(f"{column.expression} AS {quote(column.name)}" for column in columns)
        query = f"SELECT {selected} FROM {source}"  # noqa: S608 - quoted names and literals, or the author's own query
        with self._snapshot() as connection, translated(self.endpoint(), stream.name):
            try:
                for block in read_blocks(connection, query, self.config.batch_bytes):
                    yield reader.batch(block)
            except ZeroDateError as error:
                raise self._counted(error, source, stream.name) from None

    def change_sensor(self) -> ChangeSensor | None:
        """Return a sensor over the times of the tables' last changes; a query has none."""
        from .sensor import TableSensor

        tables = [table for _, table in self._sources() if table]
        return TableSensor(self.endpoint(), tables) if tables else None

    def check(self) -> None:
        """Connect and describe every stream."""
        list(self.streams())

    def close(self) -> None:
        """Disconnect, reads in progress included."""
        for connection in [*self._reading, *filter(None, [self._connection])]:
            if connection.open:
                connection.close()
        self._connection = None
        self._reading.clear()

    def endpoint(self) -> Endpoint:
        """Return where and how to connect, with the secrets of this moment."""
        config = self.config
        return Endpoint(
            config.url.reveal(), config.password.reveal() if config.password else None,
            config.tls, config.tls_ca, config.tls_cert, config.tls_key,
            config.connect_timeout_s, config.idle_timeout_s, config.statement_timeout_s,
        )  # fmt: skip

    def _connect(self) -> "pymysql.Connection[Any]":
        if self._connection is None:
            self._connection = connect(self.endpoint())
        return self._connection

    @contextlib.contextmanager
    def _snapshot(self) -> "Iterator[pymysql.Connection[Any]]":
        """Connect for one read. What is unread when it ends goes with the connection."""
        connection = connect(self.endpoint())
        self._reading.append(connection)
        try:
            with translated(self.endpoint()), connection.cursor() as cursor:
                cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            yield connection
        finally:
            if connection.open:
                connection.close()
            with contextlib.suppress(ValueError):
                self._reading.remove(connection)

    def _sources(self) -> "Iterator[tuple[str, Table | None]]":
        """Yield the name of each stream, with database and table unless it is a query."""
        if self.config.query:
            yield str(self.config.stream), None
            return
        default = self.endpoint().arguments()["database"]
        names = self.stream_names(self.config)
        for name, text in zip(names, selected_tables(self.config), strict=True):
            database, _, table = text.rpartition(".")
            if not (database or default):
                raise ConfigError(f"table {text!r}: write database.table, or name a database in the URL")
            yield name, (database or default, table)

    def _relation(self, table: "Table | None") -> str:
        return ".".join(map(quote, table)) if table else subquery(str(self.config.query))

    def _columns(self, name: str, table: "Table | None") -> "list[Column]":
        from .describe import describe

        if name not in self._described:
            connection = self._connect()
            import pymysql  # after `_connect`, which says what to install

            with translated(self.endpoint(), name):
                try:
                    self._described[name] = describe(
                        connection, self._relation(table), table, self.config.columns, name,
                        tinyint1=self.config.tinyint1, time_as=self.config.time_as,
                    )  # fmt: skip
                except pymysql.err.ProgrammingError as error:
                    if table and error.args[0] == UNKNOWN_TABLE:
                        raise unknown_table(connection, *table, name) from None
                    raise
        return self._described[name]

    def _source(
        self, stream: Stream, table: "Table | None", columns: "list[Column]", since: Checkpoint | None
    ) -> str:
        """Return what stands after FROM, with the condition of the cursor."""
        from .predicate import since_predicate

        relation = self._relation(table)
        if since is None or since.cursor is None or not stream.cursor_field:
            return relation
        column = next(each for each in columns if each.name == stream.cursor_field)
        return f"{relation} WHERE {since_predicate(column, since)}"

    def _counted(self, error: "ZeroDateError", source: str, stream: str) -> PermanentError:
        """Say in how many rows the date is zero."""
        name = quote(error.column)
        zero = f"(YEAR({name}) = 0 OR MONTH({name}) = 0 OR DAYOFMONTH({name}) = 0)"
        rows = "some"
        with contextlib.suppress(DtegError), translated(self.endpoint()):
            connection = connect(self.endpoint())
            with contextlib.closing(connection), connection.cursor() as cursor:
                cursor.execute(f"SELECT COUNT(IF({zero}, 1, NULL)) FROM {source}")  # noqa: S608 - as in `read`
                rows = str(cursor.fetchall()[0][0])
        return PermanentError(
            f"{stream}: column {error.column} holds dates such as 0000-00-00 in {rows} rows, which no other system can "
            "keep; repair them, or set zero_dates: null to read them as NULL",
            component="mysql",
            stream=stream,
        )
