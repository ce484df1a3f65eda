"""What every collector gives: the tables as the catalogue knows them, samples of rows, and answers about joins."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from dteg.core.errors import PermanentError
from dteg.metadata.client.documents import canonical, sha256
from dteg.metadata.gate import Dialect
from dteg.metadata.models import ColumnEntry, Engine, TableEntry
from dteg.metadata.probers import Prober

# Tables up to so many rows are read whole.
SAMPLE_ROWS = 2_000
READ_TIMEOUT_S = 5.0
# Different values of a column that are looked for in another table.
INCLUSION_VALUES = 500
_MAX_STATISTICS = 200


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


class Collector(ABC):
    """Reads the metadata of one database. Methods raise TransientError or PermanentError of the connection.

    Attributes:
        prober: What runs statements of the gate.
        reads: How often rows of tables were read.
        inclusion_timeout_s: For one question about a join (s).
    """

    engine: ClassVar[Engine]
    dialect: ClassVar[Dialect]
    inclusion_timeout_s: ClassVar[float] = 2.0
    prober: Prober
    reads = 0

    @abstractmethod
    def tables(self) -> list[Found]:
        """Return all tables; reads no rows."""

    @abstractmethod
    def sample(self, found: Found) -> Sample:
        """Read rows of a table.

        Raises:
            PermanentError: It cannot be read, or not in time.
        """

    @abstractmethod
    def query_log(self) -> Sequence[Logged]:
        """Return the statements that ran most often; none where nobody reads the log of such a database.

        Raises:
            EnvironmentProblemError: There is no log, or it may not be read; with what to do.
        """

    @abstractmethod
    def read(self, text: Any, timeout_s: float = READ_TIMEOUT_S) -> Sequence[Any]:
        """Read rows of tables, and count that.

        Raises:
            PermanentError: It cannot run, or not in time (s).
        """

    @abstractmethod
    def inclusion(self, wanted: Inclusion) -> Any:
        """Return the statement that counts a sample of values, and those of them that the other table has not."""

    def is_included(self, wanted: Inclusion) -> bool | None:
        """Say whether all of a sample of values is in the other table; None if there are none, or it takes too long."""
        try:
            ((values, missing),) = self.read(self.inclusion(wanted), self.inclusion_timeout_s)
        except PermanentError:
            return None
        return None if not values else not missing


class CloudCollector(Collector):
    """What BigQuery and Snowflake share: both are asked for as little as possible, as reading costs.

    Attributes:
        count_if: Their function that counts what is true.
        text: Their type of a text.
    """

    count_if: ClassVar[str]
    text: ClassVar[str]

    def inclusion(self, wanted: Inclusion) -> str:
        """See `Collector.inclusion`."""
        column, ref = self.quoted(wanted.column), self.quoted(wanted.ref_column)
        return (
            f"SELECT COUNT(*), {self.count_if}(dteg_r.k IS NULL) FROM (SELECT DISTINCT {column} AS k FROM "  # noqa: S608 - quoted
            f"{self.place(wanted.table.entry)} WHERE {column} IS NOT NULL LIMIT {INCLUSION_VALUES}) AS dteg_v LEFT JOIN "
            f"(SELECT DISTINCT {ref} AS k FROM {self.place(wanted.ref_table.entry)}) AS dteg_r ON dteg_r.k = dteg_v.k"
        )

    def statistics(
        self, entry: TableEntry, columns: Sequence[tuple[str, str, bool]]
    ) -> dict[str, Statistics]:
        """Return what all rows say, if that is neither too much nor too long to read.

        Args:
            entry: The table.
            columns: Name, SQL, and whether its values have an order.
        """
        columns = columns[:_MAX_STATISTICS]
        asked = ["COUNT(*)"]
        for _, column, is_ordered in columns:
            asked += [f"{self.count_if}({column} IS NULL)", f"APPROX_COUNT_DISTINCT({column})"]
            asked += [
                f"CAST({end}({column}) AS {self.text})" if is_ordered else "NULL" for end in ("MIN", "MAX")
            ]
        try:
            ((total, *facts),) = self.read(f"SELECT {', '.join(asked)} FROM {self.place(entry)} AS dteg_t")  # noqa: S608 - quoted
        except PermanentError:
            return {}
        return {
            name: Statistics(float(nulls) / max(int(total), 1), int(distinct), least, most)
            for (name, *_), nulls, distinct, least, most in zip(
                columns, facts[::4], facts[1::4], facts[2::4], facts[3::4], strict=True
            )
        }

    def place(self, entry: TableEntry) -> str:
        """Return a table as SQL."""
        return f"{self.quoted(entry.schema_name)}.{self.quoted(entry.name)}"

    @staticmethod
    @abstractmethod
    def quoted(name: str) -> str:
        """Return a name as SQL."""


def probe_of(entry: TableEntry, *marks: object) -> str:
    """Return what differs when the form of a table does, or what the catalogue says of its rows."""
    return sha256(canonical([entry.fingerprint_sha256, *marks]))[:32]


def described(values: Mapping[str, Any], definition: str = "") -> TableEntry:
    """Return a table with the fingerprint of its form: what a query could depend on, and nothing else.

    Args:
        values: Of the entry, but for the fingerprint.
        definition: SQL of a view.
    """
    entry = TableEntry.model_validate(dict(values))
    form = [
        entry.table_id, entry.kind, [[each.name, each.type, each.nullable] for each in entry.columns],
        entry.primary_key, sorted(entry.unique_keys),
        sorted([each.columns, each.ref_table, each.ref_columns] for each in entry.foreign_keys), definition,
    ]  # fmt: skip
    return entry.model_copy(update={"fingerprint_sha256": sha256(canonical(form))})
