import base64
import json

import httpx
import jwt
import pytest

from registry.access import Scope
from registry.testing import PASSWORD
from registry.tokens.service import ALGORITHM, AUDIENCE

pytestmark = pytest.mark.integration


@pytest.fixture
def ada(registry):
    registry.make_account("ada")
    return registry.token_of("ada")


def make(registry, token, **body):
    return registry.request(
        "POST", "/tokens", token=token, json={"name": "ci", "scopes": ["publish"], **body}
    )


def grant(registry, **form):
    return registry.request("POST", "/oauth/token", data=form)


def account(registry, token):
    return registry.request("GET", "/account", token=token).status_code


def test_the_secret_is_shown_once_and_kept_nowhere(registry, ada):
    made = make(registry, ada).json()
    assert made["token"].startswith(f"dteg_{made['id']}_")
    listed = registry.request("GET", "/tokens", token=ada).json()["items"]
    assert made["id"] in [each["id"] for each in listed]
    secret = made["token"].rpartition("_")[2]

    async def everything():
        names = await registry.services.database.collections()
        return str([each for name in names async for each in registry.services.database[name].find({})])

    assert secret not in registry.run(everything())
    assert secret not in json.dumps(listed)


def test_a_token_works_as_bearer_and_as_password_for_pip(registry, ada):
    secret = make(registry, ada, scopes=["account"]).json()["token"]
    assert account(registry, secret) == 200
    with registry.client() as client:
        assert client.get("/account", auth=httpx.BasicAuth("anything", secret)).status_code == 200
        assert client.get("/account", auth=httpx.BasicAuth(secret, "")).status_code == 401
        assert client.get("/account", headers={"Authorization": secret}).status_code == 401
        assert client.get("/account", headers={"Authorization": "Basic !!!"}).status_code == 401


@pytest.mark.parametrize(
    "broken",
    [
        b"dteg_",
        b"dteg_x_y",
        b"x",
        b"a.b.c",
        b"dteg_" + b"0" * 26 + b"_" + b"0" * 43,
        "\u00e9".encode(),
        b"\xff",
    ],
)
def test_wrong_tokens_are_refused(registry, broken):
    answer = registry.request("GET", "/usage", headers={"Authorization": b"Bearer " + broken})
    assert answer.status_code == 401
    assert "www-authenticate" in answer.headers


def test_one_changed_character_is_refused(registry, ada):
    last = "a" if ada[-1] != "a" else "b"
    assert account(registry, ada[:-1] + last) == 401


def test_a_token_ends_when_it_expires_and_when_it_is_deleted(registry, ada):
    made = make(registry, ada, scopes=["account"], expires_days=1).json()
    other = make(registry, ada, scopes=["account"], expires_days=10).json()
    assert account(registry, made["token"]) == 200
    registry.clock.advance(days=1, seconds=1)
    assert account(registry, made["token"]) == 401
    assert account(registry, other["token"]) == 200
    assert registry.request("DELETE", f"/tokens/{other['id']}", token=other["token"]).status_code == 204
    assert account(registry, other["token"]) == 401


def test_nobody_deletes_anothers_token(registry, ada):
    registry.make_account("eve")
    made = make(registry, ada).json()
    assert (
        registry.request("DELETE", f"/tokens/{made['id']}", token=registry.token_of("eve")).status_code == 404
    )
    assert made["id"] in registry.request("GET", "/tokens", token=ada).text


def test_a_token_cannot_make_a_stronger_one(registry, ada):
    weak = make(registry, ada, scopes=["account", "read"]).json()["token"]
    assert make(registry, weak, scopes=["read"]).status_code == 201
    assert make(registry, weak, scopes=["publish"]).status_code == 403
    assert make(registry, ada, scopes=["admin"]).status_code == 403
    assert make(registry, ada, scopes=["account"], namespace="acme").status_code == 422
    assert make(registry, ada, namespace="acme", component="other/x-loader").status_code == 422
    assert make(registry, ada, scopes=[]).status_code == 422
    assert make(registry, ada, expires_days=10_000).status_code == 422
    limited = make(registry, ada, component="acme/x-loader").json()
    assert (limited["namespace"], limited["component"]) == ("acme", "acme/x-loader")


def test_the_last_use_is_written_at_most_once_a_minute(registry, ada):
    made = make(registry, ada, scopes=["account"]).json()

    def last_used():
        items = registry.request("GET", "/tokens", token=ada).json()["items"]
        return next(each for each in items if each["id"] == made["id"])["last_used_at"]

    assert last_used() is None
    account(registry, made["token"])
    first = last_used()
    assert first is not None
    registry.clock.advance(seconds=50)
    account(registry, made["token"])
    assert last_used() == first
    registry.clock.advance(seconds=20)
    account(registry, made["token"])
    assert last_used() > first


def test_password_and_client_credentials_give_a_short_login(registry, ada):
    got = grant(registry, grant_type="password", username="ada", password=PASSWORD)
    assert got.status_code == 200
    assert got.headers["cache-control"] == "no-store"
    body = got.json()
    assert (body["token_type"], body["expires_in"]) == ("bearer", 900)
    assert "admin" not in body["scope"]
    assert account(registry, body["access_token"]) == 200
    registry.clock.advance(seconds=901)
    assert account(registry, body["access_token"]) == 401

    made = make(registry, ada, scopes=["account", "read"]).json()
    form = {"grant_type": "client_credentials", "client_id": made["id"], "client_secret": made["token"]}
    login = grant(registry, **form).json()
    assert login["scope"] == "read account"
    assert account(registry, login["access_token"]) == 200
    assert grant(registry, **form, scope="read").json()["scope"] == "read"
    assert grant(registry, **form, scope="publish").status_code == 403
    assert grant(registry, **form, scope="everything").status_code == 422
    assert grant(registry, **{**form, "client_id": "0" * 26}).status_code == 401
    registry.request("DELETE", f"/tokens/{made['id']}", token=ada)
    assert account(registry, login["access_token"]) == 401, "a login ends with the token it came from"


