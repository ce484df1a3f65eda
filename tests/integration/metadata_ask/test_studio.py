"""The cache and questions over HTTP: REST for other programs, files for the client, and the page."""

import json
import re

import pytest

from dteg.core.errors import DeniedError
from dteg.metadata.client import MetadataClient
from dteg.testing.openai_server import Said
from studio.testing import running_studio
from tests.integration.metadata_ask.conftest import CANARY, EXAMPLES
from tests.integration.metadata_ask.test_ask import GOOD, QUESTION

API = "/metadata"


@pytest.fixture(scope="module")
def running(warehouse):
    with running_studio(warehouse) as found:
        yield found


def get(running, path, **headers):
    return running.request("GET", f"{API}{path}", headers=headers)


@pytest.mark.parametrize(
    "path",
    [
        "/info", "/schema", "/schema?table=orders", "/columns", "/columns?table=shop.orders", "/examples",
        "/examples?question=net%20per%20city&k=1", "/prompt?question=net&budget_tokens=300",
        "/cache/warehouse/manifest.json",
    ],
)  # fmt: skip
def test_each_answer_has_an_etag(running, path):
    first = get(running, path)
    assert first.status_code == 200, first.text
    again = get(running, path, **{"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert get(running, path, **{"If-None-Match": '"other"'}).content == first.content


def test_what_the_cache_holds_is_told(running):
    assert running.client.get(f"{API}/info")["tables"] == 2
    assert sorted(running.client.get(f"{API}/schema")) == ["shop.customers", "shop.orders"]
    assert running.client.get(f"{API}/schema", table="orders")["table_id"] == "shop.orders"
    assert {each["name"] for each in running.client.get(f"{API}/columns", table="orders")["items"]} >= {
        "net",
        "note",
    }
    (example,) = running.client.get(f"{API}/examples", question="net of the cities", k=1)["items"]
    assert example["question"] == EXAMPLES[1][0]
    told = running.client.get(f"{API}/prompt", question="net per city", budget_tokens=300)
    assert told["tokens"] <= 300
    assert told["examples"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/schema?table=nothing", 404),
        ("/info?source=elsewhere", 404),
        ("/info?source=..%2f..", 422),
        ("/cache/warehouse/.lock", 404),
        ("/cache/warehouse/../../studio/token", 404),
        ("/cache/warehouse/tables/..%2f..%2f..%2fstudio/token", 404),
        ("/cache/warehouse/tables/../" + "0" * 64 + ".json", 404),
        ("/cache/..%2f/manifest.json", 422),
        ("/prompt?question=x&budget_tokens=1", 422),
    ],
)
def test_what_is_not_there_is_told(running, path, status):
    found = get(running, path)
    assert found.status_code in (status, 404 if ".." in path else status)
    assert running.token not in found.text


def test_the_client_reads_the_studio(running, tmp_path):
    options = {"cache_dir": tmp_path, "timeout_s": 5}
    client = MetadataClient(f"{running.url}/api/v1{API}/cache/warehouse", token=running.token, **options)
    assert sorted(client.get_schema_info()) == ["shop.customers", "shop.orders"]
    assert len(client.get_few_shot_examples()) == len(EXAMPLES)
    with pytest.raises(DeniedError):
        MetadataClient(f"{running.url}/api/v1{API}/cache/warehouse", **options, strict=True).refresh()


def test_a_question_over_http(running, server):
    server.answers = [Said(GOOD)]
    answer = running.client.post(f"{API}/ask", {"question": QUESTION})
    assert (answer["origin"], answer["rows"]) == ("model", None)
    assert running.client.post(f"{API}/run", {"sql": answer["sql"]})["rows"] == [["10000.00"]]
    assert running.client.post(f"{API}/ask", {"question": QUESTION, "run": True})["rows"] == [["10000.00"]]
    refused = running.client.post(f"{API}/run", {"sql": "SELECT secret FROM vault.secrets"})
    assert refused["status"] != "valid"
    assert CANARY not in json.dumps(refused)
    assert running.request("POST", f"{API}/ask", json={"question": ""}).status_code == 422


def test_who_only_reads_may_not_ask(running, server):
    reader = running.client_of("read")
    assert reader.get(f"{API}/info")["tables"] == 2
    for path, body in (
        ("ask", {"question": "x"}),
        ("run", {"sql": "SELECT 1"}),
        ("examples", {"question": "x", "sql": "y"}),
    ):
        with pytest.raises(DeniedError):
            reader.post(f"{API}/{path}", body)
    assert server.requests == []


def test_the_page_asks_runs_and_keeps(running, server):
    server.answers = [Said(GOOD)]
    with running.browser() as browser:
        csrf = running.csrf_of(browser)
        form = {"csrf": csrf, "question": "Seoul's net?"}
        shown = browser.post("/metadata", data=form).text
        assert "SQL for this question" in shown
        assert "10000.00" not in shown
        hidden = {
            name: re.search(f'name="{name}" value="([^"]*)"', shown)[1].replace("&#39;", "'")
            for name in ("sql", "explanation", "origin")
        }
        ran = browser.post("/metadata/run", data={**form, **hidden}).text
        assert "10000.00" in ran
        assert "Keep as an example" in ran
        kept = browser.post("/metadata/examples", data={**form, **hidden}, follow_redirects=True)
        assert "The example is kept" in kept.text
        assert "Seoul's net?" in (running.project.root / "metadata" / "examples.yaml").read_text().replace(
            "''", "'"
        )
        bad = browser.post("/metadata/run", data={**form, "sql": "DELETE FROM shop.orders"})
        assert (bad.status_code, "It was not run" in bad.text) == (422, True)
        evil = browser.post("/metadata/examples", data={**form, "sql": "SELECT pg_sleep(9)"})
        assert evil.status_code == 422
        assert browser.post("/metadata", data={"question": "x"}).status_code == 403  # without csrf
        assert "sk something" in browser.post("/metadata", data={"csrf": csrf, "question": " "}).text


def test_nothing_hostile_becomes_markup(running, server):
    server.answers = [
        Said({"sql": "SELECT '<b>x</b>' AS \"<i>\"", "explanation": "<script>alert(1)</script>"})
    ]
    with running.browser() as browser:
        form = {"csrf": running.csrf_of(browser), "question": "<script>alert(2)</script>"}
        shown = browser.post("/metadata", data=form).text
        ran = browser.post("/metadata/run", data={**form, "sql": "SELECT '<b>x</b>' AS \"<i>\""}).text
    for text in ("<script>alert", "<b>x</b>", "<i>"):
        assert text not in shown
        assert text not in ran
    assert "&lt;b&gt;x&lt;/b&gt;" in ran
