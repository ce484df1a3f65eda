import base64
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

pytestmark = pytest.mark.integration


def claim(registry, token, name):
    return registry.request("POST", "/namespaces", token=token, json={"name": name})


def public_key():
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()


@pytest.fixture
def ada(registry):
    registry.make_account("ada")
    return registry.token_of("ada")


@pytest.fixture
def bob(registry):
    registry.make_account("bob")
    return registry.token_of("bob")


def test_who_claims_a_namespace_owns_it(registry, ada):
    made = claim(registry, ada, "streaming")
    assert made.status_code == 201
    assert made.json()["members"] == [{"login": "ada", "role": "owner"}]
    assert registry.request("GET", "/namespaces/streaming").json() == made.json()
    assert registry.request("GET", "/namespaces/other").status_code == 404


@pytest.mark.parametrize(
    ("name", "status"),
    [("dteg", 409), ("dt3g", 201), ("pypi", 409), ("pyp1", 409), ("simple", 409), ("Streaming", 422), ("1abc", 422),
     ("a", 422), ("a-b", 422), ("a_b", 422), ("x" * 40, 422), ("стрим", 422), ("abc\n", 422), ("", 422)],
)  # fmt: skip
def test_reserved_and_odd_names(registry, ada, name, status):
    assert claim(registry, ada, name).status_code == status


def test_an_admin_may_claim_reserved_names(registry):
    registry.make_account("boss", admin=True)
    assert claim(registry, registry.token_of("boss"), "dteg").status_code == 201


@pytest.mark.parametrize("lookalike", ["streamlng", "stream1ng", "strearning", "streaming"])
def test_a_name_that_looks_like_another_is_refused(registry, ada, bob, lookalike):
    assert claim(registry, ada, "streaming").status_code == 201
    answer = claim(registry, bob, lookalike)
    assert answer.status_code == 409
    assert "'streaming'" in answer.json()["detail"]


def test_of_many_lookalikes_at_once_one_wins(registry, ada):
    names = ["modern", "modem", "rnodern", "rnodem"] * 4
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda name: claim(registry, ada, name).status_code, names))
    assert sorted(codes) == [201] + [409] * 15


