from types import SimpleNamespace

import pytest

from dteg.connectors.selection import (
    check_selection,
    selected_streams,
    selected_tables,
    subquery,
    whole_key,
)


def selection(**given):
    return SimpleNamespace(**{"table": None, "tables": [], "query": None, "stream": None, **given})


def name_of(table):
    return table.rpartition(".")[2]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "exactly one of table, tables and query"),
        ({"table": "a", "tables": ["b"]}, "exactly one"),
        ({"table": "a", "query": "SELECT 1", "stream": "s"}, "exactly one"),
        ({"query": "SELECT 1"}, "query needs stream"),
        ({"tables": ["a", "b"], "stream": "s"}, "stream goes with table or query"),
    ],
)
def test_what_is_none_or_more_than_one_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        check_selection(selection(**given))


@pytest.mark.parametrize(
    ("given", "streams", "tables"),
    [
        ({"table": "shop.orders"}, ["orders"], ["shop.orders"]),
        ({"table": "shop.orders", "stream": "mine"}, ["mine"], ["shop.orders"]),
        ({"tables": ["shop.orders", "items"]}, ["orders", "items"], ["shop.orders", "items"]),
        ({"query": "SELECT 1", "stream": "one"}, ["one"], []),
    ],
)
def test_each_table_is_a_stream_and_a_query_is_one(given, streams, tables):
    chosen = selection(**given)
    check_selection(chosen)
    assert (selected_streams(chosen, name_of), selected_tables(chosen)) == (streams, tables)


@pytest.mark.parametrize("query", ["SELECT 1", "SELECT 1;", "SELECT 1 ; \n"])
def test_a_query_stands_on_lines_of_its_own_without_its_semicolon(query):
    assert [line.strip() for line in subquery(query).splitlines()] == ["(", "SELECT 1", ") AS source"]


def test_a_comment_at_the_end_of_a_query_hides_nothing():
    assert subquery("SELECT 1 -- one").endswith("-- one\n) AS source")


def test_a_key_is_whole_or_none():
    assert whole_key(("b", "a"), ["a", "b", "c"]) == ("b", "a")
    assert whole_key(("b", "a"), ["a", "c"]) == ()
    assert whole_key((), ["a"]) == ()