def test_a_scope_that_was_not_asked_for_is_not_given(registry, ada):
    login = grant(registry, grant_type="password", username="ada", password=PASSWORD, scope="read").json()
    assert account(registry, login["access_token"]) == 403


def test_forged_logins_are_refused(registry, ada):
    tokens = registry.services.tokens
    good = grant(registry, grant_type="password", username="ada", password=PASSWORD).json()["access_token"]
    claims = jwt.decode(good, tokens._key, [ALGORITHM], audience=AUDIENCE)

    def unpadded(part):
        return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()

    forged = {
        "none": f"{unpadded({'alg': 'none', 'typ': 'JWT'})}.{unpadded(claims)}.",
        "other key": jwt.encode(claims, b"x" * 32, "HS256"),
        "other algorithm": jwt.encode(claims, tokens._key + b"y" * 32, "HS512"),
        "audience": jwt.encode({**claims, "aud": "else"}, tokens._key, ALGORITHM),
        "issuer": jwt.encode({**claims, "iss": "http://else"}, tokens._key, ALGORITHM),
        "account": jwt.encode({**claims, "sub": "0" * 26}, tokens._key, ALGORITHM),
        "no end": jwt.encode({k: v for k, v in claims.items() if k != "exp"}, tokens._key, ALGORITHM),
        "no id": jwt.encode({k: v for k, v in claims.items() if k != "jti"}, tokens._key, ALGORITHM),
    }
    assert account(registry, jwt.encode(claims, tokens._key, ALGORITHM)) == 200, (
        "so the forgeries differ in one thing each"
    )
    assert {name: account(registry, value) for name, value in forged.items()} == dict.fromkeys(forged, 401)


def test_logging_out_ends_a_login_at_once(registry, ada):
    login = grant(registry, grant_type="password", username="ada", password=PASSWORD).json()["access_token"]
    assert registry.request("POST", "/oauth/revoke", data={"token": login}).json() == {"revoked": True}
    assert account(registry, login) == 401
    assert registry.request("POST", "/oauth/revoke", data={"token": login}).json() == {"revoked": False}
    made = make(registry, ada, scopes=["account"]).json()["token"]
    assert registry.request("POST", "/oauth/revoke", data={"token": made}).json() == {"revoked": True}
    assert account(registry, made) == 401


def test_what_has_ended_is_deleted(registry, ada):
    login = grant(registry, grant_type="password", username="ada", password=PASSWORD).json()["access_token"]
    registry.request("POST", "/oauth/revoke", data={"token": login})
    registry.clock.advance(days=400)
    registry.run(registry.services.tokens.sweep())

    async def count():
        return [await registry.services.database[name].count_documents({}) for name in ("tokens", "revoked")]

    assert registry.run(count()) == [0, 0]


class TestSessions:
    @pytest.fixture
    def cookie(self, registry):
        who = registry.make_account("ada")
        return registry.run(registry.services.tokens.open_session(who))

    def test_a_cookie_reads_and_writes_only_with_the_token_of_its_page(self, registry, cookie):
        tokens = registry.services.tokens
        with registry.client(cookies={tokens.cookie: cookie}) as client:
            assert client.get("/account").status_code == 200
            body = {"name": "x", "scopes": ["read"]}
            assert client.post("/tokens", json=body).status_code == 403
            wrong = {"X-CSRF-Token": tokens.csrf_token("another session")}
            assert client.post("/tokens", json=body, headers=wrong).status_code == 403
            right = {"X-CSRF-Token": tokens.csrf_token(cookie)}
            assert client.post("/tokens", json=body, headers=right).status_code == 201

    def test_a_cookie_ends(self, registry, cookie):
        tokens = registry.services.tokens
        with registry.client(cookies={tokens.cookie: cookie}) as client:
            registry.clock.advance(days=13)
            assert client.get("/account").status_code == 200
            registry.clock.advance(days=2)
            assert client.get("/account").status_code == 401
            assert client.get("/usage").status_code == 200, "pages stay readable"

    def test_logging_out_ends_it_at_once(self, registry, cookie):
        tokens = registry.services.tokens
        registry.run(tokens.close_session(cookie))
        with registry.client(cookies={tokens.cookie: cookie}) as client:
            assert client.get("/account").status_code == 401

    @pytest.mark.parametrize(
        ("url", "secure"), [("http://127.0.0.1:1", False), ("https://r.example.org", True)]
    )
    def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(self, registry, url, secure):
        from fastapi import Response

        from registry.services import Services

        services = Services(registry.settings.model_copy(update={"public_url": url}))
        response = Response()
        services.tokens.set_cookie(response, "value")
        header = response.headers["set-cookie"]
        assert "HttpOnly" in header
        assert "SameSite=lax" in header
        assert ("Secure" in header) is secure
        assert header.startswith("__Host-dteg_session=") is secure
        registry.run(services.database.close())


def test_a_token_limited_to_a_namespace_is_good_there_only(registry):
    registry.make_account("ada")
    registry.make_namespace("acme", "ada")
    registry.make_namespace("other", "ada")
    token = registry.token_of("ada", [Scope.NAMESPACE], namespace="acme")
    registry.make_account("bob")

    def put(ns):
        return registry.request("PUT", f"/namespaces/{ns}/members/bob", token=token, json={"role": "reader"})

    assert put("acme").status_code == 200
    assert put("other").status_code == 403
    assert registry.request("POST", "/namespaces", token=token, json={"name": "third"}).status_code == 403
