"""Passwords of sources, encrypted with a key that lies outside of the warehouse.

The key is made on first use in the user's configuration folder, or is what `DTEG_SOURCES_KEY` says. Who has a copy of
the warehouse but not the key learns no password.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from dteg.core.errors import ConfigError
from dteg.core.places import config_dir
from dteg.core.sealing import decode_key, key_id, read_private, seal, unseal, write_key
from dteg.core.secrets import resolve

KEY_VARIABLE = "DTEG_SOURCES_KEY"
PURPOSE = "sources"


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
        key = self._key(make=True)
        text = json.dumps(dict(values), ensure_ascii=False).encode()
        return seal(key, text, _bound_to(slug)), key_id(key, PURPOSE)

    def open(self, slug: str, sealed: bytes, needed: str) -> dict[str, str]:
        """Return what was sealed with the key of the id `needed`.

        Raises:
            ConfigError: The key is not here, is another one, or what was sealed has been altered.
        """
        again = f"or add it again with its URL: dteg source add {slug} --replace"
        key = self._key(make=False)
        if key_id(key, PURPOSE) != needed:
            raise ConfigError(
                f"the password of source {slug} is sealed with the key {needed}; put that key into {self.key_file} or"
                f" {KEY_VARIABLE}, {again}"
            )
        text = unseal(key, sealed, _bound_to(slug))
        if text is None:
            raise ConfigError(f"the sealed password of source {slug} was altered; {again}")
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
