"""Warehouses in the cloud: how they are named, and what their types are called."""

import builtins
from datetime import UTC, datetime

import pytest

from dteg.core.errors import ConfigError, MissingExtraError
from dteg.core.project import Project
from dteg.metadata.bigquery import local
from dteg.metadata.clouds import BigQueryPlace, CloudSource, SnowflakePlace, cloud_source, place_of
from dteg.metadata.collectors import Logged
from dteg.metadata.models import ColumnEntry, TableEntry
from dteg.metadata.parts import known_parts, parts_of, with_parts
from dteg.metadata.people import about_people
from dteg.metadata.querylog import log_examples
from dteg.metadata.snowflake import as_stored, found_of, sampled, type_of

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def place(url):
    return place_of(CloudSource(name="sales", url=url))


def test_a_url_of_bigquery():
    assert place("bigquery://shop-1") == BigQueryPlace("shop-1")
    assert place(
        "bigquery://Shop-1/retail?location=EU&max_bytes=20000000&credentials=/run/key.json"
    ) == BigQueryPlace("Shop-1", "retail", "EU", "/run/key.json", "", 20_000_000)
    assert place("bigquery://shop/retail?endpoint=http://127.0.0.1:9050").endpoint == "http://127.0.0.1:9050"


def test_a_url_of_snowflake(monkeypatch):
    monkeypatch.setenv(
        "SALES_URL", 'snowflake://ann:p%40ss@acme-eu/shop/"retail"?role=READER&warehouse=SMALL'
    )
    found = place("secret://env/SALES_URL")
    assert found == SnowflakePlace("acme-eu", "ann", "p@ss", "SHOP", "retail", "READER", "SMALL")
    assert "p@ss" not in repr(found)
    keyed = place("snowflake://ann@acme/shop?role=READER&private_key_file=/run/key.p8")
    assert (keyed.schema, keyed.password, keyed.private_key_file) == ("", "", "/run/key.p8")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mysql://host/shop", "written like bigquery://"),
        ("bigquery://", "written like bigquery://"),
        ("bigquery://shop/a/b", "written like bigquery://"),
        ("bigquery://user@shop/a", "written like bigquery://"),
        ("bigquery://shop?place=EU", "place: the URL may have location"),
        ("bigquery://shop?max_bytes=5", "at least 10000000"),
        ("bigquery://shop?max_bytes=-1", "at least 10000000"),
        ("bigquery://shop?endpoint=http://elsewhere:9050", "a server on this machine"),
        ("bigquery://shop?endpoint=https://127.0.0.1", "a server on this machine"),
        ("bigquery://shop?endpoint=http://127.0.0.1.evil.com:1", "a server on this machine"),
        ("snowflake://ann:hunter2@acme/shop?role=READER", "no password in the file"),
        ("snowflake://ann@acme/shop?role=READER", "a password in the URL or private_key_file"),
        ("snowflake://ann@acme/shop?private_key_file=k", "a role that can only read"),
        ("snowflake://ann@acme/shop?role=accountadmin&private_key_file=k", "not accountadmin"),
        ("snowflake://acme/shop?role=READER&private_key_file=k", "written like snowflake://"),
        ("snowflake://ann@acme?role=READER&private_key_file=k", "written like snowflake://"),
        ("snowflake://[::1/shop", "cannot be read"),
        ("secret://env/NOTHING_HERE", "NOTHING_HERE is not set"),
    ],
)
def test_a_url_that_is_refused(url, why):
    with pytest.raises(ConfigError) as error:
        place(url)
    assert why in str(error.value)
    assert "hunter2" not in str(error.value)


def test_the_file_of_sources(tmp_path):
    (tmp_path / "dteg.toml").write_text("")
    project = Project(tmp_path)
    assert cloud_source(project, "sales") is None
    (tmp_path / "metadata").mkdir()
    path = tmp_path / "metadata" / "sources.yaml"
    path.write_text("sources:\n  - name: sales\n    url: bigquery://shop/retail\n    tables: ['!*_old']\n")
    assert cloud_source(project, "sales").tables == ["!*_old"]
    assert cloud_source(project, "other") is None
    path.write_text("sources:\n  - {name: warehouse, url: 'bigquery://shop'}\n")
    with pytest.raises(ConfigError, match="none is `warehouse`"):
        cloud_source(project, "sales")
    path.write_text(
        "sources:\n  - {name: sales, url: 'bigquery://shop'}\n  - {name: sales, url: 'bigquery://b'}\n"
    )
    with pytest.raises(ConfigError, match="each name once"):
        cloud_source(project, "sales")
    path.write_text("sources:\n  - {name: ../sales, url: 'bigquery://shop'}\n")
    with pytest.raises(ConfigError, match=r"sources\.yaml:2"):
        cloud_source(project, "sales")


