"""MySQL and MariaDB: `information_schema`, and the first rows of tables."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from dteg.core.errors import EnvironmentProblemError, PermanentError
from dteg.core.secrets import redact
from dteg.metadata import collectors
from dteg.metadata.collectors import SAMPLE_ROWS, Collector, Found, Inclusion, Logged, Sample
from dteg.metadata.gate import Dialect
from dteg.metadata.models import ColumnEntry, Engine, ForeignKeyEntry, TableEntry
from dteg.metadata.probers import COMPONENT, MysqlProber
from dteg.sources.information_schema import QUERIES, keys_of, quoted
from dteg.sources.patterns import matches

if TYPE_CHECKING:
    import pymysql

_CHANGED = "SELECT table_name, CONCAT(update_time), data_length FROM information_schema.tables WHERE table_schema = %s"
# Of the statements that ran most often: constants are `?` in them.
_LOG = (
    "SELECT digest_text, count_star FROM performance_schema.events_statements_summary_by_digest "
    "WHERE schema_name = %s AND (digest_text LIKE 'SELECT %%' OR digest_text LIKE 'WITH %%') "
    "ORDER BY count_star DESC LIMIT 500"
)
_UNREAD = [
    "binary",
    "varbinary",
    "blob",
    "tinyblob",
    "mediumblob",
    "longblob",
    "json",
    "geometry",
    "point",
    "bit",
]
_TEXT = ("char", "varchar", "text", "tinytext", "mediumtext", "longtext", "enum", "set")


class MysqlCollector(Collector):
    """Collects from one database.

    Args:
        connection: In autocommit mode, for this alone.
        database: Its name.
        now: What `last_updated` becomes.
        patterns: Which tables, see `dteg.sources.patterns`.
    """

    engine: ClassVar[Engine] = "mysql"
    dialect: ClassVar[Dialect] = "mysql"

    def __init__(
        self,
        connection: "pymysql.Connection[Any]",
        database: str,
        now: datetime,
        patterns: Sequence[str] = (),
    ) -> None:
        self._connection, self._database, self._now, self._patterns = connection, database, now, patterns
        self.prober: MysqlProber = MysqlProber(connection)

    def tables(self) -> list[Found]:
        """See `Collector.tables`: five queries, however many tables."""
        columns, keys, references = (self._by_table(name) for name in ("columns", "keys", "foreign_keys"))
        changed = {row[0]: [row[1], row[2]] for row in self._rows(_CHANGED, self._database)}
        found = []
        for name, estimate, about, kind, _ in self._rows(QUERIES["tables"], self._database):
            if not matches(self._patterns, "", name):
                continue
            is_view = kind == "VIEW"
            primary, unique = keys_of(keys[name])
            entry = collectors.described(
                {
                    "table_id": f"{self._database}.{name}", "last_updated": self._now,
                    "description": "" if is_view else about, "kind": "view" if is_view else "table",
                    "columns": [_column(each) for each in columns[name]], "primary_key": primary, "unique_keys": unique,
                    "foreign_keys": self._references(references[name]),
                }
            )  # fmt: skip
            rows = None if is_view or estimate is None else int(estimate)
            probe = collectors.probe_of(entry, rows, *changed.get(name, []))
            found.append(Found(entry, probe, name, rows))
        return found

    def sample(self, found: Found) -> Sample:
        """See `Collector.sample`: the first rows."""
        names = [each.name for each in found.entry.columns if _bare(each.type) not in _UNREAD]
        texts = {each.name for each in found.entry.columns if _bare(each.type) in _TEXT}
        listed = ", ".join(f"LEFT({quoted(name)}, 200)" if name in texts else quoted(name) for name in names)
        text = f"SELECT {listed or '1'} FROM {_name(found.entry)} LIMIT {SAMPLE_ROWS + 1}"  # noqa: S608 - quoted
        rows = self.read(text)
        whole = len(rows) <= SAMPLE_ROWS
        values = {name: [row[place] for row in rows] for place, name in enumerate(names)}
        return Sample(values, whole, len(rows) if whole else found.row_estimate)

    def inclusion(self, wanted: Inclusion) -> str:
        """See `Collector.inclusion`."""
        column, ref = quoted(wanted.column), quoted(wanted.ref_column)
        return (
            f"SELECT COUNT(*), SUM(NOT EXISTS (SELECT 1 FROM {_name(wanted.ref_table.entry)} r WHERE r.{ref} = dteg_v.{column})) "  # noqa: S608 - quoted
            f"FROM (SELECT DISTINCT {column} FROM {_name(wanted.table.entry)} WHERE {column} IS NOT NULL "
            f"LIMIT {collectors.INCLUSION_VALUES}) dteg_v"
        )

    def query_log(self) -> Sequence[Logged]:
        """See `Collector.query_log`: the digests of the performance schema, where it is on and may be read."""
        import pymysql

        try:
            ((is_on,),) = self._rows("SELECT @@performance_schema")
            if not is_on:
                raise EnvironmentProblemError(
                    "performance_schema is off, so there is no query log: start the server with performance_schema=ON"
                )
            rows = self._rows(_LOG, self._database)
        except pymysql.err.MySQLError as error:
            raise EnvironmentProblemError(
                f"the query log cannot be read: {redact(str(error.args[-1]))}; GRANT SELECT ON performance_schema.*"
            ) from None
        return [Logged(str(text), int(calls)) for text, calls in rows]

    def read(self, text: Any, timeout_s: float = collectors.READ_TIMEOUT_S) -> Sequence[Any]:
        """See `Collector.read`."""
        import pymysql

        self.reads += 1
        try:
            with self.prober.read_only(timeout_s) as cursor:
                cursor.execute(text)
                return list(cursor.fetchall())
        except pymysql.err.MySQLError as error:
            raise PermanentError(redact(str(error.args[-1])), component=COMPONENT) from None

    def _rows(self, text: str, *values: Any) -> list[Any]:
        with self._connection.cursor() as cursor:
            cursor.execute(text, values)
            return list(cursor.fetchall())

    def _by_table(self, query: str) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = defaultdict(list)
        for table, *rest in self._rows(QUERIES[query], self._database):
            found[table].append(rest)
        return found

    def _references(self, rows: Sequence[Any]) -> list[ForeignKeyEntry]:
        by_name: dict[str, list[Any]] = defaultdict(list)
        for name, *rest in rows:
            by_name[name].append(rest)
        return [
            ForeignKeyEntry(
                columns=[row[0] for row in each], ref_table=f"{self._database}.{each[0][1]}",
                ref_columns=[row[2] for row in each],
            )
            for each in by_name.values()
        ]  # fmt: skip


def _column(row: Any) -> ColumnEntry:
    name, _, column_type, nullable, *_, about, _ = row
    return ColumnEntry(
        name=name, type=column_type, mode="NULLABLE" if nullable != "NO" else "REQUIRED", nullable=nullable != "NO",
        description=about or "", description_origin="comment" if about else None,
    )  # fmt: skip


def _bare(column_type: str) -> str:
    return column_type.partition("(")[0].partition(" ")[0].lower()


def _name(entry: TableEntry) -> str:
    return f"{quoted(entry.schema_name)}.{quoted(entry.name)}"
