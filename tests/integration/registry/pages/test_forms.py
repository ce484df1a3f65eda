"""The forms, sent as a browser without scripts sends them."""

import json

import pytest
from fastapi.routing import iter_route_contexts

from dteg.signing import SigningKey
from registry.access import routes_of
from registry.app import create_app
from registry.pages.forms import posted
from tests.integration.registry.showcase import KAFKA, NEWEST, ShownProver, run_gates

pytestmark = pytest.mark.integration


def test_every_page_route_that_posts_checks_where_the_form_comes_from(showcase):
    app = create_app(showcase.registry.settings)
    unchecked, seen = [], 0
    for route in iter_route_contexts(app.routes):
        methods = getattr(route, "methods", None) or set()
        if route.path.startswith(("/api/", "/static")) or not methods - {"GET", "HEAD"}:
            continue
        seen += 1
        if not any(each.call is posted for each in route.dependant.dependencies):
            unchecked.append(route.path)
    assert seen >= 25
    assert unchecked == []
    assert all(
        route.access is not None
        for route in routes_of(app)
        if route.path.startswith(("/c/", "/account", "/admin"))
    )


@pytest.mark.parametrize("csrf", ["", "0" * 64])
@pytest.mark.parametrize(
    "path",
    [
        "/logout",
        "/account/tokens",
        f"/c/{KAFKA}/reviews",
        "/publish",
        "/theme",
        f"/c/{KAFKA}/versions/{NEWEST}/yank",
    ],
)
def test_a_form_without_the_token_of_the_session_is_refused(visitor, path, csrf):
    answer = visitor("ann").post(path, {"reason": "because of it"}, csrf=csrf)
    assert answer.status_code == 403
    assert "out of date" in answer.text


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_form_of_another_site_is_refused(visitor, headers):
    answer = visitor().post("/login", {"login": "ann", "password": "a long test sentence"}, headers=headers)
    assert answer.status_code == 403


def test_joining_tells_what_is_wrong_field_by_field_and_then_lets_in(visitor):
    one = visitor()
    wrong = one.post("/join", {"login": "Not Good", "email": "x", "password": "short"})
    assert wrong.status_code == 422
    assert 'id="w-login"' in wrong.text
    assert 'id="w-email"' in wrong.text
    assert "short" not in wrong.text
    weak = one.post("/join", {"login": "newcomer", "email": "n@example.org", "password": "short"})
    assert "at least 12 characters" in weak.text
    good = one.post(
        "/join", {"login": "newcomer", "email": "n@example.org", "password": "a sentence of my own"}
    )
    assert good.status_code == 303
    assert "Welcome" in one.text(good.headers["location"])
    taken = visitor().post(
        "/join", {"login": "newc0mer", "email": "o@example.org", "password": "a sentence of my own"}
    )
    assert "taken" in taken.text


def test_a_wrong_password_is_told_and_the_password_is_not_shown_again(visitor):
    answer = visitor().post("/login", {"login": "lena", "password": "not the right one"})
    assert answer.status_code == 401
    assert "Wrong login or password" in answer.text
    assert "not the right one" not in answer.text


def test_logging_out_ends_the_session(visitor):
    one = visitor("tom")
    cookie = one.client.cookies.get("dteg_session")
    one.post("/logout")
    one.client.cookies.set("dteg_session", cookie)
    assert one.get("/account").status_code == 303


def test_the_theme_is_chosen_without_scripts(visitor):
    one = visitor()
    answer = one.post("/theme", {"theme": "dark", "next": "/about"})
    assert answer.headers["location"] == "/about"
    assert 'data-theme="dark"' in one.get("/about").text
    one.post("/theme", {"theme": ""})
    assert "data-theme=" not in one.get("/about").text


def test_a_token_is_shown_once_works_and_can_be_revoked(visitor, showcase):
    one = visitor("lena")
    made = one.post(
        "/account/tokens", {"name": "server <1>", "scopes": ["read", "review"], "expires_days": "7"}
    )
    assert made.status_code == 200
    assert made.headers["cache-control"] == "private, no-store"
    secret = made.text.partition('id="token-secret" tabindex="0">')[2].partition("<")[0]
    assert secret.startswith("dteg_")
    assert secret not in one.get("/account").text
    number = secret.split("_")[1]
    # Not by asking with the token: what is shown must be what works.
    assert showcase.registry.request("GET", "/usage", token=secret).status_code == 200
    assert one.post("/account/tokens/delete", {"id": number}).status_code == 303
    assert showcase.registry.request("GET", "/usage", token=secret).status_code == 401
    none = one.post("/account/tokens", {"name": "x", "expires_days": "7"})
    assert none.status_code == 422
    assert "choose at least one" in none.text


