"""What can be done with tables: one suite for the library and for a studio."""

import gzip
import io
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import openpyxl
import psycopg
import pyarrow.parquet as pq
import pytest

from dteg.core.errors import (
    ConfigError,
    ConflictError,
    DtegError,
    InputError,
    NotFoundError,
    QualityGateError,
)
from dteg.tables.models import CreateRequest, ExportRequest, ReadRequest

PEOPLE = (
    'id,name,born,height,active\n1,Ada,1815-12-10,1.65,true\n2,=cmd(),,,false\n3,"a,b",1970-01-01,2,true\n'
)
TYPES = {"id": "bigint", "name": "text", "born": "date", "height": "double precision", "active": "boolean"}


def make(tables, folder, content=PEOPLE, table="people", file="people.csv", **request):
    data = content if isinstance(content, bytes) else content.encode()
    (folder / file).write_bytes(data)
    return tables.create(CreateRequest(table=table, **request), file)


def rows_of(tables, table="people", **selection):
    return tables.read(ReadRequest(table=table, **selection)).rows


def exported(tables, format_, table="people", **selection):
    return b"".join(tables.export(ExportRequest(table=table, format=format_, **selection)))


def test_a_file_becomes_a_table_with_the_types_of_all_rows(tables, folder):
    made = make(tables, folder)
    assert (made.table, made.mode, made.rows_written, made.rows_rejected) == ("public.people", "new", 3, 0)
    assert made.columns == TYPES
    found = tables.get("people")
    assert {each.name: each.type for each in found.columns} == TYPES | {"_loaded_at": "timestamptz"}
    assert (found.rows, found.rows_are_exact, found.kind) == (3, True, "table")


def test_the_last_row_can_change_a_type(tables, folder):
    lines = "".join(f"{n},{n}\n" for n in range(120_000)) + "120000,x\n"
    made = make(tables, folder, "a,b\n" + lines)
    assert made.columns == {"a": "bigint", "b": "text"}
    assert made.rows_written == 120_001


def test_types_and_key_are_what_was_asked_for(tables, folder):
    made = make(tables, folder, types={"height": "numeric(5,2)", "id": "text"}, key=["id"])
    assert made.columns == TYPES | {"height": "numeric(5,2)", "id": "text"}
    assert [each.name for each in tables.get("people").columns if each.in_key] == ["id"]


def test_a_key_that_repeats_or_is_null_is_refused(tables, folder):
    with pytest.raises(
        QualityGateError, match=r"1 rows repeat the key \(id\) of another row; nothing was changed"
    ):
        make(tables, folder, "id,n\n1,a\n1,b\n", key=["id"])
    with pytest.raises(QualityGateError, match="key column id is null"):
        make(tables, folder, "id,n\n1,a\n,b\n", key=["id"])
    with pytest.raises(ConfigError, match="no column 'idd' arrives; there are: id, n"):
        make(tables, folder, "id,n\n1,a\n", key=["idd"])
    with pytest.raises(NotFoundError):
        tables.get("people")


def test_a_table_that_is_there_is_refused_replaced_or_added_to(tables, folder):
    make(tables, folder, "id,n\n1,a\n2,b\n")
    with pytest.raises(ConflictError, match=r"public\.people is there already; use --replace .* --append"):
        make(tables, folder, "id,n\n9,z\n")
    assert make(tables, folder, "id,n\n3,c\n", mode="append").rows_written == 1
    assert make(tables, folder, "id,n\n3,c\n", mode="append").rows_written == 1, "appended once more"
    assert [row[:2] for row in rows_of(tables)] == [[1, "a"], [2, "b"], [3, "c"], [3, "c"]]
    assert make(tables, folder, "id,n\n7,x\n", mode="replace").rows_written == 1
    assert [row[:2] for row in rows_of(tables)] == [[7, "x"]]


