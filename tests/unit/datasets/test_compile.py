import subprocess
import sys
import time

import pytest

from dteg.core.errors import ConfigError
from dteg.datasets.catalogue import CatalogueColumn, CatalogueTable, MemoryCatalogue
from dteg.datasets.compiler import compile_dataset
from dteg.datasets.models import Dependency
from dteg.datasets.spec import spec_of
from dteg.datasets.types import type_of
from dteg.sources.models import ForeignKey, Relation


def table(relation, columns, key=(), kind="source_table", name="", **more):
    schema, _, table_name = relation.partition(".")
    return CatalogueTable(
        Relation(schema_=schema, name=table_name),
        {
            column: CatalogueColumn(column, type_of(type_.rstrip("!")), not type_.endswith("!"))
            for column, type_ in columns.items()
        },
        [frozenset(key)] if key else [],
        dependency=Dependency(kind=kind, name=name or relation),
        **more,
    )


ORDERS = table(
    "src_shop.orders",
    {"id": "bigint!", "customer_id": "integer", "amount": "numeric(12,2)", "status": "text", "created": "timestamp with time zone",
     "extra": "jsonb", "country": "text"},
    ["id"], name="shop/orders", foreign_keys=[ForeignKey(columns=["customer_id"], table="customers", ref_columns=["id"])],
)  # fmt: skip
CUSTOMERS = table(
    "src_crm.customers",
    {"id": "integer!", "country": "text", "email": "text"},
    ["id"],
    name="crm/public.customers",
)
ITEMS = table(
    "src_shop.items", {"order_id": "bigint", "pieces": "integer", "price": "numeric"}, name="shop/items"
)
CATALOGUE = MemoryCatalogue(
    {
        "shop/orders": ORDERS,
        "shop/items": ITEMS,
        "crm/public.customers": CUSTOMERS,
        "dictionary order_status": table("dict.order_status", {"code": "text!", "title": "text"}, ["code"], "dictionary", "order_status"),
        "dataset sales": table("ds.sales", {"day": "date", "total": "numeric"}, kind="dataset", name="sales"),
        "dataset new": table("ds.new", {"a": "integer"}, kind="dataset", name="new", warning="dataset new has no rows yet"),
    },
    uses={"sales": ["monthly"], "monthly": ["yearly"], "yearly": []},
)  # fmt: skip
ORDERED = {"source": "shop", "table": "orders"}
CUSTOMER = {"source": "crm", "schema": "public", "table": "customers"}
ITEM = {"source": "shop", "table": "items"}
OC = {
    "sources": {"o": ORDERED, "c": CUSTOMER},
    "joins": [{"left": "o", "right": "c", "on": [["o.customer_id", "c.id"]]}],
}
OI = {
    "sources": {"o": ORDERED, "i": ITEM},
    "joins": [{"left": "o", "right": "i", "on": [["o.id", "i.order_id"]]}],
}


def compiled(**spec):
    return compile_dataset(spec_of({"dataset": "made", **spec}), CATALOGUE)


def flat(**spec):
    return " ".join(compiled(**spec).sql.split()).replace("( ", "(").replace(" )", ")")


def problems(**spec):
    with pytest.raises(ConfigError) as caught:
        compiled(**spec)
    return [str(problem) for problem in caught.value.problems]


def columns(*texts):
    return [{"name": text.rpartition(".")[2], "from": text} for text in texts]


def formula(name, text):
    return {"name": name, "formula": text}


# --- Names -------------------------------------------------------------------------------------


def test_without_columns_all_come_and_equal_names_get_their_alias():
    names = [each.name for each in compiled(**OC).columns]

    assert names == [
        "o_id",
        "customer_id",
        "amount",
        "status",
        "created",
        "extra",
        "o_country",
        "c_id",
        "c_country",
        "email",
    ]