def test_reviews_are_for_those_who_installed_it(visitor, showcase):
    registry = showcase.registry
    for login in ("reader-one", "reader-two"):
        registry.make_account(login)
    showcase.install("reader-one", showcase.release(f"{KAFKA}@{NEWEST}"))
    one, two = visitor("reader-one"), visitor("reader-two")
    assert "Install it first" in two.text(f"/c/{KAFKA}/reviews")
    refused = two.post(f"/c/{KAFKA}/reviews", {"stars": "1", "text": "bad"})
    assert refused.status_code == 422
    assert "only who installed" in refused.text.lower()
    assert "You belong to the publisher" in visitor("ann").text(f"/c/{KAFKA}/reviews")
    missing = one.post(f"/c/{KAFKA}/reviews", {"text": "kept words"})
    assert missing.status_code == 422
    assert "kept words" in missing.text
    assert one.post(f"/c/{KAFKA}/reviews", {"stars": "4", "text": "fine"}).status_code == 303
    assert "Your review was saved" in one.text(f"/c/{KAFKA}/reviews?done=review-saved")
    assert one.post(f"/c/{KAFKA}/reviews/withdraw").status_code == 303


def test_talking_and_moderation(visitor, showcase):
    tom, mara = visitor("tom"), visitor("mara")
    made = tom.post(f"/c/{KAFKA}/discussions", {"title": "A question", "text": "Where is *it*?"})
    thread = made.headers["location"].partition("?")[0]
    number = thread.rpartition("/")[2]
    assert "<em>it</em>" in tom.get(thread).text
    assert visitor("lena").post(thread, {"text": "Here."}).status_code == 303
    assert tom.post(thread, {"text": ""}).status_code == 422
    reported = visitor("ines").post(
        "/report", {"target": f"thread:{number}", "reason": "spam", "text": "It sells things."}
    )
    assert reported.status_code == 303, reported.text
    queue = mara.get("/admin").text
    assert "It sells things." in queue
    report = queue.partition("It sells things.")[2].partition("/admin/reports/")[2][:26]
    assert mara.post(f"/admin/reports/{report}", {"action": "hide", "note": "Selling."}).status_code == 303
    assert visitor().get(thread).status_code == 404
    assert (
        tom.post(f"/moderation/thread/{number}", {"action": "show", "reason": "why not"}).status_code == 403
    )
    assert (
        mara.post(f"/moderation/thread/{number}", {"action": "show", "reason": "why not"}).status_code == 303
    )
    assert visitor("ann").post(f"{thread}/lock", {"locked": "true"}).status_code == 303
    assert "locked" in visitor("lena").post(thread, {"text": "More."}).text


def test_publishing_from_the_browser_up_to_listed_and_yanked(visitor, showcase):
    ann = visitor("ann")
    wheel = showcase.kafka("1.3.0")
    signature = json.dumps(showcase.ann.envelope(wheel))
    upload = {"wheel": (wheel.name, wheel.read_bytes()), "signature": ("s.json", signature.encode())}
    token = ann.csrf()
    other = json.dumps(showcase.ann.envelope(wheel, SigningKey.generate()))
    refused = ann.client.post(
        "/publish", data={"csrf": token}, files={**upload, "signature": ("s.json", other.encode())}
    )
    assert refused.status_code == 422
    assert "sign" in refused.text
    broken = ann.client.post(
        "/publish", data={"csrf": token}, files={**upload, "wheel": (wheel.name, b"no wheel")}
    )
    assert broken.status_code == 422
    assert ann.client.post("/publish", data={"csrf": token}).status_code == 422
    answer = ann.client.post("/publish", data={"csrf": token}, files=upload)
    assert answer.status_code == 303, answer.text
    gates = answer.headers["location"]
    assert gates.startswith(f"/c/{KAFKA}/gates/1.3.0")
    waiting = ann.get(gates).text
    assert 'hx-trigger="every 3s"' in waiting
    assert '<noscript><meta http-equiv="refresh"' in waiting
    run_gates(showcase.registry, ShownProver())
    assert "hx-trigger" not in ann.get(gates).text
    page = f"/c/{KAFKA}/versions/1.3.0"
    assert "Listed" in visitor().text(page)
    assert visitor("lena").post(f"{page}/yank", {"reason": "I dislike it"}).status_code == 422
    assert ann.post(f"{page}/yank", {"reason": ""}).status_code == 422
    assert ann.post(f"{page}/yank", {"reason": "Loses the last record."}).status_code == 303
    assert "Loses the last record." in visitor().text(page)
    assert ann.post(f"{page}/unyank").status_code == 303
    assert ann.post(f"{page}/rollout", {"percent": "20"}).status_code == 303
    assert "rolled out to 20 %" in visitor().text(page)
    again = ann.client.post("/publish", data={"csrf": token}, files=upload)
    assert "published already" in again.text


