"""Sources that are copied: files, GeoJSON and JSON from an API. A copy that fails leaves the old one."""

import gzip
import json

import pytest

from dteg.core.control import session
from dteg.core.errors import DeniedError, DtegError, InputError, PermanentError, TransientError
from dteg.sources.kinds import Link, kind_of
from dteg.sources.models import Kind, Mode
from dteg.sources.roles import ensure_roles, open_schema
from dteg.sources.staging import forget_uploads, keep_upload
from dteg.tables.uploads import Uploads
from dteg.testing.http_server import FakeServer, Reply

pytestmark = pytest.mark.integration

SQUARE = [[0, 0], [2, 0], [2, 1], [0, 1], [0, 0]]


class Source:
    """One source that is copied."""

    def __init__(self, project, kind, url="", **options):
        self.project = project
        self.linker = kind_of(kind).linker(Mode.STAGED)
        checked = kind_of(kind).options_model.model_validate(options)
        self.link = Link(project, "shop", kind, Mode.STAGED, url, checked)

    def stage(self):
        """Copy what there is; return problems."""
        self.linker.check(self.link)
        tables = self.linker.introspect(self.link)
        with session(self.project) as connection:
            ensure_roles(connection)
            open_schema(connection, self.link.schema)
            return self.linker.link_tables(self.link, connection, tables, lambda *_: None)

    def columns(self):
        """Return the type of each column, as the source describes them."""
        (table,) = self.linker.introspect(self.link)
        return {column.name: column.type for column in table.columns}

    def types(self, table):
        """Return the type of each column, as the database has them."""
        found = self.rows(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            f" WHERE attrelid = 'src_shop.{table}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        )
        return dict(found)

    def rows(self, query):
        with session(self.project) as connection:
            return connection.execute(query).fetchall()

    def names(self):
        """Return all relations of the source, what a copy may have left among them."""
        query = "SELECT relname FROM pg_class WHERE relnamespace = 'src_shop'::regnamespace AND relkind = 'r' ORDER BY 1"
        return [name for (name,) in self.rows(query)]


@pytest.fixture
def project(studio_project):
    (studio_project.root / "data").mkdir()
    return studio_project


@pytest.fixture
def server(project):
    (project.root / "dteg.toml").write_text('[sources]\nprivate_hosts = ["127.0.0.1"]\n')
    with FakeServer() as running:
        yield running


def write(project, name, text):
    path = project.root / "data" / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return f"data/{name}"


CSV = "id;price;day;name;at\n1;1.50;2026-01-02;Ä;2026-01-02T03:04:05Z\n2;;;b;\n"


def test_a_csv_file_becomes_a_table_of_the_types_that_were_announced(project):
    source = Source(
        project,
        Kind.FILE,
        path=write(project, "Orders 2026.csv", CSV),
        primary_key=["id"],
        types=["price=numeric(12,2)"],
    )
    announced = source.columns()
    assert announced == {
        "id": "bigint", "price": "numeric(12,2)", "day": "date", "name": "text", "at": "timestamp with time zone",
    }  # fmt: skip
    assert source.stage() == []
    assert source.types("orders_2026") == announced
    assert [row[0] for row in source.rows("SELECT name FROM src_shop.orders_2026 ORDER BY id")] == ["Ä", "b"]
    assert source.rows("SELECT has_table_privilege('dteg_builder', 'src_shop.orders_2026', 'SELECT')") == [
        (True,)
    ]
    assert source.rows("SELECT has_table_privilege('dteg_reader', 'src_shop.orders_2026', 'SELECT')") == [
        (False,)
    ]
    assert source.names() == ["orders_2026"]
    assert (
        source.rows("SELECT count(*) FROM _dteg.loads")
        == source.rows("SELECT count(*) FROM _dteg.checkpoints")
        == [(0,)]
    )


def test_the_next_copy_takes_the_place_of_the_old_one_with_other_columns(project):
    source = Source(project, Kind.FILE, path=write(project, "a.csv", "id,n\n1,1\n2,2\n"))
    source.stage()
    write(project, "a.csv", "id,colour\n7,red\n")
    assert source.stage() == []
    assert source.rows("SELECT * FROM src_shop.a") == [(7, "red")]
    assert source.names() == ["a"]


@pytest.mark.parametrize("text", ["id,n\n1,1,1\n", "id,n\n1,1\n1,2\n", "id,n\n1,x\n", ""])
def test_a_copy_that_fails_leaves_the_old_one(project, text):
    source = Source(
        project,
        Kind.FILE,
        path=write(project, "a.csv", "id,n\n1,1\n"),
        primary_key=["id"],
        types=["n=integer"],
    )
    assert source.stage() == []
    before = source.rows("SELECT oid FROM pg_class WHERE relname = 'a'")
    write(project, "a.csv", text)
    try:
        problems = source.stage()
    except InputError as error:
        problems = [str(error)]
    assert problems, "it fails"
    assert source.rows("SELECT id, n FROM src_shop.a") == [(1, 1)]
    assert source.rows("SELECT oid FROM pg_class WHERE relname = 'a'") == before
    assert source.names() == ["a"]


def test_rows_may_be_left_out_and_are_counted(project):
    path = write(project, "a.csv", "id,n\n1,1\n2,x\n3,3\n")
    source = Source(project, Kind.FILE, path=path, types=["n=integer"], max_bad_rows=1)
    (problem,) = source.stage()
    assert "1 rows were left out" in problem.message
    assert problem.columns  # so the table as a whole is there
    assert source.rows("SELECT id FROM src_shop.a ORDER BY 1") == [(1,), (3,)]
    assert source.names() == ["a"]


def test_a_reader_of_the_old_copy_delays_the_new_one_but_not_for_ever(project, monkeypatch):
    monkeypatch.setattr("dteg.sources.staging.copying.SWAP_WAIT_S", 0.2)
    source = Source(project, Kind.FILE, path=write(project, "a.csv", "id\n1\n"))
    source.stage()
    write(project, "a.csv", "id\n2\n")
    with session(project) as reader, reader.transaction():
        reader.execute("SELECT * FROM src_shop.a")
        (problem,) = source.stage()
        assert "is being read" in problem.message
    assert source.stage() == []
    assert source.rows("SELECT * FROM src_shop.a") == [(2,)]
    assert source.names() == ["a"]


def test_what_a_killed_process_has_left_is_cleared_away(project):
    source = Source(project, Kind.FILE, path=write(project, "a.csv", "id\n1\n"))
    source.stage()
    source_rows = "CREATE TABLE src_shop.__stage_dead (id int)"
    with session(project) as connection:
        connection.execute(source_rows)
    assert source.stage() == []
    assert source.names() == ["a"]


def test_a_view_of_somebody_goes_on_with_the_rows_it_had(project):
    source = Source(project, Kind.FILE, path=write(project, "a.csv", "id\n1\n"))
    source.stage()
    with session(project) as connection:
        connection.execute("CREATE VIEW public.mine AS SELECT id FROM src_shop.a")
    write(project, "a.csv", "id\n2\n")
    assert source.stage() == []
    assert source.rows("SELECT * FROM src_shop.a") == [(2,)]
    assert source.rows("SELECT * FROM public.mine") == [(1,)]


def test_excel_parquet_and_json_lines_are_read_too(project):
    openpyxl = pytest.importorskip("openpyxl", reason="the extra excel is not installed")
    import pyarrow as pa
    import pyarrow.parquet as pq

    book = openpyxl.Workbook()
    book.active.append(["id", "name"])
    book.active.append([1, "x"])
    book.save(project.root / "data" / "a.xlsx")
    pq.write_table(pa.table({"id": [1], "name": ["x"]}), project.root / "data" / "b.parquet")
    write(project, "c.jsonl", '{"id": 1, "name": "x", "more": {"a": [1]}}\n')
    write(project, "d.csv.gz", gzip.compress(b"id,name\n1,x\n"))
    for name, table in (("a.xlsx", "a"), ("b.parquet", "b"), ("c.jsonl", "c"), ("d.csv.gz", "d")):
        source = Source(project, Kind.FILE, path=f"data/{name}")
        assert source.stage() == []
        assert source.rows(f"SELECT id, name FROM src_shop.{table}") == [(1, "x")]
    assert source.types("c")["more"] == "jsonb"


def test_a_file_that_was_sent_is_kept_with_its_source(project):
    with Uploads.of(project).incoming("sent file.csv") as incoming:
        incoming.write(b"id\n5\n")
        upload = incoming.finish()
    path = keep_upload(project, "shop", upload.id)
    source = Source(project, Kind.FILE, path=path)
    assert (path, source.stage()) == ("upload:sent_file.csv", [])
    assert source.rows("SELECT id FROM src_shop.sent_file") == [(5,)]
    forget_uploads(project, "shop")
    assert not source.linker.probe(source.link).ok
    with pytest.raises(InputError, match="send it again"):
        source.stage()


def test_a_file_from_an_address_is_downloaded_with_its_secret_header(project, server, monkeypatch):
    monkeypatch.setenv("SHOP_TOKEN", "Bearer t0p")
    server.route("/moved", lambda seen: Reply(status=302, headers={"Location": "/data.csv"}))
    server.route("/data.csv", lambda seen: Reply(CSV.encode()))
    headers = ["Authorization: secret://env/SHOP_TOKEN"]
    source = Source(
        project, Kind.FILE, path=f"{server.url}/moved", headers=headers, format="csv", table="orders"
    )
    assert source.linker.probe(source.link).ok
    assert source.stage() == []
    assert source.rows("SELECT count(*) FROM src_shop.orders") == [(2,)]
    assert {seen.headers.get("authorization") for seen in server.requests} == {"Bearer t0p"}
    assert not list((project.state_dir / "cache").glob("source-*"))


def test_a_redirect_to_another_server_takes_no_secrets_along(project, server, monkeypatch):
    monkeypatch.setenv("SHOP_TOKEN", "t0p")
    with FakeServer() as other:
        other.route("/data.csv", lambda seen: Reply(b"id\n1\n"))
        server.route(
            "/data.csv", lambda seen: Reply(status=307, headers={"Location": f"{other.url}/data.csv"})
        )
        source = Source(
            project, Kind.FILE, path=f"{server.url}/data.csv", headers=["X-Key: secret://env/SHOP_TOKEN"]
        )
        assert source.stage() == []
        assert all("x-key" not in seen.headers for seen in other.requests)


def test_private_addresses_are_refused_unless_the_project_allows_them(project, server, monkeypatch):
    (project.root / "dteg.toml").unlink()
    server.route("/data.csv", lambda seen: Reply(b"id\n1\n"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):  # a proxy would lead around the check
        monkeypatch.setenv(name, server.url)
    source = Source(project, Kind.FILE, path=f"{server.url}/data.csv")
    probe = source.linker.probe(source.link)
    assert (probe.ok, "private_hosts" in probe.message) == (False, True)
    with pytest.raises(DeniedError, match="private network"):
        source.stage()
    api = Source(project, Kind.JSON_API, server.url, path="/data.csv")
    with pytest.raises(DeniedError, match="private network"):
        api.stage()
    assert server.requests == []


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (Reply(b"x" * 1_500_000), InputError, "larger than 1 MB"),
        (Reply(b"", status=404), PermanentError, "answered 404"),
        (Reply(b"", status=503), TransientError, "answered 503"),
        (Reply(b"id\n1\n", cut_after=2), TransientError, "no answer"),
        (Reply(b""), InputError, "empty file"),
        (Reply(status=302, headers={"Location": "/data.csv"}), PermanentError, "more than 5 redirects"),
        (
            Reply(status=302, headers={"Location": "file:///etc/passwd"}),
            DtegError,
            "redirected to file|not valid",
        ),
    ],
)
def test_downloads_are_bounded(project, server, reply, kind, said):
    server.route("/data.csv", lambda seen: reply)
    source = Source(project, Kind.FILE, path=f"{server.url}/data.csv", max_mb=1)
    with pytest.raises(kind, match=said):
        source.stage()
    assert not list((project.state_dir / "cache").glob("source-*"))


