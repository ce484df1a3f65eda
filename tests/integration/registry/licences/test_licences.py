import base64
import json

import pytest

from dteg.signing import SigningKey
from registry.access import Role
from registry.licences.entitlements import ENTITLEMENT, make
from tests.integration.registry.community import PATH, at_once

pytestmark = pytest.mark.integration


def test_only_members_of_an_organisation_with_a_licence_download(shop, registry):
    shop = shop()
    assert [shop.download(login) for login in ("", "eve", "bill", "sam")] == [401, 403, 403, 403]
    given = shop.give()
    assert given.status_code == 201, given.text
    assert (given.json()["active"], given.json()["seats"], given.json()["source"]) == (True, None, "owner")
    assert [shop.download(login) for login in ("", "eve", "bill", "sam", "ann")] == [401, 403, 200, 200, 200]
    registry.clock.advance(days=31)
    assert [shop.download(login) for login in ("bill", "sam", "ann")] == [403, 403, 200]
    assert shop.licence()["active"] is False


def test_free_components_are_for_everybody(shop):
    shop = shop(model="free", amount_minor=0)
    assert shop.download("") == 200
    refused = shop.give()
    assert (refused.status_code, "free" in refused.json()["detail"]) == (422, True)
    assert shop.order().status_code == 422


def test_seats_are_taken_by_those_who_download_first(shop, registry):
    shop = shop()
    people = [f"user{number}" for number in range(6)]
    for login in people:
        shop.token(login)
        registry.run(
            registry.services.namespaces.set_member(registry.who("bill"), "initech", login, Role.READER)
        )
    shop.give(seats=2)
    statuses = dict(zip(people, at_once(shop.download, people, threads=6), strict=True))
    assert sorted(statuses.values()) == [200, 200, 403, 403, 403, 403]
    seated = [login for login, status in statuses.items() if status == 200]
    waiting = next(login for login, status in statuses.items() if status == 403)
    assert [shop.download(login) for login in seated] == [200, 200]
    assert (shop.licence()["used"], shop.licence()["seats"]) == (2, 2)
    path = f"/licences/{shop.licence()['id']}/seats"
    assert shop.ask("ann", "DELETE", f"{path}/{seated[0]}").status_code == 403
    assert shop.ask("bill", "DELETE", f"{path}/{seated[0]}").status_code == 204
    assert shop.ask("bill", "DELETE", f"{path}/{seated[0]}").status_code == 404
    assert shop.download(waiting) == 200
    assert shop.download(seated[0]) == 403
    shop.give(seats=1)
    assert shop.licence()["used"] == 1


def test_a_licence_can_be_taken_back(shop):
    shop = shop()
    licence = shop.give().json()["id"]
    assert shop.ask("bill", "DELETE", f"/licences/{licence}").status_code == 403
    assert shop.ask("eve", "DELETE", f"/licences/{licence}").status_code == 404
    assert shop.ask("ann", "DELETE", f"/licences/{licence}").status_code == 204
    assert shop.download("sam") == 403
    assert shop.give().json()["active"] is True
    assert shop.download("sam") == 200


def test_who_may_give_and_see_licences(shop, registry):
    shop = shop()
    assert [shop.give(login=login).status_code for login in ("bill", "eve")] == [403, 403]
    assert shop.give(organisation="nobody").status_code == 404
    assert shop.give(days=-1).status_code == 422
    assert shop.give(days=40_000).status_code == 422
    for seats in (0, 1001, "many"):
        assert shop.give(seats=seats).status_code == 422
    shop.give()
    seen = {
        login: len(shop.ask(login, "GET", "/licences").json()["items"])
        for login in ("ann", "bill", "sam", "eve")
    }
    assert seen == {"ann": 1, "bill": 1, "sam": 0, "eve": 0}
    scoped = registry.token_of("bill", ["read", "namespace"])
    assert shop.download("", scoped) == 403  # it lacks the scope


