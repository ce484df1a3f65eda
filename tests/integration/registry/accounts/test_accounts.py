from concurrent.futures import ThreadPoolExecutor

import pytest

from registry.access import Role
from registry.accounts.models import NewAccount
from registry.testing import PASSWORD

pytestmark = pytest.mark.integration
NEW_PASSWORD = "another long sentence"


def join(registry, login, email="", password=PASSWORD):
    body = {"login": login, "email": email or f"{login}@example.org", "password": password}
    return registry.request("POST", "/accounts", json=body)


def login(registry, name, password=PASSWORD):
    form = {"grant_type": "password", "username": name, "password": password}
    return registry.request("POST", "/oauth/token", data=form)


def test_an_account_is_made_and_shown_to_its_owner_only(registry):
    made = join(registry, "ada", "Ada@Example.org")
    assert made.status_code == 201, made.text
    assert made.json()["email"] == "ada@example.org"
    assert "password" not in made.text
    shown = registry.request("GET", "/account", token=registry.token_of("ada"))
    assert shown.json() == made.json()
    assert registry.request("GET", "/account").status_code == 401
    kept = registry.run(registry.services.accounts.by_login("ada"))
    assert kept.password_hash.startswith("$argon2id$")


@pytest.mark.parametrize("taken", ["ada1ovelace", "ada-lovelace", "adaiovelace"])
def test_a_login_that_looks_like_another_is_refused(registry, taken):
    assert join(registry, "adalovelace").status_code == 201
    answer = join(registry, taken)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("name", "status"),
    [("admin", 409), ("adm1n", 409), ("r00t", 409), ("Ada", 422), ("-ada", 422), ("a", 422), ("ada\n", 422), ("\u0430da", 422),
     ("x" * 40, 422), ("../ada", 422)],
)  # fmt: skip
def test_reserved_and_odd_logins_are_refused(registry, name, status):
    assert join(registry, name, "x@example.org").status_code == status


def test_an_address_has_one_account_whatever_its_case(registry):
    assert join(registry, "ada", "ada@example.org").status_code == 201
    answer = join(registry, "bob", "ADA@example.org")
    assert answer.status_code == 409
    assert "address" in answer.json()["detail"]


def test_easy_passwords_are_refused_and_not_repeated(registry):
    answer = join(registry, "ada", password="password1234")
    assert answer.status_code == 422
    assert "password1234" not in answer.text


def test_of_many_equal_requests_one_wins(registry):
    with ThreadPoolExecutor(8) as pool:
        codes = sorted(pool.map(lambda _: join(registry, "ada").status_code, range(8)))
    assert codes == [201] + [409] * 7


def test_a_closed_registry_makes_no_accounts(mongodb_url, tmp_path):
    from registry.testing import running_registry

    with running_registry(mongodb_url, tmp_path, open_accounts=False) as registry:
        assert join(registry, "ada").status_code == 403
        registry.run(
            registry.services.accounts.create(
                NewAccount(login="boss", email="b@example.org", password=PASSWORD), is_admin=True
            )
        )


def test_wrong_logins_say_the_same_for_known_and_unknown(registry):
    registry.make_account("ada")
    wrong, unknown = login(registry, "ada", "wrong"), login(registry, "nobody-here", "wrong")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()


def test_failures_make_one_wait_and_nobody_else(registry):
    registry.make_account("ada")
    for _ in range(5):
        assert login(registry, "ada", "wrong").status_code == 401
    blocked = login(registry, "ada")
    assert blocked.status_code == 429, "the right password must wait too, or guessing would go on"
    assert int(blocked.headers["retry-after"]) > 0
    # From another address ada can still log in.
    registry.run(registry.services.accounts.authenticate("ada", PASSWORD, "192.0.2.7"))
    registry.clock.advance(seconds=3)
    assert login(registry, "ada", "wrong").status_code == 401
    second = int(login(registry, "ada").headers["retry-after"])
    assert second > 2, "each failure doubles the wait"
    registry.clock.advance(seconds=second)
    assert login(registry, "ada").status_code == 200
    assert login(registry, "ada", "wrong").status_code == 401, "success forgets the failures"


def test_a_new_password_ends_logins_but_not_tokens(registry):
    registry.make_account("ada")
    jwt, token = login(registry, "ada").json()["access_token"], registry.token_of("ada")
    account = registry.run(registry.services.accounts.by_login("ada"))
    cookie = registry.run(registry.services.tokens.open_session(account))
    change = {"current_password": PASSWORD, "password": NEW_PASSWORD}
    assert (
        registry.request("PATCH", "/account", token=jwt, json={**change, "current_password": "x"}).status_code
        == 401
    )
    assert (
        registry.request("PATCH", "/account", token=jwt, json={"current_password": PASSWORD}).status_code
        == 422
    )
    assert registry.request("PATCH", "/account", token=jwt, json=change).status_code == 200
    assert registry.request("GET", "/account", token=jwt).status_code == 401
    assert not registry.run(registry.services.tokens.principal_of_session(cookie)).known
    assert registry.request("GET", "/account", token=token).status_code == 200
    assert login(registry, "ada").status_code == 401
    assert login(registry, "ada", NEW_PASSWORD).status_code == 200


def test_deleting_keeps_nothing_of_the_person(registry):
    # A name that no hash and no id can hold by chance.
    registry.make_account("philippa")
    token = registry.token_of("philippa")
    body = {"current_password": PASSWORD}
    registry.make_namespace("acme", "philippa")
    refused = registry.request("DELETE", "/account", token=token, json=body)
    assert refused.status_code == 409
    assert "acme" in refused.json()["detail"]
    registry.make_account("bob")
    registry.run(registry.services.namespaces.set_member(registry.who("philippa"), "acme", "bob", Role.OWNER))
    assert registry.request("DELETE", "/account", token=token, json=body).status_code == 204
    assert registry.request("GET", "/account", token=token).status_code == 401
    assert login(registry, "philippa").status_code == 401
    assert "philippa" not in registry.request("GET", "/namespaces/acme").text

    async def everything():
        names = await registry.services.database.collections()
        return [(name, each) for name in names async for each in registry.services.database[name].find({})]

    left = [(name, each) for name, each in registry.run(everything()) if "philippa" in str(each)]
    assert left == []
    assert join(registry, "philippa", "other@example.org").status_code == 409, (
        "nobody becomes somebody's ghost"
    )
    assert join(registry, "eve", "ada@example.org").status_code == 201, "the address is free again"
