"""Snowflake: `INFORMATION_SCHEMA`, the declared keys, and samples of rows within a time."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, ClassVar

import sqlglot
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers

from dteg.core.errors import EnvironmentProblemError, PermanentError
from dteg.metadata.clouds import SnowflakePlace
from dteg.metadata.collectors import (
    READ_TIMEOUT_S,
    SAMPLE_ROWS,
    CloudCollector,
    Found,
    Logged,
    Sample,
    described,
    probe_of,
)
from dteg.metadata.gate import Dialect
from dteg.metadata.models import ColumnEntry, Engine, ForeignKeyEntry, TableEntry
from dteg.metadata.parts import DOCUMENTS, MAX_CHARACTERS, parts_of
from dteg.metadata.snowflake_session import TAG, Session, SnowflakeProber
from dteg.sources.patterns import matches

_TABLES = """
SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ROW_COUNT, BYTES, LAST_ALTERED, COMMENT, TABLE_OWNER, CLUSTERING_KEY
FROM {database}.INFORMATION_SCHEMA.TABLES
WHERE TABLE_SCHEMA <> 'INFORMATION_SCHEMA'{schema} ORDER BY TABLE_SCHEMA, TABLE_NAME
"""
_COLUMNS = """
SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE, IS_NULLABLE, CHARACTER_MAXIMUM_LENGTH, NUMERIC_PRECISION,
    NUMERIC_SCALE, COMMENT
