import struct
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dteg.core.columns import Columns
from dteg.core.errors import SchemaDriftError
from dteg.core.types import canonical, cast_array, sql_field, sql_type
from dteg.pipelines.schema_policy import fits, reconcile, wider_type

REFUSED = "refused"

# name, table, arriving -> what happens under evolve, freeze, quarantine: the type of the column, or refused.
CASES = [
    ("the same", {"a": "bigint"}, {"a": "bigint"}, "bigint", "bigint", "bigint"),
    ("new column", {"a": "bigint"}, {"a": "bigint", "b": "text"}, "added text", REFUSED, "unknown"),
    ("column missing", {"a": "bigint", "b": "text"}, {"a": "bigint"}, "missing", REFUSED, REFUSED),
    ("narrower integer", {"a": "bigint"}, {"a": "smallint"}, "bigint", "bigint", "bigint"),
    ("integer into numeric", {"a": "numeric(12,2)"}, {"a": "integer"}, "numeric(12,2)", "numeric(12,2)", "numeric(12,2)"),
    ("wider integer", {"a": "integer"}, {"a": "bigint"}, "widened bigint", REFUSED, "integer"),
    ("wider numeric", {"a": "numeric(8,2)"}, {"a": "numeric(9,4)"}, "widened numeric(10,4)", REFUSED, "numeric(8,2)"),
    ("fractions for integers", {"a": "bigint"}, {"a": "double precision"}, "widened numeric", REFUSED, "bigint"),
    ("longer text", {"a": "varchar(5)"}, {"a": "varchar(9)"}, "widened varchar(9)", REFUSED, "varchar(5)"),
    ("text for numbers", {"a": "bigint"}, {"a": "text"}, "bigint", REFUSED, "bigint"),
    ("another kind", {"a": "timestamptz"}, {"a": "bigint"}, "timestamptz", REFUSED, "timestamptz"),
    ("date for timestamp", {"a": "timestamp"}, {"a": "date"}, "timestamp", "timestamp", "timestamp"),
]  # fmt: skip


def schema_of(columns):
    return pa.schema([sql_field(name, type_) for name, type_ in columns.items()])


@pytest.mark.parametrize("form", [schema_of, Columns])
@pytest.mark.parametrize("policy", ["evolve", "freeze", "quarantine"])
@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_a_difference_is_treated_as_the_table_in_the_docstring_says(case, policy, form):
    _, table, arriving, *expected = case
    wanted = dict(zip(["evolve", "freeze", "quarantine"], expected, strict=True))[policy]
    if wanted == REFUSED:
        with pytest.raises(
            SchemaDriftError, match=rf"raw\.t does not fit what arrives \(schema_policy: {policy}\)"
        ):
            reconcile(table, form(arriving), policy, "raw.t")
        return
    change = reconcile(table, form(arriving), policy, "raw.t")
    types = {column.name: sql_type(column) for column in change.schema}
    word, _, type_ = wanted.partition(" ")
    assert change.add == ({"b": type_} if word == "added" else {})
    assert change.widen == ({"a": type_} if word == "widened" else {})
    assert change.unknown == (("b",) if word == "unknown" else ())
    assert change.missing == (("b",) if word == "missing" else ())
    if word in ("added", "unknown", "missing"):
        assert types["a"] == "bigint"
    else:
        assert types == {"a": type_ if word == "widened" else wanted}
    assert len(change.notes()) == (word in ("added", "widened", "unknown", "missing"))


def test_all_differences_are_told_at_once():
    with pytest.raises(SchemaDriftError) as caught:
        reconcile(
            {"a": "integer", "gone": "text"}, schema_of({"a": "text", "new": "date"}), "freeze", "raw.t"
        )
    for part in (
        "column a arrives as text, the table has integer",
        "new column new (date)",
        "missing column(s) gone",
    ):
        assert part in str(caught.value)


