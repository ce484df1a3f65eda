"""Keys of AES-256 that people keep, as text in a file that only its owner can read; and what is sealed with them."""

import base64
import binascii
import hashlib
import os
import secrets
from pathlib import Path

from dteg.core.errors import ConfigError
from dteg.core.places import write_private

KEY_BYTES = 32
_NONCE_BYTES = 12


def decode_key(text: str, where: str) -> bytes:
    """Return the key that a text holds.

    Args:
        text: 32 bytes in base64.
        where: Where the text comes from, for the message.

    Raises:
        ConfigError: It is no key.
    """
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(
            f"{where} is not a key: 32 random bytes in base64; make one with: openssl rand -base64 32"
        )
    return key


def write_key(path: Path) -> None:
    """Write a new random key.

    Raises:
        EnvironmentProblemError: It cannot be written.
    """
    write_private(path, base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode() + "\n")


def read_private(path: Path) -> str:
    """Return the text of a file that nobody else may read.

    Raises:
        ConfigError: Others may.
    """
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise ConfigError(f"others may read the key {path}: chmod 600 {path}")
    return path.read_text("ascii", "replace")


def seal(key: bytes, data: bytes, bound_to: bytes) -> bytes:
    """Return data encrypted by AES-256-GCM; what is bound to one name opens for no other."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, bound_to)


def unseal(key: bytes, sealed: bytes, bound_to: bytes) -> bytes | None:
    """Return what was sealed; None if it was altered, or is bound to another name."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to)
    except InvalidTag:
        return None


def key_id(key: bytes, purpose: str) -> str:
    """Return what tells keys of one purpose apart and says nothing about them."""
    return hashlib.sha256(f"dteg {purpose} key\0".encode() + key).hexdigest()[:16]