def test_what_one_may_use(shop, registry):
    shop = shop()

    def usable(login):
        return [each["seat"] for each in shop.ask(login, "GET", "/entitlements").json()["items"]]

    shop.give(seats=1)
    assert [usable(login) for login in ("sam", "bill", "eve", "ann")] == [["free"], ["free"], [], []]
    shop.download("sam")
    assert [usable("sam"), usable("bill")] == [["yours"], ["taken"]]
    (found,) = shop.ask("sam", "GET", "/entitlements").json()["items"]
    assert set(found) == {"id", "component", "organisation", "seat", "until"}  # no price for readers
    elsewhere = registry.token_of("sam", ["install"], component="streaming/letters-extractor")
    assert registry.request("GET", "/entitlements", token=elsewhere).json()["items"] == []
    shop.give()
    assert usable("bill") == ["everybody"]
    registry.clock.advance(days=31)
    assert usable("sam") == []
    shop.give()
    shop.ask("ann", "DELETE", f"/licences/{shop.licence()['id']}")
    assert usable("sam") == []


def test_licences_of_one_namespace(shop, registry):
    shop = shop()
    registry.make_namespace("elsewhere", "bill")
    shop.give()

    def found(login, namespace):
        answer = shop.ask(login, "GET", "/licences", params={"namespace": namespace})
        return len(answer.json()["items"]) if answer.status_code == 200 else answer.status_code

    assert [found("bill", name) for name in ("initech", "elsewhere", "streaming", "nobody")] == [
        1,
        0,
        403,
        404,
    ]
    assert [found("ann", "streaming"), found("sam", "initech"), found("bill", "")] == [1, 403, 1]


def test_a_token_for_another_organisation_does_not_help(shop, registry):
    shop = shop()
    registry.make_namespace("elsewhere", "sam")
    shop.give()
    assert shop.download("", registry.token_of("sam", ["install"], namespace="elsewhere")) == 403
    assert shop.download("", registry.token_of("sam", ["install"], namespace="initech")) == 200


def entitlement(shop, login="sam", **wish):
    answer = shop.ask(login, "POST", f"/licences/{shop.licence()['id']}/token", json=wish)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "private, no-store"
    return answer.json()


def test_an_entitlement_stands_for_a_login(shop, registry):
    shop = shop()
    shop.give(seats=1)
    token = entitlement(shop)["token"]
    assert shop.licence()["used"] == 1
    assert shop.download("", token) == 200
    registry.clock.advance(hours=23)
    assert shop.download("", token) == 200
    registry.clock.advance(hours=2)
    assert shop.download("", token) == 403


def test_an_entitlement_ends_with_its_licence(shop, registry):
    shop = shop()
    shop.give(days=2)
    found = entitlement(shop, hours=720)
    assert found["expires_at"].startswith("2026-02-02T12:00:00")
    licence = shop.licence()["id"]
    assert shop.download("", found["token"]) == 200
    shop.ask("ann", "DELETE", f"/licences/{licence}")
    assert shop.download("", found["token"]) == 403
    refused = shop.ask("sam", "POST", f"/licences/{licence}/token", json={})
    assert refused.status_code == 403
    assert shop.ask("eve", "POST", f"/licences/{licence}/token", json={}).status_code == 404


def test_an_entitlement_ends_with_its_seat(shop):
    shop = shop()
    shop.give(seats=1)
    token = entitlement(shop)["token"]
    assert shop.ask("bill", "DELETE", f"/licences/{shop.licence()['id']}/seats/sam").status_code == 204
    assert shop.download("", token) == 403


