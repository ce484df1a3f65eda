"""What people write on a command line or in a form."""

import pytest

from dteg.core.errors import ConfigError, InputError
from dteg.tables.export import guarded
from dteg.tables.models import CreateRequest
from dteg.tables.requests import checked, names_in, settings_in, types_in
from dteg.tables.uploads import plain_name


def test_types_may_hold_commas_in_brackets():
    assert types_in("price=numeric(12,2), day = date,") == {"price": "numeric(12,2)", "day": "date"}


def test_settings_are_read_as_what_they_are():
    given = ["delimiter=;", "header=false", 'null_values=["NA", ""]', "quote=", "path=a=b", "delimiter=\\t"]
    assert settings_in(given) == {
        "delimiter": "\t", "header": False, "null_values": ["NA", ""], "quote": "", "path": "a=b",
    }  # fmt: skip


def test_what_is_no_pair_is_named():
    with pytest.raises(ConfigError, match="types: 'price' is not NAME=VALUE"):
        types_in("day=date, price")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"table": "a.b.c"}, "table: .* 3 parts"),
        ({"table": ""}, "table: empty table name"),
        ({"table": "_dteg.loads"}, "belongs to the database or to dteg"),
        ({"table": "pg_catalog.x"}, "belongs to the database or to dteg"),
        ({"table": "t", "types": {"a": "intger"}}, 'types.a: unknown type .*did you mean "integer"'),
        ({"table": "t", "key": ["a", "a"]}, "names a column twice"),
        ({"table": "t", "options": {"path": "/etc/passwd"}}, "the option path cannot be set"),
        ({"table": "t", "options": {"headers": {"a": "b"}}}, "the option headers cannot be set"),
        ({"table": "t", "mode": "merge"}, "mode: "),
    ],
)
def test_a_request_that_does_not_fit_is_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        checked(CreateRequest, **values)


def test_a_table_without_a_schema_is_public():
    assert checked(CreateRequest, table="t").table == "public.t"
    assert names_in("a, b,,") == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("data.csv", "data.csv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\data 1.csv", "data_1.csv"),
        ("http://x/y.csv", "y.csv"),
        (".hidden", "hidden"),
        ("a*b?[c].csv", "a_b_c_.csv"),
        ("größe.csv", "größe.csv"),
        ("x" * 300 + ".csv.gz", "x" * 93 + ".csv.gz"),
    ],
)
def test_the_name_of_an_upload_means_a_file_and_nothing_else(name, plain):
    assert plain_name(name) == plain


@pytest.mark.parametrize("name", ["", "..", "/", "***"])
def test_a_name_of_nothing_is_refused(name):
    with pytest.raises(InputError):
        plain_name(name)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_formula_is_made_a_text(text):
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "a=1", "'=1", " =1", "1-1"])
def test_what_is_no_formula_stays(text):
    assert guarded(text) == text
