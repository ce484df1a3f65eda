import asyncio
import http.client
import json
import logging
import socket
import time
from typing import Annotated

import pytest
from fastapi import Depends, Form
from fastapi.responses import HTMLResponse, PlainTextResponse
from starlette.datastructures import URL

from registry import app as registry_app
from registry.access import public
from registry.testing import PASSWORD, running_registry
from registry.tokens.forms import from_our_pages

pytestmark = pytest.mark.integration
OPEN = [Depends(public)]


@pytest.fixture
def extended(mongodb_url, tmp_path, monkeypatch):
    """A registry with some routes that misbehave."""
    make = registry_app.create_app

    def with_more(settings, services=None):
        app = make(settings, services)

        @app.get("/slow", dependencies=OPEN)
        async def slow() -> None:
            await asyncio.sleep(30)

        @app.get("/crash", dependencies=OPEN)
        async def crash() -> None:
            raise ZeroDivisionError("hunter2")

        @app.get("/page", dependencies=OPEN, response_class=HTMLResponse)
        async def page() -> HTMLResponse:
            return HTMLResponse("<p>x</p>" * 1000)

        @app.get("/files/big", dependencies=OPEN)
        async def big() -> PlainTextResponse:
            return PlainTextResponse("x" * 5000)

        @app.post("/form", dependencies=[*OPEN, Depends(from_our_pages)])
        async def form(word: Annotated[str, Form()]) -> str:
            return word

        return app

    monkeypatch.setattr("registry.testing.create_app", with_more)
    with running_registry(mongodb_url, tmp_path, request_timeout_s=4.0, max_body_mb=1) as running:
        yield running


def test_pages_and_data_carry_headers_for_browsers(extended):
    page = extended.request("GET", "//page")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    data = extended.request("GET", "//healthz")
    assert data.headers["content-security-policy"].startswith("default-src 'none'")
    for answer in (page, data, extended.request("GET", "//nowhere"), extended.request("GET", "//crash")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert len(answer.headers["x-request-id"]) == 16
        assert "strict-transport-security" not in answer.headers


def test_https_is_remembered_by_browsers(mongodb_url, tmp_path):
    with running_registry(mongodb_url, tmp_path, public_url="https://registry.example.org") as running:
        assert "max-age" in running.request("GET", "//healthz").headers["strict-transport-security"]


def test_a_crash_is_a_problem_with_a_number_and_no_trace(extended, caplog):
    with caplog.at_level(logging.ERROR, "dteg.webapp.guard"):
        answer = extended.request("GET", "//crash")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "hunter2" not in answer.text
    assert answer.headers["x-request-id"] in answer.json()["detail"]
    assert "ZeroDivisionError" in caplog.text


def test_an_answer_that_takes_too_long_is_ended(extended):
    answer = extended.request("GET", "//slow")
    assert (answer.status_code, answer.json()["code"]) == (503, "too_slow")
    assert int(answer.headers["retry-after"]) > 0


def test_unknown_paths_and_methods_are_problems(registry):
    missing, method = registry.request("GET", "/nowhere"), registry.request("DELETE", "/usage")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert (method.status_code, method.json()["code"]) == (405, "method_not_allowed")
    assert missing.headers["content-type"] == method.headers["content-type"] == "application/problem+json"


def test_a_body_that_says_it_is_too_large_is_not_read(extended):
    connection = http.client.HTTPConnection(extended.url.removeprefix("http://"), timeout=60)
    connection.putrequest("POST", "/api/v1/accounts")
    connection.putheader("Content-Length", "5000000")
    connection.putheader("Content-Type", "application/json")
    connection.endheaders()  # and nothing follows
    answer = connection.getresponse()
    assert (answer.status, json.load(answer)["code"]) == (413, "too_large")
    connection.close()


def test_a_body_that_does_not_say_its_size_is_counted(extended):
    def endless():
        for _ in range(30):
            yield b"x" * 100_000

    for path, kind in (
        ("/accounts", "application/json"),
        ("/oauth/token", "application/x-www-form-urlencoded"),
    ):
        answer = extended.request("POST", path, content=endless(), headers={"Content-Type": kind})
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_answers_are_compressed_for_everybody_and_never_beside_a_secret(extended):
    extended.make_account("ada")
    page = extended.request("GET", "//page", headers={"Accept-Encoding": "gzip"})
    assert page.headers["content-encoding"] == "gzip"
    token = extended.token_of("ada")
    own = extended.request("GET", "//page", headers={"Accept-Encoding": "gzip"}, token=token)
    assert "content-encoding" not in own.headers
    assert own.headers["cache-control"] == "private, no-store"
    file = extended.request("GET", "//files/big", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in file.headers


def test_the_access_log_has_one_line_per_request_and_no_secret(registry, caplog):
    registry.make_account("ada")
    token = registry.token_of("ada")
    with caplog.at_level(logging.INFO, "registry.access"):
        registry.request("GET", "/account?password=hunter2", token=token)
        form = {"grant_type": "password", "username": "ada", "password": PASSWORD}
        registry.request("POST", "/oauth/token", data=form)
        registry.request("GET", "//x%0ainjected")
        # A line is written behind the answer, so the client may be a moment ahead of the log.
        deadline = time.monotonic() + 60
        while (
            sum(record.name == "registry.access" for record in caplog.records) < 3
            and time.monotonic() < deadline
        ):
            time.sleep(0.01)
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "registry.access"]
    assert [(line["method"], line["status"]) for line in lines] == [("GET", 200), ("POST", 200), ("GET", 404)]
    assert lines[0]["credential"] == "token:" + token.split("_")[1]
    assert lines[0]["path"] == "/api/v1/account"
    text = caplog.text
    assert "hunter2" not in text
    assert token not in text
    assert PASSWORD not in text
    assert all("\n" not in record.getMessage() for record in caplog.records)


class TestForms:
    def post(self, registry, cookie="", csrf="", **headers):
        cookies = {registry.services.tokens.cookie: cookie} if cookie else {}
        with registry.client(cookies=cookies) as client:
            url = URL(registry.url).replace(path="/form")
            return client.post(str(url), data={"word": "x", "csrf": csrf}, headers=headers).status_code

    def test_forms_come_from_our_pages_only(self, extended):
        account = extended.make_account("ada")
        tokens = extended.services.tokens
        cookie = extended.run(tokens.open_session(account))
        right = tokens.csrf_token(cookie)
        assert self.post(extended, cookie, right) == 200
        assert self.post(extended, cookie, right, Origin=extended.url) == 200
        assert self.post(extended, cookie) == 403
        assert self.post(extended, cookie, tokens.csrf_token("")) == 403
        assert self.post(extended, cookie, right, Origin="http://evil.example") == 403
        assert self.post(extended, cookie, right, Origin="null") == 403
        assert self.post(extended) == 200, "a login form has no session yet"
        assert self.post(extended, Origin="http://evil.example") == 403
        assert self.post(extended, **{"Sec-Fetch-Site": "cross-site"}) == 403


def test_a_client_that_says_nothing_more_is_let_go(extended, monkeypatch):
    monkeypatch.setattr("dteg.webapp.guard._SILENCE_S", 0.3)
    host, port = extended.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 60) as silent:
        silent.sendall(
            b"POST /api/v1/accounts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"
        )
        silent.settimeout(60)
        assert b" 408 " in silent.recv(4000).split(b"\r\n")[0]
