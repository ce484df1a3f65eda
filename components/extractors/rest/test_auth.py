"""Credentials are sent, and never shown."""

import logging
import traceback

import pytest

from dteg.core.errors import ConfigError, PermanentError
from dteg.testing.http_server import Reply

from .conftest import CANARY, ROWS, by_link, by_page, read


@pytest.mark.parametrize(
    ("auth", "sees"),
    [
        (
            {"type": "basic", "username": "jo", "password": "SECRET"},
            lambda seen: "authorization" in seen.headers,
        ),
        (
            {"type": "bearer", "token": "SECRET"},
            lambda seen: seen.headers["authorization"].startswith("Bearer canary"),
        ),
        ({"type": "api_key", "key": "SECRET"}, lambda seen: seen.headers["x-api-key"].startswith("canary")),
        (
            {"type": "api_key", "key": "SECRET", "send_in": "query", "name": "key"},
            lambda seen: seen.query["key"].startswith("canary"),
        ),
    ],
)
def test_each_auth_is_sent_and_never_shown(server, make, canary, caplog, auth, sees):  # noqa: PLR0917
    caplog.set_level(logging.DEBUG)

    def echo(seen):  # a server that repeats all it got
        assert sees(seen)
        told = {"query": seen.query, "headers": seen.headers, "raw": f"?key={seen.query}"}
        return Reply(told, 400 if len(server.requests) > 1 else 500)

    server.route("/items", echo)
    auth = {name: canary if text == "SECRET" else text for name, text in auth.items()}
    extractor = make(auth=auth)
    with pytest.raises(PermanentError, match="answered 400") as caught:
        read(extractor)
    shown = (
        "".join(traceback.format_exception(caught.value)) + caplog.text + repr(extractor) + repr(caught.value)
    )
    assert len(server.requests) == 2
    assert "attempt 1 failed" in caplog.text
    assert CANARY not in shown
    assert "Y2FuYXJ5" not in shown  # base64 of user and password would hold "canary"
    assert CANARY not in extractor.config.model_dump_json()


def test_no_auth_sends_no_credentials(server, make):
    server.route("/items", [Reply(ROWS)])
    make().check()
    assert "authorization" not in server.requests[0].headers


def test_key_in_the_query_goes_along_with_each_page(server, make, canary):
    server.route("/items", by_link)
    auth = {"type": "api_key", "key": canary, "send_in": "query", "name": "key"}
    stream = {"records_path": "data", "columns": {"id": "bigint"}}
    assert len(read(make(stream=stream, auth=auth, pagination={"type": "link_header"}))) == len(ROWS)
    assert [seen.query["key"] for seen in server.requests] == [CANARY] * 3


@pytest.mark.parametrize("client_auth", ["basic", "body"])
def test_oauth_token_is_kept_and_renewed_once_on_401(server, make, canary, client_auth):
    tokens = iter(["first", "second", "third", "fourth"])
    good = {"first"}
    server.route("/token", lambda _seen: Reply({"access_token": next(tokens), "expires_in": 3600}))

    def guarded(seen):
        token = seen.headers["authorization"].removeprefix("Bearer ")
        if token not in good:
            return Reply({"error": "expired"}, 401)
        if seen.query["page"] == "2":
            good.clear()
            good.add("second")
        return by_page(seen)

    server.route("/items", guarded)
    auth = {
        "type": "oauth2_client_credentials", "token_url": f"{server.url}/token", "client_id": "me",
        "client_secret": canary, "scope": "read", "client_auth": client_auth,
    }  # fmt: skip
    stream = {"records_path": "data", "columns": {"id": "bigint", "name": "text"}}
    assert read(make(stream=stream, auth=auth, pagination={"type": "page"})) == ROWS
    assert [seen.path for seen in server.requests].count("/token") == 2
    good.clear()
    with pytest.raises(PermanentError, match="401"):
        read(make(stream=stream, auth=auth, pagination={"type": "page"}))


def test_oauth_token_is_renewed_before_it_expires(server, make, canary):
    server.route("/token", [Reply({"access_token": "tok", "expires_in": 0})])
    server.route("/items", by_page)
    auth = {
        "type": "oauth2_client_credentials", "token_url": f"{server.url}/token", "client_id": "me",
        "client_secret": canary,
    }  # fmt: skip
    stream = {"records_path": "data", "columns": {"id": "bigint"}}
    read(make(stream=stream, auth=auth, pagination={"type": "page"}))
    assert [seen.path for seen in server.requests].count("/token") == 4


def test_refused_oauth_client_shows_no_secret(server, make, canary):
    server.route("/token", lambda seen: Reply({"error": "invalid_client", "got": seen.body.decode()}, 400))
    auth = {
        "type": "oauth2_client_credentials", "token_url": f"{server.url}/token", "client_id": "me",
        "client_secret": canary, "client_auth": "body",
    }  # fmt: skip
    with pytest.raises(PermanentError, match="invalid_client") as caught:
        make(auth=auth).check()
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_secret_that_fits_no_header_is_refused_unseen(server, make, canary, monkeypatch):
    monkeypatch.setenv("REST_CANARY", "canary\ninjected: 1")
    with pytest.raises(ConfigError, match="cannot carry") as caught:
        make(auth={"type": "bearer", "token": canary}).check()
    assert "canary" not in str(caught.value)
