"""The SQL of a load: tables made and changed, and rows put in place."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import psycopg
from psycopg import errors as pg_errors
from psycopg import sql

from dteg.connectors import LoadPlan, Schema
from dteg.core.columns import sql_type
from dteg.core.errors import ConfigError, QualityGateError, SchemaDriftError
from dteg.core.identifiers import TableName, check_identifier
from dteg.core.sql_types import canonical
from dteg.pipelines.schema_policy import SchemaChange

from .table import LOADED_AT, OWN_COLUMNS, VALID_FROM, VALID_TO, Target, identifier, read_target

Connection = psycopg.Connection[Any]
STAGING = sql.Identifier("pg_temp", "dteg_staging")
SAMPLED_ROWS = 1000


def create(connection: Connection, schema: Schema, plan: LoadPlan) -> Target:
    """Make the table of a first load; `add_key` gives it its key when the rows are in."""
    _check_columns(schema.names, plan)
    columns = [_column(column.name, sql_type(column)) for column in schema]
    columns.append(sql.SQL("{} timestamptz NOT NULL DEFAULT now()").format(sql.Identifier(LOADED_AT)))
    if plan.disposition == "scd2":
        columns.append(sql.SQL("{} timestamptz NOT NULL DEFAULT now()").format(sql.Identifier(VALID_FROM)))
        columns.append(sql.SQL("{} timestamptz").format(sql.Identifier(VALID_TO)))
    table = identifier(plan.target)
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(table, sql.SQL(", ").join(columns)))
    return read_target(connection, plan.target)


def add_key(
    connection: Connection, table: sql.Identifier, plan: LoadPlan, *, refuse_repeats: bool = False
) -> int:
    """Give a new table the key that its disposition needs; of rows with one key the last one stays.

    An index built over all rows takes half the time of one that grows with each row.

    Returns:
        Rows removed because a later one has the same key.

    Raises:
        QualityGateError: There are such rows, and `refuse_repeats` is set.
    """
    keys = _names(plan.primary_key)
    if plan.disposition == "merge":
        statement = sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(table, keys)
    elif plan.disposition == "scd2":
        statement = sql.SQL("CREATE UNIQUE INDEX ON {} ({}) WHERE {} IS NULL").format(
            table, keys, sql.Identifier(VALID_TO)
        )
    else:
        return 0
    try:
        with connection.transaction():
            connection.execute(statement)
    except pg_errors.UniqueViolation:
        if refuse_repeats:
            raise _repeats(connection, table, plan) from None
        removed = connection.execute(
            sql.SQL("DELETE FROM {t} WHERE ctid IN (SELECT ctid FROM (SELECT ctid, row_number() OVER"
                    " (PARTITION BY {keys} ORDER BY ctid DESC) AS _place FROM {t}) AS _places"
                    " WHERE _place > 1)").format(t=table, keys=keys)
        ).rowcount  # fmt: skip
        connection.execute(statement)
        return removed
    return 0


def _check_columns(names: Iterable[str], plan: LoadPlan) -> None:
    """Refuse names that PostgreSQL would cut, and those that dteg fills by itself."""
    for name in names:
        check_identifier(name, f"{plan.target}: column name")
        if name in OWN_COLUMNS:
            raise ConfigError(
                f"{plan.target}: the column name {name} is dteg's own; rename it on the way (processor rename)"
                " or name the others only (columns of the postgres extractor)"
            )


def create_schema(connection: Connection, name: str) -> None:
    """Make a schema unless another load has just made it."""
    connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(name)))


def alterations(target: Target, change: SchemaChange, plan: LoadPlan) -> list[sql.Composable]:
    """Return what has to change in a table: its columns, and the column and the key that dteg needs.

    Raises:
        ConfigError: The table was made for another disposition.
    """
    _check_columns(change.add, plan)
    actions: list[sql.Composable] = [
        sql.SQL("ADD COLUMN {}").format(_column(name, type_)) for name, type_ in change.add.items()
    ]
    actions += [_widen(name, target.columns[name], type_) for name, type_ in change.widen.items()]
    if LOADED_AT not in target.columns:
        actions.append(
            sql.SQL("ADD COLUMN {} timestamptz NOT NULL DEFAULT now()").format(sql.Identifier(LOADED_AT))
        )
    if plan.disposition == "scd2" and VALID_TO not in target.columns:
        raise ConfigError(f"{plan.target} was not made for write: scd2; load into a new table")
    if plan.disposition != "scd2" and VALID_TO in target.columns:
        raise ConfigError(f"{plan.target} was made for write: scd2; keep that, or load into a new table")
    if plan.disposition == "merge" and frozenset(plan.primary_key) not in target.unique_keys:
        actions.append(sql.SQL("ADD UNIQUE ({})").format(_names(plan.primary_key)))
    return actions


def alter(
    connection: Connection, target: Target, actions: Sequence[sql.Composable], plan: LoadPlan
) -> Target:
    """Change a table, which keeps readers out until the transaction ends.

    Raises:
        SchemaDriftError: A view uses a column that would change.
        ConfigError: The key that merge needs has duplicates.
    """
    try:
        connection.execute(sql.SQL("ALTER TABLE {} {}").format(target.sql, sql.SQL(", ").join(actions)))
    except pg_errors.FeatureNotSupported as error:
        raise SchemaDriftError(
            f"{plan.target}: {error.diag.message_primary} ({error.diag.message_detail}); "
            "drop the view, run again, and let dbt make it anew"
        ) from error
    except pg_errors.UniqueViolation as error:
        raise ConfigError(
            f"{plan.target} has duplicates of its primary_key {list(plan.primary_key)}; remove them first"
        ) from error
    return read_target(connection, plan.target)


def _widen(name: str, there: str, type_: str) -> sql.Composed:
    column = sql.Identifier(name)
    action = sql.SQL("ALTER COLUMN {} TYPE {}").format(column, sql.SQL(type_))
    if there in ("real", "double precision") and type_ == "numeric":
        # The direct cast keeps 6 or 15 digits only; the text has them all.
        action += sql.SQL(" USING {}::text::numeric").format(column)
    return action


def create_staging(connection: Connection, schema: Schema, plan: LoadPlan) -> sql.Identifier:
    """Make the temporary table that rows wait in; it takes no null in the key."""
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(
            _column(column.name, sql_type(column)),
            sql.SQL("NOT NULL" if column.name in plan.primary_key else ""),
        )
        for column in schema
    )
    connection.execute(sql.SQL("CREATE TEMP TABLE dteg_staging ({}) ON COMMIT DROP").format(columns))
    return STAGING


def create_dead_letters(connection: Connection, target: TableName) -> sql.Identifier:
    """Make the table beside the target for rows that were set aside."""
    table = identifier(target.with_suffix("__dead_letters"))
    connection.execute(
        sql.SQL(
            "CREATE TABLE IF NOT EXISTS {} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, load_id text NOT NULL,"
            " reason text NOT NULL, position text NOT NULL, payload jsonb NOT NULL,"
            " rejected_at timestamptz NOT NULL DEFAULT now())"
        ).format(table)
    )
    return table


def put_in_place(
    connection: Connection, target: Target, source: sql.Composable, columns: Sequence[str], plan: LoadPlan,
    *, refuse_repeats: bool = False,
) -> int | None:  # fmt: skip
    """Move staged rows into the target; None if they were copied there directly.

    No ANALYZE of what is staged: it takes as long as the COPY, and only scd2 has a plan to choose.

    Returns:
        Rows inserted, updated or closed.
    """
    if source != STAGING:
        return None
    empties = plan.full_refresh or plan.disposition == "replace"
    if empties:
        connection.execute(sql.SQL("TRUNCATE {}").format(target.sql))
    if plan.disposition not in ("merge", "scd2"):
        return _insert(connection, target, source, columns)

    def write(rows: sql.Composable) -> int:
        if empties:
            return _insert(connection, target, rows, columns)
        if plan.disposition == "merge":
            return _merge(connection, target, rows, columns, plan)
        return _scd2(connection, target, rows, columns, plan)

    return _with_unique_keys(connection, source, plan, write, refuse_repeats=refuse_repeats)


def _repeats(connection: Connection, rows: sql.Composable, plan: LoadPlan) -> QualityGateError:
    """Return the error for rows of one key; it names no value, which may be private."""
    query = sql.SQL("SELECT count(*) - count(DISTINCT ({})) FROM {}").format(_names(plan.primary_key), rows)
    row = connection.execute(query).fetchone()
    return QualityGateError(
        f"{plan.target}: {row[0] if row else 0:,} rows repeat the key ({', '.join(plan.primary_key)}) of another row; "
        "nothing was changed. Name all columns that identify a row, or leave the key out",
        failed=["repeated_keys"],
    )


def _insert(connection: Connection, target: Target, source: sql.Composable, columns: Sequence[str]) -> int:
    names = _names(columns)
    statement = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} AS s").format(target.sql, names, names, source)
    return connection.execute(statement).rowcount


def _with_unique_keys(
    connection: Connection, source: sql.Composable, plan: LoadPlan, write: Callable[[sql.Composable], int],
    *, refuse_repeats: bool,
) -> int:  # fmt: skip
    """Write the staged rows, and only if keys repeat among them the last row of each key.

    Looking for repeated keys beforehand costs a sort of every load; nearly all loads have none.
    """
    try:
        with connection.transaction():
            return write(source)
    except (pg_errors.CardinalityViolation, pg_errors.UniqueViolation):
        if refuse_repeats:
            raise _repeats(connection, source, plan) from None
        last = sql.SQL("(SELECT DISTINCT ON ({keys}) * FROM {source} ORDER BY {keys}, ctid DESC)").format(
            keys=_names(plan.primary_key), source=source
        )
        return write(last)


def _merge(
    connection: Connection, target: Target, source: sql.Composable, columns: Sequence[str], plan: LoadPlan
) -> int:
    """Insert new rows and update those that differ."""
    others = [name for name in columns if name not in plan.primary_key]
    names, keys = _names(columns), _names(plan.primary_key)
    rows = sql.SQL("INSERT INTO {} AS t ({}) SELECT {} FROM {} AS s").format(target.sql, names, names, source)
    if not others:
        return connection.execute(sql.SQL("{} ON CONFLICT ({}) DO NOTHING").format(rows, keys)).rowcount
    changes = [sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name)) for name in others]
    changes.append(sql.SQL("{} = now()").format(sql.Identifier(LOADED_AT)))
    # What is the same is looked up by the key, row by row (OFFSET 0 keeps it from becoming a join) as ON CONFLICT does
    # anyway: no estimate can make it a scan of the target. To compile such a plan takes longer than it saves.
    connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL jit = off")
    same = sql.SQL(
        "EXISTS (SELECT FROM {} AS t WHERE {} AND ({}) IS NOT DISTINCT FROM ({}) OFFSET 0)"
    ).format(target.sql, _same_key(plan), _row("t", others, target), _row("s", others, target))
    if _often(connection, same, source):
        if source == STAGING:  # with repeated keys, the row that is left out could be the last one
            connection.execute(sql.SQL("CREATE UNIQUE INDEX ON {} ({})").format(source, keys))
        rows = sql.SQL("{} WHERE NOT {}").format(rows, same)
    statement = sql.SQL("{} ON CONFLICT ({}) DO UPDATE SET {} WHERE ({}) IS DISTINCT FROM ({})").format(
        rows, keys, sql.SQL(", ").join(changes), _row("t", others, target), _row("excluded", others, target)
    )
    written = connection.execute(statement).rowcount
    connection.execute("SET LOCAL enable_seqscan TO DEFAULT; SET LOCAL jit TO DEFAULT")
    return written


def _often(connection: Connection, same: sql.Composable, source: sql.Composable) -> bool:
    """Whether more than a fifth of the first staged rows are in the target already.

    ON CONFLICT locks those although it does not update them: a write of the page and its log. Leaving them out
    beforehand takes a third of the time and writes nothing, but slows down a load of changes by a fifth.
    """
    query = sql.SQL(
        "SELECT coalesce(avg(CASE WHEN {} THEN 1 ELSE 0 END), 0) > 0.2 FROM (SELECT * FROM {} AS s LIMIT {}) AS s"
    ).format(same, source, sql.Literal(SAMPLED_ROWS))
    row = connection.execute(query).fetchone()
    return bool(row and row[0])


def _scd2(
    connection: Connection, target: Target, source: sql.Composable, columns: Sequence[str], plan: LoadPlan
) -> int:
    """Close the current version of rows that differ, and insert the new version and new rows."""
    connection.execute(sql.SQL("ANALYZE {} ({})").format(STAGING, _names(plan.primary_key)))
    others = [name for name in columns if name not in plan.primary_key]
    same_key = _same_key(plan)
    if others:
        connection.execute(
            sql.SQL("UPDATE {t} AS t SET {valid_to} = now() FROM {s} AS s WHERE {same} AND t.{valid_to} IS NULL"
                    " AND ({old}) IS DISTINCT FROM ({new})").format(
                t=target.sql, s=source, same=same_key, valid_to=sql.Identifier(VALID_TO),
                old=_row("t", others, target), new=_row("s", others, target),
            )
        )  # fmt: skip
    return connection.execute(
        sql.SQL("INSERT INTO {t} ({names}) SELECT {names} FROM {s} AS s"
                " WHERE NOT EXISTS (SELECT FROM {t} AS t WHERE {same} AND t.{valid_to} IS NULL)").format(
            t=target.sql, names=_names(columns), s=source, same=same_key, valid_to=sql.Identifier(VALID_TO)
        )
    ).rowcount  # fmt: skip


def _same_key(plan: LoadPlan) -> sql.Composable:
    return sql.SQL(" AND ").join(
        sql.SQL("t.{0} = s.{0}").format(sql.Identifier(name)) for name in plan.primary_key
    )


# Compared as text: types without an equality operator, and those whose operator calls different values
# equal (`box` compares areas, `citext` ignores case, `interval` takes 24 hours for a day).
_AS_TEXT = frozenset(
    {"json", "xml", "point", "polygon", "box", "path", "line", "lseg", "circle", "citext", "interval"}
)


def _row(alias: str, names: Sequence[str], target: Target) -> sql.Composable:
    """Return `ROW(alias.a, alias.b, ...)` for a comparison."""

    def part(name: str) -> sql.Composable:
        column = sql.SQL("{}.{}").format(sql.SQL(alias), sql.Identifier(name))
        base = re.split(r"[( \[]", target.columns[name], maxsplit=1)[0]  # `json` of `json[]`
        return sql.SQL("{}::text").format(column) if base in _AS_TEXT else column

    return sql.SQL("ROW({})").format(sql.SQL(", ").join(map(part, names)))


def _column(name: str, type_: str) -> sql.Composable:
    # The type comes from our own list of types or from PostgreSQL's catalogue, never from a user's text.
    return sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(canonical(type_)))


def _names(names: Sequence[str]) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Identifier, names))
