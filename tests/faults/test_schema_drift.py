"""A source table changes between two loads: twelve kinds of drift, each under the three schema policies.

The outcome is what the policy says, and no value is lost or changed on the way: after each load every row
of the source is in the target as it is, is a dead letter, or the target is as it was.

How the test was seen to fail: with values that do not fit loaded as NULL, with a numeric rounded to the
scale of the table, with unknown columns dropped instead of set aside, and with `freeze` taken for `evolve`.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from dteg.core.errors import QualityGateError, SchemaDriftError
from dteg.pipelines.runner import new_run_id
from tests.factories import LooksOnly, make_part, make_pipeline, run
from tests.faults.conftest import FULL
from tests.faults.loads import Figures

POLICIES = ("evolve", "freeze", "quarantine")
TYPES = {
    "id": "bigint", "i": "integer", "amount": "numeric(9,2)", "v": "character varying(8)", "label": "text",
    "at": "timestamp without time zone",
}  # fmt: skip
BASE = f"""
CREATE SCHEMA s;
CREATE TABLE s.t ({", ".join(f"{name} {type_}" for name, type_ in TYPES.items())});
INSERT INTO s.t SELECT n, n, n + 0.25, 'v' || n, n::text, '2026-01-01'::timestamp + n * interval '1 day'
FROM generate_series(1, 3) AS n;
"""


@dataclass(frozen=True)
class Outcome:
    """What a policy makes of a drift: refused, or loaded but for the rows set aside.

    Attributes:
        refused: Nothing is changed.
        aside: Ids of the rows that become dead letters.
        types: Columns of the target that are new or of another type afterwards.
    """

    refused: bool = False
    aside: tuple[int | None, ...] = ()
    types: dict[str, str] = field(default_factory=dict)


REFUSED, LOADED = Outcome(refused=True), Outcome()

# The drift, and what evolve, freeze and quarantine make of it.
CASES: dict[str, tuple[str, Outcome, Outcome, Outcome]] = {
    "add": (
        "ALTER TABLE s.t ADD new text; INSERT INTO s.t (id, i, new) VALUES (4, 4, 'x'), (5, 5, NULL)",
        Outcome(types={"new": "text"}), REFUSED, Outcome(aside=(4,)),
    ),
    "drop": (
        "ALTER TABLE s.t DROP label; INSERT INTO s.t (id, i) VALUES (4, 4)",
        LOADED, REFUSED, REFUSED,
    ),
    "rename": (
        "ALTER TABLE s.t RENAME label TO title; INSERT INTO s.t (id, title) VALUES (4, 'x')",
        Outcome(types={"title": "text"}), REFUSED, REFUSED,
    ),
    "widen an integer": (
        "ALTER TABLE s.t ALTER i TYPE bigint; INSERT INTO s.t (id, i) VALUES (4, 2::bigint ^ 40), (5, 2147483647)",
        Outcome(types={"i": "bigint"}), REFUSED, Outcome(aside=(4,)),
    ),
    "widen a numeric": (
        "ALTER TABLE s.t ALTER amount TYPE numeric(15,4); INSERT INTO s.t (id, amount) VALUES (4, 12345678901.25), (5, 1.2345), (6, 1.25), (7, -0.001)",
        Outcome(types={"amount": "numeric(15,4)"}), REFUSED, Outcome(aside=(4, 5, 7)),
    ),
    "narrow an integer": (
        "ALTER TABLE s.t ALTER i TYPE smallint; INSERT INTO s.t (id, i) VALUES (4, 32767)",
        LOADED, LOADED, LOADED,
    ),
    "narrow a varchar": (
        "ALTER TABLE s.t ALTER v TYPE varchar(4); INSERT INTO s.t (id, v) VALUES (4, 'abcd')",
        LOADED, LOADED, LOADED,
    ),
    "number to text": (
        "ALTER TABLE s.t ALTER i TYPE text; INSERT INTO s.t (id, i) VALUES (4, 'x'), (5, '7'), (6, NULL), (7, '')",
        Outcome(aside=(4, 7)), REFUSED, Outcome(aside=(4, 7)),
    ),
    "text to number": (
        "ALTER TABLE s.t ALTER label TYPE integer USING label::integer; INSERT INTO s.t (id, label) VALUES (4, 7)",
        LOADED, LOADED, LOADED,
    ),
    "timestamp to date": (
        "ALTER TABLE s.t ALTER at TYPE date; INSERT INTO s.t (id, at) VALUES (4, '2026-02-03')",
        LOADED, LOADED, LOADED,
    ),
    "nullable key": (
        "INSERT INTO s.t (id, i) VALUES (4, 4), (NULL, 5)",
        Outcome(aside=(None,)), Outcome(aside=(None,)), Outcome(aside=(None,)),
    ),
    "reorder": (
        "CREATE TABLE s.u AS SELECT at, label, v, amount, i, id FROM s.t; DROP TABLE s.t; ALTER TABLE s.u RENAME TO t; INSERT INTO s.t (id, i, label) VALUES (4, 5, '6')",
        LOADED, LOADED, LOADED,
    ),
}  # fmt: skip
CELLS = [pytest.param(case, policy, id=f"{case}-{policy}") for case in CASES for policy in POLICIES]
seen: Counter[str] = Counter()


@pytest.fixture
def connection(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection]:
    monkeypatch.setenv("DTEG_POSTGRES_URL", postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(BASE)
        yield connection


def load(folder: Path, policy: str, *, decoded: bool, max_bad_rows: int = 0) -> Any:
    pipeline = make_pipeline(
        folder,
        make_part("extractor", "postgres", table="s.t"),
        make_part("loader", "postgres", table="raw.t"),
        [make_part("processor", LooksOnly)] if decoded else [],
        write="merge",
        primary_key=["id"],
        schema_policy=policy,
        max_bad_rows=max_bad_rows,
    )
    return run(pipeline, new_run_id())


def rows(connection: psycopg.Connection, table: str) -> list[dict[str, Any]]:
    """Return the rows of a table, without the columns that dteg adds."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()
    return [{name: value for name, value in row.items() if not name.startswith("_")} for row in found]