def test_of_several_that_make_one_table_at_once_one_does(tables, folder):
    for number in range(4):
        (folder / f"{number}.csv").write_text(f"id,n\n{number},x\n")

    def attempt(number):
        try:
            return tables.create(CreateRequest(table="race"), f"{number}.csv").rows_written
        except ConflictError:
            return 0

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(attempt, range(4))) == [0, 0, 0, 1]
    assert len(rows_of(tables, "race")) == 1


def test_append_with_a_key_updates_and_without_a_table_says_so(tables, folder):
    with pytest.raises(NotFoundError, match=r"there is no table public\.people; leave --append out"):
        make(tables, folder, mode="append")
    make(tables, folder, "id,n\n1,a\n2,b\n", key=["id"])
    assert make(tables, folder, "id,n\n2,B\n3,c\n", mode="append", key=["id"]).rows_written == 2
    assert [row[:2] for row in rows_of(tables, order_by="id")] == [[1, "a"], [2, "B"], [3, "c"]]


def test_replace_keeps_views_and_tells_of_new_columns(tables, folder, database):
    make(tables, folder, "id,n\n1,a\n")
    database.execute("CREATE VIEW v AS SELECT id FROM people")
    made = make(tables, folder, "id,n,m\n1,a,5\n", mode="replace")
    assert made.changes == ["column m added as bigint"]
    assert database.execute("SELECT id FROM v").fetchall() == [(1,)]


def test_a_table_dropped_by_hand_is_made_again_from_the_same_file(tables, folder, database):
    make(tables, folder, key=["id"])
    database.execute("DROP TABLE people")
    assert make(tables, folder, key=["id"]).rows_written == 3


def test_bad_rows_refuse_the_file_unless_they_may_be_set_aside(tables, folder, database):
    content = "id,n\n1,a\n2\n3,c\n"
    with pytest.raises(QualityGateError, match=r"people.csv \(row 2\): 1 columns where the header has 2"):
        make(tables, folder, content, table="fresh.people")
    assert database.execute("SELECT to_regnamespace('fresh') IS NULL").fetchone() == (True,), (
        "no empty schema is left"
    )
    made = make(tables, folder, content, max_bad_rows=1)
    assert (made.rows_written, made.rows_rejected) == (2, 1)
    assert len(rows_of(tables, "people__dead_letters")) == 1


def test_settings_reach_the_reader_and_unknown_ones_are_named(tables, folder):
    made = make(tables, folder, "a;b\n1;NA\n", options={"delimiter": ";", "null_values": ["NA"]})
    assert made.columns == {"a": "bigint", "b": "text"}
    with pytest.raises(ConfigError, match="delimeter: there is no such setting"):
        make(tables, folder, table="other", options={"delimeter": ";"})


def workbook(*rows):
    book, sink = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(sink)
    return sink.getvalue()


FEATURES = json.dumps({"type": "FeatureCollection", "features": [
    {"type": "Feature", "properties": {"n": 1}, "geometry": {"type": "Point", "coordinates": [1.5, 2]}}]})  # fmt: skip


@pytest.mark.parametrize(
    ("file", "content", "columns"),
    [
        ("d.json", '[{"n": 1, "j": {"a": [1]}}]', {"n": "bigint", "j": "jsonb"}),
        ("d.jsonl.gz", gzip.compress(b'{"n": 1.5}\n{"n": null}\n'), {"n": "double precision"}),
        ("d.csv.gz", gzip.compress(b"n\n1\n"), {"n": "bigint"}),
        ("d.xlsx", workbook(("n", "day", "t"), (1, date(2026, 1, 2), "007")), {"n": "bigint", "day": "date", "t": "text"}),
        ("d.geojson", FEATURES, {"n": "bigint", "geometry": "jsonb"}),
    ],
    ids=["json", "jsonl.gz", "csv.gz", "xlsx", "geojson"],
)  # fmt: skip
def test_every_format_becomes_a_table(tables, folder, file, content, columns):
    made = make(tables, folder, content, file=file)
    assert made.columns == columns
    assert made.rows_written == len(rows_of(tables)) > 0