def test_types_and_missing_values_are_known():
    found = {each.name: (each.type, each.nullable) for each in compiled(**OC).columns}

    assert found["o_id"] == ("bigint", False)
    assert found["amount"] == ("numeric(12,2)", True)
    assert found["c_id"] == ("integer", True)  # of the side that may have no match


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"sources": {"o": {"source": "shop", "table": "order"}}}, 'sources.o: there is no shop/order; did you mean "shop/orders"?'),
        (OC | {"columns": columns("o.amunt")}, 'columns[0].from: o has no column \'amunt\'; did you mean "amount"?'),
        (OC | {"columns": columns("x.amount")}, "columns[0].from: there is no column 'x.amount'; did you mean \"o.amount\"?"),
        (OC | {"columns": columns("country")}, "columns[0].from: 'country' is a column of several sources; write o.country or c.country"),
        (OC | {"columns": [formula("a", "amunt * 2")]}, 'columns[0].formula: there is no column \'amunt\'; did you mean "amount"? (at character 1)'),
        (OC | {"columns": columns("o.id", "c.id")}, "columns[1]: the name 'id' is there twice"),
        (OC | {"columns": [*columns("o.id"), {"name": "ID", "from": "c.id"}]}, "columns[1]: 'ID' differs from 'id' by capital letters only"),
        (OC | {"group_by": ["o.country"], "measures": [{"name": "country", "fn": "count"}]}, "measures[0]: the name 'country' is there twice"),
        (OC | {"columns": columns("o.id"), "cache": {"key": ["idd"]}}, "cache.key[0]: the result has no column 'idd'; did you mean \"id\"?"),
        (OC | {"columns": columns("o.id"), "order_by": [{"col": "amount"}]}, "order_by[0].col: there is no group or measure 'amount'"),
        (OC | {"filters": {"all": [{"col": "o.id", "op": "is_null"}, {"col": "o.idd", "value": 1}]}}, "filters.all[1]: o has no column 'idd'"),
        (OC | {"measures": [{"name": "n", "fn": "sum", "of": "o.status"}]}, "measures[0].fn: fn: sum takes numbers; this is a text"),
        (OC | {"measures": [formula("q", "n + 1"), {"name": "n", "fn": "count"}]}, ""),
        (OC | {"measures": [formula("q", "o.amount + 1")]}, "measures[0].formula: there is no group or measure 'o.amount'"),
        (OC | {"group_by": ["o.extra"]}, "group_by[0]: rows cannot be put together by values of the type jsonb"),
        (OC | {"columns": [formula("one", "1")], "group_by": ["one"]}, "group_by[0]: this is the same for each row"),
        (OC | {"group_by": [{"name": "d", "from": "o.amount", "grain": "day"}]}, "group_by[0].grain: grain: day needs a time; this is a number"),
        (OC | {"filters": {"col": "o.created", "op": ">", "value": "yesterday"}}, "filters: 'yesterday' is not a time, such as"),
        (OC | {"filters": {"col": "o.amount", "op": ">", "value": {"relative": "-1d"}}}, "filters: a time from now cannot be compared with a number"),
        (OC | {"filters": {"col": "o.amount", "op": "contains", "value": "1"}}, "filters: contains takes texts, not a number"),
        (OC | {"having": {"col": "n", "value": 1}}, "having needs measures or group_by"),
        (OC | {"columns": columns("o.status"), "snapshot": {"schedule": "0 * * * *", "metrics": ["status"]}}, "snapshot.metrics[0]: status is a text; a metric is a number"),
        (OC | {"columns": columns("o.status"), "checks": [{"fresh": {"col": "status", "max_age": "1d"}}]}, "checks[0].fresh.col: status is a text, not a time"),
        (OC | {"columns": [{"name": "a", "lookup": {"dictionary": "order_stat", "key": "o.status", "value": "title"}}]}, "columns[0].lookup: there is no dictionary order_stat"),
        (OC | {"columns": [{"name": "a", "lookup": {"dictionary": "order_status", "key": "o.amount", "value": "title"}}]}, "columns[0].lookup: the key of the dictionary is a text"),
        (OC | {"columns": [{"name": "a", "lookup": {"dictionary": "order_status", "key": "o.status", "value": "titel"}}]}, 'has no column \'titel\'; did you mean "title"?'),
        (OC | {"columns": [{"name": "a", "lookup": {"dictionary": "order_status", "key": "o.status", "value": "title", "default": 1}}]}, "columns[0].lookup: the values of value and default are"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_with_its_place_and_a_near_name(spec, told):
    if not told:
        assert compiled(**spec).columns  # a calculated measure may stand before those it uses
        return
    assert any(told in each for each in problems(**spec)), problems(**spec)


def test_all_problems_are_told_at_once_and_none_twice():
    found = problems(
        **OC, columns=[*columns("o.amunt", "o.id"), formula("b", "amunt + 1"), formula("c", "b * 2")]
    )

    assert [each.split(":")[0] for each in found] == ["columns[0].from"]


def test_reserved_words_are_names_like_others():
    assert 'AS "select"' in flat(**OC, columns=[{"name": "select", "from": "o.id"}])


# --- Joins -------------------------------------------------------------------------------------


def test_the_first_source_leads_whatever_the_join_calls_left():
    turned = [{"left": "c", "right": "o", "on": [["o.customer_id", "c.id"]]}]

    assert 'FROM "src_shop"."orders" AS "o" RIGHT JOIN "src_crm"."customers" AS "c"' in flat(
        **(OC | {"joins": turned})
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"joins": []}, "sources.c: c is not joined with o; add it under joins"),
        ({"joins": OC["joins"] * 2}, "joins[1]: these sources are joined already"),
        ({"joins": [{"left": "o", "right": "x", "on": [["o.customer_id", "x.id"]]}]}, "joins[0]: there is no source 'x'"),
        ({"joins": [{"left": "o", "right": "c", "on": [["o.status", "c.id"]]}]}, "joins[0].on[0]: a text cannot be compared with a whole number"),
        ({"joins": [{"left": "o", "right": "c", "on": [["o.customer_id", "o.id"]]}]}, "joins[0].on[0]: a pair has one column of o and one of c"),
        ({"joins": [{"left": "o", "right": "c", "on": [["o.customer_id", "c.idd"]]}]}, "joins[0].on[0]: c has no column 'idd'"),
    ],
)  # fmt: skip
def test_joins_that_do_not_hold_are_told(change, told):
    assert any(told in each for each in problems(**(OC | change))), problems(**(OC | change))