def test_a_server_that_drips_is_given_up(project, server):
    server.route("/data.csv", lambda seen: Reply(b"id\n1\n", delay_s=3))
    source = Source(project, Kind.FILE, path=f"{server.url}/data.csv", timeout_s=1)
    probe = source.linker.probe(source.link, 0.3)
    assert (probe.ok, probe.ms < 2_000) == (False, True)


def pages(seen):
    start = int(seen.query.get("page", "1")) * 2 - 2
    items = [{"id": n, "name": f"n{n}", "tags": ["a"]} for n in range(start, min(start + 2, 5))]
    return Reply({"data": {"items": items}})


def test_json_of_an_api_is_read_page_by_page(project, server, monkeypatch):
    monkeypatch.setenv("API_KEY", "k3y")
    server.route("/v1/orders", pages)
    source = Source(
        project, Kind.JSON_API, f"{server.url}/v1", path="/orders", records="/data/items", paging="page", params=["state=open"],
        credential="secret://env/API_KEY", sent_as="header", primary_key=["id"],
    )  # fmt: skip
    assert source.linker.probe(source.link).ok
    assert source.columns() == {"id": "bigint", "name": "text", "tags": "jsonb"}
    assert source.stage() == []
    assert source.rows("SELECT array_agg(id ORDER BY id) FROM src_shop.orders") == [([0, 1, 2, 3, 4],)]
    assert {(seen.headers["x-api-key"], seen.query["state"]) for seen in server.requests if seen.query} == {
        ("k3y", "open")
    }


