"""Keys of backups: the one that encrypts, the one that signs, and those that are trusted.

Made on first use, in the user's configuration folder and not in the project: who deletes `.dteg` must not lose what
opens the backups.
"""

import base64
import logging
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dteg.backups.errors import DamagedBackupError
from dteg.backups.models import Encryption, Manifest
from dteg.core.errors import ConfigError
from dteg.core.places import config_dir
from dteg.core.sealing import KEY_BYTES, decode_key, key_id, read_private, seal, unseal, write_key
from dteg.core.secrets import resolve
from dteg.signing import SignatureError, SigningKey, key_id_of, statement, verify

BACKUP = "https://dteg.dev/attestation/backup/v1"
PURPOSE = "backup"
KEY_VARIABLE = "DTEG_BACKUP_KEY"
TRUSTED_VARIABLE = "DTEG_BACKUP_TRUSTED_KEYS"
_LOG = logging.getLogger(__name__)


class KeyRing:
    """The keys of this user.

    Args:
        folder: Where they lie; default: `backups` in the user's configuration.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or config_dir() / "backups"

    @property
    def key_file(self) -> Path:
        """The key that encrypts, if no other one is named."""
        return self.folder / "encryption.key"

    # --- encryption --------------------------------------------------------------------------------

    def new_data_key(self, backup_id: str, reference: str) -> tuple[bytes, Encryption]:
        """Return a new key for one backup, and that key wrapped for its manifest.

        Args:
            backup_id: The backup; a key wrapped for one opens no other.
            reference: The wrapping key as a secret reference, or empty for `DTEG_BACKUP_KEY` or the key file.
        """
        outer, data_key = self._encryption_key(reference), secrets.token_bytes(KEY_BYTES)
        wrapped = base64.b64encode(seal(outer, data_key, backup_id.encode())).decode()
        return data_key, Encryption(key_id=key_id(outer, PURPOSE), wrapped_key=wrapped)

    def data_key(self, manifest: Manifest, reference: str) -> bytes | None:
        """Return the key that opens a backup; None if it is not encrypted.

        Raises:
            ConfigError: The key is not here, or another one.
            DamagedBackupError: The wrapped key was altered.
        """
        if manifest.encryption is None:
            return None
        needed = manifest.encryption.key_id
        outer = self._encryption_key(reference, needed)
        if (ours := key_id(outer, PURPOSE)) != needed:
            raise ConfigError(
                f"backup {manifest.id} needs the key {needed}, this one is {ours}; name it with"
                " --key secret://env/NAME"
            )
        data_key = unseal(outer, base64.b64decode(manifest.encryption.wrapped_key), manifest.id.encode())
        if data_key is None:
            raise DamagedBackupError("the wrapped key of the backup was altered")
        return data_key

    def _encryption_key(self, reference: str, needed: str = "") -> bytes:
        reference = reference or os.environ.get(KEY_VARIABLE, "")
        if reference:
            return decode_key(resolve(reference), reference)
        if not self.key_file.exists():
            if needed:
                raise ConfigError(
                    f"the backup is encrypted with the key {needed}, and {self.key_file} is not there; copy it there,"
                    f" or name the key with --key or {KEY_VARIABLE}"
                )
            self._make_key_file()
        return decode_key(read_private(self.key_file), str(self.key_file))

    def _make_key_file(self) -> None:
        write_key(self.key_file)
        _LOG.warning(
            "KEEP A COPY of the new key %s in a safe place: without it no encrypted backup can be restored, "
            "by nobody", self.key_file
        )  # fmt: skip

    # --- signatures --------------------------------------------------------------------------------

    def sign(self, manifest: Manifest) -> dict[str, Any]:
        """Return a manifest in a signed envelope, and remember the public key as trusted."""
        path = self.folder / "signing.pem"
        if not path.exists():
            try:
                SigningKey.generate().save(path)
            except ConfigError:  # another process was faster
                if not path.exists():
                    raise
        key = SigningKey.load(path)
        data = manifest.file("data")
        return key.sign(
            statement(f"{manifest.id}/data", data.sha256, BACKUP, manifest.model_dump(mode="json"))
        )

    def opened(self, envelope: Mapping[str, Any], backup_id: str) -> Manifest:
        """Return the manifest in an envelope.

        Raises:
            DamagedBackupError: It was altered, is of another backup, or was signed by nobody that is trusted.
        """
        try:
            signed = verify(envelope, self.trusted())
        except SignatureError as error:
            raise DamagedBackupError(
                f"the manifest of {backup_id} is not to be trusted: {error}; a backup of another machine needs"
                f" that machine's public key in {TRUSTED_VARIABLE}, or a file of its own in {self.folder / 'trusted'}"
            ) from None
        if signed["predicateType"] != BACKUP:
            raise DamagedBackupError(f"the manifest of {backup_id} is no manifest of a backup")
        try:
            manifest = Manifest.model_validate(signed["predicate"])
        except ValueError as error:
            raise DamagedBackupError(f"the manifest of {backup_id} cannot be read: {error}") from None
        (subject,) = signed["subject"]
        if manifest.id != backup_id or subject["digest"]["sha256"] != manifest.file("data").sha256:
            raise DamagedBackupError(f"this is the manifest of {manifest.id}, not of {backup_id}")
        return manifest

    def public_key(self) -> str:
        """Return the public key of this user's signatures in base64; empty before the first backup."""
        path = self.folder / "signing.pem"
        return SigningKey.load(path).public if path.exists() else ""

    def trusted(self) -> dict[str, str]:
        """Return public keys by key id: our own, those in the folder `trusted`, those in the environment."""
        found = [self.public_key(), *os.environ.get(TRUSTED_VARIABLE, "").split(",")]
        found += [
            path.read_text("ascii", "replace") for path in sorted((self.folder / "trusted").glob("*.pub"))
        ]
        return {key_id_of(key.strip()): key.strip() for key in found if key.strip()}