def types(connection: psycopg.Connection) -> dict[str, str]:
    query = (
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = 'raw.t'::regclass AND attnum > 0 AND NOT attisdropped AND attname !~ '^_'"
    )
    return dict(connection.execute(query).fetchall())


def same(source: Any, target: Any, type_: str) -> bool:
    """Whether a value arrived unchanged, as far as the type of the target can tell."""
    if type_ == "text" and source is not None:
        source = str(source)
    elif isinstance(source, str) and type_ == "integer":
        source = int(source)
    elif isinstance(source, dt.date) and not isinstance(source, dt.datetime):
        source = dt.datetime.combine(source, dt.time())
    return bool(source == target)


@pytest.mark.parametrize("decoded", [False, True] if FULL else [False])
@pytest.mark.parametrize(("case", "policy"), CELLS)
def test_drift_has_the_outcome_of_its_policy(
    *,
    case: str,
    policy: str,
    decoded: bool,
    connection: psycopg.Connection,
    tmp_path: Path,
    figures: Callable[..., Figures],
) -> None:
    line = figures(f"schema drift, 12 cases, {policy}", points=1, note="compared by value, old and new types")
    drift, *outcomes = CASES[case]
    outcome = outcomes[POLICIES.index(policy)]
    load(tmp_path, policy, decoded=decoded)
    old, old_types = {row["id"]: row for row in rows(connection, "raw.t")}, types(connection)
    assert old_types == TYPES
    assert list(old.values()) == rows(connection, "s.t")
    connection.execute(drift)
    line.landed = 1
    source = rows(connection, "s.t")
    if outcome.refused or outcome.aside:
        error = SchemaDriftError if outcome.refused else QualityGateError
        with pytest.raises(error, match=r"raw\.t"):
            load(tmp_path, policy, decoded=decoded)
        assert (rows(connection, "raw.t"), types(connection)) == (list(old.values()), old_types)
    if not outcome.refused:
        result = load(tmp_path, policy, decoded=decoded, max_bad_rows=len(outcome.aside))
        assert result.load.rows_rejected == len(outcome.aside)
        assert types(connection) == {**old_types, **outcome.types}
        there = {row["id"]: row for row in rows(connection, "raw.t")}
        arrived = {row["id"]: row for row in source if row["id"] not in outcome.aside}
        line.lost = len((set(arrived) | set(old)) - set(there))
        assert set(there) == set(arrived) | set(old)
        for id_, row in there.items():
            for name, value in row.items():
                kept = name not in source[0]  # a column that no longer arrives
                expected = old.get(id_, {}).get(name) if kept else arrived[id_][name]
                assert same(expected, value, types(connection)[name]), f"row {id_}, column {name}"
        if outcome.aside:
            letters = connection.execute("SELECT payload->>'id', reason FROM raw.t__dead_letters").fetchall()
            assert Counter(id_ for id_, _ in letters) == Counter(
                None if id_ is None else str(id_) for id_ in outcome.aside
            )
            assert all(reason for _, reason in letters)
    seen["refused" if outcome.refused else "rows set aside" if outcome.aside else "all loaded"] += 1


def test_every_cell_was_seen() -> None:
    print(f"{len(CASES)} drifts x {len(POLICIES)} policies: {dict(seen)}")
    assert len(CASES) == 12