def test_geometries_get_the_type_of_postgis_where_it_is_there(tables, folder, database):
    database.execute("CREATE DOMAIN geometry AS json")  # like PostGIS, it reads GeoJSON
    made = make(tables, folder, FEATURES, file="d.geojson")
    assert made.columns == {"n": "bigint", "geometry": "geometry"}
    assert (
        make(tables, folder, FEATURES, "plain", "d.geojson", types={"geometry": "text"}).columns["geometry"]
        == "text"
    )
    database.execute("DROP TABLE people; DROP DOMAIN geometry")


def test_a_preview_says_what_would_be_and_makes_nothing(tables, folder):
    (folder / "people.csv").write_text(PEOPLE)
    found = tables.preview(CreateRequest(table="people", key=["id"]), "people.csv")
    assert {each.name: each.type for each in found.columns} == TYPES
    assert found.rows[0] == ["1", "Ada", "1815-12-10", "1.65", "true"]
    assert (found.file, found.format, found.bad_rows) == ("people.csv", "csv", [])
    assert tables.list().items == []
    with pytest.raises(ConfigError, match="has no column 'x' for the key"):
        tables.preview(CreateRequest(table="people", key=["x"]), "people.csv")


def test_a_file_that_is_not_there_is_named(tables, folder):
    with pytest.raises(InputError, match=r"nothing\.csv: there is no such file"):
        tables.create(CreateRequest(table="people"), "nothing.csv")


def test_the_list_has_rows_bytes_columns_and_goes_on(tables, folder, database):
    for name in ("b.one", "a.two", "a.one"):
        make(tables, folder, table=name)
    database.execute("CREATE VIEW a.view AS SELECT 1 AS x")
    found = tables.list()
    assert [each.table for each in found.items] == ["a.one", "a.two", "a.view", "b.one"]
    one = found.items[0]
    assert (one.rows, one.rows_are_exact, one.column_count, one.kind) == (3, True, 6, "table")
    assert one.bytes > 0
    assert (found.items[2].kind, found.items[2].rows) == ("view", None)
    assert tables.list("a", exact=True).items[2].rows == 1
    first = tables.list(limit=3)
    assert first.next == "a.view"
    assert [each.table for each in tables.list(limit=3, after=first.next).items] == ["b.one"]
    with pytest.raises(NotFoundError, match="there is no schema 'c'"):
        tables.list("c")


def test_a_large_table_is_estimated_and_a_locked_one_does_not_hold_the_list_up(
    tables, database, postgres_url
):
    database.execute(
        "CREATE TABLE big WITH (autovacuum_enabled = false) AS"
        " SELECT n, repeat('x', 200) AS t FROM generate_series(1, 100000) AS n"
    )
    (new,) = tables.list().items
    assert (new.rows, new.rows_are_exact) == (100_000, True), "the database has no estimate yet"
    database.execute("ANALYZE big")
    (big,) = tables.list().items
    assert not big.rows_are_exact
    assert big.rows == pytest.approx(100_000, rel=0.05)
    with psycopg.connect(postgres_url) as other:
        other.execute("LOCK TABLE big IN ACCESS EXCLUSIVE MODE")
        assert tables.list().items[0].rows == pytest.approx(100_000, rel=0.05)


@pytest.mark.parametrize(
    ("selection", "ids"),
    [
        ({"where": "height >= 2 or name = 'Ada'", "order_by": "id"}, [1, 3]),
        ({"where": "born is null"}, [2]),
        ({"where": "born < '1900-01-01'"}, [1]),
        ({"where": "name like '%,%'"}, [3]),
        ({"where": "not active = true"}, [2]),
        ({"where": "id in (1, 3)", "order_by": "-id"}, [3, 1]),
        ({"where": "active = false and id between 2 and 9"}, [2]),
        ({"limit": 1, "order_by": "id"}, [1]),
        ({"limit": 1, "order_by": "id", "after": 2}, [3]),
    ],
)
def test_rows_are_chosen(tables, folder, selection, ids):
    make(tables, folder)
    assert [row[0] for row in rows_of(tables, columns=["id"], **selection)] == ids


