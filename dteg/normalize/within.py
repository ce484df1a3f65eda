"""Things within what repeats: of `item1_sku, item1_name, item1_qty, ...` the name belongs to the article, not to the order."""

import contextlib
from dataclasses import replace

from dteg.normalize.design import Design
from dteg.normalize.discovery import search_here
from dteg.normalize.flat import TABLE, Flat, quoted
from dteg.normalize.measure import measure
from dteg.normalize.models import ListSplit, Plan, PlannedTable, Reference
from dteg.normalize.naming import plain, plural, separated, stem, unique
from dteg.normalize.profile import spreads

_MAIN = "memory.main"


def with_things(flat: Flat, plan: Plan) -> Plan:
    """Return the plan in which rows of repeated groups refer to the things that they are about.

    Only single columns that fix others in all rows make such a table.
    """
    for number, split in enumerate(plan.lists):
        if split.separator is None and len(split.members) > 1:
            pooled = _pooled(flat, split, f"within_{number}")
            with contextlib.closing(pooled.connection):
                plan = _with_things(plan, split, pooled)
    return plan


def _pooled(flat: Flat, split: ListSplit, schema: str) -> Flat:
    """Return the rows of a group, whatever their position, as a file of their own."""
    connection = flat.connection.cursor()
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}; SET schema = '{schema}'")
    parts = []
    for sources in zip(*split.members.values(), strict=True):
        picked = ", ".join(
            f"{quoted(source)} AS {quoted(name)}" for name, source in zip(split.members, sources, strict=True)
        )
        present = " OR ".join(f"{quoted(source)} IS NOT NULL" for source in sources)
        parts.append(f"SELECT {picked} FROM {_MAIN}.{TABLE} WHERE {present}")  # noqa: S608 - quoted
    connection.execute(f"CREATE OR REPLACE TABLE {TABLE} AS {' UNION ALL '.join(parts)}")
    pooled = Flat(connection, split.table)
    pooled.hash_values()
    return pooled


def _with_things(plan: Plan, split: ListSplit, pooled: Flat) -> Plan:
    spread = spreads(pooled)
    usable = [name for name in pooled.columns if spread[name].distinct > 1]
    if not pooled.rows or len(usable) < 2:
        return plan
    exact = [
        replace(each, errors={name: wrong for name, wrong in each.errors.items() if not wrong})
        for each in measure(pooled, search_here(pooled, usable))
    ]
    found = Design(pooled, spread, [each for each in exact if each.errors]).plan()
    if len(found.tables) == 1:
        return plan
    taken = {table.name for table in plan.tables}
    names = {table.name: unique(_name(table, split), taken) for table in found.tables[1:]}
    ids = {each.id: f"{split.table}.{each.id}" for each in found.used}
    things = [
        PlannedTable(
            name=names[table.name], columns=table.columns, primary_key=table.primary_key, rows=table.rows,
            references=[Reference(columns=each.columns, table=names[each.table]) for each in table.references],
            dependencies=[ids[id_] for id_ in table.dependencies],
        )
        for table in found.tables[1:]
    ]  # fmt: skip
    rows = plan.table(split.table)
    gone = {name for table in things for name in table.columns if name not in found.root.columns}
    referring = rows.model_copy(update={
        "columns": [name for name in rows.columns if name not in gone],
        "references": [
            *rows.references, *(Reference(columns=each.columns, table=names[each.table]) for each in found.root.references),
        ],
    })  # fmt: skip
    tables = [referring if table is rows else table for table in plan.tables]
    lists = [
        each.model_copy(update={"things": list(names.values())}) if each is split else each
        for each in plan.lists
    ]
    used = [*plan.used, *(each.model_copy(update={"id": ids[each.id]}) for each in found.used)]
    return plan.model_copy(update={"tables": [*tables, *things], "lists": lists, "used": used})


def _name(table: PlannedTable, split: ListSplit) -> str:
    """Return what a thing is called: after its key, or as what repeats if that says nothing, such as `sku`."""
    (key, *_) = table.primary_key
    if stem(key) != separated(key):
        return table.name
    return plain(plural(split.name))
