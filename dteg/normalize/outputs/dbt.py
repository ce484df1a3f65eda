"""The tables as sources of dbt with tests, and the joined file as a model."""

from typing import Any

import yaml

from dteg.normalize.decompose import exceptions_name, rejoin_query
from dteg.normalize.engine import Normalized
from dteg.normalize.flat import Flat
from dteg.normalize.models import PlannedTable
from dteg.normalize.outputs.ddl import flat_view
from dteg.normalize.outputs.postgres_types import postgres_type


def files(flat: Flat, result: Normalized, schema: str) -> dict[str, str]:
    """Return the files of a folder of models by name."""
    plan = result.plan
    source = plan.root.name
    types = {name: postgres_type(type_, name) for name, type_ in result.exceptions.items()}
    model = rejoin_query(
        flat.columns, plan, types, lambda table: "{{ source('" + source + "', '" + table + "') }}"
    )
    tables = [_table(source, table) for table in plan.tables]
    if result.exceptions:
        about = "Values that differ from what their group mostly has."
        tables.append({"name": exceptions_name(plan), "description": about})
    described = {
        "version": 2,
        "sources": [{"name": source, "schema": schema, "tables": tables}],
        "models": [{
            "name": flat_view(plan), "description": f"The rows of the file {flat.name}, joined again.",
            "config": {"materialized": "view"},
        }],
    }  # fmt: skip
    return {
        f"_{source}.yml": yaml.safe_dump(described, sort_keys=False, allow_unicode=True),
        f"{flat_view(plan)}.sql": model + "\n",
    }


def _table(source: str, table: PlannedTable) -> dict[str, Any]:
    tests: dict[str, list[Any]] = {name: ["not_null"] for name in table.primary_key}
    if len(table.primary_key) == 1:
        tests[table.primary_key[0]].insert(0, "unique")
    for reference in table.references:
        if len(reference.columns) == 1:
            (name,) = reference.columns
            to = f"source('{source}', '{reference.table}')"
            tests.setdefault(name, []).append({"relationships": {"arguments": {"to": to, "field": name}}})
    columns = [
        {"name": name, **({"quote": True} if not name.islower() or not name.isidentifier() else {}),
         **({"data_tests": tests[name]} if name in tests else {})}
        for name in table.columns
    ]  # fmt: skip
    return {"name": table.name, "columns": columns}
