import copy
from datetime import UTC, datetime, timedelta

import pytest

from dteg.core.errors import ConfigError
from dteg.marketplace.lockfile import LockedComponent
from dteg.marketplace.trust import Pins, Proof, TrustError, losses, prove, require
from dteg.signing import SignatureError, SigningKey
from dteg.testing.marketplace import MemoryMarketplace
from tests.factories import make_wheel


@pytest.fixture
def market():
    return MemoryMarketplace()


@pytest.fixture
def release(market, tmp_path):
    return market.publish(make_wheel(tmp_path / "wheel"))


@pytest.fixture(autouse=True)
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("DTEG_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path / "config"


def pins(market):
    return Pins.load(market.origin)


def locked(proof, **more):
    fields = {
        "id": "streaming/numbers-extractor", "version": "1.0.0", "filename": "x.whl", "sha256": "ab" * 32, "size": 1,
        "trust": proof.level, "key_id": proof.publisher[0], "registry_key_id": proof.registry[0],
    }  # fmt: skip
    return LockedComponent(**{**fields, **more})


def test_both_signatures_make_it_attested(market, release):
    proof = prove(market, release, pins(market))
    assert proof.level == "attested"
    assert proof.publisher[0] == market.publisher.key_id
    assert proof.registry[0] == market.registry.key_id
    assert not proof.changes


def test_signatures_that_are_missing_make_it_weaker(market, release):
    publish, gates = market.attestations(release)
    market.set_envelopes(release, [publish])
    assert prove(market, release, pins(market)).level == "signed"
    market.set_envelopes(release, [gates])
    assert prove(market, release, pins(market)).level == "none"


def test_a_signature_that_does_not_hold_is_worse_than_none(market, release):
    envelopes = market.attestations(release)
    for number, whose in ((0, "the publisher streaming"), (1, "the registry")):
        broken = copy.deepcopy(envelopes)
        sig = broken[number]["signatures"][0]["sig"]
        broken[number]["signatures"][0]["sig"] = ("A" if sig[0] != "A" else "B") + sig[1:]
        market.set_envelopes(release, broken)
        with pytest.raises(SignatureError, match=f"signature of {whose}: the signature does not fit"):
            prove(market, release, pins(market))


def test_the_registry_cannot_sign_for_the_publisher(market, release):
    publish, gates = market.attestations(release)
    import base64
    import json

    payload = json.loads(base64.b64decode(publish["payload"]))
    market.set_envelopes(release, [market.registry.sign(payload), gates])
    with pytest.raises(SignatureError, match="not a key that is trusted"):
        prove(market, release, pins(market))


def test_gates_that_were_not_passed_are_no_proof(market, tmp_path):
    release = market.publish(make_wheel(tmp_path / "w"), passed=False)
    with pytest.raises(SignatureError, match="gates were not passed"):
        prove(market, release, pins(market))


def test_a_signature_for_another_release_of_the_same_file_is_refused(market, release):
    other = release.model_copy(update={"version": "1.0.1"})
    market.set_envelopes(other, market.attestations(release))
    with pytest.raises(SignatureError, match=r"is for version '1\.0\.0'"):
        prove(market, other, pins(market))


def test_a_key_that_was_revoked_before_is_refused_and_after_is_not(market, release):
    known = pins(market)
    known.remember(release.component, prove(market, release, known))
    market.end_key("streaming", market.publisher, release.published_at + timedelta(days=1))
    assert prove(market, release, known).level == "attested"
    market.end_key("streaming", market.publisher, release.published_at - timedelta(days=1))
    with pytest.raises(SignatureError, match="revoked the key"):
        prove(market, release, known)
    with pytest.raises(SignatureError):
        prove(market, release, Pins(market.origin))


def test_remembered_keys_survive_and_others_are_told(market, release, tmp_path, config):
    known = pins(market)
    known.remember(release.component, prove(market, release, known))
    known.save()
    assert (config / "trust.json").stat().st_mode & 0o777 == 0o600
    first = market.publisher
    market.publisher, market.registry = SigningKey.generate(), SigningKey.generate()
    second = market.publish(make_wheel(tmp_path / "w", version="1.1.0"))
    proof = prove(market, second, pins(market))
    assert proof.changes == (
        f"the publisher streaming signs with another key ({market.publisher.key_id[:16]}; known: {first.key_id[:16]})",
        f"the registry signs with another key ({market.registry.key_id[:16]}; known: {proof_of(known)})",
    )
    assert Pins.load("https://other.test").publishers == {}


def proof_of(known):
    (key_id,) = known.registry
    return key_id[:16]


@pytest.mark.parametrize(
    "text",
    ["[]", "{", '{"https://registry.test": {"registry": {"ab": "cd"}}}', '{"https://registry.test": 1}'],
)
def test_a_damaged_file_of_keys_is_no_reason_to_trust(market, config, text):
    config.mkdir()
    (config / "trust.json").write_text(text)
    with pytest.raises(ConfigError, match="damaged"):
        pins(market)


def test_what_is_weaker_is_named(market, release):
    proof = prove(market, release, pins(market))
    before = locked(proof, capabilities=("network",))
    assert losses(before, proof, ["network"]) == []
    assert losses(None, proof, ["network", "subprocess"]) == []
    assert losses(before, proof, ["network", "subprocess"]) == [
        "wants the capability subprocess, which 1.0.0 did not"
    ]
    assert losses(before, Proof("signed", proof.publisher), []) == [
        "the registry's proof of its gates is missing; 1.0.0 had it"
    ]
    assert losses(before, Proof("none"), []) == ["the publisher's signature is missing; 1.0.0 had it"]
    other = Proof("attested", ("cd" * 32, ""), proof.registry)
    assert losses(before, other, []) == [
        f"signed with the key {'cd' * 8}; 1.0.0 with {proof.publisher[0][:16]}"
    ]


def test_too_little_trust_is_refused(release):
    signed, nothing = Proof("signed"), Proof("none")
    with pytest.raises(TrustError, match="--min-trust signed"):
        require(release, signed, [], least="attested", before=None, accept=False)
    require(release, signed, [], least="signed", before=None, accept=False)
    with pytest.raises(TrustError, match="it is not installed"):
        require(release, nothing, [], least="signed", before=None, accept=True)
    with pytest.raises(TrustError, match="a key changed"):
        require(release, Proof("attested"), ["a key changed"], least="attested", before=None, accept=False)
    before = locked(Proof("attested"))
    require(release, signed, ["less"], least="attested", before=before, accept=True)


def test_the_clock_of_keys():
    from dteg.marketplace.records import Key

    key = Key(key_id="ab" * 32, public_key="x", to_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert key.good_at(datetime(2025, 1, 1, tzinfo=UTC))
    assert not key.good_at(datetime(2026, 1, 1, tzinfo=UTC))
    assert not key.good_at(None)
