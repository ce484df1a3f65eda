"""What has changed in a source, and whom it touches."""

from dteg.sources.drift import drift
from dteg.sources.models import Column, Relation, SourceTable, schema_hash


def table(name, *columns, schema="public", **more):
    made = SourceTable(
        source="shop", schema_=schema, name=name, relation=Relation(schema_="src_shop", name=name),
        columns=[Column(name=each, type=type_, remote_type=type_) for each, type_ in columns], **more,
    )  # fmt: skip
    return made.model_copy(update={"schema_hash": schema_hash(made)})


ORDERS = table("orders", ("id", "integer"), ("total", "integer"))


def test_nothing_changed():
    again = ORDERS.model_copy(update={"row_estimate": 99, "description": "more rows, other words"})
    assert drift([ORDERS], [again], {}) == []


def test_a_removed_column_touches_who_reads_the_table():
    now = table("orders", ("id", "bigint"), ("currency", "text"))
    (found,) = drift([ORDERS], [now], {"public.orders": ["sales"], "public.other": ["stock"], "": ["old"]})
    assert found.change == "changed"
    assert [(each.column, each.change) for each in found.columns] == [
        ("total", "removed"), ("id", "changed"), ("currency", "added"),
    ]  # fmt: skip
    assert found.broken == ["old", "sales"]


def test_what_is_added_breaks_nothing():
    now = table("orders", ("id", "integer"), ("total", "integer"), ("currency", "text"))
    other = table("customers", ("id", "integer"))
    added, changed = drift([ORDERS], [now, other], {"public.orders": ["sales"]})
    assert (added.table, added.change, added.broken) == ("public.customers", "added", [])
    assert (changed.change, changed.broken) == ("changed", [])


def test_a_table_that_is_gone():
    (found,) = drift([ORDERS], [], {"public.orders": ["sales"]})
    assert (found.change, found.broken) == ("removed", ["sales"])


def test_a_key_is_part_of_the_form():
    assert (
        table("orders", ("id", "integer"), primary_key=["id"]).schema_hash
        != table("orders", ("id", "integer")).schema_hash
    )
