"""How tables are joined: as declared, as dbt tests it, as queries do it, and as names and values let one think."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from dteg.metadata.collectors import Found, Inclusion, Logged
from dteg.metadata.gate import Dialect, called
from dteg.metadata.models import ForeignKeyEntry, TableEntry
from dteg.metadata.querylog import readable

MAX_CHECKS = 400
_PER_COLUMN = 3
_SUFFIXES = ("_id", "_key", "_code", "_no", "_number")
# So common that the same name means nothing.
_MEANINGLESS = frozenset(
    {"id", "key", "code", "name", "no", "number", "type", "status", "created_at", "updated_at"}
)


def candidates(tables: Sequence[Found], changed: set[str]) -> list[Inclusion]:
    """Return the pairs of columns that could be joined and where a table has changed, likelier ones first.

    A column refers to the single-column key of another table of the same type, either of the same name, or called like
    the table: `customer_id` and `customers.id`.

    Args:
        tables: All of them.
        changed: Ids of those whose rows may have changed.
    """
    keys = [
        (found, key)
        for found in tables
        if found.readable
        for key in dict.fromkeys(
            key[0] for key in [found.entry.primary_key, *found.entry.unique_keys] if len(key) == 1
        )
    ]
    by_name: dict[str, list[tuple[Found, str]]] = defaultdict(list)
    for found, key in keys:
        for name in _names(found.entry.name, key):
            by_name[name].append((found, key))
    pairs: list[Inclusion] = []
    for found in tables:
        if not found.readable or found.entry.kind not in ("table", "materialized_view"):
            continue
        declared = {tuple(each.columns) for each in found.entry.foreign_keys}
        for column in found.entry.columns:
            if (column.name,) in declared or column.name.lower() in _MEANINGLESS:
                continue
            there = [
                Inclusion(found, column.name, other, key)
                for other, key in by_name.get(column.name.lower(), ())
                if other.entry.table_id != found.entry.table_id
                and _type(other.entry, key) == _type(found.entry, column.name)
                and changed & {found.entry.table_id, other.entry.table_id}
            ]
            # A table of the same schema first.
            there.sort(key=lambda each: each.ref_table.entry.schema_name != each.table.entry.schema_name)
            pairs += there[:_PER_COLUMN]
    return pairs[:MAX_CHECKS]


def discovered(
    pairs: Sequence[Inclusion], is_included: Callable[[Inclusion], bool | None]
) -> dict[str, list[ForeignKeyEntry]]:
    """Return those whose values are all there, by table.

    Args:
        pairs: Candidates.
        is_included: Looks at the values.
    """
    found: dict[str, list[ForeignKeyEntry]] = defaultdict(list)
    for pair in pairs:
        if is_included(pair):
            entry = ForeignKeyEntry(
                columns=[pair.column], ref_table=pair.ref_table.entry.table_id, ref_columns=[pair.ref_column],
                confidence=0.8, origin="ind",
            )  # fmt: skip
            found[pair.table.entry.table_id].append(entry)
    return found


def from_log(
    log: Sequence[Logged], entries: Sequence[TableEntry], dialect: Dialect
) -> tuple[dict[str, int], dict[str, list[ForeignKeyEntry]]]:
    """Return how often tables were read, and the joins of statements that ran at least twice.

    Args:
        log: Statements.
        entries: Known tables.
        dialect: Of the database.
    """
    known = {each.table_id: each for each in entries}
    read: Counter[str] = Counter()
    joined: Counter[tuple[str, str, str, str]] = Counter()
    for logged in log:
        try:
            query = sqlglot.parse_one(readable(logged.sql, dialect), dialect=dialect)
        except (SqlglotError, RecursionError):
            continue
        aliases = {}
        for table in query.find_all(exp.Table):
            if same := called(entries, table.name, table.db):
                aliases[table.alias_or_name] = same[0].table_id
        read.update(dict.fromkeys(aliases.values(), logged.calls))
        for join in query.find_all(exp.EQ):
            left, right = join.left, join.right
            if isinstance(left, exp.Column) and isinstance(right, exp.Column):
                ours, theirs = aliases.get(left.table), aliases.get(right.table)
                if ours and theirs and ours != theirs:
                    joined[ours, left.name, theirs, right.name] += logged.calls
    return dict(read), _directed(joined, known)


def merged(
    declared: Sequence[ForeignKeyEntry], *others: Sequence[ForeignKeyEntry]
) -> list[ForeignKeyEntry]:  # fmt: skip
    """Return all joins of a table; of the same join what is surest."""
    found: dict[tuple[object, ...], ForeignKeyEntry] = {}
    for each in [*declared, *(one for other in others for one in other)]:
        key = (tuple(each.columns), each.ref_table, tuple(each.ref_columns))
        if key not in found or found[key].confidence < each.confidence:
            found[key] = each
    return list(found.values())


def _directed(
    joined: Mapping[tuple[str, str, str, str], int], known: Mapping[str, TableEntry]
) -> dict[str, list[ForeignKeyEntry]]:
    """Let each join point to the side whose column is a key."""
    found: dict[str, list[ForeignKeyEntry]] = defaultdict(list)
    for (ours, column, theirs, other), calls in joined.items():
        for table, name, ref, ref_name in ((ours, column, theirs, other), (theirs, other, ours, column)):
            is_key = [ref_name] in [known[ref].primary_key, *known[ref].unique_keys]
            if is_key and calls > 1 and known[table].column(name):
                entry = ForeignKeyEntry(
                    columns=[name], ref_table=ref, ref_columns=[ref_name], confidence=0.7, origin="querylog"
                )
                found[table].append(entry)
                break
    return found


def _names(table: str, key: str) -> set[str]:
    """Return what a column that refers to a key may be called."""
    found = {key.lower()} if key.lower() not in _MEANINGLESS else set()
    name = table.lower()
    singular = {name, name.removesuffix("s"), name.removesuffix("es")}
    if name.endswith("ies"):
        singular.add(name.removesuffix("ies") + "y")
    stems = {key.lower().rpartition("_")[2]} & {suffix[1:] for suffix in _SUFFIXES}
    return found | {f"{each}_{stem}" for each in singular for stem in stems}


def _type(entry: TableEntry, column: str) -> str:
    """Return the type without its length; whole numbers are all the same."""
    found = entry.column(column)
    name = found.type.partition("(")[0].lower() if found else ""
    if name in ("smallint", "integer", "bigint", "int", "mediumint", "tinyint"):
        return "integer"
    return "text" if name in ("text", "character varying", "varchar", "character", "char") else name
