"""What SQL has to pass before anybody sees it as right, or runs it: SQL of people, of files and of models alike.

One query and nothing else; only tables and columns of the cache; only functions that are known to be harmless. It is
not the text that runs, but what was understood of it, written anew: so nothing can mean one thing to the parser here
and another one to the server. Then the server plans it, and runs it in a read-only transaction with limits.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError, SqlglotError
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope
from sqlglot.schema import MappingSchema

from dteg.metadata.allowed import FORBIDDEN, functions_of, named_of
from dteg.metadata.client.documents import canonical, sha256
from dteg.metadata.models import Status, TableEntry
from dteg.metadata.probers import Limits, Prober, Ran
from dteg.metadata.reports import Verdict

Dialect = Literal["postgres", "mysql", "bigquery", "snowflake"]
MAX_SQL_CHARACTERS = 20_000
MAX_NODES = 4_000
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
# What servers make of names without quotes.
_FOLDS: Mapping[str, Callable[[str], str]] = {"postgres": str.lower, "snowflake": str.upper}

# What stands before a part of a column.
_PARTS = {"bigquery": ".", "snowflake": ":"}


class _RefusedError(Exception):
    """The statement is not let through; with what it means for the status."""

    def __init__(self, why: str, status: Status = "broken") -> None:
        self.status = status
        super().__init__(why)


def check_sql(
    sql: str, dialect: Dialect, entries: Sequence[TableEntry], prober: Prober | None = None, limits: Limits | None = None
) -> Verdict:  # fmt: skip
    """Say whether a statement may be run and does run.

    Args:
        sql: The statement, from whomever.
        dialect: Of the database.
        entries: What may be read.
        prober: Where it is run; without one it is only looked at.
        limits: How far it may go.

    Returns:
        The verdict; a statement that is refused is never sent anywhere.

    Raises:
        TransientError: The database does not answer.
    """
    limits = limits or Limits()
    try:
        query = _one_query(sql, dialect)
        query = _settled(query, dialect)
        _refuse_forbidden(query, dialect)
        tables = _qualified_tables(query, entries, dialect)
        used = _used_columns(query, tables, dialect)
    except _RefusedError as error:
        return Verdict(status=error.status, why=str(error))
    except RecursionError:
        return Verdict(status="broken", why="it is nested too deeply")
    text = query.sql(dialect=dialect, comments=False)
    known = {"sql": text, "tables": sorted(each.table_id for each in tables), "used_columns": sorted(used)}
    if prober is None:
        return Verdict.model_validate({"status": "valid", **known})
    return _verdict(prober.run(text, limits), known, limits)


def skeleton(sql: str, dialect: Dialect) -> str:
    """Return a query with `?` for each of its values; the text itself if it cannot be read."""
    try:
        query = sqlglot.parse_one(sql, dialect=dialect)
    except (SqlglotError, RecursionError):
        return sql
    for literal in list(query.find_all(exp.Literal)):
        literal.replace(exp.Placeholder())
    return query.sql(dialect=dialect, comments=False)


def difficulty(sql: str, dialect: Dialect) -> Literal["easy", "medium", "hard"]:
    """Say how much a query does at once: joins, windows and queries within it count."""
    try:
        query = sqlglot.parse_one(sql, dialect=dialect)
    except (SqlglotError, RecursionError):
        return "hard"
    weight = sum(1 for _ in query.find_all(exp.Join, exp.Window, exp.Subquery, exp.CTE, exp.SetOperation))
    return "easy" if weight == 0 else "medium" if weight <= 2 else "hard"


def _verdict(ran: Ran, known: Mapping[str, object], limits: Limits) -> Verdict:
    if ran.problem:
        return Verdict.model_validate({"status": "broken", "why": ran.problem, **known})
    if not limits.run:
        return Verdict.model_validate({"status": "valid", **known, "verified_by": "explain"})
    rows, truncated = ran.rows[: limits.rows], len(ran.rows) > limits.rows
    # Without ORDER BY the same rows may come in any order, and of too many rows any.
    hashed = None if truncated else sha256(canonical([ran.columns, sorted(map(_as_text, rows))]))
    return Verdict.model_validate(
        {
            "status": "valid", "why": "" if rows else "the result is empty", **known, "columns": ran.columns,
            "rows": rows, "row_count": len(rows), "truncated": truncated, "runtime_ms": ran.runtime_ms,
            "verified_by": "run", "result_sha256": hashed,
        }
    )  # fmt: skip


def _as_text(value: object) -> str:
    """Return the canonical JSON of a value as text."""
    return canonical(value).decode()


def _one_query(sql: str, dialect: Dialect) -> exp.Expression:
    if len(sql) > MAX_SQL_CHARACTERS:
        raise _RefusedError(f"it is longer than {MAX_SQL_CHARACTERS:,} characters")
    if "\x00" in sql:
        raise _RefusedError("it holds a NUL character")
    try:
        statements = [each for each in sqlglot.parse(sql, dialect=dialect) if each is not None]
    except SqlglotError as error:
        raise _RefusedError(f"it cannot be read as SQL: {str(error).splitlines()[0][:200]}") from None
    if len(statements) != 1:
        raise _RefusedError(f"it holds {len(statements)} statements; one SELECT is wanted")
    query = statements[0]
    if not isinstance(query, exp.Select | exp.SetOperation):
        raise _RefusedError(f"{type(query).__name__.upper()} is no query; one SELECT is wanted")
    if sum(1 for _ in query.walk()) > MAX_NODES:
        raise _RefusedError(f"it has more than {MAX_NODES:,} parts")
    return query


def _settled(query: exp.Expression, dialect: Dialect) -> exp.Expression:
    """Write what the clouds' servers make of names and texts: the same, but plainer."""
    if dialect == "snowflake":
        return normalize_identifiers(query, dialect=dialect)
    if dialect == "bigquery":  # patterns are usually written as r'...'
        for node in list(query.find_all(exp.RawString)):
            node.replace(exp.Literal.string(node.this))
    return query


