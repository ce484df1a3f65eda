from datetime import timedelta

import pytest

from dteg.receipts import receipt
from dteg.signing import SigningKey, statement
from registry.downloads.service import NEW_KEYS_PER_DAY
from tests.integration.registry.community import COMPONENT, PATH, Community, at_once
from tests.integration.registry.publishing import Publisher

pytestmark = pytest.mark.integration


@pytest.fixture
def community(registry, tmp_path):
    return Community(registry, Publisher(registry, tmp_path / "wheels"))


def usage(community):
    return community.ask("", "GET", f"{PATH}/downloads").json()


def test_an_installation_counts_once(community):
    key = SigningKey.generate()
    first = community.install("bob", key)
    assert first.status_code == 200, first.text
    assert first.json()["install_id"] == key.key_id
    community.registry.clock.advance(minutes=1)
    again = community.install("bob", key, ok_runs=4).json()
    assert again["ok_runs"] == 4
    assert again["first_seen"] == first.json()["first_seen"] < again["last_seen"]
    community.install("", SigningKey.generate())
    assert usage(community)["installs"] == 2


def test_the_same_receipts_at_once_are_one_installation(community):
    keys = [SigningKey.generate() for _ in range(3)]
    at_once(lambda key: community.install("", key), keys * 4)
    assert usage(community)["installs"] == 3


def test_what_is_not_signed_by_its_key_is_refused(community):
    key, other = SigningKey.generate(), SigningKey.generate()
    release = community.release
    good = {
        "component": COMPONENT, "version": "1.0.0", "sha256": release["sha256"], "at": community.registry.clock(),
    }  # fmt: skip

    def send(body):
        return community.ask("bob", "POST", "/installs", json=body).status_code

    body = receipt(key, **good)
    assert send({**body, "public_key": other.public}) == 400
    assert send({**body, "envelope": {**body["envelope"], "payload": "e30="}}) == 400
    assert send({**body, "envelope": {"$where": "1"}}) == 400
    assert send({"public_key": "x", "envelope": {}}) == 422
    assert send(receipt(key, **{**good, "sha256": "0" * 64})) == 400
    assert send(receipt(key, **{**good, "component": "streaming/none-loader"})) == 404
    assert send(receipt(key, **{**good, "version": "9.9.9"})) == 404
    said = {
        "component": COMPONENT,
        "version": "1.0.0",
        "install_id": other.key_id,
        "at": good["at"].isoformat(),
    }
    kind = "https://dteg.dev/attestation/install/v1"
    forged = key.sign(statement("x", release["sha256"], kind, said))
    assert send({"public_key": key.public, "envelope": forged}) == 422
    # What the same key signed for another purpose is no receipt.
    mine = {**said, "install_id": key.key_id}
    published = key.sign(statement("x", release["sha256"], "https://dteg.dev/attestation/publish/v1", mine))
    assert send({"public_key": key.public, "envelope": published}) == 400
    assert usage(community)["installs"] == 0
    assert send(body) == 200


def test_old_receipts_are_refused_and_never_turn_the_clock_back(community, registry):
    key, now = SigningKey.generate(), registry.clock()
    assert community.install("bob", key, at=now - timedelta(minutes=16)).status_code == 422
    assert community.install("bob", key, at=now + timedelta(minutes=6)).status_code == 422
    community.install("bob", key, ok_runs=9, at=now)
    newer = community.publisher.list("1.1.0")
    community.install("bob", key, newer, at=now + timedelta(seconds=1))
    late = community.install("bob", key, ok_runs=5, at=now - timedelta(minutes=5)).json()
    assert (late["version"], late["ok_runs"]) == ("1.1.0", 9)


def test_an_installation_belongs_to_the_first_account(community):
    key = SigningKey.generate()
    assert community.install("", key).json()["may_review"] is False
    community.registry.clock.advance(seconds=1)
    assert community.install("bob", key).json()["may_review"] is True
    community.registry.clock.advance(seconds=1)
    assert community.install("eve", key).json()["may_review"] is False
    assert community.review("bob", 4).status_code == 201
    assert community.review("eve", 4).status_code == 403


def test_kept_after_thirty_days(community, registry):
    keys = [SigningKey.generate() for _ in range(4)]
    for key in keys:
        community.install("", key)
    assert usage(community)["kept_rate"] is None
    registry.clock.advance(days=31)
    community.install("", keys[0])  # still there
    community.install("", keys[1], removed=True)
    community.install("", SigningKey.generate())  # too young to tell
    found = usage(community)
    assert (found["installs"], found["kept_rate"]) == (5, 0.25)
    registry.clock.advance(days=1)
    community.install("", keys[0], removed=True)  # was kept for thirty days all the same
    assert usage(community)["kept_rate"] == 0.25


def test_a_flood_of_new_keys_from_one_address_is_not_counted(community, registry):
    at_once(lambda _: community.install("", SigningKey.generate()), range(NEW_KEYS_PER_DAY))
    for _ in range(5):
        assert community.install("", SigningKey.generate()).status_code == 200
    assert usage(community)["installs"] == NEW_KEYS_PER_DAY
    registry.clock.advance(days=1)
    community.install("", SigningKey.generate())
    assert usage(community)["installs"] == NEW_KEYS_PER_DAY + 1


def test_no_address_is_kept(community, registry):
    community.install("", SigningKey.generate())
    stored = registry.run(registry.services.database["installs"].find_one({}))
    assert "127.0.0.1" not in repr(stored)


def test_a_quarantined_release_can_still_be_told_of(community):
    community.token("boss", admin=True)
    path = f"{PATH}/releases/1.0.0/quarantine"
    assert community.ask("boss", "POST", path, json={"reason": "bad"}).status_code == 200
    assert community.install("bob").status_code == 200