@pytest.mark.parametrize(
    ("facts", "type_"),
    [
        (("NUMBER", None, 12, 2), "NUMBER(12,2)"),
        (("NUMBER", None, 38, 0), "NUMBER(38,0)"),
        (("TEXT", 100, None, None), "VARCHAR(100)"),
        (("TEXT", 16_777_216, None, None), "VARCHAR"),
        (("TEXT", 134_217_728, None, None), "VARCHAR"),
        (("VARIANT", None, None, None), "VARIANT"),
        (("ARRAY", None, None, None), "ARRAY"),
        (("OBJECT", None, None, None), "OBJECT"),
        (("TIMESTAMP_NTZ", None, None, None), "TIMESTAMP_NTZ"),
        (("FLOAT", None, None, None), "FLOAT"),
        (("GEOGRAPHY", None, None, None), "GEOGRAPHY"),
    ],
)
def test_types_of_snowflake(facts, type_):
    names = ("data_type", "character_maximum_length", "numeric_precision", "numeric_scale")
    assert type_of(dict(zip(names, facts, strict=True))) == type_


def test_keys_views_and_documents_of_snowflake():
    types = {"ID": "NUMBER(38,0)", "A": "NUMBER(38,0)", "B": "VARCHAR", "DOC": "VARIANT", "BIN": "BINARY"}
    columns = [ColumnEntry(name=name, type=type_) for name, type_ in types.items()]
    row = {
        "table_schema": "RETAIL", "table_name": "LINES", "table_type": "BASE TABLE", "row_count": 7, "bytes": 10,
        "last_altered": NOW, "comment": None, "table_owner": "LOADER", "clustering_key": "LINEAR(A)",
    }  # fmt: skip

    def key(name, column, place, **more):
        return {"constraint_name": name, "column_name": column, "key_sequence": place, **more}

    to = {"pk_schema_name": "RETAIL", "pk_table_name": "ORDERS", "fk_name": "F"}
    references = [
        key("F", "", 1, fk_column_name="A", pk_column_name="X", **to),
        key("F", "", 2, fk_column_name="B", pk_column_name="Y", **to),
    ]
    keys = ({"P": [key("P", "ID", 1), key("P", "A", 2)]}, {"U": [key("U", "B", 1)]}, {"F": references})
    found = found_of(row, columns, keys, "", NOW)
    entry = found.entry
    assert (entry.table_id, entry.primary_key, entry.unique_keys) == ("RETAIL.LINES", ["ID", "A"], [["B"]])
    (reference,) = entry.foreign_keys
    assert (reference.columns, reference.ref_table, reference.ref_columns) == (
        ["A", "B"],
        "RETAIL.ORDERS",
        ["X", "Y"],
    )
    assert (found.row_estimate, entry.owner, entry.tags) == (7, "LOADER", ["clustered by LINEAR(A)"])
    assert sampled(entry) == ["ID", "A", "B"]
    view = found_of(row | {"table_type": "VIEW"}, columns, ({}, {}, {}), "SELECT 1", NOW)
    other = found_of(row | {"table_type": "VIEW"}, columns, ({}, {}, {}), "SELECT 2", NOW)
    assert (view.entry.kind, view.row_estimate) == ("view", None)
    assert view.entry.fingerprint_sha256 != other.entry.fingerprint_sha256
    files = found_of(row | {"table_type": "EXTERNAL TABLE"}, columns, ({}, {}, {}), "", NOW)
    assert (files.entry.kind, files.readable) == ("foreign_table", False)


def test_parts_of_a_record_about_people_are_so_too():
    assert about_people("home.street", []) == "street"
    assert about_people("payload:customer.email", []) == "email"
    assert about_people("home.city", []) is None


