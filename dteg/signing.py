"""Signatures of what is published: Ed25519 over in-toto statements, in DSSE envelopes.

A statement says something (`predicate`) about one file, named by its SHA-256. The publisher states "I publish this"
(`PUBLISH`), the registry "these gates were passed" (`GATES`). Other tools that read DSSE and in-toto read these too.

Sources: github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md, github.com/in-toto/attestation/tree/main/spec/v1.
"""

import base64
import binascii
import hashlib
import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dteg.core.errors import ConfigError, EnvironmentProblemError, RegistryError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PUBLISH = "https://dteg.dev/attestation/publish/v1"
GATES = "https://dteg.dev/attestation/gates/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
MAX_PAYLOAD_BYTES = 4_000_000  # a gate report with its logs is far smaller
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_SIGNATURES = 16


class SignatureError(RegistryError):
    """What is signed is not what it should be, or not by whom it should be: do not use it."""


@dataclass(frozen=True, slots=True)
class Attested:
    """What a verified envelope says.

    Attributes:
        key_id: The key that signed it.
        filename: Name of the file it is about.
        sha256: Hash of that file, hexadecimal.
        predicate: What is said of the file.
    """

    key_id: str
    filename: str
    sha256: str
    predicate: dict[str, Any]


class SigningKey:
    """A private Ed25519 key; it never shows itself."""

    def __init__(self, private: "Ed25519PrivateKey") -> None:
        """Hold a key; use `generate` or `load`."""
        self._private = private

    @classmethod
    def generate(cls) -> Self:
        """Make a new key."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a key that `save` wrote.

        Raises:
            ConfigError: It cannot be read, is no Ed25519 key, or others than its owner may read it.
        """
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode & 0o777
                data = file.read(10_000)
        except OSError as error:
            raise ConfigError(f"the key {path} cannot be read: {error.strerror}") from None
        if os.name == "posix" and mode & 0o077:
            raise ConfigError(f"others may read the key {path} (mode {mode:o}): chmod 600 {path}")
        try:
            private = load_pem_private_key(data, None)
        except (ValueError, TypeError) as error:  # TypeError: encrypted
            raise ConfigError(f"{path} is not an unencrypted private key in PEM form") from error
        if not isinstance(private, Ed25519PrivateKey):
            raise ConfigError(f"{path} is not an Ed25519 key")
        return cls(private)

    def save(self, path: Path) -> None:
        """Write the key as PEM (PKCS #8) that only its owner can read (mode 0600); never over another file.

        Raises:
            ConfigError: The file is there already.
            EnvironmentProblemError: It cannot be written.
        """
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        data = self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            path.hardlink_to(beside)  # unlike a rename, refuses a name that is taken
        except FileExistsError:
            raise ConfigError(f"the key {path} is there already; it is not replaced") from None
        except OSError as error:
            raise EnvironmentProblemError(f"the key {path} cannot be written: {error.strerror}") from None
        finally:
            beside.unlink(missing_ok=True)

    @property
    def public(self) -> str:
        """The public key: its 32 raw bytes in base64."""
        return base64.b64encode(self._private.public_key().public_bytes_raw()).decode()

    @property
    def key_id(self) -> str:
        """Name of the key, derived from its public part: see `key_id_of`."""
        return key_id_of(self.public)

    def sign(self, statement: Mapping[str, Any]) -> dict[str, Any]:
        """Return a statement in a signed DSSE envelope."""
        payload = canonical_json(statement)
        signature = self._private.sign(_pre_authentication_encoding(payload))
        return {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"keyid": self.key_id, "sig": base64.b64encode(signature).decode()}],
        }

    def __repr__(self) -> str:
        """Show the public name only."""
        return f"SigningKey({self.key_id})"


def key_id_of(public: str) -> str:
    """Return the name of a public key: the SHA-256 of its raw bytes, hexadecimal.

    Raises:
        SignatureError: It is not the base64 of 32 bytes.
    """
    return hashlib.sha256(_public_bytes(public)).hexdigest()


def statement(
    filename: str, sha256: str, predicate_type: str, predicate: Mapping[str, Any]
) -> dict[str, Any]:
    """Return an in-toto statement about one file.

    Args:
        filename: Name of the file.
        sha256: Its hash, 64 hexadecimal digits.
        predicate_type: URI of what is said, such as `PUBLISH`.
        predicate: What is said.
    """
    if not _SHA256.fullmatch(sha256):
        raise SignatureError("a statement needs the SHA-256 of its file as 64 hexadecimal digits")
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": filename, "digest": {"sha256": sha256}}],
        "predicateType": predicate_type,
        "predicate": dict(predicate),
    }


def verify(envelope: Mapping[str, Any], keys: Mapping[str, str]) -> dict[str, Any]:
    """Return the statement in an envelope after checking that one of `keys` signed it.

    Args:
        envelope: A DSSE envelope, from anywhere.
        keys: Public keys (base64 of the raw bytes) by key id.

    Raises:
        SignatureError: No signature of a known key, an altered payload, or not a statement.
    """
    return _verified(envelope, keys)[1]


