"""Oracle as a source: oracle_fdw where the warehouse has it, through the relay."""

import re
from typing import ClassVar

from dteg.sources.described import DescribedLinker, RemoteColumn
from dteg.sources.kinds import Link, OracleOptions
from dteg.sources.models import Column, SourceTable

_TEXTS = frozenset({"CHAR", "NCHAR", "VARCHAR", "VARCHAR2", "NVARCHAR2", "CLOB", "NCLOB", "LONG"})
_OTHERS = {
    "BINARY_FLOAT": "real", "BINARY_DOUBLE": "double precision", "FLOAT": "double precision", "RAW": "bytea",
    "LONG RAW": "bytea", "BLOB": "bytea", "DATE": "timestamp(0) without time zone",
}  # fmt: skip
_TIMESTAMP = re.compile(r"TIMESTAMP\((\d)\)( WITH (?:LOCAL )?TIME ZONE)?")
_MAX_FRACTION = 6
_OWN = (
    "'SYS', 'SYSTEM', 'XDB', 'MDSYS', 'CTXSYS', 'ORDSYS', 'ORDDATA', 'OUTLN', 'DBSNMP', 'WMSYS', 'LBACSYS',"
    " 'GSMADMIN_INTERNAL', 'APPQOSSYS', 'OJVMSYS', 'OLAPSYS', 'AUDSYS', 'DVSYS'"
)
# One line: oracle_fdw takes a query in brackets as the name of a table.
# ruff: noqa: S608 - the parts are constants of this file
_COLUMNS_QUERY = (
    "(SELECT c.owner, c.table_name, c.column_name, c.data_type, c.char_length, c.data_precision, c.data_scale,"
    f" c.nullable FROM all_tab_columns c WHERE c.owner NOT IN ({_OWN}) ORDER BY c.owner, c.table_name, c.column_id)"
)
_KEYS_QUERY = (
    "(SELECT k.owner, k.table_name, k.constraint_name, DECODE(k.constraint_type, 'P', 'Y', 'N'), c.column_name"
    " FROM all_constraints k JOIN all_cons_columns c ON c.owner = k.owner AND c.constraint_name = k.constraint_name"
    f" WHERE k.constraint_type IN ('P', 'U') AND k.owner NOT IN ({_OWN}) ORDER BY 1, 2, 4 DESC, 3, c.position)"
)


class OracleLinker(DescribedLinker):
    """Links tables of one Oracle service. Its statements are tested; a server of this kind was not at hand."""

    extension: ClassVar[str] = "oracle_fdw"
    packages: ClassVar[str] = (
        "oracle_fdw and Oracle's client have to be built on it; no distribution has them"
    )
    protocol: ClassVar[str] = "oracle"
    user_option: ClassVar[str] = "user"
    columns_query: ClassVar[str] = _COLUMNS_QUERY
    keys_query: ClassVar[str] = _KEYS_QUERY

    def server_options(self, link: Link) -> dict[str, str]:
        """Return the options of the server."""
        return {"isolation_level": "read_only"}

    def address_options(self, link: Link) -> dict[str, str]:
        """Return where it is."""
        server = self.server(link)
        host, port = link.address or (server.host, server.port)
        return {"dbserver": f"//{host}:{port}/{server.database}"}

    def table_options(self, link: Link, table: SourceTable) -> dict[str, str]:
        """Return which table it is; the wrapper itself refuses to write it."""
        options: OracleOptions = link.options
        fetch = min(options.fetch_size, 10_240)  # the most it takes
        return {"schema": table.schema_, "table": table.name, "readonly": "true", "prefetch": str(fetch)}

    def query_options(self, query: str) -> dict[str, str]:
        """Return the options of a foreign table over a query."""
        return {"table": query, "readonly": "true"}

    def column(self, found: RemoteColumn) -> tuple[Column, str]:
        """Return what a column becomes; texts compare exactly there too."""
        kind = found.data_type
        type_ = "text" if kind in _TEXTS else _OTHERS.get(kind, "")
        if kind == "NUMBER":
            type_ = _number(found.precision, found.scale)
        elif match := _TIMESTAMP.fullmatch(kind):
            zone = "with" if match[2] else "without"
            type_ = f"timestamp({min(int(match[1]), _MAX_FRACTION)}) {zone} time zone"
        column = Column(name=found.name, type=type_, remote_type=kind, nullable=found.nullable == "Y")
        return column, "" if type_ else f"the type {kind} cannot be read"


def _number(precision: int | None, scale: int | None) -> str:
    """Return the type of a NUMBER: without a precision it may be any number."""
    if precision is None or scale is None or scale < 0 or scale > precision:
        return "numeric"
    if scale:
        return f"numeric({precision},{scale})"
    return "integer" if precision <= 9 else "bigint" if precision <= 18 else f"numeric({precision},0)"
