import pytest
from hypothesis import given
from hypothesis import strategies as st

from dteg.core.errors import ConfigError
from dteg.datasets.catalogue import CatalogueColumn
from dteg.datasets.compiler import FUNCTIONS
from dteg.datasets.compiler.formulas import read_formula
from dteg.datasets.compiler.terms import EXACT, Term, TextCompare, column_term
from dteg.datasets.types import type_of

COLUMNS = {
    "amount": "numeric(12,2)", "qty": "integer", "name": "text", "code": "character(5)", "paid": "timestamp with time zone",
    "due": "date", "ok": "boolean", "rate": "double precision", "share": "real", "extra": "jsonb", "end": "text",
}  # fmt: skip


class Names:
    """Columns of one PostgreSQL table `o`, and of one table `m` of another database."""

    def column(self, alias: str, name: str) -> Term:
        if name not in COLUMNS:
            raise ConfigError(f"there is no column {name!r}")
        foreign = alias == "m"
        column = CatalogueColumn(
            name, type_of(COLUMNS[name]), exact=not foreign or COLUMNS[name] != "text", foreign=foreign
        )
        return column_term(alias or "o", column, nullable=True)


def sql(formula, mode=EXACT):
    return read_formula(formula, Names(), mode).node.sql("postgres", identify=True, comments=False)


def refusal(formula):
    with pytest.raises(ConfigError) as caught:
        read_formula(formula, Names(), EXACT)
    return str(caught.value)


@pytest.mark.parametrize(
    ("formula", "expected", "type_"),
    [
        ("amount", '"o"."amount"', "numeric(12,2)"),
        ('o."end"', '"o"."end"', "text"),
        ("round(amount - 1.5, 2)", 'ROUND(("o"."amount" - 1.5), 2)', "numeric"),
        ("amount / qty", '("o"."amount" / NULLIF(CAST("o"."qty" AS DECIMAL), 0))', "numeric"),
        ("qty + 1", '(CAST("o"."qty" AS BIGINT) + CAST(1 AS BIGINT))', "bigint"),
        ("qty * qty", '(CAST("o"."qty" AS DECIMAL) * CAST("o"."qty" AS DECIMAL))', "numeric"),
        ("name || qty", '("o"."name" || CAST("o"."qty" AS TEXT))', "text"),
        ("name = 'x''y'", "(\"o\".\"name\" = 'x''y')", "boolean"),
        ("name < 'b'", '("o"."name" COLLATE "C" < \'b\' COLLATE "C")', "boolean"),
        ("due >= '2026-01-31'", "(\"o\".\"due\" >= CAST('2026-01-31' AS DATE))", "boolean"),
        ("not ok or qty in (1, 2)", '((NOT ("o"."ok")) OR ("o"."qty" IN (1, 2)))', "boolean"),
        ("if(ok, qty, null)", 'CASE WHEN "o"."ok" THEN "o"."qty" ELSE CAST(NULL AS INT) END', "integer"),
        ("- -qty", '"o"."qty"', "integer"),
        ("-2", "(-2)", "integer"),
        ("m.qty + 1", '(CAST(GREATEST("m"."qty") AS BIGINT) + CAST(1 AS BIGINT))', "bigint"),
        ("m.name = 'x'", "(GREATEST(\"m\".\"name\") = 'x')", "boolean"),
        ("m.qty > 1", '("m"."qty" > 1)', "boolean"),
        ("days_between(due, paid)", None, "integer"),
        ("extract(year from paid)", "CAST(DATE_PART('year', ((\"o\".\"paid\") AT TIME ZONE 'UTC')) AS INT)", "integer"),
        ("cast(name as decimal(12,2))", 'CAST("o"."name" AS DECIMAL(12, 2))', "numeric(12,2)"),
        ("NAME", None, None),
        ("Round(amount)", 'ROUND("o"."amount")', "numeric"),
        ("code = 'a'", "(CAST(\"o\".\"code\" AS TEXT) = 'a')", "boolean"),
        ("qty % 0", None, "numeric"),
        ("share / share", None, "double precision"),
        ("rate + share", '("o"."rate" + CAST("o"."share" AS DOUBLE PRECISION))', "double precision"),
    ],
)  # fmt: skip
def test_formulas(formula, expected, type_):
    if type_ is None:
        assert "there is no column 'NAME'" in refusal(formula)  # names are as they are written
        return
    if expected is not None:
        assert sql(formula) == expected
    assert read_formula(formula, Names(), EXACT).type.sql == type_


