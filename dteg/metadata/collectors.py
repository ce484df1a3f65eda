"""What every collector gives: the tables as the catalogue knows them, samples of rows, and answers about joins."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from dteg.metadata.gate import Dialect
from dteg.metadata.models import ColumnEntry, Engine, TableEntry
from dteg.metadata.probers import Prober

# Tables up to so many rows are read whole.
SAMPLE_ROWS = 2_000
READ_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Found:
    """A table as the catalogue knows it.

    Attributes:
        entry: Without anything that its rows would tell.
        probe: Differs when its form or the number of its rows differs.
        key: What the collector knows it by.
        row_estimate: Rows; None if nobody knows.
        readable: Whether its rows can be looked at cheaply: not those of foreign tables.
    """

    entry: TableEntry
    probe: str
    key: Any = None
    row_estimate: int | None = None
    readable: bool = True


@dataclass(frozen=True)
class Statistics:
    """What the server's own statistics say of a column.

    Attributes:
        null_share: Rows without a value, 0 to 1.
        distinct: Different values; negative: as a share of the rows.
        top: Frequent values with their share.
    """

    null_share: float
    distinct: float
    least: str | None = None
    most: str | None = None
    top: list[tuple[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Sample:
    """Rows of a table.

    Attributes:
        columns: Values by column, as the driver gives them.
        whole: Whether these are all rows.
        rows: Of the table: exact if `whole`.
        statistics: By column, where the server has some.
        parts: Of columns of documents, by column.
    """

    columns: dict[str, list[Any]]
    whole: bool
    rows: int | None
    statistics: dict[str, Statistics] = field(default_factory=dict)
    parts: dict[str, list[ColumnEntry]] = field(default_factory=dict)


@dataclass(frozen=True)
class Inclusion:
    """Whether the values of one column are among those of another."""

    table: Found
    column: str
    ref_table: Found
    ref_column: str


@dataclass(frozen=True)
class Logged:
    """A statement of the query log."""

    sql: str
    calls: int


class Collector(Protocol):
    """Reads the metadata of one database. Methods raise TransientError or PermanentError of the connection."""

    engine: ClassVar[Engine]
    dialect: ClassVar[Dialect]

    def tables(self) -> list[Found]:
        """Return all tables; reads no rows."""
        ...

    def sample(self, found: Found) -> Sample:
        """Read rows of a table.

        Raises:
            PermanentError: It cannot be read, or not in time.
        """
        ...

    def is_included(self, wanted: Inclusion) -> bool | None:
        """Say whether all of a sample of values is in the other table; None if there are none, or it takes too long."""
        ...

    def query_log(self) -> Sequence[Logged]:
        """Return the statements that ran most often; none where nobody reads the log of such a database.

        Raises:
            EnvironmentProblemError: There is no log, or it may not be read; with what to do.
        """
        ...

    @property
    def prober(self) -> Prober:
        """What runs statements of the gate."""
        ...

    @property
    def reads(self) -> int:
        """How often rows of tables were read."""
        ...