def test_sums_over_the_repeated_side_are_warned_of():
    measures = [
        {"name": "revenue", "fn": "sum", "of": "o.amount"},
        {"name": "pieces", "fn": "sum", "of": "i.pieces"},
    ]
    joins = [OI["joins"][0] | {"expect": "one_to_many"}]

    warnings = compiled(**(OI | {"joins": joins}), measures=measures).warnings

    assert [each.path for each in warnings] == ["measures[0]"]
    assert "values are counted several times" in warnings[0].message


def test_a_filter_that_undoes_a_left_join_is_warned_of():
    spec = OC | {
        "filters": {"all": [{"col": "c.country", "value": "KZ"}, {"col": "o.status", "value": "paid"}]}
    }

    assert [each.path for each in compiled(**spec).warnings] == ["filters.all[0]"]


# --- Lookups, filters, measures ----------------------------------------------------------------


def test_a_dictionary_is_joined_once_for_each_key_and_only_if_it_is_used():
    lookup = {"dictionary": "order_status", "key": "o.status", "value": "title"}
    two = [
        {"name": "a", "lookup": lookup},
        {"name": "b", "lookup": lookup | {"value": "code", "default": "?"}},
    ]

    assert flat(sources={"o": ORDERED}, columns=two).count("LEFT JOIN") == 1
    unused = compiled(sources={"o": ORDERED}, columns=two, measures=[{"name": "n", "fn": "count"}])
    assert "LEFT JOIN" not in unused.sql


def test_a_column_may_use_those_above_it():
    found = flat(
        sources={"o": ORDERED}, columns=[formula("net", "amount * 2"), formula("rounded", "round(net)")]
    )

    assert 'ROUND(("o"."amount" * CAST(2 AS DECIMAL)))' in found


def test_columns_of_columns_cannot_grow_without_end():
    chain = [formula("c0", "amount + amount")]
    chain += [formula(f"c{n}", f"c{n - 1} + c{n - 1}") for n in range(1, 30)]

    assert any(
        "parts, counting those of the columns it uses" in each
        for each in problems(sources={"o": ORDERED}, columns=chain)
    )