def test_an_api_is_probed_with_its_parameters_and_credentials(project, server, monkeypatch):
    monkeypatch.setenv("API_KEY", "k3y")

    def answer(seen):
        good = seen.query.get("state") == "open" and seen.headers.get("authorization") == "Bearer k3y"
        return Reply([{"id": 1}]) if good else Reply(status=401)

    server.route("/orders", answer)
    options = {"path": "orders", "params": ["state=open"], "credential": "secret://env/API_KEY"}
    for changes, ok in (
        ({}, True),
        ({"params": []}, False),
        ({"credential": ""}, False),
        ({"sent_as": "query"}, True),
    ):
        source = Source(project, Kind.JSON_API, server.url, **{**options, **changes})
        assert source.linker.probe(source.link).ok is ok, changes
    assert all("k3y" not in seen.raw_query for seen in server.requests)
    gone = Source(project, Kind.JSON_API, "http://127.0.0.1:1", **{**options, "sent_as": "query"})
    assert not gone.linker.probe(gone.link).ok


def test_an_api_that_fails_leaves_the_old_copy(project, server):
    replies = [Reply([{"id": 1}])]
    server.route("/orders", lambda seen: replies[0])
    source = Source(project, Kind.JSON_API, server.url, path="orders")
    assert source.stage() == []
    for reply in (Reply(status=401), Reply({"error": "x"}), Reply(b"<html>")):
        replies[0] = reply
        with pytest.raises(DtegError):
            source.stage()
    assert source.rows("SELECT id FROM src_shop.orders") == [(1,)]