class TestMembers:
    @pytest.fixture(autouse=True)
    def acme(self, registry, ada, bob):
        registry.make_namespace("acme", "ada")

    def put(self, registry, token, login, role):
        return registry.request("PUT", f"/namespaces/acme/members/{login}", token=token, json={"role": role})

    def test_only_owners_change_members(self, registry, ada, bob):
        assert self.put(registry, bob, "bob", "owner").status_code == 403
        assert self.put(registry, ada, "bob", "maintainer").status_code == 200
        assert self.put(registry, bob, "bob", "owner").status_code == 403
        assert self.put(registry, ada, "bob", "owner").status_code == 200
        assert self.put(registry, bob, "ada", "reader").status_code == 200
        assert self.put(registry, ada, "bob", "reader").status_code == 403
        assert self.put(registry, bob, "nobody-known", "reader").status_code == 404

    def test_the_last_owner_stays(self, registry, ada, bob):
        assert self.put(registry, ada, "ada", "maintainer").status_code == 409
        assert registry.request("DELETE", "/namespaces/acme/members/ada", token=ada).status_code == 409
        assert self.put(registry, ada, "bob", "owner").status_code == 200
        assert registry.request("DELETE", "/namespaces/acme/members/ada", token=ada).status_code == 204
        assert registry.request("DELETE", "/namespaces/acme/members/bob", token=bob).status_code == 409

    def test_two_owners_who_leave_at_once_leave_one(self, registry, ada, bob):
        def leave(pair):
            return registry.request(
                "DELETE", f"/namespaces/acme/members/{pair[0]}", token=pair[1]
            ).status_code

        for _ in range(10):
            for login in ("ada", "bob"):
                registry.run(self.force(registry, login))
            with ThreadPoolExecutor(2) as pool:
                codes = sorted(pool.map(leave, [("ada", ada), ("bob", bob)]))
            assert codes == [204, 409]
            namespace = registry.run(registry.services.namespaces.get("acme"))
            assert [member.role for member in namespace.members] == ["owner"]

    async def force(self, registry, login):
        account = await registry.services.accounts.by_login(login)
        collection = registry.services.database["namespaces"]
        await collection.update_one({"_id": "acme"}, {"$pull": {"members": {"user": account.id}}})
        await collection.update_one(
            {"_id": "acme"}, {"$push": {"members": {"user": account.id, "role": "owner"}}}
        )

    def test_members_may_leave_and_not_throw_out_others(self, registry, ada, bob):
        registry.make_account("eve")
        self.put(registry, ada, "bob", "maintainer")
        self.put(registry, ada, "eve", "reader")
        assert registry.request("DELETE", "/namespaces/acme/members/eve", token=bob).status_code == 403
        assert registry.request("DELETE", "/namespaces/acme/members/bob", token=bob).status_code == 204
        assert registry.request("DELETE", "/namespaces/acme/members/bob", token=ada).status_code == 404

    def test_readers_are_shown_to_members_only(self, registry, ada, bob):
        self.put(registry, ada, "bob", "reader")
        assert "bob" in registry.request("GET", "/namespaces/acme", token=ada).text
        assert "bob" in registry.request("GET", "/namespaces/acme", token=bob).text
        assert "bob" not in registry.request("GET", "/namespaces/acme").text

    def test_there_are_at_most_a_hundred(self, registry, ada):
        async def fill():
            members = [{"user": f"u{number}", "role": "reader"} for number in range(99)]
            update = {"$push": {"members": {"$each": members}}}
            await registry.services.database["namespaces"].update_one({"_id": "acme"}, update)

        registry.run(fill())
        answer = self.put(registry, ada, "bob", "reader")
        assert answer.status_code == 409
        assert "at most 100" in answer.json()["detail"]

    def test_only_admins_verify(self, registry, ada):
        registry.make_account("boss", admin=True)

        def put(token):
            return registry.request("PUT", "/namespaces/acme/verified", token=token, json={"verified": True})

        assert put(ada).status_code == 403
        assert put(registry.token_of("boss")).json()["verified"] is True


class TestKeys:
    @pytest.fixture(autouse=True)
    def acme(self, registry, ada, bob):
        registry.make_namespace("acme", "ada", bob="maintainer")

    def add(self, registry, token, public):
        body = {"public_key": public, "name": "laptop"}
        return registry.request("POST", "/namespaces/acme/keys", token=token, json=body)

    def test_owners_add_keys_and_everybody_sees_them(self, registry, ada, bob):
        public = public_key()
        assert self.add(registry, bob, public).status_code == 403
        key_id = self.add(registry, ada, public).json()["key_id"]
        (shown,) = registry.request("GET", "/namespaces/acme").json()["keys"]
        assert (shown["key_id"], shown["public_key"], shown["to_at"]) == (key_id, public, None)
        assert self.add(registry, ada, public).status_code == 409

    def test_a_revoked_key_is_good_for_the_past_only_and_never_again(self, registry, ada):
        public = public_key()
        before = registry.clock()
        key_id = self.add(registry, ada, public).json()["key_id"]
        registry.clock.advance(hours=1)
        between = registry.clock()
        registry.clock.advance(hours=1)

        def revoke():
            return registry.request("DELETE", f"/namespaces/acme/keys/{key_id}", token=ada).status_code

        assert revoke() == 204
        assert revoke() == 404
        assert self.add(registry, ada, public).status_code == 409
        namespace = registry.run(registry.services.namespaces.get("acme"))
        assert namespace.good_keys(between) == {key_id: public}
        registry.clock.advance(seconds=1)
        assert namespace.good_keys(registry.clock()) == {}
        assert namespace.good_keys(before - timedelta(days=365)) == {}

    def test_only_keys_are_taken(self, registry, ada):
        for wrong in (
            "",
            "x",
            "A" * 44,
            base64.b64encode(os.urandom(31)).decode(),
            base64.b64encode(os.urandom(33)).decode(),
        ):
            assert self.add(registry, ada, wrong).status_code == 422
