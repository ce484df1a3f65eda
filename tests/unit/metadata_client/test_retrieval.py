"""Tables and examples that fit a question."""

import pytest

from dteg.metadata.client.retrieval import Retrieval, masked, words
from tests.unit.metadata_client.catalogue import questions, tables

TABLES = tables()
SHOP = [
    {"table_id": "public.orders", "columns": [{"name": "customer_id"}, {"name": "net"}], "description": "what was bought",
     "foreign_keys": [{"columns": ["customer_id"], "ref_table": "public.customers", "ref_columns": ["id"]}]},
    {"table_id": "public.customers", "columns": [{"name": "id"}, {"name": "segment", "top_values": [{"value": "gold"}]}]},
    {"table_id": "public.log", "columns": [{"name": "line"}]},
]  # fmt: skip
EXAMPLES = [
    {
        "question": "net per customer in 2024",
        "sql": "select 1",
        "sql_skeleton": "a",
        "tables": ["public.orders"],
    },
    {
        "question": "net per customer in 2025",
        "sql": "select 2",
        "sql_skeleton": "a",
        "tables": ["public.orders"],
    },
    {"question": "lines of the log", "sql": "select 3", "sql_skeleton": "b", "tables": ["public.log"]},
]


def test_the_right_table_is_among_five_of_two_hundred():
    found = Retrieval(TABLES, [])
    asked = questions()
    hits = [gold in found.tables(question)[:5] for question, gold in asked]
    assert len(TABLES) == 200
    assert len({gold for _, gold in asked}) > 150
    recall = sum(hits) / len(hits)
    print(f"recall@5 = {recall:.3f}")
    assert recall >= 0.95


def test_examples_teach_words_that_no_table_has():
    plain, taught = (
        Retrieval(SHOP, examples)
        for examples in (
            [],
            [{"question": "what is our churn", "sql": "select 1", "tables": ["public.orders"]}],
        )
    )
    assert plain.tables("churn")[0] == "public.customers"  # by name, as nothing fits
    assert taught.tables("churn")[0] == "public.orders"


def test_words_of_people_are_words_of_tables_too():
    assert Retrieval(SHOP, []).tables("our turnover")[0] == "public.orders"
    assert Retrieval(SHOP, []).tables("our best clients")[0] == "public.customers"


def test_a_copy_comes_behind_its_table_unless_it_is_asked_for():
    copies = [{**SHOP[0], "table_id": name} for name in ("archive.orders_2024", "staging.stg_orders")]
    found = Retrieval([*copies, *SHOP], [])
    assert found.tables("orders")[0] == SHOP[0]["table_id"]
    assert found.tables("orders of the archive")[0] == "archive.orders_2024"
    assert found.tables("weather")[-2:] == ["archive.orders_2024", "staging.stg_orders"]


def test_joined_tables_come_before_others():
    assert Retrieval(SHOP, []).tables("what was bought") == [
        "public.orders",
        "public.customers",
        "public.log",
    ]


def test_values_name_a_table():
    assert Retrieval(SHOP, []).tables("how many are gold")[0] == "public.customers"


def test_of_examples_with_one_form_the_nearest_is_told():
    found = Retrieval(SHOP, EXAMPLES)
    assert [each["sql"] for each in found.examples("net per customer in 2025", 5)] == ["select 2"]
    assert [each["sql"] for each in found.examples("lines", 5)] == ["select 3"]
    assert found.examples("weather", 5) == []


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("orders since 2025-01-31 over 1,000.50", "orders since  date  over  number "),
        ("rows of 'O''Brien' and \"x\"", "rows of   and  "),
        ("plain", "plain"),
    ],
)
def test_values_are_masked(question, found):
    assert masked(question) == found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("customerId", "customer_id"),
        ("categories", "category"),
        ("shipped", "ships"),
        ("ordered", "orders"),
        ("HTTPServer", "http server"),
    ],
)
def test_words_are_the_same(one, other):
    assert words(one) == words(other)


def test_korean_is_found_with_its_endings():
    assert set(words("주문")) <= set(words("주문을"))


def test_nothing_is_no_error():
    assert Retrieval([], []).tables("anything") == []
    assert len(Retrieval(SHOP, []).tables("")) == 3
