"""Makes the tables of a plan in DuckDB, and the query that joins them again."""

from collections.abc import Callable

from dteg.core.identifiers import MAX_IDENTIFIER_BYTES
from dteg.normalize.flat import TABLE, Flat, listed, literal, quoted
from dteg.normalize.models import ListSplit, Plan, PlannedTable, Reference

SCHEMA = "result"
_EXCEPTIONS = "__exceptions"
Where = Callable[[str], str]


def here(table: str) -> str:
    """Return a table of the result as it is called in DuckDB."""
    return f"{SCHEMA}.{quoted(table)}"


def exceptions_name(plan: Plan) -> str:
    """Return the name of the table of values that differ from what their group has."""
    return f"{plan.root.name[: MAX_IDENTIFIER_BYTES - len(_EXCEPTIONS)]}{_EXCEPTIONS}"


def decompose(flat: Flat, plan: Plan) -> Plan:
    """Make all tables in the schema `result`; return the plan with their numbers of rows.

    The table of exceptions is made only if there are any.
    """
    flat.connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    flat.connection.execute(f"CREATE SCHEMA {SCHEMA}")
    for table in plan.tables:
        if plan.split_of(table.name):
            continue
        make = _rows_query(flat, plan, table) if table is plan.root else _group_query(plan, table, TABLE)
        flat.connection.execute(f"CREATE TABLE {here(table.name)} AS {make}")
    for split in plan.lists:
        _split(flat, plan, split)
    counted = {
        table.name: int(flat.one(f"SELECT count(*) FROM {here(table.name)}")[0])  # noqa: S608 - quoted
        for table in plan.tables
    }
    tables = [table.model_copy(update={"rows": counted[table.name]}) for table in plan.tables]
    return plan.model_copy(update={"tables": tables})


def with_lists(plan: Plan, table: PlannedTable) -> list[str]:
    """Return the columns of a table before lists were taken out of it."""
    taken = [name for split in plan.lists if split.owner == table.name for name in split.sources]
    return [*table.columns, *taken]


def _rows_query(flat: Flat, plan: Plan, table: PlannedTable) -> str:
    columns = with_lists(plan, table)
    own = [name for name in columns if name in flat.types]
    number = [
        f"row_number() OVER (ORDER BY rowid) AS {quoted(name)}" for name in columns if name not in flat.types
    ]
    return f"SELECT {', '.join([*number, listed(own)])} FROM {TABLE} ORDER BY rowid"  # noqa: S608 - quoted


def _group_query(plan: Plan, table: PlannedTable, rows: str) -> str:
    """Return one row for each value of the key, with what the group mostly has in each column of the rows."""
    key, fixed = (
        table.primary_key,
        [name for name in with_lists(plan, table) if name not in table.primary_key],
    )
    present = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in key)
    used = {each.id: each for each in plan.used}
    if all(used[id_].exact for id_ in table.dependencies):
        return f"SELECT DISTINCT {listed([*key, *fixed])} FROM {rows} WHERE {present} ORDER BY {listed(key)}"  # noqa: S608 - quoted
    by = listed(key)
    query = f"(SELECT DISTINCT {by} FROM {rows} WHERE {present}) AS g"  # noqa: S608 - quoted
    for number, name in enumerate(fixed):
        most = (
            f"SELECT {by}, {quoted(name)}, count(*) AS c FROM {rows} WHERE {present} GROUP BY {by}, {quoted(name)} "  # noqa: S608 - quoted
            f"QUALIFY row_number() OVER (PARTITION BY {by} ORDER BY count(*) DESC, {quoted(name)} NULLS LAST) = 1"
        )
        same = " AND ".join(f"m{number}.{quoted(each)} = g.{quoted(each)}" for each in key)
        query += f" JOIN ({most}) AS m{number} ON {same}"
    picked = ", ".join(
        [listed(key, "g"), *(f"m{number}.{quoted(name)}" for number, name in enumerate(fixed))]
    )
    return f"SELECT {picked} FROM {query} ORDER BY {listed(key, 'g')}"  # noqa: S608 - quoted


