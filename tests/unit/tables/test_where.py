"""Conditions: what they mean in SQL, where their mistakes are said to be, and that nothing of a user becomes SQL."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dteg.core.errors import ConfigError
from dteg.tables.where import MAX_DEPTH, parse_where

TYPES = {
    "age": "integer",
    "price": "numeric(12,2)",
    "name": "text",
    "born": "date",
    'odd "%s" name': "text",
    "and": "text",
}


def parsed(text):
    condition = parse_where(text, TYPES, "public.people")
    return condition.sql.as_string(None), list(condition.values)


@pytest.mark.parametrize(
    ("text", "sql", "values"),
    [
        ("age = 5", '("age" = %s)', [5]),
        ("age == 5", '("age" = %s)', [5]),
        ("age!=-5", '("age" <> %s)', [-5]),
        ("price >= 1.50", '("price" >= %s)', [Decimal("1.50")]),
        ("price < 1e3", '("price" < %s)', [Decimal("1e3")]),
        ("name = 5", '("name" = %s)', ["5"]),
        ("name = 'it''s'", '("name" = %s)', ["it's"]),
        ("born between '2020-01-01' and '2020-12-31'", '("born" BETWEEN %s AND %s)', ["2020-01-01", "2020-12-31"]),
        ("age not in (1, 2)", '("age" NOT IN (%s, %s))', [1, 2]),
        ("name like 'A%'", '("name"::text LIKE %s)', ["A%"]),
        ("age NOT ILIKE '1_'", '("age"::text NOT ILIKE %s)', ["1_"]),
        ("name is null", '("name" IS NULL)', []),
        ("name IS NOT NULL", '("name" IS NOT NULL)', []),
        ("age = price", '("age" = "price")', []),
        ("age=1 or age=2 and name='x'", '(("age" = %s) OR (("age" = %s) AND ("name" = %s)))', [1, 2, "x"]),
        ("(age=1 or age=2) and not name='x'", '((("age" = %s) OR ("age" = %s)) AND (NOT ("name" = %s)))', [1, 2, "x"]),
        ("not not age = 1", '("age" = %s)', [1]),
        ('"odd ""%s"" name" = \'x\'', '("odd ""%s"" name" = %s)', ["x"]),
        ('"and" = \'x\'', '("and" = %s)', ["x"]),
        ("name = true", '("name" = %s)', [True]),
    ],
)  # fmt: skip
def test_a_condition_becomes_sql_with_bound_values(text, sql, values):
    assert parsed(text) == (sql, values)


@pytest.mark.parametrize(
    ("text", "message", "at"),
    [
        ("", "there is no condition", 1),
        ("nam = 'x'", "has no column 'nam'; did you mean \"name\"?", 1),
        ("age = 1 and nam = 'x'", "has no column 'nam'", 13),
        ("name = bob", "there is no column 'bob'; a text stands in single quotes: 'bob'", 8),
        ("name = null", "write: is null", 8),
        ("name 'x'", "after name comes =", 6),
        ("age = ", "here comes a value", 6),
        ("age = 1 name = 'x'", "unexpected 'name'; join conditions with and / or", 9),
        ("(age = 1", "here comes ), but it ends", 9),
        ("age = 1)", "unexpected ')'", 8),
        ("age in 1", "here comes (, not '1'", 8),
        ("age in ()", "here comes a value", 9),
        ("age between 1 or 2", "between takes two values", 15),
        ("name like age", "after like comes a text", 11),
        ("name is 'x'", "after is comes null", 9),
        ("name = 'x", "the quote is never closed", 8),
        ('"nam = 1', "the quote is never closed", 1),
        ("age = 1; drop table people", "';' means nothing here", 8),
        ("age = $1", "'$' means nothing here", 7),
        ("pg_sleep(10) = 1", "has no column 'pg_sleep'", 1),
        ("age = (select 1)", "here comes a value", 7),
        ("and = 1", "here comes the name of a column, not 'and'", 1),
        ("age = " + "9" * 2000, "a number of more than", 7),
        ("(" * (MAX_DEPTH + 2) + "age = 1", "brackets in one another", MAX_DEPTH + 2),
    ],
)
def test_a_mistake_is_named_with_its_place(text, message, at):
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    assert message in str(caught.value)
    assert f"(at character {at} of " in str(caught.value)


def test_a_message_of_the_database_about_a_value_gets_its_place():
    condition = parse_where("age = 1 and born = 'soon'", TYPES, "t")
    message = condition.explain('invalid input syntax for type date: "soon"')
    assert message.endswith("(at character 20 of the condition)")
    assert condition.explain("something else") == "something else"


WORDS = st.sampled_from(
    ["age", "name", '"odd ""%s"" name"', "and", "or", "not", "in", "like", "is", "null", "between", "(", ")", ",", "=",
     "<", ">=", "'x'", "''", "5", "-1.5", "true", ";", "--", "/*", "%s", "{}", "\\", "'", '"', "\0", "é", "\n"]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(WORDS, max_size=12), st.sampled_from(["", " "]))
def test_any_text_is_a_condition_of_this_language_or_refused(words, between):
    text = between.join(words)
    try:
        sql, values = parsed(text)
    except ConfigError:
        return
    bare = sql
    for name in TYPES:
        bare = bare.replace('"' + name.replace('"', '""') + '"', "")
    assert bare.count("%s") == len(values)
    words_left = bare.replace("%s", "").replace("::text", "")
    for known in ("AND", "OR", "NOT", "IS", "NULL", "IN", "LIKE", "ILIKE", "BETWEEN"):
        words_left = words_left.replace(known, "")
    assert set(words_left) <= set("()<>=, ")