def test_a_forged_entitlement_is_refused(shop, registry):
    shop = shop()
    shop.give()
    token = entitlement(shop)["token"]
    licence = registry.run(registry.services.licences._store.by_key(shop.licence()["id"]))
    sam = registry.who("sam").user_id
    now = registry.clock()
    own_key = make(SigningKey.generate(), licence, sam, now, licence.until)
    text = token.removeprefix("dtegent_")
    envelope = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    said = json.loads(base64.b64decode(envelope["payload"]))
    assert said["predicateType"] == ENTITLEMENT
    said["predicate"]["expires_at"] = "2099-01-01T00:00:00Z"
    longer = {**envelope, "payload": base64.b64encode(json.dumps(said).encode()).decode()}
    altered = "dtegent_" + base64.urlsafe_b64encode(json.dumps(longer).encode()).decode()
    release = registry.run(registry.services.attestations.about(shop.release["id"]))[1]
    another = "dtegent_" + base64.urlsafe_b64encode(json.dumps(release).encode()).decode()
    for forged in (
        own_key,
        altered,
        another,
        "dtegent_",
        "dtegent_e30",
        "dtegent_%%%",
        token[:-9],
        "dtegent_" + "A" * 5000,
    ):
        assert shop.download("", forged) == 403, forged[:40]
    assert shop.download("", token) == 200


def test_an_entitlement_is_for_one_component(shop):
    shop = shop()
    shop.give()
    token = entitlement(shop)["token"]
    other = shop.publisher.list(name="letters", pricing={"model": "premium", "amount_minor": 1})
    shop.release = other
    assert shop.download("", token) == 403


def test_the_file_of_a_paid_component_is_in_no_shared_cache(shop, registry):
    import httpx

    shop = shop()
    shop.give()
    release = shop.release
    answer = httpx.get(
        f"{registry.url}/files/{release['sha256']}/{release['filename']}",
        auth=("x", shop.token("sam")),
        timeout=60,
    )
    assert answer.status_code == 200
    assert "private" in answer.headers["cache-control"]


def use(shop, key="load-1", *, rows=1000, login="sam", at=None, licence=None):
    body = {
        "licence": licence or shop.licence()["id"], "key": key, "rows": rows,
        "at": at or shop.registry.clock().isoformat(),
    }  # fmt: skip
    return shop.ask(login, "POST", "/usage-records", json=body)


def test_metered_use_counts_once(shop, registry):
    shop = shop(model="usage", amount_minor=250, per="million_rows")
    shop.give(days=90)
    assert use(shop).status_code == 201
    again = use(shop)
    assert (again.status_code, again.json()["repeated"]) == (200, True)
    refused = use(shop, rows=1001)
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    statuses = at_once(lambda _: use(shop, key="load-2", rows=7).status_code, range(8))
    assert sorted(statuses) == [200] * 7 + [201]
    records = registry.services.database["usage_records"]
    assert registry.run(records.count_documents({})) == 2


def test_what_is_no_use_is_refused(shop, registry):
    shop = shop(model="usage", amount_minor=250, per="million_rows")
    shop.give(days=90)
    registry.clock.advance(days=40)
    for login, status in (("eve", 404), ("sam", 201)):
        assert use(shop, login=login, key=login).status_code == status
    for key, more, status in [
        ("a", {"rows": -1}, 422), ("b", {"rows": 1.5}, 422), ("c", {"rows": 10**14}, 422), ("d e", {}, 422), ("", {}, 422),
        ("e", {"at": "2026-02-01T00:00:00Z"}, 422), ("f", {"at": "2026-12-01T00:00:00Z"}, 403),
        ("g", {"at": "2026-03-12T13:00:00Z"}, 422), ("h", {"at": "2026-01-01T00:00:00Z"}, 403), ("i", {"at": "2026-03-01T00:00:00"}, 422),
        ("j", {"licence": "0" * 26}, 404),
    ]:  # fmt: skip
        assert use(shop, key=key, **more).status_code == status, (key, more)


def test_what_is_not_metered_takes_no_records(shop):
    shop = shop()
    shop.give()
    assert use(shop).status_code == 422
    assert shop.ask("", "GET", PATH).json()["pricing"]["amount_minor"] == 19_900