FROM {database}.INFORMATION_SCHEMA.COLUMNS
WHERE TABLE_SCHEMA <> 'INFORMATION_SCHEMA'{schema} ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION
"""
_VIEWS = """
SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION FROM {database}.INFORMATION_SCHEMA.VIEWS
WHERE TABLE_SCHEMA <> 'INFORMATION_SCHEMA'{schema}
"""
_LOG = """
SELECT QUERY_TEXT, COUNT(*) AS CALLS
FROM TABLE({database}.INFORMATION_SCHEMA.QUERY_HISTORY(RESULT_LIMIT => 10000))
WHERE QUERY_TYPE = 'SELECT' AND EXECUTION_STATUS = 'SUCCESS' AND QUERY_TAG <> %s
GROUP BY QUERY_TEXT ORDER BY CALLS DESC LIMIT 500
"""
_KINDS = {"VIEW": "view", "MATERIALIZED VIEW": "materialized_view", "EXTERNAL TABLE": "foreign_table"}
_DOCUMENTS = ("VARIANT", "OBJECT")
_ORDERED = ("NUMBER", "FLOAT", "DATE", "TIME", "TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "TIMESTAMP_TZ")
_SAMPLED = (*_ORDERED, "BOOLEAN", "VARCHAR")
# A text without a length has this one.
_LONGEST = (16_777_216, 134_217_728)


class SnowflakeCollector(CloudCollector):
    """Collects from one database.

    Args:
        session: Of it.
        place: Which database and schema.
        now: What `last_updated` becomes where Snowflake does not say.
        patterns: Which tables, see `dteg.sources.patterns`.
    """

    engine: ClassVar[Engine] = "snowflake"
    dialect: ClassVar[Dialect] = "snowflake"
    count_if, text = "COUNT_IF", "VARCHAR"
    inclusion_timeout_s = 3.0

    def __init__(
        self, session: Session, place: SnowflakePlace, now: datetime, patterns: Sequence[str] = ()
    ) -> None:
        self._session, self._place, self._now, self._patterns = session, place, now, patterns
        self.prober = SnowflakeProber(session)

    def tables(self) -> list[Found]:
        """See `Collector.tables`: six statements, however many tables."""
        columns: dict[tuple[str, str], list[ColumnEntry]] = defaultdict(list)
        for row in self._catalogue(_COLUMNS):
            columns[row["table_schema"], row["table_name"]].append(_column(row))
        views = {
            (row["table_schema"], row["table_name"]): row["view_definition"] or ""
            for row in self._catalogue(_VIEWS)
        }
        primary, unique, references = (self._keys(kind) for kind in ("PRIMARY", "UNIQUE", "IMPORTED"))
        found = []
        for row in self._catalogue(_TABLES):
            name = (row["table_schema"], row["table_name"])
            if matches(self._patterns, *name):
                keys = (primary.get(name, {}), unique.get(name, {}), references.get(name, {}))
                found.append(found_of(row, columns[name], keys, views.get(name, ""), self._now))
        return found

    def sample(self, found: Found) -> Sample:
        """See `Collector.sample`: small tables whole, of others some of their partitions."""
        entry, rows = found.entry, found.row_estimate
        names = sampled(entry)
        listed = ", ".join(_shortened(entry, name) for name in names)
        large = entry.kind == "table" and rows is not None and rows > SAMPLE_ROWS
        part = f" SAMPLE SYSTEM ({min(100.0, 300.0 * SAMPLE_ROWS / (rows or 1)):.6f})" if large else ""
        text = f"SELECT {listed or '1'} FROM {self.place(entry)} AS dteg_t{part} LIMIT {SAMPLE_ROWS + 1}"  # noqa: S608 - quoted
        # What a plan says of a sample is of the whole table: there the time is the limit.
        taken = self.read(text, planned=not large)
        whole = not large and len(taken) <= SAMPLE_ROWS
        values = {name: [row[n] for row in taken] for n, name in enumerate(names)}
        parts = self._parts(entry) if taken else {}
        asked = [(name, self.quoted(name), _bare(entry, name) in _ORDERED) for name in names]
        statistics = {} if whole else self.statistics(entry, asked)
        return Sample(values, whole, len(taken) if whole else rows, statistics, parts)

    def query_log(self) -> Sequence[Logged]:
        """See `Collector.query_log`: the newest statements that this role may see."""
        text = _LOG.format(database=SnowflakeCollector.quoted(self._place.database))
        try:
            found = self._session.rows(text, (TAG,))
        except PermanentError as error:
            raise EnvironmentProblemError(
                f"the query history cannot be read: {error}; GRANT MONITOR ON WAREHOUSE ... TO ROLE {self._place.role}"
            ) from None
        stored = [(as_stored(str(sql)), int(calls)) for sql, calls in found.rows]
        return [Logged(sql, calls) for sql, calls in stored if sql]

    # --- inside ------------------------------------------------------------------------------------

    def _catalogue(self, text: str) -> list[dict[str, Any]]:
        schema = self._place.schema
        limited = text.format(
            database=SnowflakeCollector.quoted(self._place.database),
            schema=" AND TABLE_SCHEMA = %s" if schema else "",
        )
        return self._session.rows(limited, (schema,) if schema else ()).dicts()

    def _keys(self, kind: str) -> dict[tuple[str, str], dict[str, list[dict[str, Any]]]]:
        """Return the columns of declared keys in order, by table and name of the key."""
        schema = self._place.schema
        where = f"SCHEMA {SnowflakeCollector.quoted(self._place.database)}.{SnowflakeCollector.quoted(schema)}" if schema else (
            f"DATABASE {SnowflakeCollector.quoted(self._place.database)}"
        )  # fmt: skip
        before = "fk_" if kind == "IMPORTED" else ""
        found: dict[tuple[str, str], dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
        rows = self._session.rows(f"SHOW {kind} KEYS IN {where}").dicts()
        for row in sorted(rows, key=lambda each: each["key_sequence"]):
            table = (row[f"{before}schema_name"], row[f"{before}table_name"])
            found[table][row["fk_name" if before else "constraint_name"]].append(row)
        return found

    def _parts(self, entry: TableEntry) -> dict[str, list[ColumnEntry]]:
        """Return what is in documents, as far as some of them say."""
        documents = [each for each in entry.columns if _bare(entry, each.name) in _DOCUMENTS]
        asked = [f"TO_JSON({SnowflakeCollector.quoted(each.name)})" for each in documents]
        short = [f"IFF(LENGTH({text}) <= {MAX_CHARACTERS}, {text}, NULL)" for text in asked]
        text = f"SELECT {', '.join(short)} FROM {self.place(entry)} AS dteg_t LIMIT {DOCUMENTS}"  # noqa: S608 - quoted
        try:
            rows = self.read(text) if documents else []
        except PermanentError:
            return {}
        return {each.name: parts_of(each, [row[n] for row in rows], ":") for n, each in enumerate(documents)}

    def read(
        self, text: str, timeout_s: float = READ_TIMEOUT_S, *, planned: bool = True
    ) -> list[tuple[Any, ...]]:
        """See `Collector.read`."""
        self.reads += 1
        if planned:
            self._session.refuse_large(text, timeout_s)
        return self._session.rows(text, timeout_s=timeout_s, most=SAMPLE_ROWS + 1).rows

    @staticmethod
    def quoted(name: str) -> str:
        """See `CloudCollector.quoted`."""
        escaped = name.replace('"', '""')
        return f'"{escaped}"'


Keys = dict[str, list[dict[str, Any]]]


def found_of(
    row: dict[str, Any], columns: Sequence[ColumnEntry], keys: tuple[Keys, Keys, Keys], definition: str, now: datetime
) -> Found:  # fmt: skip
    """Return a table of the catalogue as the cache has it.

    Args:
        row: Of `INFORMATION_SCHEMA.TABLES`, names in small letters.
        columns: In their order.
        keys: Rows of `SHOW PRIMARY KEYS`, `SHOW UNIQUE KEYS` and `SHOW IMPORTED KEYS`, by name of the key.
        definition: SQL of a view.
        now: See `SnowflakeCollector`.
    """
    primary, unique, references = keys
    kind = _KINDS.get(row["table_type"], "table")
    clustering = row.get("clustering_key")
    entry = described(
        {
            "table_id": f"{row['table_schema']}.{row['table_name']}", "last_updated": row["last_altered"] or now,
            "description": row["comment"] or "", "kind": kind, "owner": row["table_owner"], "columns": list(columns),
            "primary_key": [each["column_name"] for rows in primary.values() for each in rows],
            "unique_keys": [[each["column_name"] for each in rows] for _, rows in sorted(unique.items())],
            "foreign_keys": list(_references(references)),
            "tags": [f"clustered by {clustering}"] if clustering else [],
        },
        definition,
    )  # fmt: skip
    rows = int(row["row_count"]) if kind == "table" and row["row_count"] is not None else None
    probe = probe_of(entry, rows, row["bytes"], str(row["last_altered"]))
    return Found(entry, probe, row["table_name"], rows, readable=kind != "foreign_table")


def type_of(row: dict[str, Any]) -> str:
    """Return the type of a row of `INFORMATION_SCHEMA.COLUMNS`, such as `NUMBER(12,2)`."""
    name = str(row["data_type"]).upper()
    if name in ("TEXT", "VARCHAR"):
        length = row["character_maximum_length"]
        return "VARCHAR" if length is None or int(length) in _LONGEST else f"VARCHAR({int(length)})"
    if name == "NUMBER" and row["numeric_precision"] is not None:
        return f"NUMBER({int(row['numeric_precision'])},{int(row['numeric_scale'] or 0)})"
    return name


def as_stored(text: str) -> str:
    """Return a statement with names as Snowflake keeps them: in capitals unless quoted; "" if it cannot be read."""
    try:
        query = sqlglot.parse_one(text, dialect="snowflake")
        return normalize_identifiers(query, dialect="snowflake").sql(dialect="snowflake", comments=False)
    except (SqlglotError, RecursionError):
        return ""


def sampled(entry: TableEntry) -> list[str]:
    """Return the columns whose values can be looked at: no documents, places and bytes."""
    return [each.name for each in entry.columns if _bare(entry, each.name) in _SAMPLED]


def _column(row: dict[str, Any]) -> ColumnEntry:
    about = row["comment"] or ""
    nullable = row["is_nullable"] != "NO"
    return ColumnEntry(
        name=row["column_name"], type=type_of(row), mode="NULLABLE" if nullable else "REQUIRED", nullable=nullable,
        description=about, description_origin="comment" if about else None,
    )  # fmt: skip


def _references(keys: Keys) -> Iterator[ForeignKeyEntry]:
    for _, rows in sorted(keys.items()):
        first = rows[0]
        if first["pk_table_name"]:
            yield ForeignKeyEntry(
                columns=[each["fk_column_name"] for each in rows],
                ref_table=f"{first['pk_schema_name']}.{first['pk_table_name']}",
                ref_columns=[each["pk_column_name"] for each in rows],
            )


def _bare(entry: TableEntry, name: str) -> str:
    column = entry.column(name)
    return column.type.partition("(")[0] if column else ""


def _shortened(entry: TableEntry, name: str) -> str:
    column = SnowflakeCollector.quoted(name)
    return f"LEFT({column}, 200)" if _bare(entry, name) == "VARCHAR" else column