def test_read_says_where_it_goes_on(tables, folder):
    make(tables, folder, key=["id"])
    first = tables.read(ReadRequest(table="people", limit=2))
    assert (len(first.rows), first.next) == (2, 2)
    last = tables.read(ReadRequest(table="people", limit=2, after=2))
    assert ([row[0] for row in last.rows], last.next) == ([3], None)


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        ({"table": "peple"}, NotFoundError, 'there is no table public.peple; did you mean "public.people"?'),
        ({"columns": ["nam"]}, ConfigError, "has no column 'nam'; did you mean \"name\"?"),
        ({"order_by": "-nam"}, ConfigError, "has no column 'nam'"),
        ({"where": "nam = 1"}, ConfigError, "has no column 'nam'"),
        (
            {"where": "born = 'soon'"},
            ConfigError,
            'invalid input syntax for type date: "soon" (at character 8 of',
        ),
        ({"where": "id = name"}, ConfigError, "operator does not exist"),
        ({"where": "id = 99999999999999999999999"}, None, ""),
        ({"where": "1 = 1; DROP TABLE people"}, ConfigError, "';' means nothing here"),
        ({"where": "1 = 1"}, ConfigError, "here comes the name of a column"),
    ],
)
def test_what_is_wrong_with_a_selection_is_said(tables, folder, request_, error, message):
    make(tables, folder)
    request = ReadRequest(**{"table": "people", **request_})
    if error is None:
        assert tables.read(request).rows == []
        return
    with pytest.raises(error) as caught:
        tables.read(request)
    assert message in str(caught.value)


def test_odd_names_are_quoted_everywhere(tables, folder, database):
    name = 'x%s "y" {} drop'
    database.execute('CREATE TABLE "we""ird%s" ("x%s ""y"" {} drop" text, "_row0" int)')
    database.execute('INSERT INTO "we""ird%s" VALUES (%s, 1)'.replace("ird%s", "ird%%s"), ["100% ' {}"])
    table = 'we"ird%s'
    where = '"x%s ""y"" {} drop" = \'100% \'\' {}\''
    assert rows_of(tables, table, where=where, columns=[name]) == [["100% ' {}"]]
    assert json.loads(exported(tables, "json", table, where=where)) == [{name: "100% ' {}", "_row0": 1}]
    assert exported(tables, "csv", table, where=where, columns=[name]).decode().endswith("100% ' {}\n")
    assert tables.delete(table).table == f"public.{table}"


def test_exports_hold_the_rows(tables, folder):
    make(tables, folder)
    assert exported(tables, "csv", order_by="id").decode() == (
        'id,name,born,height,active\n1,Ada,1815-12-10,1.65,true\n2,\'=cmd(),,,false\n3,"a,b",1970-01-01,2,true\n'
    )
    assert b",=cmd()," in exported(tables, "csv", formula_guard=False)
    lines = [json.loads(line) for line in exported(tables, "jsonl", order_by="id").splitlines()]
    assert lines[1] == {"id": 2, "name": "=cmd()", "born": None, "height": None, "active": False}
    assert json.loads(exported(tables, "json", order_by="id")) == lines
    assert json.loads(exported(tables, "json", where="id = 99")) == []
    parquet = pq.read_table(io.BytesIO(exported(tables, "parquet", columns=["id", "born"], order_by="id")))
    assert parquet.to_pylist()[0] == {"id": 1, "born": date(1815, 12, 10)}
    sheet = openpyxl.load_workbook(io.BytesIO(exported(tables, "xlsx", order_by="id"))).active
    found = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert found[0] == ["id", "name", "born", "height", "active"]
    assert found[1][:2] == [1, "Ada"]
    assert found[1][2] == "1815-12-10", "spreadsheets know no date before 1900"
    assert found[2][1] == "'=cmd()"
    assert found[3][2].date() == date(1970, 1, 1)


