"""Answers that are worked out by hand, or by Python."""

import datetime as dt
from collections import Counter
from decimal import Decimal
from zoneinfo import ZoneInfo

import psycopg
import pytest

from dteg.datasets.catalogue import unicode_collation
from dteg.datasets.compiler import compile_dataset
from dteg.datasets.spec import spec_of
from dteg.testing.servers import database
from tests.integration.datasets.compile_world import make_world

ORDERS, CUSTOMERS = (
    {"source": "shop", "table": "orders"},
    {"source": "crm", "schema": "public", "table": "customers"},
)
PAID = [dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + n * dt.timedelta(hours=7) for n in range(1, 41)]


@pytest.fixture(scope="module")
def answer(_postgres_database):
    with database(_postgres_database) as url, psycopg.connect(url, autocommit=True) as connection:
        catalogue = make_world(connection)
        catalogue._letters = unicode_collation(connection)
        connection.execute("SET timezone = 'America/New_York'")  # no answer may depend on that

        def ask(**spec):
            compiled = compile_dataset(
                spec_of({"dataset": "asked", "sources": {"o": ORDERS}, **spec}), catalogue
            )
            return connection.execute(compiled.sql.encode()).fetchall()

        yield ask


def formula(text):
    return {
        "columns": [{"name": "id", "from": "id"}, {"name": "x", "formula": text}],
        "order_by": [{"col": "id"}],
        "limit": 3,
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("qty / 2", [Decimal("0.5"), Decimal(1), Decimal(0)]),
        ("amount / qty", [Decimal("1.5"), Decimal("1.5"), None]),  # a division by zero is nothing
        ("mod(-id, 2)", [Decimal(-1), Decimal(0), Decimal(-1)]),
        ("2 + 3 * -id", [Decimal(-1), Decimal(-4), Decimal(-7)]),
        ("(2 + 3) * id", [Decimal(5), Decimal(10), Decimal(15)]),
        ("8 - 4 - id", [3, 2, 1]),
        ("round(amount * 1.005, 2)", [Decimal("1.51"), Decimal("3.02"), Decimal("4.52")]),
        ("if(ok, 'yes', 'no') || id", ["no1", "yes2", "no3"]),
        ("case when id < 2 then 'low' when id < 3 then 'middle' end", ["low", "middle", None]),
        ("number('x') is null and number(note) is null", [True, True, True]),
        ("number(replace(note, 'note ', ''))", [Decimal(1), Decimal(2), Decimal(3)]),
        ("days_between('2026-01-01', paid)", [0, 0, 0]),
        ("hours_between('2026-01-01 00:00', paid)", [Decimal(7), Decimal(14), Decimal(21)]),
        ("add_months(cast('2026-01-31' as date), 1)", [dt.date(2026, 2, 28)] * 3),
        ("weekday(paid)", [4, 4, 4]),
        ("format_time(paid, 'YYYY-MM-DD HH24')", ["2026-01-01 07", "2026-01-01 14", "2026-01-01 21"]),
        ("cast(paid as date)", [dt.date(2026, 1, 1)] * 3),
        ("cast(paid as timestamp) = placed", [True, True, True]),
        ("status = 'NEW' and note like 'note _'", [True, False, None]),
        ("greatest(id, 2)", [2, 2, 3]),
        ("coalesce(status, 'none')", ["NEW", "paid", "none"]),
    ],
)  # fmt: skip
def test_formulas_calculate_as_people_do(answer, text, expected):
    assert [row[1] for row in answer(**formula(text))] == expected


@pytest.mark.parametrize("zone", ["UTC", "Asia/Almaty", "America/New_York", "Asia/Kathmandu"])
@pytest.mark.parametrize("grain", ["day", "week", "month", "quarter", "year", "hour"])
def test_periods_follow_the_clocks_of_a_zone(answer, grain, zone):
    rows = answer(group_by=[{"name": "p", "from": "paid", "grain": grain, "timezone": zone}], measures=[{"name": "n", "fn": "count"}])  # fmt: skip

    assert Counter(dict(rows)) == Counter(_start(each.astimezone(ZoneInfo(zone)), grain) for each in PAID)


def _start(at, grain):
    if grain == "hour":
        return at.replace(minute=0, second=0)
    day = at.date()
    return {
        "day": day,
        "week": day - dt.timedelta(days=day.weekday()),
        "month": day.replace(day=1),
        "quarter": day.replace(month=day.month - (day.month - 1) % 3, day=1),
        "year": day.replace(month=1, day=1),
    }[grain]


def test_texts_are_grouped_exactly_or_without_regard_to_case(answer):
    spec = {
        "group_by": ["status"],
        "measures": [{"name": "n", "fn": "count"}],
        "order_by": [{"col": "status"}],
    }

    assert answer(**spec) == [("NEW", 10), ("new", 10), ("paid", 10), (None, 10)]
    assert answer(**spec, text_compare="ci") == [("NEW", 20), ("paid", 10), (None, 10)]


def test_a_lookup_never_repeats_a_row(answer):
    lookup = {"dictionary": "order_status", "key": "o.status", "value": "title", "default": "none"}
    spec = {"columns": [{"name": "t", "lookup": lookup}], "group_by": ["t"], "measures": [{"name": "n", "fn": "count"}], "order_by": [{"col": "t"}]}  # fmt: skip

    assert answer(**spec) == [("NEW!", 10), ("New", 10), ("Paid", 10), ("none", 10)]
    assert answer(**spec, text_compare="ci") == [("NEW!", 20), ("Paid", 10), ("none", 10)]


def test_what_is_excluded_leaves_missing_values_in(answer):
    def ids(**condition):
        return len(answer(columns=[{"name": "id", "from": "id"}], filters={"col": "status", **condition}))

    assert ids(op="=", value="new") == 10
    assert ids(op="!=", value="new") == 30
    assert ids(op="not_in", value=["new", "NEW"]) == 20
    assert ids(op="not_contains", value="e") == 30
    assert ids(op="is_null") == 10


def test_measures_have_filters_and_are_calculated_with(answer):
    rows = answer(
        group_by=["ok"],
        measures=[
            {"name": "all", "fn": "sum", "of": "amount"},
            {"name": "early", "fn": "sum", "of": "amount", "where": {"col": "id", "op": "<=", "value": 4}},
            {"name": "share", "formula": "round(early / all, 3)", "type": "decimal(5,3)"},
        ],
        having={"col": "share", "op": ">", "value": 0.01},
    )

    assert rows == [
        (True, Decimal("630.00"), Decimal("9.00"), Decimal("0.014"))
    ]  # the others have 6/600, not more than 1 %


def test_a_join_keeps_what_it_says(answer):
    def rows(type_):
        joins = [{"left": "o", "right": "c", "type": type_, "on": [["o.customer_id", "c.id"]]}]
        return len(
            answer(
                sources={"o": ORDERS, "c": CUSTOMERS}, joins=joins, columns=[{"name": "id", "from": "o.id"}]
            )
        )

    # Customers 1 to 6, orders of the customers 0 to 6: five orders are of nobody.
    assert [rows(type_) for type_ in ("inner", "left", "right", "full")] == [35, 40, 35, 40]


def test_relative_times_follow_the_clock(answer):
    def rows(col, op, **value):
        return len(answer(filters={"col": col, "op": op, "value": value}))

    for col in ("placed", "paid", "due"):
        assert rows(col, ">=", relative="-99y") == 40
        assert rows(col, "<", relative="+99y", start_of="quarter", timezone="Asia/Almaty") == 40
        assert rows(col, ">", relative="+99y") == 0