def test_ci_compares_small_letters():
    mode = TextCompare(ci=True, collation="unicode")

    assert sql("name = 'X'", mode) == (
        '(LOWER("o"."name" COLLATE "unicode") COLLATE "C" = LOWER(\'X\' COLLATE "unicode") COLLATE "C")'
    )


@pytest.mark.parametrize(
    ("formula", "told"),
    [
        ("rond(amount)", 'there is no function rond; did you mean "round"? (at character 1)'),
        ("amount +", "here comes a column, a value or a function, but the formula ends (at character 9)"),
        ("(amount", "here comes ), but the formula ends (at character 8)"),
        ("amount amount", "'amount' does not continue the formula (at character 8)"),
        ("amount; 1", "';' means nothing here (at character 7)"),
        (
            "name + 1",
            "+ calculates with numbers; here is a text; texts are put together with || (at character 6)",
        ),
        ("due + 1", "for times there are add_days"),
        ("amount = 'a'", "'a' is a text, compared with a number; write it without quotes"),
        ("due = '2026-02-30'", "'2026-02-30' is not a date, such as 2026-01-31"),
        ("name = null", "a comparison with null is never true; ask: is null"),
        ("'abc'::integer", "'abc' is not a whole number"),
        ("3000000000::integer", "3000000000 does not fit into integer"),
        ("12345::decimal(3,0)", "12345 does not fit into numeric(3,0)"),
        ("(1 + 1)::integer", "this cast uses no column"),
        ("extra = extra", "a json cannot be compared with a json"),
        ("if(qty, 1, 2)", "argument 1 of if is a whole number; if(condition, any, [any]) wants a condition"),
        ("round(amount, qty)", "argument 2 of round is a whole number"),
        ("case when ok then 1 else 'a' end", "the values of if and case are a text and a whole number"),
        ("left(name, -1)", "argument 2 of left is a whole number"),
        ("name like name", "like compares a text with a pattern in quotes"),
        ("name like 'a\\'", "a pattern must not end with a single backslash"),
        ("ok::date", "true or false cannot become a date"),
        ("name::intege", "unknown type 'intege'; did you mean \"integer\"? (at character 7)"),
        ("extract(yer from due)", "extract knows year"),
        ("+".join(["qty"] * 200), "more than 120 operations are in one another"),
        ("(" * 41 + "1" + ")" * 41, "more than 40 brackets in one another"),
        ("1" * 101, "a number of more than 100 characters"),
        ("qty" * 1_000, "a formula has at most 2,000 characters"),
    ],
)
def test_mistakes_are_told(formula, told):
    assert told in refusal(formula)


def told_or_made(text):
    try:
        return sql(text)
    except ConfigError as error:
        return str(error)


@given(st.text(max_size=200))
def test_any_text_is_a_formula_or_a_config_error(text):
    assert told_or_made(text)


WORDS = ["amount", "qty", "name", "(", ")", ",", "+", "-", "*", "/", "and", "or", "not", "in", "is", "null", "case", "when",
         "then", "else", "end", "'x'", "1", "::", "text", "cast", "as", "=", "<", "||", ".", "o", *FUNCTIONS]  # fmt: skip


@given(st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join))
def test_any_words_are_a_formula_or_a_config_error(text):
    assert told_or_made(text)


def test_each_function_says_how_it_is_written():
    for name, function in FUNCTIONS.items():
        assert function.signature.startswith(f"{name}(")
        assert function.about.endswith(".")
