"""Who gets in: the project's own token, tokens, links, forms; and who does not."""

import re
import time

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from studio import credentials
from studio.services import Services

pytestmark = pytest.mark.integration
PAGE = {"Accept": "text/html"}


def test_the_own_token_may_do_everything_and_nobody_nothing(studio):
    assert studio.client.get("/tokens") == {"items": [], "next": None}
    answer = studio.request("GET", "/tokens", token="")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    for wrong in ("dteg_studio_wrong", studio.token[:-1], studio.token + "x", "x" * 5000):
        assert studio.request("GET", "/tokens", token=wrong).status_code == 401
    basic = {"Authorization": f"Basic {studio.token}"}
    assert studio.request("GET", "/tokens", token="", headers=basic).status_code == 401


def test_the_file_of_the_own_token_is_for_its_owner_only(studio):
    path = studio.project.state_dir / "studio" / "token"
    assert path.read_text().strip() == studio.token
    assert path.stat().st_mode & 0o777 == 0o600
    # Another process of the project, or the next start, has the same.
    assert Services(studio.project).credentials.by_token(studio.token).known


def test_a_token_that_has_ended_is_refused_within_seconds(studio, monkeypatch):
    monkeypatch.setattr(credentials, "REMEMBERED_S", 0.2)
    token = studio.token_of("read")
    assert studio.request("GET", "/openapi.json", token=token).status_code == 200
    # As another process does it: this one is not told.
    studio.services.tokens.revoke("test-1")
    time.sleep(0.3)
    assert studio.request("GET", "/openapi.json", token=token).status_code == 401


def test_one_revoked_here_is_refused_at_once(studio):
    token = studio.token_of("read")
    assert studio.request("GET", "/openapi.json", token=token).status_code == 200
    assert studio.request("DELETE", "/tokens/test-1").json()["name"] == "test-1"
    assert studio.request("GET", "/openapi.json", token=token).status_code == 401


def test_a_link_logs_one_browser_in_once(studio):
    link = studio.client.post("/login-links")["url"]
    assert link.startswith(studio.url)
    with (
        httpx.Client(trust_env=False, timeout=60) as first,
        httpx.Client(trust_env=False, timeout=60) as second,
    ):
        answer = first.get(link)
        assert answer.status_code == 303
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert first.get(f"{studio.url}/tokens", headers=PAGE).status_code == 200
        again = second.get(link, headers=PAGE)
        assert again.status_code == 401
        assert "used already" in again.text
        assert "set-cookie" not in again.headers


def test_an_old_link_is_refused(studio, monkeypatch):
    monkeypatch.setattr(credentials, "CODE_LIFE_S", 0.0)
    assert httpx.get(studio.client.post("/login-links")["url"]).status_code == 401