def _split(flat: Flat, plan: Plan, split: ListSplit) -> None:
    """Make the rows of a list, and take the columns out of their table."""
    owner = plan.table(split.owner)
    key, position = owner.primary_key, quoted(plan.table(split.table).columns[len(owner.primary_key)])
    if split.separator is not None:
        ((name, (source,)),) = split.members.items()
        separator = literal(split.separator)
        items = (
            f"SELECT {listed(key)}, unnest(range(1, len(i) + 1)) AS {position}, unnest(i) AS {quoted(name)} FROM "  # noqa: S608 - quoted
            f"(SELECT {listed(key)}, string_split({quoted(source)}, {separator}) AS i FROM {here(owner.name)} "
            f"WHERE {quoted(source)} IS NOT NULL)"
        )
    else:
        count = len(next(iter(split.members.values())))
        parts = []
        for number in range(count):
            named = {name: sources[number] for name, sources in split.members.items()}
            values = ", ".join(f"{quoted(source)} AS {quoted(name)}" for name, source in named.items())
            present = " OR ".join(f"{quoted(source)} IS NOT NULL" for source in named.values())
            parts.append(
                f"SELECT {listed(key)}, {number + 1} AS {position}, {values} FROM {here(owner.name)} WHERE {present}"  # noqa: S608 - quoted
            )
        items = " UNION ALL ".join(parts)
    flat.connection.execute(f"CREATE TABLE {here(split.table)} AS {items} ORDER BY {listed(key)}, {position}")
    for source in split.sources:
        flat.connection.execute(f"ALTER TABLE {here(owner.name)} DROP COLUMN {quoted(source)}")
    for name in split.things:
        thing = _group_query(plan, plan.table(name), here(split.table))
        flat.connection.execute(f"CREATE TABLE {here(name)} AS {thing}")
    for name in split.members:
        if name not in plan.table(split.table).columns:
            flat.connection.execute(f"ALTER TABLE {here(split.table)} DROP COLUMN {quoted(name)}")


def make_exceptions(flat: Flat, plan: Plan) -> dict[str, str]:
    """Make the table of values that differ from what their group has; return SQL type by column, empty if there are none.

    Each value is kept as a text beside the key of its row, so that the joined tables are the file again, with
    every typing error of it.
    """
    if all(each.exact for each in plan.used):
        return {}
    key = plan.root.primary_key
    columns = [name for name in flat.columns if name not in plan.root.columns]
    joined = rejoin_query([*key, *columns], plan, {})
    same = " AND ".join(f"j.{quoted(name)} = {_in_file(flat, name)}" for name in key)
    number = ", ".join(f"j.{quoted(name)}" for name in key)
    flat.connection.execute(f"CREATE OR REPLACE TEMP TABLE joined AS {joined}")
    differing = " UNION ALL ".join(
        f"SELECT {number}, {literal(name)} AS column_name, f.{quoted(name)}::VARCHAR AS value FROM joined AS j "  # noqa: S608 - quoted
        f"JOIN {TABLE} AS f ON {same} WHERE f.{quoted(name)} IS DISTINCT FROM j.{quoted(name)}"
        for name in columns
    )
    table = here(exceptions_name(plan))
    flat.connection.execute(f"CREATE TABLE {table} AS {differing} ORDER BY {listed(key)}, column_name")
    flat.connection.execute("DROP TABLE joined")
    found = flat.connection.execute(f"SELECT DISTINCT column_name FROM {table} ORDER BY 1").fetchall()  # noqa: S608 - quoted
    if not found:
        flat.connection.execute(f"DROP TABLE {table}")
    return {str(name): flat.types[str(name)] for (name,) in found}


