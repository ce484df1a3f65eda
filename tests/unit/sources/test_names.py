"""Which tables are meant, what they are called here, and what may not be pasted into SQL."""

import pytest

from dteg.core.errors import ConfigError
from dteg.sources.fdw import domain_name, type_sql
from dteg.sources.models import Relation
from dteg.sources.patterns import matches
from dteg.sources.relations import datasets_of, is_retired, local_names
from dteg.sources.urls import parse_postgres, parse_url

MYSQL = ("mysql", "mariadb")


@pytest.mark.parametrize(
    ("patterns", "schema", "name", "meant"),
    [
        ([], "public", "orders", True),
        (["orders"], "public", "orders", True),
        (["orders"], "public", "orders_old", False),
        (["public.*"], "sales", "orders", False),
        (["sales.*", "!*_old"], "sales", "orders_old", False),
        (["sales.*", "!*_old"], "sales", "orders", True),
        (["!*_log"], "", "orders", True),
        (["!*_log"], "", "error_log", False),
        (["!*", "orders"], "", "orders", True),
        (["ORDERS"], "", "orders", False),
    ],
)
def test_the_last_pattern_that_fits_decides(patterns, schema, name, meant):
    assert matches(patterns, schema, name) is meant


def test_a_name_that_is_taken_gets_its_schema_before_it():
    names = local_names([("sales", "orders"), ("public", "orders"), ("public", "sales__orders")], "public")
    assert names["public", "orders"] == "orders"
    assert names["public", "sales__orders"] == "sales__orders"
    assert names["sales", "orders"] == "sales__orders_2"


def test_names_fit_postgresql_and_stay_apart():
    long = "ü" * 40
    names = local_names([("a", long), ("b", long), ("c", long)])
    assert len(set(names.values())) == 3
    assert all(len(name.encode()) <= 63 for name in names.values())


def test_no_table_looks_as_if_it_were_put_aside():
    assert not is_retired(local_names([("", "orders__retired_1")])["", "orders__retired_1"])


def test_generations_tell_their_dataset():
    relations = [Relation(schema_="ds_cache", name="sales__g12"), Relation(schema_="raw", name="v__g1")]
    assert datasets_of(relations) == ["sales"]


@pytest.mark.parametrize(
    "type_",
    [
        "integer",
        "numeric(12,2)",
        "timestamp(3) with time zone",
        "character varying(20)[]",
        '"char"',
        "integer[]",
    ],
)
def test_types_of_the_catalogue_pass(type_):
    assert type_sql(type_).as_string(None) == type_


@pytest.mark.parametrize(
    "type_",
    ["text); DROP TABLE x; --", "text, evil int", "int4 CHECK (pg_sleep(9) IS NULL)", "", "te'xt", "a;b"],
)
def test_a_type_that_a_server_made_up_is_refused(type_):
    with pytest.raises(ConfigError, match="no type"):
        type_sql(type_)


def test_domains_are_named_by_their_type():
    assert domain_name("text") == "exact_text"
    assert domain_name("numeric(12,2)") == "exact_numeric_12_2"


def test_a_url_is_taken_apart():
    server = parse_url("mysql://me:p%40ss@db.example:3307/shop%20x", MYSQL, "", 3306)
    assert (server.host, server.port, server.user, server.password, server.database) == (
        "db.example", 3307, "me", "p@ss", "shop x",
    )  # fmt: skip
    assert "p@ss" not in repr(server)
    assert "p@ss" not in server.shown


@pytest.mark.parametrize(
    "url",
    [
        "mysql://host",
        "postgresql://h/d",
        "mysql:///d",
        "mysql://h:port/d",
        "secret text",
        "mysql://u:hunter2@/d",
    ],
)
def test_a_wrong_url_is_refused_and_not_repeated(url):
    with pytest.raises(ConfigError) as caught:
        parse_url(url, MYSQL, "mysql://user:password@host:3306/database", 3306)
    assert "hunter2" not in str(caught.value)
    assert "mysql://user:password@host" in str(caught.value)


def test_postgresql_takes_both_forms_of_its_urls():
    one = parse_postgres("postgresql://me:x@h:6432/d?sslmode=require")
    other = parse_postgres("host=h port=6432 dbname=d user=me password=x sslmode=require")
    assert one == other
    assert one.settings == {"sslmode": "require"}
    with pytest.raises(ConfigError, match="one host"):
        parse_postgres("postgresql://a,b/d")
    with pytest.raises(ConfigError, match="cannot be read"):
        parse_postgres("nonsense here")