def _refuse_forbidden(query: exp.Expression, dialect: Dialect) -> None:
    functions, named = functions_of(dialect), named_of(dialect)
    for node in query.walk():
        name = type(node).__name__
        if isinstance(node, FORBIDDEN):
            raise _RefusedError(f"{name.upper()} is not allowed in a query")
        if isinstance(node, exp.Anonymous):
            if node.name.lower() not in named:
                raise _RefusedError(f"the function {node.name} is not allowed")
        elif isinstance(node, exp.Func) and name not in functions:
            raise _RefusedError(f"the function {node.sql_name().lower()} is not allowed")
        if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Func):
            raise _RefusedError("functions of a schema are not allowed")
        if isinstance(node, exp.TableFromRows) and not isinstance(node.this, exp.Explode):
            # Of a text it would be the table of that name.
            raise _RefusedError("TABLE(...) is not allowed but of FLATTEN")
        if isinstance(node, exp.DataType) and node.this in _ODD_TYPES:
            raise _RefusedError(f"the type {node.sql()} is not allowed")
        if isinstance(node, exp.CTE) and node.alias.lower().startswith("pg_"):
            raise _RefusedError(f"the name {node.alias} is the server's own")


_ODD_TYPES = frozenset({exp.DataType.Type.USERDEFINED, exp.DataType.Type.XML})


def _qualified_tables(
    query: exp.Expression, entries: Sequence[TableEntry], dialect: Dialect
) -> list[TableEntry]:
    """Give each table its schema; refuse those that are not in the cache."""
    known: set[int] = set()
    found: dict[str, TableEntry] = {}
    try:
        scopes = traverse_scope(query)
    except SqlglotError as error:
        raise _RefusedError(f"it is not understood: {str(error).splitlines()[0][:200]}") from None
    for scope in scopes:
        for name, node in [*scope.references]:
            source = scope.sources.get(name)
            if isinstance(node, exp.Table):
                known.add(id(node))
            if isinstance(source, Scope) or not isinstance(node, exp.Table):
                continue
            if isinstance(node.this, exp.Func):  # a function that gives rows, allowed above
                continue
            entry = _entry(node, entries, dialect)
            node.set("db", _identifier(entry.schema_name, dialect))
            found[entry.table_id] = entry
    for node in query.find_all(exp.Table):
        if id(node) not in known and not isinstance(node.this, exp.Func):
            raise _RefusedError(f"where {node.sql(dialect=dialect)} is read is not understood")
    return list(found.values())


