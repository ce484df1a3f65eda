"""Statements of query logs become examples: constants masked, filled in with what is published anyway, or left out."""

from datetime import UTC, datetime

import pytest
import sqlglot

from dteg.metadata.collectors import Logged
from dteg.metadata.examples import new_example
from dteg.metadata.models import ColumnEntry, TableEntry, TopValue
from dteg.metadata.querylog import log_examples, readable
from dteg.metadata.wording import question_of

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def column(name, type_, **facts):
    return ColumnEntry(name=name, type=type_, **facts)


ORDERS = TableEntry(
    table_id="public.orders", last_updated=NOW,
    columns=[
        column("id", "integer", min="1", max="300"),
        column("customer_id", "integer", min="1", max="60"),
        column("status", "text", top_values=[TopValue(value="paid", pct=60), TopValue(value="open", pct=40)]),
        column("amount", "numeric(12,2)", min="1.50", max="450.00"),
        column("ordered_at", "timestamp with time zone", min="2024-05-01", max="2024-06-01"),
        column("note", "text"),
    ],
)  # fmt: skip
CUSTOMERS = TableEntry(
    table_id="public.customers", last_updated=NOW,
    columns=[column("id", "integer", min="1"), column("email", "text", pii="email"), column("country", "text", samples=["KZ"])],
)  # fmt: skip
TABLES = [ORDERS, CUSTOMERS]
GOOD = {
    "select status, count(*) from orders where amount > $1 group by status": (
        "SELECT status, COUNT(*) FROM orders WHERE amount > 1.50 GROUP BY status",
        "Number of rows of orders per status where amount is more than 1.50",
    ),
    "SELECT sum(amount) FROM public.orders WHERE status IN ($1, $2) AND ordered_at BETWEEN $3 AND $4": (
        "SELECT SUM(amount) FROM public.orders WHERE status IN ('paid', 'open') AND ordered_at BETWEEN '2024-05-01' AND '2024-06-01'",
        "Total amount of orders where status is one of 'paid', 'open' and ordered at is from '2024-05-01' to '2024-06-01'",
    ),
    "select c.country, avg(o.amount) from orders o join customers c on c.id = o.customer_id group by 1 having count(*) > $1 order by 2 desc limit $2": (
        (
            "SELECT c.country, AVG(o.amount) FROM orders AS o JOIN customers AS c ON c.id = o.customer_id GROUP BY 1 "
            "HAVING COUNT(*) > 0 ORDER BY 2 DESC LIMIT 10"
        ),
        "Average amount of orders and customers per country having number of rows is more than 0 by average amount descending first 10",
    ),
    "SELECT date_trunc($1, ordered_at) AS month, sum(CASE WHEN status = $2 THEN $3 ELSE $4 END) FROM orders GROUP BY 1": (
        "SELECT DATE_TRUNC('MONTH', ordered_at) AS month, SUM(CASE WHEN status = 'paid' THEN 1 ELSE 0 END) FROM orders GROUP BY 1",
        None,
    ),
    "SELECT count(*) FROM orders WHERE ordered_at > now() - interval $1": (
        "SELECT COUNT(*) FROM orders WHERE ordered_at > CURRENT_TIMESTAMP - INTERVAL '30 DAYS'",
        None,
    ),
    "SELECT count(*) FROM orders WHERE $1 < amount": (
        "SELECT COUNT(*) FROM orders WHERE 1.50 < amount",
        None,
    ),
}
BAD = {
    "a column about people": "SELECT count(*) FROM customers WHERE email = $1",
    "a column about people, wrapped": "SELECT count(*) FROM customers WHERE lower(email::text) IN ($1)",
    "a value that was not masked, of a column about people": "SELECT count(*) FROM customers WHERE email = 'ada@example.com'",
    "no value is known": "SELECT count(*) FROM orders WHERE note = $1",
    "a table that is not in the cache": "SELECT count(*) FROM salaries WHERE id = $1",
    "a table of another schema": "SELECT count(*) FROM vault.orders",
    "several statements": "SELECT count(*) FROM orders; DELETE FROM orders",
    "no query": "DELETE FROM orders WHERE id = $1",
    "rows as they are": "SELECT id, status FROM orders LIMIT $1",
    "dteg's own": "SELECT * FROM (SELECT count(*) FROM orders) AS dteg_q LIMIT $1",
    "cut off": "SELECT count(*) FROM orders WHERE status = '...",
    "a constant of unknown meaning": "SELECT sum(amount * $1) FROM orders",
    "nothing of SQL": "] $1 [",
    "nested without end": f"SELECT count(*) FROM orders WHERE {'(' * 3000}status = $1{')' * 3000}",
    "a chain without end": f"SELECT count(*) FROM orders WHERE {' AND '.join(['status = $1'] * 5000)}",
}


@pytest.mark.parametrize("text", GOOD)
def test_a_statement_becomes_an_example_with_values_that_are_published(text):
    (made,) = log_examples([Logged(text, 5)], TABLES, "postgres", [])
    sql, question = GOOD[text]
    assert made.sql.upper() == sql.upper()
    assert made.origin == "querylog"
    assert question is None or made.question == question


@pytest.mark.parametrize("why", BAD)
def test_what_cannot_be_filled_in_safely_is_left_out(why):
    assert log_examples([Logged(BAD[why], 5)], TABLES, "postgres", []) == []


def test_a_constant_that_the_log_did_not_mask_is_never_repeated():
    logged = Logged("SELECT count(*) FROM orders WHERE status = 'refunded by ada@example.com'", 9)
    (made,) = log_examples([logged], TABLES, "postgres", [])
    assert made.sql == "SELECT COUNT(*) FROM orders WHERE status = 'paid'"


def test_rare_statements_and_known_forms_are_left_out():
    text = "SELECT count(*) FROM orders WHERE status = $1"
    assert log_examples([Logged(text, 1)], TABLES, "postgres", []) == []
    known = new_example("How many are open?", "SELECT count(*) FROM orders WHERE status = 'open'", "postgres")
    assert log_examples([Logged(text, 5)], TABLES, "postgres", [known]) == []
    twice = [Logged(text, 5), Logged(f"{text} ", 4)]
    assert len(log_examples(twice, TABLES, "postgres", [])) == 1


def test_digests_of_mysql_are_read():
    text = "SELECT `status` , COUNT ( * ) FROM `orders` WHERE `status` IN (...) AND `amount` >= ? GROUP BY `status` LIMIT ?"
    (made,) = log_examples([Logged(text, 5)], TABLES, "mysql", [])
    assert made.sql == (
        "SELECT `status`, COUNT(*) FROM `orders` WHERE `status` IN ('paid') AND `amount` >= 1.50 GROUP BY `status` LIMIT 10"
    )
    assert sqlglot.parse_one(readable("SELECT a FROM t WHERE b IN ( ? , ... )", "mysql"), dialect="mysql")


def test_a_union_and_distinct_values_have_words():
    union = sqlglot.parse_one("SELECT DISTINCT status FROM orders UNION SELECT country FROM customers")
    assert question_of(union, "postgres") == "Status of orders and Country of customers"
