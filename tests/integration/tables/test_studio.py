"""Tables of a studio: who may do what, what programs get, and the pages of people."""

import re
import time

import psycopg
import pytest

from dteg.core.errors import DeniedError, InputError
from dteg.tables.models import CreateRequest, ExportRequest
from dteg.tables.remote import RemoteTables
from dteg.tables.uploads import Uploads

CSV = b"id,name\n1,Ada\n2,Alan\n3,<b>Grace</b>\n"


@pytest.fixture
def people(studio, tmp_path, monkeypatch):
    """A table in the warehouse of the studio."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.csv").write_bytes(CSV)
    RemoteTables(studio.client).create(CreateRequest(table="people", key=["id"]), "people.csv")
    return studio


def sent(studio, data=CSV, name="people.csv", **options):
    return studio.request("POST", "/tables/uploads", params={"name": name}, content=data, **options)


def test_scopes_decide_who_may_what(people, tmp_path):
    reader, writer = (RemoteTables(people.client_of(scope)) for scope in ("read", "write"))
    assert reader.get("people").rows == 3
    assert b"".join(reader.export(ExportRequest(table="people", format="csv"))).startswith(b"id,name\n")
    with pytest.raises(DeniedError):
        reader.create(CreateRequest(table="other"), "people.csv")
    assert writer.create(CreateRequest(table="other"), "people.csv").rows_written == 3
    with pytest.raises(DeniedError):
        writer.delete("other")
    assert RemoteTables(people.client_of("admin")).delete("other").rows == 3
    assert people.request("GET", "/tables", token="").status_code == 401


def test_problems_have_codes_and_lists_go_on(people):
    missing = people.request("GET", "/tables/public.nothing")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    wrong = people.request("GET", "/tables/public.people/rows", params={"where": "nam = 1"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid")
    assert "did you mean" in wrong.json()["detail"]
    assert people.request("GET", "/tables/public.people/rows", params={"colour": "red"}).status_code == 422
    assert people.request("GET", "/tables/public.people/export", params={"format": "xml"}).status_code == 422
    rows = people.request(
        "GET", "/tables/public.people/rows", params={"limit": 2, "columns": ["name"]}
    ).json()
    assert (rows["rows"], rows["next"]) == ([["Ada"], ["Alan"]], 2)


ODD = [
    "..",
    "a.b.c",
    "\0",
    "\ud800",
    "a" * 300,
    ".",
    "'; DROP TABLE people; --",
    "%s",
    "{}",
    "pg_catalog.pg_class",
    "%",
]


@pytest.mark.parametrize("odd", ODD)
def test_odd_requests_are_answered_or_refused_but_never_fail(people, odd):
    text = odd.encode("utf-8", "surrogatepass")
    path = "/tables/" + "".join(f"%{byte:02x}" for byte in text)
    answers = [
        people.request("GET", "/tables", params={"schema": text}),
        people.request("GET", "/tables", params={"after": text}),
        people.request("GET", path),
        people.request("GET", f"{path}/uses"),
        people.request("GET", f"{path}/export", params={"format": "csv", "limit": 1}),
        people.request("POST", "/tables/uploads", params={"name": text}, content=CSV),
        *(
            people.request("GET", "/tables/public.people/rows", params={name: text})
            for name in ("where", "columns", "order_by", "after", "limit")
        ),
    ]
    assert [answer.status_code for answer in answers if answer.status_code >= 500] == []
    assert people.request("GET", "/tables/public.people").json()["rows"] == 3


def test_a_table_has_an_etag(people):
    first = people.request("GET", "/tables/public.people")
    again = people.request("GET", "/tables/public.people", headers={"If-None-Match": first.headers["etag"]})
    assert (first.status_code, again.status_code) == (200, 304)


def test_a_download_names_its_file_and_an_early_error_is_a_problem(people):
    answer = people.request(
        "GET", "/tables/public.people/export", params={"format": "jsonl", "where": "id = 1"}
    )
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''people.jsonl"
    assert answer.json() == {"id": 1, "name": "Ada"}
    refused = people.request(
        "GET", "/tables/public.people/export", params={"format": "csv", "where": "id = 'x'"}
    )
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid")


def test_who_goes_away_leaves_no_query_running(studio, postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "CREATE VIEW endless AS SELECT n, repeat('x', 1000) AS t FROM generate_series(1, 50000000) AS n"
        )
        with studio.client.stream("/tables/public.endless/export", format="csv") as answer:
            assert next(answer.iter_bytes())
        query = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%endless%' AND state = 'active'"
        deadline = time.monotonic() + 120
        while connection.execute(query).fetchone() != (0,):
            assert time.monotonic() < deadline, "the query goes on"
            time.sleep(0.1)


def test_an_upload_is_kept_until_it_is_loaded_and_cannot_leave_its_folder(studio):
    uploads = Uploads.of(studio.project)
    made = sent(studio, name="../../people.csv").json()
    assert (made["name"], made["bytes"]) == ("people.csv", len(CSV))
    assert [path.name for path in uploads.folder.rglob("*") if path.is_file()] == ["people.csv"]
    preview = studio.request("POST", f"/tables/uploads/{made['id']}/preview", json={"table": "people"}).json()
    assert [column["type"] for column in preview["columns"]] == ["bigint", "text"]
    job = studio.request("POST", f"/tables/uploads/{made['id']}/load", json={"table": "people"})
    assert job.status_code == 202
    deadline = time.monotonic() + 120
    while (found := studio.request("GET", f"/tables/jobs/{job.json()['id']}").json())["state"] in (
        "waiting",
        "running",
    ):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (found["state"], found["created"]["rows_written"]) == ("done", 3)
    assert list(uploads.folder.iterdir()) == [], "it is not needed any more"
    assert (
        studio.request("POST", f"/tables/uploads/{made['id']}/load", json={"table": "x"}).status_code == 404
    )
    assert studio.request("GET", "/tables/jobs/" + "0" * 32).status_code == 404
    assert studio.request("POST", "/tables/uploads/..%2f..%2fetc/load", json={"table": "x"}).status_code in (
        404,
        422,
    )


def test_an_empty_or_cut_off_upload_is_not_kept(studio):
    assert sent(studio, b"").status_code == 422
    assert sent(studio, name="../").status_code == 422
    assert not any(path.is_file() for path in Uploads.of(studio.project).folder.rglob("*"))


def test_old_uploads_are_swept(studio, monkeypatch):
    made = sent(studio).json()
    uploads = Uploads.of(studio.project)
    monkeypatch.setattr("dteg.tables.uploads.MAX_AGE_S", -1.0)
    uploads.sweep()
    assert not (uploads.folder / made["id"]).exists()


def test_messages_name_the_file_and_no_folder(studio, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.csv").write_text("a,b\n1\n")
    with pytest.raises(Exception, match=r"bad\.csv \(row 1\): 1 columns") as caught:
        RemoteTables(studio.client).create(CreateRequest(table="bad"), "bad.csv")
    assert str(tmp_path) not in str(caught.value)
    (tmp_path / "bad.parquet").write_bytes(b"x")
    with pytest.raises(InputError, match=r"^bad\.parquet: not a Parquet file"):
        RemoteTables(studio.client).create(CreateRequest(table="bad"), "bad.parquet")


# --- pages -----------------------------------------------------------------------------------


@pytest.fixture
def browser(studio):
    with studio.browser() as client:
        yield client


def post(studio, browser, path, follow=True, files=None, **form):
    return browser.post(
        path, data={"csrf": studio.csrf_of(browser), **form}, files=files, follow_redirects=follow
    )


def test_a_file_becomes_a_table_in_the_browser(studio, browser):
    page = browser.get("/tables/upload").text
    assert 'type="file"' in page
    seen = post(studio, browser, "/tables/upload", table="people", files={"file": ("people.csv", CSV)})
    assert seen.status_code == 200, seen.text
    assert "bigint" in seen.text
    assert "&lt;b&gt;Grace&lt;/b&gt;" in seen.text
    upload = re.search(r'action="(/tables/upload/[0-9a-f]+)"', seen.text)[1]
    looked = post(studio, browser, upload, table="people", key="id", action="look", **{"type:id": "text"})
    assert '<td class="mono">text</td>' in looked.text
    wrong = post(studio, browser, upload, table="people", action="look", **{"type:id": "date"})
    assert wrong.status_code in (200, 422)
    job = post(studio, browser, upload, table="people", key="id", action="load")
    assert job.status_code == 200
    deadline = time.monotonic() + 120
    while "rows are in" not in (page := browser.get(str(job.url)).text):
        assert "could not be loaded" not in page, page
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "public.people" in browser.get("/tables").text


def test_a_wrong_file_is_said_and_can_be_corrected(studio, browser):
    bad = post(
        studio,
        browser,
        "/tables/upload",
        table="bad",
        files={"file": ("bad.csv", b"a;b\n1;2\n3\n")},
        delimiter=";",
    )
    upload = re.search(r'action="(/tables/upload/[0-9a-f]+)"', bad.text)[1]
    job = post(studio, browser, upload, table="bad", delimiter=";", action="load")
    deadline = time.monotonic() + 120
    while "could not be loaded" not in (page := browser.get(str(job.url)).text):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "bad.csv (row 2): 1 columns where the header has 2" in page
    back = re.search(r'href="(/tables/upload/[^"]+)"', page)[1].replace("&amp;", "&")
    assert 'value=";"' in browser.get(back).text
    assert (
        post(studio, browser, "/tables/upload", table="a.b.c", files={"file": ("x.csv", CSV)}).status_code
        == 422
    )
    assert post(studio, browser, "/tables/upload", table="x").status_code == 422


def test_a_table_is_shown_filtered_and_saved(people, browser):
    page = browser.get("/tables/public.people").text
    assert "&lt;b&gt;Grace" in page
    assert "<b>Grace" not in page
    found = browser.get("/tables/public.people", params={"where": "name like 'Al%'"}).text
    assert "Alan" in found
    assert "<td>Ada" not in found
    chosen = {"column": "name", "how": "begins", "value": "al", "where": "id > 1", "order_by": "-id"}
    shown = browser.get("/tables/public.people", params=chosen, follow_redirects=True)
    assert "Alan" in shown.text
    assert "<td>Ada" not in shown.text
    assert 'aria-sort="descending"' in shown.text
    wrong = browser.get("/tables/public.people", params={"where": "nam = 1"})
    assert (wrong.status_code, "did you mean" in wrong.text) == (422, True)
    saved = browser.get("/tables/public.people/export", params={"format": "csv", "where": "id = 1"})
    assert saved.text == "id,name\n1,Ada\n"
    assert browser.get("/tables/people").status_code == 404
    assert "public.people" in browser.get("/").text


def test_rows_are_paged(studio, browser, postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE n (n int PRIMARY KEY); INSERT INTO n SELECT generate_series(1, 120)")
    first = browser.get("/tables/public.n").text
    following = re.search(r'href="([^"]+)" rel="next"', first)[1].replace("&amp;", "&")
    second = browser.get(following).text
    assert ">51</td>" in second
    assert 'rel="prev"' in second


def test_deleting_asks_and_says_what_needs_the_table(people, browser, postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE VIEW names AS SELECT name FROM people")
        assert "reads the table" in browser.get("/tables/public.people/delete").text
        assert post(people, browser, "/tables/public.people/delete").status_code == 409
        connection.execute("DROP VIEW names")
    assert "Delete the table" in browser.get("/tables/public.people/delete").text
    assert browser.post("/tables/public.people/delete").status_code == 403, (
        "not without the token of the form"
    )
    done = post(people, browser, "/tables/public.people/delete")
    assert "The table was deleted." in done.text
    assert browser.get("/tables/public.people").status_code == 404
