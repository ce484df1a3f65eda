import base64
import copy
import json
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dteg.core.errors import ConfigError, RegistryError
from dteg.signing import (
    GATES,
    PAYLOAD_TYPE,
    PUBLISH,
    SignatureError,
    SigningKey,
    canonical_json,
    digest,
    key_id_of,
    statement,
    verify,
    verify_about,
)

SHA = "ab" * 32
KEY = SigningKey.generate()
KEYS = {KEY.key_id: KEY.public}


def publish(**predicate):
    return statement("x-1.0.0-py3-none-any.whl", SHA, PUBLISH, predicate)


def resigned(payload: bytes):
    """Return an envelope whose signature fits, whatever the payload is."""
    pae = b"DSSEv1 %d %b %d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
    signature = {"keyid": KEY.key_id, "sig": base64.b64encode(KEY._private.sign(pae)).decode()}
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [signature],
    }


def test_what_is_signed_comes_back():
    envelope = json.loads(json.dumps(KEY.sign(publish(component="a/b", text="Übermaß"))))
    assert verify(envelope, KEYS) == publish(component="a/b", text="Übermaß")
    attested = verify_about(envelope, KEYS, predicate_type=PUBLISH, sha256=SHA)
    assert (attested.key_id, attested.sha256) == (KEY.key_id, SHA)
    assert attested.predicate == {"component": "a/b", "text": "Übermaß"}


def test_other_tools_can_verify_it():
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import SSlibKey

    envelope = Envelope.from_dict(copy.deepcopy(KEY.sign(publish(n=1))))
    public = {"public": base64.b64decode(KEY.public).hex()}
    theirs = SSlibKey(KEY.key_id, "ed25519", "ed25519", public)
    assert list(envelope.verify([theirs], 1)) == [KEY.key_id]


def test_an_unknown_key_is_refused():
    with pytest.raises(SignatureError, match="not a key that is trusted"):
        verify(SigningKey.generate().sign(publish()), KEYS)
    with pytest.raises(SignatureError, match="not a key that is trusted"):
        verify(KEY.sign(publish()), {})


def test_another_keys_signature_under_a_known_name_is_refused():
    envelope = SigningKey.generate().sign(publish())
    envelope["signatures"][0]["keyid"] = KEY.key_id
    with pytest.raises(SignatureError, match="does not fit"):
        verify(envelope, KEYS)


def test_a_public_key_under_a_foreign_name_is_refused():
    other = SigningKey.generate()
    envelope = other.sign(publish())
    envelope["signatures"][0]["keyid"] = KEY.key_id
    with pytest.raises(SignatureError, match="is another one"):
        verify(envelope, {KEY.key_id: other.public})


def test_an_altered_payload_is_refused():
    envelope = KEY.sign(publish(n=1))
    envelope["payload"] = base64.b64encode(canonical_json(publish(n=2))).decode()
    with pytest.raises(SignatureError, match="altered"):
        verify(envelope, KEYS)


@given(st.data())
def test_no_changed_byte_of_a_payload_passes(data):
    envelope = KEY.sign(publish(n=1))
    raw = bytearray(base64.b64decode(envelope["payload"]))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SignatureError):
        verify({**envelope, "payload": base64.b64encode(bytes(raw)).decode()}, KEYS)


def test_another_payload_type_is_refused():
    envelope = {**KEY.sign(publish()), "payloadType": "application/json"}
    with pytest.raises(SignatureError, match="type 'application/json'"):
        verify(envelope, KEYS)


def test_a_statement_about_another_file_is_refused():
    envelope = KEY.sign(publish())
    with pytest.raises(SignatureError, match="is for a file with SHA-256 abab"):
        verify_about(envelope, KEYS, predicate_type=PUBLISH, sha256="cd" * 32)


def test_a_statement_that_says_another_thing_is_refused():
    with pytest.raises(SignatureError, match="gates"):
        verify_about(KEY.sign(publish()), KEYS, predicate_type=GATES, sha256=SHA)