@pytest.mark.parametrize("dialect", ["bigquery", "snowflake"])
@pytest.mark.parametrize(
    "condition",
    [
        "status = 'ann@example.com'",
        "REGEXP_CONTAINS(status, r'ann@example')",
        "REGEXP_LIKE(status, $$ann@example$$)",
        "status = b'ann@example.com'",
        "status = X'616E6E'",
        "CONTAINS_SUBSTR(status, 'ann@example.com')",
        "status IN UNNEST(['ann@example.com'])",
        "status LIKE 'ann@example%'",
        "id = 4711",
    ],
)
def test_no_constant_of_a_query_log_becomes_an_example(dialect, condition):
    columns = [ColumnEntry(name="id", type="INT64"), ColumnEntry(name="status", type="STRING", pii="email")]
    columns += [each.model_copy(update={"name": each.name.upper()}) for each in columns]
    entries = [
        TableEntry(table_id=name, last_updated=NOW, columns=columns) for name in ("a.orders", "A.ORDERS")
    ]
    log = [Logged(f"SELECT COUNT(*) FROM a.orders WHERE {condition}", 10)]
    log += [Logged("SELECT COUNT(*) AS n FROM a.orders GROUP BY id", 5)]
    made = log_examples(log, entries, dialect, [])
    assert [each.sql for each in made] == ["SELECT COUNT(*) AS n FROM a.orders GROUP BY id"]


def test_statements_of_logs_name_tables_as_the_cache_does():
    assert local("SELECT n FROM `shop.retail.orders` -- x", "shop") == "SELECT n FROM `retail.orders`"
    assert local("SELECT n FROM `shop-1`.retail.orders AS o", "shop-1") == "SELECT n FROM retail.orders AS o"
    assert local("SELECT n FROM other.retail.orders", "shop") == ""
    assert local("SELECT FROM WHERE", "shop") == ""
    assert as_stored('select "x", y from retail.orders') == 'SELECT "x", Y FROM RETAIL.ORDERS'
    assert as_stored("select (") == ""


def test_documents_tell_names_of_parts_and_no_values():
    column = ColumnEntry(name="DOC", type="VARIANT")
    documents = [
        {
            "a": 1,
            "b": {"c": "x", "d": {"e": {"too deep": 1, "f": 2}}},
            "list": [1],
            "mixed": n % 2 or "text",
            "none": None,
        }
        for n in range(20)
    ]
    documents += ['{"a": 2.5, "ann@example.com": 1, "2024-01-01": 2}', "not JSON", "[1]", None, "[" * 100_000]
    parts = parts_of(column, documents, ":")
    assert [(each.name, each.type) for each in parts] == [
        ("DOC:a", "VARIANT (number)"), ("DOC:b", "VARIANT (object)"), ("DOC:b.c", "VARIANT (string)"),
        ("DOC:b.d", "VARIANT (object)"), ("DOC:b.d.e", "VARIANT (object)"), ("DOC:list", "VARIANT (array)"),
        ("DOC:mixed", "VARIANT (any)"), ("DOC:none", "VARIANT (any)"),
    ]  # fmt: skip
    entry = TableEntry(table_id="A.B", last_updated=NOW, columns=[column, ColumnEntry(name="N", type="INT")])
    whole = with_parts(entry, {"DOC": parts})
    assert [each.name for each in whole.columns][:2] == ["DOC", "DOC:a"]
    assert known_parts(column, whole) == parts
    assert known_parts(column.model_copy(update={"type": "ARRAY"}), whole) == []


def test_a_key_that_few_documents_have_is_no_name():
    column = ColumnEntry(name="DOC", type="JSON")
    documents = [{"usual": 1, f"key_{n}": 2} for n in range(100)]
    assert [each.name for each in parts_of(column, documents, ".")] == ["DOC.usual"]


@pytest.mark.parametrize(("url", "module", "extra"), [
    ("bigquery://shop/retail", "google.cloud", "bigquery"),
    ("snowflake://ann@acme/shop?role=READER&private_key_file=k", "snowflake.connector", "snowflake"),
])  # fmt: skip
def test_a_missing_library_is_named(url, module, extra, monkeypatch):
    from dteg.metadata.reaching import reached_cloud

    real = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith(module):
            raise ModuleNotFoundError(name=name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with (
        pytest.raises(MissingExtraError, match=rf"dteg\[{extra}\]"),
        reached_cloud(CloudSource(name="sales", url=url), NOW),
    ):
        pass
