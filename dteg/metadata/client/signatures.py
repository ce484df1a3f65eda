"""Who published a manifest: an Ed25519 signature in a DSSE envelope over all that it says, but for its checksum.

The manifest names each object by its SHA-256, so one signature is good for the whole cache. Only who gives a public key
needs `cryptography`, which is imported then.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dteg.core.errors import ConfigError
from dteg.metadata.client.documents import TamperedError, canonical, sha256

if TYPE_CHECKING:
    from dteg.signing import SigningKey

STATEMENT = "https://dteg.dev/attestation/metadata/v1"
_UNSIGNED = ("content_sha256", "signature")


def checked_key(public_key: str) -> str:
    """Return a public key as it is, if it is one; "" for none.

    Raises:
        ConfigError: It is not the base64 of 32 bytes.
    """
    from dteg.signing import SignatureError, key_id_of

    try:
        key_id_of(public_key)
    except SignatureError:
        raise ConfigError(
            "public_key: the base64 of the 32 bytes of an Ed25519 key, as dteg metadata key prints it"
        ) from None
    return public_key


def signature_of(document: Mapping[str, Any], key: "SigningKey") -> dict[str, Any]:
    """Return the signed envelope for a manifest."""
    from dteg.signing import statement

    said = {"cache_version": document.get("cache_version"), "generated_at": document.get("generated_at")}
    return key.sign(statement("manifest.json", _digest(document), STATEMENT, said))


def verify(document: Mapping[str, Any], public_key: str, source: str) -> None:
    """Make sure that a manifest is signed with a key.

    Args:
        document: The manifest as it was read, plain or frozen.
        public_key: Base64 of its raw bytes.
        source: Where it was read, for the message.

    Raises:
        TamperedError: It is not signed, by another key, or says something else than what was signed.
    """
    from dteg.signing import SignatureError, key_id_of, verify_about

    envelope = document.get("signature")
    if not isinstance(envelope, Mapping):
        raise TamperedError("it is not signed, and a public key is given", source=source)
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in envelope.items()}
    keys = {key_id_of(public_key): public_key}
    try:
        verify_about(plain, keys, predicate_type=STATEMENT, sha256=_digest(document))
    except SignatureError as error:
        raise TamperedError(f"its signature is refused: {error}", source=source) from None


def _digest(document: Mapping[str, Any]) -> str:
    return sha256(canonical({key: value for key, value in document.items() if key not in _UNSIGNED}))