def test_deprecation_and_quarantine(visitor):
    ann, mara = visitor("ann"), visitor("mara")
    path = "/c/streaming/pulsar-extractor"
    wrong = ann.post(f"{path}/deprecation", {"reason": "Use kafka.", "replacement": "streaming/none-such"})
    assert wrong.status_code == 422
    assert ann.post(f"{path}/deprecation", {"reason": "Use kafka.", "replacement": KAFKA}).status_code == 303
    assert "Use kafka." in visitor().text(path)
    assert ann.post(f"{path}/deprecation", {"undo": "true"}).status_code == 303
    assert mara.post(f"{path}/versions/1.0.0/unquarantine").status_code == 303
    assert mara.post(f"{path}/versions/1.0.0/quarantine", {"reason": "Again."}).status_code == 303
    assert ann.post(f"{path}/versions/1.0.0/unquarantine").status_code == 403


def test_namespaces_members_and_keys(visitor):
    one = visitor("raj")
    assert one.post("/account/namespaces", {"name": "Bad Name"}).status_code == 422
    assert one.post("/account/namespaces", {"name": "rajworks"}).status_code == 303
    key = SigningKey.generate()
    assert one.post("/n/rajworks/keys", {"public_key": "nonsense"}).status_code == 422
    assert one.post("/n/rajworks/keys", {"public_key": key.public, "name": "laptop"}).status_code == 303
    assert key.key_id in one.get("/n/rajworks").text
    assert one.post("/n/rajworks/keys/revoke", {"key_id": key.key_id}).status_code == 303
    assert "revoked" in one.text("/n/rajworks")
    assert one.post("/n/rajworks/members", {"login": "lena", "role": "maintainer"}).status_code == 303
    assert one.post("/n/rajworks/members", {"login": "nobody-here", "role": "reader"}).status_code == 422
    assert visitor("tom").post("/n/rajworks/members", {"login": "tom", "role": "owner"}).status_code == 422
    last = one.post("/n/rajworks/members/remove", {"login": "raj"})
    assert "last owner" in last.text
    mara = visitor("mara")
    assert mara.post("/admin/namespaces", {"namespace": "rajworks", "verified": "true"}).status_code == 303
    assert "knows who is behind" in visitor().text("/n/rajworks")


def test_the_configuration_form_writes_yaml_and_never_a_secret(visitor):
    path = "/c/dteg/postgres-extractor/configuration"
    one = visitor()
    made = one.post(
        path, {"set_table": "public.orders", "set_columns": "id\namount", "set_batch_bytes": "65536"}
    )
    assert made.status_code == 200
    for line in (
        "- extract:",
        "type: dteg://dteg/postgres-extractor",
        "table: public.orders",
        "- amount",
        "batch_bytes: 65536",
    ):
        assert line in made.text, line
    wrong = one.post(path, {"set_batch_bytes": "many", "set_table": "public.orders"})
    assert wrong.status_code == 422
    assert "Write a whole number" in wrong.text
    assert 'value="public.orders"' in wrong.text


def test_passwords_sessions_and_the_end_of_an_account(visitor, showcase):
    showcase.registry.make_account("leaving")
    first, second = visitor("leaving"), visitor("leaving")
    assert "End all others" in first.text("/account")
    assert first.post("/account/sessions/end").status_code == 303
    assert second.get("/account").status_code == 303
    wrong = first.post(
        "/account/password", {"current_password": "not it at all", "password": "another long sentence"}
    )
    assert "present password is wrong" in wrong.text
    changed = first.post(
        "/account/password", {"current_password": "a long test sentence", "password": "another long sentence"}
    )
    assert changed.status_code == 303
    assert first.get("/account").status_code == 200
    email = {"current_password": "another long sentence", "email": "leaving@example.net"}
    assert first.post("/account/email", email).status_code == 303
    ended = {"confirm": "leaving", "current_password": "another long sentence"}
    assert first.post("/account/delete", {**ended, "confirm": "x"}).status_code == 422
    assert first.post("/account/delete", ended).status_code == 303
    assert first.get("/account").status_code == 303
