"""A flat file taken apart over HTTP and in the browser's forms."""

import psycopg

from tests.integration.normalize.cases import TEXTBOOK

CASE = TEXTBOOK[0]


def sent(studio, tmp_path, name="orders.csv", text=None):
    path = tmp_path / name
    path.write_text(CASE.text() if text is None else text)
    return studio.client.upload("/tables/uploads", path, name=name)["id"]


def test_a_file_is_taken_apart_and_loaded(studio, tmp_path, postgres_url):
    upload = sent(studio, tmp_path)
    looked = studio.client.post(f"/normalize/{upload}", {})
    assert {table["name"] for table in looked["plan"]["tables"]} >= {
        "orders",
        "customers",
        "zips",
        "products",
    }
    assert looked["proof"]["problems"] == []
    assert "erDiagram" in looked["diagram"]
    studio.client.post(f"/normalize/{upload}", {"into": "shop"})
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT count(*) FROM shop.orders_rows_flat").fetchone() == (600,)


def test_what_is_refused(studio, tmp_path):
    upload = sent(studio, tmp_path)
    assert studio.request("POST", f"/normalize/{upload}", json={"out": "somewhere"}).status_code == 422
    assert studio.request("POST", f"/normalize/{upload}", json={"lists": "some"}).status_code == 422
    assert studio.request("POST", f"/normalize/{'0' * 32}", json={}).status_code == 404
    reader = studio.token_of("read")
    assert studio.request("POST", f"/normalize/{upload}", json={}, token=reader).status_code == 403
    broken = sent(studio, tmp_path, "broken.csv", "a,b\n1\n")
    answer = studio.request("POST", f"/normalize/{broken}", json={})
    assert answer.status_code == 422
    assert "broken.csv" in answer.text
    assert str(studio.project.root) not in answer.text


def test_the_pages_work_without_scripts(studio, tmp_path, postgres_url):
    with studio.browser() as browser:
        csrf = studio.csrf_of(browser)
        assert "Take a file apart" in browser.get("/normalize").text
        files = {"file": ("orders.csv", CASE.text().encode(), "text/csv")}
        looked = browser.post(
            "/normalize",
            data={"csrf": csrf, "form": "3NF", "lists": "sure"},
            files=files,
            follow_redirects=True,
        )
        assert looked.status_code == 200
        assert "5 tables in 3NF" in looked.text
        assert '<svg class="er"' in looked.text
        again = browser.post(looked.url.path, data={"csrf": csrf, "into": ""})
        assert again.status_code == 422
        assert "Say the schema" in again.text
        loaded = browser.post(
            looked.url.path, data={"csrf": csrf, "into": "shop", "form": "3NF", "lists": "sure"}
        )
        assert "is the file again" in loaded.text
        taken = browser.post(looked.url.path, data={"csrf": csrf, "into": "shop"})
        assert taken.status_code == 422
        assert "already" in taken.text
        nothing = browser.post("/normalize", data={"csrf": csrf}, files={"file": ("", b"")})
        assert "hoose a file" in nothing.text
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT count(*) FROM shop.zips").fetchone() != (0,)
