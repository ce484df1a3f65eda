"""What is in a backup, in figures that its copy can be compared with."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from pydantic import Field

from dteg.core.config import ConfigModel

# What belongs to people and rights: not restored, and so not compared, with --no-owner.
RIGHTS = frozenset({"ACL", "DEFAULT ACL", "LARGE OBJECT ACL", "BLOB ACL"})
SHOWN = 20
# Of a table that belongs to an extension: what of it is dumped the extension says.
UNKNOWN_ROWS = -1


class TableContents(ConfigModel):
    """The rows of one table."""

    schema_name: str = Field(description="Schema; empty in MariaDB, which has none.")
    name: str = Field(description="Table, partition or materialized view.")
    rows: int = Field(description="Number of rows; -1 if nobody has counted them.")
    checksum: str = Field(description="Of its rows, hexadecimal: see dteg/backups/archive.py.")

    @property
    def label(self) -> str:
        """The name for people."""
        return f"{self.schema_name}.{self.name}" if self.schema_name else self.name


class ObjectContents(ConfigModel):
    """How one object is defined: a table, view, function, grant, comment, position of a sequence, and so on."""

    kind: str = Field(description="What pg_dump calls it, such as `SEQUENCE SET`.")
    schema_name: str = Field(description="Schema, or empty.")
    name: str = Field(description="Its name.")
    owner: str = Field("", description="Role that owns it.")
    digest: str = Field(description="Of its definition, hexadecimal.")

    @property
    def label(self) -> str:
        """The name for people."""
        name = f"{self.schema_name}.{self.name}" if self.schema_name else self.name
        return f"{self.kind.lower()} {name}"


class LargeObjects(ConfigModel):
    """Large objects of PostgreSQL."""

    count: int = Field(0, description="How many.")
    checksum: str = Field("0" * 16, description="Sum over the SHA-256 of each with its number.")


class Contents(ConfigModel):
    """All that is in a backup."""

    tables: tuple[TableContents, ...] = Field(
        (), description="Each table and partition that holds rows itself."
    )
    objects: tuple[ObjectContents, ...] = Field((), description="Each definition.")
    large_objects: LargeObjects = Field(LargeObjects(), description="Large objects of PostgreSQL.")
    materialized_views: tuple[TableContents, ...] = Field(
        (), description="Rows of materialized views when the backup was made; a restore computes them anew."
    )

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(max(table.rows, 0) for table in self.tables)

    def with_rows(self, rows: Mapping[tuple[str, str], int]) -> "Contents":
        """Return the same with other numbers of rows; those that nobody counted stay so."""
        tables = (each.model_copy(update={"rows": rows[each.schema_name, each.name]}) for each in self.tables)
        return self.model_copy(update={"tables": tuple(tables)})


Names = frozenset[tuple[str, str]]


def differences(
    wanted: Contents,
    found: Contents,
    *,
    with_owners: bool = True,
    with_definitions: bool = True,
    same_rows: Names = frozenset(),
) -> list[str]:
    """Return in words how a copy differs from what it was made of; nothing if they are equal.

    Args:
        wanted: What was backed up.
        found: What is there now.
        with_owners: Whether owners and grants have to be equal as well.
        with_definitions: Whether definitions have to; two versions of a server word them differently.
        same_rows: Tables whose rows are known to be equal in another order.
    """
    return [
        *_tables(wanted.tables, found.tables, same_rows),
        *_large_objects(wanted.large_objects, found.large_objects),
        *_objects(wanted.objects, found.objects, with_owners, with_definitions),
    ]


def suspects(wanted: Contents, found: Contents) -> Names:
    """Return the tables that have another checksum, but perhaps as many rows: it may be only the order that differs."""
    here = {(each.schema_name, each.name): each for each in found.tables}
    pairs = ((each, here.get((each.schema_name, each.name))) for each in wanted.tables)
    return frozenset(
        (each.schema_name, each.name)
        for each, other in pairs
        if other and other.rows in (each.rows, UNKNOWN_ROWS) and other.checksum != each.checksum
    )


def _tables(wanted: Iterable[TableContents], found: Iterable[TableContents], same: Names) -> Iterator[str]:
    here = {(each.schema_name, each.name): each for each in found}
    for table in wanted:
        other = here.pop((table.schema_name, table.name), None)
        if other is None:
            yield f"table {table.label} is missing"
        elif table.rows not in (other.rows, UNKNOWN_ROWS):
            yield f"table {table.label} has {other.rows:,} rows instead of {table.rows:,}"
        elif other.checksum != table.checksum and (table.schema_name, table.name) not in same:
            yield f"table {table.label} has other rows (checksum {other.checksum} instead of {table.checksum})"
    for table in here.values():
        yield f"table {table.label} should not be there"


def _large_objects(wanted: LargeObjects, found: LargeObjects) -> Iterator[str]:
    if wanted.count != found.count:
        yield f"there are {found.count:,} large objects instead of {wanted.count:,}"
    elif wanted.checksum != found.checksum:
        yield "large objects have another content"


def _objects(
    wanted: Iterable[ObjectContents], found: Iterable[ObjectContents], owners: bool, definitions: bool
) -> Iterator[str]:
    def keyed(objects: Iterable[ObjectContents]) -> dict[str, list[tuple[str, str]]]:
        # Names of some kinds are not unique: then all of that name are compared together.
        known: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for each in objects:
            if (owners or each.kind not in RIGHTS) and (definitions or each.kind == "SEQUENCE SET"):
                known[each.label].append((each.digest, each.owner if owners else ""))
        return {label: sorted(values) for label, values in known.items()}

    before, after = keyed(wanted), keyed(found)
    for label in before.keys() | after.keys():
        if label not in after:
            yield f"{label} is missing"
        elif label not in before:
            yield f"{label} should not be there"
        elif before[label] != after[label]:
            same = [digest for digest, _ in before[label]] == [digest for digest, _ in after[label]]
            yield f"{label} {'belongs to another role' if same else 'is defined otherwise'}"


def summary(told: list[str]) -> str:
    """Return differences in one text, not too long."""
    more = [f"and {len(told) - SHOWN:,} more"] if len(told) > SHOWN else []
    return "; ".join([*sorted(told)[:SHOWN], *more])