@pytest.mark.parametrize(
    "envelope",
    [
        None,
        [],
        {},
        {"payloadType": PAYLOAD_TYPE},
        {"payloadType": PAYLOAD_TYPE, "payload": "e30=", "signatures": [{}]},
        {"payloadType": PAYLOAD_TYPE, "payload": "e30=", "signatures": []},
        {"payloadType": PAYLOAD_TYPE, "payload": "not base64!", "signatures": []},
        {
            "payloadType": PAYLOAD_TYPE,
            "payload": "e30=",
            "signatures": [{"keyid": KEY.key_id, "sig": "@"}],
        },
        {
            "payloadType": PAYLOAD_TYPE,
            "payload": "e30=",
            "signatures": [{"keyid": "x", "sig": ""}] * 100,
        },
    ],
)
def test_a_broken_envelope_is_refused(envelope):
    with pytest.raises(SignatureError):
        verify(envelope, KEYS)


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff",
        b"{}",
        b"[]",
        b"[" * 100_000,
        canonical_json({**publish(), "subject": []}),
        canonical_json({**publish(), "subject": publish()["subject"] * 2}),
        canonical_json({**publish(), "subject": [{"name": "x", "digest": {"sha256": "AB"}}]}),
        canonical_json({**publish(), "predicate": None}),
        canonical_json({**publish(), "_type": "https://in-toto.io/Statement/v0.1"}),
        canonical_json(publish()).replace(b'"predicateType"', b'"predicateType":"other","predicateType"'),
    ],
)
def test_a_signed_text_that_is_no_plain_statement_is_refused(payload):
    with pytest.raises(SignatureError):
        verify(resigned(payload), KEYS)


def test_a_second_signature_does_not_hurt():
    envelope = KEY.sign(publish())
    envelope["signatures"] += SigningKey.generate().sign(publish())["signatures"]
    assert verify(envelope, KEYS) == publish()


def test_the_digest_depends_on_the_content_only():
    envelope = KEY.sign(publish(b=1, a=2))
    shuffled = dict(reversed(envelope.items()))
    assert digest(envelope) == digest(shuffled)
    assert digest(envelope) != digest(SigningKey.generate().sign(publish(b=1, a=2)))


def test_a_saved_key_is_for_its_owner_only_and_loads_again(tmp_path):
    path = tmp_path / "keys" / "streaming.pem"
    KEY.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["streaming.pem"]
    again = SigningKey.load(path)
    assert (again.key_id, again.public) == (KEY.key_id, KEY.public)
    assert verify(again.sign(publish()), KEYS) == publish()


def test_a_key_is_never_written_over_another(tmp_path):
    path = tmp_path / "a.pem"
    KEY.save(path)
    with pytest.raises(ConfigError, match="there already"):
        SigningKey.generate().save(path)
    assert SigningKey.load(path).key_id == KEY.key_id


def test_a_key_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "a.pem"
    KEY.save(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        SigningKey.load(path)


def test_a_file_that_is_no_key_is_refused(tmp_path):
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    path = tmp_path / "a.pem"
    with pytest.raises(ConfigError, match="cannot be read"):
        SigningKey.load(path)
    path.write_text("hello")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="PEM"):
        SigningKey.load(path)
    other = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(ConfigError, match="not an Ed25519 key"):
        SigningKey.load(path)


def test_a_key_does_not_show_itself():
    assert KEY.key_id in repr(KEY)
    assert repr(KEY).count("(") == 1


def test_a_public_key_must_be_one():
    with pytest.raises(RegistryError, match="32 bytes"):
        key_id_of("AAAA")
    with pytest.raises(RegistryError, match="base64"):
        key_id_of("*")
    with pytest.raises(SignatureError, match="64 hexadecimal"):
        statement("x", "AB", PUBLISH, {})