def verify_about(
    envelope: Mapping[str, Any], keys: Mapping[str, str], *, predicate_type: str, sha256: str
) -> Attested:
    """Return what a verified envelope says of one file.

    Args:
        envelope: A DSSE envelope, from anywhere.
        keys: Public keys by key id.
        predicate_type: What must be said, such as `PUBLISH`.
        sha256: Hash of the file that it must be about.

    Raises:
        SignatureError: See `verify`; or it says another thing, or is about another file.
    """
    key_id, signed = _verified(envelope, keys)
    if signed["predicateType"] != predicate_type:
        raise SignatureError(f"the signature says {signed['predicateType']!r:.120}, not {predicate_type!r}")
    (subject,) = signed["subject"]
    if subject["digest"]["sha256"] != sha256:
        raise SignatureError(
            f"the signature is for a file with SHA-256 {subject['digest']['sha256']}, this one has {sha256}"
        )
    return Attested(key_id, subject["name"], sha256, signed["predicate"])


def digest(envelope: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an envelope's canonical JSON, hexadecimal: its name in lock files and addresses."""
    return hashlib.sha256(canonical_json(envelope)).hexdigest()


def canonical_json(value: Mapping[str, Any]) -> bytes:
    """Return JSON with sorted keys and no spaces, as UTF-8: equal values give equal bytes."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def _pre_authentication_encoding(payload: bytes) -> bytes:
    """Return what is signed: the type is part of it, so no signature is good for another kind of document."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _verified(envelope: Mapping[str, Any], keys: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    payload, signatures = _parts(envelope)
    key_id = _signer(_pre_authentication_encoding(payload), signatures, keys)
    return key_id, _statement_in(payload)


def _parts(envelope: Mapping[str, Any]) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Take an envelope apart; nothing in it is trusted yet."""
    if not isinstance(envelope, Mapping):
        raise SignatureError("a signature is a DSSE envelope: a JSON object")
    kind, payload, signatures = (envelope.get(key) for key in ("payloadType", "payload", "signatures"))
    if kind != PAYLOAD_TYPE:
        raise SignatureError(f"the signed document is of type {kind!r:.120}, not {PAYLOAD_TYPE}")
    if not isinstance(payload, str) or not isinstance(signatures, list):
        raise SignatureError("the envelope lacks its payload or its signatures")
    if len(payload) > MAX_PAYLOAD_BYTES * 4 // 3 + 4 or len(signatures) > _MAX_SIGNATURES:
        raise SignatureError("the envelope is larger than any of ours")
    found = []
    for each in signatures:
        if not isinstance(each, dict) or not isinstance(each.get("keyid"), str):
            raise SignatureError("a signature in the envelope has no key id")
        found.append((each["keyid"], _base64(each.get("sig"), "a signature")))
    return _base64(payload, "the payload"), found


def _signer(signed: bytes, signatures: list[tuple[str, bytes]], keys: Mapping[str, str]) -> str:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    unknown = True
    for key_id, signature in signatures:
        if key_id not in keys:
            continue
        unknown = False
        if key_id_of(keys[key_id]) != key_id:
            raise SignatureError(f"the public key given for {key_id[:16]} is another one")
        try:
            Ed25519PublicKey.from_public_bytes(_public_bytes(keys[key_id])).verify(signature, signed)
        except InvalidSignature:
            continue
        return key_id
    if unknown:
        names = ", ".join(key_id[:16] for key_id, _ in signatures) or "nobody"
        raise SignatureError(f"signed by {names}: not a key that is trusted here")
    raise SignatureError("the signature does not fit: the signed text was altered, or another key signed it")


def _statement_in(payload: bytes) -> dict[str, Any]:
    try:
        found = json.loads(payload.decode(), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError):
        raise SignatureError("the signed text is not JSON, or holds a key twice") from None
    if not isinstance(found, dict) or found.get("_type") != STATEMENT_TYPE:
        raise SignatureError("the signed text is not an in-toto statement")
    subjects = found.get("subject")
    if not isinstance(subjects, list) or len(subjects) != 1 or not _is_subject(subjects[0]):
        raise SignatureError("the statement is not about one file with its SHA-256")
    if not isinstance(found.get("predicateType"), str) or not isinstance(found.get("predicate"), dict):
        raise SignatureError("the statement says nothing")
    return found


def _is_subject(subject: object) -> bool:
    if not isinstance(subject, dict) or not isinstance(subject.get("name"), str):
        return False
    digests = subject.get("digest")
    sha256 = digests.get("sha256") if isinstance(digests, dict) else None
    return isinstance(sha256, str) and bool(_SHA256.fullmatch(sha256))


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):  # two readers might see two different statements
        raise ValueError("duplicate key")
    return found


def _public_bytes(public: str) -> bytes:
    raw = _base64(public, "the public key")
    if len(raw) != 32:
        raise SignatureError("a public key is the base64 of 32 bytes (Ed25519)")
    return raw


def _base64(text: object, what: str) -> bytes:
    try:
        return base64.b64decode(text if isinstance(text, str) else "?", validate=True)
    except (binascii.Error, ValueError):
        raise SignatureError(f"{what} is not base64") from None
