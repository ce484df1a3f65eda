"""Looking before saving: rows, plan, warnings and suggestions, as a role that may do little."""

import psycopg
import pytest

from dteg.core.errors import ConfigError, NotFoundError, TransientError
from dteg.datasets.catalogue import LiveCatalogue
from dteg.datasets.compiler import expectations
from dteg.datasets.preview import preview, suggest_joins
from dteg.datasets.session import builder_session
from dteg.datasets.spec import TableSource, spec_of

ORDERS = {"source": "warehouse", "schema": "raw", "table": "orders"}
CUSTOMERS = {"source": "warehouse", "schema": "raw", "table": "customers"}
NOTES = {"source": "warehouse", "schema": "raw", "table": "notes"}
MORE_TABLES = """
CREATE TABLE raw.notes (customer_id integer, note text, made_on date, at time, long interval, share double precision);
INSERT INTO raw.notes SELECT 1 + n % 10, 'note ' || n, date '0044-03-15 BC', time '24:00', interval '1 mon', 'NaN'
FROM generate_series(1, 40) AS n;
CREATE TABLE raw.countries (code text PRIMARY KEY, title text);
INSERT INTO raw.countries VALUES ('KZ', 'Kazakhstan'), ('UZ', 'Uzbekistan'), ('KG', 'Kyrgyzstan');
ANALYZE;
"""


@pytest.fixture
def project(shop, postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(MORE_TABLES)
    return shop


def spec(**values):
    return spec_of({"dataset": "made", **values})


def joined(type_="left", **more):
    return {"left": "o", "right": "c", "type": type_, "on": [["o.customer_id", "c.id"]], **more}


def test_a_preview_shows_rows_query_plan_and_nothing_to_worry_about(project):
    found = preview(
        project,
        spec(
            sources={"o": ORDERS, "c": CUSTOMERS},
            joins=[joined(expect="many_to_one")],
            group_by=["c.country"],
            measures=[{"name": "revenue", "fn": "sum", "of": "o.amount"}],
            order_by=[{"col": "revenue", "descending": True}],
        ),
        rows=2,
    )

    assert [(column.name, column.type) for column in found.columns] == [
        ("country", "text"),
        ("revenue", "numeric"),
    ]
    assert len(found.rows) == 2
    assert found.more
    assert all(isinstance(row[1], str) for row in found.rows)  # exact numbers are texts
    assert "\n" in found.sql
    assert found.warnings == []
    assert found.rows_estimate > 0
    assert any(line.startswith("Reads all of raw.orders: about 300 rows") for line in found.plan)
    assert any("groups" in line for line in found.plan)
    assert found.plan[-1].startswith("About ")


def test_odd_values_are_texts(project):
    row = preview(project, spec(sources={"n": NOTES}), rows=1).rows[0]

    assert row[2:] == ["0044-03-15 BC", "24:00:00", "1 mon", "nan"]


def test_a_join_that_is_not_as_expected_is_counted(project):
    warnings = preview(
        project,
        spec(
            sources={"o": ORDERS, "n": NOTES},
            joins=[
                {
                    "left": "o",
                    "right": "n",
                    "on": [["o.customer_id", "n.customer_id"]],
                    "expect": "many_to_one",
                }
            ],
            measures=[{"name": "revenue", "fn": "sum", "of": "o.amount"}],
        ),
    ).warnings

    assert [each.path for each in warnings] == ["joins[0]"]
    assert (
        "expect: many_to_one does not hold: 10 values of n.customer_id are there several times"
        in warnings[0].message
    )


def test_a_sum_that_a_join_doubles_is_found_without_being_asked(project):
    made = {
        "sources": {"c": CUSTOMERS, "n": NOTES},
        "joins": [{"left": "c", "right": "n", "on": [["c.id", "n.customer_id"]]}],
    }
    counted = preview(
        project, spec(**made, measures=[{"name": "people", "fn": "count", "of": "c.id"}])
    ).warnings
    distinct = preview(
        project, spec(**made, measures=[{"name": "people", "fn": "count_distinct", "of": "c.id"}])
    ).warnings

    assert ["10 values of n.customer_id are there several times" in each.message for each in counted] == [
        True
    ]
    assert distinct == []


def test_keys_prove_what_need_not_be_counted(project):
    catalogue = LiveCatalogue(project)
    one_to_one = spec(sources={"o": ORDERS, "c": CUSTOMERS}, joins=[joined(expect="one_to_one")])
    many_to_one = spec(sources={"o": ORDERS, "c": CUSTOMERS}, joins=[joined(expect="many_to_one")])

    assert expectations(many_to_one, catalogue) == []
    (found,) = expectations(one_to_one, catalogue)
    assert (found.where, found.alias, found.columns) == ("joins[0]", "o", ["customer_id"])
    with builder_session(project, 5) as connection:
        assert connection.execute(found.sql.encode()).fetchone() == (30,)


def test_joins_are_suggested_by_keys_names_and_shared_values(project):
    tables = {
        "o": TableSource.model_validate(ORDERS),
        "c": TableSource.model_validate(CUSTOMERS),
        "n": TableSource.model_validate(NOTES),
        "k": TableSource(source="warehouse", schema_="raw", table="countries"),
    }

    found = {tuple(each.on[0]): each for each in suggest_joins(project, tables)}

    first = found["o.customer_id", "c.id"]
    assert (first.why, first.score, first.expect) == ("foreign key", 1.0, "many_to_one")
    assert "customer_id is named after the other table; 100% of" in found["c.id", "n.customer_id"].why
    assert found["c.id", "n.customer_id"].expect == "one_to_many"
    assert "of 30 sampled values are in both" in found["c.country", "k.code"].why
    assert found["c.country", "k.code"].expect == "many_to_one"
    assert ("c.name", "k.title") not in found
    assert ("c.email", "n.note") not in found
    assert next(iter(found)) == ("o.customer_id", "c.id")


def test_a_table_that_is_not_there_is_told_with_a_near_name(project):
    with pytest.raises(ConfigError, match=r"sources\.o: .*orders"):
        preview(project, spec(sources={"o": {"source": "warehouse", "schema": "raw", "table": "order"}}))
    with pytest.raises(NotFoundError):
        suggest_joins(project, [TableSource(source="nowhere", table="x")])


@pytest.mark.parametrize("table", ["_dteg.versions", "pg_catalog.pg_authid", "information_schema.tables"])
def test_tables_of_the_system_are_no_sources(project, table):
    schema, _, name = table.partition(".")

    with pytest.raises(ConfigError, match=r"sources\.x"):
        preview(project, spec(sources={"x": {"source": "warehouse", "schema": schema, "table": name}}))


def test_a_value_that_does_not_fit_is_told_in_words(project):
    made = spec(sources={"c": CUSTOMERS}, columns=[{"name": "n", "formula": "cast(name as integer)"}])

    with pytest.raises(
        ConfigError, match="the warehouse does not take this: invalid input syntax for type integer"
    ):
        preview(project, made)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO raw.customers (id, name) VALUES (999, 'x')",
        "DROP TABLE raw.customers",
        "CREATE TABLE raw.x (a int)",
        "SELECT * FROM _dteg.versions",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT rolpassword FROM pg_authid",
        "COPY raw.customers TO PROGRAM 'cat'",
        "ALTER ROLE dteg_builder SUPERUSER",
        "CREATE ROLE other",
    ],
)
def test_the_builder_may_read_and_build_and_nothing_else(project, postgres_url, statement):
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "CREATE SCHEMA IF NOT EXISTS _dteg; CREATE TABLE IF NOT EXISTS _dteg.versions (a int)"
        )

    def attempt():
        with builder_session(project, 5, read_only=False) as connection:
            assert connection.execute("SELECT current_user").fetchone() == ("dteg_builder",)
            connection.execute(statement.encode())

    with pytest.raises(ConfigError, match=r"permission denied|must be|only superusers"):
        attempt()


