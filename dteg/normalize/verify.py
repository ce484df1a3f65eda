"""Proves on all rows of the finished tables that they are the file, and what the plan says of them."""

from collections.abc import Mapping

from dteg.normalize.decompose import exceptions_name, here, rejoin_query
from dteg.normalize.flat import TABLE, Flat, listed, quoted
from dteg.normalize.models import Plan, PlannedTable, Proof

REJOINED = "rejoined"


def verify(flat: Flat, plan: Plan, exceptions: Mapping[str, str]) -> Proof:
    """Look at everything; `problems` says what does not hold.

    Args:
        flat: The file.
        plan: The tables, made by `decompose`.
        exceptions: SQL type by column that has exceptions.
    """
    flat.connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {REJOINED} AS {rejoin_query(flat.columns, plan, dict(exceptions))}"
    )
    problems: dict[str, list[str]] = {
        "lossless": [], "keys": [], "foreign_keys": [], "normal_form": [], "placement": [], "types": [],
    }  # fmt: skip
    before, after = _hash(flat, TABLE), _hash(flat, REJOINED)
    differing = _differing(flat)
    if differing or before != after:
        problems["lossless"].append(
            f"{differing:,} rows of the file and of the joined tables differ ({before[0]:,} and {after[0]:,} rows)"
        )
    for table in plan.tables:
        problems["keys"] += _key_problems(flat, table)
        problems["foreign_keys"] += _reference_problems(flat, plan, table)
        problems["normal_form"] += _form_problems(plan, table)
        problems["types"] += _type_problems(flat, plan, table)
    problems["placement"] += _placement_problems(flat, plan)
    return Proof(
        rows=before[0], rejoined=after[0], differing=differing, hash_before=before[1], hash_after=after[1],
        problems=[text for texts in problems.values() for text in texts],
        checks={name: not texts for name, texts in problems.items()},
        cells_before=flat.rows * len(flat.columns), cells_after=sum(table.rows * len(table.columns) for table in plan.tables),
        exceptions=_exceptions(flat, plan) if exceptions else 0,
    )  # fmt: skip


def _hash(flat: Flat, relation: str) -> tuple[int, str]:
    """Return the number of rows and a hash of them that does not depend on their order."""
    rows, total = flat.one(f"SELECT count(*), sum(hash({listed(flat.columns)})::HUGEINT) FROM {relation}")  # noqa: S608 - quoted
    return int(rows), f"{int(total or 0) % 2**128:032x}"


def _differing(flat: Flat) -> int:
    picked = listed(flat.columns)
    both = [
        f"SELECT count(*) AS n FROM (SELECT {picked} FROM {one} EXCEPT ALL SELECT {picked} FROM {other})"  # noqa: S608 - quoted
        for one, other in ((TABLE, REJOINED), (REJOINED, TABLE))
    ]
    return int(flat.one(f"SELECT sum(n) FROM ({' UNION ALL '.join(both)})")[0])  # noqa: S608 - built above


def _key_problems(flat: Flat, table: PlannedTable) -> list[str]:
    key = listed(table.primary_key)
    missing = " OR ".join(f"{quoted(name)} IS NULL" for name in table.primary_key)
    rows, empty = flat.one(f"SELECT count(*), count(*) FILTER (WHERE {missing}) FROM {here(table.name)}")  # noqa: S608 - quoted
    (different,) = flat.one(f"SELECT count(*) FROM (SELECT DISTINCT {key} FROM {here(table.name)})")  # noqa: S608 - quoted
    problems = []
    if different != rows:
        problems.append(
            f"{table.name}: {rows - different:,} rows repeat the key ({', '.join(table.primary_key)})"
        )
    if empty:
        problems.append(
            f"{table.name}: {empty:,} rows have no value in the key ({', '.join(table.primary_key)})"
        )
    return problems


def _reference_problems(flat: Flat, plan: Plan, table: PlannedTable) -> list[str]:
    problems = []
    for reference in table.references:
        same = " AND ".join(f"a.{quoted(name)} = b.{quoted(name)}" for name in reference.columns)
        present = " AND ".join(f"a.{quoted(name)} IS NOT NULL" for name in reference.columns)
        (orphans,) = flat.one(
            f"SELECT count(*) FROM {here(table.name)} AS a ANTI JOIN {here(reference.table)} AS b ON {same} WHERE {present}"  # noqa: S608 - quoted
        )
        if orphans:
            problems.append(f"{table.name}: {orphans:,} rows refer to no row of {reference.table}")
        if set(reference.columns) != set(plan.table(reference.table).primary_key):
            problems.append(
                f"{table.name}: ({', '.join(reference.columns)}) is not the key of {reference.table}"
            )
    return problems


def _form_problems(plan: Plan, table: PlannedTable) -> list[str]:
    """Return the dependencies the plan stands on that hold within a table without its determinant being the key.

    The items of lists are other values than the columns that they came from.
    """
    if plan.split_of(table.name):
        return []
    columns, key = set(table.columns), set(table.primary_key)
    within = {id_ for split in plan.lists for name in split.things for id_ in plan.table(name).dependencies}
    return [
        f"{table.name}: {', '.join(each.determinant)} fixes {name}, but is not its key"
        for each in plan.used
        if each.id not in within
        if set(each.determinant) < columns and set(each.determinant) != key
        for name in each.dependent
        if name in columns and name not in key
    ]


def _placement_problems(flat: Flat, plan: Plan) -> list[str]:
    """Return columns that are stored nowhere, or twice without being a key."""
    moved = {name: split.table for split in plan.lists for name in split.sources}
    problems = []
    for name in flat.columns:
        holders = [
            table.name for table in plan.tables
            if name in table.columns and name not in table.primary_key and not plan.split_of(table.name)
        ]  # fmt: skip
        as_key = any(name in table.primary_key for table in plan.tables)
        if len(holders) + (name in moved) > 1 or not (holders or as_key or name in moved):
            problems.append(
                f"{name} is stored {len(holders) + (name in moved)} times: {', '.join(holders) or 'nowhere'}"
            )
    return problems


def _type_problems(flat: Flat, plan: Plan, table: PlannedTable) -> list[str]:
    if plan.split_of(table.name):
        return []
    types = {
        str(row[0]): str(row[1]) for row in flat.connection.execute(f"DESCRIBE {here(table.name)}").fetchall()
    }
    return [
        f"{table.name}.{name} is {types.get(name)} and was {flat.types[name]}"
        for name in table.columns
        if name in flat.types and types.get(name) != flat.types[name]
    ]


def _exceptions(flat: Flat, plan: Plan) -> int:
    return int(flat.one(f"SELECT count(*) FROM {here(exceptions_name(plan))}")[0])  # noqa: S608 - quoted