def _identifier(name: str, dialect: Dialect) -> exp.Identifier:
    keywords = sqlglot.Dialect.get_or_raise(dialect).tokenizer_class.KEYWORDS
    plain = _PLAIN.fullmatch(name) is not None and name.upper() not in keywords
    return exp.Identifier(this=name, quoted=not plain)


def _entry(table: exp.Table, entries: Sequence[TableEntry], dialect: Dialect) -> TableEntry:
    name, schema = _folded(table.this, dialect), _folded(table.args.get("db"), dialect)
    shown = f"{schema}.{name}" if schema else name
    if table.args.get("catalog") or not name:
        raise _RefusedError(f"{table.sql(dialect=dialect)}: only tables of this database can be read")
    same = called(entries, name, schema)
    if len(same) > 1:
        raise _RefusedError(f"there are several tables {name}: {', '.join(each.table_id for each in same)}")
    if not same:
        raise _RefusedError(f"there is no table {shown} in the cache", "stale")
    return same[0]


def called(entries: Sequence[TableEntry], name: str, schema: str = "") -> list[TableEntry]:
    """Return the tables that a name may mean: of several with one name that of `public`."""
    same = [each for each in entries if each.name == name and schema in ("", each.schema_name)]
    return [each for each in same if each.schema_name == "public"] or same


def _folded(identifier: object, dialect: Dialect) -> str:
    if not isinstance(identifier, exp.Identifier):
        return ""
    if identifier.args.get("quoted"):
        return identifier.name
    fold = _FOLDS.get(dialect, str)
    return fold(identifier.name)


def _used_columns(query: exp.Expression, tables: Sequence[TableEntry], dialect: Dialect) -> set[str]:
    """Return `table_id.column` of all that is read; refuse what does not exist."""
    mapping: dict[str, dict[str, dict[str, str]]] = {}
    for each in tables:
        names = [column.name for column in each.columns if not is_part(column.name, dialect)]
        mapping.setdefault(each.schema_name, {})[each.name] = {
            _caseless(name, dialect): "text" for name in names
        }
    schema = MappingSchema(dict(mapping), dialect=dialect, normalize=False)
    if dialect == "mysql":
        fold_columns(query, tables)
    try:
        whole = qualify(query.copy(), schema=schema, dialect=dialect, validate_qualify_columns=True)
    except OptimizeError as error:
        raise _RefusedError(str(error).splitlines()[0][:200], "stale") from None
    except SqlglotError as error:
        raise _RefusedError(f"it is not understood: {str(error).splitlines()[0][:200]}") from None
    used = set()
    for scope in traverse_scope(whole):
        for column in scope.columns:
            source = scope.sources.get(column.table)
            if isinstance(source, exp.Table):
                used.add(name := f"{source.db}.{source.name}.{column.name}")
                used |= _parts(column, name)
    known = {f"{each.table_id}.{column.name}" for each in tables for column in each.columns}
    folded = {_caseless(name, dialect) for name in used}
    return {name for name in known if _caseless(name, dialect) in folded}


def is_part(name: str, dialect: str) -> bool:
    """Say whether a column of the cache is a part of another one: `address.city`, `payload:city`."""
    return _PARTS.get(dialect, "\0") in name


def _parts(column: exp.Column, name: str) -> set[str]:
    """Return the names of the parts of a record that are read: `address.city` of `address`."""
    found, node = set(), column.parent
    while isinstance(node, exp.Dot) and isinstance(node.expression, exp.Identifier):
        name = f"{name}.{node.expression.name}"
        found.add(name)
        node = node.parent
    return found


def _caseless(name: str, dialect: Dialect) -> str:
    """Return a name as the parser compares it: BigQuery finds columns whatever their case."""
    return name.lower() if dialect == "bigquery" else name


def fold_columns(query: exp.Expr, tables: Iterable[TableEntry]) -> None:
    """MySQL finds columns whatever their case: write them as the table has them."""
    names = {column.name.lower(): column.name for each in tables for column in each.columns}
    for column in query.find_all(exp.Column):
        if isinstance(column.this, exp.Identifier) and column.name.lower() in names:
            column.set("this", exp.to_identifier(names[column.name.lower()], quoted=True))