def test_a_page_asks_to_log_in_and_goes_on_where_one_was(studio):
    with httpx.Client(base_url=studio.url, trust_env=False, timeout=60) as browser:
        answer = browser.get("/tokens?x=1", headers=PAGE)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Ftokens%3Fx%3D1")
        form = {"token": studio.token, "next": "/tokens?x=1"}
        answer = browser.post("/login", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/tokens?x=1&done=logged-in")
        assert "You are logged in." in browser.get(answer.headers["location"], headers=PAGE).text


@pytest.mark.parametrize("elsewhere", ["https://example.org/", "//example.org", "/\\example.org", "x"])
def test_a_login_leads_nowhere_else(studio, elsewhere):
    answer = httpx.post(f"{studio.url}/login", data={"token": studio.token, "next": elsewhere})
    assert answer.headers["location"] == "/?done=logged-in"


def test_a_wrong_token_does_not_log_in(studio):
    answer = httpx.post(f"{studio.url}/login", data={"token": "wrong"})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


def test_a_browser_can_do_what_its_token_can_and_ends_with_it(studio):
    token = studio.token_of("read")
    with httpx.Client(base_url=studio.url, trust_env=False, timeout=60) as browser:
        browser.post("/login", data={"token": token})
        assert browser.get("/", headers=PAGE).status_code == 200
        assert browser.get("/tokens", headers=PAGE).status_code == 403
        studio.client.delete("/tokens/test-1")
        assert browser.get("/", headers=PAGE).status_code == 303


def test_logging_out_ends_the_login_everywhere(studio):
    with studio.browser() as browser:
        cookies = dict(browser.cookies)
        answer = browser.post("/logout", data={"csrf": studio.csrf_of(browser)})
        assert "Max-Age=0" in answer.headers["set-cookie"]
    answer = httpx.get(f"{studio.url}/", headers=PAGE, cookies=cookies)
    assert answer.status_code == 303


def test_a_form_without_the_token_of_its_login_is_refused(studio):
    with studio.browser() as browser:
        good = {"name": "x", "scopes": "read", "csrf": studio.csrf_of(browser)}
        for wrong in ("", "wrong", good["csrf"][:-1]):
            answer = browser.post("/tokens", data={**good, "csrf": wrong})
            assert answer.status_code == 403, wrong
        assert studio.client.get("/tokens")["items"] == []
        assert browser.post("/tokens", data=good).status_code == 200
        assert [each["name"] for each in studio.client.get("/tokens")["items"]] == ["x"]


def test_a_cookie_alone_changes_nothing_over_the_api(studio):
    body = {"name": "x", "scopes": ["read"]}
    with studio.browser() as browser:
        assert browser.post("/api/v1/tokens", json=body).status_code == 403
        headers = {"X-CSRF-Token": studio.csrf_of(browser)}
        assert browser.post("/api/v1/tokens", json=body, headers=headers).status_code == 201


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://example.org"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
    ],
)  # fmt: skip
def test_a_form_of_another_site_is_refused(studio, headers):
    answer = httpx.post(f"{studio.url}/login", data={"token": studio.token}, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    own = {"Origin": studio.url, "Sec-Fetch-Site": "same-origin"}
    assert httpx.post(f"{studio.url}/login", data={"token": studio.token}, headers=own).status_code == 303


@pytest.mark.parametrize(
    "host", ["example.org", "example.org:80", "127.0.0.1.example.org", "", "[", "127.0.0.2"]
)
def test_a_request_for_another_name_is_refused(studio, host):
    """What DNS rebinding sends: our address, their name."""
    for path in ("/", "/healthz", "/static/x.css", "/api/v1/tokens"):
        answer = studio.request("GET", f"/{path}", headers={"Host": host})
        assert answer.status_code in (400, 403), path
    port = studio.services.settings.port
    for own in (f"localhost:{port}", f"127.0.0.1:{port}", "LOCALHOST"):
        assert studio.request("GET", "//healthz", headers={"Host": own}).status_code == 200


def test_a_websocket_of_another_site_or_name_is_refused(studio):
    url = studio.url.replace("http", "ws") + "/no-such-socket"
    for headers in ({"Origin": "https://example.org"}, {"Host": "example.org"}):
        with pytest.raises(InvalidStatus) as refused, connect(url, additional_headers=headers, proxy=None):
            pass
        assert refused.value.response.status_code in (400, 403)


def test_pages_forbid_what_others_could_slip_in(studio):
    with studio.browser() as browser:
        answer = browser.get("/", headers=PAGE)
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "private, no-store"
    assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=", answer.text)


def test_an_error_is_a_page_for_people_and_a_problem_for_programs(studio):
    with studio.browser() as browser:
        page = browser.get("/no-such-page", headers=PAGE)
    assert page.status_code == 404
    assert "There is nothing here" in page.text
    answer = studio.request("GET", "/no-such-thing", headers=PAGE)
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


def test_a_request_that_is_too_large_is_refused(studio):
    answer = studio.request("POST", "/tokens", content=b"x" * 1_100_000)
    assert answer.status_code == 413
    assert answer.json()["code"] == "too_large"


def test_health_says_nothing_to_everybody(studio):
    for path in ("//healthz", "//readyz"):
        assert studio.request("GET", path, token="").json() == {"status": "ok"}


def test_the_list_of_the_api_names_every_operation(studio):
    document = studio.client.get("/openapi.json")
    with studio.browser() as browser:
        page = browser.get("/api", headers=PAGE).text
    assert len(document["paths"]) >= 3
    for path in document["paths"]:
        assert path in page
