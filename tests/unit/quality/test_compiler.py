import pytest

from dteg.core.identifiers import TableName
from dteg.quality import AcceptedValues, DataFreshness, FormatCheck, NullCheck, RangeCheck, Unique
from dteg.quality.catalogue import Column, Relation
from dteg.quality.compiler import (
    ROW_COUNT,
    MisfitError,
    check_columns,
    condition,
    is_proven_unique,
    key_scan,
    measure,
    row_scan,
    sample,
)

pytestmark = pytest.mark.unit

TABLE = TableName("raw", 'my "t"')
COLUMNS = [
    Column("id", "bigint", "int8", "N", "bigint"),
    Column("n", "numeric(5,2)", "numeric", "N", "numeric"),
    Column("f", "real", "float4", "N", "real"),
    Column("s", "character varying(9)", "varchar", "S", "character varying"),
    Column("d", "date", "date", "D", "date"),
    Column("b", "boolean", "bool", "B", "boolean"),
    Column('50% "x', "text", "text", "S", "text"),
]
RELATION = Relation(TABLE, {column.name: column for column in COLUMNS}, ("id",), (frozenset({"id"}),))


@pytest.mark.parametrize(
    ("rule", "text", "values"),
    [
        (NullCheck(columns=["id", "s"]), '"id" IS NULL OR "s" IS NULL', ()),
        (NullCheck(columns=['50% "x']), '"50%% ""x" IS NULL', ()),
        (FormatCheck(column="id", pattern="^'"), '"id"::text !~ %s', ("^'",)),
        (RangeCheck(column="id", min=0.5, max=9.5), '"id" < %s OR "id" > %s', (1, 9)),
        (RangeCheck(column="id", max=1e300), '"id" > %s', (10**20,)),
        (RangeCheck(column="n", min=0.1, max=5), '"n" < %s::numeric OR "n" > %s::numeric', ("0.1", "5")),
        (RangeCheck(column="f", min=0.1), "\"f\" < %s::real OR \"f\" = 'NaN'", ("0.1",)),
        (RangeCheck(column="s", max="x'"), '"s"::text COLLATE "C" > %s::text', ("x'",)),
        (RangeCheck(column="d", min="2024-01-01"), '"d" < %s::date', ("2024-01-01",)),
        (AcceptedValues(column="id", values=[1, "2"]), '"id" <> ALL(%s::bigint[])', ([1, 2],)),
        (AcceptedValues(column="id", values=[1, 2.5]), '"id" <> ALL(%s::numeric[])', (["1", "2.5"],)),
        (AcceptedValues(column="s", values=["a", 1, True]), '"s"::text COLLATE "C" <> ALL(%s::text[])', (["a", "1", "true"],)),
        (AcceptedValues(column="b", values=[True]), '"b" <> ALL(%s::boolean[])', (["true"],)),
    ],
)  # fmt: skip
def test_conditions(rule, text, values):
    query = condition(rule, RELATION)
    assert (str(query), query.values) == (text, values)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (NullCheck(columns=["idd"]), 'no column "idd"; did you mean "id"'),
        (DataFreshness(column="s", max_age="1h"), '"s" is character varying'),
        (RangeCheck(column="s", min=1), '"s" is character varying'),
        (RangeCheck(column="d", min=1), '"d" is date'),
        (RangeCheck(column="id", min="2024-01-01"), "'2024-01-01', not a number"),
        (AcceptedValues(column="id", values=["x"]), "'x', not a number"),
        (AcceptedValues(column="n", values=[True]), "True, not a number"),
    ],
)
def test_a_rule_that_does_not_fit_names_its_column(rule, message):
    with pytest.raises(MisfitError, match=message):
        (check_columns(rule, RELATION), condition(rule, RELATION))


def test_all_rows_rules_share_one_query():
    rules = [
        NullCheck(columns=["id"]),
        FormatCheck(column="s", pattern="x"),
        DataFreshness(column="d", max_age="1h"),
    ]
    query = row_scan(TABLE, [ROW_COUNT, *(measure(rule, RELATION) for rule in rules)])
    assert str(query) == (
        'SELECT count(*), count(*) FILTER (WHERE "id" IS NULL), count(*) FILTER (WHERE "s"::text !~ %s), '
        'ARRAY[extract(epoch FROM max("d") FILTER (WHERE isfinite("d")))::text, '
        '(max("d") FILTER (WHERE isfinite("d")))::text] FROM "raw"."my ""t"""'
    )
    assert query.values == ("x",)


def test_all_keys_share_one_query():
    query = str(key_scan(TABLE, [frozenset({"a"}), frozenset({"b", "c"})]))
    assert 'GROUPING SETS (("a"), ("b", "c"))' in query
    assert "key = 3" in query  # a alone: b and c are not grouped
    assert "key = 4" in query


def test_an_index_on_some_columns_proves_all_of_them():
    assert is_proven_unique(Unique(columns=["s", "id"]), RELATION)
    assert not is_proven_unique(Unique(columns=["s"]), RELATION)


def test_samples_hold_the_key_and_no_masked_value():
    names, query = sample(FormatCheck(column="s", pattern="x"), RELATION, frozenset({"S"}))
    assert names == ["id", "s"]
    assert str(query) == (
        'SELECT left("id"::text, 81), CASE WHEN "s" IS NOT NULL THEN \'**********\' END '
        'FROM "raw"."my ""t""" WHERE "s"::text !~ %s LIMIT 5'
    )