def _in_file(flat: Flat, name: str) -> str:
    return f"f.{quoted(name)}" if name in flat.types else "f.rowid + 1"


def rejoin_query(flat_columns: list[str], plan: Plan, exceptions: dict[str, str], where: Where = here) -> str:
    """Return the query that gives the file's rows back, without their order.

    Args:
        flat_columns: The file's columns in their order.
        plan: The tables.
        exceptions: SQL type by column that has exceptions.
        where: Returns how a table is called in SQL.
    """
    rejoin = _Rejoin(plan, where)
    rejoin.follow(plan.root, "r")
    for number, (name, type_) in enumerate(exceptions.items()):
        rejoin.correct(name, type_, f"x{number}")
    picked = ",\n  ".join(f"{rejoin.sources[name]} AS {quoted(name)}" for name in flat_columns)
    tables = "\n  ".join(rejoin.joins)
    return f"SELECT\n  {picked}\nFROM {where(plan.root.name)} AS r\n  {tables}".rstrip()


class _Rejoin:
    """Joins written so far, and where each column comes from.

    Args:
        plan: The tables.
        where: Returns how a table is called in SQL.
    """

    def __init__(self, plan: Plan, where: Where) -> None:
        self.plan, self.where = plan, where
        self.sources: dict[str, str] = {}
        self.joins: list[str] = []

    def follow(self, table: PlannedTable, alias: str) -> None:
        """Join all that a table refers to, and the lists that were taken out of it."""
        for name in table.columns:
            self.sources.setdefault(name, f"{alias}.{quoted(name)}")
        lists = [each for each in self.plan.lists if each.owner == table.name]
        for number, split in enumerate(lists):
            self._join_list(table, split, alias, f"{alias}l{number}")
        for number, reference in enumerate(table.references):
            child = f"{alias}{number}"
            self._join(self.where(reference.table), child, reference.columns, alias)
            self.follow(self.plan.table(reference.table), child)

    def correct(self, name: str, type_: str, alias: str) -> None:
        """Put the exceptions of a column in the place of what its group has."""
        is_its = f" AND {alias}.column_name = {literal(name)}"
        self._join(self.where(exceptions_name(self.plan)), alias, self.plan.root.primary_key, "r", is_its)
        self.sources[name] = (
            f"CASE WHEN {alias}.column_name IS NULL THEN {self.sources[name]} ELSE CAST({alias}.value AS {type_}) END"
        )

    def _join(self, table: str, alias: str, columns: list[str], to: str, more: str = "") -> None:
        same = " AND ".join(f"{alias}.{quoted(name)} = {to}.{quoted(name)}" for name in columns)
        self.joins.append(f"LEFT JOIN {table} AS {alias} ON {same}{more}")

    def _join_list(self, owner: PlannedTable, split: ListSplit, alias: str, child: str) -> None:
        table = self.plan.table(split.table)
        key, position = listed(owner.primary_key, "i"), quoted(table.columns[len(owner.primary_key)])
        items = _Rejoin(self.plan, self.where)
        to_owner = Reference(columns=owner.primary_key, table=owner.name)
        references = [each for each in table.references if each != to_owner]
        items.follow(table.model_copy(update={"references": references}), "i")
        picked = []
        for name, sources in split.members.items():
            for number, source in enumerate(sources, 1):
                value = (
                    f"string_agg({items.sources[name]}, {literal(split.separator)} ORDER BY i.{position})"
                    if split.separator is not None
                    else f"max({items.sources[name]}) FILTER (WHERE i.{position} = {number})"
                )
                picked.append(f"{value} AS {quoted(source)}")
                self.sources[source] = f"{child}.{quoted(source)}"
        joins = "".join(f" {each}" for each in items.joins)
        rows = f"SELECT {key}, {', '.join(picked)} FROM {self.where(split.table)} AS i{joins} GROUP BY {key}"  # noqa: S608 - quoted
        self._join(f"({rows})", child, owner.primary_key, alias)