def test_a_type_of_one_database_is_left_to_that_database():
    change = reconcile({"mood": "feeling"}, schema_of({"mood": "text"}), "quarantine", "raw.t")
    assert change.schema.field("mood").type == pa.string()
    assert sql_type(change.schema.field("mood")) == "feeling"


SHORT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=3)
VALUES = {
    "smallint": st.integers(-(2**15), 2**15 - 1),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "real": st.floats(width=32, allow_infinity=False),
    "double precision": st.floats(allow_infinity=False),
    "numeric(8,2)": st.decimals("-999999.99", "999999.99", places=2),
    "numeric(19,0)": st.decimals(-(10**19) + 1, 10**19 - 1, places=0),
    "numeric(5,4)": st.decimals("-9.9999", "9.9999", places=4),
    "numeric(30,10)": st.decimals(-(10**20) + 1, 10**20 - 1, places=10),
    "boolean": st.booleans(),
    "date": st.dates(),
    "timestamp": st.datetimes(),
    "varchar(3)": SHORT,
    "varchar(5)": SHORT,
    "text": SHORT,
}
TYPES = [*VALUES, "numeric", "varchar", "timestamptz", "jsonb", "json", "bytea", "uuid"]
FITTING = [(a, t) for a in VALUES for t in TYPES if fits(a, t) and a != t]


def make_array(type_, values):
    column = sql_field("a", type_)
    if type_.startswith("numeric"):
        values = [Decimal(value) for value in values]
    return pa.array(values, column.type)


def same(value, kept, there):
    """Whether a value read back from the wider type is the value that was given."""
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - NaN
        return kept != kept if isinstance(kept, float) else kept.lower() == "nan"  # noqa: PLR0124
    if isinstance(kept, str) and not isinstance(value, str):
        if isinstance(value, bool):
            return kept == str(value).lower()
        if isinstance(value, int | float | Decimal):
            # What comes back is the same number, to the last bit of its own type.
            back = type(value)(kept)
            return back == value or (
                isinstance(value, float) and struct.pack("f", back) == struct.pack("f", value)
            )
        return kept.replace(" ", "T")[:10] == value.isoformat()[:10]
    return (
        Decimal(kept) == Decimal(value)
        if isinstance(value, int | float | Decimal)
        else kept == value or there == "timestamp"
    )


@pytest.mark.parametrize(("arriving", "there"), FITTING, ids=[f"{a}-{t}" for a, t in FITTING])
@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_what_fits_is_kept_without_a_change(arriving, there, data):
    values = data.draw(st.lists(VALUES[arriving], min_size=1, max_size=5))
    array = make_array(arriving, values)
    result, bad = cast_array(array, sql_field("a", there))
    assert not any(bad.to_pylist())
    for value, kept in zip(array.to_pylist(), result.to_pylist(), strict=True):
        assert same(value, kept, there), (value, kept)


PAIRS = [(t, a) for t in VALUES for a in VALUES if not fits(a, t) and wider_type(t, a)]


@pytest.mark.parametrize(("there", "arriving"), PAIRS)
def test_the_wider_type_holds_both(there, arriving):
    wider = wider_type(there, arriving)
    assert wider == canonical(wider)
    assert fits(there, wider)
    assert fits(arriving, wider)


def test_bytes_are_no_text_and_a_text_column_stays_one():
    assert not fits("bytea", "text")
    assert wider_type("bytea", "text") is None
    assert wider_type("text", "bytea") is None


@pytest.mark.parametrize(
    ("arriving", "there"),
    [
        ("bigint", "double precision"),
        ("double precision", "real"),
        ("numeric(8,2)", "double precision"),
        ("numeric", "numeric(38,10)"),
        ("timestamptz", "timestamp"),
        ("timestamp", "date"),
        ("integer", "numeric(9,0)"),
        ("text", "varchar(9)"),
    ],
)
def test_what_could_lose_something_does_not_fit(arriving, there):
    assert not fits(arriving, there)