def test_a_preview_cannot_write_even_where_the_builder_may(project):
    with pytest.raises(Exception, match="read-only"), builder_session(project, 5) as connection:
        connection.execute("CREATE TABLE ds_cache.x (a int)")


def test_a_statement_that_takes_too_long_ends(project):
    with (
        pytest.raises(TransientError, match=r"took longer than 0\.2 s"),
        builder_session(project, 0.2) as connection,
    ):
        connection.execute("SELECT pg_sleep(10)")


def test_the_session_is_as_before_afterwards(project):
    with builder_session(project, 5) as connection:
        row = connection.execute(
            "SELECT current_setting('search_path'), current_setting('lock_timeout')"
        ).fetchone()

    assert row == ("pg_catalog, pg_temp", "2s")


# --- Dictionaries and other datasets -----------------------------------------------------------


def test_a_dictionary_is_looked_up(project):
    from dteg.dictionaries.models import DictionaryColumn, NewDictionary
    from dteg.dictionaries.service import Dictionaries

    columns = [DictionaryColumn(name="code"), DictionaryColumn(name="title")]
    dictionaries = Dictionaries.of(project)
    dictionaries.create(NewDictionary(slug="countries", key="code", columns=columns))
    dictionaries.put("countries", [{"code": "KZ", "title": "Kazakhstan"}, {"code": "kz", "title": "small"}])
    lookup = {"dictionary": "countries", "key": "c.country", "value": "title", "default": "elsewhere"}

    for mode in ("exact", "ci"):
        found = preview(
            project,
            spec(
                sources={"c": CUSTOMERS}, columns=[{"name": "country", "lookup": lookup}], group_by=["country"],
                measures=[{"name": "n", "fn": "count"}], order_by=[{"col": "country"}], text_compare=mode,
            ),
        )  # fmt: skip

        # One row for each customer, whichever rows of the dictionary fit.
        assert found.rows == [["Kazakhstan", 10], ["elsewhere", 20]]


def test_a_dataset_is_made_of_another_one(sales, project):
    found = preview(
        project, spec(sources={"s": {"dataset": "sales"}}, measures=[{"name": "n", "fn": "count"}])
    )

    assert found.rows == [[300]]
    assert any("the dataset sales" in line for line in found.plan)


def test_a_dataset_without_rows_cannot_be_previewed_from(datasets, project):
    datasets.save(spec_of({"dataset": "draft", "sources": {"c": CUSTOMERS}}))

    with pytest.raises(ConfigError, match=r"sources\.d: dataset draft has no rows yet; refresh it first"):
        preview(project, spec(sources={"d": {"dataset": "draft"}}))


def test_datasets_cannot_be_made_of_each_other(datasets, project):
    datasets.save(spec_of({"dataset": "a", "sources": {"c": CUSTOMERS}}))
    datasets.save(spec_of({"dataset": "b", "sources": {"a": {"dataset": "a"}}}))

    with pytest.raises(ConfigError, match=r"sources\.b\.dataset: a would read itself: a -> b -> a"):
        datasets.save(spec_of({"dataset": "a", "sources": {"b": {"dataset": "b"}}}), replace=True)
