"""Passwords of sources, encrypted with a key that lies outside of the warehouse.

The key is made on first use in the user's configuration folder, or is what `DTEG_SOURCES_KEY` says. Who has a copy of
the warehouse but not the key learns no password.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from dteg.core.errors import ConfigError
from dteg.core.places import config_dir
from dteg.core.sealing import decode_key, read_private, write_key
from dteg.core.secrets import resolve

KEY_VARIABLE = "DTEG_SOURCES_KEY"
_NONCE_BYTES = 12


class Vault:
    """Seals and opens what is secret of sources (AES-256-GCM).

    Args:
        folder: Where the key lies; default: `sources` in the user's configuration.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or config_dir() / "sources"

    @property
    def key_file(self) -> Path:
        """Where the key lies if no other one is named."""
        return self.folder / "encryption.key"

    def seal(self, slug: str, values: Mapping[str, str]) -> tuple[bytes, str]:
        """Encrypt texts by name; return them and the id of the key. What is sealed for one source opens for no other."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key = self._key(make=True)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        text = json.dumps(dict(values), ensure_ascii=False).encode()
        return nonce + AESGCM(key).encrypt(nonce, text, _bound_to(slug)), _key_id(key)

    def open(self, slug: str, sealed: bytes, key_id: str) -> dict[str, str]:
        """Return what was sealed.

        Raises:
            ConfigError: The key is not here, is another one, or what was sealed has been altered.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        again = f"or add it again with its URL: dteg source add {slug} --replace"
        key = self._key(make=False)
        if _key_id(key) != key_id:
            raise ConfigError(
                f"the password of source {slug} is sealed with the key {key_id}; put that key into {self.key_file} or"
                f" {KEY_VARIABLE}, {again}"
            )
        try:
            text = AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _bound_to(slug))
        except InvalidTag:
            raise ConfigError(f"the sealed password of source {slug} was altered; {again}") from None
        opened: dict[str, str] = json.loads(text)
        return opened

    def _key(self, *, make: bool) -> bytes:
        if reference := os.environ.get(KEY_VARIABLE, ""):
            return decode_key(
                resolve(reference) if reference.startswith("secret://") else reference, KEY_VARIABLE
            )
        if not self.key_file.exists():
            if not make:
                raise ConfigError(
                    f"the key of the sources' passwords, {self.key_file}, is not there; copy it there, name it in"
                    f" {KEY_VARIABLE}, or add the sources again with --replace"
                )
            write_key(self.key_file)
        return decode_key(read_private(self.key_file), str(self.key_file))


def _bound_to(slug: str) -> bytes:
    return b"dteg source\0" + slug.encode()


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"dteg sources key\0" + key).hexdigest()[:16]
