"""How the tables of a source differ from when they were last looked at."""

from collections.abc import Mapping, Sequence

from dteg.sources.models import Column, ColumnDrift, SourceTable, TableDrift


def drift(
    before: Sequence[SourceTable], after: Sequence[SourceTable], used: Mapping[str, Sequence[str]]
) -> list[TableDrift]:
    """Compare what was known with what is there.

    Args:
        before: Tables as they were.
        after: Tables as they are.
        used: Datasets by the full name of the table they read; under "" those of which only that is known.

    Returns:
        Tables that differ, by name. A table that was added breaks nothing, and neither does a column.
    """
    old = {table.full_name: table for table in before}
    new = {table.full_name: table for table in after}
    found = [TableDrift(table=name, change="added") for name in new if name not in old]
    found += [
        TableDrift(table=name, change="removed", broken=_users(used, name)) for name in old if name not in new
    ]
    for name, table in new.items():
        if name in old and old[name].schema_hash != table.schema_hash:
            columns = _columns(old[name].columns, table.columns)
            harmful = any(each.change != "added" for each in columns)
            found.append(
                TableDrift(
                    table=name,
                    change="changed",
                    columns=columns,
                    broken=_users(used, name) if harmful else [],
                )
            )
    return sorted(found, key=lambda each: each.table)


def _columns(before: Sequence[Column], after: Sequence[Column]) -> list[ColumnDrift]:
    old, new = {each.name: _words(each) for each in before}, {each.name: _words(each) for each in after}
    found = [ColumnDrift(column=name, change="removed", before=old[name]) for name in old if name not in new]
    for name, words in new.items():
        if name not in old:
            found.append(ColumnDrift(column=name, change="added", after=words))
        elif old[name] != words:
            found.append(ColumnDrift(column=name, change="changed", before=old[name], after=words))
    return found


def _words(column: Column) -> str:
    return f"{column.remote_type or column.type}{'' if column.nullable else ' not null'}"


def _users(used: Mapping[str, Sequence[str]], name: str) -> list[str]:
    return sorted({*used.get(name, ()), *used.get("", ())})
