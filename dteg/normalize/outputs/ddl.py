"""The tables as statements of PostgreSQL: keys, foreign keys, indexes, and the view that is the file again."""

from dteg.normalize.decompose import exceptions_name, rejoin_query
from dteg.normalize.engine import Normalized
from dteg.normalize.flat import Flat, listed, quoted
from dteg.normalize.models import Plan, PlannedTable
from dteg.normalize.outputs.postgres_types import postgres_type


def flat_view(plan: Plan) -> str:
    """Return the name of the view that gives the file's rows back."""
    return f"{plan.root.name}_flat"


def column_types(flat: Flat, plan: Plan, table: PlannedTable) -> dict[str, str]:
    """Return the PostgreSQL type of each column of a table."""
    split = plan.split_of(table.name)
    types = {}
    for name in table.columns:
        if split is not None and name in split.members:
            types[name] = postgres_type(flat.types[split.members[name][0]], name)
        else:
            types[name] = postgres_type(flat.types[name], name) if name in flat.types else "bigint"
    return types


def statements(flat: Flat, result: Normalized, schema: str) -> list[str]:
    """Return the statements that make the tables, without rows, in an order in which they work."""
    plan = result.plan
    made = [_create(flat, plan, table, schema) for table in reversed(plan.tables)]
    if result.exceptions:
        made.append(_create_exceptions(flat, plan, schema))
    return made


def constraints(plan: Plan, schema: str) -> list[str]:
    """Return the foreign keys and their indexes; faster after the rows."""
    made = []
    for table in plan.tables:
        for reference in table.references:
            columns = listed(reference.columns)
            where = f"{quoted(schema)}.{quoted(table.name)}"
            made.append(
                f"ALTER TABLE {where} ADD FOREIGN KEY ({columns}) REFERENCES {quoted(schema)}.{quoted(reference.table)} ({columns})"
            )
            if table.primary_key[: len(reference.columns)] != reference.columns:
                made.append(f"CREATE INDEX ON {where} ({columns})")
    return made


def view(flat: Flat, result: Normalized, schema: str) -> str:
    """Return the statement that makes the view."""
    types = {name: postgres_type(type_, name) for name, type_ in result.exceptions.items()}
    query = rejoin_query(flat.columns, result.plan, types, lambda table: f"{quoted(schema)}.{quoted(table)}")
    return f"CREATE VIEW {quoted(schema)}.{quoted(flat_view(result.plan))} AS\n{query}"


def script(flat: Flat, result: Normalized, schema: str) -> str:
    """Return all of it as a file."""
    parts = [
        f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}",
        *statements(flat, result, schema),
        *constraints(result.plan, schema),
        view(flat, result, schema),
    ]
    return ";\n\n".join(parts) + ";\n"


def _create(flat: Flat, plan: Plan, table: PlannedTable, schema: str) -> str:
    lines = [
        f"  {quoted(name)} {type_}" + (" NOT NULL" if name in table.primary_key else "")
        for name, type_ in column_types(flat, plan, table).items()
    ]
    lines.append(f"  PRIMARY KEY ({listed(table.primary_key)})")
    return f"CREATE TABLE {quoted(schema)}.{quoted(table.name)} (\n" + ",\n".join(lines) + "\n)"


def _create_exceptions(flat: Flat, plan: Plan, schema: str) -> str:
    types = column_types(flat, plan, plan.root)
    lines = [f"  {quoted(name)} {types[name]} NOT NULL" for name in plan.root.primary_key]
    key = listed([*plan.root.primary_key, "column_name"])
    lines += ["  column_name text NOT NULL", "  value text", f"  PRIMARY KEY ({key})"]
    name = exceptions_name(plan)
    return f"CREATE TABLE {quoted(schema)}.{quoted(name)} (\n" + ",\n".join(lines) + "\n)"
