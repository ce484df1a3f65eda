"""SQL Server as a source: tds_fdw, always through the relay."""

from typing import ClassVar

from dteg.sources.described import DescribedLinker, RemoteColumn
from dteg.sources.kinds import Link, MssqlOptions
from dteg.sources.models import Column, SourceTable

_TYPES = {
    "tinyint": "smallint", "smallint": "smallint", "int": "integer", "bigint": "bigint", "bit": "boolean",
    "money": "numeric(19,4)", "smallmoney": "numeric(10,4)", "float": "double precision", "real": "real",
    "date": "date", "datetime": "timestamp(3) without time zone", "smalldatetime": "timestamp(0) without time zone",
    "binary": "bytea", "varbinary": "bytea", "image": "bytea", "timestamp": "bytea", "rowversion": "bytea",
}  # fmt: skip
_TEXTS = frozenset({"char", "varchar", "nchar", "nvarchar", "text", "ntext", "xml", "sysname"})
_FRACTIONS = {"datetime2": "timestamp{} without time zone", "datetimeoffset": "timestamp{} with time zone",
              "time": "time{} without time zone"}  # fmt: skip
_MAX_FRACTION = 6
_COLUMNS_QUERY = """
SELECT c.TABLE_SCHEMA, c.TABLE_NAME, c.COLUMN_NAME, c.DATA_TYPE, c.CHARACTER_MAXIMUM_LENGTH,
    COALESCE(CAST(c.NUMERIC_PRECISION AS int), CAST(c.DATETIME_PRECISION AS int)), CAST(c.NUMERIC_SCALE AS int), c.IS_NULLABLE
FROM INFORMATION_SCHEMA.COLUMNS c
WHERE c.TABLE_SCHEMA NOT IN ('sys', 'INFORMATION_SCHEMA')
ORDER BY c.TABLE_SCHEMA, c.TABLE_NAME, c.ORDINAL_POSITION
"""
_KEYS_QUERY = """
SELECT k.TABLE_SCHEMA, k.TABLE_NAME, k.CONSTRAINT_NAME,
    CASE t.CONSTRAINT_TYPE WHEN 'PRIMARY KEY' THEN 'Y' ELSE 'N' END, k.COLUMN_NAME
FROM INFORMATION_SCHEMA.TABLE_CONSTRAINTS t
JOIN INFORMATION_SCHEMA.KEY_COLUMN_USAGE k
    ON k.CONSTRAINT_SCHEMA = t.CONSTRAINT_SCHEMA AND k.CONSTRAINT_NAME = t.CONSTRAINT_NAME
WHERE t.CONSTRAINT_TYPE IN ('PRIMARY KEY', 'UNIQUE')
ORDER BY 1, 2, 4 DESC, 3, k.ORDINAL_POSITION
"""


class MssqlLinker(DescribedLinker):
    """Links tables of one database of SQL Server. Its statements are tested; a server of this kind was not at hand."""

    extension: ClassVar[str] = "tds_fdw"
    packages: ClassVar[str] = "Debian: postgresql-15-tds-fdw; the embedded server cannot have it"
    protocol: ClassVar[str] = "mssql"
    host_option: ClassVar[str] = "servername"
    columns_query: ClassVar[str] = _COLUMNS_QUERY
    keys_query: ClassVar[str] = _KEYS_QUERY

    def server_options(self, link: Link) -> dict[str, str]:
        """Return the options of the server."""
        options: MssqlOptions = link.options
        return {
            "database": self.server(link).database, "tds_version": options.tds_version,
            # The messages of the server that are none of a person's business become notices otherwise.
            "msg_handler": "blackhole",
        }  # fmt: skip

    def table_options(self, link: Link, table: SourceTable) -> dict[str, str]:
        """Return which table it is."""
        return {"schema_name": table.schema_, "table_name": table.name, "match_column_names": "1"}

    def query_options(self, query: str) -> dict[str, str]:
        """Return the options of a foreign table over a query."""
        return {"query": query.strip(), "match_column_names": "0"}

    def column(self, found: RemoteColumn) -> tuple[Column, str]:
        """Return what a column becomes: texts compare without case there, `uniqueidentifier` sorts otherwise."""
        kind = found.data_type.lower()
        type_, exact = _TYPES.get(kind, ""), False
        if kind in ("decimal", "numeric"):
            type_ = f"numeric({found.precision or 18},{found.scale or 0})"
        elif kind in _FRACTIONS:
            digits = min(_MAX_FRACTION, _MAX_FRACTION if found.precision is None else found.precision)
            type_ = _FRACTIONS[kind].format(f"({digits})")
        elif kind in _TEXTS or kind == "uniqueidentifier":
            type_, exact = "text" if kind in _TEXTS else "uuid", True
        column = Column(
            name=found.name, type=type_, remote_type=kind, nullable=found.nullable == "YES", exact=exact
        )
        return column, "" if type_ else f"the type {kind} cannot be read"
