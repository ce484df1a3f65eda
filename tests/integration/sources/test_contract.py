"""The same operations on the library and over a studio, REST's rights, and the pages without scripts."""

import re
from urllib.parse import unquote, urlsplit

import psycopg
import pytest

from dteg.core.errors import ConfigError, ConflictError, DeniedError, NotFoundError
from dteg.sources.models import Kind, NewSource
from dteg.sources.relaying import Relaying
from dteg.sources.remote import RemoteSources
from dteg.sources.service import Sources

pytestmark = pytest.mark.integration


@pytest.fixture
def studio(studio, monkeypatch, tmp_path):
    monkeypatch.setenv("DTEG_CONFIG_DIR", str(tmp_path / "config"))
    yield studio
    Relaying(studio.project).stop()


@pytest.fixture(params=["local", "remote"])
def operations(request, studio):
    return Sources.of(studio.project) if request.param == "local" else RemoteSources(studio.client)


def test_one_life_of_a_source(operations, crm):
    password = crm.split(":")[2].split("@")[0]
    new = NewSource(slug="crm", kind="postgres", url=crm, title="Customers", options={"fetch_size": 500})
    assert operations.test(new).ok
    report = operations.add(new)
    assert (report.linked, report.source.options, report.source.kind) == (
        5,
        {"fetch_size": 500},
        Kind.POSTGRES,
    )
    with pytest.raises(ConflictError):
        operations.add(new)
    assert (
        operations.add(NewSource(slug="crm", kind="postgres", tables=["public.*"]), replace=True).linked == 4
    )
    assert [source.slug for source in operations.sources()] == ["warehouse", "crm"] or [
        source.slug for source in operations.sources()
    ] == ["crm", "warehouse"]
    assert operations.get("crm").tables == 4
    names = [table.full_name for table in operations.tables("crm")]
    assert "public.customers" in names
    table = operations.table("crm", 'we"ird; DROP')
    assert [column.name for column in table.columns] == ['a"b', "%s"]
    page = operations.rows("crm", "public.customers", 2, 3)
    assert [row[0] for row in page.rows] == [4, 5]
    assert page.more
    with psycopg.connect(crm, autocommit=True) as there:
        there.execute("ALTER TABLE orders ADD note text")
    (change,) = operations.drift("crm")
    assert (change.table, [each.column for each in change.columns]) == ("public.orders", ["note"])
    assert operations.refresh("crm").drift == [change]
    assert operations.test("crm").server.startswith("PostgreSQL")
    assert password not in "".join(each.model_dump_json() for each in operations.sources())
    operations.remove("crm")
    with pytest.raises(NotFoundError):
        operations.get("crm")


def test_errors_are_the_same(operations, crm):
    with pytest.raises(ConfigError, match="postgresql://"):
        operations.add(NewSource(slug="crm", kind="postgres", url="mysql://u:hunter2@h/d"))
    with pytest.raises(ConfigError, match="fetch_size"):
        operations.add(NewSource(slug="crm", kind="postgres", url=crm, options={"fetch_size": "many"}))
    with pytest.raises(NotFoundError):
        operations.rows("warehouse", "nothing")
    with pytest.raises(ConflictError, match="always there"):
        operations.remove("warehouse")


def test_the_warehouse_is_a_source(operations, studio):
    with psycopg.connect(studio.project.warehouse_url(), autocommit=True) as hub:
        hub.execute("CREATE SCHEMA raw; CREATE TABLE raw.orders (id int PRIMARY KEY, total numeric(10,2))")
        hub.execute("INSERT INTO raw.orders VALUES (1, 2.50)")
    assert [table.full_name for table in operations.tables("warehouse")] == ["raw.orders"]
    table = operations.table("warehouse", "orders")
    assert (str(table.relation), table.linked, table.primary_key) == ("raw.orders", True, ["id"])
    assert operations.rows("warehouse", "raw.orders").rows == [[1, "2.50"]]
    assert operations.test("warehouse").ok
    assert operations.refresh("warehouse").linked == 1


