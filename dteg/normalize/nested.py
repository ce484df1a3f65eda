"""Objects within values of JSON become columns before anything is looked for: `user: {id, name}` is `user_id, user_name`."""

from typing import TYPE_CHECKING

from dteg.normalize.flat import TABLE, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MAX_DEPTH = 4
# More different keys than this are values in the place of names.
_MAX_KEYS = 50
# Kinds of JSON that a type holds, in the order in which they are tried.
_TYPES = {
    "BIGINT": {"BIGINT", "UBIGINT"}, "DOUBLE": {"BIGINT", "UBIGINT", "DOUBLE"}, "BOOLEAN": {"BOOLEAN"},
}  # fmt: skip


def unfold(connection: "DuckDBPyConnection") -> list[str]:
    """Put the parts of objects into columns of the table `flat`; return what a person should know of it."""
    notes: list[str] = []
    for _ in range(_MAX_DEPTH):
        columns = _columns(connection)
        parts = {name: _parts(connection, name, columns) for name in columns}
        if not any(parts.values()):
            break
        picked = ", ".join(
            ", ".join(f"{value} AS {quoted(part)}" for part, value in parts[name].items()) or quoted(name)
            for name in columns
        )
        connection.execute(f"CREATE OR REPLACE TABLE {TABLE} AS SELECT {picked} FROM {TABLE} ORDER BY rowid")  # noqa: S608 - quoted
        notes += [f"the parts of {name} became {', '.join(found)}" for name, found in parts.items() if found]
    lists = [name for name in _columns(connection) if _is(connection, name, "ARRAY")]
    return [*notes, *([f"{', '.join(lists)}: lists of JSON stay texts"] if lists else [])]


def _columns(connection: "DuckDBPyConnection") -> list[str]:
    return [str(row[0]) for row in connection.execute(f"DESCRIBE {TABLE}").fetchall()]


def _parts(connection: "DuckDBPyConnection", name: str, columns: list[str]) -> dict[str, str]:
    """Return the columns that an object becomes, with their SQL; none if it is no object, or cannot become columns."""
    if not _is(connection, name, "OBJECT"):
        return {}
    keys = [
        str(row[0])
        for row in connection.execute(
            "SELECT k FROM (SELECT unnest(keys) AS k, unnest(range(len(keys))) AS place, r FROM "  # noqa: S608 - quoted
            f"(SELECT json_keys({quoted(name)}) AS keys, rowid AS r FROM {TABLE})) GROUP BY k ORDER BY min((r, place))"
        ).fetchall()
    ]
    taken = {each.casefold() for each in columns}
    named = {f"{name}_{key}": key for key in keys}
    if not 0 < len(keys) <= _MAX_KEYS or len({each.casefold() for each in named} - taken) < len(keys):
        return {}
    return {part: _value(connection, name, key) for part, key in named.items()}


def _value(connection: "DuckDBPyConnection", name: str, key: str) -> str:
    """Return the SQL of a part: of the type that all its values have, else a text."""
    pointer = "/" + key.replace("~", "~0").replace("/", "~1").replace("'", "''")
    text = f"json_extract_string({quoted(name)}, '{pointer}')"
    kinds = connection.execute(
        f"SELECT DISTINCT json_type({quoted(name)}, '{pointer}') FROM {TABLE} WHERE {text} IS NOT NULL"  # noqa: S608 - quoted
    ).fetchall()
    for type_, allowed in _TYPES.items():
        if kinds and {str(kind) for (kind,) in kinds} <= allowed:
            (whole,) = connection.execute(
                f"SELECT count({text}) = count(TRY_CAST({text} AS {type_})) FROM {TABLE}"  # noqa: S608 - quoted
            ).fetchone() or (False,)
            if whole:
                return f"CAST({text} AS {type_})"
    return text


def _is(connection: "DuckDBPyConnection", name: str, kind: str) -> bool:
    """Whether all values of a column are JSON of a kind."""
    column = f"{quoted(name)}::VARCHAR"
    begins = {"OBJECT": "{", "ARRAY": "["}[kind]
    values, such = connection.execute(
        f"SELECT count({column}), count(*) FILTER (starts_with(ltrim({column}), '{begins}') AND json_valid({column})) "  # noqa: S608 - quoted
        f"FROM {TABLE}"
    ).fetchone() or (0, 0)
    return bool(values) and values == such