@pytest.mark.parametrize("format_", ["csv", "json", "jsonl", "parquet", "xlsx"])
def test_an_export_becomes_the_same_table_again(tables, folder, format_):
    make(tables, folder)
    (folder / f"again.{format_}").write_bytes(exported(tables, format_, formula_guard=False))
    declared = {"born": "date", "height": "double precision"}
    tables.create(CreateRequest(table="again", types=declared), f"again.{format_}")
    columns = ["id", "name", "born", "height", "active"]
    assert rows_of(tables, "again", columns=columns, order_by="id") == rows_of(
        tables, columns=columns, order_by="id"
    )


def test_an_export_of_what_is_not_there_says_so(tables):
    with pytest.raises(NotFoundError, match=r"there is no table public\.people"):
        exported(tables, "csv")


def test_parquet_names_the_column_it_cannot_hold(tables, database):
    database.execute("CREATE TABLE people AS SELECT 'infinity'::date AS forever")
    with pytest.raises(InputError, match=r"column forever: .*Parquet cannot hold it"):
        exported(tables, "parquet")
    assert exported(tables, "csv") == b"forever\ninfinity\n"


def test_a_table_is_deleted_once(tables, folder, database):
    make(tables, folder)
    assert list(tables.uses("people")) == []
    gone = tables.delete("people")
    assert (gone.table, gone.kind, gone.rows) == ("public.people", "table", 3)
    with pytest.raises(NotFoundError):
        tables.delete("people")
    database.execute("CREATE VIEW v AS SELECT 1 AS x")
    assert tables.delete("v").kind == "view"


def test_what_needs_a_table_keeps_it_and_is_listed(tables, folder, database, studio_project):
    make(tables, folder, key=["id"])
    database.execute("CREATE VIEW grown AS SELECT * FROM people WHERE height > 1")
    database.execute("CREATE TABLE orders (person bigint REFERENCES people)")
    (studio_project.pipelines_dir / "copy.yaml").write_text(
        "pipeline:\n  name: copy\n  extract: {type: postgres, config: {table: public.people}}\n"
        "  load: {type: postgres, config: {table: raw.copy}}\n"
    )
    uses = {(each.kind, each.name) for each in tables.uses("people")}
    assert uses == {("view", "grown"), ("foreign key", "orders (orders_person_fkey)"), ("pipeline", "copy")}
    with pytest.raises(
        ConflictError, match=r"(?s)people is needed; nothing was deleted.*orders.*grown.*pipeline copy"
    ):
        tables.delete("people")
    assert tables.get("people").rows == 3


def test_tables_of_the_database_and_of_dteg_are_not_deleted(tables, folder):
    make(tables, folder)
    for name in ("_dteg.loads", "pg_catalog.pg_class"):
        with pytest.raises(ConfigError, match="is not deleted here"):
            tables.delete(name)


def test_a_table_in_use_is_not_waited_for_without_end(tables, folder, database, postgres_url, monkeypatch):
    monkeypatch.setattr("dteg.tables.deletion.LOCK_TIMEOUT_MS", 100)
    make(tables, folder)
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT FROM people")
        with pytest.raises(ConflictError, match="is in use right now"):
            tables.delete("people")
    assert tables.get("people").rows == 3


def test_errors_are_ours(tables, database):
    database.execute("CREATE VIEW broken AS SELECT 1 / (random() * 0)::int AS x")
    with pytest.raises(DtegError, match="division by zero"):
        tables.read(ReadRequest(table="broken"))