def test_who_may_what(studio, crm):
    reader, writer = RemoteSources(studio.client_of("read")), RemoteSources(studio.client_of("write"))
    new = NewSource(slug="crm", kind="postgres", url=crm)
    for each in (reader, writer):
        with pytest.raises(DeniedError):
            each.add(new)
        with pytest.raises(DeniedError):
            each.test(new)
        with pytest.raises(DeniedError):
            each.remove("crm")
    RemoteSources(studio.client).add(new)
    assert reader.rows("crm", "customers", 1).rows
    with pytest.raises(DeniedError):
        reader.refresh("crm")
    assert writer.refresh("crm").drift == []


def test_pages_lead_from_nothing_to_rows(studio, crm):
    with studio.browser() as browser:
        assert "Only the warehouse so far" in browser.get("/sources").text
        kinds = browser.get("/sources/new").text
        assert all(
            name in kinds for name in ("PostgreSQL", "MySQL or MariaDB", "SQL Server", "Oracle", "GeoJSON")
        )
        page = browser.get("/sources/new?kind=postgres").text
        assert 'name="option_fetch_size"' in page
        form = {
            "csrf": studio.csrf_of(browser),
            "kind": "postgres",
            "slug": "crm",
            "title": "Customers",
            "url": crm,
        }
        wrong = browser.post("/sources/new", data={**form, "slug": "Not a slug", "option_fetch_size": "0"})
        assert wrong.status_code == 422
        assert 'id="w-slug"' in wrong.text
        assert 'id="w-option_fetch_size"' in wrong.text
        assert crm not in wrong.text
        parts = urlsplit(crm)
        apart = {
            **form, "url": "", "host": parts.hostname, "port": parts.port, "database": parts.path[1:],
            "user": parts.username, "password": unquote(parts.password),
        }  # fmt: skip
        tested = browser.post("/sources/new", data={**apart, "do": "test"})
        assert "It answers: PostgreSQL" in tested.text
        assert parts.password not in tested.text
        sealed = re.search(r'name="sealed" value="([^"]+)"', tested.text)[1]
        moved = browser.post(
            "/sources/new", data={**apart, "password": "", "sealed": sealed, "host": "localhost"}
        )
        assert (moved.status_code, 'id="w-password"' in moved.text) == (422, True)
        kept = {**apart, "password": "", "sealed": sealed}
        added = browser.post("/sources/new", data=kept, follow_redirects=True)
        assert "The source was added" in added.text
        assert "public.customers" in added.text
        table = browser.get("/sources/crm/tables/public.customers").text
        assert "Rows 1 to 50" in table
        assert "Who buys" in table
        following = re.search(r'href="([^"]+)" rel="next"', table)
        assert following
        assert "Rows 51 to 100" in browser.get(following[1]).text
        with psycopg.connect(crm, autocommit=True) as there:
            there.execute("ALTER TABLE customers DROP COLUMN tags")
        again = browser.post("/sources/crm/refresh", data={"csrf": form["csrf"]})
        assert "tags removed" in again.text
        changed = browser.get("/sources/crm/change").text
        assert crm.split(":")[2].split("@")[0] not in changed
        browser.post(
            "/sources/new",
            data={**form, "url": "", "replace": "crm", "title": "Clients"},
            follow_redirects=True,
        )
        assert "Clients" in browser.get("/sources").text
        assert "Clients" in browser.get("/").text
        assert "Remove Clients?" in browser.get("/sources/crm/remove").text
        removed = browser.post("/sources/crm/remove", data={"csrf": form["csrf"]}, follow_redirects=True)
        assert "The source was removed" in removed.text


def test_a_file_can_be_sent_with_the_form(studio):
    with studio.browser() as browser:
        form = {"csrf": studio.csrf_of(browser), "kind": "file", "slug": "prices"}
        sent = {"upload": ("prices.csv", b"id,price\n1,2.50\n2,3\n", "text/csv")}
        added = browser.post("/sources/new", data=form, files=sent, follow_redirects=True)
        assert "The source was added" in added.text
        page = browser.get("/sources/prices/tables/prices").text
        assert ">2.5<" in page
        empty = browser.post("/sources/new", data={**form, "slug": "none"}, files={"upload": ("", b"")})
        assert empty.status_code == 422
        assert "name a file" in empty.text