def test_relative_times_move_with_the_clock_and_are_worked_out_once():
    found = flat(
        sources={"o": ORDERED}, filters={"col": "created", "op": ">=", "value": {"relative": "-90d"}}
    )

    assert "(SELECT (((NOW() AT TIME ZONE 'UTC') - CAST('90 days' AS INTERVAL))) AT TIME ZONE 'UTC')" in found


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"op": "!=", "value": "a"}, """(("o"."status" <> 'a') OR ("o"."status" IS NULL))"""),
        ({"op": "not_in", "value": ["a"]}, """((NOT (("o"."status" IN ('a')))) OR ("o"."status" IS NULL))"""),
        ({"op": "is_null"}, '("o"."status" IS NULL)'),
    ],
)
def test_what_excludes_a_value_does_not_exclude_missing_ones(condition, expected):
    assert expected in flat(sources={"o": ORDERED}, filters={"col": "status", **condition})


def test_measures_of_measures_are_calculated_outside():
    found = flat(
        sources={"o": ORDERED}, group_by=["status"], having={"col": "each", "op": ">", "value": 1},
        measures=[{"name": "revenue", "fn": "sum", "of": "amount"}, {"name": "n", "fn": "count"}, formula("each", "revenue / n")],
    )  # fmt: skip

    assert '"result"."revenue" / NULLIF(CAST("result"."n" AS DECIMAL), 0)' in found
    assert found.index("GROUP BY") < found.rindex("WHERE")


def test_a_week_begins_by_the_clocks_of_its_zone():
    found = flat(
        sources={"o": ORDERED},
        group_by=[{"name": "week", "from": "created", "grain": "week", "timezone": "Asia/Almaty"}],
    )

    assert "AT TIME ZONE 'UTC'" in found
    assert "AT TIME ZONE 'Asia/Almaty'" in found
    assert "DATE_TRUNC('week', " in found


# --- Datasets over datasets --------------------------------------------------------------------


def test_a_dataset_of_datasets_tells_what_it_depends_on():
    found = compiled(sources={"s": {"dataset": "sales"}})

    assert [(each.kind, each.name) for each in found.depends_on] == [("dataset", "sales")]
    assert [str(each) for each in found.relations] == ["ds.sales"]


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("sales", "sales -> sales"),
        ("monthly", "monthly -> sales -> monthly"),
        ("yearly", "yearly -> sales -> monthly -> yearly"),
    ],
)
def test_a_circle_of_datasets_is_refused(name, way):
    with pytest.raises(ConfigError, match=f"would read itself: {way}"):
        compile_dataset(spec_of({"dataset": name, "sources": {"s": {"dataset": "sales"}}}), CATALOGUE)


def test_a_dataset_without_rows_is_warned_of():
    found = compiled(sources={"n": {"dataset": "new"}})

    assert [(each.path, each.message) for each in found.warnings] == [
        ("sources.n", "dataset new has no rows yet")
    ]


# --- Time --------------------------------------------------------------------------------------


def test_compiling_takes_no_time_that_anybody_notices():
    wide = OC | {
        "columns": [formula(f"c{n}", f"round(if(o.amount > {n}, amount / {n + 1}, coalesce(amount, 0)) * 2, 2)") for n in range(15)],
        "filters": {"all": [{"any": [{"col": "o.status", "op": "in", "value": ["a", "b"]}, {"col": "o.amount", "value": n}]} for n in range(10)]},
    }  # fmt: skip
    spec = spec_of({"dataset": "wide", **wide})
    compile_dataset(spec, CATALOGUE)
    times = []
    for _ in range(40):
        began = time.process_time()
        compile_dataset(spec, CATALOGUE)
        times.append(time.process_time() - began)

    assert sorted(times)[37] < 0.02


def test_without_the_extra_it_is_named():
    blocked = (
        "import sys; sys.modules['sqlglot'] = None\nimport dteg.datasets.spec\nimport dteg.datasets.compiler"
    )
    done = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, check=False)

    assert (
        'MissingExtraError: a dataset needs an optional part: uv pip install "dteg[datasets]"' in done.stderr
    )