def test_an_api_without_records_needs_its_columns_named(project, server):
    server.route("/orders", lambda seen: Reply([]))
    with pytest.raises(InputError, match="columns"):
        Source(project, Kind.JSON_API, server.url, path="orders").stage()
    source = Source(project, Kind.JSON_API, server.url, path="orders", types=["id=bigint", "day=date"])
    assert source.stage() == []
    assert source.types("orders") == {"id": "bigint", "day": "date"}


def make_geojson(project, *features):
    text = json.dumps({"type": "FeatureCollection", "features": list(features)})
    return write(project, "regions.geojson", text)


def feature(geometry, **properties):
    return {"type": "Feature", "id": "f", "properties": properties, "geometry": geometry}


def test_features_become_rows_with_geometry_and_bounds(project):
    polygon = {"type": "Polygon", "coordinates": [SQUARE]}
    path = make_geojson(project, feature(polygon, code="A", people=12), feature(None, code="B", people=None))
    source = Source(project, Kind.GEOJSON, path=path)
    assert source.stage() == []
    assert source.types("regions") == source.columns()
    assert source.types("regions")["geometry"] == "jsonb"
    query = "SELECT feature_number, feature_id, code, people, geometry, west, south, east, north FROM src_shop.regions ORDER BY 1"
    assert source.rows(query) == [
        (1, "f", "A", 12, polygon, 0.0, 0.0, 2.0, 1.0),
        (2, "f", "B", None, None, None, None, None, None),
    ]


def test_wrong_geojson_leaves_the_old_copy(project):
    path = make_geojson(project, feature({"type": "Point", "coordinates": [1, 2]}, code="A"))
    source = Source(project, Kind.GEOJSON, path=path)
    source.stage()
    for wrong in (feature({"type": "Point", "coordinates": [500, 2]}), feature({"type": "Circle"})):
        make_geojson(project, wrong)
        with pytest.raises(InputError, match="feature 1"):
            source.stage()
    assert source.rows("SELECT code FROM src_shop.regions") == [("A",)]


def test_only_wanted_tables_are_there(project):
    source = Source(project, Kind.FILE, path=write(project, "a.csv", "id\n1\n"))
    link = Link(project, "shop", Kind.FILE, Mode.STAGED, "", source.link.options, patterns=["!a"])
    assert source.linker.introspect(link) == []
